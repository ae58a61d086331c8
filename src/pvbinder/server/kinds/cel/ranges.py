"""The least and the most of a size or a cost; what has no bound is 2^64-1, and nothing is more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

UNBOUNDED: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Range:
    """From the least to the most."""

    least: int
    most: int

    @staticmethod
    def of(value: int) -> Range:
        """Return a range of one value."""
        return Range(value, value)

    def __add__(self, other: Range) -> Range:
        """Add."""
        return Range(min(self.least + other.least, UNBOUNDED), min(self.most + other.most, UNBOUNDED))

    def __mul__(self, other: Range) -> Range:
        """Multiply."""
        return Range(min(self.least * other.least, UNBOUNDED), min(self.most * other.most, UNBOUNDED))

    def times(self, factor: float) -> Range:
        """Multiply by a factor, rounded up."""
        return Range(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: Range) -> Range:
        """Return what holds both."""
        return Range(min(self.least, other.least), max(self.most, other.most))


def _scaled(value: int, factor: float) -> int:
    number = float(value)
    if number > 0 and factor > 0 and number > UNBOUNDED / factor:
        return UNBOUNDED
    return min(math.ceil(number * factor), UNBOUNDED)


ONE: Final = Range.of(1)
UNKNOWN: Final = Range(0, UNBOUNDED)
