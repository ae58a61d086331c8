"""How long `pvbinder up --load` takes until it is ready with 100 000 objects of a dump, and what it weighs then."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.figure import report
from tools.plane import running

TRIPLES = 33_000  # of a bound pair and the pod that uses it
LABELLED = 1_000  # config maps beside them


def dump() -> list[dict[str, Any]]:
    """Return the objects, as ``kubectl get -o json`` gives them."""
    items: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "fast"},
            "provisioner": "d.example.com",
        },
    ]
    for number in range(TRIPLES):
        items += triple(number)
    for number in range(LABELLED):
        metadata = {"name": f"m-{number}", "namespace": "shop"}
        items.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b" * 500}})
    return items


def triple(number: int) -> list[dict[str, Any]]:
    """Return a volume, the claim that it is bound to, and a pod that runs with it."""
    uid = f"00000000-0000-4000-8000-{number:012d}"
    claim = {"namespace": "shop", "name": f"c-{number}", "uid": uid}
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}
    size = {"storage": "10Gi"}
    volume_spec = {
        **common,
        "capacity": size,
        "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": "d.example.com", "volumeHandle": f"h-{number}"},
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim},
    }
    bound = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}
    container = {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": f"c-{number}"}}]
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"pv-{number}"},
            "spec": volume_spec,
            "status": {"phase": "Bound"},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {**claim, "annotations": bound},
            "spec": {**common, "resources": {"requests": size}, "volumeName": f"pv-{number}"},
            "status": {"phase": "Bound", "capacity": size, "accessModes": ["ReadWriteOnce"]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"p-{number}", "namespace": "shop"},
            "spec": {"nodeName": "node-1", "containers": [container], "volumes": volumes},
            "status": {"phase": "Running"},
        },
    ]


def main() -> None:
    """Print how long it takes, and its memory; then both for the next start."""
    with tempfile.TemporaryDirectory() as folder:
        file, data = Path(folder) / "dump.json", Path(folder) / "data"
        items = dump()
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        for name, flags, seconds in (("load a dump", ["--load", str(file)], 60), ("start again with it", [], 10)):
            with running(data, flags) as plane:
                report(
                    name,
                    plane.took_seconds,
                    "s",
                    budget=seconds,
                    better="lower",
                    n=len(items),
                    memory_mib=round(plane.memory_mib),
                    cpu_seconds=plane.cpu_seconds,
                )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
