"""A driver of `pvbinder up` on a socket: its name, its nodes, its sidecar."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.controllers.csi.fake_driver import NAME, FakeDriver, handlers
from tests.controllers.csi.fake_node import FakeNode

from pvbinder import logs
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.csi.served_driver import ServedDriver
from pvbinder.csi.serving import serving
from pvbinder.kube.history import History
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.rules.csi.registration import NodeInfo


class Sidecar:
    """Says when it runs."""

    def __init__(self) -> None:
        self.runs = asyncio.Event()
        self._queue: WorkQueue[str] = WorkQueue("claims", self._work, history=History())

    async def _work(self, _: str) -> None: ...

    def queues(self) -> Iterator[QueueStatistics]:
        yield self._queue.statistics()

    async def run(self) -> None:
        self.runs.set()
        await asyncio.Event().wait()


def errors(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(str(logs.fields_of(record).get("err")) for record in caplog.records)


async def started(stack: AsyncExitStack, driver: ServedDriver) -> asyncio.Task[None]:
    await stack.enter_async_context(asyncio.timeout(20))
    group = await stack.enter_async_context(asyncio.TaskGroup())
    task = group.create_task(driver.run())
    stack.callback(task.cancel)
    return task


async def test_served_1_a_driver_that_is_of_no_use_is_said_and_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pvbinder.controllers.csi.served_driver.FIRST_WAIT_SECONDS", 0.01)
    caplog.set_level(logging.ERROR)
    address, sidecar, drivers = f"unix://{tmp_path}/csi.sock", Sidecar(), NodeDrivers()
    async with AsyncExitStack() as stack:
        await started(stack, ServedDriver(address, sidecar, drivers))
        async with serving(address, handlers(FakeDriver(), name="")):
            while "driver name is empty" not in errors(caplog):
                await asyncio.sleep(0.01)
        async with serving(address, handlers(FakeDriver(), name="../../name")):
            while "driver name '../../name' is none" not in errors(caplog):
                await asyncio.sleep(0.01)
        async with drivers.serving(NAME), serving(address, handlers(FakeDriver())):
            while f"another driver is served as {NAME}" not in errors(caplog):
                await asyncio.sleep(0.01)
        assert not sidecar.runs.is_set()
        async with serving(address, handlers(FakeDriver())):
            await sidecar.runs.wait()


async def test_served_2_the_sidecar_begins_when_the_nodes_are_registered(tmp_path: Path) -> None:
    address, sidecar, drivers, node = f"unix://{tmp_path}/csi.sock", Sidecar(), NodeDrivers(), FakeNode()
    told: list[tuple[NodeInfo, bool]] = []

    async def listen(info: NodeInfo) -> None:
        told.append((info, sidecar.runs.is_set()))

    drivers.listen(listen)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(address, node.handlers()))
        await started(stack, ServedDriver(address, sidecar, drivers))
        await sidecar.runs.wait()
        assert told == [(NodeInfo(NAME, "here", {"example.com/zone": "a"}), False)]
        found = drivers.get(NAME)
        assert found is not None
        assert found.abilities.stages
        assert drivers.addresses == {NAME: address}


@pytest.mark.parametrize("node", [None, FakeNode(node_id="")], ids=["no node service", "no id"])
async def test_served_3_a_driver_without_nodes_is_served_all_the_same(tmp_path: Path, node: FakeNode | None) -> None:
    address, sidecar, drivers = f"unix://{tmp_path}/csi.sock", Sidecar(), NodeDrivers()
    async with AsyncExitStack() as stack:
        methods = handlers(FakeDriver()) if node is None else node.handlers()
        await stack.enter_async_context(serving(address, methods))
        await started(stack, ServedDriver(address, sidecar, drivers))
        await sidecar.runs.wait()
        assert drivers.get(NAME) is None
        assert drivers.infos() == ()


async def test_served_4_queues_bear_the_name_of_their_driver(tmp_path: Path) -> None:
    address, sidecar = f"unix://{tmp_path}/csi.sock", Sidecar()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(address, handlers(FakeDriver())))
        driver = ServedDriver(address, sidecar, NodeDrivers())
        await started(stack, driver)
        await sidecar.runs.wait()
        assert [queue.name for queue in driver.queues()] == [f"{NAME} claims"]
