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
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.figure import report
from bench.outside import CLAIMS, CLAIMS_OF_DEFAULT, VOLUMES, counted, create, watch_phase
from tools.plane import running

PAIRS = 1000
BUDGET_BINDS_A_SECOND = 400
SIZES_GIB = (1, 2, 5, 8, 10, 20, 50, 100)


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
