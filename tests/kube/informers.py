"""An informer on a small server, and what its handlers hear."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

from tests.kube.small_server import SmallServer

from pvbinder.kube.client import Client, KubernetesObject, Retries
from pvbinder.kube.informer import Added, Change, Deleted, Informer, Updated
from pvbinder.kube.kinds import VOLUMES
from pvbinder.model.objects import Volume, parse_volume

T = TypeVar("T", bound=KubernetesObject)

VOLUME = "/api/v1/persistentvolumes"


def volume(name: str, revision: int, uid: str = "u1", **labels: str) -> Volume:
    metadata = {"name": name, "uid": uid, "resourceVersion": str(revision), "labels": labels}
    return parse_volume(json.dumps({"metadata": metadata}).encode())


def short(change: Change[Volume]) -> str:
    match change:
        case Added(object=new):
            return f"+{new.name}@{new.resource_version}"
        case Updated(before=old, object=new):
            return f"{old.name}@{old.resource_version}>{new.resource_version}"
        case Deleted(object=old):
            return f"-{old.name}@{old.resource_version}"


def informer_of(server: SmallServer, page_limit: int = 500) -> tuple[Informer[Volume], list[str]]:
    client = Client(server, retries=Retries(attempts=1))
    informer = Informer(client, VOLUMES, page_limit=page_limit, chance=lambda: 0.0)
    heard: list[str] = []
    informer.add_handler(lambda change: heard.append(short(change)))
    return informer, heard


@asynccontextmanager
async def following(*names: str, revision: int = 0) -> AsyncGenerator[tuple[SmallServer, Informer[Volume], list[str]]]:
    """A server with volumes of these names, an informer that has settled, and what it has said."""
    server = SmallServer(revision=revision)
    for name in names:
        server.apply(f"{VOLUME}/{name}")
    informer, heard = informer_of(server)
    async with running(informer):
        await settle()
        yield server, informer, heard


@asynccontextmanager
async def running(informer: Informer[T]) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(informer.run())
        async with asyncio.timeout(60):
            await informer.wait_synced()
        yield
        task.cancel()


async def settle() -> None:
    """Let everything happen that needs no more than a moment."""
    await asyncio.sleep(0.001)
