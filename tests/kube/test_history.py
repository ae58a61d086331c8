"""Caches of one process are believed together or not at all (HISTORY-1 to HISTORY-3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.kube.informers import VOLUME, settle
from tests.kube.small_server import SmallServer
from tests.virtual_time import on_virtual_time

from pvbinder.kube.client import Client, Retries
from pvbinder.kube.history import Follower, History
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.queue import WorkQueue
from pvbinder.kube.transport import Answer, Request

CLAIM = "/api/v1/namespaces/shop/persistentvolumeclaims"
ALL_CLAIMS = "/api/v1/persistentvolumeclaims"


class Restorable(SmallServer):
    """A server with volumes and claims, whose past can be brought back; requests of one kind can be held up."""

    def __init__(self) -> None:
        super().__init__(revision=100)
        self.held = asyncio.Event()
        self.held.set()
        self.waits_for = "nothing"
        self.apply(f"{VOLUME}/disk-1")
        self.apply(f"{CLAIM}/orders-1")

    async def send(self, request: Request) -> Answer:
        if request.path.endswith(self.waits_for):
            await self.held.wait()
        if request.path == ALL_CLAIMS:
            request = Request(request.method, CLAIM, request.query, accept=request.accept)
        return await super().send(request)

    def restore(self) -> None:
        """Go back to a time when there was no claim yet."""
        self.objects = {path: one for path, one in self.objects.items() if path.startswith(VOLUME)}
        self.history.clear()
        self.revision = 40
        self.apply(f"{VOLUME}/disk-1", {"metadata": {"uid": "uid-101"}})


class Two:
    """The caches of volumes and claims, of one history."""

    def __init__(self, server: SmallServer) -> None:
        client = Client(server, retries=Retries(attempts=1))
        self.history = History()
        self.volumes = Informer(client, VOLUMES, chance=lambda: 0.0, history=self.history, decides=True)
        self.claims = Informer(client, CLAIMS, chance=lambda: 0.0, history=self.history, decides=True)

    @asynccontextmanager
    async def running(self, server: SmallServer) -> AsyncGenerator[None]:
        """Run both; the watch of claims hears nothing more once it is open."""
        async with asyncio.TaskGroup() as group:
            server.is_silent = True
            tasks = [group.create_task(self.claims.run())]
            await self.claims.wait_synced()
            await settle()
            server.is_silent = False
            tasks.append(group.create_task(self.volumes.run()))
            await self.volumes.wait_synced()
            await settle()
            yield
            for task in tasks:
                task.cancel()


@on_virtual_time
async def test_history_1_when_one_cache_sees_the_past_the_others_list_anew() -> None:
    server = Restorable()
    two = Two(server)
    async with two.running(server):
        assert two.claims.keys() == ["shop/orders-1"]
        server.restore()
        server.break_watches()  # that of claims is silent, and doesn't notice
        await asyncio.sleep(1)

        assert two.volumes["disk-1"].resource_version == "41"
        assert two.claims.keys() == []
        assert two.history.is_whole


@on_virtual_time
async def test_history_1_what_is_listed_then_is_believed_though_the_server_has_gone_on() -> None:
    server = Restorable()
    server.revision = 30
    server.apply(f"{CLAIM}/orders-2")  # the claims are of an earlier revision than the backup
    two = Two(server)
    async with two.running(server):
        server.revision = 200
        server.apply(f"{VOLUME}/disk-2")
        await settle()
        server.restore()
        server.apply(f"{VOLUME}/disk-2")
        server.break_watches()
        await asyncio.sleep(1)

        assert two.claims.keys() == []


@on_virtual_time
async def test_history_2_nothing_is_decided_until_all_caches_are_of_one_history() -> None:
    server = Restorable()
    two = Two(server)
    worked: list[list[str]] = []

    async def work(_key: str) -> None:
        worked.append(two.claims.keys())

    queue = WorkQueue("volumes", work, history=two.history)
    two.volumes.add_handler(lambda change: queue.add(change.object.key))
    async with two.running(server), asyncio.TaskGroup() as group:
        running = group.create_task(queue.run())
        await settle()
        assert worked == [["shop/orders-1"]]
        server.waits_for = "persistentvolumeclaims"
        server.held.clear()
        server.restore()
        server.break_watches()
        await asyncio.sleep(1)
        assert two.volumes["disk-1"].resource_version == "41", "the volumes are of the new history"
        assert len(worked) == 1, "but the claims are of the old one"
        server.held.set()
        await asyncio.sleep(1)

        assert worked[1:] == [[]]
        running.cancel()


@on_virtual_time
async def test_history_2_a_cache_that_is_gone_is_waited_for_no_longer() -> None:
    history = History()
    volumes, claims = Follower("volumes", lambda: None), Follower("claims", lambda: None)
    history.join(volumes, decides=True)
    history.join(claims, decides=True)
    history.begin_anew(volumes)
    history.has_listed(volumes, 1)
    assert not history.is_whole
    history.leave(claims)
    async with asyncio.timeout(1):
        await history.wait_whole()


def test_history_3_the_same_break_seen_twice_is_one() -> None:
    history = History()
    told: list[str] = []
    volumes = Follower("volumes", lambda: told.append("volumes"))
    claims = Follower("claims", lambda: told.append("claims"))
    history.join(volumes, decides=True)
    history.join(claims, decides=True)
    history.begin_anew(volumes)
    history.begin_anew(claims)
    assert told == ["claims"]
    assert history.epoch == 1
    history.has_listed(volumes, 1)
    history.has_listed(claims, 1)
    history.begin_anew(claims)  # that is another one
    assert told == ["claims", "volumes"]
    assert not history.is_whole
