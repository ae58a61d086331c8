"""What a call may cost at most, and how large its result may be: function by function, as the reference estimates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pvbinder.server.kinds.cel.call_costs import AUTHORIZATION_CHECK, PATTERN, TRAVERSAL
from pvbinder.server.kinds.cel.ranges import ONE, UNBOUNDED, UNKNOWN, Range
from pvbinder.server.kinds.cel.types import Type

_LIST: Final = Range.of(10)
_FORMAT_LETTERS_MAX: Final = 64
_NAME_PATTERN_LETTERS_MAX: Final = 128
_WHOLE_LIST: Final = frozenset({"isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"})
_TARGET_ONCE: Final = frozenset({"lowerAscii", "upperAscii", "substring", "trim"})
_ARGUMENT_ONCE: Final = frozenset({"cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"})
_UNIT: Final = frozenset(
    {
        "masked", "prefixLength", "family", "isUnspecified", "isLoopback", "isLinkLocalMulticast", "isLinkLocalUnicast",
        "isGlobalUnicast", "format.named", "sign", "asInteger", "isInteger", "asApproximateFloat", "isGreaterThan",
        "isLessThan", "compareTo", "add", "sub", "major", "minor", "patch", "getScheme", "getHostname", "getHost",
        "getPort", "getEscapedPath", "getQuery", "serviceAccount", "path", "group", "resource", "subresource",
        "namespace", "name", "allowed", "reason", "error", "errored",
    }
)  # fmt: skip
_UNIT_TYPES: Final = frozenset({"net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver"})


@dataclass(frozen=True, slots=True)
class CallEstimate:
    """What a call costs without its arguments, and the size of what it gives if that is known."""

    cost: Range
    size: Range | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """An argument or target: its type, its size if that is known, and where it comes from."""

    type: Type
    size: Range | None
    path: tuple[str, ...]
    literal: Any
    bounds: Callable[[tuple[str, ...]], int | None]

    @property
    def size_or_unknown(self) -> Range:
        """Its size; anything if it isn't known."""
        return self.size if self.size is not None else UNKNOWN

    def element(self) -> tuple[Type, Range] | None:
        """The type and size of what is in a list; None for what isn't known to be one."""
        if not self.type.params:
            return None
        bound = self.bounds((*self.path, "@items")) if self.path else None
        return self.type.params[0], UNKNOWN if bound is None else Range(0, bound)


def estimate_call(function: str, overload: str, target: Part | None, args: list[Part]) -> CallEstimate:
    """Return what a call costs, without what its arguments do."""
    listed = _estimate_list(overload, target, args)
    if listed is not None:
        return listed
    found = _estimate_kubernetes(function, overload, target, args)
    return found if found is not None else _estimate_language(overload, target, args)


def _estimate_list(overload: str, target: Part | None, args: list[Part]) -> CallEstimate | None:
    match overload:
        case "list_slice" if target is not None:
            start = _number(args[0], 0)
            return _allocating(1, Range.of((_number(args[1], target.size_or_unknown.most) - start) % (UNBOUNDED + 1)))
        case "list_flatten" | "list_flatten_int" if target is not None:
            return _allocating(_number(args[0], UNBOUNDED) if args else 1, target.size_or_unknown)
        case "lists_range":
            return _allocating(1, Range.of(_number(args[0], UNBOUNDED)))
        case "list_reverse" if target is not None:
            return _allocating(1, target.size_or_unknown)
        case "list_distinct" if target is not None:
            return _allocating(2, target.size_or_unknown * target.size_or_unknown)
        case "list_sets_contains_list" | "list_sets_intersects_list":
            return CallEstimate((args[0].size_or_unknown * args[1].size_or_unknown).times(1) + ONE)
        case "list_sets_equivalent_list":
            return CallEstimate((args[0].size_or_unknown * args[1].size_or_unknown).times(2) + ONE)
    if overload.endswith("_sort") and target is not None:
        return _sorting(overload, target)
    return _sorting(overload, args[0]) if overload.endswith("_sortByAssociatedKeys") else None


def _sorting(overload: str, part: Part) -> CallEstimate:
    factor = 2.0 + (TRAVERSAL if overload.startswith(("list_string_", "list_bytes_")) else 0)
    return _allocating(factor, part.size_or_unknown * part.size_or_unknown)


def _allocating(factor: float, size: Range) -> CallEstimate:
    return CallEstimate(size.times(factor) + ONE + _LIST, size)


def _number(part: Part, default: int) -> int:
    value = part.literal
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else default


def _estimate_kubernetes(function: str, overload: str, target: Part | None, args: list[Part]) -> CallEstimate | None:
    if function in _UNIT:
        return CallEstimate(ONE)
    if function in _ARGUMENT_ONCE:
        return CallEstimate(args[0].size_or_unknown.times(TRAVERSAL))
    if function in _WHOLE_LIST and target is not None:
        return _whole_list(target)
    if function in _TARGET_ONCE and target is not None:
        size = target.size_or_unknown
        return CallEstimate(size.times(TRAVERSAL), size)
    match function:
        case "check":
            return CallEstimate(Range.of(AUTHORIZATION_CHECK))
        case "fieldSelector" | "labelSelector":
            return CallEstimate(args[0].size_or_unknown.times(TRAVERSAL))
        case "url":
            size = args[0].size_or_unknown
            return CallEstimate(size.times(TRAVERSAL), size)
        case "replace" if target is not None and len(args) >= 2:
            return _replace(target.size_or_unknown, args[0].size_or_unknown, args[1].size_or_unknown)
        case "split" if target is not None:
            size = target.size_or_unknown
            most = _number(args[1], size.most) if len(args) > 1 else size.most
            return CallEstimate(size.times(2 * TRAVERSAL), Range(0, most))
        case "join" if target is not None:
            return _join(target, args)
        case "find" | "findAll" if target is not None:
            size = target.size_or_unknown
            pattern = args[0].size_or_unknown.times(PATTERN)
            return CallEstimate((size + ONE).times(TRAVERSAL) * pattern, Range(0, size.most))
        case "ip":
            return CallEstimate(ONE if overload == "cidr_ip" else args[0].size_or_unknown.times(TRAVERSAL))
        case "ip.isCanonical":
            return CallEstimate(args[0].size_or_unknown.times(2 * TRAVERSAL))
        case "containsIP" | "containsCIDR":
            return _network(function, overload, args)
        case "validate":
            size = args[0].size_or_unknown
            return CallEstimate(size.times(TRAVERSAL).times(_NAME_PATTERN_LETTERS_MAX * PATTERN))
        case "_==_":
            return _equality(args)
    return None


def _whole_list(target: Part) -> CallEstimate:
    element = target.element()
    if element is None:  # a text
        return CallEstimate(target.size_or_unknown.times(TRAVERSAL))
    type_, size = element
    each = ONE + size.times(TRAVERSAL) if type_.kind in ("string", "bytes") else ONE
    return CallEstimate(target.size_or_unknown * each)


def _replace(text: Range, old: Range, new: Range) -> CallEstimate:
    kept_most = kept_least = 0
    if old.least == 0:
        most, kept_most = min(text.most + 1, UNBOUNDED), text.most
    elif new.most <= old.least:
        most, kept_most = 0, text.most
    else:
        most = math.ceil(float(text.most) / float(old.least))
    if old.most == 0:
        least, kept_least = min(text.least + 1, UNBOUNDED), text.least
    elif old.most <= new.least:
        least, kept_least = 0, text.least
    else:
        least = math.ceil(float(text.least) / float(old.most))
    return CallEstimate(text.times(2 * TRAVERSAL), Range(least, most) * new + Range(kept_least, kept_most))


def _join(target: Part, args: list[Part]) -> CallEstimate:
    count = target.size_or_unknown
    element = target.element()
    size = count * element[1] if element is not None else Range.of(0)
    if args:
        size += args[0].size_or_unknown * Range(max(count.least - 1, 0), max(count.most - 1, 0))
    return CallEstimate(size.times(TRAVERSAL), size)


def _network(function: str, overload: str, args: list[Part]) -> CallEstimate:
    octets = Range(4, 16)
    cost = (octets + octets).times(TRAVERSAL)
    if function == "containsCIDR":
        cost = cost + octets.times(TRAVERSAL) + ONE
    if overload.endswith("_string"):
        cost += args[0].size_or_unknown.times(TRAVERSAL)
    return CallEstimate(cost)


def _equality(args: list[Part]) -> CallEstimate | None:
    if not args[0].type.is_exactly(args[1].type):
        return None
    name = args[0].type.name
    if name in _UNIT_TYPES:
        return CallEstimate(ONE)
    if name == "kubernetes.NamedFormat":
        return CallEstimate(Range(1, _FORMAT_LETTERS_MAX).times(TRAVERSAL))
    if name == "kubernetes.URL":
        most = args[1].size.most if args[1].size is not None else 1
        return CallEstimate(Range(1, most).times(TRAVERSAL))
    return None


def _estimate_language(overload: str, target: Part | None, args: list[Part]) -> CallEstimate:
    match overload:
        case "string_format" if target is not None:
            return CallEstimate(target.size_or_unknown.times(TRAVERSAL))
        case "string_to_bytes":
            size = args[0].size_or_unknown
            return CallEstimate(size.times(TRAVERSAL), Range(size.least, size.most * 4 % (UNBOUNDED + 1)))
        case "bytes_to_string":
            size = args[0].size_or_unknown
            return CallEstimate(size.times(TRAVERSAL), Range(size.least // 4, size.most))
        case "strings_quote":
            size = args[0].size_or_unknown
            return CallEstimate(size.times(TRAVERSAL), Range(size.least + 2, (size.most * 2 + 2) % (UNBOUNDED + 1)))
        case "starts_with_string" | "ends_with_string":
            return CallEstimate(args[0].size_or_unknown.times(TRAVERSAL))
        case "in_list":
            return CallEstimate(args[1].size_or_unknown.times(1))
        case "matches_string" if target is not None:
            pattern = args[0].size_or_unknown.times(PATTERN)
            return CallEstimate((target.size_or_unknown + ONE).times(TRAVERSAL) * pattern)
        case "contains_string" if target is not None:
            return CallEstimate(target.size_or_unknown.times(TRAVERSAL) * args[0].size_or_unknown.times(TRAVERSAL))
        case "add_list":
            return CallEstimate(ONE, args[0].size_or_unknown + args[1].size_or_unknown)
        case "add_string" | "add_bytes":
            size = args[0].size_or_unknown + args[1].size_or_unknown
            return CallEstimate(size.times(TRAVERSAL), size)
    is_ordered = overload.startswith(("less_", "greater_")) and overload.endswith(("_string", "_bytes"))
    if is_ordered or overload in ("equals", "not_equals"):
        smaller = min(args[0].size_or_unknown.most, args[1].size_or_unknown.most)
        return CallEstimate(Range(1 if smaller > 0 else 0, smaller).times(TRAVERSAL))
    return CallEstimate(ONE)
