"""Whether Released volumes that are kept cost anything: time of fresh pairs beside them, and requests when idle.

Two control planes, one with nothing in it and one with many volumes that are Released with the policy Retain. In turn,
round by round, a hundred volumes become Available in one of them, then a hundred claims are created over TLS and a
watcher sees the last one Bound. The figure is the time with the Released ones by that without; the fastest round
counts, since whatever else the machine does only adds to it. `cpu_ratio` is the same for the processor time of all
rounds.

Then the plane with the Released volumes starts again with a short resync, and the requests are counted that all its
controllers make in two resyncs in which nothing happens.

    python -m bench.released_retain [RELEASED]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from bench.figure import report
from bench.outside import CLAIMS_OF_DEFAULT, VOLUMES, counted, create, watch_phase
from tools.plane import running

RELEASED = 5000
PAIRS = 100
ROUNDS = 9
RESYNC_SECONDS = 2.0
BUDGET_RATIO = 1.2


def volume(name: str, **more: Any) -> dict[str, Any]:
    """Return a volume that is kept when its claim goes."""
    spec = {
        "storageClassName": "kept",
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": f"/srv/{name}"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec | more}


def released(number: int) -> dict[str, Any]:
    """Return a volume whose claim is gone."""
    gone = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": f"gone-{number:05}"}
    return volume(f"released-{number:05}", claimRef=gone | {"uid": str(uuid.uuid4())})


def claim(name: str) -> dict[str, Any]:
    """Return a claim that any of the fresh volumes fits."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": "kept",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


async def bind_pairs(kubeconfig: Path, number: int) -> float:
    """Bind a round of fresh pairs; return the seconds from the first claim created to the last one Bound."""
    names = [f"fresh-{number:02}-{n:03}" for n in range(PAIRS)]
    await create(kubeconfig, VOLUMES, [volume(name) for name in names])
    await watch_phase(kubeconfig, VOLUMES, "Available", PAIRS)
    started = time.perf_counter()
    await create(kubeconfig, CLAIMS_OF_DEFAULT, [claim(name) for name in names])
    await watch_phase(kubeconfig, CLAIMS_OF_DEFAULT, "Bound", PAIRS * (number + 1))
    return time.perf_counter() - started


def measure_pairs(top: Path, count: int) -> tuple[list[float], list[float]]:
    """Return seconds of the fastest round and processor seconds of all rounds: without Released volumes, and beside."""
    with running(top / "alone") as alone, running(top / "beside") as beside:
        asyncio.run(create(beside.kubeconfig, VOLUMES, [released(n) for n in range(count)]))
        asyncio.run(watch_phase(beside.kubeconfig, VOLUMES, "Released", count))
        planes = (alone, beside)
        fastest, cpu_seconds = [float("inf")] * 2, [0.0] * 2
        for number in range(ROUNDS):
            for at, plane in enumerate(planes):
                before = plane.cpu_seconds
                fastest[at] = min(fastest[at], asyncio.run(bind_pairs(plane.kubeconfig, number)))
                cpu_seconds[at] += plane.cpu_seconds - before
    return fastest, cpu_seconds


def measure_idle(data_dir: Path) -> int:
    """Return the requests of two resyncs in which nothing happens."""
    with running(data_dir, ["--sync-period", f"{RESYNC_SECONDS:.0f}s"]) as plane:
        time.sleep(RESYNC_SECONDS)  # what was left to do is done
        before = counted(plane.kubeconfig, "pvbinder_api_requests_total")
        time.sleep(2.5 * RESYNC_SECONDS)
        return counted(plane.kubeconfig, "pvbinder_api_requests_total") - before


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RELEASED
    # beside us: /tmp may be memory, where durable costs nothing
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder:
        top = Path(folder).absolute()
        (alone, beside), cpu_seconds = measure_pairs(top, count)
        idle_requests = measure_idle(top / "beside")
    report(
        "fresh pairs beside Released volumes, by the same without them",
        beside / alone,
        "times",
        budget=BUDGET_RATIO,
        better="lower",
        n=count,
        pairs=PAIRS,
        rounds=ROUNDS,
        seconds_alone=round(alone, 4),
        seconds_beside=round(beside, 4),
        cpu_ratio=round(cpu_seconds[1] / cpu_seconds[0], 3),
    )
    figure = "requests of two idle resyncs beside Released volumes"
    report(figure, idle_requests, "requests", budget=0, better="lower", n=count)


if __name__ == "__main__":
    main()
