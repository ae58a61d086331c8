"""The changes of bind, unbind and the status writers to a claim or volume.

Each function takes views and returns the whole changed document, revision included, for a PUT, or None when nothing
has to change: calling them again after the write gives None. They don't choose and don't check; that has been done.

Rules: docs/rules/binder.md#7-bind--unbind, docs/rules/binder.md#8-status-writers
"""

from __future__ import annotations

from typing import Literal

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.names import BIND_COMPLETED, BOUND_BY_CONTROLLER, PRE_RESIZE_CAPACITY, YES
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.quantity import QuantityError, parse_quantity
from pvbinder.rules.matching import is_bound_to
from pvbinder.rules.settings import DEFAULTS, Settings

VolumePhase = Literal["Available", "Bound", "Released", "Failed"]


class NoCapacityError(PvbinderError):
    """A volume that says nothing of its size can't complete a claim (ST-5)."""


def with_claim(volume: Volume, claim: Claim) -> Json | None:
    """Return `volume` linked to `claim` (BN-1)."""
    ref = volume.claim_ref
    is_linked = ref is not None and (ref.name, ref.namespace, ref.uid) == (claim.name, claim.namespace, claim.uid)
    lacks_mark = not is_bound_to(volume, claim) and BOUND_BY_CONTROLLER not in volume.annotations
    if is_linked and not lacks_mark:
        return None
    document = volume.document()
    if not is_linked:
        document["spec"]["claimRef"] = reference_to(claim)
    if lacks_mark:
        annotate(document, BOUND_BY_CONTROLLER, YES)
    return document


def reference_to(claim: Claim) -> Json:
    """Return the full reference to `claim` that a volume carries (BN-1, PR-14)."""
    reference = {
        "kind": "PersistentVolumeClaim",
        "namespace": claim.namespace,
        "name": claim.name,
        "uid": claim.uid,
        "apiVersion": "v1",
        "resourceVersion": claim.resource_version,
    }
    return {field: value for field, value in reference.items() if value}


def with_phase(volume: Volume, phase: VolumePhase, message: str = "") -> Json | None:
    """Return `volume` in `phase`, its message replaced; None if it is in that phase already (ST-1, BN-2)."""
    if volume.phase == phase:
        return None
    document = volume.document()
    status = document["status"] = document.get("status") or {}
    status["phase"] = phase
    if message:
        status["message"] = message
    else:
        status.pop("message", None)
    return document


def with_volume(claim: Claim, volume: Volume) -> Json | None:
    """Return `claim` linked to `volume`, its bind marked as completed (BN-3)."""
    is_linked = claim.volume_name == volume.name
    if is_linked and claim.bind_completed:
        return None
    document = claim.document()
    if not is_linked:
        document["spec"]["volumeName"] = volume.name
        annotate(document, BOUND_BY_CONTROLLER, YES)
    annotate(document, BIND_COMPLETED, YES)
    return document


def with_bound_status(claim: Claim, volume: Volume, settings: Settings = DEFAULTS) -> Json | None:
    """Return `claim` with the status that its `volume` gives it (BN-4, ST-4 to ST-6).

    Capacity is copied on the way to `Bound` only; of a claim that is bound it belongs to the resizer. Raises
    `NoCapacityError` if it is due and the volume has none.
    """
    becomes_bound = claim.phase != "Bound"
    if not becomes_bound and claim.status_access_modes == volume.access_modes:
        return None
    document = claim.document()
    status = document["status"] = document.get("status") or {}
    status["phase"] = "Bound"
    if claim.status_access_modes != volume.access_modes:
        status["accessModes"] = list(volume.access_modes)
    if becomes_bound:
        _copy_capacity(status, claim, volume)
        if claim.phase == "Pending" and settings.attributes_classes:
            if volume.attributes_class:
                status["currentVolumeAttributesClassName"] = volume.attributes_class
            else:
                status.pop("currentVolumeAttributesClassName", None)
    return document


def _copy_capacity(status: Json, claim: Claim, volume: Volume) -> None:
    if volume.capacity is None:
        raise NoCapacityError(f'PersistentVolume "{volume.name}" is without a storage capacity')
    before_resize = volume.annotations.get(PRE_RESIZE_CAPACITY)
    if before_resize is not None:
        try:
            capacity = parse_quantity(before_resize)
        except QuantityError:
            capacity = volume.capacity
        status["capacity"] = {**(status.get("capacity") or {}), "storage": str(capacity)}
    elif claim.status_capacity is None or claim.status_capacity != volume.capacity:
        status["capacity"] = volume.document()["spec"]["capacity"]


def with_unbound_status(claim: Claim, phase: Literal["Pending", "Lost"]) -> Json | None:
    """Return `claim` in `phase`, with nothing left in its status of a volume (ST-3)."""
    document = claim.document()
    status = document["status"] = document.get("status") or {}
    leftovers = [field for field in _OF_A_VOLUME if status.get(field) not in (None, [], {})]
    if claim.phase == phase and not leftovers:
        return None
    for field in leftovers:
        del status[field]
    status["phase"] = phase
    return document


_OF_A_VOLUME = ("accessModes", "capacity", "currentVolumeAttributesClassName")


def without_claim(volume: Volume) -> Json:
    """Return `volume` unbound: free if a controller had bound it, else reserved for the name it was made for (UB)."""
    document = volume.document()
    if BOUND_BY_CONTROLLER not in volume.annotations:
        document["spec"]["claimRef"].pop("uid", None)  # UB-2
        return document
    del document["spec"]["claimRef"]  # UB-1
    annotations = document["metadata"]["annotations"]
    del annotations[BOUND_BY_CONTROLLER]
    if not annotations:
        del document["metadata"]["annotations"]
    return document


def annotate(document: Json, key: str, value: str) -> None:
    """Set an annotation unless the object has one of that name."""
    metadata = document["metadata"]
    if metadata.get("annotations") is None:
        metadata["annotations"] = {}
    metadata["annotations"].setdefault(key, value)
