"""Operators: arithmetic, comparison, membership, indexing. Logic and choice are the program's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.functions.times import checked_duration, checked_timestamp
from pvbinder.server.kinds.cel.types import (
    BOOL,
    BYTES,
    COMPARABLE,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    list_of,
    map_of,
    optional_of,
    param,
)
from pvbinder.server.kinds.cel.values import (
    NONE,
    Fields,
    KeyedList,
    Optional,
    TimeSpan,
    Timestamp,
    Uint,
    checked_int,
    checked_uint,
    compare,
    equal,
    is_number,
)

_A: Final = param("A")
_B: Final = param("B")
_NUMERIC: Final = (INT, UINT, DOUBLE)
_TITLES: Final = {
    "bool": "bool", "int": "int64", "uint": "uint64", "double": "double", "string": "string", "bytes": "bytes",
    "duration": "duration", "timestamp": "timestamp",
}  # fmt: skip


def declare(library: Library) -> None:
    """Declare the operators."""
    library.add("_?_:_", "conditional", (BOOL, _A, _A), _A, _not_called)
    library.add("_&&_", "logical_and", (BOOL, BOOL), BOOL, _not_called)
    library.add("_||_", "logical_or", (BOOL, BOOL), BOOL, _not_called)
    library.add("!_", "logical_not", (BOOL,), BOOL, lambda value: not value)
    library.add("@not_strictly_false", "not_strictly_false", (BOOL,), BOOL, lambda value: value is not False)
    library.add("_==_", "equals", (_A, _A), BOOL, equal)
    library.add("_!=_", "not_equals", (_A, _A), BOOL, lambda one, other: not equal(one, other))
    library.add("@in", "in_list", (_A, list_of(_A)), BOOL, _in_list)
    library.add("@in", "in_map", (_A, map_of(_A, _B)), BOOL, _in_map)
    library.add("_[_]", "index_list", (list_of(_A), INT), _A, index)
    library.add("_[_]", "index_map", (map_of(_A, _B), _A), _B, index)
    library.add("_[_]", "optional_list_index_int", (optional_of(list_of(_A)), INT), optional_of(_A), index)
    library.add("_[_]", "optional_map_index_value", (optional_of(map_of(_A, _B)), _A), optional_of(_B), index)
    library.add("_[?_]", "list_optindex_optional_int", (list_of(_A), INT), optional_of(_A), optional_index)
    library.add(
        "_[?_]", "optional_list_optindex_optional_int", (optional_of(list_of(_A)), INT), optional_of(_A), optional_index
    )
    library.add("_[?_]", "map_optindex_optional_value", (map_of(_A, _B), _A), optional_of(_B), optional_index)
    library.add(
        "_[?_]",
        "optional_map_optindex_optional_value",
        (optional_of(map_of(_A, _B)), _A),
        optional_of(_B),
        optional_index,
    )
    map_type = map_of(_A, _B)
    library.add("cel.@mapInsert", "@mapInsert_map_map", (map_type, map_type), map_type, _insert_map)
    library.add("cel.@mapInsert", "@mapInsert_map_key_value", (map_type, _A, _B), map_type, _insert)
    _declare_arithmetic(library)
    _declare_order(library)


def _declare_arithmetic(library: Library) -> None:
    for name, title, run in (
        ("_+_", "add", lambda one, other: one + other),
        ("_-_", "subtract", lambda one, other: one - other),
        ("_*_", "multiply", lambda one, other: one * other),
    ):
        library.add(name, f"{title}_int64", (INT, INT), INT, _whole(run, checked_int))
        library.add(name, f"{title}_uint64", (UINT, UINT), UINT, _whole(run, checked_uint))
        library.add(name, f"{title}_double", (DOUBLE, DOUBLE), DOUBLE, run)
    library.add("_/_", "divide_int64", (INT, INT), INT, lambda one, other: checked_int(_divided(one, other)))
    library.add("_/_", "divide_uint64", (UINT, UINT), UINT, lambda one, other: Uint(_divided(one, other)))
    library.add("_/_", "divide_double", (DOUBLE, DOUBLE), DOUBLE, _ratio)
    library.add("_%_", "modulo_int64", (INT, INT), INT, _remainder)
    library.add("_%_", "modulo_uint64", (UINT, UINT), UINT, lambda one, other: Uint(_remainder(one, other)))
    library.add("-_", "negate_int64", (INT,), INT, lambda value: checked_int(-value))
    library.add("-_", "negate_double", (DOUBLE,), DOUBLE, lambda value: -value)
    library.add("_+_", "add_string", (STRING, STRING), STRING, lambda one, other: one + other)
    library.add("_+_", "add_bytes", (BYTES, BYTES), BYTES, lambda one, other: one + other)
    library.add("_+_", "add_list", (list_of(_A), list_of(_A)), list_of(_A), _add_lists)
    _declare_times(library)


def _declare_times(library: Library) -> None:
    def later(one: Any, other: Any) -> Any:
        return checked_timestamp(one.nanoseconds + other.nanoseconds, one.offset)

    def longer(one: TimeSpan, other: TimeSpan) -> TimeSpan:
        return checked_duration(one.nanoseconds + other.nanoseconds)

    def between(one: Any, other: Any) -> TimeSpan:
        return checked_duration(one.nanoseconds - other.nanoseconds)

    def earlier(one: Timestamp, other: TimeSpan) -> Timestamp:
        return checked_timestamp(one.nanoseconds - other.nanoseconds, one.offset)

    library.add("_+_", "add_duration_duration", (DURATION, DURATION), DURATION, longer)
    library.add("_+_", "add_duration_timestamp", (DURATION, TIMESTAMP), TIMESTAMP, later)
    library.add("_+_", "add_timestamp_duration", (TIMESTAMP, DURATION), TIMESTAMP, later)
    library.add("_-_", "subtract_duration_duration", (DURATION, DURATION), DURATION, between)
    library.add("_-_", "subtract_timestamp_timestamp", (TIMESTAMP, TIMESTAMP), DURATION, between)
    library.add("_-_", "subtract_timestamp_duration", (TIMESTAMP, DURATION), TIMESTAMP, earlier)


def _declare_order(library: Library) -> None:
    tests: tuple[tuple[str, str, Callable[[int], bool]], ...] = (
        ("_<_", "less", lambda order: order < 0),
        ("_<=_", "less_equals", lambda order: order <= 0),
        ("_>_", "greater", lambda order: order > 0),
        ("_>=_", "greater_equals", lambda order: order >= 0),
    )
    for name, title, holds in tests:
        run = _ordered(holds)
        for type_ in COMPARABLE:
            library.add(name, f"{title}_{_TITLES[type_.kind]}", (type_, type_), BOOL, run)
        for one in _NUMERIC:
            for other in _NUMERIC:
                if one is not other:
                    id_ = f"{title}_{_TITLES[one.kind]}_{_TITLES[other.kind]}"
                    library.add(name, id_, (one, other), BOOL, run)


def _ordered(holds: Callable[[int], bool]) -> Callable[[Any, Any], bool]:
    def run(one: Any, other: Any) -> bool:
        return holds(compare(one, other))

    return run


def _not_called(*_values: Any) -> Any:
    raise CelError("no such overload")


def _whole(run: Callable[[Any, Any], Any], checked: Callable[[int], Any]) -> Callable[[Any, Any], Any]:
    return lambda one, other: checked(run(int(one), int(other)))


def _divided(one: int, other: int) -> int:
    if other == 0:
        raise CelError("division by zero")
    quotient = abs(int(one)) // abs(int(other))
    return quotient if (one < 0) == (other < 0) else -quotient


def _remainder(one: int, other: int) -> int:
    if other == 0:
        raise CelError("modulus by zero")
    return int(math.copysign(1, one)) * (abs(int(one)) % abs(int(other)))


def _ratio(one: float, other: float) -> float:
    if other != 0:
        return one / other
    return math.nan if one == 0 or math.isnan(one) else math.copysign(math.inf, one) * math.copysign(1, other)


def _add_lists(one: list[Any], other: list[Any]) -> list[Any]:
    """Join two lists; where items are told apart by keys, a later one takes the place of its equal."""
    if not isinstance(one, KeyedList):
        return [*one, *other]
    places = {one.identity(item): at for at, item in enumerate(one)}
    joined = list(one)
    for item in other:
        identity = one.identity(item)
        if identity in places:
            joined[places[identity]] = item
        else:
            places[identity] = len(joined)
            joined.append(item)
    return KeyedList(joined, one.keys)


def _in_list(value: Any, among: list[Any]) -> bool:
    return any(equal(value, each) for each in among)


def _in_map(key: Any, among: dict[Any, Any]) -> bool:
    if isinstance(key, float) and not key.is_integer():
        return False
    return _has_key(among, key)


def _has_key(among: dict[Any, Any], key: Any) -> bool:
    try:
        return key in among and (isinstance(key, bool) == any(isinstance(each, bool) for each in among if each == key))
    except TypeError:
        return False


def index(container: Any, key: Any) -> Any:
    """Return what stands at a place; CelError where there is nothing."""
    if isinstance(container, Optional):
        return optional_index(container, key)
    if isinstance(container, dict):
        if isinstance(container, Fields) and not isinstance(key, str):
            raise CelError("no such overload")
        if not _has_key(container, key):
            raise CelError(f"no such key: {key}")
        return container[key]
    if isinstance(container, list):
        at = _place(key)
        if not 0 <= at < len(container):
            raise CelError(f"index out of bounds: {at}")
        return container[at]
    raise CelError("no such overload")


def optional_index(container: Any, key: Any) -> Optional:
    """Return what stands at a place, or that nothing does."""
    if isinstance(container, Optional):
        if not container.has_value:
            return NONE
        container = container.value
    if isinstance(container, dict):
        return Optional(True, container[key]) if _has_key(container, key) else NONE
    if isinstance(container, list):
        at = _place(key)
        return Optional(True, container[at]) if 0 <= at < len(container) else NONE
    raise CelError("no such overload")


def _place(key: Any) -> int:
    if not is_number(key) or (isinstance(key, float) and not key.is_integer()):
        raise CelError("no such overload")
    return int(key)


def _insert(into: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    if _has_key(into, key):
        raise CelError(f"insert failed: key {key} already exists")
    return {**into, key: value}


def _insert_map(into: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    for key, value in other.items():
        into = _insert(into, key, value)
    return into
