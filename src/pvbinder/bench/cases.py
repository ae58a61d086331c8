"""What is measured: the ceiling of the server, a backlog, a steady stream and a burst of claims."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final

from msgspec import Struct

from pvbinder.bench.place import BenchPlace, at_once
from pvbinder.bench.process import Process
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json

ANNOTATION: Final = "pvbinder.dev/bench-turn"
WAIT_SECONDS: Final = 300.0
LAST_CHANGES_SECONDS: Final = 0.3
NOBODY: Final = "does a binder run at this API server? pvbinder controller, or kube-controller-manager"


class NobodyBindsError(PvbinderError):
    """Objects didn't reach the phase that a binder gives them."""


class Figure(Struct, frozen=True):
    """One figure of a run."""

    case: str
    value: float
    unit: str
    of_ceiling: float | None = None
    count: int = 0
    seconds: float = 0.0


class PhaseWatch:
    """When claims or volumes of a run were first seen in a phase, by name, on the clock of `perf_counter`."""

    def __init__(self, phase: str) -> None:
        self.phase = phase
        self.seen: dict[str, float] = {}
        self.changes = 0  # of objects that were there: writes, whoever made them
        self._changed = asyncio.Event()

    def note(self, name: str, phase: str) -> None:
        """An object was seen in `phase`."""
        if phase == self.phase and name not in self.seen:
            self.seen[name] = perf_counter()
            self._changed.set()

    async def wait_for_any(self, *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until any object was seen; raise `NobodyBindsError` after `seconds` without."""
        try:
            async with asyncio.timeout(seconds):
                while not self.seen:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise NobodyBindsError(f"no object is {self.phase} after {seconds:.0f} s", hint=NOBODY) from None

    async def wait_for(self, names: Iterable[str], *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until all of `names` were seen; raise `NobodyBindsError` after `seconds` without."""
        missing = set(names)
        try:
            async with asyncio.timeout(seconds):
                while missing := missing - self.seen.keys():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise NobodyBindsError(
                f"{len(missing)} objects are not {self.phase} after {seconds:.0f} s, among them {min(missing)}",
                hint=NOBODY,
            ) from None


@asynccontextmanager
async def watching(place: BenchPlace) -> AsyncGenerator[tuple[PhaseWatch, PhaseWatch]]:
    """Watch the volumes and claims of a run: give when volumes became Available and claims Bound."""
    volumes, claims = PhaseWatch("Available"), PhaseWatch("Bound")
    async with asyncio.TaskGroup() as group:
        started = asyncio.Event()
        tasks = [
            group.create_task(_watch_volumes(place, volumes, started)),
            group.create_task(_watch_claims(place, claims)),
        ]
        await started.wait()
        try:
            yield volumes, claims
        finally:
            for task in tasks:
                task.cancel()


async def _watch_volumes(place: BenchPlace, into: PhaseWatch, started: asyncio.Event) -> None:
    client, selector = place.client, place.selector
    while True:
        page = await client.peek(VOLUMES, label_selector=selector)
        async with client.watch(VOLUMES, page.resource_version, label_selector=selector) as events:
            started.set()
            async for event in events:
                if event.object is not None:
                    into.changes += event.type == "MODIFIED"
                    into.note(event.object.name, event.object.phase)


async def _watch_claims(place: BenchPlace, into: PhaseWatch) -> None:
    client = place.client
    while True:
        page = await client.peek(CLAIMS, place.namespace)
        async with client.watch(CLAIMS, page.resource_version, place.namespace) as events:
            async for event in events:
                if event.object is not None:
                    into.changes += event.type == "MODIFIED"
                    into.note(event.object.name, event.object.phase)


async def ceiling(place: BenchPlace, numbers: range) -> Figure:
    """Measure the four writes of a bind with no logic: spec and status of each pair that is there, by PUT."""
    client = place.client
    volumes = {view.name: view.document() for view in await client.list_all(VOLUMES, label_selector=place.selector)}
    claims = {view.name: view.document() for view in await client.list_all(CLAIMS, place.namespace)}

    async def write(number: int) -> None:
        volume = volumes[place.volume(number)["metadata"]["name"]]
        claim = claims[place.claim(number)["metadata"]["name"]]
        _annotate(volume)
        volume = (await client.replace(VOLUMES, volume)).document()
        volume["status"] = {**(volume.get("status") or {}), "message": "measured"}
        await client.replace(VOLUMES, volume, subresource="status")
        _annotate(claim)
        claim = (await client.replace(CLAIMS, claim)).document()
        condition = {"type": "Measured", "status": "True"}
        claim["status"] = {**(claim.get("status") or {}), "conditions": [condition]}
        await client.replace(CLAIMS, claim, subresource="status")

    started = perf_counter()
    await at_once(numbers, write)
    seconds = perf_counter() - started
    return Figure("ceiling", len(numbers) / seconds, "binds/s", count=len(numbers), seconds=seconds)


def _annotate(document: Json) -> None:
    metadata = document["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), ANNOTATION: "1"}


def rate_of(times: Iterable[float], since: float) -> tuple[float, float]:
    """Return events a second and seconds, from `since` to the last of `times`."""
    found = sorted(times)
    seconds = found[-1] - since
    return len(found) / seconds, seconds


async def backlog(
    place: BenchPlace, watch: tuple[PhaseWatch, PhaseWatch], numbers: range, process: Process | None = None
) -> list[Figure]:
    """Measure how fast claims are bound that come all at once, from the first POST to the last Bound.

    Besides: how many changes of a claim and a volume a bind is made of, and the processor time that `process` takes.
    """
    volumes, claims = watch
    count = len(numbers)
    await place.make_volumes(numbers)
    await volumes.wait_for(place.volume(number)["metadata"]["name"] for number in numbers)
    names = [place.claim(number)["metadata"]["name"] for number in numbers]
    before = volumes.changes + claims.changes
    used = process.cpu_seconds() if process is not None else 0.0
    started = perf_counter()
    await place.make_claims(numbers)
    await claims.wait_for(names)
    rate, seconds = rate_of((claims.seen[name] for name in names), started)
    await asyncio.sleep(LAST_CHANGES_SECONDS)  # the two watches don't keep step
    figures = [Figure("backlog", rate, "binds/s", count=count, seconds=seconds)]
    changes = volumes.changes + claims.changes - before
    figures.append(Figure("writes a bind", changes / count, "", count=count, seconds=seconds))
    if process is not None:
        used = process.cpu_seconds() - used
        figures.append(Figure("processor time a bind", used / count * 1000, "ms", count=count, seconds=seconds))
    return figures


async def steady(
    place: BenchPlace, watch: tuple[PhaseWatch, PhaseWatch], numbers: range, per_second: float
) -> tuple[Figure, Figure]:
    """Measure the time from POST to Bound of claims that come one by one: its median and 99th percentile."""
    volumes, claims = watch
    await place.make_volumes(numbers)
    await volumes.wait_for(place.volume(number)["metadata"]["name"] for number in numbers)
    posted: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def post(number: int) -> None:
        document = place.claim(number)
        posted[document["metadata"]["name"]] = perf_counter()
        await place.client.create(CLAIMS, document)

    async with asyncio.TaskGroup() as group:
        for place_in_line, number in enumerate(numbers):
            await asyncio.sleep(max(0.0, began + place_in_line / per_second - loop.time()))
            group.create_task(post(number))
    await claims.wait_for(posted)
    took = sorted(claims.seen[name] - at for name, at in posted.items())
    seconds = loop.time() - began
    p99 = took[min(len(took) - 1, round(len(took) * 0.99))]
    return (
        Figure("steady, median", statistics.median(took) * 1000, "ms", count=len(took), seconds=seconds),
        Figure("steady, 99th percentile", p99 * 1000, "ms", count=len(took), seconds=seconds),
    )


async def burst(place: BenchPlace, watch: tuple[PhaseWatch, PhaseWatch], numbers: range) -> Figure:
    """Measure how long a burst of claims takes, from the first POST to the last Bound."""
    figure, *_ = await backlog(place, watch, numbers)
    return Figure("burst", figure.seconds, "s", count=figure.count, seconds=figure.seconds)


async def run_all(
    place: BenchPlace,
    *,
    pairs: int,
    burst_claims: int,
    steady_claims: int,
    per_second: float,
    tell: Callable[[str], None],
    process: Process | None = None,
) -> list[Figure]:
    """Run every case in one place, the ceiling last, on the pairs that are there by then; `tell` what begins."""
    figures: list[Figure] = []
    async with watching(place) as watch:
        tell(f"a steady {per_second:g} claims a second, {steady_claims} of them")
        figures += await steady(place, watch, range(steady_claims), per_second)
        first = steady_claims
        tell(f"a burst of {burst_claims} claims")
        figures.append(await burst(place, watch, range(first, first + burst_claims)))
        first += burst_claims
        tell(f"a backlog of {pairs} pairs")
        bound, *costs = await backlog(place, watch, range(first, first + pairs), process)
        tell("the ceiling: the same writes with no logic")
        most = await ceiling(place, range(first, first + pairs))
    figures.append(Figure(bound.case, bound.value, bound.unit, bound.value / most.value, bound.count, bound.seconds))
    return [*figures, *costs, most]
