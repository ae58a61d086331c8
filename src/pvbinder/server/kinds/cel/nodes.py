"""An expression as a tree. Each node knows where it stands; the checker adds its type, and which overloads it calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pvbinder.server.kinds.cel.types import ERROR, Type


@dataclass(slots=True, eq=False)
class _Place:
    at: int  # the number of characters before it
    type: Type = field(default=ERROR, kw_only=True)


@dataclass(slots=True, eq=False)
class Literal(_Place):
    """A value that is written out."""

    value: Any


@dataclass(slots=True, eq=False)
class Ident(_Place):
    """A variable, or the name of a type; `names` is that name, then."""

    name: str
    names: str = field(default="", kw_only=True)


@dataclass(slots=True, eq=False)
class Select(_Place):
    """A field; `tests` asks only whether it is there; `names`: what it is the dotted name of, if that is so."""

    operand: Term
    name: str
    tests: bool = False
    names: str = field(default="", kw_only=True)


@dataclass(slots=True, eq=False)
class Call(_Place):
    """A call of a function, of a target's function, or an operator."""

    function: str
    target: Term | None
    args: list[Term]
    overloads: list[str] = field(default_factory=list, kw_only=True)


@dataclass(slots=True, eq=False)
class ListOf(_Place):
    """A list that is written out; `optional` are the places of elements that may be missing."""

    elements: list[Term]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class MapOf(_Place):
    """A map that is written out: key, value, and whether the entry may be missing."""

    entries: list[tuple[Term, Term, bool]]


@dataclass(slots=True, eq=False)
class Message(_Place):
    """A message of a type that is named, which no schema brings."""

    name: str


@dataclass(slots=True, eq=False)
class Fold(_Place):
    """A loop, which macros make: over a range, with what is gathered in a variable of its own."""

    range: Term
    variable: str
    second: str  # "" where there is one variable
    gathered: str
    start: Term
    condition: Term
    step: Term
    result: Term


Term: TypeAlias = Literal | Ident | Select | Call | ListOf | MapOf | Message | Fold


def qualified_name(node: Term) -> str:
    """Return the dotted name that a node may be; "" if it can't be one."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.tests:
        before = qualified_name(node.operand)
        return f"{before}.{node.name}" if before else ""
    return ""


def children(node: Term) -> list[Term]:
    """The nodes right inside a node."""
    match node:
        case Select():
            return [node.operand]
        case Call():
            return [*([node.target] if node.target is not None else []), *node.args]
        case ListOf():
            return node.elements
        case MapOf():
            return [each for key, value, _ in node.entries for each in (key, value)]
        case Fold():
            return [node.range, node.start, node.condition, node.step, node.result]
        case _:
            return []
