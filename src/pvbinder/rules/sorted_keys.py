"""Keys in ascending order that can be added and removed at any time, at a cost that hardly grows with their number.

A list of short sorted lists: a place is found by two binary searches, and adding or removing moves at most
`CHUNK_KEYS_MAX` keys. A million keys cost about the same per operation as a thousand.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

Key: TypeAlias = tuple[int, str]

CHUNK_KEYS_MAX: Final = 512  # keys per chunk at most; half of that after a split


class SortedKeys:
    """A sorted set of (number, text) keys."""

    __slots__ = ("_chunks", "_last_numbers", "_lasts", "_length")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        ordered = sorted(set(keys))
        self._length = len(ordered)
        half = CHUNK_KEYS_MAX // 2
        self._chunks = [ordered[start : start + half] for start in range(0, len(ordered), half)]
        self._lasts = [chunk[-1] for chunk in self._chunks]  # the greatest key of each chunk
        self._last_numbers = [key[0] for key in self._lasts]  # and its number alone: far quicker to compare

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Key]:
        for chunk in self._chunks:
            yield from chunk

    def add(self, key: Key) -> None:
        """Put `key` in its place; it must not be there already."""
        self._length += 1
        if not self._chunks:
            self._chunks.append([key])
            self._lasts.append(key)
            self._last_numbers.append(key[0])
            return
        at = min(bisect_left(self._lasts, key), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, key)
        if len(chunk) > CHUNK_KEYS_MAX:
            half = len(chunk) // 2
            self._chunks[at : at + 1] = [chunk[:half], chunk[half:]]
            self._lasts[at : at + 1] = [chunk[half - 1], chunk[-1]]
            self._last_numbers[at : at + 1] = [chunk[half - 1][0], chunk[-1][0]]
        else:
            self._set_last(at, chunk[-1])

    def remove(self, key: Key) -> None:
        """Take `key` out; raise `KeyError` if it isn't there."""
        at = bisect_left(self._lasts, key)
        if at == len(self._chunks):
            raise KeyError(key)
        chunk = self._chunks[at]
        place = bisect_left(chunk, key)
        if chunk[place] != key:
            raise KeyError(key)
        del chunk[place]
        self._length -= 1
        if chunk:
            self._set_last(at, chunk[-1])
        else:
            del self._chunks[at], self._lasts[at], self._last_numbers[at]

    def _set_last(self, at: int, key: Key) -> None:
        self._lasts[at] = key
        self._last_numbers[at] = key[0]

    def at_least(self, number: int) -> Iterator[Key]:
        """Iterate over the keys whose number is at least `number`, in ascending order."""
        at = bisect_left(self._last_numbers, number)
        if at == len(self._chunks):
            return
        first = self._chunks[at]
        for place in range(bisect_left(first, (number, "")), len(first)):
            yield first[place]
        for chunk in self._chunks[at + 1 :]:
            yield from chunk
