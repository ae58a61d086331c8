"""What the status of a claim says of an expansion or a modification of its volume that isn't over.

CLAIM_PROGRESS-1  Any claim that could be read has a progress: what makes no sense in it counts as not there.

Rules: docs/rules/expand.md#1-api-data-involved
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from pvbinder.model.objects import Claim
from pvbinder.model.quantity import Quantity, QuantityError, parse_quantity


class Modification(Struct, frozen=True, rename="camel"):
    """The modification that was begun last and has not succeeded: `status.modifyVolumeStatus`."""

    status: str = ""  # Pending, InProgress or Infeasible
    target_volume_attributes_class_name: str = ""


class ClaimProgress(Struct, frozen=True):
    """How far expansion and modification are; None or "" for what isn't under way."""

    resize_state: str = ""
    allocated: Quantity | None = None
    modification: Modification | None = None


class _Status(Struct, frozen=True, rename="camel"):
    allocated_resources: dict[str, str | int | float] | None = None
    allocated_resource_statuses: dict[str, str] | None = None
    modify_volume_status: Modification | None = None


class _Object(Struct, frozen=True):
    status: _Status | None = None


NOTHING: Final = ClaimProgress()
_objects: Final = msgspec.json.Decoder(_Object)


def progress_of(claim: Claim) -> ClaimProgress:
    """Return how far the expansion and the modification of `claim` are (CLAIM_PROGRESS-1)."""
    try:
        status = _objects.decode(claim.raw).status
    except msgspec.DecodeError:
        return NOTHING
    if status is None:
        return NOTHING
    allocated = (status.allocated_resources or {}).get("storage")
    state = (status.allocated_resource_statuses or {}).get("storage", "")
    return ClaimProgress(state, _quantity(allocated), status.modify_volume_status)


def _quantity(value: str | float | None) -> Quantity | None:
    try:
        return parse_quantity(str(value)) if value is not None else None
    except QuantityError:
        return None
