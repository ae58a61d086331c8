"""Macros: calls that are written out as loops, tests and conditions before anything is checked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final, TypeAlias

from pvbinder.model.errors import PvbinderError
from pvbinder.server.kinds.cel.nodes import Call, Fold, Ident, ListOf, Literal, MapOf, Select, Term

GATHERED: Final = "@result"
_ANY_TARGET: Final = "sortBy can only be applied to a list, identifier, comprehension, call or select expression"


class MacroError(PvbinderError):
    """A macro that is used wrongly."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at


Rewriting: TypeAlias = Callable[[Term, list[Term], int], Term]


def expand(name: str, target: Term | None, args: list[Term], at: int) -> Term | None:
    """Return what a call stands for; None if it is no macro."""
    if target is None:
        return _has(args, at) if name == "has" and len(args) == 1 else None
    macro = _MACROS.get((name, len(args)))
    return None if macro is None else macro(target, args, at)


def _has(args: list[Term], at: int) -> Term:
    asked = args[0]
    if isinstance(asked, Select):
        return Select(at, asked.operand, asked.name, tests=True)
    raise MacroError(asked.at, "invalid argument to has() macro")


def _variable(node: Term, why: str = "argument must be a simple name") -> str:
    if not isinstance(node, Ident):
        raise MacroError(node.at, why)
    if node.name in (GATHERED, "__result__"):
        raise MacroError(node.at, "iteration variable overwrites accumulator variable")
    return node.name


def _loop(
    target: Term, variables: tuple[str, str], start: Term, condition: Term, step: Term, result: Term, at: int
) -> Term:
    return Fold(at, target, variables[0], variables[1], GATHERED, start, condition, step, result)


def _gathered(at: int) -> Ident:
    return Ident(at, GATHERED)


def _variables(args: list[Term], count: int) -> tuple[str, str]:
    if count == 1:
        return _variable(args[0]), ""
    first, second = _variable(args[0]), _variable(args[1])
    if first == second:
        raise MacroError(args[1].at, f"duplicate variable name: {first}")
    return first, second


def _all(count: int) -> Rewriting:
    def expansion(target: Term, args: list[Term], at: int) -> Term:
        goes_on = Call(at, "@not_strictly_false", None, [_gathered(at)])
        step = Call(at, "_&&_", None, [_gathered(at), args[count]])
        return _loop(target, _variables(args, count), Literal(at, True), goes_on, step, _gathered(at), at)

    return expansion


def _exists(count: int) -> Rewriting:
    def expansion(target: Term, args: list[Term], at: int) -> Term:
        goes_on = Call(at, "@not_strictly_false", None, [Call(at, "!_", None, [_gathered(at)])])
        step = Call(at, "_||_", None, [_gathered(at), args[count]])
        return _loop(target, _variables(args, count), Literal(at, False), goes_on, step, _gathered(at), at)

    return expansion


def _exists_one(count: int) -> Rewriting:
    def expansion(target: Term, args: list[Term], at: int) -> Term:
        more = Call(at, "_+_", None, [_gathered(at), Literal(at, 1)])
        step = Call(at, "_?_:_", None, [args[count], more, _gathered(at)])
        result = Call(at, "_==_", None, [_gathered(at), Literal(at, 1)])
        return _loop(target, _variables(args, count), Literal(at, 0), Literal(at, True), step, result, at)

    return expansion


def _collect(target: Term, variables: tuple[str, str], element: Term, wanted: Term | None, at: int) -> Term:
    step: Term = Call(at, "_+_", None, [_gathered(at), ListOf(at, [element])])
    if wanted is not None:
        step = Call(at, "_?_:_", None, [wanted, step, _gathered(at)])
    return _loop(target, variables, ListOf(at, []), Literal(at, True), step, _gathered(at), at)


def _map(target: Term, args: list[Term], at: int) -> Term:
    variable = _variable(args[0], "argument is not an identifier")
    return _collect(target, (variable, ""), args[-1], args[1] if len(args) == 3 else None, at)


def _filter(target: Term, args: list[Term], at: int) -> Term:
    variable = _variable(args[0], "argument is not an identifier")
    return _collect(target, (variable, ""), args[0], args[1], at)


def _transform_list(target: Term, args: list[Term], at: int) -> Term:
    return _collect(target, _variables(args, 2), args[-1], args[2] if len(args) == 4 else None, at)


def _transform_map(target: Term, args: list[Term], at: int) -> Term:
    return _insert(target, args, [_gathered(at), copy.deepcopy(args[0]), args[-1]], at)


def _transform_entry(target: Term, args: list[Term], at: int) -> Term:
    return _insert(target, args, [_gathered(at), args[-1]], at)


def _insert(target: Term, args: list[Term], inserted: list[Term], at: int) -> Term:
    step: Term = Call(at, "cel.@mapInsert", None, inserted)
    if len(args) == 4:
        step = Call(at, "_?_:_", None, [args[2], step, _gathered(at)])
    return _loop(target, _variables(args, 2), MapOf(at, []), Literal(at, True), step, _gathered(at), at)


def _bind(name: str, value: Term, result: Term, at: int) -> Term:
    """Give a value a name inside an expression: a loop over nothing."""
    return Fold(at, ListOf(at, []), "#unused", "", name, value, Literal(at, False), Ident(at, name), result)


def _opt_map(target: Term, args: list[Term], at: int, *, flat: bool = False) -> Term:
    what = "optFlatMap" if flat else "optMap"
    if not isinstance(args[0], Ident):
        raise MacroError(args[0].at, f"{what}() variable name must be a simple identifier")
    inner = _bind(args[0].name, Call(at, "value", copy.deepcopy(target), []), args[1], at)
    found = inner if flat else Call(at, "optional.of", None, [inner])
    return Call(at, "_?_:_", None, [Call(at, "hasValue", target, []), found, Call(at, "optional.none", None, [])])


def _opt_flat_map(target: Term, args: list[Term], at: int) -> Term:
    return _opt_map(target, args, at, flat=True)


def _sort_by(target: Term, args: list[Term], at: int) -> Term:
    if not isinstance(target, ListOf | Select | Ident | Fold | Call):
        raise MacroError(target.at, _ANY_TARGET)
    name = "@__sortBy_input__"
    keys = _map(Ident(at, name), args, at)
    return _bind(name, target, Call(at, "@sortByAssociatedKeys", Ident(at, name), [keys]), at)


_MACROS: Final[dict[tuple[str, int], Rewriting]] = {
    ("all", 2): _all(1),
    ("all", 3): _all(2),
    ("exists", 2): _exists(1),
    ("exists", 3): _exists(2),
    ("exists_one", 2): _exists_one(1),
    ("existsOne", 2): _exists_one(1),
    ("existsOne", 3): _exists_one(2),
    ("filter", 2): _filter,
    ("map", 2): _map,
    ("map", 3): _map,
    ("optFlatMap", 2): _opt_flat_map,
    ("optMap", 2): _opt_map,
    ("sortBy", 2): _sort_by,
    ("transformList", 3): _transform_list,
    ("transformList", 4): _transform_list,
    ("transformMap", 3): _transform_map,
    ("transformMap", 4): _transform_map,
    ("transformMapEntry", 3): _transform_entry,
    ("transformMapEntry", 4): _transform_entry,
}
