"""Asks again for an operation when its back-off is over, instead of waiting for a resync to do it (OP-6).

RETRIES-1  An operation that failed, or was refused because it failed a moment ago, is asked for again as soon as it may
           start: the sync that wanted the operation runs again and decides anew.
RETRIES-2  One question at a time for each operation; none for those that run, that succeeded or that never failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pvbinder.controllers.operations import Operations


class RetriedOperations:
    """The operations, and a timer for each that will be tried again."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self, name: str, operation: Callable[[], Awaitable[None]], again: Callable[[], None]) -> None:
        """Start `operation` unless one of that name runs or has to wait; call `again` when it may be retried."""

        async def run() -> None:
            try:
                await operation()
            except Exception:
                # The back-off is only known once the operation has ended.
                asyncio.get_running_loop().call_soon(self._ask_later, name, again)
                raise

        if not self._operations.start(name, run):
            self._ask_later(name, again)

    def close(self) -> None:
        """Ask no more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _ask_later(self, name: str, again: Callable[[], None]) -> None:
        seconds = self._operations.seconds_until_retry(name)
        if seconds is not None and name not in self._timers:
            self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._ask, name, again)

    def _ask(self, name: str, again: Callable[[], None]) -> None:
        del self._timers[name]
        again()
