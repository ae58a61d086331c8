"""Intents, kept in ConfigMaps of a real API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import Struct
from tests.controllers.cluster import ADMIN, Breakable
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.intents import INTENT_BYTES_MAX, RECORD_BYTES_MAX, Intents, IntentTooLargeError
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import Metadata, metadata_of
from pvbinder.kube.transport import Request
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS
from pvbinder.server.embedded import EmbeddedServer

CONFIG = metadata_of(CONFIG_MAPS)


class Wish(Struct, frozen=True):
    """An intent."""

    what: str


class Room:
    """A server, and replicas with their stores."""

    def __init__(self, server: EmbeddedServer, group: asyncio.TaskGroup) -> None:
        self._server = server
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []

    async def replica(self, driver: str = "fake.csi.example.com") -> tuple[Intents[Wish], Breakable]:
        line = Breakable(InProcessTransport(self._server.dispatcher, ADMIN))
        intents = Intents(Client(line), "default", driver, "volumes", Wish)
        await intents.load()
        self._tasks.append(self._group.create_task(intents.run()))
        return intents, line

    async def records(self) -> list[Metadata]:
        client = Client(InProcessTransport(self._server.dispatcher, ADMIN))
        return [view async for page in client.pages(CONFIG, "default") for view in page.items]

    async def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for view in await self.records():
            document: Json = view.document()
            found |= {key: json.loads(text) for key, text in (document.get("data") or {}).items()}
        return found

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def room() -> AsyncGenerator[Room]:
    async with EmbeddedServer(listen=False) as server, asyncio.TaskGroup() as group:
        here = Room(server, group)
        try:
            yield here
        finally:
            here.stop()


@on_virtual_time
async def test_intents_1_what_is_recorded_is_found_by_the_next_replica() -> None:
    async with room() as r:
        ours, _ = await r.replica()
        await ours.record("a", Wish("disk"))
        assert await r.stored() == {"a": {"what": "disk"}}
        next_one, _ = await r.replica()
        assert next_one.get("a") == Wish("disk")
        others, _ = await r.replica("other.csi.example.com")
        assert len(others) == 0


@on_virtual_time
async def test_intents_1_nothing_is_recorded_before_the_server_has_it() -> None:
    async with room() as r:
        ours, line = await r.replica()
        broken = 3

        def fail(request: Request) -> None:
            nonlocal broken
            if request.method in ("POST", "PUT") and broken:
                broken -= 1
                raise ConnectionFailed("broken by the test")

        line.before = fail
        recording = asyncio.create_task(ours.record("a", Wish("disk")))
        await asyncio.sleep(2.5)
        assert not recording.done()
        assert await r.stored() == {}
        await recording
        assert await r.stored() == {"a": {"what": "disk"}}


@on_virtual_time
async def test_intents_1_a_lost_answer_is_asked_for_again() -> None:
    async with room() as r:
        ours, line = await r.replica()
        lost: list[Request] = []

        def lose(request: Request) -> None:
            if request.method in ("POST", "PUT") and len(lost) < 2:
                lost.append(request)
                raise ConnectionFailed("the answer is lost")

        line.after = lose
        await ours.record("a", Wish("disk"))
        await ours.record("b", Wish("tape"))
        assert sorted(await r.stored()) == ["a", "b"]


@on_virtual_time
async def test_intents_2_an_intent_stays_until_it_is_settled() -> None:
    async with room() as r:
        ours, _ = await r.replica()
        await ours.record("a", Wish("disk"))
        await asyncio.sleep(100)
        assert list(await r.stored()) == ["a"]
        ours.settle("a")
        assert "a" not in ours
        await asyncio.sleep(2)
        assert await r.stored() == {}
        await ours.record("a", Wish("tape"))
        assert await r.stored() == {"a": {"what": "tape"}}


@on_virtual_time
async def test_intents_2_what_is_settled_while_it_is_written_goes_afterwards() -> None:
    async with room() as r:
        ours, line = await r.replica()

        async def settled_meanwhile(request: Request) -> None:
            if request.method == "POST":
                ours.settle("a")

        line.after_waiting = settled_meanwhile
        await ours.record("a", Wish("disk"))
        await asyncio.sleep(3)
        assert await r.stored() == {}


@on_virtual_time
async def test_intents_3_many_go_with_one_write() -> None:
    async with room() as r:
        ours, line = await r.replica()
        async with asyncio.TaskGroup() as group:
            for n in range(300):
                group.create_task(ours.record(f"a{n}", Wish("disk")))
        assert len(await r.stored()) == 300
        assert line.asked("POST") + line.asked("PUT") <= 2
        for n in range(300):
            ours.settle(f"a{n}")
        await asyncio.sleep(3)
        assert await r.stored() == {}
        assert line.asked("POST") + line.asked("PUT") <= 3


@on_virtual_time
async def test_intents_4_another_replicas_intents_are_kept() -> None:
    async with room() as r:
        ours, _ = await r.replica()
        theirs, _ = await r.replica()
        await ours.record("a", Wish("disk"))
        await theirs.record("b", Wish("tape"))
        await ours.record("c", Wish("drum"))
        assert sorted(await r.stored()) == ["a", "b", "c"]
        theirs.settle("b")
        await asyncio.sleep(3)
        assert sorted(await r.stored()) == ["a", "c"]
        ours.settle("a")
        await asyncio.sleep(3)
        assert sorted(await r.stored()) == ["c"]


@on_virtual_time
async def test_intents_4_a_record_that_somebody_deleted_is_made_anew() -> None:
    async with room() as r:
        ours, line = await r.replica()
        await ours.record("a", Wish("disk"))
        client = Client(line)
        async for page in client.pages(CONFIG, "default"):
            for view in page.items:
                await client.delete(CONFIG, view.name, "default")
        await ours.record("b", Wish("tape"))
        assert sorted(await r.stored()) == ["a", "b"]


@on_virtual_time
async def test_intents_5_no_record_is_too_large() -> None:
    async with room() as r:
        ours, _ = await r.replica()
        large = "x" * (RECORD_BYTES_MAX // 2 + 100)
        async with asyncio.TaskGroup() as group:
            for n in range(3):
                group.create_task(ours.record(f"a{n}", Wish(large)))
        assert len(await r.stored()) == 3
        with pytest.raises(IntentTooLargeError, match="more than can be written down"):
            await ours.record("b", Wish("x" * (INTENT_BYTES_MAX + 1)))
        assert len(await r.stored()) == 3
        await ours.record("large", Wish("x" * (INTENT_BYTES_MAX - 100)))
        await ours.record("small", Wish("disk"))
        sizes = [len(view.raw) for view in await r.records()]
        assert [size for size in sizes if size > RECORD_BYTES_MAX + 2000] == [max(sizes)]  # it is alone there


@on_virtual_time
async def test_intents_5_a_hundred_are_in_several_records_and_only_what_has_changed_is_written() -> None:
    async with room() as r:
        ours, line = await r.replica()
        text = "x" * 1000
        async with asyncio.TaskGroup() as group:
            for n in range(100):
                group.create_task(ours.record(f"a{n}", Wish(text)))
        written = line.asked("POST") + line.asked("PUT")
        assert all(len(view.raw) < RECORD_BYTES_MAX + 2000 for view in await r.records())
        for n in range(60):
            ours.settle(f"a{n}")
        await ours.record("b", Wish(text))
        assert line.asked("POST") + line.asked("PUT") == written + 1
        await asyncio.sleep(2)
        assert sorted(await r.stored()) == sorted(["b", *(f"a{n}" for n in range(60, 100))])
        assert line.asked("POST") + line.asked("PUT") <= written + 1 + 6


@on_virtual_time
async def test_intents_6_an_idle_store_costs_no_request() -> None:
    async with room() as r:
        ours, line = await r.replica()
        await ours.record("a", Wish("disk"))
        seen = len(line.seen)
        await asyncio.sleep(10_000)
        assert len(line.seen) == seen
        ours.settle("nothing of that name")
        await asyncio.sleep(10_000)
        assert len(line.seen) == seen
