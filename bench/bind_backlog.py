"""How fast a backlog of claims is bound, as somebody outside sees it.

Volumes of mixed sizes and as many claims, all in one class, are created over TLS while the controllers are off. Then
the control plane is started with the controllers on, and a watcher - this process, over TLS - sees each claim become
Bound. Durability is on: every write is on disk before anybody hears of it.

The rate counts the claims that became Bound after the watcher's first look, from that look to the last of them.
`writes_a_bind` is the number of revisions that the server used meanwhile, per claim: four writes are the least.

    python -m bench.bind_backlog [PAIRS]
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from bench.figure import report
from tools.plane import access, running

PAIRS = 1000
IN_FLIGHT = 32
BUDGET_BINDS_A_SECOND = 400
DEADLINE_SECONDS = 300.0
SIZES_GIB = (1, 2, 5, 8, 10, 20, 50, 100)

CLAIMS = "/api/v1/persistentvolumeclaims"


def volume(number: int, size_gib: int) -> dict[str, Any]:
    """Return a volume of the backlog."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"disk-{number:05}"},
        "spec": {
            "storageClassName": "backlog",
            "capacity": {"storage": f"{size_gib}Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": f"/srv/disk-{number:05}"},
        },
    }


def claim(number: int, size_gib: int) -> dict[str, Any]:
    """Return a claim of the backlog; it asks for a little less than a volume of its size has."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"claim-{number:05}"},
        "spec": {
            "storageClassName": "backlog",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": f"{size_gib * 1024 - 100}Mi"}},
        },
    }


async def create_backlog(kubeconfig: Path, pairs: int) -> float:
    """Create the volumes and claims in random order; return creations a second."""
    url, context = access(kubeconfig)
    chance = random.Random(1)
    sizes = [chance.choice(SIZES_GIB) for _ in range(pairs)]
    work = [("/api/v1/persistentvolumes", volume(n, size)) for n, size in enumerate(sizes)]
    chance.shuffle(sizes)
    work += [("/api/v1/namespaces/default/persistentvolumeclaims", claim(n, size)) for n, size in enumerate(sizes)]
    chance.shuffle(work)
    started = time.perf_counter()
    connector = aiohttp.TCPConnector(ssl=context, limit=IN_FLIGHT)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        pending = iter(work)

        async def worker() -> None:
            for path, document in pending:
                async with session.post(path, json=document) as answer:
                    assert answer.status == 201, await answer.text()

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(worker())
    return len(work) / (time.perf_counter() - started)


@dataclass(frozen=True)
class Seen:
    """What the watcher saw: how many were Bound at its first look, when the others followed, and how many writes."""

    bound_at_first: int
    times: tuple[float, ...]  # seconds since the first look
    revisions: int


async def watch_claims(kubeconfig: Path, pairs: int) -> Seen:
    """Look at the claims, then watch until all are Bound."""
    url, context = access(kubeconfig)
    connector = aiohttp.TCPConnector(ssl=context)
    timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout, read_bufsize=2**22) as session:
        async with session.get(CLAIMS) as answer:
            listed = await answer.json(content_type=None)
        started = time.perf_counter()
        first_revision = int(listed["metadata"]["resourceVersion"])
        bound = {item["metadata"]["name"] for item in listed["items"] if item["status"].get("phase") == "Bound"}
        bound_at_first = len(bound)
        times: list[float] = []
        query = {"watch": "true", "resourceVersion": str(first_revision)}
        async with session.get(CLAIMS, params=query) as answer:
            async for event in events_of(answer):
                item = event["object"]
                name = item["metadata"]["name"]
                if name not in bound and item["status"].get("phase") == "Bound":
                    bound.add(name)
                    times.append(time.perf_counter() - started)
                    if len(bound) == pairs:
                        break
        async with session.get("/api/v1/persistentvolumes?limit=1") as answer:
            last_revision = int((await answer.json(content_type=None))["metadata"]["resourceVersion"])
    return Seen(bound_at_first, tuple(times), last_revision - first_revision)


async def events_of(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of a watch."""
    async for line in answer.content:
        yield json.loads(line)


def main() -> None:
    """Print the figure."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    with tempfile.TemporaryDirectory(dir=".") as folder:  # beside us: /tmp may be memory, where durable costs nothing
        data_dir = Path(folder).absolute() / "data"
        with running(data_dir, ["--controllers="]) as plane:
            creations_a_second = asyncio.run(create_backlog(plane.kubeconfig, pairs))
        with running(data_dir) as plane:
            seen = asyncio.run(watch_claims(plane.kubeconfig, pairs))
            cpu_seconds, memory_mib = plane.cpu_seconds, plane.memory_mib
    report(
        "backlog of claims bound",
        len(seen.times) / seen.times[-1],
        "binds/s",
        budget=BUDGET_BINDS_A_SECOND,
        better="higher",
        n=pairs,
        bound_before_first_look=seen.bound_at_first,
        seconds=round(seen.times[-1], 3),
        writes_a_bind=round(seen.revisions / len(seen.times), 3),
        cpu_ms_a_bind=round(cpu_seconds * 1000 / pairs, 2),
        memory_mib=round(memory_mib, 1),
        creations_a_second=round(creations_a_second),
    )


if __name__ == "__main__":
    main()
