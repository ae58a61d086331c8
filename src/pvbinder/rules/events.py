"""Everything the binder tells users through events, with the exact texts.

Other controllers have their texts in their own module, where `EventRecorder.event` is called, or as notes in the rules
of their kind (`jobs`, `cron_jobs`). How an event is written and counted is in `kube.events`.

Rules: docs/rules/binder.md#13-events
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

EventType = Literal["Normal", "Warning"]


class Event(Struct, frozen=True):
    """An event to be: about which object is known from where it stands (a claim's or a volume's decision)."""

    type: EventType
    reason: str
    message: str
    rule: str

    def __str__(self) -> str:
        """Show it as one line."""
        return f"{self.type} {self.reason} {self.message}"


WAIT_FOR_FIRST_CONSUMER = Event(
    "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding", "E-1"
)
NO_VOLUME_AND_NO_CLASS = Event(
    "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set", "E-3"
)
LOST_REFERENCE = Event(
    "Warning", "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!", "E-9"
)
LOST_VOLUME = Event(
    "Warning", "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!", "E-10"
)
MISBOUND = Event(
    "Warning", "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly", "E-11"
)
NO_RECYCLER = Event("Warning", "VolumeFailedRecycle", "No recycler plugin found for the volume!", "E-12")
RECYCLED = Event("Normal", "VolumeRecycled", "Volume recycled", "E-15")
UNKNOWN_POLICY = Event(
    "Warning", "VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy", "E-17"
)


def wait_for_pods(pod_names: Sequence[str]) -> Event:
    """E-2: pods that need the claim wait for a node."""
    word = "pods" if len(pod_names) > 1 else "pod"
    return Event("Normal", "WaitForPodScheduled", f"waiting for {word} {','.join(pod_names)} to be scheduled", "E-2")


def volume_unsuitable(volume_name: str, why: str) -> Event:
    """E-4: the volume that the claim names won't do."""
    return Event("Warning", "VolumeMismatch", f'Cannot bind to requested volume "{volume_name}": {why}', "E-4")


def volume_taken(volume_name: str) -> Event:
    """E-5: the volume that the claim names belongs to another."""
    message = f'volume "{volume_name}" already bound to a different claim.'
    return Event("Warning", "FailedBinding", message, "E-5")


def waiting_for_provisioner(provisioner: str) -> Event:
    """E-6: an external provisioner has been asked."""
    message = (
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )
    return Event("Normal", "ExternalProvisioning", message, "E-6")


def mode_differs_on_volume(claim_name: str) -> Event:
    """E-7: about the volume whose mode its claim doesn't ask for."""
    pair = f'PersistentVolume to requested PersistentVolumeClaim "{claim_name}"'
    message = f"Cannot bind {pair} due to incompatible volumeMode."
    return Event("Warning", "VolumeMismatch", message, "E-7")


def mode_differs_on_claim(volume_name: str) -> Event:
    """E-8: about the claim whose reserved volume has another mode."""
    pair = f'PersistentVolume "{volume_name}" to requested PersistentVolumeClaim'
    message = f"Cannot bind {pair} due to incompatible volumeMode."
    return Event("Warning", "VolumeMismatch", message, "E-8")


def recycle_failed(why: str) -> Event:
    """E-13: the recycler came back with an error."""
    return Event("Warning", "VolumeFailedRecycle", f"Recycle failed: {why}", "E-13")


def volume_in_use(pod_keys: Sequence[str]) -> Event:
    """E-14: recycling waits for pods."""
    return Event("Normal", "VolumeFailedRecycle", f"Volume is used by pods: {','.join(pod_keys)}", "E-14")


def recycler_pod_event(type_: EventType, message: str) -> Event:
    """E-16: an event of the recycler's pod, repeated on the volume."""
    return Event(type_, "RecyclerPod", f"Recycler pod: {message}", "E-16")


def delete_failed(why: str) -> Event:
    """E-18: the storage could not be deleted."""
    return Event("Warning", "VolumeFailedDelete", why, "E-18")


def provisioning_failed(why: str) -> Event:
    """E-19: no volume was made for the claim."""
    return Event("Warning", "ProvisioningFailed", why, "E-19")


def delete_postponed(why: str) -> Event:
    """E-20: the storage is still in use."""
    return Event("Normal", "VolumeDelete", why, "E-20")


def provisioned(volume_name: str, plugin: str) -> Event:
    """E-21: a volume was made for the claim."""
    message = f"Successfully provisioned volume {volume_name} using {plugin}"
    return Event("Normal", "ProvisioningSucceeded", message, "E-21")


def provisioned_volume_unknown(claim_key: str, name: str, why: str) -> Event:
    """E-19: whether the volume was saved isn't known, so its storage is kept and the volume is saved again."""
    message = f"It is not known whether PV {name} was created for claim {claim_key}, so its storage is kept: {why}"
    return Event("Warning", "ProvisioningFailed", message, "E-19")


def cleanup_failed(claim_key: str, why: str) -> Event:
    """E-22: storage was made, the volume could not be saved, and the storage could not be deleted again."""
    message = f"Error cleaning provisioned volume for claim {claim_key}: {why}. Please delete manually."
    return Event("Warning", "ProvisioningCleanupFailed", message, "E-22")
