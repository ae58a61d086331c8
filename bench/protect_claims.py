"""What it costs to delete many protected claims of one namespace at once, as somebody outside sees it.

Claims with the finalizer kubernetes.io/pvc-protection wait in a namespace that also has pods, none of which uses any of
them. All are deleted over TLS, many at a time; a watcher sees the last one go. Before a finalizer goes, the controller
looks at the pods of the namespace live: `pod_lists` is how often it did, one a claim being what it must not be.

    python -m bench.protect_claims [CLAIMS]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.figure import report
from bench.outside import CLAIMS, CLAIMS_OF_DEFAULT, counted, create, delete, watch_gone
from tools.plane import running

COUNT = 500
PODS = 50
BUDGET_POD_LISTS = 50
PODS_OF_DEFAULT = "/api/v1/namespaces/default/pods"


def claim(number: int) -> dict[str, Any]:
    """Return a claim that stays Pending: nobody makes volumes of its class."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"claim-{number:05}", "finalizers": ["kubernetes.io/pvc-protection"]},
        "spec": {
            "storageClassName": "by-hand",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def pod(number: int) -> dict[str, Any]:
    """Return a pod that uses a claim of another name."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{number:05}"},
        "spec": {
            "schedulerName": "nobody",
            "containers": [{"name": "main", "image": "example.com/main"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": f"other-{number:05}"}}],
        },
    }


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    # beside us: /tmp may be memory, where durable costs nothing
    with (
        tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder,
        running(Path(folder).absolute() / "data") as plane,
    ):
        config = plane.kubeconfig
        claims = [claim(n) for n in range(count)]
        asyncio.run(create(config, PODS_OF_DEFAULT, [pod(n) for n in range(PODS)]))
        asyncio.run(create(config, CLAIMS_OF_DEFAULT, claims))
        before = pod_lists(config)
        names = [one["metadata"]["name"] for one in claims]
        seconds = asyncio.run(watch_gone(config, CLAIMS, lambda: delete(config, CLAIMS_OF_DEFAULT, names)))
        lists = pod_lists(config) - before
    report(
        "pods listed while protected claims are deleted",
        lists,
        "lists",
        budget=BUDGET_POD_LISTS,
        better="lower",
        n=count,
        seconds=round(seconds, 3),
        claims_a_second=round(count / seconds),
        pods=PODS,
    )


def pod_lists(kubeconfig: Path) -> int:
    """Return how often the controller of claim protection has listed pods."""
    return counted(
        kubeconfig, "pvbinder_api_requests_total", user="pvc-protection-controller", verb="list", resource="pods"
    )


if __name__ == "__main__":
    main()
