"""The writes of an expansion through a CSI driver: strategic merge patches, as the reference makes them.

RESIZE_WRITES-1  Each patch names the uid of its object: it never changes another one that took the name since. All but
                 that of a failure name the revision, too: what was decided by an old state isn't written.

Rules: docs/rules/expand.md#42-steps
"""

from __future__ import annotations

from typing import Any, Final

from pvbinder.model.json import Json
from pvbinder.model.names import NODE_EXPANSION_NOT_REQUIRED, PRE_RESIZE_CAPACITY
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.quantity import Quantity
from pvbinder.rules.claim_conditions import changed_conditions, condition
from pvbinder.rules.csi.claim_progress import progress_of
from pvbinder.rules.csi.resizing import CONTROLLER_IN_PROGRESS, CONTROLLER_INFEASIBLE, NODE_PENDING
from pvbinder.rules.expansion import FILE_SYSTEM_RESIZE_PENDING, ON_NODE, RESIZE_CONDITIONS, RESIZING

CONTROLLER_ERROR: Final = "ControllerResizeError"


def begun(claim: Claim, size: Quantity, now: str, *, is_recorded: bool) -> Json:
    """Mark the expansion of `claim` to `size` as begun (RS-7; a patch of the status)."""
    dropped = frozenset() if is_recorded else RESIZE_CONDITIONS
    status: Json = changed_conditions(claim, [condition(RESIZING, now)], dropped)
    status["allocatedResources"] = {"storage": str(size)}
    if not is_recorded:
        status["allocatedResourceStatuses"] = {"storage": CONTROLLER_IN_PROGRESS}
    return _patch(claim, {NODE_EXPANSION_NOT_REQUIRED: None}, status)


def left_to_node(claim: Claim, now: str) -> Json:
    """Leave the rest of the expansion of `claim` to its node (RS-12; a patch of the status)."""
    status: Json = changed_conditions(claim, [condition(FILE_SYSTEM_RESIZE_PENDING, now, ON_NODE)])
    status["allocatedResourceStatuses"] = {"storage": NODE_PENDING}
    return _patch(claim, {NODE_EXPANSION_NOT_REQUIRED: None}, status)


def finished(claim: Claim, size: Quantity) -> Json:
    """Give `claim` its new capacity: the node has nothing to do (RS-13; a patch of the status)."""
    status: Json = changed_conditions(claim, [], RESIZE_CONDITIONS)
    status["capacity"] = {"storage": str(size)}
    if progress_of(claim).resize_state:
        status["allocatedResourceStatuses"] = {"storage": None}
    return _patch(claim, {NODE_EXPANSION_NOT_REQUIRED: "true"}, status)


def failed(claim: Claim, error: str, now: str, *, is_infeasible: bool) -> Json:
    """Say in the status of `claim` that its expansion failed for good (RS-14; a patch of the status).

    It has no revision: whatever the claim asks for by now, that call has failed.
    """
    status: Json = changed_conditions(claim, [condition(CONTROLLER_ERROR, now, f"failed to expand pvc with {error}")])
    if is_infeasible:
        status["allocatedResourceStatuses"] = {"storage": CONTROLLER_INFEASIBLE}
    return {"metadata": {"uid": claim.uid}, "status": status}


def grown(volume: Volume, size: Quantity, old_capacity: Quantity | None) -> Json:
    """Give `volume` its new capacity; an old one is noted unless there is a note (RS-11; a patch)."""
    change = _patch(volume, {}, None)
    change["spec"] = {"capacity": {"storage": str(size)}}
    if old_capacity is not None and PRE_RESIZE_CAPACITY not in volume.annotations:
        change["metadata"]["annotations"] = {PRE_RESIZE_CAPACITY: str(old_capacity)}
    return change


def without_note(volume: Volume) -> Json:
    """Take the note of the old capacity away (RS-3; a patch)."""
    return _patch(volume, {PRE_RESIZE_CAPACITY: None}, None)


def _patch(of: Claim | Volume, annotations: dict[str, str | None], status: Json | None) -> Json:
    metadata: dict[str, Any] = {"uid": of.uid, "resourceVersion": of.resource_version}
    changed = {key: value for key, value in annotations.items() if of.annotations.get(key) != value}
    if changed:
        metadata["annotations"] = changed
    return {"metadata": metadata} if status is None else {"metadata": metadata, "status": status}
