"""Named operations in the background: one of a name at a time, with back-off after failures.

OPERATIONS-1  Starting a name that runs is refused (OP-1), and so is one whose last error is too recent: 500 ms, twice
              as long with each error in a row, up to 122 s (OP-2). A refusal is no error (OP-5).
OPERATIONS-2  Success forgets the name (OP-3); an exception becomes the operation's error, with a log line (OP-4, OP-5).
OPERATIONS-3  Operations end with their owner: leaving the context cancels the running operations and waits for them.
OPERATIONS-4  At most `most_at_once` run; the others of them wait in the order in which they were started, and count as
              running.

OPERATIONS-5  An operation that waits for somebody else, a plugin or a pod, does that `aside()`: it gives its turn to
              others meanwhile, so that what hangs keeps nobody from working.

OPERATIONS-6  Once they are to `finish()`, none is started any more, and those that run come to their end.

Nothing retries an operation here: the caller asks again (OP-6); `seconds_until_retry` says when that is of use.
Everything belongs to the loop's thread.

Rules: docs/rules/binder.md#12-asynchronous-operations
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

from pvbinder import logs
from pvbinder.model.durations import format_duration
from pvbinder.model.errors import PvbinderError

FIRST_BACKOFF_SECONDS: Final = 0.5
LONGEST_BACKOFF_SECONDS: Final = 122.0
RETRIES_AT_ONCE_MAX: Final = 64
FORGET_AFTER_SECONDS: Final = 3600.0  # failures of names that nobody asks for any more: their objects are gone

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class OperationStatistics:
    """The operations that run, and those that have ended."""

    running: int
    backing_off: int
    started: int
    failed: int
    refused: int


@dataclass(slots=True)
class _Failure:
    ended: float
    backoff_seconds: float


class _Turn:
    """One operation's right to work, which it can give away and take back."""

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns = turns
        self._is_held = False

    async def __aenter__(self) -> Self:
        await self.take()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.give()

    async def take(self) -> None:
        """Wait for a turn."""
        await self._turns.acquire()
        self._is_held = True

    def give(self) -> None:
        """Let others have it; nothing if it has been given already."""
        if self._is_held:
            self._is_held = False
            self._turns.release()


_own_turn: ContextVar[_Turn | None] = ContextVar("own turn", default=None)


@asynccontextmanager
async def aside() -> AsyncGenerator[None]:
    """Wait for somebody else inside of this context: others have the operation's turn meanwhile (OPERATIONS-5).

    Outside of an operation it does nothing.
    """
    turn = _own_turn.get()
    if turn is None:
        yield
        return
    turn.give()
    try:
        yield
    except asyncio.CancelledError:
        raise  # it ends here: no more turns are needed
    except BaseException:
        await turn.take()
        raise
    await turn.take()


class Operations:
    """The operations of one controller: construct, then ``async with``."""

    def __init__(
        self, *, most_at_once: int = RETRIES_AT_ONCE_MAX, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._now = now
        self._turns = asyncio.Semaphore(most_at_once)
        self._group: asyncio.TaskGroup | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, _Failure] = {}
        self._is_closed = False
        self._started = self._failed = self._refused = 0
        self._idle: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> Self:
        group = asyncio.TaskGroup()
        await group.__aenter__()
        self._group = group
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        group, self._group = self._group, None
        assert group is not None
        for task in self._running.values():
            task.cancel()
        await group.__aexit__(kind, error, traceback)

    def start(self, name: str, operation: Callable[[], Awaitable[None]]) -> bool:
        """Start `operation` unless one of that name runs or has to wait; tell whether it was started (OPERATIONS-1)."""
        if self._group is None:
            raise RuntimeError("operations are started inside `async with`")
        if self._is_closed:
            self._refused += 1
            return False
        if name in self._running:
            self._refused += 1
            log.debug("Operation is already running, skipping", operation=name)
            return False
        if self.seconds_until_retry(name) is not None:
            self._refused += 1
            log.debug("Operation postponed due to exponential backoff", operation=name)
            return False
        self._started += 1
        task = self._group.create_task(self._run(name, operation), name=name)
        self._running[name] = task
        task.add_done_callback(lambda _: self._ended(name))  # also when it is cancelled before its first step
        return True

    def seconds_until_retry(self, name: str) -> float | None:
        """Return how long starts of `name` are still refused because of its last error; None if they aren't."""
        failure = self._failures.get(name)
        if failure is None:
            return None
        left = failure.ended + failure.backoff_seconds - asyncio.get_running_loop().time()
        return None if left < 0 else left + 0.001  # OP-2: at the very moment it is still refused

    def is_running(self, name: str) -> bool:
        """Tell whether an operation of that name runs."""
        return name in self._running

    async def finish(self) -> None:
        """Refuse every start from now on, and wait until nothing runs (OPERATIONS-6)."""
        self._is_closed = True
        await self.wait_idle()

    async def wait_idle(self) -> None:
        """Wait until nothing runs."""
        while self._running:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle

    def statistics(self) -> OperationStatistics:
        """The operations that run, and those that have ended."""
        return OperationStatistics(
            running=len(self._running),
            backing_off=len(self._failures),
            started=self._started,
            failed=self._failed,
            refused=self._refused,
        )

    async def _run(self, name: str, operation: Callable[[], Awaitable[None]]) -> None:
        async with _Turn(self._turns) as turn:
            _own_turn.set(turn)  # in the context of this task, which is its own
            try:
                await operation()
            except PvbinderError as error:
                log.error(self._fail(name, error.message))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                log.error(self._fail(name, "it was cancelled from within"))
            except Exception as error:
                log.exception(self._fail(name, f"{type(error).__name__}: {error}"))
            else:
                self._failures.pop(name, None)

    def _fail(self, name: str, problem: str) -> str:
        """Note the error of `name` and return the line for the log (OP-4)."""
        self._failed += 1
        now = asyncio.get_running_loop().time()
        self._forget_old_failures(now)
        known = self._failures.get(name)
        seconds = min(known.backoff_seconds * 2, LONGEST_BACKOFF_SECONDS) if known else FIRST_BACKOFF_SECONDS
        self._failures[name] = _Failure(now, seconds)
        until = (self._now() + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return (
            f'Operation for "{name}" failed. No retries permitted until {until} '
            f"(durationBeforeRetry {format_duration(seconds)}). Error: {problem}"
        )

    def _forget_old_failures(self, now: float) -> None:
        for name in [name for name, f in self._failures.items() if now - f.ended > FORGET_AFTER_SECONDS]:
            del self._failures[name]

    def _ended(self, name: str) -> None:
        self._running.pop(name, None)
        if not self._running:
            idle, self._idle = self._idle, []
            for waiter in idle:
                if not waiter.done():
                    waiter.set_result(None)
