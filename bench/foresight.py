"""How long a plan of 10 manifests and the rehearsal of a node's loss take against 100 000 objects, after reading."""

from __future__ import annotations

import resource
import time
from typing import Any

from bench.figure import report
from bench.load_dump import dump

from pvbinder.foresight.plan import plan
from pvbinder.foresight.preparing import prepare
from pvbinder.foresight.reduction import Touched, reduce, touched_by
from pvbinder.foresight.rehearse import rehearse
from pvbinder.foresight.steps import parse_step

NODES = 100
FREE = 100  # volumes that claims could have


def cluster() -> list[tuple[str, dict[str, Any]]]:
    """Return the objects of `load_dump` on a hundred nodes, with some free volumes."""
    found = dump()
    pods = 0
    for one in found:
        if one["kind"] == "Pod":
            one["spec"]["nodeName"] = f"node-{pods % NODES}"
            pods += 1
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    found += (
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}"}, "status": ready}
        for number in range(NODES)
    )
    for number in range(FREE):
        spec = {
            "capacity": {"storage": f"{10 + number}Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "disks",
            "hostPath": {"path": f"/tmp/{number}"},
        }
        found.append(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"free-{number}"}, "spec": spec}
        )
    return [("the benchmark", one) for one in found]


def manifests() -> list[tuple[str, dict[str, Any]]]:
    """Return ten claims: most find a volume, some have one made, one gets nothing."""
    found = []
    for number in range(10):
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": f"{5 + 20 * number}Gi"}},
            "storageClassName": "fast" if number % 3 == 2 else "disks",
        }
        metadata = {"name": f"new-{number}", "namespace": "shop"}
        found.append(("new", {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}))
    return found


def main() -> None:
    """Print both, each with the processor time that it took."""
    objects, new = cluster(), manifests()
    began, cpu = time.perf_counter(), time.process_time()
    copy = reduce(prepare(objects), touched_by(one for _, one in new))
    planned = plan(copy, new)
    figures("plan of 10 manifests", began, cpu, 5.0, len(objects), claims=len(planned.claims))
    began, cpu = time.perf_counter(), time.process_time()
    steps = [("lose node/node-7", parse_step("lose node/node-7"))]
    copy = reduce(prepare(objects), Touched(nodes=frozenset({"node-7"})))
    done = rehearse(copy, steps, lambda _: [])
    figures("rehearse the loss of a node", began, cpu, 20.0, len(objects), changed=len(done.differences))


def figures(name: str, began: float, cpu: float, budget: float, n: int, **details: int) -> None:
    """Print one figure."""
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    took, worked = time.perf_counter() - began, time.process_time() - cpu
    report(
        name,
        took,
        "s",
        budget=budget,
        better="lower",
        n=n,
        memory_mib=memory_mib,
        cpu_seconds=round(worked, 2),
        **details,
    )


if __name__ == "__main__":
    main()
