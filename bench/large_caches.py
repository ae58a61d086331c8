"""What `pvbinder controller`, a process of its own, costs beside 100 000 volumes that are bound to 100 000 claims.

`pvbinder up --controllers=` is the server, over TLS, and begins with all of them. Then `pvbinder controller` starts,
with the controllers of persistent volumes. Its processor time and memory are read when its caches are full and all
controllers run, when it has looked at everything and rests, in each period with a resync after that, and while claims
come one by one that a volume fits.

    python -m bench.large_caches [PAIRS]
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figure import report
from tools.plane import controlling, running

from pvbinder.bench.cases import watching
from pvbinder.bench.place import bench_place
from pvbinder.kube.client import Client
from pvbinder.kube.config import load
from pvbinder.kube.http import HttpTransport
from pvbinder.model.names import BIND_COMPLETED, BOUND_BY_CONTROLLER, YES

PAIRS = 100_000
CLAIMS = 50  # that come when all is at rest
RESYNC_SECONDS = 15.0  # the period that nobody changed
REST_SECONDS = 4.0  # without work, and it has looked at everything
BUDGET_SYNCED_CPU_SECONDS = 15.0
BUDGET_MEMORY_MIB = 400.0
BUDGET_RESYNC_CPU_SECONDS = 0.1
BUDGET_BIND_SECONDS = 0.05
LOAD_SECONDS = 900.0
MODES = ["ReadWriteOnce"]
DRIVER = "disks.example.com"
TIME = "2026-01-01T00:00:00Z"


def owned(manager: str, fields: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    """Return an entry of ``managedFields``."""
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": TIME,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return entry | ({"subresource": subresource} if subresource else {})


def fields_of(value: object) -> dict[str, Any]:
    """Return all fields of a value as paths, lists as one."""
    if not isinstance(value, dict):
        return {}
    return {".": {}, **{f"f:{name}": fields_of(inner) for name, inner in value.items()}}


def with_owners(document: dict[str, Any], maker: str) -> dict[str, Any]:
    """Return `document` with the owners of its fields, as a server would have recorded them."""
    metadata = document["metadata"]
    made = {
        "f:metadata": {"f:annotations": fields_of(metadata["annotations"])},
        "f:spec": {f"f:{name}": fields_of(value) for name, value in document["spec"].items()},
    }
    status = {"f:status": {f"f:{name}": fields_of(value) for name, value in document["status"].items()}}
    metadata["managedFields"] = [owned(maker, made), owned("kube-controller-manager", status, "status")]
    return document


def pair(number: int) -> list[dict[str, Any]]:
    """Return a volume and the claim that has it, as a CSI provisioner and the controllers leave them."""
    uid = f"00000000-0000-4000-8000-{number:012d}"
    name = f"pvc-{uid}"
    claim = {"namespace": f"team-{number % 100}", "name": f"data-{number}"}
    common = {"accessModes": MODES, "storageClassName": "disks", "volumeMode": "Filesystem"}
    size = {"storage": "10Gi"}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": name,
                "annotations": {
                    "pv.kubernetes.io/provisioned-by": DRIVER,
                    "volume.kubernetes.io/provisioner-deletion-secret-name": "",
                    "volume.kubernetes.io/provisioner-deletion-secret-namespace": "",
                },
                "finalizers": ["external-provisioner.volume.kubernetes.io/finalizer", "kubernetes.io/pv-protection"],
            },
            "spec": {
                **common,
                "capacity": size,
                "persistentVolumeReclaimPolicy": "Delete",
                "csi": {
                    "driver": DRIVER,
                    "fsType": "ext4",
                    "volumeHandle": f"vol-{number:017x}",
                    "volumeAttributes": {
                        "storage.kubernetes.io/csiProvisionerIdentity": f"1700000000000-{number % 7}-{DRIVER}"
                    },
                },
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": uid, **claim},
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [
                                    {
                                        "key": "topology.kubernetes.io/zone",
                                        "operator": "In",
                                        "values": [f"zone-{number % 3}"],
                                    }
                                ]
                            }
                        ]
                    }
                },
            },
            "status": {"phase": "Bound"},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                **claim,
                "uid": uid,
                "labels": {"app": f"app-{number % 500}"},
                "annotations": {
                    BIND_COMPLETED: YES,
                    BOUND_BY_CONTROLLER: YES,
                    "volume.beta.kubernetes.io/storage-provisioner": DRIVER,
                    "volume.kubernetes.io/storage-provisioner": DRIVER,
                },
                "finalizers": ["kubernetes.io/pvc-protection"],
            },
            "spec": {**common, "resources": {"requests": size}, "volumeName": name},
            "status": {"phase": "Bound", "capacity": size, "accessModes": MODES},
        },
    ]


def dump(pairs: int) -> list[dict[str, Any]]:
    """Return all objects, as ``kubectl get -o json`` gives them."""
    items: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{number}"}} for number in range(100)
    ]
    items.append(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "disks"},
            "provisioner": DRIVER,
        }
    )
    for number in range(pairs):
        volume, claim = pair(number)
        items += (with_owners(volume, "csi-provisioner"), with_owners(claim, "kubectl-create"))
    return items


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """Return the processor time that all threads of the process have used, to the nanosecond."""
    total = 0
    for stat in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
        total += int(stat.read_text().split()[0])
    return total / 1e9


def memory_mib(process: subprocess.Popen[str], name: str) -> float:
    """Return its resident memory, now (VmRSS) or at most (VmHWM)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


async def until_rest(process: subprocess.Popen[str]) -> float:
    """Wait until it has worked for less than a fiftieth of `REST_SECONDS`; return what it had used before that."""
    used = cpu_seconds(process)
    while True:
        await asyncio.sleep(REST_SECONDS)
        now = cpu_seconds(process)
        if now - used < REST_SECONDS / 50:
            return used
        used = now


async def resyncs(process: subprocess.Popen[str], count: int) -> list[float]:
    """Return the processor time of each of the next resyncs: of each period, as it does nothing else in it."""
    found = []
    for _ in range(count):
        before = cpu_seconds(process)
        await asyncio.sleep(RESYNC_SECONDS)
        found.append(cpu_seconds(process) - before)
    return found


async def binds(kubeconfig: Path, count: int) -> list[float]:
    """Return, of claims that come one by one, how long each took from its POST until a watch said that it is Bound."""
    took = []
    async with HttpTransport(load(kubeconfig)) as transport, bench_place(Client(transport)) as place:
        numbers = range(count)
        async with watching(place) as (volumes, claims):
            await place.make_volumes(numbers)
            await volumes.wait_for(place.volume(number)["metadata"]["name"] for number in numbers)
            for number in numbers:
                name = place.claim(number)["metadata"]["name"]
                started = time.perf_counter()
                await place.make_claims(range(number, number + 1))
                await claims.wait_for([name])
                took.append(claims.seen[name] - started)
    return took


async def measure(kubeconfig: Path, pairs: int) -> None:
    """Start the controller, and print the figures."""
    with controlling(kubeconfig, ["--no-metrics"], wait=False) as controller:
        process = controller.process
        async with asyncio.timeout(LOAD_SECONDS):
            while "controllers started" not in controller.log():
                await asyncio.sleep(0.2)
        synced, synced_mib = cpu_seconds(process), memory_mib(process, "VmRSS")
        rested = await until_rest(process)
        periods = await resyncs(process, 3)
        took = await binds(kubeconfig, CLAIMS)
        most_mib = memory_mib(process, "VmHWM")
    report(
        "controller beside complete pairs: processor until it is synced and has looked at everything",
        rested,
        "s",
        budget=BUDGET_SYNCED_CPU_SECONDS,
        better="lower",
        n=pairs,
        synced_cpu_seconds=round(synced, 2),
    )
    report(
        "the same: memory, the most at any time",
        most_mib,
        "MiB",
        budget=BUDGET_MEMORY_MIB,
        better="lower",
        n=pairs,
        synced_mib=round(synced_mib),
    )
    report(
        "the same: processor of a period with a resync",
        max(periods),
        "s",
        budget=BUDGET_RESYNC_CPU_SECONDS,
        better="lower",
        n=pairs,
        all_seconds=[round(one, 3) for one in periods],
    )
    took.sort()
    report(
        "the same: one more claim Bound, 99th percentile",
        statistics.quantiles(took, n=100)[98],
        "s",
        budget=BUDGET_BIND_SECONDS,
        better="lower",
        n=CLAIMS,
        median_seconds=round(statistics.median(took), 4),
    )


def main() -> None:
    """Print the figures."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder:
        file = Path(folder) / "dump.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": dump(pairs)}))
        flags = ["--controllers=", "--load", str(file)]
        with running(Path(folder).absolute() / "data", flags, ready_seconds=LOAD_SECONDS) as plane:
            file.unlink()
            asyncio.run(measure(plane.kubeconfig, pairs))


if __name__ == "__main__":
    main()
