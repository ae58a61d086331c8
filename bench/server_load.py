"""The embedded API server under load: long lists, many watchers, and a hundred thousand objects.

The server is a process of its own without controllers; this process is all of its clients, so on two cores each of the
two has one. Reads and writes of single objects are `bench.server_writes`.

    python -m bench.server_load [OBJECTS]
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from bench.figure import report
from bench.server_writes import CONNECTIONS, VOLUMES, Client, create_all, repeat
from tools.plane import RunningPlane, access, running

from pvbinder.server.store import Store

OBJECTS = 100_000
LISTED = 10_000
WATCHERS = 200
WATCHED_WRITES = 500
PAGE = 500
LISTERS = 3
BESIDE = 1_000  # objects in each of their lists
BESIDE_SECONDS = 4.0
FLAGS = ("--bare", "--controllers=")
BATCH = 5_000  # objects that are stored at once when the directory is filled

LEAST_EVENTS_A_SECOND = 20_000
MOST_LAG_MS = 2_000
MOST_BESIDE_MS = 50
MOST_START_SECONDS = 3.0
MOST_BYTES_AN_OBJECT = 4_096
LEAST_LISTED_A_SECOND = 50_000


async def fill(data_dir: Path, objects: int) -> int:
    """Store copies of the one volume that is there, each with a name and a UID of its own; return the bytes of one."""
    async with Store(data_dir) as store:
        (template,) = [stored for _, stored in store.objects("persistentvolumes")]
        document: dict[str, Any] = json.loads(template.data)
        for start in range(1, objects, BATCH):
            futures = []
            for number in range(start, min(start + BATCH, objects)):
                name, uid = f"disk-{number:05}", f"00000000-0000-4000-8000-{number:012}"
                document["metadata"] |= {"name": name, "uid": uid}

                def encode(revision: int) -> bytes:
                    document["metadata"]["resourceVersion"] = str(revision)
                    return json.dumps(document, separators=(",", ":")).encode()

                futures.append(store.put("persistentvolumes", name, encode)[1])
            for future in futures:
                await future
    return len(template.data)


def session_of(plane: RunningPlane) -> aiohttp.ClientSession:
    """Return a session with as many connections as there may be watchers."""
    url, context = access(plane.kubeconfig)
    return aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(ssl=context, limit=0), read_bufsize=2**20)


async def pages(session: aiohttp.ClientSession, limit: int) -> tuple[int, float]:
    """Read all volumes in pages; return how many there are, and how long the slowest page took in ms."""
    query = {"limit": str(limit)}
    seen, slowest = 0, 0.0
    while True:
        started = time.perf_counter()
        async with session.get(VOLUMES, params=query) as answer:
            body = json.loads(await answer.read())
        slowest = max(slowest, time.perf_counter() - started)
        seen += len(body["items"])
        token = body["metadata"].get("continue")
        if not token:
            return seen, slowest * 1000
        query["continue"] = token


async def watched(session: aiohttp.ClientSession, client: Client) -> tuple[float, float, float]:
    """Write while many watch; return events delivered a second, and the median and 99th percentile of the lag in ms.

    The lag of an event is counted from the write's answer; those that come before it count as 0.
    """
    answered: dict[str, float] = {}  # when the write that led to a revision was answered
    arrived: list[tuple[str, float]] = []
    opened = asyncio.Semaphore(0)
    async with session.get(VOLUMES, params={"limit": "1"}) as answer:
        revision = json.loads(await answer.read())["metadata"]["resourceVersion"]

    async def watcher() -> None:
        query = {"watch": "true", "resourceVersion": revision}
        left = WATCHED_WRITES
        async with session.get(VOLUMES, params=query) as answer:
            opened.release()
            async for line in answer.content:
                # the first one in an object is its own: no need to read the rest
                arrived.append(
                    (line.partition(b'"resourceVersion":"')[2].partition(b'"')[0].decode(), time.perf_counter())
                )
                left -= 1
                if not left:
                    return

    async with asyncio.TaskGroup() as tasks:
        for _ in range(WATCHERS):
            tasks.create_task(watcher())
        for _ in range(WATCHERS):
            await opened.acquire()
        started = time.perf_counter()
        for number in range(WATCHED_WRITES):
            await client.put(number)
            answered[client.revision_of(number)] = time.perf_counter()
    lags = sorted(max(0.0, at - answered[revision]) * 1000 for revision, at in arrived)
    rate = len(arrived) / (max(at for _, at in arrived) - started)
    return rate, lags[len(lags) // 2], lags[int(len(lags) * 0.99)]


async def reads_beside_lists(session: aiohttp.ClientSession, client: Client) -> tuple[float, float, float]:
    """Read single objects while others list; return lists a second, and median and 99th percentile of a read in ms."""
    end = time.perf_counter() + BESIDE_SECONDS
    lists = 0
    took: list[float] = []

    async def list_on() -> None:
        nonlocal lists
        while time.perf_counter() < end:
            async with session.get(VOLUMES, params={"limit": str(BESIDE)}) as answer:
                await answer.read()
            lists += 1

    async def read_on() -> None:
        while (started := time.perf_counter()) < end:
            await client.get(0)
            took.append(time.perf_counter() - started)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(LISTERS):
            tasks.create_task(list_on())
        tasks.create_task(read_on())
    took.sort()
    return lists / BESIDE_SECONDS, took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000


async def measure_lists_and_watches(plane: RunningPlane) -> None:
    """Print the figures of long lists and of many watchers."""
    async with session_of(plane) as session:
        client = Client(session, LISTED)
        before = plane.memory_mib
        await create_all(client, LISTED)
        grown = (plane.memory_mib - before) * 2**20 / LISTED
        rate, p99 = await repeat(client.list_all, LISTED, 6.0)
        report(
            f"objects in LISTs of {LISTED} over TLS",
            rate * LISTED,
            "objects/s",
            budget=LEAST_LISTED_A_SECOND,
            better="higher",
            n=LISTED,
            connections=CONNECTIONS,
            p99_ms=round(p99),
            memory_mib=round(plane.memory_mib, 1),
            bytes_grown_a_creation=round(grown),
        )
        headers = {"Accept-Encoding": "gzip"}  # as they are: this process isn't to spend its time on unpacking them
        url, context = access(plane.kubeconfig)
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(url, connector=connector, auto_decompress=False, headers=headers) as listing:
            lists, p50, p99 = await reads_beside_lists(listing, client)
        report(
            f"GETs beside {LISTERS} clients that list {BESIDE} objects over TLS",
            p99,
            "ms",
            budget=MOST_BESIDE_MS,
            better="lower",
            n=LISTERS,
            p50_ms=round(p50, 1),
            lists_a_second=round(lists),
        )
        cpu = plane.cpu_seconds
        events, lag, lag_p99 = await watched(session, client)
        report(
            f"events to {WATCHERS} watchers over TLS",
            events,
            "events/s",
            budget=LEAST_EVENTS_A_SECOND,
            better="higher",
            n=WATCHED_WRITES * WATCHERS,
            server_cpu_us_an_event=round((plane.cpu_seconds - cpu) * 1e6 / (WATCHED_WRITES * WATCHERS), 1),
        )
        report(
            f"lag of events to {WATCHERS} watchers",
            lag_p99,
            "ms",
            budget=MOST_LAG_MS,
            better="lower",
            n=WATCHED_WRITES * WATCHERS,
            p50_ms=round(lag, 1),
        )


async def make_one(plane: RunningPlane) -> None:
    """Create the volume that the others are copies of."""
    async with session_of(plane) as session:
        await Client(session, 1).create(0)


async def read_in_pages(plane: RunningPlane, objects: int) -> None:
    """Print how fast all objects are read in pages."""
    async with session_of(plane) as session:
        started = time.perf_counter()
        seen, slowest = await pages(session, PAGE)
        assert seen == objects, seen
        report(
            f"LIST of {objects} in pages of {PAGE}",
            objects / (time.perf_counter() - started),
            "objects/s",
            budget=LEAST_LISTED_A_SECOND,
            better="higher",
            n=objects,
            slowest_page_ms=round(slowest, 1),
            memory_mib=round(plane.memory_mib, 1),
        )


def measure_many(folder: Path, objects: int) -> None:
    """Print how long a start takes with many objects on disk, and what each weighs in memory."""
    data_dir = folder / "many"
    with running(data_dir, FLAGS) as plane:
        asyncio.run(make_one(plane))
        empty_mib, empty_seconds = plane.memory_mib, plane.took_seconds
    size = asyncio.run(fill(data_dir, objects))
    with running(data_dir, FLAGS) as plane:
        report(
            f"start with {objects} objects on disk",
            plane.took_seconds,
            "s",
            budget=MOST_START_SECONDS,
            better="lower",
            n=objects,
            seconds_when_empty=round(empty_seconds, 2),
        )
        report(
            "memory of a stored object",
            (plane.memory_mib - empty_mib) * 2**20 / objects,
            "bytes",
            budget=MOST_BYTES_AN_OBJECT,
            better="lower",
            n=objects,
            bytes_of_its_json=size,
            memory_mib=round(plane.memory_mib, 1),
        )
        asyncio.run(read_in_pages(plane, objects))


def main() -> None:
    """Print the figures."""
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as name:  # beside us: /tmp may be memory
        folder = Path(name).absolute()
        with running(folder / "load", FLAGS) as plane:
            asyncio.run(measure_lists_and_watches(plane))
        measure_many(folder, objects)


if __name__ == "__main__":
    main()
