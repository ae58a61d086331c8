"""What an expression may cost at most, before it runs: from sizes that are known, and that a schema bounds.

The reference's own estimates, as they decide which rules are taken; 2^64-1 stands for what has no bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from pvbinder.server.kinds.cel.call_estimates import CallEstimate, Part, estimate_call
from pvbinder.server.kinds.cel.macros import GATHERED
from pvbinder.server.kinds.cel.nodes import Call, Fold, Ident, ListOf, Literal, MapOf, Select, Term
from pvbinder.server.kinds.cel.ranges import ONE, UNKNOWN, Range
from pvbinder.server.kinds.cel.types import is_scalar

Sizes: TypeAlias = Callable[[tuple[str, ...]], int | None]  # the largest size at a path from a variable, if it is known
_LIST: Final = Range.of(10)
_MAP: Final = Range.of(30)
_NOTHING: Final = Range.of(0)


@dataclass(frozen=True, slots=True)
class _Entry:
    """The sizes of what is in a list or map."""

    is_list: bool
    key: Range
    value: Range


@dataclass(frozen=True, slots=True)
class _Local:
    path: tuple[str, ...]
    size: Range | None
    entry: _Entry | None


def estimate(node: Term, sizes: Sizes) -> Range:
    """Return the least and the most that a checked expression may cost."""
    return _Estimator(sizes).cost(node)


class _Estimator:
    def __init__(self, sizes: Sizes) -> None:
        self._bounds = sizes
        self._paths: dict[int, tuple[str, ...]] = {}
        self._sizes: dict[int, Range] = {}
        self._entries: dict[int, _Entry] = {}
        self._locals: dict[str, list[_Local]] = {}

    def cost(self, node: Term) -> Range:
        """Return what a node and what is in it cost."""
        match node:
            case Ident():
                local = self._local(node.name)
                self._paths[id(node)] = local.path if local is not None else (node.name,)
                return ONE
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Fold():
                return self._bind(node) if _is_bind(node) else self._fold(node)
            case _:
                return _NOTHING

    def _local(self, name: str) -> _Local | None:
        stack = self._locals.get(name)
        return stack[-1] if stack else None

    def _select(self, node: Select) -> Range:
        if node.names:  # the name of a type, or a variable
            return _NOTHING if node.type.kind == "type" else ONE
        total = self.cost(node.operand)
        if node.tests:
            return total
        if node.operand.type.kind in ("map", "object", "param"):
            total += ONE
        self._paths[id(node)] = (*self._path(node.operand), node.name)
        return total

    def _path(self, node: Term) -> tuple[str, ...]:
        if isinstance(node, Ident) and (local := self._local(node.name)) is not None:
            return local.path
        return self._paths.get(id(node), ())

    def _part(self, node: Term) -> Part:
        path = self._path(node)
        if path and path[0] in (GATHERED, "__result__"):
            path = ()
        literal = node.value if isinstance(node, Literal) else None
        return Part(node.type, self._size(node), path, literal, self._bounds)

    def _call(self, node: Call) -> Range:
        if node.function == "dyn":
            total = ONE + self.cost(node.args[0])
            self._copy(node, node.args[0])
            return total
        costs = [self.cost(arg) for arg in node.args]
        args = [self._part(arg) for arg in node.args]
        if not node.overloads:
            return _NOTHING
        total, target = _NOTHING, None
        if node.target is not None:
            total += self.cost(node.target)
            target = self._part(node.target)
        least, most = UNKNOWN.most, 0
        size: Range | None = None
        for overload in node.overloads:
            found = self._overload(node, overload, target, args, costs)
            least, most = min(least, found.cost.least), max(most, found.cost.most)
            if found.size is not None:
                size = found.size if size is None else size.union(found.size)
            if overload in ("index_list", "index_map"):
                entry = self._entry(node.args[0])
                size = entry.value if entry is not None else None
                step = "@items" if overload == "index_list" else "@values"
                self._paths[id(node)] = (*self._path(node.args[0]), step)
            if size is None:
                size = self._size(node)
        if size is not None:
            self._sizes[id(node)] = size
        return total + Range(least, most)

    def _overload(
        self, node: Call, overload: str, target: Part | None, args: list[Part], costs: list[Range]
    ) -> CallEstimate:
        match overload:
            case "logical_or" | "logical_and":
                return CallEstimate(Range(costs[0].least, (costs[0] + costs[1]).most))
            case "conditional":
                self._join_entries(node, node.args[1], node.args[2])
                size = args[1].size_or_unknown.union(args[2].size_or_unknown)
                return CallEstimate(costs[0] + costs[1].union(costs[2]), size)
            case "add_string" | "add_bytes" | "add_list":
                self._join_entries(node, node.args[0], node.args[1])
        found = estimate_call(node.function, overload, target, args)
        return CallEstimate(sum(costs, found.cost), found.size)

    def _join_entries(self, node: Term, one: Term, other: Term) -> None:
        left, right = self._entry(one), self._entry(other)
        if left is not None and right is not None:
            self._entries[id(node)] = _Entry(left.is_list, left.key.union(right.key), left.value.union(right.value))

    def _list(self, node: ListOf) -> Range:
        total, least, most = _NOTHING, UNKNOWN.most if node.elements else 0, 0
        for each in node.elements:
            total += self.cost(each)
            size = self._size(each) or UNKNOWN
            least, most = min(least, size.least), max(most, size.most)
        self._entries[id(node)] = _Entry(True, ONE, Range(least, most))
        return total + _LIST

    def _map(self, node: MapOf) -> Range:
        total = _NOTHING
        keys = values = Range(UNKNOWN.most if node.entries else 0, 0)
        for key, value, _ in node.entries:
            total = total + self.cost(key) + self.cost(value)
            keys = keys.union(self._size(key) or UNKNOWN)
            values = values.union(self._size(value) or UNKNOWN)
        self._entries[id(node)] = _Entry(False, keys, values)
        return total + _MAP

    def _fold(self, node: Fold) -> Range:
        total = self.cost(node.range) + self.cost(node.start)
        self._push(node.gathered, _Local(self._path(node.start), self._size(node.start), self._entry(node.start)))
        entry = self._entry(node.range)
        is_list = entry.is_list if entry is not None else node.range.type.kind == "list"
        path = self._path(node.range)
        key, value = (entry.key, entry.value) if entry is not None else (None, None)
        if node.second:
            self._push(node.variable, _Local((*path, "@indices" if is_list else "@keys"), key, None))
            self._push(node.second, _Local((*path, "@items" if is_list else "@values"), value, None))
        else:
            size = value if is_list else key
            self._push(node.variable, _Local((*path, "@items" if is_list else "@keys"), size, None))
        turn = self.cost(node.condition) + self.cost(node.step)
        self._locals[node.variable].pop()
        if node.second:
            self._locals[node.second].pop()
        total += self.cost(node.result)
        self._locals[node.gathered].pop()
        count = self._size(node.range) or UNKNOWN
        if isinstance(node.start, Literal):
            start = self._size(node.start)
            if start is not None:
                self._sizes[id(node)] = start
        elif isinstance(node.start, ListOf | MapOf):
            self._sizes[id(node)] = count
            made = self._entry(node.step)
            if made is not None:
                self._entries[id(node)] = made
        return total + count * turn

    def _bind(self, node: Fold) -> Range:
        total = self.cost(node.range) + self.cost(node.start)
        self._push(node.gathered, _Local(self._path(node.start), self._size(node.start), self._entry(node.start)))
        total += self.cost(node.result)
        self._locals[node.gathered].pop()
        self._copy(node, node.result)
        return total

    def _push(self, name: str, local: _Local) -> None:
        self._locals.setdefault(name, []).append(local)

    def _copy(self, node: Term, other: Term) -> None:
        size, entry = self._size(other), self._entry(other)
        if size is not None:
            self._sizes[id(node)] = size
        if entry is not None:
            self._entries[id(node)] = entry

    def _entry(self, node: Term) -> _Entry | None:
        found = self._entries.get(id(node))
        if found is None and isinstance(node, Ident) and (local := self._local(node.name)) is not None:
            return local.entry
        return found

    def _size(self, node: Term) -> Range | None:
        found = self._sizes.get(id(node))
        if found is not None:
            return found
        written = _written_size(node)
        if written is not None:
            return Range.of(written)
        path = self._path(node)
        bound = self._bounds(path) if path else None
        if bound is not None:
            self._sizes[id(node)] = Range(0, bound)
            return Range(0, bound)
        if is_scalar(node.type) or (isinstance(node, Select) and node.names and node.type.kind == "type"):
            return ONE
        if isinstance(node, Ident) and (local := self._local(node.name)) is not None:
            return local.size
        return None


def _is_bind(node: Fold) -> bool:
    over_nothing = isinstance(node.range, ListOf) and not node.range.elements
    return over_nothing and isinstance(node.condition, Literal) and node.gathered != "__result__"


def _written_size(node: Term) -> int | None:
    if isinstance(node, Literal):
        return len(node.value) if isinstance(node.value, str | bytes) else 1
    if isinstance(node, ListOf):
        return len(node.elements)
    return len(node.entries) if isinstance(node, MapOf) else None
