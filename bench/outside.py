"""What somebody outside does and sees: creates and deletes many objects over TLS, watches them, reads the metrics."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from tools.plane import access

T = TypeVar("T")

IN_FLIGHT = 32
DEADLINE_SECONDS = 300.0

VOLUMES = "/api/v1/persistentvolumes"
CLAIMS = "/api/v1/persistentvolumeclaims"
CLAIMS_OF_DEFAULT = "/api/v1/namespaces/default/persistentvolumeclaims"


async def create(kubeconfig: Path, path: str, documents: Sequence[dict[str, Any]]) -> float:
    """Create `documents`, many at once; return creations a second."""

    async def post(session: aiohttp.ClientSession, document: dict[str, Any]) -> None:
        async with session.post(path, json=document) as answer:
            assert answer.status == 201, await answer.text()

    return await _many(kubeconfig, documents, post)


async def delete(kubeconfig: Path, path: str, names: Sequence[str]) -> float:
    """Ask for the deletion of the objects called `names`, many at once; return deletions a second."""

    async def ask(session: aiohttp.ClientSession, name: str) -> None:
        async with session.delete(f"{path}/{name}") as answer:
            assert answer.status in (200, 202), await answer.text()

    return await _many(kubeconfig, names, ask)


async def _many(
    kubeconfig: Path, things: Sequence[T], do: Callable[[aiohttp.ClientSession, T], Awaitable[None]]
) -> float:
    url, context = access(kubeconfig)
    started = time.perf_counter()
    connector = aiohttp.TCPConnector(ssl=context, limit=IN_FLIGHT)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        pending = iter(things)

        async def worker() -> None:
            for thing in pending:
                await do(session, thing)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(worker())
    return len(things) / (time.perf_counter() - started)


@dataclass(frozen=True)
class Seen:
    """What the watcher saw: how many were in the phase at its first look, and when the others followed."""

    at_first: int
    times: tuple[float, ...]  # seconds since the first look


async def watch_phase(kubeconfig: Path, path: str, phase: str, count: int) -> Seen:
    """Look at the objects, then watch until `count` are in `phase`."""
    url, context = access(kubeconfig)
    connector = aiohttp.TCPConnector(ssl=context)
    timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout, read_bufsize=2**22) as session:
        async with session.get(path) as answer:
            listed = await answer.json(content_type=None)
        started = time.perf_counter()
        reached = {item["metadata"]["name"] for item in listed["items"] if item["status"].get("phase") == phase}
        at_first = len(reached)
        times: list[float] = []
        if at_first == count:
            return Seen(at_first, ())
        query = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
        async with session.get(path, params=query) as answer:
            async for event in events_of(answer):
                item = event["object"]
                name = item["metadata"]["name"]
                if name not in reached and item["status"].get("phase") == phase:
                    reached.add(name)
                    times.append(time.perf_counter() - started)
                    if len(reached) == count:
                        break
    return Seen(at_first, tuple(times))


async def watch_gone(kubeconfig: Path, path: str, start: Callable[[], Awaitable[object]]) -> float:
    """Call `start` and watch until every object that was there before is gone; return the seconds from the call on."""
    url, context = access(kubeconfig)
    connector = aiohttp.TCPConnector(ssl=context)
    timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout, read_bufsize=2**22) as session:
        async with session.get(path) as answer:
            listed = await answer.json(content_type=None)
        left = {item["metadata"]["name"] for item in listed["items"]}
        query = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
        async with session.get(path, params=query) as answer, asyncio.TaskGroup() as group:
            started = time.perf_counter()
            group.create_task(_carried_out(start))
            async for event in events_of(answer):
                if event["type"] == "DELETED":
                    left.discard(event["object"]["metadata"]["name"])
                    if not left:
                        break
            return time.perf_counter() - started


async def _carried_out(start: Callable[[], Awaitable[object]]) -> None:
    await start()


async def events_of(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of a watch."""
    async for line in answer.content:
        yield json.loads(line)


def counted(kubeconfig: Path, name: str, **labels: str) -> int:
    """Return the sum of a metric over all series with `labels`."""
    url, context = access(kubeconfig)
    with urllib.request.urlopen(f"{url}/metrics", context=context) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        round(float(line.rpartition(" ")[2]))
        for line in lines
        if line.startswith(name + "{") and all(label in line for label in wanted)
    )
