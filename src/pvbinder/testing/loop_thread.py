"""A thread with an event loop whose time can be advanced: the control plane of synchronous and asynchronous tests.

LOOP-1  Time passes as on the wall, and `advance` adds to it: each timer fires in order, and what it starts is done
        before time goes on.
LOOP-2  Whoever asks from another thread waits for a bounded time, and gets the exception that the loop's task had.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

T = TypeVar("T")

STEP_SECONDS_MIN: Final = 1.0
STEPS_MAX: Final = 240
TURNS: Final = 40  # of the loop after each step: from a timer to the write, its event, and what follows from that
PATIENCE_SECONDS: Final = 60.0


class AdvancingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward."""

    def __init__(self) -> None:
        self.added_seconds = 0.0
        super().__init__()

    def time(self) -> float:
        """Return the seconds of the machine's clock, and those that were added."""
        return super().time() + self.added_seconds

    def now(self) -> datetime:
        """Return the wall's time, and what was added."""
        return datetime.now(UTC) + timedelta(seconds=self.added_seconds)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass (LOOP-1); to be awaited on this loop."""
        step = max(STEP_SECONDS_MIN, seconds / STEPS_MAX)
        left = seconds
        while left > 0:
            self.added_seconds += min(step, left)
            left -= step
            for _ in range(TURNS):
                await asyncio.sleep(0)


class LoopThread:
    """A loop that runs in a thread of its own until `close`."""

    def __init__(self) -> None:
        self.loop: Final = AdvancingLoop()
        self._thread = threading.Thread(target=self._run, name="pvbinder", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin `work` on the loop; the future is of `concurrent.futures`."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def do(self, work: Coroutine[Any, Any, T], patience_seconds: float = PATIENCE_SECONDS) -> T:
        """Do `work` on the loop and wait for it (LOOP-2); TimeoutError, and the end of the work, if it takes longer."""
        __tracebackhide__ = True
        future = self.submit(work)
        try:
            failure = future.exception(patience_seconds)
        except TimeoutError:
            future.cancel()
            raise
        if failure is not None:
            raise failure  # here, and not in the future's own code: a test's report shows the line of the test
        return future.result()

    async def await_there(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` on the loop and wait for it on the caller's own."""
        return await asyncio.wrap_future(self.submit(work))

    def close(self) -> None:
        """End the loop; whoever began work on it has ended it before."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self.loop.close()
