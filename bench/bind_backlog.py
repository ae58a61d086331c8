"""How fast a backlog of claims is bound, as somebody outside sees it.

Volumes of mixed sizes are created over TLS and become Available. Then as many claims, all in the volumes' class, are
created while the controllers are off. Then the control plane is started with the controllers on, and a watcher - this
process, over TLS - sees each claim become Bound. Durability is on: every write is on disk before anybody hears of it.

The rate counts the claims that became Bound after the watcher's first look, from that look to the last of them.
`requests_a_bind` are all requests of the binder per claim (the four writes are the least), `conflicts` all answers 409.

    python -m bench.bind_backlog [PAIRS]
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
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

VOLUMES = "/api/v1/persistentvolumes"
CLAIMS = "/api/v1/persistentvolumeclaims"
CLAIMS_OF_DEFAULT = "/api/v1/namespaces/default/persistentvolumeclaims"


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


async def create(kubeconfig: Path, path: str, documents: Sequence[dict[str, Any]]) -> float:
    """Create `documents`, many at once; return creations a second."""
    url, context = access(kubeconfig)
    started = time.perf_counter()
    connector = aiohttp.TCPConnector(ssl=context, limit=IN_FLIGHT)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        pending = iter(documents)

        async def worker() -> None:
            for document in pending:
                async with session.post(path, json=document) as answer:
                    assert answer.status == 201, await answer.text()

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(worker())
    return len(documents) / (time.perf_counter() - started)


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


def main() -> None:
    """Print the figure."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    chance = random.Random(1)
    sizes = [chance.choice(SIZES_GIB) for _ in range(pairs)]
    # beside us: /tmp may be memory, where durable costs nothing
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder:
        data_dir = Path(folder).absolute() / "data"
        with running(data_dir) as plane:
            asyncio.run(create(plane.kubeconfig, VOLUMES, [volume(n, size) for n, size in enumerate(sizes)]))
            asyncio.run(watch_phase(plane.kubeconfig, VOLUMES, "Available", pairs))
        chance.shuffle(sizes)
        claims = [claim(n, size) for n, size in enumerate(sizes)]
        with running(data_dir, ["--controllers="]) as plane:
            creations_a_second = asyncio.run(create(plane.kubeconfig, CLAIMS_OF_DEFAULT, claims))
        with running(data_dir) as plane:
            seen = asyncio.run(watch_phase(plane.kubeconfig, CLAIMS, "Bound", pairs))
            cpu_seconds, memory_mib = plane.cpu_seconds, plane.memory_mib
            requests = counted(plane.kubeconfig, "pvbinder_api_requests_total", user="persistent-volume-binder")
            conflicts = counted(plane.kubeconfig, "pvbinder_api_answers_total", code="409")
    report(
        "backlog of claims bound",
        len(seen.times) / seen.times[-1],
        "binds/s",
        budget=BUDGET_BINDS_A_SECOND,
        better="higher",
        n=pairs,
        bound_before_first_look=seen.at_first,
        seconds=round(seen.times[-1], 3),
        requests_a_bind=round(requests / pairs, 3),
        conflicts=conflicts,
        cpu_ms_a_bind=round(cpu_seconds * 1000 / pairs, 2),
        memory_mib=round(memory_mib, 1),
        creations_a_second=round(creations_a_second),
    )


if __name__ == "__main__":
    main()
