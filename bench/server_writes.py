"""Durable writes and reads a second of the embedded API server over TLS, with 32 connections.

The server is a process of its own with no controllers; this process is the client: PUTs that change an annotation,
each with the revision of the answer before; merge patches; GETs; a LIST of all. Every write is on disk before it is
answered. The client takes about as much processor as the server: on two cores they leave each other one.

    python -m bench.server_writes [OBJECTS]
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from bench.figure import report
from tools.plane import RunningPlane, access, running

OBJECTS = 1000
CONNECTIONS = 32
SECONDS = 4.0  # for each kind of request
BUDGET_PUTS_A_SECOND = 3000

VOLUMES = "/api/v1/persistentvolumes"
MERGE = {"Content-Type": "application/merge-patch+json"}

Do = Callable[[int], Awaitable[None]]  # one request about the object with this number


class Client:
    """Requests about volumes that exist; each worker has volumes of its own, so that nothing conflicts."""

    def __init__(self, session: aiohttp.ClientSession, objects: int) -> None:
        self._session = session
        self._bodies: list[dict[str, Any]] = [{}] * objects
        self._turn = 0

    async def create(self, number: int) -> None:
        document = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"disk-{number:05}", "labels": {"tier": "fast"}},
            "spec": {
                "storageClassName": "bench",
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "csi": {"driver": "csi.example.com", "volumeHandle": f"handle-{number:05}"},
            },
        }
        async with self._session.post(VOLUMES, json=document) as answer:
            assert answer.status == 201, await answer.text()
            self._bodies[number] = json.loads(await answer.read())

    async def put(self, number: int) -> None:
        body = self._bodies[number]
        self._turn += 1
        body["metadata"].setdefault("annotations", {})["turn"] = str(self._turn)
        async with self._session.put(f"{VOLUMES}/disk-{number:05}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            self._bodies[number] = json.loads(await answer.read())

    def revision_of(self, number: int) -> str:
        """Return the revision of the object as the last answer to a PUT had it."""
        return str(self._bodies[number]["metadata"]["resourceVersion"])

    async def patch(self, number: int) -> None:
        self._turn += 1
        body = {"metadata": {"annotations": {"turn": str(self._turn)}}}
        async with self._session.patch(f"{VOLUMES}/disk-{number:05}", json=body, headers=MERGE) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()

    async def get(self, number: int) -> None:
        async with self._session.get(f"{VOLUMES}/disk-{number:05}") as answer:
            assert answer.status == 200
            await answer.read()

    async def list_all(self, _number: int) -> None:
        async with self._session.get(VOLUMES) as answer:
            assert answer.status == 200
            await answer.read()


async def repeat(do: Do, objects: int, seconds: float) -> tuple[float, float]:
    """Do it from `CONNECTIONS` workers for so long; return how often a second, and the 99th percentile in ms."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def worker(first: int) -> None:
        number = first
        while (started := time.perf_counter()) < end:
            await do(number)
            took.append(time.perf_counter() - started)
            number = number + CONNECTIONS if number + CONNECTIONS < objects else first

    async with asyncio.TaskGroup() as tasks:
        for first in range(CONNECTIONS):
            tasks.create_task(worker(first))
    return len(took) / seconds, sorted(took)[int(len(took) * 0.99)] * 1000


async def create_all(client: Client, objects: int) -> float:
    """Create the volumes; return how many a second."""
    started = time.perf_counter()

    async def worker(first: int) -> None:
        for number in range(first, objects, CONNECTIONS):
            await client.create(number)

    async with asyncio.TaskGroup() as tasks:
        for first in range(CONNECTIONS):
            tasks.create_task(worker(first))
    return objects / (time.perf_counter() - started)


async def measure(plane: RunningPlane, objects: int) -> None:
    """Print a figure for each kind of request."""
    url, context = access(plane.kubeconfig)
    connector = aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        client = Client(session, objects)
        creations = await create_all(client, objects)
        for name, do, budget in (
            ("durable PUTs over TLS", client.put, BUDGET_PUTS_A_SECOND),
            ("durable merge patches over TLS", client.patch, BUDGET_PUTS_A_SECOND / 2),
            ("GETs over TLS", client.get, BUDGET_PUTS_A_SECOND),
            (f"LISTs of {objects} over TLS", client.list_all, 50_000 / objects),
        ):
            cpu = plane.cpu_seconds
            rate, p99 = await repeat(do, objects, SECONDS)
            report(
                name,
                rate,
                "requests/s",
                budget=budget,
                better="higher",
                n=objects,
                connections=CONNECTIONS,
                p99_ms=round(p99, 2),
                server_cpu_us_a_request=round((plane.cpu_seconds - cpu) * 1e6 / (rate * SECONDS)),
                memory_mib=round(plane.memory_mib, 1),
                creations_a_second=round(creations),
            )


def main() -> None:
    """Print the figures."""
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,  # beside us: /tmp may be memory, where durable costs nothing
        running(Path(folder).absolute() / "data", ["--bare", "--controllers="]) as plane,
    ):
        asyncio.run(measure(plane, objects))


if __name__ == "__main__":
    main()
