"""How long `pvbinder audit` takes over 100 000 objects of a dump and over 100, from the shell, and what it weighs."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figure import median_of, report
from bench.load_dump import triple

PAIRS = 33_000  # each with a pod
SMALL_PAIRS = 25
PENDING = 300  # claims that wait, beside
FREE = 300  # volumes that are free, beside
REPETITIONS = 5


def dump(pairs: int, others: int) -> list[dict[str, Any]]:
    """Return pairs with their pods, and so many claims that wait and volumes that are free."""
    items: list[dict[str, Any]] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "fast"},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "Immediate",
        }
    ]
    items += ({"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{each}"}} for each in range(20))
    for number in range(pairs):
        items += triple(number)
    for number in range(others):
        volume, claim, _ = triple(pairs + number)
        del volume["spec"]["claimRef"], claim["metadata"]["annotations"], claim["spec"]["volumeName"]
        volume["status"] = {"phase": "Available"}
        volume["spec"]["capacity"] = {"storage": f"{1 + number % 20}Gi"}
        claim["status"] = {"phase": "Pending"}
        claim["spec"]["resources"] = {"requests": {"storage": f"{1 + number * 7 % 30}Gi"}}
        items += (volume, claim)
    for number, item in enumerate(items):  # as every server writes them
        written = {
            "uid": f"uid-{number}",
            "resourceVersion": str(number + 1),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        item["metadata"] = written | item["metadata"]
    return items


def audit_once(file: Path) -> float:
    """Return the seconds of one `pvbinder audit` of `file`."""
    started = time.perf_counter()
    command = [
        str(Path(sys.executable).parent / "pvbinder"),
        "audit",
        "-f",
        str(file),
        "-o",
        "json",
        "--fail-on",
        "never",
    ]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print both figures; memory is the largest of any audit so far, the large one last."""
    with tempfile.TemporaryDirectory() as folder:
        for name, pairs, others, budget, times in (
            ("audit 100 objects", SMALL_PAIRS, 1, 0.7, REPETITIONS),
            ("audit 100 000 objects", PAIRS, PENDING, 15.0, 1),
        ):
            file = Path(folder) / "dump.json"
            items = dump(pairs, others)
            file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds, values = median_of(times, lambda: audit_once(file))  # noqa: B023  (called at once)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            report(
                name,
                seconds,
                "s",
                budget=budget,
                better="lower",
                n=len(items),
                values=values,
                memory_mib=round(after.ru_maxrss / 1024),
                cpu_seconds=round((after.ru_utime - before.ru_utime) / times, 2),
            )


if __name__ == "__main__":
    main()
