"""Work on files, in threads."""

from __future__ import annotations

import asyncio
import errno
import threading
from typing import NoReturn

import pytest

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local import work as module
from pvbinder.csi.local.walking import TreeChangedError
from pvbinder.csi.local.work import LONG_THREADS, working


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
