"""Work on files, in threads."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

import pytest

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local import work as module
from pvbinder.csi.local.walking import TreeChangedError
from pvbinder.csi.local.work import LONG_THREADS, Together, working


async def test_work_1_what_has_a_key_in_common_runs_in_order() -> None:
    async with working() as work:
        done: list[int] = []
        running = threading.Lock()

        def step(number: int) -> None:
            assert running.acquire(blocking=False)
            done.append(number)
            running.release()

        await asyncio.gather(*(work.run(["a", f"b{n}"], lambda n=n: step(n)) for n in range(50)))  # type: ignore[misc]
        assert done == list(range(50))


async def test_work_1_keys_in_any_order_never_lock_each_other_out() -> None:
    async with working() as work:
        await asyncio.gather(*(work.run(["a", "b"] if n % 2 else ["b", "a", "b"], lambda: None) for n in range(50)))


async def test_work_1_what_has_two_keys_waits_for_both() -> None:
    async with working() as work:
        order: list[str] = []
        may_end = {key: threading.Event() for key in "ab"}

        def hold(key: str) -> None:
            may_end[key].wait()
            order.append(key)

        calls = {key: asyncio.ensure_future(work.run([key], partial(hold, key))) for key in "ab"}
        both = asyncio.ensure_future(work.run(["a", "b"], lambda: order.append("both")))
        await asyncio.sleep(0)
        may_end["a"].set()
        await calls["a"]
        await work.run(["other"], lambda: order.append("other"))
        may_end["b"].set()
        await both
        assert order == ["a", "other", "b", "both"]


async def test_work_2_what_was_begun_is_finished() -> None:
    async with working() as work:
        begun, may_end = threading.Event(), threading.Event()
        order: list[str] = []

        def long() -> None:
            begun.set()
            may_end.wait()
            order.append("first")

        first = asyncio.ensure_future(work.run(["a"], long))
        await asyncio.to_thread(begun.wait)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.ensure_future(work.run(["a"], lambda: order.append("second")))
        await asyncio.sleep(0)
        may_end.set()
        await second
        assert order == ["first", "second"]


async def test_work_3_copies_keep_nothing_short_waiting() -> None:
    async with working() as work:
        may_end = threading.Event()
        copies = [
            asyncio.ensure_future(work.run([str(n)], lambda: may_end.wait(), is_long=True))
            for n in range(LONG_THREADS + 2)
        ]
        try:
            assert await work.run(["short"], lambda: "answer") == "answer"
        finally:
            may_end.set()
        await asyncio.gather(*copies)


async def test_work_4_no_more_than_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 3)
    async with working() as work:
        may_end = threading.Event()
        waiting = [asyncio.ensure_future(work.run(["a"], lambda: may_end.wait())) for _ in range(3)]
        await asyncio.sleep(0)
        try:
            with pytest.raises(CallFailed) as caught:
                await work.run(["b"], lambda: None)
            assert caught.value.code is Code.UNAVAILABLE
        finally:
            may_end.set()
        await asyncio.gather(*waiting)
        assert await work.run(["b"], lambda: 1) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "full"), Code.RESOURCE_EXHAUSTED),
        (OSError(errno.EDQUOT, "full"), Code.RESOURCE_EXHAUSTED),
        (OSError(errno.EIO, "broken"), Code.INTERNAL),
        (TreeChangedError("moved"), Code.INTERNAL),
        (CallFailed(Code.ABORTED, "no"), Code.ABORTED),
    ],
)
async def test_work_5_an_error_of_the_disk_is_an_answer(error: Exception, code: Code) -> None:
    def fail() -> NoReturn:
        raise error

    async with working() as work:
        with pytest.raises(CallFailed) as caught:
            await work.run(["a"], fail)
        assert caught.value.code is code
        assert await work.run(["a"], lambda: 1) == 1


class Batches:
    """Work on many at once, the first time of which ends when it may; an odd number is refused."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.begun, self.may_end = threading.Event(), threading.Event()

    def do(self, items: Sequence[int]) -> list[str | Exception]:
        self.seen.append(list(items))
        self.begun.set()
        self.may_end.wait()
        return [CallFailed(Code.ABORTED, str(item)) if item % 2 else str(item) for item in items]


async def test_work_6_what_waits_is_done_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER_MAX", 3)
    batches = Batches()
    async with working() as work:
        together = Together(work, batches.do)
        calls = [asyncio.ensure_future(together.run([f"key {number % 5}"], number)) for number in range(6)]
        await asyncio.to_thread(batches.begun.wait)
        batches.may_end.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert await together.run([], 6) == "6"
    assert batches.seen == [[0], [1, 2, 3], [4, 5], [6]], "5 has a key that 0 had"
    shown = [each.description if isinstance(each, CallFailed) else each for each in outcomes]
    assert shown == ["0", "1", "2", "3", "4", "5"]
    assert [isinstance(each, CallFailed) for each in outcomes] == [False, True] * 3


async def test_work_6_a_key_in_common_is_never_done_together() -> None:
    batches = Batches()
    async with working() as work:
        together = Together(work, batches.do)
        calls = [asyncio.ensure_future(together.run(["name"], number)) for number in (0, 2)]
        calls += [asyncio.ensure_future(together.run(["other"], 4))]
        await asyncio.to_thread(batches.begun.wait)
        batches.may_end.set()
        assert await asyncio.gather(*calls) == ["0", "2", "4"]
    assert batches.seen == [[0], [4, 2]]


async def test_work_6_what_breaks_as_a_whole_is_the_answer_for_each() -> None:
    def broken(items: Sequence[int]) -> list[int | Exception]:
        raise OSError(errno.ENOSPC, "full")

    async with working() as work:
        together = Together(work, broken)
        outcomes = await asyncio.gather(*(together.run([], n) for n in range(3)), return_exceptions=True)
    assert [each.code for each in outcomes if isinstance(each, CallFailed)] == [Code.RESOURCE_EXHAUSTED] * 3


async def test_work_2_what_was_begun_together_is_finished() -> None:
    batches = Batches()
    async with working() as work:
        together = Together(work, batches.do)
        calls = [asyncio.ensure_future(together.run(["a"], number)) for number in (0, 2)]
        await asyncio.to_thread(batches.begun.wait)
        for call in calls:
            call.cancel()
        batches.may_end.set()
    assert batches.seen == [[0], [2]]
    assert all(call.cancelled() for call in calls)
