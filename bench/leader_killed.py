"""The leader of two `pvbinder controller`s is killed with claims in flight: how soon the other one binds, and how well.

`pvbinder up --controllers=` is the server. The first replica makes PAIRS volumes Available, the second one waits for
the lead; then the claims come, and the first replica is killed (SIGKILL) at the first bind that is seen. The figure is
the time from the kill to the first bind by the second replica; the budget is the time of the lease and a second. All
claims have to be bound in the end, each to a volume of its own, and no other volume may refer to one of them.

    python -m bench.leader_killed [PAIRS] [--lease SECONDS]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from time import perf_counter

from bench.controller_process import ONLY, cpu_seconds
from bench.figure import report
from tools.plane import controlling, running

from pvbinder.bench.cases import PhaseWatch, watching
from pvbinder.bench.place import BenchPlace
from pvbinder.kube.client import Client
from pvbinder.kube.config import load
from pvbinder.kube.http import HttpTransport
from pvbinder.kube.kinds import CLAIMS, VOLUMES

PAIRS = 1000
LEASE_SECONDS = 15.0  # the default
AFTER_SECONDS = 1.0


def wrong_pairs(bound: dict[str, str], references: dict[str, str]) -> list[str]:
    """Return what is wrong with the pairs: `bound` are volumes by claim, `references` claims by volume."""
    wrong = [f"{claim} has {volume or 'nothing'}" for claim, volume in bound.items() if references.get(volume) != claim]
    taken = list(bound.values())
    wrong += [f"{volume} is had twice" for volume in set(taken) if taken.count(volume) > 1]
    held = list(references.values())
    return wrong + [f"{claim} is referred to twice" for claim in set(held) if held.count(claim) > 1]


async def pairs_now(place: BenchPlace) -> tuple[dict[str, str], dict[str, str]]:
    """Return the volume of each claim that is Bound, and the claim of each volume that is."""
    claims = await place.client.list_all(CLAIMS, place.namespace)
    volumes = await place.client.list_all(VOLUMES, label_selector=place.selector)
    return (
        {view.key: view.volume_name if view.phase == "Bound" else "" for view in claims},
        {view.name: view.claim_ref.key for view in volumes if view.claim_ref is not None},
    )


async def made_available(place: BenchPlace, volumes: PhaseWatch, numbers: range) -> None:
    """Make volumes, and wait until the replica has settled them."""
    await place.make_volumes(numbers)
    await volumes.wait_for(place.volume(number)["metadata"]["name"] for number in numbers)


async def measure(kubeconfig: Path, pairs: int, lease_seconds: float) -> dict[str, float]:
    """Kill the leader, and return the figures."""
    numbers = range(pairs)
    flags = [*ONLY, "--leader-elect", "--leader-elect-lease-duration", f"{lease_seconds:g}s"]
    async with HttpTransport(load(kubeconfig)) as transport:
        place = BenchPlace(Client(transport), "own")  # the server is thrown away afterwards, and this with it
        names = [place.claim(number)["metadata"]["name"] for number in numbers]
        await place.make_namespace()
        async with watching(place) as (volumes, claims):
            with controlling(kubeconfig, flags, wait=False) as leader:
                await asyncio.to_thread(leader.wait_for, " ready ")
                with controlling(kubeconfig, flags, wait=False) as second:
                    await asyncio.to_thread(second.wait_for, "standing by")
                    await made_available(place, volumes, numbers)
                    coming = asyncio.create_task(place.make_claims(numbers))
                    await claims.wait_for_any()
                    killed = perf_counter()
                    leader.process.kill()
                    leader.process.wait()
                    await coming
                    await asyncio.to_thread(second.wait_for, "became leader")
                    leads = perf_counter()
                    before = dict(claims.seen)
                    await claims.wait_for(names)
                    last = max(claims.seen.values())
                    used = cpu_seconds(second.process)
        bound, references = await pairs_now(place)
    first = min((at for name, at in claims.seen.items() if name not in before), default=last)
    return {
        "first_bind_seconds": first - killed,
        "lead_seconds": leads - killed,
        "after_lead_seconds": first - leads,
        "last_bind_seconds": last - killed,
        "bound_before": float(len(before)),
        "bound": float(sum(map(bool, bound.values()))),
        "wrong": float(len(wrong_pairs(bound, references))),
        "cpu_seconds": used,
    }


def main() -> None:
    """Print the figure; fail if a claim isn't bound, or anything is bound twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="?", type=int, default=PAIRS)
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder,
        running(Path(folder).absolute() / "data", ["--controllers="]) as plane,
    ):
        found = asyncio.run(measure(plane.kubeconfig, asked.pairs, asked.lease))
    report(
        "the first bind after the leader was killed",
        found["first_bind_seconds"],
        "s",
        budget=asked.lease + AFTER_SECONDS,
        better="lower",
        n=asked.pairs,
        lease_seconds=asked.lease,
        **{name: round(value, 2) for name, value in found.items() if name != "first_bind_seconds"},
    )
    if found["wrong"] or found["bound"] != asked.pairs:
        raise SystemExit("claims are bound wrongly, or not at all")


if __name__ == "__main__":
    main()
