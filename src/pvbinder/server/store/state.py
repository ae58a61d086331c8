"""The objects of one kind as they are committed: an ordered map from key to canonical JSON.

A key is ``namespace/name`` or, for cluster-scoped kinds, ``name``. Keys are ordered as the reference orders them: by
their bytes: the order of a list, and of continue tokens.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping

from msgspec import Struct


class Stored(Struct, frozen=True, gc=False):
    """An object at one revision, as the bytes that a GET answers."""

    revision: int
    data: bytes


class Collection:
    """The committed objects of one kind, in the order of their keys."""

    __slots__ = ("_objects", "_order")

    def __init__(self, objects: Iterable[tuple[str, Stored]] = ()) -> None:
        self._objects = dict(objects)
        self._order = sorted(self._objects)

    def __len__(self) -> int:
        return len(self._order)

    def get(self, key: str) -> Stored | None:
        """Return the object at `key`, or None."""
        return self._objects.get(key)

    def items(self, keys: list[str], instead: Mapping[str, Stored | None]) -> list[tuple[str, Stored]]:
        """Return what is at `keys`, all of which must be there; a key in `instead` has precedence."""
        objects = self._objects
        if not instead:
            return [(key, objects[key]) for key in keys]
        return [(key, instead.get(key) or objects[key]) for key in keys]

    def put(self, key: str, stored: Stored) -> None:
        """Store `stored` at `key`, replacing what was there."""
        if key not in self._objects:
            insort(self._order, key)
        self._objects[key] = stored

    def remove(self, key: str) -> None:
        """Forget what is at `key`."""
        if self._objects.pop(key, None) is not None:
            del self._order[bisect_left(self._order, key)]

    def keys(self, prefix: str = "", after: str = "") -> list[str]:
        """Return the keys that begin with `prefix` and come at or after `after`, in order."""
        first, end = self._span(prefix, after)
        return self._order[first:end]

    def count(self, prefix: str) -> int:
        """Return how many keys begin with `prefix`."""
        first, end = self._span(prefix, "")
        return end - first

    def first_keys(self, prefix: str, after: str, limit: int) -> tuple[list[str], int, str]:
        """Return the first `limit` of `keys` (0: all), how many come after them, and the first of those ("": none)."""
        first, end = self._span(prefix, after)
        cut = min(first + limit, end) if limit else end
        return self._order[first:cut], max(0, end - cut), self._order[cut] if cut < end else ""

    def _span(self, prefix: str, after: str) -> tuple[int, int]:
        first = bisect_left(self._order, max(prefix, after))
        return first, bisect_left(self._order, end_of(prefix)) if prefix else len(self._order)


def end_of(prefix: str) -> str:
    """Return the first key after all that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
