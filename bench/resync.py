"""What a resync of the binder costs with many complete pairs in its caches: processor time, of the first and the next.

Caches are filled by hand and no server is asked: a resync of what is settled makes no request.

    python -m bench.resync [PAIRS]
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from bench.figure import report

from pvbinder.controllers.binder_controller import BinderController
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import encode
from pvbinder.model.names import BIND_COMPLETED, BINDER_CONTROLLER, BOUND_BY_CONTROLLER, YES
from pvbinder.model.objects import parse_claim, parse_volume

PAIRS = 100_000
BUDGET_SECONDS = 0.1
MODES = ["ReadWriteOnce"]


class Nobody:
    """A line to no server."""

    async def send(self, request: Request) -> Answer:
        raise NotImplementedError(request)

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise NotImplementedError(request)


def volume(number: int) -> dict[str, Any]:
    """Return a volume that is bound."""
    return {
        "metadata": {
            "name": f"disk-{number:06}",
            "uid": f"disk-{number}",
            "resourceVersion": str(number + 1),
            "annotations": {BOUND_BY_CONTROLLER: YES},
        },
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": MODES,
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "bench",
            "volumeMode": "Filesystem",
            "hostPath": {"path": "/nonexistent"},
            "claimRef": {"namespace": "default", "name": f"claim-{number:06}", "uid": f"claim-{number}"},
        },
        "status": {"phase": "Bound"},
    }


def claim(number: int) -> dict[str, Any]:
    """Return the claim of that volume."""
    return {
        "metadata": {
            "name": f"claim-{number:06}",
            "namespace": "default",
            "uid": f"claim-{number}",
            "resourceVersion": str(number + 1),
            "annotations": {BOUND_BY_CONTROLLER: YES, BIND_COMPLETED: YES},
        },
        "spec": {
            "accessModes": MODES,
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "bench",
            "volumeMode": "Filesystem",
            "volumeName": f"disk-{number:06}",
        },
        "status": {"phase": "Bound", "accessModes": MODES, "capacity": {"storage": "1Gi"}},
    }


async def measure(pairs: int) -> list[float]:
    """Return the processor time of four resyncs, in seconds."""
    manager = Manager(Nobody(), ControllerOptions(controllers="persistentvolume-binder"))
    controller = manager.controllers[BINDER_CONTROLLER]
    assert isinstance(controller, BinderController)
    binder = controller.binder
    for number in range(pairs):
        binder.caches.volumes.put(parse_volume(encode(volume(number))))
        binder.caches.claims.put(parse_claim(encode(claim(number))))
    took = []
    for _ in range(4):
        started = time.process_time()
        await binder.resync()
        took.append(time.process_time() - started)
    return took


def main() -> None:
    """Print the figure."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    first, *others = asyncio.run(measure(pairs))
    report(
        "a resync beside complete pairs",
        max(others),
        "s",
        budget=BUDGET_SECONDS,
        better="lower",
        n=pairs,
        first_seconds=round(first, 3),
    )


if __name__ == "__main__":
    main()
