"""What a volume needs next, rule by rule."""

from __future__ import annotations

import pytest
from tests.rules.objects import SmallWorld, claim, claim_ref, volume

from pvbinder.rules.reclaim import Leave, StartDeleting
from pvbinder.rules.volumes import (
    AnnealVolume,
    AskServer,
    AwaitClaim,
    LiveClaim,
    Release,
    ReportModes,
    SetPhase,
    Unbind,
    VolumeAction,
    decide_volume,
)

OURS = claim()
REF, BY_NAME = claim_ref(OURS), claim_ref(OURS, uid="")
PROVISIONED = {"pv.kubernetes.io/provisioned-by": "csi.example.com"}
ELSEWHERE = claim(volume_name="other")

DECISIONS = {  # rule: (volume, world, answer, action)
    "SV-1 unclaimed": (volume(phase="Pending"), SmallWorld(), None, SetPhase("Available", "SV-1")),
    "SV-1 cleared by hand (T-9)": (volume(phase="Failed"), SmallWorld(), None, SetPhase("Available", "SV-1")),
    "SV-2 reserved by name": (
        volume(claim_ref=claim_ref(OURS, uid="")),
        SmallWorld(),
        None,
        SetPhase("Available", "SV-2"),
    ),
    "SV-3 claim unknown": (volume(claim_ref=REF), SmallWorld(), None, AskServer(OURS.key, "SV-3")),
    "SV-4 another uid": (
        volume(claim_ref=REF, phase="Bound"),
        SmallWorld(claims=[claim(uid="older")]),
        None,
        AskServer(OURS.key, "SV-4"),
    ),
    "SV-4 another uid, released, to be deleted": (
        volume(claim_ref=REF, phase="Released", policy="Delete"),
        SmallWorld(claims=[claim(uid="newer")]),
        None,
        AskServer(OURS.key, "SV-4"),
    ),
    "SV-5 another uid, released, to be kept: no request": (
        volume(claim_ref=REF, phase="Released"),
        SmallWorld(claims=[claim(uid="newer")]),
        None,
        Release(Leave("RC-2"), "SV-5"),
    ),
    "SV-5 the server has none": (
        volume(claim_ref=REF),
        SmallWorld(),
        LiveClaim(None),
        Release(Leave("RC-2"), "SV-5"),
    ),
    "SV-5 the server has another": (
        volume(claim_ref=REF),
        SmallWorld(),
        LiveClaim(claim(uid="newer")),
        Release(Leave("RC-2"), "SV-5"),
    ),
    "SV-5 released already: no request": (
        volume(claim_ref=REF, phase="Failed"),
        SmallWorld(),
        None,
        Release(Leave("RC-2"), "SV-5"),
    ),
    "SV-7 the claim has to act": (volume(claim_ref=REF), SmallWorld(claims=[OURS]), None, AwaitClaim(OURS.key, "SV-7")),
    "SV-8 bound to each other": (
        volume(claim_ref=REF),
        SmallWorld(claims=[claim(volume_name="disk")]),
        None,
        SetPhase("Bound", "SV-8"),
    ),
    "SV-8 the server knows better than the cache": (
        volume(claim_ref=REF),
        SmallWorld(claims=[claim(uid="older")]),
        LiveClaim(claim(volume_name="disk")),
        SetPhase("Bound", "SV-8"),
    ),
    "SV-9 provisioned for a claim that took another": (
        volume(claim_ref=REF, policy="Delete", annotations=PROVISIONED),
        SmallWorld(claims=[ELSEWHERE]),
        None,
        Release(StartDeleting("RC-4"), "SV-9"),
    ),
    "SV-10 provisioned, but to be kept": (
        volume(claim_ref=REF, annotations=PROVISIONED),
        SmallWorld(claims=[ELSEWHERE]),
        None,
        Unbind("SV-10"),
    ),
    "SV-10 made by hand": (
        volume(claim_ref=REF, policy="Delete"),
        SmallWorld(claims=[ELSEWHERE]),
        None,
        Unbind("SV-10"),
    ),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_decide_volume(name: str) -> None:
    found, world, answer, wanted = DECISIONS[name]
    action: VolumeAction = decide_volume(found, world, answer=answer)
    assert action == wanted


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
