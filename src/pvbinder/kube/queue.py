"""A queue of keys to work on: one task a key, many keys at once.

QUEUE-1  One at a time: no two tasks ever work on the same key.
QUEUE-2  Nothing is lost: a key added while it is being worked on is worked on again afterwards; a key that was added
         many times before its turn is worked on once.
QUEUE-3  At most `concurrency` keys are in work at once. The others wait: groups of keys take turns, urgent keys come
         first, and within a group they come in the order in which they were added (`kube.fair_line`).
QUEUE-4  A failed key comes back, without limit: after the longer of its own exponential back-off and the turn that the
         queue's token bucket gives (B-5). Success forgets the back-off.
QUEUE-5  Here is the boundary: an error of `work` is logged, its key is requeued, and other keys never see it.
QUEUE-6  A cancelled queue cancels the work under way; `run()` returns when it has ended.
QUEUE-7  An empty queue costs nothing: no timer, no polling.
QUEUE-8  No key is worked on while the caches tell of two histories of the server (HISTORY-2), nor once the process
         hands over (HANDOVER-1).

Not promised: any order between keys that wait with a delay. Everything belongs to the loop's thread; `add` may be
called before `run()`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pvbinder import logs
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.fair_line import FairLine
from pvbinder.kube.history import History
from pvbinder.model.errors import PvbinderError
from pvbinder.model.histogram import Durations, Histogram

K = TypeVar("K", bound=Hashable)

DURATION_BUCKETS = tuple(1e-8 * 10.0**power for power in range(12))  # seconds, as the reference's workqueue metrics

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How fast failed keys come back (B-5); the defaults are the reference's."""

    first_seconds: float = 0.005
    most_seconds: float = 1000.0
    per_second: float = 10.0
    burst: int = 100


class TokenBucket:
    """`burst` turns at once, then `per_second` of them; a turn can be reserved before it is there."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._updated: float | None = None

    def _refill(self, now: float) -> None:
        if self._updated is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._per_second)
        self._updated = now

    def reserve(self, now: float) -> float:
        """Take the next turn and return the seconds until it comes."""
        self._refill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_second)

    def take(self, now: float) -> bool:
        """Take a turn if there is one now."""
        self._refill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class RateLimiter(Generic[K]):
    """The delay of each failed key: max(5 ms * 2^failures up to 1000 s, the bucket's next turn) (B-5)."""

    def __init__(self, limits: RateLimits | None = None) -> None:
        self._limits = limits or RateLimits()
        self._bucket = TokenBucket(self._limits.per_second, self._limits.burst)
        self._failures: dict[K, int] = {}

    def delay(self, key: K, now: float) -> float:
        """Count a failure of `key` and return the seconds until it should be tried again."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        limits = self._limits
        backoff = (
            limits.most_seconds if failures > 60 else min(limits.first_seconds * 2.0**failures, limits.most_seconds)
        )
        return max(backoff, self._bucket.reserve(now))

    def forget(self, key: K) -> None:
        """Start anew with `key`."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often `key` has failed in a row."""
        return self._failures.get(key, 0)


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """The state of a queue, enough for every ``workqueue_*`` metric (MT-8)."""

    name: str
    depth: int  # ready and waiting for their turn
    delayed: int  # waiting for their time
    in_work: int
    adds: int
    retries: int
    failures: int
    unfinished_seconds: float  # sum over the keys in work
    longest_seconds: float  # of the key that has been in work longest
    waited: Durations
    worked: Durations

    @property
    def is_idle(self) -> bool:
        """Nothing to do now and nothing later."""
        return not (self.depth or self.delayed or self.in_work)


class WorkQueue(Generic[K]):
    """Keys and the function that works on them; `run()` it as a task that somebody owns."""

    def __init__(
        self,
        name: str,
        work: Callable[[K], Awaitable[None]],
        *,
        history: History,
        concurrency: int = 1,
        limits: RateLimits | None = None,
        failure_message: str | Callable[[K, str], str] = "could not sync",
        key_field: str = "key",
        forgets_after_success: bool = True,
        group_of: Callable[[K], str] = lambda _: "",
        is_urgent: Callable[[K], bool] = lambda _: False,
    ) -> None:
        """Make a queue whose keys `work` works on, by caches of `history`.

        `failure_message` and `key_field` make the log line of a failed key: ``could not sync claim pvc=… err=…``; a
        function makes the message from key and error, where the reference's has them inside. A queue whose `work` only
        passes keys on doesn't forget their failures after success: who works on them calls `forget`. `group_of` and
        `is_urgent` say whose turn it is (QUEUE-3); they are asked when a key begins to wait.
        """
        if concurrency < 1:
            raise ValueError(f"the queue {name} can't work with {concurrency} workers")
        self.name = name
        self._work = work
        self._history = history
        self._handover = history.handover
        self._concurrency = concurrency
        self._limiter: RateLimiter[K] = RateLimiter(limits)
        self._failure_message = failure_message
        self._forgets_after_success = forgets_after_success
        self._key_field = key_field
        self._ready: FairLine[K] = FairLine()
        self._group_of = group_of
        self._is_urgent = is_urgent
        self._dirty: dict[K, float] = {}  # to be worked on -> since when
        self._in_work: dict[K, float] = {}  # -> since when
        self._delayed: dict[K, tuple[float, asyncio.TimerHandle]] = {}  # -> its time, and its timer
        self._idle_workers: deque[asyncio.Future[None]] = deque()
        self._settled: list[asyncio.Future[None]] = []
        self._awaited: list[tuple[set[K], asyncio.Event]] = []
        self._adds = self._retries = self._failures = 0
        self._waited = Histogram(DURATION_BUCKETS)
        self._worked = Histogram(DURATION_BUCKETS)

    def add(self, key: K) -> None:
        """Have `key` worked on as soon as it's its turn (QUEUE-2)."""
        delayed = self._delayed.pop(key, None)
        if delayed is not None:
            delayed[1].cancel()
        if key in self._dirty:
            return
        self._adds += 1
        self._dirty[key] = _now()
        if key not in self._in_work:
            self._make_ready(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have `key` worked on in `seconds`; of two delays the shorter counts."""
        if seconds <= 0:
            self.add(key)
            return
        if key in self._dirty:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        delayed = self._delayed.get(key)
        if delayed is not None:
            if delayed[0] <= when:
                return
            delayed[1].cancel()
        self._delayed[key] = (when, loop.call_at(when, self._bring, key))

    def expedite(self, key: K) -> None:
        """Have `key` wait among the urgent ones, if it waits for its turn."""
        self._ready.make_urgent(key, self._group_of(key))

    def add_rate_limited(self, key: K) -> None:
        """Have `key` worked on again after its back-off (QUEUE-4)."""
        self._retries += 1
        self.add_after(key, self._limiter.delay(key, _now()))

    def give_up(self, key: K) -> None:
        """Forget the failures and the delay of `key`: the reason for waiting is gone."""
        self._limiter.forget(key)
        delayed = self._delayed.pop(key, None)
        if delayed is not None:
            delayed[1].cancel()
            if not (self._ready or self._in_work):
                self._tell_settled()

    def forget(self, key: K) -> None:
        """Forget the failures of `key`; `run()` does that after each success."""
        self._limiter.forget(key)

    def failures(self, key: K) -> int:
        """How often `key` has failed in a row."""
        return self._limiter.failures(key)

    def __contains__(self, key: K) -> bool:
        """Whether `key` waits (for its turn or its time) or is in work."""
        return key in self._dirty or key in self._in_work or key in self._delayed

    async def run(self) -> None:
        """Work on keys until cancelled (QUEUE-6)."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._concurrency):
                    group.create_task(self._worker(), name=f"{self.name} worker {number}")
        finally:
            for _, timer in self._delayed.values():
                timer.cancel()
            self._delayed.clear()

    async def wait_idle(self, *, delayed_too: bool = True) -> None:
        """Wait until nothing is to be done: no key ready, none in work and (with `delayed_too`) none delayed."""
        while self._ready or self._in_work or (delayed_too and self._delayed):
            settled = asyncio.get_running_loop().create_future()
            self._settled.append(settled)
            await settled

    async def wait_worked(self, keys: Iterable[K]) -> None:
        """Wait until each of `keys` that is ready or in work now has been worked on, or has failed."""
        missing = {key for key in keys if key in self._dirty or key in self._in_work}
        if missing:
            done = asyncio.Event()
            self._awaited.append((missing, done))
            await done.wait()

    def statistics(self) -> QueueStatistics:
        """The state of the queue."""
        now = _now() if self._in_work else 0.0
        in_work = [now - since for since in self._in_work.values()]
        return QueueStatistics(
            name=self.name,
            depth=len(self._ready),
            delayed=len(self._delayed),
            in_work=len(in_work),
            adds=self._adds,
            retries=self._retries,
            failures=self._failures,
            unfinished_seconds=sum(in_work),
            longest_seconds=max(in_work, default=0.0),
            waited=self._waited.value(),
            worked=self._worked.value(),
        )

    def _bring(self, key: K) -> None:
        del self._delayed[key]
        self.add(key)

    def _make_ready(self, key: K) -> None:
        self._ready.add(key, self._group_of(key), is_urgent=self._is_urgent(key))
        while self._idle_workers:
            worker = self._idle_workers.popleft()
            if not worker.done():
                worker.set_result(None)
                return

    async def _worker(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._ready:
                self._tell_settled()
                wake = loop.create_future()
                self._idle_workers.append(wake)
                await wake
            key = self._ready.pop()
            started = loop.time()
            self._waited.observe(started - self._dirty.pop(key))
            self._in_work[key] = started
            try:
                await self._work_on(key)
            finally:
                del self._in_work[key]
                self._worked.observe(loop.time() - started)
                if self._awaited:
                    self._tell_worked(key)
            if key in self._dirty:
                self._make_ready(key)
            await asyncio.sleep(0)  # work that never had to wait must not keep the loop from everybody else

    async def _work_on(self, key: K) -> None:
        try:
            if not self._history.is_whole:
                await self._history.wait_whole()
            if self._handover.has_begun:
                await self._handover.wait_turn()
            self._handover.in_work += 1
            try:
                await self._work(key)
            finally:
                self._handover.leave()
        except PvbinderError as error:
            self._requeue(key, error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            log.error("work was cancelled from within", queue=self.name, **{self._key_field: str(key)})
            self._requeue(key, None)
        except Exception:
            log.exception("defect while working on a key", queue=self.name, **{self._key_field: str(key)})
            self._requeue(key, None)
        else:
            if self._forgets_after_success:
                self._limiter.forget(key)

    def _requeue(self, key: K, error: PvbinderError | None) -> None:
        """Let `key` come back, and log `error` unless it has been logged."""
        self._failures += 1
        self.add_rate_limited(key)
        if error is None:
            return
        message = self._failure_message
        if not isinstance(message, str):
            message = message(key, error.message)
        fields: dict[str, object] = {self._key_field: str(key), "queue": self.name, "err": str(error)}
        match error:
            case ApiFailure(is_conflict=True):  # somebody else wrote first: everyday life, not an error (B-14)
                log.debug(message, **fields)
            case ConnectionFailed() | ApiFailure(is_transient=True):
                log.warning(message, **fields)
            case _:
                log.error(message, **fields)

    def _tell_worked(self, key: K) -> None:
        for missing, done in self._awaited:
            missing.discard(key)
            if not missing:
                done.set()
        self._awaited = [each for each in self._awaited if each[0]]

    def _tell_settled(self) -> None:
        if not self._settled:
            return
        settled, self._settled = self._settled, []
        for waiter in settled:
            if not waiter.done():
                waiter.set_result(None)


def _now() -> float:
    return asyncio.get_running_loop().time()
