"""The end of a process's work in good order: what is under way is finished, and nothing new is begun.

HANDOVER-1  Once it has begun, no queue begins work on a key; keys stay where they are, for whoever comes next.
HANDOVER-2  `wait_still()` returns when the last key in work is done, whatever became of it.

It belongs to the loop's thread, and there is no way back: a process that hands over ends.
"""

from __future__ import annotations

import asyncio


class Handover:
    """All queues of a process tell it of the work that they begin and end."""

    def __init__(self) -> None:
        self.has_begun = False
        self.in_work = 0
        self._still = asyncio.Event()

    def begin(self) -> None:
        """Let nothing new begin (HANDOVER-1)."""
        self.has_begun = True
        if not self.in_work:
            self._still.set()

    async def wait_turn(self) -> None:
        """Return at once, or never: then the caller waits until its owner cancels it (HANDOVER-1)."""
        if self.has_begun:
            await asyncio.Event().wait()

    def leave(self) -> None:
        """Note that the work on a key is over."""
        self.in_work -= 1
        if self.has_begun and not self.in_work:
            self._still.set()

    async def wait_still(self) -> None:
        """Wait until nothing is in work any more (HANDOVER-2)."""
        await self._still.wait()
