"""The types of expressions, and when a value of one may stand where another is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

TypeKind: TypeAlias = Literal[
    "bool", "int", "uint", "double", "string", "bytes", "null", "duration", "timestamp", "dyn", "error", "list", "map",
    "type", "param", "object", "opaque",
]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Type:
    """A type. `name` tells objects, opaque types and parameters apart; `fields` are those of an object."""

    kind: TypeKind
    name: str = ""
    params: tuple[Type, ...] = ()
    fields: Mapping[str, Type] = field(default_factory=dict, repr=False)

    def is_exactly(self, other: Type) -> bool:
        """Whether both are the same type."""
        if self is other:
            return True
        if (self.kind, self.name, len(self.params)) != (other.kind, other.name, len(other.params)):
            return False
        if self.kind == "object" and self.fields is not other.fields:
            return False
        return all(mine.is_exactly(theirs) for mine, theirs in zip(self.params, other.params, strict=True))

    def __str__(self) -> str:
        """Return how messages call the type."""
        match self.kind:
            case "error":
                return "!error!"
            case "param" | "object":
                return self.name
            case _:
                name = self.name or self.kind
                return f"{name}({', '.join(map(str, self.params))})" if self.params else name


BOOL: Final = Type("bool")
INT: Final = Type("int")
UINT: Final = Type("uint")
DOUBLE: Final = Type("double")
STRING: Final = Type("string")
BYTES: Final = Type("bytes")
NULL: Final = Type("null")
DURATION: Final = Type("duration")
TIMESTAMP: Final = Type("timestamp")
DYN: Final = Type("dyn")
ERROR: Final = Type("error")
OPTIONAL: Final = "optional_type"
COMPARABLE: Final = (INT, UINT, DOUBLE, BOOL, DURATION, TIMESTAMP, STRING, BYTES)
_SCALARS: Final = frozenset({"bool", "double", "duration", "int", "timestamp", "uint"})
_NULLABLE: Final = frozenset({"opaque", "object", "duration", "timestamp"})
_NESTED: Final = frozenset({"opaque", "list", "map", "type"})


def list_of(element: Type) -> Type:
    """Return the type of lists."""
    return Type("list", params=(element,))


def map_of(key: Type, value: Type) -> Type:
    """Return the type of maps."""
    return Type("map", params=(key, value))


def optional_of(inner: Type) -> Type:
    """Return the type of values that may be missing."""
    return Type("opaque", OPTIONAL, (inner,))


def type_of(inner: Type) -> Type:
    """Return the type of a type."""
    return Type("type", params=(inner,))


def param(name: str) -> Type:
    """Return a type that a declaration leaves open."""
    return Type("param", name)


def is_dyn_or_error(type_: Type) -> bool:
    """Whether nothing is known of values of the type."""
    return type_.kind in ("dyn", "error")


def is_optional(type_: Type) -> bool:
    """Whether a value may be missing."""
    return type_.kind == "opaque" and type_.name == OPTIONAL


def unwrapped(type_: Type) -> tuple[Type, bool]:
    """Return what may be missing, and whether it may."""
    return (type_.params[0], True) if is_optional(type_) else (type_, False)


def is_scalar(type_: Type) -> bool:
    """Whether all values of the type have the same size."""
    return type_.kind in _SCALARS or (is_optional(type_) and is_scalar(type_.params[0]))


class Bindings:
    """What the open types of one expression have turned out to be."""

    def __init__(self, known: Mapping[str, Type] | None = None) -> None:
        self._known: dict[str, Type] = dict(known or {})

    def substitute(self, type_: Type, *, to_dyn: bool = False) -> Type:
        """Return the type with what is known in the place of open types; with `to_dyn` no type stays open."""
        if type_.kind == "param":
            known = self._known.get(type_.name)
            if known is not None:
                return self.substitute(known, to_dyn=to_dyn)
            return DYN if to_dyn else type_
        if type_.params and type_.kind in _NESTED:
            return Type(type_.kind, type_.name, tuple(self.substitute(each, to_dyn=to_dyn) for each in type_.params))
        return type_

    def bind(self, name: str, type_: Type) -> None:
        """Note what an open type is."""
        self._known[name] = type_

    def assign(self, ones: tuple[Type, ...], others: tuple[Type, ...]) -> bool:
        """Whether values of the first types may stand where the second are asked for; binds only if so."""
        attempt = Bindings(self._known)
        if not attempt._fit_all(ones, others):
            return False
        self._known = attempt._known
        return True

    def _fit_all(self, ones: tuple[Type, ...], others: tuple[Type, ...]) -> bool:
        if len(ones) != len(others):
            return False
        return all(self._fits(one, other) for one, other in zip(ones, others, strict=True))

    def _fits(self, one: Type, other: Type) -> bool:
        if other.kind == "param":
            valid, known = self._is_substitution(one, other)
            if valid or known:
                return valid
        if one.kind == "param":
            return self._is_substitution(other, one)[0]
        if is_dyn_or_error(one) or is_dyn_or_error(other):
            return True
        if "null" in (one.kind, other.kind):
            partner = other if one.kind == "null" else one
            return partner.kind in _NULLABLE or partner.kind == "null"
        if one.kind != other.kind:
            return False
        if one.kind == "type":
            return True
        if one.kind in ("opaque", "list", "map"):
            return one.name == other.name and self._fit_all(one.params, other.params)
        return one.is_exactly(other)

    def _is_substitution(self, type_: Type, open_: Type) -> tuple[bool, bool]:
        """Whether a type may be what an open one is, and whether that was known already."""
        if type_.kind == "param" and type_.name == open_.name:
            return True, True
        known = self._known.get(open_.name)
        if known is not None:
            if type_.is_exactly(known):
                return True, True
            if not self._fits(type_, known):
                return False, True
            general = most_general(type_, known)
            if self._is_free_of(open_, general):
                self.bind(open_.name, general)
            return True, True
        if self._is_free_of(open_, type_):
            self.bind(open_.name, type_)
            return True, False
        return False, False

    def _is_free_of(self, open_: Type, within: Type) -> bool:
        if within.kind == "param":
            if within.name == open_.name:
                return False
            known = self._known.get(within.name)
            return known is None or self._is_free_of(open_, known)
        return all(self._is_free_of(open_, inner) for inner in within.params)


def most_general(one: Type, other: Type) -> Type:
    """Return the type that says less, of two that fit."""
    return one if _is_as_general(one, other) else other


def _is_as_general(one: Type, other: Type) -> bool:
    if one.kind in ("dyn", "param"):
        return True
    if other.kind in ("dyn", "param") or one.kind != other.kind:
        return False
    if one.kind in ("opaque", "list", "map"):
        same = one.name == other.name and len(one.params) == len(other.params)
        return same and all(map(_is_as_general, one.params, other.params))
    return one.kind == "type" or one.is_exactly(other)
