"""Both lines against the embedded server: what one sees and does, the other sees and does, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from pvbinder.kube.client import Client, Retries
from pvbinder.kube.config import ConnectionConfig, load_kubeconfig
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import EventRecorder, Subject
from pvbinder.kube.http import HttpTransport
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import CLAIMS, EVENTS, VOLUMES, metadata_of
from pvbinder.kube.transport import Transport
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

ADMIN = UserInfo("admin", groups=("system:masters", "system:authenticated"))
DEADLINE_SECONDS = 20.0
HISTORY_CHANGES = 50


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer(history_changes=HISTORY_CHANGES) as running:
        yield running


def config_of(server: EmbeddedServer) -> ConnectionConfig:
    path = server.data_dir / "config"
    server.write_kubeconfig(path)
    return load_kubeconfig([path])


@pytest.fixture(params=["in the process", "over HTTPS"])
async def line(request: pytest.FixtureRequest, server: EmbeddedServer) -> AsyncIterator[Transport]:
    async with AsyncExitStack() as stack:
        if request.param == "in the process":
            yield InProcessTransport(server.dispatcher, ADMIN)
        else:
            yield await stack.enter_async_context(HttpTransport(config_of(server)))


def volume(name: str, **labels: str) -> Json:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/x"}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": labels},
        "spec": {**spec, "persistentVolumeReclaimPolicy": "Retain"},
    }


async def test_an_object_goes_round(line: Transport) -> None:
    client = Client(line)

    made = await client.create(VOLUMES, volume("disk-1", tier="gold"))
    document = made.document()
    document["metadata"]["labels"]["tier"] = "silver"
    replaced = await client.replace(VOLUMES, document)
    patched = await client.patch(
        VOLUMES, "disk-1", "", {"status": {"phase": "Available"}}, patch_type="merge", subresource="status"
    )
    with pytest.raises(ApiFailure) as conflict:
        await client.replace(VOLUMES, document)
    await client.delete(VOLUMES, "disk-1", uid=made.uid)
    going = await client.get(VOLUMES, "disk-1")

    assert made.phase == "Pending"
    assert replaced.labels == {"tier": "silver"}
    assert patched.phase == "Available"
    assert conflict.value.is_conflict
    assert going.is_deleting
    assert going.finalizers == ("kubernetes.io/pv-protection",)


async def test_refusals_are_understood(line: Transport) -> None:
    client = Client(line)
    await client.create(VOLUMES, volume("disk-1"))
    wrong = volume("disk-2")
    wrong["spec"]["accessModes"] = []

    with pytest.raises(ApiFailure) as missing:
        await client.get(CLAIMS, "orders", "default")
    with pytest.raises(ApiFailure) as taken:
        await client.create(VOLUMES, volume("disk-1"))
    with pytest.raises(ApiFailure) as invalid:
        await client.create(VOLUMES, wrong)

    assert missing.value.is_not_found
    assert missing.value.message == 'persistentvolumeclaims "orders" not found'
    assert taken.value.is_already_exists
    assert invalid.value.is_invalid
    assert invalid.value.details["causes"][0]["field"] == "spec.accessModes"


async def test_a_list_comes_in_pages_of_one_revision(line: Transport) -> None:
    client = Client(line)
    for number in range(7):
        await client.create(VOLUMES, volume(f"disk-{number}", parity="odd" if number % 2 else "even"))

    pages = [page async for page in client.pages(VOLUMES, limit=3)]
    odd = await client.list_all(VOLUMES, label_selector="parity=odd")
    one = await client.list_all(VOLUMES, field_selector="metadata.name=disk-4")

    assert [len(page.items) for page in pages] == [3, 3, 1]
    assert len({page.resource_version for page in pages}) == 1
    assert [v.name for v in odd] == ["disk-1", "disk-3", "disk-5"]
    assert [v.name for v in one] == ["disk-4"]


async def test_a_cache_follows(line: Transport) -> None:
    client = Client(line)
    await client.create(VOLUMES, volume("disk-1"))
    informer = Informer(client, VOLUMES)
    changed = asyncio.Event()
    informer.add_handler(lambda _: changed.set())

    async def until_named(*names: str) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while sorted(informer.keys()) != sorted(names):
                changed.clear()
                await changed.wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(informer.run())
        await until_named("disk-1")
        await client.create(VOLUMES, volume("disk-2"))
        await until_named("disk-1", "disk-2")
        await client.patch(VOLUMES, "disk-1", "", {"metadata": {"finalizers": None}}, patch_type="merge")
        await client.delete(VOLUMES, "disk-1")
        await until_named("disk-2")
        task.cancel()

    assert informer.statistics().lists == 1
    assert informer.statistics().failures == 0


async def test_a_large_object_comes_through_a_watch(line: Transport) -> None:
    kind = metadata_of(CONFIG_MAPS)
    client = Client(line)
    version = [page async for page in client.pages(kind, "default")][-1].resource_version
    large = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large", "namespace": "default"}}

    async with client.watch(kind, version, "default", timeout_seconds=30) as events:
        await client.create(kind, large | {"data": {"text": "x" * 900_000}})
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for event in events:
                if event.object is not None:
                    break

    assert event.object is not None
    assert len(event.object.raw) > 900_000


async def test_a_watch_ends_when_its_time_is_over(line: Transport) -> None:
    client = Client(line)
    version = [page async for page in client.pages(VOLUMES)][-1].resource_version

    async with client.watch(VOLUMES, version, timeout_seconds=1) as events, asyncio.timeout(DEADLINE_SECONDS):
        assert [event.type async for event in events if event.type != "BOOKMARK"] == []


async def test_a_revision_that_is_too_old_is_expired_and_a_cache_copes(line: Transport) -> None:
    client = Client(line)
    first = await client.create(VOLUMES, volume("disk-0"))
    for number in range(1, 2 * HISTORY_CHANGES):
        await client.create(VOLUMES, volume(f"disk-{number}"))

    with pytest.raises(ApiFailure) as caught:
        async with client.watch(VOLUMES, first.resource_version, timeout_seconds=5) as events:
            await anext(events)
    assert caught.value.is_expired

    informer = Informer(client, VOLUMES)
    informer._resource_version, informer._must_list = first.resource_version, False  # as after a long gap
    async with asyncio.TaskGroup() as group, asyncio.timeout(DEADLINE_SECONDS):
        task = group.create_task(informer.run())
        await informer.wait_synced()
        task.cancel()
    assert len(informer) == 2 * HISTORY_CHANGES
    assert informer.statistics().expired == 1


async def test_events_are_written(line: Transport) -> None:
    client = Client(line)
    made = await client.create(VOLUMES, volume("disk-1"))
    recorder = EventRecorder(client, "tests")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(recorder.run())
        for _ in range(3):
            recorder.event(Subject.of(VOLUMES.resource, made), "Warning", "VolumeFailedDelete", "no plugin")
        async with asyncio.timeout(DEADLINE_SECONDS):
            await recorder.wait_written()
        task.cancel()

    [event] = await client.list_all(EVENTS, "default")
    assert event.document()["count"] == 3
    assert event.document()["involvedObject"]["uid"] == made.uid


async def test_a_stranger_is_not_let_in(server: EmbeddedServer) -> None:
    config = replace(config_of(server), token="")
    async with HttpTransport(config) as transport:
        with pytest.raises(ApiFailure) as caught:
            await Client(transport, retries=Retries(attempts=1)).list_all(VOLUMES)

    assert caught.value.is_unauthorized or caught.value.is_forbidden


async def test_a_cache_survives_the_server(tmp_path: Path) -> None:
    async with AsyncExitStack() as first_run, AsyncExitStack() as second_run:
        first = await first_run.enter_async_context(EmbeddedServer(tmp_path / "data"))
        transport = await second_run.enter_async_context(HttpTransport(config_of(first)))
        client = Client(transport, retries=Retries(attempts=1))
        await client.create(VOLUMES, volume("disk-1"))
        informer = Informer(client, VOLUMES, chance=lambda: 0.0)
        changed = asyncio.Event()
        informer.add_handler(lambda _: changed.set())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(informer.run())
            await informer.wait_synced()
            await first_run.aclose()
            await second_run.enter_async_context(EmbeddedServer(tmp_path / "data", port=first.port))
            await Client(transport).create(VOLUMES, volume("disk-2"))
            async with asyncio.timeout(DEADLINE_SECONDS):
                while "disk-2" not in informer:
                    changed.clear()
                    await changed.wait()
            task.cancel()

    assert sorted(informer.keys()) == ["disk-1", "disk-2"]
