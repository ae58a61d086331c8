"""A largest assignment of volumes to claims: pure graph theory, on names."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence


def largest_matching(edges: Mapping[str, Sequence[str]], begun: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a matching of the most keys of `edges` with one of their values each, no value twice.

    It begins with the pairs in `begun`, and keeps every key of them matched; of equally large ones it is always the
    same. Augmenting paths are searched in breadth: no recursion, O(keys x edges).
    """
    found = dict(begun or {})
    holders = {value: key for key, value in found.items()}
    for key in edges:
        if key not in found:
            _augment(key, edges, found, holders)
    return found


def _augment(start: str, edges: Mapping[str, Sequence[str]], found: dict[str, str], holders: dict[str, str]) -> None:
    """Match `start` by moving others along a path to a value that nobody holds, if there is one."""
    came_from: dict[str, str] = {}  # the key from which a value was reached
    waiting = deque([start])
    while waiting:
        key = waiting.popleft()
        for value in edges.get(key, ()):
            if value in came_from:
                continue
            came_from[value] = key
            holder = holders.get(value)
            if holder is None:
                _move(start, value, came_from, found, holders)
                return
            waiting.append(holder)


def _move(start: str, free: str, came_from: dict[str, str], found: dict[str, str], holders: dict[str, str]) -> None:
    value = free
    while True:
        key = came_from[value]
        before = found.get(key)
        found[key] = value
        holders[value] = key
        if key == start or before is None:
            return
        value = before
