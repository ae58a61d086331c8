"""What a work queue promises (QUEUE-1 to QUEUE-7; B-4, B-5, B-14)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.virtual_time import VirtualTimeLoop, on_virtual_time

from pvbinder import logs
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.history import Follower, History
from pvbinder.kube.queue import RateLimiter, RateLimits, TokenBucket, WorkQueue


@asynccontextmanager
async def running(queue: WorkQueue[str]) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(queue.run())
        yield
        task.cancel()


class Work:
    """Work that takes a second and fails as often as it is told."""

    def __init__(self, **failures: int) -> None:
        self.failures = failures
        self.started: list[tuple[str, float]] = []
        self.in_work: set[str] = set()
        self.most_at_once = 0
        self.error: Exception = ConnectionFailed("no answer")

    async def __call__(self, key: str) -> None:
        assert key not in self.in_work
        self.in_work.add(key)
        self.most_at_once = max(self.most_at_once, len(self.in_work))
        self.started.append((key, asyncio.get_running_loop().time()))
        try:
            await asyncio.sleep(1)
            if self.failures.get(key, 0):
                self.failures[key] -= 1
                raise self.error
        finally:
            self.in_work.discard(key)


@on_virtual_time
async def test_queue_1_one_task_a_key() -> None:
    work = Work()
    queue = WorkQueue("claims", work, history=History(), concurrency=5)
    async with running(queue):
        queue.add("a")
        await asyncio.sleep(0.5)
        queue.add("a")
        await asyncio.sleep(0.1)
        assert work.most_at_once == 1
        await queue.wait_idle()

    assert work.started == [("a", 0.0), ("a", 1.0)]


@on_virtual_time
async def test_queue_2_many_adds_are_one_turn() -> None:
    work = Work()
    queue = WorkQueue("claims", work, history=History())
    for _ in range(5):
        queue.add("a")
    async with running(queue):
        await queue.wait_idle()

    assert work.started == [("a", 0.0)]
    assert queue.statistics().adds == 1


@on_virtual_time
async def test_queue_2_added_while_in_work_runs_again() -> None:
    work = Work()
    queue = WorkQueue("claims", work, history=History())
    async with running(queue):
        queue.add("a")
        await asyncio.sleep(0.5)
        queue.add("a")
        queue.add("a")
        assert "a" in queue
        await queue.wait_idle()

    assert [key for key, _ in work.started] == ["a", "a"]
    assert "a" not in queue


@on_virtual_time
async def test_queue_3_so_many_at_once_and_in_order() -> None:
    work = Work()
    queue = WorkQueue("claims", work, history=History(), concurrency=3)
    for key in "abcdefg":
        queue.add(key)
    async with running(queue):
        await queue.wait_idle()

    assert work.most_at_once == 3
    assert [key for key, _ in work.started] == list("abcdefg")


def test_queue_3_without_workers_nothing_works() -> None:
    with pytest.raises(ValueError, match="claims can't work with 0 workers"):
        WorkQueue("claims", Work(), history=History(), concurrency=0)


@on_virtual_time
async def test_queue_4_a_failed_key_comes_back_later_and_later() -> None:
    work = Work(a=4)
    queue = WorkQueue("claims", work, history=History())
    queue.add("a")
    async with running(queue):
        await queue.wait_idle()

    pauses = [later - earlier - 1 for (_, earlier), (_, later) in zip(work.started, work.started[1:], strict=False)]
    assert pauses == pytest.approx([0.005, 0.010, 0.020, 0.040])
    assert queue.failures("a") == 0


def test_queue_4_the_longest_pause() -> None:
    limiter: RateLimiter[str] = RateLimiter(RateLimits(burst=10_000))

    delays = [limiter.delay("a", 0.0) for _ in range(2000)]

    assert delays[17] == pytest.approx(0.005 * 2**17)
    assert set(delays[18:]) == {1000.0}
    limiter.forget("a")
    assert limiter.delay("a", 0.0) == 0.005


def test_queue_4_many_failing_keys_share_a_bucket() -> None:
    limiter: RateLimiter[int] = RateLimiter()

    delays = [limiter.delay(key, 0.0) for key in range(120)]

    assert set(delays[:100]) == {0.005}
    assert delays[100:] == pytest.approx([0.1 * turn for turn in range(1, 21)])


def test_a_bucket_fills_again_up_to_its_burst() -> None:
    bucket = TokenBucket(per_second=1.0, burst=2)

    assert [bucket.take(0.0), bucket.take(0.0), bucket.take(0.0)] == [True, True, False]
    assert bucket.take(1.0)
    assert not bucket.take(1.5)
    assert [bucket.take(100.0), bucket.take(100.0), bucket.take(100.0)] == [True, True, False]


FAILURES: dict[str, tuple[Exception, int, str]] = {  # raised by the work: level and text of the log line
    "a conflict is everyday life (B-14)": (
        ApiFailure(409, "Conflict", "changed"),
        logging.DEBUG,
        "could not sync claim",
    ),
    "no answer": (ConnectionFailed("no answer"), logging.WARNING, "could not sync claim"),
    "a busy server": (ApiFailure(503, "ServiceUnavailable", "busy"), logging.WARNING, "could not sync claim"),
    "a refusal": (ApiFailure(403, "Forbidden", "may not"), logging.ERROR, "could not sync claim"),
    "a defect": (KeyError("spec"), logging.ERROR, "defect while working on a key"),
    "a stray cancellation": (asyncio.CancelledError(), logging.ERROR, "work was cancelled from within"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize(("error", "level", "message"), FAILURES.values(), ids=FAILURES.keys())
def test_queue_5_whatever_is_raised_is_logged_and_requeued(
    error: Exception, level: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="pvbinder.kube.queue")
    work = Work(a=1)
    work.error = error

    async def scenario() -> None:
        queue = WorkQueue("claims", work, history=History(), failure_message="could not sync claim", key_field="pvc")
        queue.add("a")
        queue.add("b")
        async with running(queue):
            await queue.wait_idle()
        assert queue.statistics().failures == 1

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(scenario())

    assert [key for key, _ in work.started] == ["a", "b", "a"]
    [record] = [r for r in caplog.records if r.name == "pvbinder.kube.queue"]
    assert (record.levelno, record.getMessage()) == (level, message)
    assert logs.fields_of(record)["pvc"] == "a"


@on_virtual_time
async def test_queue_6_a_cancelled_queue_cancels_its_work() -> None:
    work = Work()
    queue = WorkQueue("claims", work, history=History(), concurrency=2)
    queue.add("a")
    queue.add("b")
    queue.add_after("c", 10)
    async with running(queue):
        await asyncio.sleep(0.5)
        assert work.in_work == {"a", "b"}

    assert work.in_work == set()
    assert queue.statistics().delayed == 0


@on_virtual_time
async def test_queue_7_empty_is_silent() -> None:
    queue = WorkQueue("claims", Work(), history=History(), concurrency=3)
    loop = asyncio.get_running_loop()
    async with running(queue):
        await asyncio.sleep(1)
        assert not [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
        assert queue.statistics().is_idle


DELAYS: dict[str, tuple[list[float | None], list[float]]] = {  # delays of adds (None: without): times of starts
    "one delay": ([10.0], [10.0]),
    "no delay": ([0.0], [0.0]),
    "the shorter of two": ([10.0, 5.0], [5.0]),
    "the shorter of two, first": ([5.0, 10.0], [5.0]),
    "an event beats a delay": ([5.0, None], [0.0]),
    "a delay adds nothing to a turn": ([None, 5.0], [0.0]),
}


@pytest.mark.parametrize(("adds", "starts"), DELAYS.values(), ids=DELAYS.keys())
def test_delays(adds: list[float | None], starts: list[float]) -> None:
    work = Work()

    async def scenario() -> None:
        queue = WorkQueue("claims", work, history=History())
        async with running(queue):
            for seconds in adds:
                if seconds is None:
                    queue.add("a")
                else:
                    queue.add_after("a", seconds)
            await queue.wait_idle()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(scenario())
    assert [when for _, when in work.started] == starts


@on_virtual_time
async def test_queue_8_no_key_is_worked_on_while_there_are_two_histories() -> None:
    history, work = History(), Work()
    follower = Follower("claims", lambda: None)
    history.join(follower, decides=True)
    queue = WorkQueue("claims", work, history=history)
    async with running(queue):
        history.begin_anew(follower)
        queue.add("a")
        await asyncio.sleep(60)
        assert work.started == []
        history.has_listed(follower, 1)
        await queue.wait_idle()
        assert work.started == [("a", 60.0)]


@on_virtual_time
async def test_statistics_tell_what_the_metrics_need() -> None:
    work = Work(b=1)
    queue = WorkQueue("claims", work, history=History())
    async with running(queue):
        queue.add("a")
        queue.add("b")
        queue.add_after("c", 100)
        await asyncio.sleep(0.5)
        busy = queue.statistics()
        await queue.wait_idle()
        after = queue.statistics()

    assert (busy.depth, busy.in_work, busy.delayed, busy.unfinished_seconds, busy.longest_seconds) == (
        1,
        1,
        1,
        0.5,
        0.5,
    )
    assert (after.adds, after.retries, after.failures, after.is_idle) == (4, 1, 1, True)
    assert (after.worked.count, after.worked.seconds) == (4, 4.0)
    assert (after.waited.count, after.waited.seconds) == (4, 1.0)
    assert after.worked.buckets == (0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0)


@on_virtual_time
async def test_work_that_never_waits_leaves_the_loop_its_turn() -> None:
    turns = 0

    async def nothing(_key: str) -> None:
        return

    queue = WorkQueue("claims", nothing, history=History())
    for number in range(100):
        queue.add(str(number))
    async with running(queue):
        while not queue.statistics().is_idle:
            await asyncio.sleep(0)
            turns += 1

    assert turns >= 100


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=30),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)),
    st.integers(1, 3),
)
def test_every_add_is_followed_by_a_start(
    adds: list[tuple[str, float]], failures: dict[str, int], workers: int
) -> None:
    work = Work(**failures)
    last_add: dict[str, float] = {}

    async def scenario(queue: WorkQueue[str], sleep: Callable[[float], Awaitable[None]]) -> None:
        async with running(queue):
            for key, pause in adds:
                await sleep(pause)
                queue.add(key)
                last_add[key] = asyncio.get_running_loop().time()
            await queue.wait_idle()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(scenario(WorkQueue("claims", work, history=History(), concurrency=workers), asyncio.sleep))
    for key, when in last_add.items():
        assert max(start for worked, start in work.started if worked == key) >= when
    assert work.most_at_once <= workers


@on_virtual_time
async def test_a_delay_can_be_given_up() -> None:
    work = Work()
    queue = WorkQueue("pods", work, history=History())
    async with running(queue):
        queue.add_after("a", 600)
        queue.add_after("b", 5)
        queue.give_up("a")
        queue.give_up("unknown")
        assert "a" not in queue

        await queue.wait_idle()

        assert work.started == [("b", 5)]
        queue.add_after("c", 600)
        asyncio.get_running_loop().call_later(1, queue.give_up, "c")
        await queue.wait_idle()
        assert asyncio.get_running_loop().time() == 7


@on_virtual_time
async def test_queue_3_groups_take_turns_and_urgent_keys_come_first() -> None:
    work = Work()
    queue = WorkQueue(
        "claims",
        work,
        history=History(),
        group_of=lambda key: key.partition("/")[0],
        is_urgent=lambda key: key.endswith("!"),
    )
    for key in ("a/1", "a/2", "a/3", "b/1", "a/4", "b/2!"):
        queue.add(key)
    queue.expedite("a/4")
    async with running(queue):
        await queue.wait_idle()

    assert [key for key, _ in work.started] == ["b/2!", "a/4", "a/1", "b/1", "a/2", "a/3"]


@on_virtual_time
async def test_whoever_waits_for_some_keys_waits_for_their_turns_alone() -> None:
    work = Work()
    queue: WorkQueue[str] = WorkQueue("keys", work, history=History(), concurrency=1)
    for key in ("a", "b", "c"):
        queue.add(key)
    async with running(queue):
        await queue.wait_worked(["never added"])
        await queue.wait_worked(["a", "b"])
        assert "c" in queue
        await queue.wait_idle()
        await queue.wait_worked(["a"])
