"""First lists that come as the beginning of a watch (INFORMER-17)."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest
from tests.kube.informers import VOLUME, running, settle, short
from tests.kube.small_server import SmallServer, lost_connection
from tests.virtual_time import on_virtual_time

from pvbinder.kube.client import Client, Retries
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.streaming_list import FIRST_SILENCE_SECONDS
from pvbinder.model.objects import Volume
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo


def informer_of(server: SmallServer) -> tuple[Informer[Volume], list[str]]:
    informer = Informer(Client(server, retries=Retries(attempts=1)), VOLUMES, chance=lambda: 0.0, streams=True)
    heard: list[str] = []
    informer.add_handler(lambda change: heard.append(short(change)))
    return informer, heard


async def test_informer_17_one_request_lists_and_watches() -> None:
    server = SmallServer()
    for name in "ab":
        server.apply(f"{VOLUME}/{name}")
    informer, heard = informer_of(server)
    async with running(informer):
        assert (heard, informer.resource_version) == (["+a@1", "+b@2"], "2")
        server.apply(f"{VOLUME}/c")
        server.delete(f"{VOLUME}/a")
        await settle()
        assert heard == ["+a@1", "+b@2", "+c@3", "-a@1"]
        assert (server.count("GET"), server.count("GET", watches=True)) == (0, 1)
        counts = informer.statistics()
        assert (counts.lists, counts.watches, counts.failures) == (1, 1, 0)


async def test_informer_17_it_is_not_synced_before_the_end_of_the_list() -> None:
    server = SmallServer(streaming_lists="unknown")
    server.apply(f"{VOLUME}/a")
    informer, _ = informer_of(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(informer.run())
        await settle()
        assert ("a" in informer, informer.has_synced) == (True, False)
        task.cancel()


@pytest.mark.parametrize("serves", ["refused", "cut"])
async def test_informer_17_pages_are_read_where_it_is_refused_or_ends_early(serves: Literal["refused", "cut"]) -> None:
    server = SmallServer(streaming_lists=serves)
    for name in "ab":
        server.apply(f"{VOLUME}/{name}")
    informer, heard = informer_of(server)
    async with running(informer):
        assert heard == ["+a@1", "+b@2"]
        assert (server.count("GET"), informer.statistics().failures) == (1, 0)
        server.apply(f"{VOLUME}/c")
        await settle()
        assert heard[2:] == ["+c@3"]


@on_virtual_time
async def test_informer_17_pages_are_read_where_nothing_ends_the_list() -> None:
    server = SmallServer(streaming_lists="unknown")
    server.apply(f"{VOLUME}/a")
    informer, heard = informer_of(server)
    started = asyncio.get_running_loop().time()
    async with running(informer):
        assert asyncio.get_running_loop().time() - started <= FIRST_SILENCE_SECONDS + 1
        assert (heard, server.count("GET")) == (["+a@1"], 1)


async def test_informer_17_pages_are_read_where_bookmarks_come_without_an_end() -> None:
    server = SmallServer(streaming_lists="unknown")
    server.apply(f"{VOLUME}/a")
    server.send_bookmark(VOLUME)
    informer, _ = informer_of(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(informer.run())
        await settle()
        server.send_bookmark(VOLUME)
        async with asyncio.timeout(5):
            await informer.wait_synced()
        assert server.count("GET") == 1
        task.cancel()


@on_virtual_time
async def test_informer_17_what_is_gone_after_a_lost_beginning_is_reported() -> None:
    server = SmallServer(streaming_lists="cut")
    for name in "ab":
        server.apply(f"{VOLUME}/{name}")
    informer, heard = informer_of(server)

    def gone(_: object) -> None:
        server.delete(f"{VOLUME}/a")

    server.before = [lambda _: None, gone]
    async with running(informer):
        assert heard == ["+a@1", "+b@2", "-a@1"]


@on_virtual_time
async def test_informer_17_later_lists_come_in_pages() -> None:
    server = SmallServer()
    server.apply(f"{VOLUME}/a")
    informer, heard = informer_of(server)
    async with running(informer):
        server.apply(f"{VOLUME}/b")
        server.delete(f"{VOLUME}/a")
        server.compact()
        server.before = [lost_connection]
        server.break_watches()
        await asyncio.sleep(60)
        assert heard == ["+a@1", "+b@2", "-a@1"]
    assert sum("sendInitialEvents" in request.query for request in server.requests) == 1


async def test_informer_17_the_embedded_server_serves_it() -> None:
    async with EmbeddedServer(listen=False) as server:
        line = InProcessTransport(server.dispatcher, UserInfo("admin", groups=("system:masters",)))
        client = Client(line)
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        for name in ("orders", "photos"):
            await client.create(CLAIMS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})
        informer = Informer(client, CLAIMS, streams=True)
        async with running(informer):
            assert sorted(informer.keys()) == ["default/orders", "default/photos"]
            assert informer.resource_version == str(server.store.revision)
        assert ("list", CLAIMS.resource.qualified) not in client.statistics().requests
