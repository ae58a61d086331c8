"""Events are forgotten some time after their last write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from tests.server.serving import serving
from tests.virtual_time import on_virtual_time

from pvbinder.server.api.expiry import Expiry
from pvbinder.server.store import Store

KIND = "events"


async def put(store: Store, key: str) -> None:
    def encode(revision: int) -> bytes:
        return msgspec.json.encode({"metadata": {"name": key, "resourceVersion": str(revision)}})

    await store.put(KIND, key, encode)[1]


@asynccontextmanager
async def expiring(store: Store) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Expiry(store, KIND).run())
        await asyncio.sleep(0)
        yield
        running.cancel()


def keys(store: Store) -> list[str]:
    return [key for key, _ in store.objects(KIND)]


@on_virtual_time
async def test_expiry_1_an_event_goes_an_hour_after_its_last_write(tmp_path: Path) -> None:
    async with Store(tmp_path) as store, expiring(store):
        await put(store, "quiet")
        await put(store, "busy")
        await asyncio.sleep(1800)
        await put(store, "busy")
        await asyncio.sleep(1799)
        assert keys(store) == ["busy", "quiet"]
        await asyncio.sleep(130)
        assert keys(store) == ["busy"]
        await asyncio.sleep(1800)
        assert keys(store) == []


@on_virtual_time
async def test_expiry_1_what_was_there_before_a_restart_goes_an_hour_after_it(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "old")
    async with Store(tmp_path) as store, expiring(store):
        await asyncio.sleep(3500)
        assert keys(store) == ["old"]
        await asyncio.sleep(200)
        assert keys(store) == []


@on_virtual_time
async def test_expiry_2_whoever_watches_sees_it_deleted(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "shop"}}
        await server.send("POST", "/api/v1/namespaces/shop/events", event)
        watch = await server.events(
            f"/api/v1/events?watch=true&timeoutSeconds=9000&resourceVersion={server.store.revision}"
        )
        async with expiring(server.store):
            assert await watch.names(1) == [("DELETED", "e")]
        await watch.close()
