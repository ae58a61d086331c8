"""Values that may be missing. ``or`` and ``orValue`` look at their second part only if they must."""

from __future__ import annotations

from typing import Any, Final

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.functions.times import ZERO_TIME
from pvbinder.server.kinds.cel.types import BOOL, list_of, optional_of, param
from pvbinder.server.kinds.cel.values import NONE, Optional, TimeSpan, Timestamp

_V: Final = param("V")
_OPTIONAL: Final = optional_of(_V)


def declare(library: Library) -> None:
    """Declare what makes, asks and chains such values."""
    library.add("optional.of", "optional_of", (_V,), _OPTIONAL, lambda value: Optional(True, value))
    library.add("optional.ofNonZeroValue", "optional_ofNonZeroValue", (_V,), _OPTIONAL, _of_non_zero)
    library.add("optional.none", "optional_none", (), _OPTIONAL, lambda: NONE)
    library.add_member("value", "optional_value", (_OPTIONAL,), _V, _value)
    library.add_member("hasValue", "optional_hasValue", (_OPTIONAL,), BOOL, lambda value: value.has_value)
    library.add_member("or", "optional_or_optional", (_OPTIONAL, _OPTIONAL), _OPTIONAL, _or)
    library.add_member("orValue", "optional_orValue_value", (_OPTIONAL, _V), _V, _or_value)
    library.add_member("first", "list_first", (list_of(_V),), _OPTIONAL, lambda items: _at(items, 0))
    library.add_member("last", "list_last", (list_of(_V),), _OPTIONAL, lambda items: _at(items, -1))
    library.add("optional.unwrap", "optional_unwrap", (list_of(_OPTIONAL),), list_of(_V), _unwrapped)
    library.add_member("unwrapOpt", "optional_unwrapOpt", (list_of(_OPTIONAL),), list_of(_V), _unwrapped)


def _of_non_zero(value: Any) -> Optional:
    empty = value in (None, "", b"", 0, False) if not isinstance(value, list | dict) else not value
    if isinstance(value, TimeSpan):
        empty = not value.nanoseconds
    if isinstance(value, Timestamp):
        empty = value.nanoseconds == ZERO_TIME
    return NONE if empty else Optional(True, value)


def _value(value: Optional) -> Any:
    if not value.has_value:
        raise CelError("optional.none() dereference")
    return value.value


def _or(one: Optional, other: Optional) -> Optional:
    return one if one.has_value else other


def _or_value(one: Optional, other: Any) -> Any:
    return one.value if one.has_value else other


def _at(items: list[Any], place: int) -> Optional:
    return Optional(True, items[place]) if items else NONE


def _unwrapped(items: list[Any]) -> list[Any]:
    return [item.value for item in items if item.has_value]
