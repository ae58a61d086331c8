"""How controllers are started and stopped (MANAGER-1 to MANAGER-10)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from tests.kube.small_server import SmallServer, no_connection, refusal
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.features import UNUSED_SINCE
from pvbinder.controllers.manager import HANDOVER_SECONDS, PATIENCE_SECONDS, Duty, Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import ControllerDeclaration
from pvbinder.kube.client import Client
from pvbinder.kube.election import Fence
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.events import Subject
from pvbinder.kube.history import History
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.pacing import pace_of
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.kube.write_gate import WriteGate
from pvbinder.model import resources

CLAIM = Subject(resources.PERSISTENT_VOLUME_CLAIMS, "orders", "shop", "uid-1")


class Recording:
    """A controller that notes what happens to it."""

    def __init__(self, context: ControllerContext, *, breaks_after: float | None = None, last_words: int = 0) -> None:
        self.context = context
        self.claims = context.informers.of(CLAIMS)
        self.volumes = context.informers.of(VOLUMES)
        self.recorder = context.recorder("recording")
        self.breaks_after = breaks_after
        self.last_words = last_words
        self.log: list[str] = []
        self._queue: WorkQueue[str] = WorkQueue("recordings", self._work, history=History())

    async def _work(self, key: str) -> None:
        self.log.append(key)

    def queues(self) -> Iterator[QueueStatistics]:
        yield self._queue.statistics()

    async def run(self) -> None:
        self.log.append("started")
        try:
            if self.breaks_after is not None:
                await asyncio.sleep(self.breaks_after)
                raise LookupError("a defect")
            await asyncio.Event().wait()
        finally:
            self.log.append("stopped")
            for number in range(self.last_words):
                self.recorder.event(CLAIM, "Normal", f"Bye{number}", "the end")


def declared(name: str, make: Callable[[ControllerContext], Controller] = Recording) -> ControllerDeclaration:
    return ControllerDeclaration(name, user=f"{name}-user", make=make)


@asynccontextmanager
async def running(manager: Manager) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(manager.run())
        await manager.wait_ready()
        yield
        task.cancel()


def recording(manager: Manager, name: str) -> Recording:
    controller = manager.controllers[name]
    assert isinstance(controller, Recording)
    return controller


@on_virtual_time
async def test_manager_1_one_list_and_watch_a_kind() -> None:
    server = SmallServer()
    manager = Manager(server, known=(declared("a"), declared("b")))
    async with running(manager):
        await asyncio.sleep(1)

    assert server.count("GET") == 2
    assert server.count("GET", watches=True) == 2
    assert recording(manager, "a").claims is recording(manager, "b").claims


@on_virtual_time
async def test_manager_2_ready_means_that_all_runs(caplog: pytest.LogCaptureFixture) -> None:
    server = SmallServer()
    server.before += [no_connection] * 18
    manager = Manager(server, known=(declared("a"),))
    async with running(manager):
        assert recording(manager, "a").log == ["started"]
        assert recording(manager, "a").claims.has_synced
        assert asyncio.get_running_loop().time() > 1


@on_virtual_time
async def test_manager_2_caches_that_do_not_fill_are_named(caplog: pytest.LogCaptureFixture) -> None:
    server = SmallServer()
    server.before += [lambda _: refusal(403, "Forbidden", "may not")] * 40  # longer than its patience, with any jitter
    manager = Manager(server, known=(declared("a"),))
    async with running(manager):
        pass

    assert "caches are not filled yet" in [record.getMessage() for record in caplog.records]


@on_virtual_time
async def test_manager_3_what_was_still_to_be_told_is_written() -> None:
    server = SmallServer()
    manager = Manager(server, known=(declared("a", lambda c: Recording(c, last_words=3)),))
    async with running(manager):
        await asyncio.sleep(1)

    assert recording(manager, "a").log == ["started", "stopped"]
    assert server.count("POST") == 3
    assert server.watching == 0
    assert asyncio.get_running_loop().time() == 1


@on_virtual_time
async def test_manager_3_a_dead_server_does_not_hold_the_end_up(caplog: pytest.LogCaptureFixture) -> None:
    server = SmallServer()
    manager = Manager(server, known=(declared("a", lambda c: Recording(c, last_words=3)),))
    async with running(manager):
        await asyncio.sleep(1)
        server.before += [no_connection] * 1000

    assert asyncio.get_running_loop().time() == 2
    assert "events lost: the server did not take them in time" in [r.getMessage() for r in caplog.records]


@on_virtual_time
async def test_manager_4_a_broken_controller_stops_everything() -> None:
    server = SmallServer()
    manager = Manager(server, known=(declared("a", lambda c: Recording(c, breaks_after=5)), declared("b")))

    with pytest.raises(ExceptionGroup) as caught:
        await manager.run()

    assert caught.group_contains(LookupError, match="a defect")
    assert recording(manager, "b").log == ["started", "stopped"]
    assert server.watching == 0


@on_virtual_time
async def test_manager_5_each_controller_writes_as_itself() -> None:
    lines = {name: SmallServer() for name in ("a-user", "b-user")}
    server = SmallServer()
    manager = Manager(server, transport_as=lines.__getitem__, known=(declared("a"), declared("b")))
    async with running(manager):
        await recording(manager, "a").context.client.create(VOLUMES, {"metadata": {"name": "disk"}})
        statistics = manager.statistics()

    assert (len(lines["a-user"].requests), len(lines["b-user"].requests)) == (1, 0)
    assert {user: requests.writes for user, requests in statistics.requests.items()} == {
        "": 0,
        "a-user": 1,
        "b-user": 0,
    }


@on_virtual_time
async def test_manager_6_nobody_writes_once_an_election_is_lost() -> None:
    server = SmallServer()
    fence = Fence()
    manager = Manager(server, known=(declared("a"),), fence=fence)
    async with running(manager):
        controller = recording(manager, "a").context
        assert controller.fence is fence
        await controller.client.create(VOLUMES, {"metadata": {"name": "disk"}})
        fence.trouble = lambda: "the lead is lost"  # type: ignore[method-assign]
        with pytest.raises(ConnectionFailed, match="the lead is lost"):
            await controller.client.create(VOLUMES, {"metadata": {"name": "other"}})


@on_virtual_time
async def test_manager_7_all_lines_keep_to_one_pace_and_ask_the_fence_when_their_turn_has_come() -> None:
    server, fence = SmallServer(), Fence()
    manager = Manager(server, known=(declared("a"), declared("b")), fence=fence, pace=pace_of(1.0, 2))
    async with running(manager):  # two lists
        began = asyncio.get_running_loop().time()
        await recording(manager, "a").context.client.create(VOLUMES, {"metadata": {"name": "disk"}})
        await recording(manager, "b").context.client.create(VOLUMES, {"metadata": {"name": "other"}})
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.0, abs=0.1)
        async with asyncio.TaskGroup() as group:
            late = group.create_task(refused(recording(manager, "a").context.client))
            await asyncio.sleep(0.5)
            fence.trouble = lambda: "the lead is lost"  # type: ignore[method-assign]
        assert late.done()


async def refused(client: Client) -> None:
    with pytest.raises(ConnectionFailed, match="the lead is lost"):
        await client.create(VOLUMES, {"metadata": {"name": "late"}})


@on_virtual_time
async def test_manager_8_who_waits_for_the_lead_has_full_caches_and_hears_of_nothing() -> None:
    server = SmallServer()
    server.apply("/api/v1/persistentvolumes/before")
    turn = asyncio.Event()
    heard: list[str] = []

    def listening(context: ControllerContext) -> Recording:
        controller = Recording(context)
        controller.volumes.add_handler(lambda change: heard.append(change.object.name))
        return controller

    async def lead(work: Duty) -> None:
        await turn.wait()
        await work()

    manager = Manager(server, known=(declared("a", listening),), lead=lead)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(manager.run())
        await asyncio.sleep(100)
        server.apply("/api/v1/persistentvolumes/meanwhile")
        server.apply("/api/v1/persistentvolumes/gone")
        server.delete("/api/v1/persistentvolumes/gone")
        await asyncio.sleep(1)
        waiting = recording(manager, "a")
        assert (waiting.log, heard, manager.is_ready, manager.unfilled) == ([], [], False, [])
        assert waiting.volumes.keys() == ["before", "meanwhile"]

        lists = server.count("GET")
        turn.set()
        await manager.wait_ready()
        assert asyncio.get_running_loop().time() == 101
        server.apply("/api/v1/persistentvolumes/after")
        await asyncio.sleep(1)
        assert (waiting.log, heard) == (["started"], ["before", "meanwhile", "after"])
        assert server.count("GET") == lists
        task.cancel()


@on_virtual_time
async def test_manager_8_the_lead_is_left_to_others_until_the_caches_are_full_but_not_for_ever() -> None:
    server = SmallServer()
    server.before += [lambda _: refusal(403, "Forbidden", "may not")] * 40
    asked_at: list[float] = []

    async def lead(work: Duty) -> None:
        asked_at.append(asyncio.get_running_loop().time())
        await work()

    manager = Manager(server, known=(declared("a"),), lead=lead)
    async with running(manager):
        assert asked_at == [PATIENCE_SECONDS]


@on_virtual_time
@pytest.mark.parametrize(("seconds", "finished"), [(5.0, True), (HANDOVER_SECONDS + 5, False)])
async def test_manager_9_what_is_in_work_is_finished_but_nobody_waits_for_ever(seconds: float, finished: bool) -> None:
    done: list[str] = []

    class Busy(Recording):
        def __init__(self, context: ControllerContext) -> None:
            super().__init__(context)
            self.slow: WorkQueue[str] = WorkQueue("slow", self.take_time, history=context.informers.history)

        async def take_time(self, key: str) -> None:
            await asyncio.sleep(seconds)
            done.append(key)

        async def run(self) -> None:
            await self.slow.run()

        async def hand_over(self) -> None:
            done.append("told")

    manager = Manager(SmallServer(), known=(declared("a", Busy),))
    async with running(manager):
        controller = manager.controllers["a"]
        assert isinstance(controller, Busy)
        for key in ("first", "second"):
            controller.slow.add(key)
        await asyncio.sleep(1)
        await manager.hand_over()
        assert asyncio.get_running_loop().time() == pytest.approx(1 + min(seconds - 1, HANDOVER_SECONDS), abs=0.1)

    assert done == ["told", *(["first"] if finished else [])]


@on_virtual_time
async def test_manager_10_all_writes_pass_the_gate() -> None:
    class Counting(WriteGate):
        passed = 0

        async def send(self, line: Transport, request: Request) -> Answer:
            self.passed += 1
            return await super().send(line, request)

    server, gate = SmallServer(), Counting()
    manager = Manager(server, transport_as=lambda _: server, known=(declared("a"), declared("b")), gate=gate)
    async with running(manager):
        for name in ("a", "b"):
            await recording(manager, name).context.client.create(VOLUMES, {"metadata": {"name": name}})
        statistics = manager.statistics()

    assert gate.passed == 2
    assert statistics.gate == gate.statistics()


@on_virtual_time
async def test_only_what_was_chosen_is_made() -> None:
    server = SmallServer()
    gated = ControllerDeclaration("gated", "gated-user", Recording, gate=UNUSED_SINCE)
    options = ControllerOptions(controllers="*,-b")

    manager = Manager(server, options, known=(declared("a"), declared("b"), gated))

    assert list(manager.controllers) == ["a"]


@on_virtual_time
async def test_statistics_show_all_parts() -> None:
    manager = Manager(SmallServer(), known=(declared("a"),))
    async with running(manager):
        statistics = manager.statistics()

    assert statistics.controllers == ("a",)
    assert set(statistics.informers) == {"persistentvolumes", "persistentvolumeclaims"}
    assert set(statistics.queues) == {"recordings"}
    assert set(statistics.recorders) == {"recording"}


@on_virtual_time
async def test_start_and_stop_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pvbinder.controllers")
    async with running(Manager(SmallServer(), known=(declared("a"),))):
        pass

    assert [record.getMessage() for record in caplog.records] == ["controllers started", "controllers stopped"]
