"""Why a volume is where it is."""

from __future__ import annotations

import pytest
from tests.insight.builders import EARLIER, HOST, REFERENCE, Document, affinity, bound, claim, event, its, node, volume

from pvbinder.insight.explanation import VolumeExplanation
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.volumes import explain_volume
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

GOING = {"deletionTimestamp": "2026-03-01T10:00:00Z", "finalizers": ["kubernetes.io/pv-protection"]}
CSI: Document = {"csi": {"driver": "csi.example.com", "volumeHandle": "h"}, "hostPath": None}
ATTACHED: Document = {
    "kind": "VolumeAttachment",
    "metadata": {"name": "a"},
    "spec": {"attacher": "csi.example.com", "nodeName": "n1", "source": {"persistentVolumeName": "disk"}},
    "status": {"attached": True},
}


def explained(*documents: Document) -> VolumeExplanation:
    snapshot = Snapshot(documents, plugins=load_catalogue(in_tree_plugins(), installed=()))
    found = snapshot.volume("disk")
    assert found is not None
    return explain_volume(found, snapshot)


CASES: dict[str, tuple[tuple[Document, ...], str, bool, str]] = {
    "bound (SV-8)": ((bound(), its()), "Bound", False, "claim shop/orders has it"),
    "bound, by its own word": ((its(),), "Bound", False, "claim shop/orders has it"),
    "bound, out of reach (FM-15)": (
        (bound(), its(**affinity(HOST, "n9")), node()),
        "Unreachable",
        True,
        f"no node satisfies its node affinity ({HOST}=n9)",
    ),
    "free (SV-1)": ((volume("disk"),), "Available", False, "nobody has it"),
    "new (SV-1)": ((volume("disk", phase="Pending"),), "WillBeAvailable", False, "nobody has it"),
    "a claim gets it": ((volume("disk"), claim()), "WillBind", False, "claim shop/orders gets it"),
    "reserved (SV-2)": (
        (volume("disk", claimRef={"namespace": "shop", "name": "orders"}),),
        "Reserved",
        False,
        "reserved for claim shop/orders",
    ),
    "half bound (SV-7)": ((volume("disk", claimRef=REFERENCE), claim()), "WillBind", False, "finish the bind"),
    "of another mode (SV-6)": (
        (volume("disk", claimRef=REFERENCE, volumeMode="Block"), claim()),
        "Failed",
        True,
        "another volume mode",
    ),
    "its claim has another (SV-10)": (
        (volume("disk", phase="Bound", claimRef=REFERENCE), bound("other")),
        "WillBeReleased",
        False,
        "claim shop/orders has another volume",
    ),
    "released and kept (SV-5, RC-2)": (
        (volume("disk", phase="Released", claimRef=REFERENCE),),
        "Released",
        True,
        "claim shop/orders, which had it, is gone; its data is kept (Retain)",
    ),
    "released, and the name is used anew": (
        (volume("disk", phase="Released", claimRef=EARLIER), claim()),
        "Released",
        True,
        "an earlier claim shop/orders (uid 9999",
    ),
    "released, to be deleted (RC-4)": (
        (volume("disk", phase="Released", claimRef=REFERENCE, persistentVolumeReclaimPolicy="Delete", **CSI),),
        "IsBeingDeleted",
        False,
        "is gone",
    ),
    "still attached (DV-4)": (
        (volume("disk", phase="Released", claimRef=REFERENCE, persistentVolumeReclaimPolicy="Delete", **CSI), ATTACHED),
        "DeletionFails",
        True,
        "still attached to n1",
    ),
    "deleting it failed": (
        (
            volume("disk", phase="Released", claimRef=REFERENCE, persistentVolumeReclaimPolicy="Delete", **CSI),
            event("VolumeFailedDelete", "in use", about="PersistentVolume/disk"),
        ),
        "DeletionFails",
        True,
        "deleting its storage failed",
    ),
    "released, to be scrubbed (RC-3)": (
        (volume("disk", phase="Released", claimRef=REFERENCE, persistentVolumeReclaimPolicy="Recycle"),),
        "IsBeingScrubbed",
        False,
        "is gone",
    ),
    "going, and bound (PP-2)": (
        (bound(), {**its(), "metadata": {"name": "disk", **GOING}}),
        "HeldByClaim",
        True,
        "shop/orders",
    ),
    "going, and nothing is done for it any more (FZ-4)": (
        (
            volume(
                "disk",
                phase="Bound",
                meta={
                    **GOING,
                    "finalizers": ["kubernetes.io/pv-protection"],
                    "annotations": {"pv.kubernetes.io/provisioned-by": "kubernetes.io/host-path"},
                },
                claimRef=REFERENCE,
                persistentVolumeReclaimPolicy="Delete",
            ),
        ),
        "HeldByFinalizers",
        True,
        "somebody took the binder's finalizer away",
    ),
    "going, and held": (
        (volume("disk", meta={**GOING, "finalizers": ["external-attacher/csi-example-com"]}), ATTACHED),
        "HeldByFinalizers",
        True,
        "its attacher has detached the volume from n1",
    ),
}


@pytest.mark.parametrize(("documents", "reason", "must_act", "says"), CASES.values(), ids=CASES.keys())
def test_volumes_1_the_verdict_says_what_is_the_matter(
    documents: tuple[Document, ...], reason: str, must_act: bool, says: str
) -> None:
    found = explained(*documents)
    assert (found.reason, found.needs_action) == (reason, must_act), found
    assert says in found.summary
    assert bool(found.advice) is must_act
    assert found.next


def test_volumes_1_a_driver_that_fails_to_delete_is_asked_again() -> None:
    told = event("VolumeFailedDelete", "in use", about="PersistentVolume/disk")
    of_csi = volume("disk", phase="Released", claimRef=REFERENCE, persistentVolumeReclaimPolicy="Delete", **CSI)
    assert "tried again" in explained(of_csi, told).next
    other = volume("disk", phase="Failed", claimRef=REFERENCE, persistentVolumeReclaimPolicy="Delete")
    assert "tried again" not in explained(other, told).next


def test_volumes_2_who_waits_is_there_with_the_first_reason() -> None:
    waiting = (claim("a"), claim("b", storageClassName="slow"), claim("c", accessModes=["ReadWriteMany"]))
    found = explained(volume("disk", "5Gi"), volume("better", "10Gi"), *waiting)
    assert [(each.claim, each.rule, each.why) for each in found.waiting] == [
        ("shop/a", "FM-6a", "5Gi is less than 10Gi"),
        ("shop/b", "FM-6a", "5Gi is less than 10Gi"),
        ("shop/c", "FM-2", "offers RWO, not RWX"),
    ]
    found = explained(volume("disk", "50Gi"), volume("better", "10Gi"), claim("a"))
    assert [each.why for each in found.waiting] == ["it fits, and better fits better"]
