"""What there is to call: functions by name, each with overloads that say which types it takes and what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.types import Type
from pvbinder.server.kinds.cel.values import (
    Fields,
    Optional,
    TimeSpan,
    Timestamp,
    TypeValue,
    Uint,
    type_name,
)

Run: TypeAlias = Callable[..., Any]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool | Uint)


_GUARDS: Final[dict[str, Callable[[Any], bool]]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": _is_int,
    "uint": lambda value: isinstance(value, Uint),
    "double": lambda value: isinstance(value, float),
    "string": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, bytes),
    "null": lambda value: value is None,
    "duration": lambda value: isinstance(value, TimeSpan),
    "timestamp": lambda value: isinstance(value, Timestamp),
    "list": lambda value: isinstance(value, list),
    "map": lambda value: isinstance(value, dict) and not isinstance(value, Fields),
    "type": lambda value: isinstance(value, TypeValue),
}


def has_type(value: Any, type_: Type) -> bool:
    """Whether a value is of a type, as far as can be seen without looking inside."""
    if type_.kind in ("dyn", "param", "error"):
        return True
    if type_.kind in ("opaque", "object"):
        if type_.name == "optional_type":
            return isinstance(value, Optional)
        return type_name(value) == type_.name
    return _GUARDS[type_.kind](value)


@dataclass(frozen=True, slots=True)
class Overload:
    """One way to call a function; a member's first parameter is its target."""

    id: str
    params: tuple[Type, ...]
    result: Type
    run: Run
    is_member: bool = False

    @property
    def open_types(self) -> set[str]:
        """The names of the types that are left open."""
        return {name for type_ in (self.result, *self.params) for name in _open_in(type_)}

    def takes(self, values: tuple[Any, ...]) -> bool:
        """Whether these values are of the types that this overload takes."""
        return len(values) == len(self.params) and all(map(has_type, values, self.params))


def _open_in(type_: Type) -> Iterable[str]:
    if type_.kind == "param":
        yield type_.name
    for inner in type_.params:
        yield from _open_in(inner)


@dataclass(slots=True)
class Function:
    """Everything that is called by one name."""

    name: str
    overloads: list[Overload] = field(default_factory=list)

    def call(self, values: tuple[Any, ...]) -> tuple[Any, str]:
        """Call the overload that takes these values; its result and its name. CelError where there is none."""
        for overload in self.overloads:
            if overload.takes(values):
                return overload.run(*values), overload.id
        types = ", ".join(map(type_name, values))
        raise CelError(f"no such overload: {self.name}({types})")


class Library:
    """All functions of an environment, by name."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def get(self, name: str) -> Function | None:
        """Return what is called by a name."""
        return self._functions.get(name.removeprefix("."))

    def add(self, name: str, id_: str, params: tuple[Type, ...], result: Type, run: Run) -> None:
        """Declare a function that stands alone."""
        self._put(name, Overload(id_, params, result, run))

    def add_member(self, name: str, id_: str, params: tuple[Type, ...], result: Type, run: Run) -> None:
        """Declare a function of its first parameter."""
        self._put(name, Overload(id_, params, result, run, is_member=True))

    def _put(self, name: str, overload: Overload) -> None:
        self._functions.setdefault(name, Function(name)).overloads.append(overload)
