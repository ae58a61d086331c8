"""Requests per second, as the user bounds them (PACING-1, PACING-2)."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import pytest
from tests.virtual_time import on_virtual_time

from pvbinder.kube.pacing import PacedLine, pace_of
from pvbinder.kube.transport import Answer, Request

ONE = Request("GET", "/api/v1/persistentvolumes")
LEASE = Request("PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/csi")


class Line:
    """Notes when requests come."""

    def __init__(self) -> None:
        self.times: list[float] = []

    async def send(self, request: Request) -> Answer:
        self.times.append(round(asyncio.get_running_loop().time(), 3))
        return Answer(200, b"")

    def watch(self, request: Request) -> AbstractAsyncContextManager[Any]:
        self.times.append(round(asyncio.get_running_loop().time(), 3))
        return nullcontext()


@on_virtual_time
async def test_pacing_1_a_burst_goes_at_once_and_the_rest_in_turn_on_all_lines_together() -> None:
    pace = pace_of(2.0, 3)
    assert pace is not None
    line, began = Line(), asyncio.get_running_loop().time()
    lines = PacedLine(line, pace), PacedLine(line, pace)
    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(lines[number % 2].send(ONE))
    assert [at - began for at in line.times] == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5]


@on_virtual_time
async def test_pacing_1_watches_and_leases_dont_wait() -> None:
    pace = pace_of(0.1, 1)
    assert pace is not None
    line, began = Line(), asyncio.get_running_loop().time()
    paced = PacedLine(line, pace)
    await paced.send(ONE)
    for _ in range(3):
        await paced.send(LEASE)
        with paced.watch(ONE):  # type: ignore[attr-defined]
            pass
    assert [at - began for at in line.times] == [0.0] * 7


@on_virtual_time
async def test_pacing_2_what_is_given_up_is_never_sent() -> None:
    pace = pace_of(1.0, 1)
    assert pace is not None
    line = Line()
    paced = PacedLine(line, pace)
    await paced.send(ONE)
    waiting = asyncio.ensure_future(paced.send(ONE))
    await asyncio.sleep(0.5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(5)
    assert len(line.times) == 1


@pytest.mark.parametrize(
    ("qps", "burst", "at_once", "then_seconds"),
    [
        (None, None, 100, 0.0),
        (-1.0, 10, 100, 0.0),
        (100.0, None, 10, 0.01),
        (None, 4, 4, 0.2),
        (0.0, 0, 10, 0.2),
        (50.0, 20, 20, 0.02),
    ],
)
def test_the_flags_are_read_as_client_go_reads_them(
    qps: float | None, burst: int | None, at_once: int, then_seconds: float
) -> None:
    pace = pace_of(qps, burst)
    if pace is None:
        assert then_seconds == 0.0
        return
    assert [pace.reserve(0.0) for _ in range(at_once)] == [0.0] * at_once
    assert pace.reserve(0.0) == pytest.approx(then_seconds)
