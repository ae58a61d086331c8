"""The wish to stop, made known by SIGINT, SIGTERM or SIGHUP, for commands that stay until somebody ends them.

SIGNALS-1  The first signal is a wish: a task that is ready hears of it by `Stop.wished`, one that isn't is cancelled.
SIGNALS-2  The second one ends the process at once: nobody is caught in a clean end that takes too long.
SIGNALS-3  A terminal that is closed (SIGHUP) is such a wish, unless the process was told to ignore that (nohup).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """The state of a request to stop: `number` is the signal's, 0 if there was none."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.wished = asyncio.Event()
        self.is_ready = False
        self.number = 0
        self._task = task

    def on_signal(self, number: signal.Signals) -> None:
        """Note the wish, and leave the second signal to the system (SIGNALS-2)."""
        self.number = number
        loop = asyncio.get_running_loop()
        for each in _wanted():
            loop.remove_signal_handler(each)
        if self.is_ready:
            self.wished.set()
        else:
            self._task.cancel()


@contextmanager
def listening(task: asyncio.Task[Any]) -> Iterator[Stop]:
    """Listen to the signals on behalf of `task`, the main one of a loop in the main thread."""
    stop = Stop(task)
    loop = asyncio.get_running_loop()
    wanted = _wanted()
    for number in wanted:
        loop.add_signal_handler(number, stop.on_signal, number)
    try:
        yield stop
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)


def _wanted() -> tuple[signal.Signals, ...]:
    """The signals that are heard: all but those that are ignored on purpose (SIGNALS-3)."""
    return tuple(each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN)
