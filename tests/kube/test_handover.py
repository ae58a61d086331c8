"""What is under way ends in peace, and nothing begins (HANDOVER-1, HANDOVER-2)."""

from __future__ import annotations

import asyncio

from tests.virtual_time import on_virtual_time

from pvbinder.kube.handover import Handover
from pvbinder.kube.history import History
from pvbinder.kube.queue import WorkQueue


@on_virtual_time
async def test_handover_1_no_key_is_begun_and_handover_2_those_in_work_are_waited_for() -> None:
    history, done = History(), []

    async def work(key: str) -> None:
        await asyncio.sleep(3)
        done.append(key)
        if key == "b":
            raise LookupError("a defect")

    queue: WorkQueue[str] = WorkQueue("orders", work, history=history, concurrency=2)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(queue.run())
        for key in "abcd":
            queue.add(key)
        await asyncio.sleep(1)
        history.handover.begin()
        await history.handover.wait_still()
        assert asyncio.get_running_loop().time() == 3
        await asyncio.sleep(10)
        assert sorted(done) == ["a", "b"]
        assert queue.statistics().adds == 4 + 1  # b came back
        running.cancel()


@on_virtual_time
async def test_handover_2_who_has_nothing_in_work_is_still_at_once() -> None:
    handover = Handover()
    handover.begin()
    await handover.wait_still()
    assert asyncio.get_running_loop().time() == 0
