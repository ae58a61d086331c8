"""Counted durations: a part measures them while it works, and metrics read them when they are asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

REQUEST_BOUNDS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)


class Durations(Struct, frozen=True):
    """Counted durations: `buckets[i]` took at most `bounds[i]` seconds, more than the bound before (not cumulative).

    What took longer than the last bound is in `count` only.
    """

    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    count: int
    seconds: float

    def __add__(self, other: Durations) -> Durations:
        """Both together; their bounds must be the same."""
        if self.bounds != other.bounds:
            raise ValueError("durations with other bounds can't be added")
        buckets = tuple(mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True))
        return Durations(self.bounds, buckets, self.count + other.count, self.seconds + other.seconds)


class Histogram:
    """Counts durations; an observation costs well under a microsecond."""

    __slots__ = ("_bounds", "_buckets", "_count", "_seconds")

    def __init__(self, bounds: Sequence[float] = REQUEST_BOUNDS) -> None:
        self._bounds = tuple(bounds)
        self._buckets = [0] * (len(self._bounds) + 1)
        self._count = 0
        self._seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one that took `seconds`."""
        self._count += 1
        self._seconds += seconds
        self._buckets[bisect_left(self._bounds, seconds)] += 1

    def value(self) -> Durations:
        """The durations counted so far."""
        return Durations(self._bounds, tuple(self._buckets[:-1]), self._count, self._seconds)
