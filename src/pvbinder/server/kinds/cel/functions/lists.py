"""Functions of lists: Kubernetes' own, those of CEL's extensions, and sets."""

from __future__ import annotations

from functools import cmp_to_key
from itertools import pairwise
from typing import Any, Final

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.functions.times import checked_duration
from pvbinder.server.kinds.cel.types import (
    BOOL,
    COMPARABLE,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    UINT,
    list_of,
    param,
)
from pvbinder.server.kinds.cel.values import TimeSpan, Uint, checked_int, checked_uint, compare, equal, type_name

ELEMENTS_MAX: Final = 1_000_000  # that one call makes
_T: Final = param("T")
_LIST: Final = list_of(_T)
_NAMES: Final = {"duration": "google.protobuf.Duration", "timestamp": "google.protobuf.Timestamp"}
_ZEROS: Final[dict[str, Any]] = {"int": 0, "uint": Uint(0), "double": 0.0, "duration": TimeSpan(0)}


def declare(library: Library) -> None:
    """Declare the functions of lists."""
    for type_ in COMPARABLE:
        name, of = type_.kind, list_of(type_)
        library.add_member("isSorted", f"list_{name}_is_sorted_bool", (of,), BOOL, _is_sorted)
        library.add_member("max", f"list_{name}_max_{name}", (of,), type_, _greatest)
        library.add_member("min", f"list_{name}_min_{name}", (of,), type_, _least)
        title = _NAMES.get(name, name)
        library.add_member("sort", f"list_{title}_sort", (of,), of, lambda items: sorted_by(items, items))
        library.add_member("@sortByAssociatedKeys", f"list_{title}_sortByAssociatedKeys", (_LIST, of), _LIST, sorted_by)
    for type_ in (INT, UINT, DOUBLE, DURATION):
        name = type_.kind
        library.add_member("sum", f"list_{name}_sum_{name}", (list_of(type_),), type_, _summing(name))
    library.add_member("indexOf", "list_a_index_of_int", (_LIST, _T), INT, _index_of)
    library.add_member("lastIndexOf", "list_a_last_index_of_int", (_LIST, _T), INT, _last_index_of)
    library.add_member("slice", "list_slice", (_LIST, INT, INT), _LIST, _slice)
    library.add_member("flatten", "list_flatten", (list_of(_LIST),), _LIST, lambda items: _flattened(items, 1))
    library.add_member("flatten", "list_flatten_int", (list_of(DYN), INT), list_of(DYN), _flattened)
    library.add("lists.range", "lists_range", (INT,), list_of(INT), _range)
    library.add_member("reverse", "list_reverse", (_LIST,), _LIST, lambda items: list(reversed(items)))
    library.add_member("distinct", "list_distinct", (_LIST,), _LIST, _distinct)
    library.add("sets.contains", "list_sets_contains_list", (_LIST, _LIST), BOOL, _contains)
    library.add("sets.equivalent", "list_sets_equivalent_list", (_LIST, _LIST), BOOL, _equivalent)
    library.add("sets.intersects", "list_sets_intersects_list", (_LIST, _LIST), BOOL, _intersects)


def _is_sorted(items: list[Any]) -> bool:
    return all(compare(one, other) <= 0 for one, other in pairwise(items))


def _greatest(items: list[Any]) -> Any:
    if not items:
        raise CelError("max called on empty list")
    return max(items, key=cmp_to_key(compare))


def _least(items: list[Any]) -> Any:
    if not items:
        raise CelError("min called on empty list")
    return min(items, key=cmp_to_key(compare))


def _summing(name: str) -> Any:
    def total(items: list[Any]) -> Any:
        result = _ZEROS[name]
        for item in items:
            if name == "duration":
                result = checked_duration(result.nanoseconds + item.nanoseconds)
            elif name == "double":
                result = result + item
            else:
                result = (checked_int if name == "int" else checked_uint)(int(result) + int(item))
        return result

    return total


def _index_of(items: list[Any], value: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(item, value)), -1)


def _last_index_of(items: list[Any], value: Any) -> int:
    return next((at for at in range(len(items) - 1, -1, -1) if equal(items[at], value)), -1)


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise CelError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise CelError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if len(items) < end:
        raise CelError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return list(items[start:end])


def _flattened(items: list[Any], depth: int) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    flat: list[Any] = []
    for item in items:
        if isinstance(item, list) and depth:
            flat += _flattened(item, depth - 1)
        else:
            flat.append(item)
    return flat


def _range(count: int) -> list[int]:
    if count > ELEMENTS_MAX:
        raise CelError(f"lists.range of more than {ELEMENTS_MAX} elements")
    return list(range(count))


def _distinct(items: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        if not any(equal(item, other) for other in kept):
            kept.append(item)
    return kept


def sorted_by(items: list[Any], keys: list[Any]) -> list[Any]:
    """Sort a list by the keys of its elements."""
    if len(items) != len(keys):
        raise CelError(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got "
            f"{len(items)} and {len(keys)} elements respectively"
        )
    if len({type_name(key) for key in keys}) > 1:
        raise CelError("list elements must have the same type")
    key = cmp_to_key(compare)
    return [items[at] for at in sorted(range(len(items)), key=lambda at: key(keys[at]))]


def _among(value: Any, items: list[Any]) -> bool:
    return any(equal(value, item) for item in items)


def _contains(items: list[Any], others: list[Any]) -> bool:
    return all(_among(other, items) for other in others)


def _equivalent(items: list[Any], others: list[Any]) -> bool:
    return _contains(items, others) and _contains(others, items)


def _intersects(items: list[Any], others: list[Any]) -> bool:
    return any(_among(item, others) for item in items)
