"""The exact texts of the binder's events."""

from __future__ import annotations

import pytest

from pvbinder.rules import events
from pvbinder.rules.events import Event

TEXTS = {
    "E-1": (
        events.WAIT_FOR_FIRST_CONSUMER,
        "Normal WaitForFirstConsumer waiting for first consumer to be created before binding",
    ),
    "E-2": (events.wait_for_pods(["a", "b"]), "Normal WaitForPodScheduled waiting for pods a,b to be scheduled"),
    "E-3": (
        events.NO_VOLUME_AND_NO_CLASS,
        "Normal FailedBinding no persistent volumes available for this claim and no storage class is set",
    ),
    "E-4": (
        events.volume_unsuitable("v", "x"),
        'Warning VolumeMismatch Cannot bind to requested volume "v": x',
    ),
    "E-5": (events.volume_taken("v"), 'Warning FailedBinding volume "v" already bound to a different claim.'),
    "E-6": (
        events.waiting_for_provisioner("p"),
        (
            "Normal ExternalProvisioning Waiting for a volume to be created either by the external provisioner 'p' or "
            "manually by the system administrator. If volume creation is delayed, please verify that the provisioner "
            "is running and correctly registered."
        ),
    ),
    "E-7": (
        events.mode_differs_on_volume("c"),
        (
            'Warning VolumeMismatch Cannot bind PersistentVolume to requested PersistentVolumeClaim "c" due to '
            "incompatible volumeMode."
        ),
    ),
    "E-8": (
        events.mode_differs_on_claim("v"),
        (
            'Warning VolumeMismatch Cannot bind PersistentVolume "v" to requested PersistentVolumeClaim due to '
            "incompatible volumeMode."
        ),
    ),
    "E-9": (
        events.LOST_REFERENCE,
        "Warning ClaimLost Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
    ),
    "E-10": (
        events.LOST_VOLUME,
        "Warning ClaimLost Bound claim has lost its PersistentVolume. Data on the volume is lost!",
    ),
    "E-11": (
        events.MISBOUND,
        "Warning ClaimMisbound Two claims are bound to the same volume, this one is bound incorrectly",
    ),
    "E-12": (events.NO_RECYCLER, "Warning VolumeFailedRecycle No recycler plugin found for the volume!"),
    "E-13": (events.recycle_failed("x"), "Warning VolumeFailedRecycle Recycle failed: x"),
    "E-14": (events.volume_in_use(["n/a", "n/b"]), "Normal VolumeFailedRecycle Volume is used by pods: n/a,n/b"),
    "E-15": (events.RECYCLED, "Normal VolumeRecycled Volume recycled"),
    "E-16": (events.recycler_pod_event("Warning", "x"), "Warning RecyclerPod Recycler pod: x"),
    "E-17": (
        events.UNKNOWN_POLICY,
        "Warning VolumeUnknownReclaimPolicy Volume has unrecognized PersistentVolumeReclaimPolicy",
    ),
    "E-18": (events.delete_failed("x"), "Warning VolumeFailedDelete x"),
    "E-19": (events.provisioning_failed("x"), "Warning ProvisioningFailed x"),
    "E-20": (events.delete_postponed("x"), "Normal VolumeDelete x"),
    "E-21": (
        events.provisioned("v", "p"),
        "Normal ProvisioningSucceeded Successfully provisioned volume v using p",
    ),
    "E-22": (
        events.cleanup_failed("n/c", "x"),
        "Warning ProvisioningCleanupFailed Error cleaning provisioned volume for claim n/c: x. Please delete manually.",
    ),
}


@pytest.mark.parametrize("rule", TEXTS)
def test_the_text_of_an_event(rule: str) -> None:
    event: Event
    event, text = TEXTS[rule]
    assert str(event) == text
    assert event.rule == rule
