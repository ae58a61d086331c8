"""What a claim needs next, rule by rule."""

from __future__ import annotations

import pytest
from tests.rules.objects import SmallWorld, claim, claim_ref, pod, storage_class, volume

from pvbinder.rules.claims import (
    AnnealClaim,
    AssignClass,
    Bind,
    ClaimAction,
    Fail,
    Lose,
    Provision,
    Wait,
    decide_claim,
)
from pvbinder.rules.provisioning import OutsideReason, ProvisionOutside

COMPLETED = {"pv.kubernetes.io/bind-completed": "yes"}
BY_CONTROLLER = {"pv.kubernetes.io/bound-by-controller": "yes"}
SELECTED = {"volume.kubernetes.io/selected-node": "n1"}
LATER = storage_class("later", mode="WaitForFirstConsumer")
OTHERS = claim_ref(claim("invoices"))

UNBOUND = {  # rule: (claim, world, action, event or text)
    "SC-U1 mode missing": (
        claim(storage_class="odd"),
        SmallWorld(classes=[storage_class("odd", mode=None)]),
        Fail,
        'VolumeBindingMode not set for StorageClass "odd"',
    ),
    "SC-U2 malformed selector": (
        claim(selector={"matchLabels": {"-": "x"}}),
        SmallWorld(),
        Fail,
        'error finding PV for claim "shop/orders": error creating internal label selector for claim: shop/orders: ',
    ),
    "SC-U3 a volume fits": (claim(), SmallWorld([volume()]), Bind, None),
    "SC-U3 the delayed claim's own volume": (
        claim(storage_class="later"),
        SmallWorld([volume(claim_ref=claim_ref(claim()))], classes=[LATER]),
        Bind,
        None,
    ),
    "SC-U4 a default class": (claim(), SmallWorld(classes=[storage_class(is_default=True)]), AssignClass, None),
    "SC-U5 delayed": (
        claim(storage_class="later"),
        SmallWorld([volume(storage_class="later")], classes=[LATER]),
        Wait,
        "Normal WaitForFirstConsumer waiting for first consumer to be created before binding",
    ),
    "SC-U5 delayed, a pod is there": (
        claim(storage_class="later"),
        SmallWorld(classes=[LATER], pods=[pod()]),
        Wait,
        "Normal WaitForPodScheduled waiting for pod web to be scheduled",
    ),
    "SC-U6 class": (claim(storage_class="fast"), SmallWorld(classes=[storage_class()]), Provision, None),
    "SC-U6 class that is not there": (claim(storage_class="none"), SmallWorld(), Provision, None),
    "SC-U6 delayed, node selected (DB-4)": (
        claim(storage_class="later", annotations=SELECTED),
        SmallWorld([volume(storage_class="later")], classes=[LATER]),
        Provision,
        None,
    ),
    "SC-U7 no class": (
        claim(),
        SmallWorld(classes=[storage_class()]),
        Wait,
        "Normal FailedBinding no persistent volumes available for this claim and no storage class is set",
    ),
    "SC-U7 empty class takes no default": (
        claim(storage_class=""),
        SmallWorld(classes=[storage_class(is_default=True)]),
        Wait,
        "Normal FailedBinding ",
    ),
}
NAMING = {
    "SC-P1 not there": (claim(volume_name="disk"), SmallWorld(), Wait, None),
    "SC-P2 won't do": (
        claim(volume_name="disk", storage_class="fast"),
        SmallWorld([volume()]),
        Wait,
        'Warning VolumeMismatch Cannot bind to requested volume "disk": storageClassName does not match',
    ),
    "SC-P3 will do": (claim(volume_name="disk"), SmallWorld([volume(phase="Pending")]), Bind, None),
    "SC-P4 ours, whatever it is like": (
        claim(volume_name="disk", request="50Gi"),
        SmallWorld([volume(claim_ref=claim_ref(claim(), uid=""), volume_mode="Block")]),
        Bind,
        None,
    ),
    "SC-P5 taken": (
        claim(volume_name="disk"),
        SmallWorld([volume(claim_ref=OTHERS)]),
        Wait,
        'Warning FailedBinding volume "disk" already bound to a different claim.',
    ),
    "SC-P6 taken, though we linked it": (
        claim(volume_name="disk", annotations=BY_CONTROLLER),
        SmallWorld([volume(claim_ref=OTHERS)]),
        Fail,
        'invalid binding of claim "shop/orders" to volume "disk": volume already claimed by "shop/invoices"',
    ),
}
BOUND = {
    "SC-B1 no volume name": (
        claim(annotations=COMPLETED),
        SmallWorld(),
        Lose,
        "Warning ClaimLost Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
    ),
    "SC-B2 volume gone": (
        claim(annotations=COMPLETED, volume_name="disk"),
        SmallWorld(),
        Lose,
        "Warning ClaimLost Bound claim has lost its PersistentVolume. Data on the volume is lost!",
    ),
    "SC-B3 volume free again": (
        claim(annotations=COMPLETED, volume_name="disk", phase="Lost"),
        SmallWorld([volume()]),
        Bind,
        None,
    ),
    "SC-B4 as it should be": (
        claim(annotations=COMPLETED, volume_name="disk", phase="Bound"),
        SmallWorld([volume(claim_ref=claim_ref(claim()), phase="Bound")]),
        Bind,
        None,
    ),
    "SC-B5 bound to another": (
        claim(annotations=COMPLETED, volume_name="disk"),
        SmallWorld([volume(claim_ref=OTHERS)]),
        Lose,
        "Warning ClaimMisbound Two claims are bound to the same volume, this one is bound incorrectly",
    ),
    "SC-B5 reserved for us without uid": (
        claim(annotations=COMPLETED, volume_name="disk"),
        SmallWorld([volume(claim_ref=claim_ref(claim(), uid=""))]),
        Lose,
        "Warning ClaimMisbound ",
    ),
}
ALL = UNBOUND | NAMING | BOUND


@pytest.mark.parametrize("name", ALL)
def test_decide_claim(name: str) -> None:
    wanting, world, action_type, text = ALL[name]
    action: ClaimAction = decide_claim(wanting, world)
    assert type(action).__name__ == action_type.__name__
    assert action.rule == name.split()[0]
    match action:
        case Wait(event=event) | Lose(event=event):
            assert (event is None) == (text is None)
            assert str(event).startswith(text or "")
        case Fail(message=message):
            assert message.startswith(str(text))
        case _:
            assert text is None


def test_migration_annotations_come_first() -> None:  # MG-1
    key = "volume.kubernetes.io/storage-provisioner"
    action = decide_claim(claim(annotations={key: "kubernetes.io/aws-ebs"}), SmallWorld([volume()]))
    assert isinstance(action, AnnealClaim)
    annotations = action.document["metadata"]["annotations"]
    assert annotations == {key: "kubernetes.io/aws-ebs", "pv.kubernetes.io/migrated-to": "ebs.csi.aws.com"}


def test_a_taken_volume_is_told_even_when_the_sync_fails() -> None:  # SC-P6, E-5
    wanting, world, _, _ = NAMING["SC-P6 taken, though we linked it"]
    action = decide_claim(wanting, world)
    assert isinstance(action, Fail)
    assert action.event is not None
    assert action.event.rule == "E-5"


def test_the_provisioner_of_the_class_is_in_the_action() -> None:  # SC-U6
    action = decide_claim(claim(storage_class="fast"), SmallWorld(classes=[storage_class()]))
    assert isinstance(action, Provision)
    assert action.by == ProvisionOutside("csi.example.com", OutsideReason.NO_PLUGIN)
