"""An event loop on which waiting takes no time: for rehearsals, and so that no test sleeps.

VIRTUAL-1  `loop.time()` stands still while anything is ready to run, and jumps to the next timer when nothing is: a
           back-off of 1000 s is over at once, and timers fire in exact order.
VIRTUAL-2  Time doesn't jump while something outside the loop may still report: a job in an executor, a socket or pipe
           that the loop listens to, or whatever `watch_outside` was told about. Then time runs as on the wall.
VIRTUAL-3  Who waits for something that nothing will bring fails at once (`NothingLeftToDo`), naming the tasks.
VIRTUAL-4  A thread that calls the loop otherwise than by `call_soon_threadsafe` fails at once. asyncio's debug mode
           finds that, too, but takes the stack at each callback: tests cost three times as much with it.
VIRTUAL-5  `VirtualClock` goes with the loop's time: what is written down as a time agrees with what was waited for.

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(a_day_of_a_cluster())

The embedded server without its listener runs on it, too: its commits are jobs in an executor.

It lives beside the floors, as `logs` does: it knows none of them.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

T = TypeVar("T")

LONGEST_REAL_WAIT_SECONDS: Final = 30.0  # for something outside the loop, before it is given up


class NothingLeftToDo(Exception):  # noqa: N818
    """Every task waits and nothing is left that could wake one."""


class _Selector(selectors.DefaultSelector):
    """A selector that asks its loop what a wait means."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if not self.loop.waits_for_the_outside():
            if timeout is None:
                raise NothingLeftToDo(self.loop.describe_tasks())
            self.loop.jump(timeout)
            return []
        started = time.monotonic()
        patience = LONGEST_REAL_WAIT_SECONDS if timeout is None else min(timeout, LONGEST_REAL_WAIT_SECONDS)
        events = super().select(patience)
        elapsed = time.monotonic() - started
        if not events and timeout is None:
            raise NothingLeftToDo(f"nothing came in {patience:.0f} s. {self.loop.describe_tasks()}")
        self.loop.jump(elapsed if timeout is None or events else timeout)
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; `asyncio.Runner(loop_factory=VirtualTimeLoop)` runs on it."""

    def __init__(self) -> None:
        self._virtual_now = 0.0
        self._runner: int | None = None
        self._outside_jobs = 0
        self._outside: list[Callable[[], bool]] = []
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._own_descriptors = len(selector.get_map())

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """Call `callback` in the next turn; fails in another thread (VIRTUAL-4)."""
        self._check_caller()
        return super().call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call `callback` at a virtual time; fails in another thread (VIRTUAL-4)."""
        self._check_caller()
        return super().call_at(when, callback, *args, context=context)

    def run_forever(self) -> None:
        """Run in this thread, until it is stopped."""
        self._runner = threading.get_ident()
        try:
            super().run_forever()
        finally:
            self._runner = None

    def _check_caller(self) -> None:
        if self._runner is not None and self._runner != threading.get_ident():
            raise RuntimeError("this loop is another thread's: use call_soon_threadsafe")

    def jump(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._virtual_now += seconds

    def watch_outside(self, busy: Callable[[], bool]) -> None:
        """Hold time while `busy()` is true: for threads that report with `call_soon_threadsafe`."""
        self._outside.append(busy)

    def waits_for_the_outside(self) -> bool:
        """Whether something that isn't a timer may still wake the loop (VIRTUAL-2)."""
        if self._outside_jobs or any(busy() for busy in self._outside):
            return True
        watched = self._selector.get_map()  # type: ignore[attr-defined]
        return len(watched) > self._own_descriptors

    def describe_tasks(self) -> str:
        """What each unfinished task waits in."""
        lines = []
        for task in asyncio.all_tasks(self):
            frames = task.get_stack(limit=1)
            where = f"{frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else "nowhere"
            lines.append(f"{task.get_name()} at {where}")
        return "waiting: " + "; ".join(sorted(lines))

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run `func` in a thread, and hold time until it is done."""
        self._outside_jobs += 1
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._job_is_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the executor's threads: they report from outside, too."""
        self._outside_jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._outside_jobs -= 1

    def _job_is_done(self, _future: asyncio.Future[T]) -> None:
        assert threading.current_thread() is threading.main_thread()
        self._outside_jobs -= 1


class VirtualClock:
    """The time of day on a virtual loop: `start` plus the time that has passed on it (VIRTUAL-5)."""

    def __init__(self, start: datetime, loop: asyncio.AbstractEventLoop) -> None:
        self._start = start - timedelta(seconds=loop.time())
        self._loop = loop

    def __call__(self) -> datetime:
        """Return the time of day."""
        return self._start + timedelta(seconds=self._loop.time())
