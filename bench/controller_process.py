"""How fast `pvbinder controller`, a process of its own, binds a backlog over TLS, beside the ceiling of the server.

`pvbinder up --controllers=` is the server, with every write on disk before anybody hears of it. As many volumes and
claims are made as PAIRS says. The ceiling is measured first: the four writes of a bind with no logic, 64 in flight.
Then the controller starts, and this process sees by watches when each claim becomes Bound. The volumes aren't Available
yet when it starts, so that each pair takes a fifth write; unless `--available` is given: then another controller has
made them so before the claims came. The share of the ceiling is one of writes a second, from the first that is seen.

    python -m bench.controller_process [PAIRS] [--available]
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bench.figure import report
from tools.plane import controlling, running

from pvbinder.bench.cases import PhaseWatch, ceiling, watching
from pvbinder.bench.place import BenchPlace
from pvbinder.kube.client import Client
from pvbinder.kube.config import load
from pvbinder.kube.http import HttpTransport

PAIRS = 1000
BUDGET_OF_CEILING = 0.8
ONLY = ["--controllers", "persistentvolume-binder", "--no-metrics"]


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """Return the processor time that the process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@dataclass(frozen=True)
class Run:
    """A run of the controller: what was seen, when it started, its processor time at the first bind and at the last."""

    volumes: PhaseWatch
    claims: PhaseWatch
    started: float
    cpu_seconds_first: float
    cpu_seconds: float


async def bound_by_controller(place: BenchPlace, kubeconfig: Path, numbers: range) -> Run:
    """Start a controller, and wait until it has bound all claims."""
    async with watching(place) as (volumes, claims):
        started = perf_counter()
        with controlling(kubeconfig, ONLY, wait=False) as controller:
            await claims.wait_for_any()
            first = cpu_seconds(controller.process)
            await claims.wait_for(place.claim(number)["metadata"]["name"] for number in numbers)
            used = cpu_seconds(controller.process)
    return Run(volumes, claims, started, first, used)


async def measure(kubeconfig: Path, pairs: int, *, available: bool) -> dict[str, float]:
    """Measure both, and return the figures."""
    numbers = range(pairs)
    async with HttpTransport(load(kubeconfig)) as transport:
        place = BenchPlace(Client(transport), "own")  # the server is thrown away afterwards, and this with it
        await place.make_namespace()
        await place.make_volumes(numbers)
        if available:
            names = [place.volume(number)["metadata"]["name"] for number in numbers]
            async with watching(place) as (volumes, _):
                with controlling(kubeconfig, ONLY, wait=False):
                    await volumes.wait_for(names)
        await place.make_claims(numbers)
        most = await ceiling(place, numbers)
        run = await bound_by_controller(place, kubeconfig, numbers)
    bound = sorted(run.claims.seen.values())
    settled = sorted(run.volumes.seen.values())
    began = min(bound[0], settled[0]) if settled else bound[0]
    writes = 4 * len(bound) + len(settled)
    return {
        "share": writes / (bound[-1] - began) / (4 * most.value),
        "rate": len(bound) / (bound[-1] - bound[0]),
        "ceiling": most.value,
        "first_bind_seconds": bound[0] - run.started,
        "last_bind_seconds": bound[-1] - run.started,
        "first_bind_cpu_seconds": run.cpu_seconds_first,
        "cpu_seconds": run.cpu_seconds,
        "available_at_first_bind": float(sum(at <= bound[0] for at in settled)),
    }


def main() -> None:
    """Print the figure."""
    words = [word for word in sys.argv[1:] if word != "--available"]
    pairs = int(words[0]) if words else PAIRS
    with (
        tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder,
        running(Path(folder).absolute() / "data", ["--controllers="]) as plane,
    ):
        began = time.time()
        found = asyncio.run(measure(plane.kubeconfig, pairs, available="--available" in sys.argv))
    report(
        "backlog bound by a controller of its own, against the ceiling",
        found["share"],
        "of the ceiling",
        budget=BUDGET_OF_CEILING,
        better="higher",
        n=pairs,
        binds_a_second=round(found["rate"], 1),
        ceiling_a_second=round(found["ceiling"], 1),
        first_bind_seconds=round(found["first_bind_seconds"], 2),
        last_bind_seconds=round(found["last_bind_seconds"], 2),
        first_bind_cpu_seconds=round(found["first_bind_cpu_seconds"], 2),
        available_at_first_bind=round(found["available_at_first_bind"]),
        controller_cpu_seconds=round(found["cpu_seconds"], 2),
        cpu_ms_a_bind=round((found["cpu_seconds"] - found["first_bind_cpu_seconds"]) * 1000 / pairs, 2),
        took_seconds=round(time.time() - began, 1),
    )


if __name__ == "__main__":
    main()
