"""The gate that all writes of a process pass, on virtual time (WRITE_GATE-1 to WRITE_GATE-4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest
from tests.virtual_time import on_virtual_time

from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.transport import Answer, Request
from pvbinder.kube.window import FIRST
from pvbinder.kube.write_gate import WriteGate, on_behalf_of

SECONDS_A_WRITE = 0.1


class Line:
    """A server that takes a tenth of a second for anything, and notes when it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.in_flight = self.most_in_flight = 0
        self.answers: list[Answer | ConnectionFailed] = []

    async def send(self, request: Request) -> Answer:
        self.asked.append((asyncio.get_running_loop().time(), request.path))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(SECONDS_A_WRITE)
            answer = self.answers.pop(0) if self.answers else Answer(200, b"{}")
        finally:
            self.in_flight -= 1
        if isinstance(answer, ConnectionFailed):
            raise answer
        return answer

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise NotImplementedError


def claim_write(namespace: str, name: str = "x") -> Request:
    return Request("PUT", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}", body=b"{}")


VOLUME_WRITE = Request("PUT", "/api/v1/persistentvolumes/disk-1", body=b"{}")
LEASE_WRITE = Request("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x", body=b"{}")
READ = Request("GET", "/api/v1/persistentvolumes")


@on_virtual_time
async def test_write_gate_1_no_more_in_flight_than_the_window_allows() -> None:
    line, gate = Line(), WriteGate()
    first, second = gate.before(line), gate.before(line)
    async with asyncio.TaskGroup() as group:
        for number in range(FIRST):
            group.create_task(first.send(claim_write("a", f"{number}")))
            group.create_task(second.send(claim_write("b", f"{number}")))
        await asyncio.sleep(SECONDS_A_WRITE / 2)
        assert line.in_flight == FIRST == gate.statistics().limit
        assert gate.statistics().waiting == FIRST
    assert gate.statistics().in_flight == gate.statistics().waiting == 0


@on_virtual_time
async def test_write_gate_2_one_claim_is_not_held_up_by_the_thousands_of_another_tenant() -> None:
    line = Line()
    gated = WriteGate().before(line)
    async with asyncio.TaskGroup() as group:
        for number in range(10 * FIRST):
            group.create_task(gated.send(claim_write("many", f"{number}")))
        await asyncio.sleep(0)
        group.create_task(gated.send(claim_write("one")))
    [place] = [place for place, (_, path) in enumerate(line.asked) if "/one/" in path]
    assert place <= FIRST + 1


@on_virtual_time
async def test_write_gate_2_writes_for_a_claim_that_a_pod_waits_for_come_first() -> None:
    line = Line()
    gated = WriteGate().before(line)

    async def write_volume(*, is_urgent: bool) -> None:
        with on_behalf_of("many", is_urgent=is_urgent):
            await gated.send(VOLUME_WRITE)

    async with asyncio.TaskGroup() as group:
        for number in range(3 * FIRST):
            group.create_task(gated.send(claim_write("many", f"{number}")))
        await asyncio.sleep(0)
        group.create_task(write_volume(is_urgent=True))
        group.create_task(write_volume(is_urgent=False))
    urgent, other = (place for place, (_, path) in enumerate(line.asked) if path == VOLUME_WRITE.path)
    assert urgent == FIRST
    assert other == 3 * FIRST + 1  # it is of the namespace that its task writes for, not of one of its own


@on_virtual_time
async def test_write_gate_3_a_lease_waits_for_nobody() -> None:
    line = Line()
    gated = WriteGate().before(line)
    async with asyncio.TaskGroup() as group:
        for number in range(20 * FIRST):
            group.create_task(gated.send(claim_write("a", f"{number}")))
        await asyncio.sleep(1.5 * SECONDS_A_WRITE)
        asked = asyncio.get_running_loop().time()
        await gated.send(LEASE_WRITE)
        assert (asked, LEASE_WRITE.path) in line.asked


@on_virtual_time
async def test_write_gate_4_who_is_cancelled_takes_nobodys_place() -> None:
    line, gate = Line(), WriteGate()
    gated = gate.before(line)
    first = [asyncio.create_task(gated.send(claim_write("a", f"{n}"))) for n in range(FIRST)]
    waiting = [asyncio.create_task(gated.send(claim_write("b", f"{n}"))) for n in range(FIRST)]
    await asyncio.sleep(SECONDS_A_WRITE / 2)
    waiting[0].cancel()
    await asyncio.wait(first)
    waiting[1].cancel()  # it has its place by now
    await asyncio.wait(waiting)

    assert gate.statistics().in_flight == gate.statistics().waiting == 0


@on_virtual_time
@pytest.mark.parametrize("status", [429, 503])
async def test_window_4_nothing_is_sent_before_retry_after(status: int) -> None:
    line = Line()
    line.answers = [Answer(status, b"{}", {"retry-after": "7"})]
    gated = WriteGate().before(line)
    await gated.send(claim_write("a"))
    refused = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(gated.send(claim_write("a", f"{number}")))
        group.create_task(gated.send(READ))
    assert [round(at - refused, 3) for at, _ in line.asked[1:]] == [0.0, 7.0, 7.0, 7.0]


@on_virtual_time
async def test_window_3_a_lost_answer_makes_the_window_smaller() -> None:
    line, gate = Line(), WriteGate()
    line.answers = [ConnectionFailed("no answer")]
    with pytest.raises(ConnectionFailed):
        await gate.before(line).send(claim_write("a"))
    statistics = gate.statistics()
    assert (statistics.limit, statistics.cuts, statistics.in_flight) == (FIRST // 2, 1, 0)


@on_virtual_time
async def test_write_gate_5_what_was_begun_is_finished_before_more_is_begun() -> None:
    line = Line()
    gated = WriteGate().before(line)

    async def write_thrice(number: int, *, is_urgent: bool = False) -> None:
        with on_behalf_of("shop", is_urgent=is_urgent):
            for part in "abc":
                await gated.send(claim_write("shop", f"{number}-{part}"))

    async with asyncio.TaskGroup() as group:
        for number in range(8 * FIRST):
            group.create_task(write_thrice(number))
        await asyncio.sleep(SECONDS_A_WRITE * 1.5)  # a window's worth of begun ones waits
        group.create_task(write_thrice(1000, is_urgent=True))
    written = [path.rpartition("/")[2] for _, path in line.asked]
    assert len(written) == 3 * (8 * FIRST + 1)
    assert written.index("0-c") < 3 * FIRST + FIRST // 2, "after its own three rounds, with an eighth of new ones"
    assert written.index("1000-a") < 2 * FIRST + FIRST // 4, "an urgent one doesn't wait for all that were begun"
    assert written.index(f"{8 * FIRST - 1}-a") < len(written) - FIRST, "those that haven't begun aren't left to the end"
