"""A watchdog for the event loop: which callback held it longest, in processor time of its thread.

    with watching_loop() as watchdog:
        ...  # anything on asyncio's standard loop
    watchdog.check()  # or read `watchdog.longest`

The processor time of a callback hardly grows when others use the machine, so a bound on it holds everywhere. Each
callback of the loop is measured: a step of a task from one wait to the next, a timer, the input of a socket. The
fixture `watchdog` is for tests whose server runs in their own process; `tests.server.child` has one for a process of
its own. Only the standard loop can be measured: uvloop's callbacks can't be seen.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from tests.processor import hold

CALLBACK_SECONDS_MAX = 0.1  # of processor: no request may stop the loop for longer


@dataclass(frozen=True, slots=True, order=True)
class Stop:
    """One callback and the processor time that it took."""

    seconds: float
    callback: str


@dataclass(slots=True)
class Watchdog:
    """The processor time of the loop's callbacks since the last `reset`."""

    callbacks: int = 0
    longest: Stop = field(default_factory=lambda: Stop(0.0, "nothing"))

    def reset(self) -> None:
        """Forget the callbacks so far: those before the part that matters, such as a start, may take longer."""
        self.callbacks, self.longest = 0, Stop(0.0, "nothing")

    def check(self, seconds_max: float = CALLBACK_SECONDS_MAX) -> None:
        """Fail if a callback took longer."""
        assert self.callbacks, "no callback was seen: is this asyncio's standard loop?"
        hold(self.longest.seconds, seconds_max, f"the loop was held by {self.longest.callback}")

    def saw(self, seconds: float, callback: object) -> None:
        """Note the processor time of a callback."""
        self.callbacks += 1
        if seconds > self.longest.seconds:
            self.longest = Stop(seconds, repr(callback))


@contextmanager
def watching_loop() -> Iterator[Watchdog]:
    """Measure every callback of asyncio loops in this process while the context is open."""
    watchdog = Watchdog()
    run = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        started = time.thread_time()
        try:
            run(handle)
        finally:
            seconds = time.thread_time() - started
            # only the longest is named: naming a callback takes longer than most callbacks
            watchdog.saw(seconds, _named(handle) if seconds > watchdog.longest.seconds else None)

    asyncio.Handle._run = measured  # type: ignore[method-assign, assignment]
    gc.collect()  # garbage of earlier tests isn't paid for here,
    gc.freeze()  # and their objects aren't looked through by each collection, as in a started `pvbinder up`
    try:
        yield watchdog
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]


def _named(handle: asyncio.Handle) -> object:
    """Return the most telling part of a callback: of a step of a task, the task."""
    callback = getattr(handle, "_callback", None)
    return getattr(callback, "__self__", None) or handle


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    """A watchdog over the test's loop; call its `check` at the end, and `reset` where the part that matters begins."""
    with watching_loop() as watching:
        yield watching
