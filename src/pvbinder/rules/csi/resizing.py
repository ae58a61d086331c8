"""Growing a volume through its CSI driver: the next step of a claim that asks for more than it has.

RESIZING-1  While an expansion may still be running its size is asked for again, whatever the claim asks for meanwhile:
            only after a final error another size is (RF-2).

Rules: docs/rules/expand.md#4-csi-external-resizer-protocol
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct

from pvbinder.model.names import PRE_RESIZE_CAPACITY, STORAGE_RESIZER
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.quantity import ZERO, Quantity
from pvbinder.rules.csi.claim_progress import ClaimProgress, progress_of
from pvbinder.rules.expansion import FILE_SYSTEM_RESIZE_PENDING
from pvbinder.rules.settings import IN_TREE_DRIVERS

# allocatedResourceStatuses.storage, as far as a resizer writes or reads it
CONTROLLER_IN_PROGRESS: Final = "ControllerResizeInProgress"
CONTROLLER_INFEASIBLE: Final = "ControllerResizeInfeasible"
NODE_PENDING: Final = "NodeResizePending"
NODE_IN_PROGRESS: Final = "NodeResizeInProgress"
NODE_INFEASIBLE: Final = "NodeResizeInfeasible"
_OURS: Final = frozenset({CONTROLLER_IN_PROGRESS, CONTROLLER_INFEASIBLE, NODE_PENDING})


class WhyNotResized(Enum):
    """Why a claim needs nothing from its resizer."""

    NOT_OURS = "the volume isn't the driver's, or isn't the claim's"
    FITS = "it has what it asks for, or is bound to nothing"
    LEFT_TO_NODE = "its volume has grown, the node does the rest"


class NothingToResize(Struct, frozen=True):
    """There is nothing to do."""

    why: WhyNotResized


class Resize(Struct, frozen=True):
    """Have the driver grow the volume to `size`; `is_recorded` says that the claim's status names that size already."""

    size: Quantity
    is_recorded: bool


Resizing: TypeAlias = NothingToResize | Resize


def is_worth_a_look(before: Claim | None, after: Claim) -> bool:
    """Tell whether a change of a claim may mean an expansion; `before` is None for one that is new (RS-1).

    Statuses that resizers write themselves are no news: who wrote one goes on with it.
    """
    if not after.volume_name:
        return False  # RS-2
    if before is None:
        return True
    return (
        after.request != before.request
        or after.phase != before.phase
        or after.annotations.get(STORAGE_RESIZER) != before.annotations.get(STORAGE_RESIZER)
        or _capacity(after) > _capacity(before)
        or _state_is_news(progress_of(before).resize_state, progress_of(after).resize_state)
    )


def _state_is_news(before: str, after: str) -> bool:
    return before != after and after not in _OURS


def is_ours(claim: Claim, volume: Volume, driver: str) -> bool:
    """Tell whether `driver` resizes the volume, and the two belong together (RS-5)."""
    reference = volume.claim_ref
    if reference is None or reference.namespace != claim.namespace or reference.uid != claim.uid:
        return False
    if volume.csi is not None:
        return volume.csi.driver == driver
    return driver in IN_TREE_DRIVERS.values() and claim.annotations.get(STORAGE_RESIZER) == driver


def has_stale_note(claim: Claim, volume: Volume) -> bool:
    """Tell whether an expansion is over and the note of the capacity before it is still there (RS-3)."""
    return PRE_RESIZE_CAPACITY in volume.annotations and _capacity(claim) >= volume.size


def decide_resize(claim: Claim, volume: Volume, driver: str, *, has_failed: bool, has_controller: bool) -> Resizing:
    """Return the next step of `claim`, which is bound to `volume` (RS-4 to RS-6).

    `has_failed` says that the last call ended with a final error, `has_controller` that the driver itself grows
    volumes, and not the node alone.
    """
    if not is_ours(claim, volume, driver):
        return NothingToResize(WhyNotResized.NOT_OURS)
    if claim.phase != "Bound" or claim.request <= _capacity(claim):
        return NothingToResize(WhyNotResized.FITS)
    progress = progress_of(claim)
    if volume.size < claim.request:
        size = _size_of_smaller(claim, volume, progress, has_failed=has_failed)
    else:
        size = _size_of_grown(claim, progress, has_controller=has_controller)
    if size is None:
        return NothingToResize(WhyNotResized.LEFT_TO_NODE)
    return Resize(size, is_recorded=progress.allocated is not None and progress.allocated == size)


def _size_of_smaller(claim: Claim, volume: Volume, progress: ClaimProgress, *, has_failed: bool) -> Quantity | None:
    """Return the size for a volume that is smaller than the request (RF-2, RF-4, RESIZING-1)."""
    promised = progress.allocated if progress.allocated is not None else claim.request
    match progress.resize_state:
        case "NodeResizeInfeasible":
            return promised
        case "NodeResizePending" | "NodeResizeInProgress":
            return None if volume.size >= promised else promised
        case "ControllerResizeInProgress":
            return claim.request if has_failed else promised
        case _:
            return claim.request


def _size_of_grown(claim: Claim, progress: ClaimProgress, *, has_controller: bool) -> Quantity | None:
    """Return the size for a volume that is as large as the request; None while the node is at work."""
    promised = progress.allocated if progress.allocated is not None else claim.request
    match progress.resize_state:
        case "NodeResizePending" | "NodeResizeInProgress":
            return None
        case "NodeResizeInfeasible":
            return promised if has_controller else claim.request
        case "ControllerResizeInProgress" | "ControllerResizeInfeasible":
            return promised
        case "" if progress.allocated is not None:
            return promised
        case _:
            return None if _waits_for_node(claim) else claim.request


def _waits_for_node(claim: Claim) -> bool:
    return any(one.type == FILE_SYSTEM_RESIZE_PENDING and one.status == "True" for one in claim.conditions)


def _capacity(claim: Claim) -> Quantity:
    return claim.status_capacity if claim.status_capacity is not None else ZERO
