"""The changes that queue a claim at the protection controller (PC-1 to PC-6)."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.kube.small_server import SmallServer
from tests.vectors.protection_cases import StillInformers
from tests.virtual_time import VirtualTimeLoop

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.features import parse_feature_gates
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.protection.claims import ClaimProtectionController
from pvbinder.kube.client import Client
from pvbinder.kube.informer import Added, Change, Deleted, Updated
from pvbinder.model.json import Json
from pvbinder.model.names import PVC_PROTECTION_FINALIZER
from pvbinder.model.objects import Claim, Pod, parse_claim, parse_pod

PROTECTED = (PVC_PROTECTION_FINALIZER,)
DELETED = "2026-03-01T00:00:00Z"


def claim(*, finalizers: tuple[str, ...] = PROTECTED, deleted: bool = False, unused: str | None = None) -> Claim:
    metadata: Json = {"name": "orders", "namespace": "shop", "finalizers": list(finalizers)}
    if deleted:
        metadata["deletionTimestamp"] = DELETED
    conditions = [{"type": "Unused", "status": unused}] if unused else []
    return parse_claim(json.dumps({"metadata": metadata, "status": {"conditions": conditions}}).encode())


def pod(*, node: str = "n1", phase: str = "Running", uid: str = "1", deleted: bool = False) -> Pod:
    metadata: Json = {"name": "web", "namespace": "shop", "uid": uid}
    if deleted:
        metadata["deletionTimestamp"] = DELETED
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "orders"}}, {"name": "tmp", "ephemeral": {}}]
    return parse_pod(
        json.dumps(
            {"metadata": metadata, "spec": {"nodeName": node, "volumes": volumes}, "status": {"phase": phase}}
        ).encode()
    )


BOTH = 2  # claims that the pod needs: one by name, one made for it (PC-6)
CHANGES: dict[str, tuple[Change[Claim] | Change[Pod], int, int]] = {  # queued: without, with `Unused`
    "a claim without the finalizer (PC-1)": (Added(claim(finalizers=())), 1, 1),
    "a claim that is going (PC-1)": (Updated(claim(), claim(deleted=True)), 1, 1),
    "a claim that has what it needs (PC-1)": (Added(claim(unused="True")), 0, 0),
    "a claim without the condition (PC-1)": (Added(claim()), 0, 1),
    "a claim that waits for somebody else (PC-1)": (
        Added(claim(finalizers=("x/y",), deleted=True, unused="True")),
        0,
        0,
    ),
    "a claim that is gone (PC-2)": (Deleted(claim(deleted=True)), 0, 0),
    "a pod on its node (PC-3)": (Added(pod()), 0, BOTH),
    "a pod without a node (PC-3)": (Added(pod(node="")), BOTH, BOTH),
    "a pod that is done (PC-3)": (Updated(pod(), pod(phase="Succeeded")), BOTH, BOTH),
    "a pod that is shut down (PC-3)": (Updated(pod(), pod(deleted=True)), BOTH, BOTH),
    "a pod that is gone (PC-4, and PC-5 when another took its place)": (Deleted(pod()), BOTH, BOTH),
}


@pytest.mark.parametrize(("change", "without", "with_condition"), CHANGES.values(), ids=CHANGES.keys())
def test_what_is_looked_at(change: Change[Claim] | Change[Pod], without: int, with_condition: int) -> None:
    assert [looked_at(change, tracked=False), looked_at(change, tracked=True)] == [without, with_condition]


def looked_at(change: Change[Claim] | Change[Pod], *, tracked: bool) -> int:
    """How many claims are queued after `change`."""

    async def scenario() -> int:
        gates = parse_feature_gates(f"PersistentVolumeClaimUnusedSinceTime={str(tracked).lower()}")
        client = Client(SmallServer())
        informers = StillInformers(client)
        controller = ClaimProtectionController(
            ControllerContext(client, informers, ControllerOptions(feature_gates=gates))
        )
        plural = "persistentvolumeclaims" if isinstance(change.object, Claim) else "pods"
        for handler in informers.still[plural].handlers:
            handler(change)
        return sum(queue.depth for queue in controller.queues())

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(scenario())
