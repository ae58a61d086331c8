"""What a call costs when it runs: by the sizes of what it was given, as the reference counts."""

from __future__ import annotations

import math
from typing import Any, Final

from pvbinder.server.kinds.cel.functions.formats import Format
from pvbinder.server.kinds.cel.functions.network import InternetAddress, Network
from pvbinder.server.kinds.cel.functions.quantities import Amount
from pvbinder.server.kinds.cel.functions.urls import Url
from pvbinder.server.kinds.cel.functions.versions import Version
from pvbinder.server.kinds.cel.values import size_of

TRAVERSAL: Final = 0.1  # for each letter of a text that is read once
PATTERN: Final = 0.25  # for each letter of a pattern
_LIST: Final = 10
_ONE_SIZE: Final = (Amount, InternetAddress, Network, Format, Url, Version)
_WHOLE_LIST: Final = frozenset({"isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"})
_READ_ONCE: Final = frozenset(
    {
        "url", "lowerAscii", "upperAscii", "substring", "trim", "cidr", "isIP", "isCIDR", "quantity", "isQuantity",
        "semver", "isSemver",
    }
)  # fmt: skip
_READ_TWICE: Final = frozenset({"replace", "split", "ip.isCanonical"})
_FIRST_ONLY: Final = frozenset({"string_to_bytes", "bytes_to_string", "strings_quote", "string_format"})
AUTHORIZATION_CHECK: Final = 350_000  # so that an expression has two of them
_ORDERED: Final = ("less_", "greater_", "less_equals_", "greater_equals_")


def read_cost(letters: float, times: float = 1) -> int:
    """What it costs to read a text so often."""
    return math.ceil(letters * times * TRAVERSAL)


def pattern_cost(letters: float, pattern: float) -> int:
    """What it costs to look for a pattern in a text."""
    return read_cost(1.0 + letters) * math.ceil(pattern * PATTERN)


def cost_of_call(function: str, overload: str, args: tuple[Any, ...], result: Any) -> int:
    """Return what a call cost."""
    if function in _WHOLE_LIST:
        return _traversal(args[0])
    if function in _READ_ONCE:
        return read_cost(size_of(args[0]))
    if function in _READ_TWICE:
        return read_cost(size_of(args[0]), 2)
    match function:
        case "check":
            return AUTHORIZATION_CHECK
        case "fieldSelector" | "labelSelector":
            return read_cost(size_of(args[1]))
        case "join":
            return read_cost(size_of(result), 2)
        case "find" | "findAll" | "matches":
            return pattern_cost(size_of(args[0]), size_of(args[1]))
        case "ip":
            return 1 if overload == "cidr_ip" else read_cost(size_of(args[0]))
        case "containsIP" | "containsCIDR":
            return _network_cost(function, args)
        case "validate":
            return pattern_cost(size_of(args[1]), args[0].pattern_letters)
        case "_==_" if isinstance(args[0], _ONE_SIZE):
            return 1
        case "_==_" | "_!=_":
            return read_cost(min(size_of(args[0]), size_of(args[1])))
    return _by_overload(overload, args, result)


def _by_overload(overload: str, args: tuple[Any, ...], result: Any) -> int:
    if overload in _FIRST_ONLY:
        return read_cost(size_of(args[0]))
    if overload.startswith(_ORDERED) and overload.endswith(("_string", "_bytes")):
        return read_cost(min(size_of(args[0]), size_of(args[1])))
    match overload:
        case "starts_with_string" | "ends_with_string":
            return read_cost(size_of(args[1]))
        case "in_list":
            return size_of(args[1])
        case "add_string" | "add_bytes":
            return read_cost(size_of(args[0]) + size_of(args[1]))
        case "contains_string":
            return read_cost(size_of(args[0])) * read_cost(size_of(args[1]))
        case "list_slice" | "lists_range" | "list_reverse":
            return size_of(result) + 1 + _LIST
        case "list_flatten":
            return size_of(args[0]) + 1 + _LIST
        case "list_flatten_int":
            return size_of(args[0]) * int(args[1]) + 1 + _LIST
        case "list_distinct":
            return _self_compare(args[0])
        case "list_sets_contains_list" | "list_sets_intersects_list":
            return 1 + size_of(args[0]) * size_of(args[1])
        case "list_sets_equivalent_list":
            return 1 + 2 * size_of(args[0]) * size_of(args[1])
    if overload.endswith("_sort"):
        return _self_compare(args[0])
    if overload.endswith("_sortByAssociatedKeys"):
        return _self_compare(args[1])
    return 1


def _self_compare(items: list[Any]) -> int:
    factor = 2.0 + (TRAVERSAL if items and isinstance(items[0], str | bytes) else 0)
    return int(len(items) ** 2 * factor) + 1 + _LIST


def _network_cost(function: str, args: tuple[Any, ...]) -> int:
    size = size_of(args[0])
    cost = read_cost(size, 2)
    if function == "containsCIDR":
        cost += read_cost(size) + 1
    if isinstance(args[1], str):
        cost += read_cost(len(args[1]))
    return cost


def _traversal(value: Any) -> int:
    """What it costs to look at all that is in a value."""
    if isinstance(value, str | bytes):
        return int(len(value) * TRAVERSAL)
    if isinstance(value, list):
        return sum(map(_traversal, value))
    if isinstance(value, dict):
        return sum(_traversal(key) + _traversal(inner) for key, inner in value.items())
    return 1
