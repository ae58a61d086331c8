"""The keys that a resync has to look at: what isn't settled, and by turns a part of the rest.

UNSETTLED-1  A key is unsettled from each change of its object, or of the other one of its pair, until a look shows that
             the pair is complete: then only another change can give it work.
UNSETTLED-2  Each look takes in some of the settled ones too, by turns: what no event told is found all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

K = TypeVar("K", bound=str)

SETTLED_PER_LOOK: Final = 2000


class Unsettled(Generic[K]):
    """The unsettled keys of one kind."""

    def __init__(self, all_keys: Callable[[], list[str]]) -> None:
        """`all_keys` gives the keys of all objects that there are."""
        self._all_keys = all_keys
        self._keys: dict[K, None] = {}
        self._next = 0  # of all keys, the first of the next part

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: K) -> None:
        """Something about `key` has changed."""
        self._keys[key] = None

    def settle(self, key: K) -> None:
        """A look has shown that there is nothing to do, and that only a change can alter that."""
        self._keys.pop(key, None)

    def to_look_at(self) -> list[K]:
        """Return the unsettled keys, and the next part of all (UNSETTLED-2)."""
        everything = self._all_keys()
        first = self._next if self._next < len(everything) else 0
        part = everything[first : first + SETTLED_PER_LOOK]
        self._next = first + len(part)
        return list(self._keys | dict.fromkeys(cast("list[K]", part)))
