"""Expressions as functions of Python, which count what they cost while they run.

PROGRAM-1  An evaluation that would cost more than it may ends with CostExceededError, whatever it does.
PROGRAM-2  A part that isn't needed isn't looked at: the second part of and, or, a choice, ``or`` and ``orValue``; an
           error in one part of and, or doesn't count where the other decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pvbinder.server.kinds.cel.call_costs import cost_of_call
from pvbinder.server.kinds.cel.declarations import Function, Library
from pvbinder.server.kinds.cel.errors import CelError, CostExceededError
from pvbinder.server.kinds.cel.functions.operators import index, optional_index
from pvbinder.server.kinds.cel.lexer import KEYWORDS
from pvbinder.server.kinds.cel.macros import GATHERED
from pvbinder.server.kinds.cel.nodes import Call, Fold, Ident, ListOf, Literal, MapOf, Message, Select, Term
from pvbinder.server.kinds.cel.values import NONE, Fields, Optional, TypeValue, type_name
from pvbinder.server.kinds.validation.patterns import why_no_pattern

_LIST_COST: Final = 10
_MAP_COST: Final = 30
_FOLDED_MAX: Final = 1_000_000  # what a value may cost that is known before
_ALL_LOOKED_AT_MAX: Final = 2  # calls with more arguments than this stop at the first that is an error
_CONVERSIONS: Final = frozenset(
    {"bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"}
)


class Meter:
    """What an evaluation has cost so far, and what it may."""

    __slots__ = ("cost", "limit")

    def __init__(self, limit: int) -> None:
        self.cost = 0
        self.limit = limit

    def spend(self, amount: int) -> None:
        """Count a cost; CostExceededError when it is too much (PROGRAM-1)."""
        self.cost += amount
        if self.cost > self.limit:
            raise CostExceededError("operation cancelled: actual cost limit exceeded")


Scope: TypeAlias = dict[str, Any]
Step: TypeAlias = Callable[[Meter, Scope], Any]


class Program:
    """An expression that can be evaluated."""

    def __init__(self, node: Term, library: Library, types: Mapping[str, TypeValue]) -> None:
        self._step = _Builder(library, types).build(node)

    def run(self, variables: Scope, limit: int) -> tuple[Any, int]:
        """Return the value and what it cost; CelError where there is none (its `cost` is set), CostExceededError."""
        meter = Meter(limit)
        try:
            return self._step(meter, variables), meter.cost
        except CelError as error:
            raise EvaluationError(error.message, meter.cost) from error
        except RecursionError:
            raise EvaluationError("the value is nested too deeply", meter.cost) from None


class EvaluationError(CelError):
    """An evaluation without a value, and what it cost."""

    def __init__(self, message: str, cost: int) -> None:
        super().__init__(message)
        self.cost = cost


class _Builder:
    def __init__(self, library: Library, types: Mapping[str, TypeValue]) -> None:
        self._library = library
        self._types = types

    def build(self, node: Term) -> Step:
        """Make a function of a node."""
        match node:
            case Literal():
                value = node.value
                return lambda _meter, _scope: value
            case Ident() | Select():
                return self._named(node)
            case Call():
                return _folded(node, self._call(node))
            case ListOf():
                return _folded(node, self._list(node))
            case MapOf():
                return _folded(node, self._map(node))
            case Fold():
                return self._fold(node)
            case Message():
                raise AssertionError("no schema brings messages")

    def _named(self, node: Ident | Select) -> Step:
        if node.names:  # a type, or a variable with dots in its name
            known = self._types.get(node.names)
            if known is not None:
                return lambda _meter, _scope: known
            return _charged(_variable(node.names))
        if isinstance(node, Select) and node.tests:
            operand, name = self._operand(node.operand), node.name
            return _charged(lambda meter, scope: _has(operand(meter, scope), name))
        return _charged(self._place(node))

    def _place(self, node: Term) -> Step:
        """A variable and the way into it, without the cost that it has as a value."""
        match node:
            case Select(names="", tests=False):
                return _selected(self._operand(node.operand), node.name)
            case Call(function="_[_]" | "_[?_]" | "_?._"):
                find = index if node.function == "_[_]" else optional_index
                return _indexed(self._operand(node.args[0]), self._key(node.args[1]), find)
            case Call(function="_?_:_"):
                test, one, other = node.args
                return _conditional(self.build(test), self._place(one), self._place(other))
            case Ident():
                return _variable(node.name.removeprefix("."))
            case _:
                return self.build(node)

    def _operand(self, node: Term) -> Step:
        """What something is looked up in: what isn't a place costs as if it were made one."""
        return self._place(node) if _is_place(node) else _charged(self.build(node))

    def _key(self, node: Term) -> Step:
        return self._place(node) if _is_place(node) else self.build(node)

    def _call(self, node: Call) -> Step:
        args = [self.build(arg) for arg in ([node.target] if node.target is not None else []) + node.args]
        match node.function:
            case "_&&_":
                return _logical(args[0], args[1], decides=False)
            case "_||_":
                return _logical(args[0], args[1], decides=True)
            case "_?_:_":
                return self._place(node)
            case "@not_strictly_false":
                return _not_strictly_false(args[0])
            case "_[_]" | "_[?_]" | "_?._":
                return _charged(self._place(node))
            case "@in" if _is_constant(node.args[1]):
                return _uncharged(args, self._library, node.function)
            case "or" | "orValue" if node.target is not None:
                return _alternative(args[0], args[1], whole=node.function == "or")
        _check_pattern(node)
        function = self._library.get(node.function)
        assert function is not None
        called = _called(function, args, node)
        first = node.args[0] if node.args else None
        return _growing(called) if isinstance(first, Ident) and first.name == GATHERED else called

    def _list(self, node: ListOf) -> Step:
        elements, optional = [self.build(each) for each in node.elements], node.optional

        def step(meter: Meter, scope: Scope) -> Any:
            made: list[Any] = []
            for at, element in enumerate(elements):
                value = element(meter, scope)
                if at not in optional:
                    made.append(value)
                elif isinstance(value, Optional) and value.has_value:
                    made.append(value.value)
            meter.spend(_LIST_COST)
            return made

        return step

    def _map(self, node: MapOf) -> Step:
        entries = [(self.build(key), self.build(value), optional) for key, value, optional in node.entries]

        def step(meter: Meter, scope: Scope) -> Any:
            made: dict[Any, Any] = {}
            for key_step, value_step, optional in entries:
                key, value = key_step(meter, scope), value_step(meter, scope)
                if not isinstance(key, str | bool | int):
                    raise CelError(f"unsupported key type: {type_name(key)}")
                if optional:
                    if not value.has_value:
                        continue
                    value = value.value
                if key in made:
                    raise CelError(f"Failed with repeated key: {key}")
                made[key] = value
            meter.spend(_MAP_COST)
            return made

        return step

    def _fold(self, node: Fold) -> Step:
        range_, start = self.build(node.range), self.build(node.start)
        condition, step_of, result = self.build(node.condition), self.build(node.step), self.build(node.result)
        variable, second, gathered = node.variable, node.second, node.gathered

        def step(meter: Meter, scope: Scope) -> Any:
            items = _items(range_(meter, scope), both=bool(second))
            begin = _caught(start, meter, scope)
            inner = {**scope, gathered: begin.copy() if isinstance(begin, list | dict) else begin}
            for one, other in items:
                inner[variable] = one
                if second:
                    inner[second] = other
                if condition(meter, inner) is False:
                    break
                inner[gathered] = _caught(step_of, meter, inner)
            return result(meter, inner)

        return step


def _growing(step: Step) -> Step:
    """What a loop gathers grows in place: copied at each turn, it would take time that no cost counts."""

    def growing(meter: Meter, scope: Scope) -> Any:
        held = scope.get(GATHERED)
        if not isinstance(held, list | dict):
            return step(meter, scope)
        added = step(meter, {**scope, GATHERED: type(held)()})
        if isinstance(held, list):
            held.extend(added)
            return held
        for key in added:
            if key in held:
                raise CelError(f"insert failed: key {key} already exists")
        held.update(added)
        return held

    return growing


def _check_pattern(node: Call) -> None:
    """Raise CelError for a pattern that is written out and is none."""
    pattern = node.args[0] if node.function in ("find", "findAll", "matches") and node.args else None
    if isinstance(pattern, Literal) and isinstance(pattern.value, str) and (why := why_no_pattern(pattern.value)):
        raise CelError(f"error parsing regexp: {why}" if not why.startswith("error parsing") else why)


def _caught(step: Step, meter: Meter, scope: Scope) -> Any:
    """A value, or the error in its place: a later turn of a loop may make it unimportant."""
    try:
        return step(meter, scope)
    except CelError as error:
        return error


def _items(value: Any, *, both: bool) -> list[tuple[Any, Any]]:
    if isinstance(value, Fields):
        raise CelError("no such overload")
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list):
        return [(at, item) for at, item in enumerate(value)] if both else [(item, None) for item in value]
    raise CelError(f"got '{type_name(value)}', expected iterable type")


def _has(value: Any, name: str) -> bool:
    if isinstance(value, Optional):
        return value.has_value and _has(value.value, name)
    if isinstance(value, dict):
        found = value.get(_known_as(value, name))
        if isinstance(found, CelError):
            raise found
        return _known_as(value, name) in value
    return False


def _known_as(value: dict[Any, Any], name: str) -> str:
    """The name of a field: words of the language stand for themselves after a dot."""
    return f"__{name}__" if isinstance(value, Fields) and name not in value and name in KEYWORDS else name


def _field(value: Any, name: str) -> Any:
    if isinstance(value, Optional):
        return optional_index(value, name)
    if isinstance(value, dict):
        name = _known_as(value, name)
        if name not in value:
            raise CelError(f"no such key: {name}")
        found = value[name]
        if isinstance(found, CelError):  # what isn't as the schema says
            raise found
        return found
    if isinstance(value, list):
        raise CelError("unsupported index type 'string' in list")
    raise CelError(f"no such key: {name}")


def _logical(one: Step, other: Step, *, decides: bool) -> Step:
    def step(meter: Meter, scope: Scope) -> Any:
        left = _caught(one, meter, scope)
        if left is decides:
            return decides
        right = _caught(other, meter, scope)
        if right is decides:
            return decides
        for value in (left, right):
            if isinstance(value, CelError):
                raise value
            if not isinstance(value, bool):
                raise CelError("no such overload")
        return not decides

    return step


def _conditional(test: Step, one: Step, other: Step) -> Step:
    def step(meter: Meter, scope: Scope) -> Any:
        chosen = test(meter, scope)
        if not isinstance(chosen, bool):
            raise CelError("no such overload")
        return (one if chosen else other)(meter, scope)

    return step


def _not_strictly_false(one: Step) -> Step:
    def step(meter: Meter, scope: Scope) -> Any:
        value = _caught(one, meter, scope)
        meter.spend(1)
        return value is not False

    return step


def _indexed(container: Step, key: Step, find: Callable[[Any, Any], Any]) -> Step:
    def step(meter: Meter, scope: Scope) -> Any:
        value = container(meter, scope)
        if value is NONE:
            return value
        place = key(meter, scope)
        try:
            found = find(value, place)
        except CelError:
            meter.spend(1)
            raise
        if found is not NONE:
            meter.spend(1)
        return found

    return step


def _alternative(one: Step, other: Step, *, whole: bool) -> Step:
    def step(meter: Meter, scope: Scope) -> Any:
        value = one(meter, scope)
        if not isinstance(value, Optional):
            raise CelError("no such overload")
        if value.has_value:
            return value if whole else value.value
        return other(meter, scope)

    return step


def _is_place(node: Term) -> bool:
    """Whether the reference takes a node for a place: a variable, a way into one, or a choice."""
    if isinstance(node, Ident | Select):
        return not (node.names and node.type.kind == "type")
    return isinstance(node, Call) and node.function in ("_[_]", "_[?_]", "_?._", "_?_:_")


def _is_constant(node: Term) -> bool:
    """Whether the value of a node is known before anything runs: it costs nothing, then."""
    match node:
        case Literal():
            return True
        case Ident() | Select():
            return bool(node.names) and node.type.kind == "type"
        case ListOf():
            return not node.optional and all(map(_is_constant, node.elements))
        case MapOf():
            return not any(optional for _, _, optional in node.entries) and all(
                _is_constant(key) and _is_constant(value) for key, value, _ in node.entries
            )
        case Call():
            return node.function in _CONVERSIONS and len(node.args) == 1 and _is_constant(node.args[0])
        case _:
            return False


def _folded(node: Term, step: Step) -> Step:
    """The value of a node that is known before; CompileError's reason where there is none (ENVIRONMENT-1)."""
    if not _is_constant(node):
        return step
    value = step(Meter(_FOLDED_MAX), {})
    return lambda _meter, _scope: value


def _charged(step: Step) -> Step:
    def charged(meter: Meter, scope: Scope) -> Any:
        try:
            return step(meter, scope)
        finally:
            meter.spend(1)

    return charged


def _uncharged(args: list[Step], library: Library, name: str) -> Step:
    """A look into a list that is written out: it costs what the value costs that is looked for."""
    function = library.get(name)
    assert function is not None

    def step(meter: Meter, scope: Scope) -> Any:
        return function.call((args[0](meter, scope), args[1](meter, scope)))[0]

    return step


def _variable(name: str) -> Step:
    def step(_meter: Meter, scope: Scope) -> Any:
        if name not in scope:
            raise CelError(f"no such attribute(s): {name}")
        value = scope[name]
        if isinstance(value, CelError):
            raise value
        return value

    return step


def _selected(operand: Step, name: str) -> Step:
    def step(meter: Meter, scope: Scope) -> Any:
        value = operand(meter, scope)
        if value is NONE:
            return value
        meter.spend(1)
        return _field(value, name)

    return step


def _called(function: Function, args: list[Step], node: Call) -> Step:
    overloads = [overload for overload in function.overloads if overload.id in node.overloads]
    chosen = Function(function.name, overloads)
    every = len(args) <= _ALL_LOOKED_AT_MAX

    def step(meter: Meter, scope: Scope) -> Any:
        values, wrong = [], None
        for arg in args:
            value = _caught(arg, meter, scope)
            values.append(value)
            if isinstance(value, CelError):
                wrong = wrong or value
                if not every:
                    raise value
        given = tuple(values)
        if wrong is not None:
            meter.spend(1)
            raise wrong
        try:
            result, overload = chosen.call(given)
        except CelError:
            meter.spend(1)
            raise
        meter.spend(cost_of_call(function.name, overload, given, result))
        return result

    return step
