"""What a volume needs next, rule by rule."""

from __future__ import annotations

import pytest
from tests.rules.objects import SmallWorld, claim, claim_ref, volume

from pvbinder.rules.reclaim import Leave, LeaveReason, StartDeleting
from pvbinder.rules.volumes import (
    AnnealVolume,
    AskReason,
    AskServer,
    AwaitClaim,
    AwaitEnd,
    LiveClaim,
    PhaseReason,
    Release,
    ReleaseReason,
    ReportModes,
    SetPhase,
    Unbind,
    VolumeAction,
    decide_volume,
)

OURS = claim()
REF, BY_NAME = claim_ref(OURS), claim_ref(OURS, uid="")
PROVISIONED = {"pv.kubernetes.io/provisioned-by": "csi.example.com"}
IN_TREE = {"pv.kubernetes.io/provisioned-by": "kubernetes.io/host-path"}
ELSEWHERE = claim(volume_name="other")

DECISIONS = {  # rule: (volume, world, answer, action)
    "SV-1 unclaimed": (volume(phase="Pending"), SmallWorld(), None, SetPhase("Available", PhaseReason.UNCLAIMED)),
    "SV-1 cleared by hand (T-9)": (
        volume(phase="Failed"),
        SmallWorld(),
        None,
        SetPhase("Available", PhaseReason.UNCLAIMED),
    ),
    "SV-2 reserved by name": (
        volume(claim_ref=claim_ref(OURS, uid="")),
        SmallWorld(),
        None,
        SetPhase("Available", PhaseReason.RESERVED),
    ),
    "SV-3 claim unknown": (volume(claim_ref=REF), SmallWorld(), None, AskServer(OURS.key, AskReason.CLAIM_UNKNOWN)),
    "SV-4 another uid": (
        volume(claim_ref=REF, phase="Bound"),
        SmallWorld(claims=[claim(uid="older")]),
        None,
        AskServer(OURS.key, AskReason.CLAIM_IS_ANOTHER),
    ),
    "SV-4 another uid, released, to be deleted": (
        volume(claim_ref=REF, phase="Released", policy="Delete"),
        SmallWorld(claims=[claim(uid="newer")]),
        None,
        AskServer(OURS.key, AskReason.CLAIM_IS_ANOTHER),
    ),
    "SV-5 another uid, released, to be kept: no request": (
        volume(claim_ref=REF, phase="Released"),
        SmallWorld(claims=[claim(uid="newer")]),
        None,
        Release(Leave(LeaveReason.RETAINED), ReleaseReason.CLAIM_GONE),
    ),
    "SV-5 the server has none": (
        volume(claim_ref=REF),
        SmallWorld(),
        LiveClaim(None),
        Release(Leave(LeaveReason.RETAINED), ReleaseReason.CLAIM_GONE),
    ),
    "SV-5 the server has another": (
        volume(claim_ref=REF),
        SmallWorld(),
        LiveClaim(claim(uid="newer")),
        Release(Leave(LeaveReason.RETAINED), ReleaseReason.CLAIM_GONE),
    ),
    "SV-5 released already: no request": (
        volume(claim_ref=REF, phase="Failed"),
        SmallWorld(),
        None,
        Release(Leave(LeaveReason.RETAINED), ReleaseReason.CLAIM_GONE),
    ),
    "SV-7 the claim has to act": (volume(claim_ref=REF), SmallWorld(claims=[OURS]), None, AwaitClaim(OURS.key)),
    "SV-8 bound to each other": (
        volume(claim_ref=REF),
        SmallWorld(claims=[claim(volume_name="disk")]),
        None,
        SetPhase("Bound", PhaseReason.BOUND_TO_EACH_OTHER),
    ),
    "SV-8 the server knows better than the cache": (
        volume(claim_ref=REF),
        SmallWorld(claims=[claim(uid="older")]),
        LiveClaim(claim(volume_name="disk")),
        SetPhase("Bound", PhaseReason.BOUND_TO_EACH_OTHER),
    ),
    "SV-9 provisioned for a claim that took another": (
        volume(claim_ref=REF, policy="Delete", annotations=PROVISIONED),
        SmallWorld(claims=[ELSEWHERE]),
        None,
        Release(StartDeleting(), ReleaseReason.CLAIM_BOUND_ELSEWHERE),
    ),
    "SV-10 provisioned, but to be kept": (
        volume(claim_ref=REF, annotations=PROVISIONED),
        SmallWorld(claims=[ELSEWHERE]),
        None,
        Unbind(),
    ),
    "FZ-4 being deleted without its finalizer: left as it is, its claim gone or not": (
        volume(claim_ref=REF, phase="Bound", annotations=IN_TREE, policy="Delete", is_deleting=True),
        SmallWorld(),
        LiveClaim(None),
        AwaitEnd(),
    ),
    "FZ-4 let go by hand: left as it is, too": (
        volume(phase="Released", annotations=IN_TREE, policy="Delete", is_deleting=True),
        SmallWorld(),
        None,
        AwaitEnd(),
    ),
    "SV-1 being deleted with it": (
        volume(
            phase="Released",
            annotations=IN_TREE,
            policy="Delete",
            finalizers=["kubernetes.io/pv-controller"],
            is_deleting=True,
        ),
        SmallWorld(),
        None,
        SetPhase("Available", PhaseReason.UNCLAIMED),
    ),
    "SV-1 being deleted, to be kept": (
        volume(phase="Released", annotations=IN_TREE, is_deleting=True),
        SmallWorld(),
        None,
        SetPhase("Available", PhaseReason.UNCLAIMED),
    ),
    "SV-1 being deleted, made outside": (
        volume(phase="Released", annotations=PROVISIONED, policy="Delete", is_deleting=True),
        SmallWorld(),
        None,
        SetPhase("Available", PhaseReason.UNCLAIMED),
    ),
    "SV-10 made by hand": (
        volume(claim_ref=REF, policy="Delete"),
        SmallWorld(claims=[ELSEWHERE]),
        None,
        Unbind(),
    ),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_decide_volume(name: str) -> None:
    found, world, answer, wanted = DECISIONS[name]
    action: VolumeAction = decide_volume(found, world, answer=answer)
    assert action == wanted
    assert action.rule == name.split()[0]


def test_other_volume_modes_are_told_on_both() -> None:  # SV-6
    action = decide_volume(volume(claim_ref=REF, volume_mode="Block"), SmallWorld(claims=[OURS]))
    assert isinstance(action, ReportModes)
    assert action.claim == OURS
    assert str(action.on_volume) == (
        'Warning VolumeMismatch Cannot bind PersistentVolume to requested PersistentVolumeClaim "orders" '
        "due to incompatible volumeMode."
    )
    assert str(action.on_claim) == (
        'Warning VolumeMismatch Cannot bind PersistentVolume "disk" to requested PersistentVolumeClaim '
        "due to incompatible volumeMode."
    )


def test_annotations_and_finalizers_come_first_in_one_write() -> None:  # MG-2, FZ-2
    annotations = {"pv.kubernetes.io/provisioned-by": "kubernetes.io/aws-ebs"}
    action = decide_volume(
        volume(annotations=annotations, finalizers=["kubernetes.io/pv-controller", "keep"]), SmallWorld()
    )
    assert isinstance(action, AnnealVolume)
    assert action.document["metadata"]["annotations"]["pv.kubernetes.io/migrated-to"] == "ebs.csi.aws.com"
    assert action.document["metadata"]["finalizers"] == ["keep"]
