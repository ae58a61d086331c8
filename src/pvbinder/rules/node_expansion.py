"""The node's part in growing a volume: the step of a kubelet that grows the file system (EX-11, RS-12).

Where a driver is asked for it, the claim says that it is under way, and how it failed: for good
(`NodeResizeInfeasible`), which the controller takes up, or to be tried again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.csi.claim_progress import progress_of
from pvbinder.rules.pod_status import stamp

NODE_ERROR: Final = "NodeResizeError"
RESIZE_CONDITIONS: Final = frozenset({"Resizing", "FileSystemResizePending", "ControllerResizeError", NODE_ERROR})
IN_PROGRESS: Final = "NodeResizeInProgress"
INFEASIBLE: Final = "NodeResizeInfeasible"


def waits_for_node(claim: Claim) -> bool:
    """Tell whether the volume of `claim` has grown and only its file system is left."""
    return any(one.type == "FileSystemResizePending" and one.status == "True" for one in claim.conditions) and (
        resize_status(claim) != INFEASIBLE
    )


def resize_status(claim: Claim) -> str:
    """Return how far the resize of the claim's storage is, ``""`` if there is none."""
    statuses = (claim.document().get("status") or {}).get("allocatedResourceStatuses") or {}
    return str(statuses.get("storage") or "")


def with_resize_begun(claim: Claim) -> Json | None:
    """Return `claim` with the node at work on it; None if it says so."""
    if resize_status(claim) == IN_PROGRESS:
        return None
    document = claim.document()
    status = document["status"]
    status["allocatedResourceStatuses"] = {**(status.get("allocatedResourceStatuses") or {}), "storage": IN_PROGRESS}
    return document


def with_resize_failed(claim: Claim, why: str, now: datetime, *, is_infeasible: bool) -> Json:
    """Return `claim` with the node's failure in it; an infeasible one isn't tried again."""
    document = claim.document()
    status = document["status"]
    if is_infeasible:
        statuses = status.get("allocatedResourceStatuses") or {}
        status["allocatedResourceStatuses"] = {**statuses, "storage": INFEASIBLE}
    condition = {
        "type": NODE_ERROR,
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": stamp(now),
        "message": f"failed to expand pvc with {why}",
    }
    others = [one for one in status.get("conditions") or [] if one.get("type") != NODE_ERROR]
    status["conditions"] = [*others, condition]
    return document


def with_finished_resize(claim: Claim, volume: Volume) -> Json | None:
    """Return `claim` with the size of its `volume` in its status and nothing left of the resize (RS-12).

    None if there is nothing to finish, the volume is not the claim's, or what is known of it is older than the claim:
    before the claim waits for its node, its volume has at least the size that is allocated to the claim.
    """
    if not waits_for_node(claim) or volume.capacity is None or volume.claim_uid != claim.uid:
        return None
    allocated = progress_of(claim).allocated
    if allocated is not None and volume.capacity < allocated:
        return None
    document = claim.document()
    status = document["status"]
    status["capacity"] = {**(status.get("capacity") or {}), "storage": str(volume.capacity)}
    status["conditions"] = [one for one in status.get("conditions") or [] if one.get("type") not in RESIZE_CONDITIONS]
    for field in ("allocatedResourceStatuses",):
        left = {key: value for key, value in (status.get(field) or {}).items() if key != "storage"}
        if left:
            status[field] = left
        else:
            status.pop(field, None)
    if not status["conditions"]:
        del status["conditions"]
    return document
