"""Binders against each other, each as a process of its own, in turns on one API server.

    python -m bench.side_by_side [--kubeconfig FILE] [--binder NAME=COMMAND]... [--writes]
                                 [--pairs 1000] [--burst 300] [--claims 300] [--rate 15] [--rounds 2]

Each turn is, on objects of its own: the ceiling (the four writes of a bind with no logic, 64 in flight, while no
binder runs); the start of the binder beside a backlog whose volumes aren't Available yet, until its first and its last
claim are Bound; then, with the binder started, the same backlog once more, claims that come one by one, and a burst.
At last the ceiling once more, with the binder and this process watching: events cost the server, too.
The processor time of the binder's process is read at each border. Turns alternate, so that what else the machine does
disturbs everybody alike; the last lines set the first binder against the others.

Without --binder it is `pvbinder controller` alone, without --kubeconfig on a `pvbinder up --controllers=` of its own.
{kubeconfig} in a COMMAND is that file. Objects of a run are deleted; who deletes the namespace is the server's affair.
--writes counts the server's requests per bind, for a kube-apiserver that nobody else uses.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import perf_counter

from bench.figure import machine
from tools.plane import running

from pvbinder.bench.cases import backlog, burst, ceiling, rate_of, steady, watching
from pvbinder.bench.place import BenchPlace
from pvbinder.kube.client import Client
from pvbinder.kube.config import load
from pvbinder.kube.http import HttpTransport
from pvbinder.kube.transport import Request
from pvbinder.model.resources import Resource

OURS = f"ours={shlex.quote(sys.executable)} -m pvbinder.cli.main controller --no-metrics --kubeconfig {{kubeconfig}}"
STOP_SECONDS = 30.0
WRITE = re.compile(
    r'^apiserver_request_total\{code="(\d+)".*resource="(persistentvolume(?:claim)?s|events)".*'
    r'verb="(POST|PUT|PATCH|APPLY)".*\} (\d+)$',
    re.MULTILINE,
)
Figures = dict[str, float]
_METRICS = Resource("", "", "Metrics", "metrics", False)  # to count the request


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Return the most memory that a process had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


@contextmanager
def started(command: str, kubeconfig: Path) -> Iterator[int]:
    """Run a binder, and give its process."""
    words = [word.replace("{kubeconfig}", str(kubeconfig)) for word in shlex.split(command)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            yield process.pid
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(f"{words[0]} ended with {process.returncode}:\n{log.read().decode()[-2000:]}")
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@asynccontextmanager
async def place_of_a_turn(client: Client) -> AsyncGenerator[BenchPlace]:
    """Give a place with its namespace."""
    place = BenchPlace(client, secrets.token_hex(3))
    await place.make_namespace()
    yield place


async def writes_so_far(client: Client) -> tuple[int, int]:
    """Return how often volumes, claims and events were written, and how many of those writes met a conflict."""
    answer = await client.request("get", _METRICS, Request("GET", "/metrics"))
    done = conflicts = 0
    for code, _, verb, count in WRITE.findall(answer.body.decode()):
        done += int(count) if verb != "POST" else 0
        conflicts += int(count) if code == "409" else 0
    return done, conflicts


async def turn(client: Client, command: str, kubeconfig: Path, sizes: argparse.Namespace) -> Figures:
    """Measure one binder once."""
    figures: Figures = {}
    async with place_of_a_turn(client) as place:
        numbers = range(sizes.pairs)
        await place.make_volumes(numbers)
        await place.make_claims(numbers)
        figures["ceiling_per_second"] = (await ceiling(place, numbers)).value
        async with watching(place) as watch:
            names = [place.claim(number)["metadata"]["name"] for number in numbers]
            began = perf_counter()
            with started(command, kubeconfig) as pid:
                await watch[1].wait_for(names)
                figures["start_cpu_s"] = cpu_seconds(pid)
                first = min(watch[1].seen.values())
                figures["start_to_first_bind_s"] = first - began
                figures["start_to_last_bind_s"] = max(watch[1].seen.values()) - began
                figures["start_binds_per_second"] = rate_of(watch[1].seen.values(), first)[0]
                await measure_running(place, watch, pid, figures, sizes)
                figures["ceiling_watched_per_second"] = (await ceiling(place, numbers)).value
                figures["memory_mib"] = memory_mib(pid)
        await place.clean_up(patience_seconds=0)
    return figures


async def measure_running(
    place: BenchPlace, watch: object, pid: int, figures: Figures, sizes: argparse.Namespace
) -> None:
    """Measure a binder that has started and is idle."""
    next_number = sizes.pairs

    def fresh(count: int) -> range:
        nonlocal next_number
        next_number += count
        return range(next_number - count, next_number)

    before, writes = cpu_seconds(pid), await counted(place, sizes)
    numbers = fresh(sizes.pairs)
    figures["backlog_per_second"] = (await backlog(place, watch, numbers))[0].value  # type: ignore[arg-type]
    figures["backlog_cpu_ms_per_bind"] = (cpu_seconds(pid) - before) / sizes.pairs * 1000
    if sizes.writes:
        after = await counted(place, sizes)
        figures["writes_per_pair"] = (after[0] - writes[0]) / sizes.pairs
        figures["conflicts"] = after[1] - writes[1]
    before = cpu_seconds(pid)
    median, p99 = await steady(place, watch, fresh(sizes.claims), sizes.rate)  # type: ignore[arg-type]
    figures["steady_p50_ms"], figures["steady_p99_ms"] = median.value, p99.value
    figures["steady_cpu_ms_per_bind"] = (cpu_seconds(pid) - before) / sizes.claims * 1000
    before = cpu_seconds(pid)
    figures["burst_s"] = (await burst(place, watch, fresh(sizes.burst))).value  # type: ignore[arg-type]
    figures["burst_cpu_ms_per_bind"] = (cpu_seconds(pid) - before) / sizes.burst * 1000


async def counted(place: BenchPlace, sizes: argparse.Namespace) -> tuple[int, int]:
    """Return the writes so far, if they are wanted."""
    return await writes_so_far(place.client) if sizes.writes else (0, 0)


async def measure(kubeconfig: Path, binders: Mapping[str, str], sizes: argparse.Namespace) -> dict[str, list[Figures]]:
    """Give each binder its turns, in an order that changes from round to round."""
    found: dict[str, list[Figures]] = {name: [] for name in binders}
    async with HttpTransport(load(kubeconfig)) as transport:
        client = Client(transport)
        for number in range(sizes.rounds):
            for name in list(binders)[:: -1 if number % 2 else 1]:
                figures = await turn(client, binders[name], kubeconfig, sizes)
                found[name].append(figures)
                say({"binder": name, "round": number + 1, "load": os.getloadavg()[0], **figures})
    return found


def compare(found: Mapping[str, Sequence[Figures]]) -> Iterator[dict[str, object]]:
    """Give the medians of each binder, and the first one's by each other's."""
    medians = {
        name: {figure: statistics.median(one[figure] for one in turns) for figure in turns[0]}
        for name, turns in found.items()
    }
    for name, figures in medians.items():
        yield {"medians_of": name, **figures, **shares(found[name])}
    first, *others = medians
    for other in others:
        ratios = {figure: medians[first][figure] / value for figure, value in medians[other].items() if value}
        yield {"ratio": f"{first} / {other}", **ratios}


def shares(turns: Sequence[Figures]) -> Figures:
    """Return the median shares of the two ceilings, each turn's rate by its own."""
    return {
        f"{rate}, share of {most}": statistics.median(
            one[f"{rate}_per_second"] / one[f"{most}_per_second"] for one in turns
        )
        for rate in ("start_binds", "backlog")
        for most in ("ceiling", "ceiling_watched")
    }


def say(line: Mapping[str, object]) -> None:
    """Print one JSON line."""
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in line.items()}))
    sys.stdout.flush()


def main() -> None:
    """Print a line for each turn, and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--binder", action="append", metavar="NAME=COMMAND")
    for name, size in (("pairs", 1000), ("burst", 300), ("claims", 300), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--rate", type=float, default=15.0)
    parser.add_argument("--writes", action="store_true")
    sizes = parser.parse_args()
    binders = dict(each.split("=", 1) for each in sizes.binder or [OURS])
    if sizes.kubeconfig is not None:
        found = asyncio.run(measure(sizes.kubeconfig, binders, sizes))
    else:
        with (
            tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder,
            running(Path(folder).absolute() / "data", ["--controllers="]) as plane,
        ):
            found = asyncio.run(measure(plane.kubeconfig, binders, sizes))
    for line in compare(found):
        say(line)
    say({"machine": machine()})


if __name__ == "__main__":
    main()
