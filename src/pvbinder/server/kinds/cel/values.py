"""The values of expressions: Python's own where they do, and a few that it doesn't have.

int, float, bool, str, bytes, None, list and dict stand for themselves; an object of a schema is a `Fields`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.types import Type

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1


class Uint(int):
    """A whole number without a sign."""


@dataclass(frozen=True, slots=True, order=True)
class TimeSpan:
    """A length of time."""

    nanoseconds: int


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A moment: nanoseconds since 1970 in UTC, and the minutes of the offset that it was written with."""

    nanoseconds: int
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be missing."""

    has_value: bool
    value: Any = None


NONE: Final = Optional(False)


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value; equal by name."""

    name: str


class Fields(dict[str, Any]):
    """An object of a schema: its fields by the names that expressions have for them; what else is there is compared."""

    __slots__ = ("raw", "type", "unknown")

    def __init__(self, values: dict[str, Any], type_: Type, unknown: dict[str, Any], raw: dict[str, Any]) -> None:
        super().__init__(values)
        self.type = type_
        self.unknown = unknown
        self.raw = raw


class KeyedList(list[Any]):
    """A list whose items are told apart by keys, or are a set: equal in any order."""

    __slots__ = ("keys",)

    def __init__(self, values: list[Any], keys: tuple[str, ...] | None) -> None:
        super().__init__(values)
        self.keys = keys  # None: a set

    def identity(self, item: Any) -> str:
        """What tells an item apart."""
        if self.keys is None:
            return repr(item)
        raw = item.raw if isinstance(item, Fields) else item
        return repr([raw.get(key) for key in self.keys]) if isinstance(raw, dict) else repr(item)


def is_number(value: Any) -> bool:
    """Whether a value is a number of any kind."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; values of different kinds aren't, but numbers are compared as numbers."""
    if is_number(one) and is_number(other):
        return bool(one == other)
    if isinstance(one, list) and isinstance(other, list):
        if isinstance(one, KeyedList):
            return _equal_in_any_order(one, other)
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        if size_of(one) != size_of(other):
            return False
        if isinstance(one, Fields) and isinstance(other, Fields) and one.unknown != other.unknown:
            return False
        return all(key in other and equal(value, other[key]) for key, value in one.items())
    if isinstance(one, Optional) and isinstance(other, Optional):
        return one.has_value == other.has_value and (not one.has_value or equal(one.value, other.value))
    return type(one) is type(other) and bool(one == other)


def _equal_in_any_order(one: KeyedList, other: list[Any]) -> bool:
    if len(one) != len(other):
        return False
    known = {one.identity(item): item for item in other}
    return all((identity := one.identity(item)) in known and equal(item, known[identity]) for item in one)


def compare(one: Any, other: Any) -> int:
    """Return -1, 0 or 1; CelError for what has no order."""
    if is_number(one) and is_number(other):
        if (isinstance(one, float) and math.isnan(one)) or (isinstance(other, float) and math.isnan(other)):
            raise CelError("NaN values cannot be ordered")
        return int(one > other) - int(one < other)
    if type(one) is type(other) and isinstance(one, str | bytes | bool | TimeSpan | Timestamp):
        left, right = (one.encode(), other.encode()) if isinstance(one, str) else (one, other)
        return int(left > right) - int(left < right)
    raise CelError("no such overload")


def size_of(value: Any) -> int:
    """The size that costs are counted by: letters, octets, elements; 1 for all else."""
    if isinstance(value, Fields):
        return len(value.raw)
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    if isinstance(value, Optional) and value.has_value:
        return size_of(value.value)
    sized = getattr(value, "size", None)
    return sized if isinstance(sized, int) else 1


def type_name(value: Any) -> str:
    """The name of a value's type."""
    match value:
        case bool():
            return "bool"
        case Uint():
            return "uint"
        case int():
            return "int"
        case float():
            return "double"
        case str():
            return "string"
        case bytes():
            return "bytes"
        case None:
            return "null_type"
        case Fields():
            return value.type.name
        case list():
            return "list"
        case dict():
            return "map"
        case TimeSpan():
            return "google.protobuf.Duration"
        case Timestamp():
            return "google.protobuf.Timestamp"
        case TypeValue():
            return "type"
        case Optional():
            return "optional_type"
        case _:
            return str(getattr(value, "type_name", type(value).__name__))


def checked_int(value: int) -> int:
    """Return a whole number if 64 bits hold it."""
    if not INT_MIN <= value <= INT_MAX:
        raise CelError("integer overflow")
    return value


def checked_uint(value: int) -> Uint:
    """Return a number without a sign if 64 bits hold it."""
    if not 0 <= value <= UINT_MAX:
        raise CelError("unsigned integer overflow")
    return Uint(value)


def moment_of(value: Timestamp) -> datetime:
    """The moment in UTC, without what is smaller than a microsecond."""
    from datetime import UTC, timedelta

    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value.nanoseconds // 1000)
