"""Going through many objects so that others have their turn.

TURNS-1  Between two turns of the loop at most `OBJECTS_PER_TURN` objects are given, and no more after
         `BYTES_PER_TURN` bytes: large objects take as long as many small ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from pvbinder.server.store import Stored

OBJECTS_PER_TURN: Final = 500  # of usual size: about 5 ms when they are decoded
BYTES_PER_TURN: Final = 1 << 20

Item = tuple[str, Stored]


def turns(items: Sequence[Item], most: int = OBJECTS_PER_TURN) -> Iterator[Sequence[Item]]:
    """Give `items` in parts, each for one turn of the loop (TURNS-1)."""
    start = size = 0
    for position, (_, stored) in enumerate(items):
        if position > start and (position - start >= most or size >= BYTES_PER_TURN):
            yield items[start:position]
            start, size = position, 0
        size += len(stored.data)
    if start < len(items):
        yield items[start:]


async def in_turns(items: Sequence[Item], most: int = OBJECTS_PER_TURN) -> AsyncIterator[Item]:
    """Give `items` one by one, letting others have their turn in between (TURNS-1)."""
    for number, part in enumerate(turns(items, most)):
        if number:
            await asyncio.sleep(0)
        for item in part:
            yield item
