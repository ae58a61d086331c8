"""Work on files, off the loop: in a bounded number of threads, and never two at once about the same thing.

WORK-1  Work with a key in common runs one after the other, in the order in which it came.
WORK-2  Work that was begun is finished, whether or not its caller still waits: a call that timed out leaves no half of
        a change, and the next call about the same thing waits for it.
WORK-3  Copies have threads of their own, so that they keep nothing short waiting.
WORK-4  No more than `WAITING_MAX` calls wait; one more is Unavailable.
WORK-5  An error of the disk is an answer: ResourceExhausted if it is full, else Internal.
WORK-6  What is cheaper for many at once (`Together`) is done by one thread for all that wait, `TOGETHER_MAX` at most:
        one that comes alone is begun at once, and what comes meanwhile is done next. Each has an outcome of its own.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Generic, TypeVar

import msgspec

from pvbinder import logs
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.walking import TreeChangedError
from pvbinder.volumes.directories import LinkRefusedError

T = TypeVar("T")
Q = TypeVar("Q")

SHORT_THREADS: Final = 4
LONG_THREADS: Final = 4
WAITING_MAX: Final = 4096
TOGETHER_MAX: Final = 64  # each has two files open

log = logs.get(__name__)


class _Job(msgspec.Struct, Generic[T], eq=False):
    """Work that came, and who waits for it; `ahead` is for how many of its keys others are before it."""

    keys: frozenset[str]
    begin: Callable[[_Job[T]], None]
    done: asyncio.Future[T]
    ahead: int = 0
    is_over: bool = False


class Work:
    """What runs work; see `working`."""

    def __init__(self, short: ThreadPoolExecutor, long: ThreadPoolExecutor) -> None:
        self._loop = asyncio.get_running_loop()
        self._short = short
        self._long = long
        self._lines: dict[str, deque[_Job[Any]]] = {}  # who wants a key; the first has it
        self._waiting = 0
        self._nothing_waits = asyncio.Event()

    async def run(self, keys: Iterable[str], function: Callable[[], T], *, is_long: bool = False) -> T:
        """Run `function` in a thread when it is the turn of all `keys`; raises what it raises (WORK-5)."""
        threads = self._long if is_long else self._short

        def begin(job: _Job[T]) -> None:
            self.submit(function, partial(self.settle, job), threads)

        return await self.in_turn(keys, begin)

    async def in_turn(self, keys: Iterable[str], begin: Callable[[_Job[T]], None]) -> T:
        """Call `begin` when it is the turn of all `keys`; it sees to it that the job is settled."""
        if self._waiting >= WAITING_MAX:
            raise CallFailed(Code.UNAVAILABLE, "the driver has too much to do: try again later")
        done: asyncio.Future[T] = self._loop.create_future()
        job = _Job(frozenset(keys), begin, done)
        self._waiting += 1
        for key in job.keys:
            line = self._lines.setdefault(key, deque())
            job.ahead += bool(line)
            line.append(job)
        if not job.ahead:
            begin(job)
        return await done  # a caller that goes away cancels this, and not the work (WORK-2)

    def submit(
        self,
        function: Callable[[], T],
        settle: Callable[[T | Exception], None],
        threads: ThreadPoolExecutor | None = None,
    ) -> None:
        """Have a thread call `function`, and `settle` here with what it returned or raised."""
        try:
            running = self._loop.run_in_executor(threads or self._short, _outcome_of, function)
        except RuntimeError as error:  # no thread can be started
            settle(error)
        else:
            running.add_done_callback(lambda done: settle(done.result()))

    def settle(self, job: _Job[T], outcome: T | Exception) -> None:
        """Tell who waits for the job, and give its keys to whoever is next (WORK-1)."""
        if job.is_over:
            return
        job.is_over = True
        answer = _as_answer(outcome) if isinstance(outcome, Exception) else outcome
        if job.done.done():
            pass  # nobody waits any more
        elif isinstance(answer, Exception):
            job.done.set_exception(answer)
            job.done.exception()  # it is known: a caller that goes away now doesn't read it
        else:
            job.done.set_result(answer)
        self._waiting -= 1
        if not self._waiting:
            self._nothing_waits.set()
        for key in job.keys:
            line = self._lines[key]
            line.popleft()
            if not line:
                del self._lines[key]
                continue
            line[0].ahead -= 1
            if not line[0].ahead:
                line[0].begin(line[0])

    async def finished(self) -> None:
        """Wait until nobody waits."""
        while self._waiting:
            self._nothing_waits.clear()
            await self._nothing_waits.wait()


class Together(Generic[Q, T]):
    """Work of one kind that is cheaper for many at once (WORK-6); `function` gives an outcome for each of its items."""

    def __init__(self, work: Work, function: Callable[[Sequence[Q]], Sequence[T | Exception]]) -> None:
        self._work = work
        self._function = function
        self._ready: deque[tuple[_Job[T], Q]] = deque()
        self._at_work: Sequence[_Job[T]] = ()

    async def run(self, keys: Iterable[str], item: Q) -> T:
        """Do it for `item` when it is the turn of all `keys`; raises its outcome where that is an error (WORK-5)."""
        return await self._work.in_turn(keys, partial(self._take, item))

    def _take(self, item: Q, job: _Job[T]) -> None:
        self._ready.append((job, item))
        if not self._at_work:
            self._begin()

    def _begin(self) -> None:
        batch = [self._ready.popleft() for _ in range(min(TOGETHER_MAX, len(self._ready)))]
        self._at_work = jobs = [job for job, _ in batch]
        if batch:
            items = [item for _, item in batch]
            self._work.submit(partial(self._function, items), partial(self._settle, jobs))

    def _settle(self, jobs: Sequence[_Job[T]], outcomes: Sequence[T | Exception] | Exception) -> None:
        if self._at_work is not jobs:
            return
        if isinstance(outcomes, Exception):
            outcomes = [outcomes] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._work.settle(job, outcome)
        self._begin()


@asynccontextmanager
async def working() -> AsyncGenerator[Work]:
    """Give what runs work; leaving it waits until all that was begun is done."""
    threads = partial(ThreadPoolExecutor, thread_name_prefix="csi-local")
    with threads(SHORT_THREADS) as short, threads(LONG_THREADS) as long:
        work = Work(short, long)
        try:
            yield work
        finally:
            await work.finished()


def _outcome_of(function: Callable[[], T]) -> T | Exception:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - it is the caller's, who gets it
        return error


def _as_answer(error: Exception) -> Exception:
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return CallFailed(Code.RESOURCE_EXHAUSTED, "the disk is full")
        log.error("files can't be changed", err=str(error))
        return CallFailed(Code.INTERNAL, f"the driver can't change its files: {error.strerror or error}")
    if isinstance(error, TreeChangedError | LinkRefusedError):
        return CallFailed(Code.INTERNAL, f"the driver can't reach the data: {error}")
    return error
