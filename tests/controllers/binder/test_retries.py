"""Operations are asked for again when their back-off is over."""

from __future__ import annotations

import asyncio

from tests.virtual_time import on_virtual_time

from pvbinder.controllers.binder.errors import OperationError
from pvbinder.controllers.binder.retries import RetriedOperations
from pvbinder.controllers.operations import Operations


class Failing:
    """An operation that fails so many times, and asks for itself again."""

    def __init__(self, retries: RetriedOperations, times: int) -> None:
        self._retries = retries
        self._left = times
        self.started: list[float] = []

    def ask(self) -> None:
        self._retries.start("delete-disk", self._run, again=self.ask)

    async def _run(self) -> None:
        self.started.append(asyncio.get_running_loop().time())
        if self._left:
            self._left -= 1
            raise OperationError("broken")


@on_virtual_time
async def test_retries_1_an_operation_is_asked_for_again_when_it_may_start() -> None:  # OP-2, OP-6
    async with Operations() as operations:
        failing = Failing(RetriedOperations(operations), times=3)
        failing.ask()
        await asyncio.sleep(1000)
    assert [round(at, 1) for at in failing.started] == [0, 0.5, 1.5, 3.5]


@on_virtual_time
async def test_retries_2_asking_more_often_does_not_ask_more_often() -> None:
    async with Operations() as operations:
        failing = Failing(RetriedOperations(operations), times=2)
        for _ in range(5):
            failing.ask()
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        failing.ask()
        await asyncio.sleep(1000)
    assert [round(at, 1) for at in failing.started] == [0, 0.5, 1.5]


@on_virtual_time
async def test_closed_it_asks_no_more() -> None:
    async with Operations() as operations:
        retries = RetriedOperations(operations)
        failing = Failing(retries, times=5)
        failing.ask()
        await asyncio.sleep(0.1)
        retries.close()
        await asyncio.sleep(1000)
    assert len(failing.started) == 1
