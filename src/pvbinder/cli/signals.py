"""The wish to stop, made known by SIGINT or SIGTERM, for commands that stay until somebody ends them.

SIGNALS-1  The first signal is a wish: a task that is ready hears of it by `Stop.wished`, one that isn't is cancelled.
SIGNALS-2  The second one ends the process at once: nobody is caught in a clean end that takes too long.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """The state of a request to stop: `number` is the signal's, 0 if there was none."""

    def __init__(self, task: asyncio.Task[int]) -> None:
        self.wished = asyncio.Event()
        self.is_ready = False
        self.number = 0
        self._task = task

    def on_signal(self, number: signal.Signals) -> None:
        """Note the wish, and leave the second signal to the system (SIGNALS-2)."""
        self.number = number
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.remove_signal_handler(each)
        if self.is_ready:
            self.wished.set()
        else:
            self._task.cancel()


@contextmanager
def listening(task: asyncio.Task[int]) -> Iterator[Stop]:
    """Listen to the two signals on behalf of `task`, the main one of a loop in the main thread."""
    stop = Stop(task)
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.on_signal, number)
    try:
        yield stop
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
