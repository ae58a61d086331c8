"""Which type each part of an expression has, and which overloads it calls; what doesn't fit is told in place.

CHECKER-1  Every mistake is told, in the order of the text, not only the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pvbinder.server.kinds.cel.declarations import Function, Library
from pvbinder.server.kinds.cel.errors import CompileError, Issue
from pvbinder.server.kinds.cel.lexer import KEYWORDS
from pvbinder.server.kinds.cel.nodes import (
    Call,
    Fold,
    Ident,
    ListOf,
    Literal,
    MapOf,
    Message,
    Select,
    Term,
    children,
    qualified_name,
)
from pvbinder.server.kinds.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    UINT,
    Bindings,
    Type,
    is_dyn_or_error,
    list_of,
    map_of,
    most_general,
    optional_of,
    param,
    unwrapped,
)
from pvbinder.server.kinds.cel.values import Uint


def check(source: str, node: Term, variables: Mapping[str, Type], library: Library) -> None:
    """Give each node its type; CompileError when something doesn't fit (CHECKER-1)."""
    checker = _Checker(variables, library)
    checker.check(node)
    if checker.issues:
        raise CompileError(source, checker.issues)
    checker.settle(node)


class _Checker:
    def __init__(self, variables: Mapping[str, Type], library: Library) -> None:
        self.issues: list[Issue] = []
        self._scopes: list[dict[str, Type]] = [dict(variables)]
        self._library = library
        self._bindings = Bindings()
        self._opened = 0

    def settle(self, node: Term) -> None:
        """Put what has been found out in the place of types that were open."""
        node.type = self._bindings.substitute(node.type, to_dyn=True)
        for child in children(node):
            self.settle(child)

    def check(self, node: Term) -> Type:
        """Find out the type of a node and of what is in it."""
        match node:
            case Literal():
                node.type = _type_of_literal(node.value)
            case Ident():
                node.type = self._ident(node)
            case Select():
                node.type = self._select(node)
            case Call():
                node.type = self._call(node)
            case ListOf():
                node.type = self._list(node)
            case MapOf():
                node.type = self._map(node)
            case Message():
                self._tell(node.at, f"undeclared reference to '{node.name}' (in container '')")
                node.type = ERROR
            case Fold():
                node.type = self._fold(node)
        return node.type

    def _tell(self, at: int, message: str) -> None:
        self.issues.append(Issue(at, message))

    def _known(self, name: str) -> Type | None:
        name = name.removeprefix(".")
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None

    def _ident(self, node: Ident) -> Type:
        known, name = self._known(node.name), node.name.removeprefix(".")
        if known is None:
            self._tell(node.at, f"undeclared reference to '{name}' (in container '')")
            return ERROR
        if known.kind == "type":
            node.names = name
        return known

    def _select(self, node: Select) -> Type:
        name = "" if node.tests else qualified_name(node)
        known = self._known(name) if name else None
        if known is not None:
            node.names = name.removeprefix(".")
            return known
        found = self._field(node.at, node.operand, node.name)
        return BOOL if node.tests else self._bindings.substitute(found)

    def _field(self, at: int, operand: Term, name: str, *, optional: bool = False) -> Type:
        target, is_optional = unwrapped(self._bindings.substitute(self.check(operand)))
        result = ERROR
        if target.kind == "map":
            result = target.params[1]
        elif target.kind == "object":
            known = target.fields.get(name) or (target.fields.get(f"__{name}__") if name in KEYWORDS else None)
            if known is None:
                self._tell(at, f"undefined field '{name}'")
            else:
                result = known
        elif target.kind == "param":
            self._bindings.assign((DYN,), (target,))
            result = DYN
        else:
            if not is_dyn_or_error(target):
                self._tell(at, f"type '{target}' does not support field selection")
            result = DYN
        return optional_of(result) if is_optional or optional else result

    def _call(self, node: Call) -> Type:
        if node.function == "_?._":
            assert isinstance(node.args[1], Literal)
            node.args[1].type = STRING
            node.overloads = ["select_optional_field"]
            found = self._field(node.at, node.args[0], node.args[1].value, optional=True)
            return self._bindings.substitute(found)
        for arg in node.args:
            self.check(arg)
        function: Function | None
        if node.target is not None:
            prefix = qualified_name(node.target)
            function = self._library.get(f"{prefix}.{node.function}") if prefix else None
            if function is not None:
                node.function, node.target = function.name, None
                return self._resolve(node, function)
            self.check(node.target)
        function = self._library.get(node.function)
        if function is None:
            name = node.function.removeprefix(".")
            self._tell(node.at, f"undeclared reference to '{name}' (in container '')")
            return ERROR
        node.function = function.name
        return self._resolve(node, function)

    def _resolve(self, node: Call, function: Function) -> Type:
        """Choose the overloads that take the arguments; the first one says what comes out."""
        args = [*([node.target] if node.target is not None else []), *node.args]
        types = tuple(arg.type for arg in args)
        if function.name in ("_&&_", "_||_"):
            return self._logical(node, function)
        result: Type | None = None
        for overload in function.overloads:
            if overload.is_member != (node.target is not None):
                continue
            fresh = Bindings({name: self._fresh() for name in overload.open_types})
            wanted = tuple(map(fresh.substitute, overload.params))
            if not self._bindings.assign(types, wanted):
                continue
            node.overloads.append(overload.id)
            found = self._bindings.substitute(fresh.substitute(overload.result))
            if result is None:
                result = found
            elif result.kind != "dyn" and not found.is_exactly(result):
                result = DYN
        if result is None:
            shown = [str(self._bindings.substitute(type_, to_dyn=True)) for type_ in types]
            signature = f"{shown[0]}.({', '.join(shown[1:])})" if node.target is not None else f"({', '.join(shown)})"
            self._tell(node.at, f"found no matching overload for '{function.name}' applied to '{signature}'")
            return ERROR
        return result

    def _logical(self, node: Call, function: Function) -> Type:
        node.overloads = [function.overloads[0].id]
        fits = True
        for arg in node.args:
            if not self._bindings.assign((arg.type,), (BOOL,)):
                self._tell(arg.at, f"expected type 'bool' but found '{arg.type}'")
                fits = False
        return BOOL if fits else ERROR

    def _fresh(self) -> Type:
        self._opened += 1
        return param(f"_var{self._opened - 1}")

    def _list(self, node: ListOf) -> Type:
        element: Type | None = None
        for index, each in enumerate(node.elements):
            type_ = self.check(each)
            if index in node.optional:
                type_ = self._unwrap(each, type_)
            element = self._join(element, type_)
        return list_of(self._fresh() if element is None else element)

    def _map(self, node: MapOf) -> Type:
        key: Type | None = None
        value: Type | None = None
        for one, other, is_optional in node.entries:
            key = self._join(key, self.check(one))
            type_ = self.check(other)
            if is_optional:
                type_ = self._unwrap(other, type_)
            value = self._join(value, type_)
        if key is None or value is None:
            return map_of(self._fresh(), self._fresh())
        return map_of(key, value)

    def _unwrap(self, node: Term, type_: Type) -> Type:
        inner, is_optional = unwrapped(type_)
        if not is_optional and inner.kind != "dyn":
            self._tell(node.at, f"expected type '{optional_of(inner)}' but found '{inner}'")
        return inner

    def _join(self, before: Type | None, type_: Type) -> Type:
        """The type of elements of which one more is known; whether they may differ is for `literals` to say."""
        if before is None:
            return type_
        return most_general(before, type_) if self._bindings.assign((before,), (type_,)) else DYN

    def _fold(self, node: Fold) -> Type:
        self.check(node.range)
        gathered = self.check(node.start)
        range_ = self._bindings.substitute(node.range.type)
        self._scopes.append({node.gathered: gathered})
        first, second = self._loop_types(node, range_)
        inner = {node.variable: first}
        if node.second:
            inner[node.second] = second
        self._scopes.append(inner)
        self.check(node.condition)
        self._require(node.condition, BOOL)
        self.check(node.step)
        self._require(node.step, gathered)
        self._scopes.pop()
        self.check(node.result)
        self._scopes.pop()
        return self._bindings.substitute(node.result.type)

    def _loop_types(self, node: Fold, range_: Type) -> tuple[Type, Type]:
        if range_.kind == "list":
            element = range_.params[0]
            return (INT, element) if node.second else (element, ERROR)
        if range_.kind == "map":
            return range_.params[0], range_.params[1]
        if range_.kind in ("dyn", "error", "param"):
            self._bindings.assign((DYN,), (range_,))
            return DYN, DYN
        self._tell(
            node.range.at,
            f"expression of type '{range_}' cannot be range of a comprehension (must be list, map, or dynamic)",
        )
        return ERROR, ERROR

    def _require(self, node: Term, type_: Type) -> None:
        if not self._bindings.assign((type_,), (node.type,)):
            self._tell(node.at, f"expected type '{type_}' but found '{node.type}'")


def _type_of_literal(value: object) -> Type:
    for kind, type_ in _LITERALS:
        if isinstance(value, kind):
            return type_
    return NULL


_LITERALS: Final[tuple[tuple[type, Type], ...]] = (
    (bool, BOOL),
    (Uint, UINT),
    (int, INT),
    (float, DOUBLE),
    (str, STRING),
    (bytes, BYTES),
)
