"""How fast hostPath volumes are released and deleted once their claims go, as somebody outside sees it.

Volumes with the policy Delete, each a directory with a file in it, are bound to as many claims. Then all claims are
deleted over TLS; a watcher sees each volume go: its claim's protection ends, it is Released, its directory is deleted,
its finalizers and then it itself go. The rate is all volumes by the seconds from the first deletion asked for to the
last volume gone. Durability is on.

    python -m bench.release_delete [VOLUMES]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.figure import report
from bench.outside import CLAIMS, CLAIMS_OF_DEFAULT, VOLUMES, counted, create, delete, watch_gone, watch_phase
from tools.plane import running

COUNT = 1000
BUDGET_VOLUMES_A_SECOND = 100
BINDER = "persistent-volume-binder"


def volume(number: int, root: Path) -> dict[str, Any]:
    """Return a volume whose directory is below `root`."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"disk-{number:05}"},
        "spec": {
            "storageClassName": "scratch",
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "hostPath": {"path": str(root / f"disk-{number:05}")},
        },
    }


def claim(number: int) -> dict[str, Any]:
    """Return a claim that any of the volumes fits."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"claim-{number:05}"},
        "spec": {
            "storageClassName": "scratch",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def main() -> None:
    """Print the figure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    # beside us: /tmp may be memory, where durable costs nothing
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder:
        top = Path(folder).absolute()
        for number in range(count):
            (top / "disks" / f"disk-{number:05}").mkdir(parents=True)
            (top / "disks" / f"disk-{number:05}" / "data").write_text("kept until the claim goes")
        with running(top / "data", ["--hostpath-root", str(top / "disks")]) as plane:
            config = plane.kubeconfig
            claims = [claim(n) for n in range(count)]
            asyncio.run(create(config, VOLUMES, [volume(n, top / "disks") for n in range(count)]))
            asyncio.run(create(config, CLAIMS_OF_DEFAULT, claims))
            asyncio.run(watch_phase(config, CLAIMS, "Bound", count))
            asyncio.run(watch_phase(config, VOLUMES, "Bound", count))
            requests = counted(config, "pvbinder_api_requests_total", user=BINDER)
            cpu_seconds = plane.cpu_seconds
            names = [one["metadata"]["name"] for one in claims]
            seconds = asyncio.run(watch_gone(config, VOLUMES, lambda: delete(config, CLAIMS_OF_DEFAULT, names)))
            cpu_seconds = plane.cpu_seconds - cpu_seconds
            requests = counted(config, "pvbinder_api_requests_total", user=BINDER) - requests
            left = len(list((top / "disks").iterdir()))
    report(
        "hostPath volumes released and deleted",
        count / seconds,
        "volumes/s",
        budget=BUDGET_VOLUMES_A_SECOND,
        better="higher",
        n=count,
        seconds=round(seconds, 3),
        binder_requests_a_volume=round(requests / count, 3),
        cpu_ms_a_volume=round(cpu_seconds * 1000 / count, 2),
        directories_left=left,
    )


if __name__ == "__main__":
    main()
