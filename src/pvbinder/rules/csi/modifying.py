"""Changing the attributes of a volume through its CSI driver: the next step of a claim that names another class.

MODIFYING-1  While a modification may still be running its class stays the goal, whatever the claim names meanwhile
             (VM-4).

Rules: docs/rules/expand.md#45-volume-modification-volumeattributesclass
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.claim_conditions import changed_conditions, condition
from pvbinder.rules.csi.claim_progress import progress_of

MODIFYING: Final = "ModifyingVolume"
MODIFY_ERROR: Final = "ModifyVolumeError"

IN_PROGRESS: Final = "InProgress"  # modifyVolumeStatus.status
INFEASIBLE: Final = "Infeasible"
PENDING: Final = "Pending"


class WhyNotModified(Enum):
    """Why a claim needs nothing from its modifier."""

    NOT_OURS = "the volume isn't the driver's, or isn't the claim's"
    NOT_BOUND = "it is bound to nothing"
    HAS_IT = "its volume has the class that it names"
    NAMES_NONE = "it names no class, and nothing is under way"


class NothingToModify(Struct, frozen=True):
    """There is nothing to do."""

    why: WhyNotModified


class Cancel(Struct, frozen=True):
    """The claim names no class any more after a modification that can't be done: say that it is over (VM-3)."""


class SeeThrough(Struct, frozen=True):
    """See the modification to `target` through, which may be running (VM-4)."""

    target: str


class Modify(Struct, frozen=True):
    """Begin the modification to `target`; `failed_before` says that the last try was called infeasible (VM-10)."""

    target: str
    failed_before: bool = False


Modifying: TypeAlias = NothingToModify | Cancel | SeeThrough | Modify


def is_worth_a_look(before: Claim | None, after: Claim) -> bool:
    """Tell whether a change of a claim may mean a modification; `before` is None for one that is new (VM-1)."""
    if not after.volume_name:
        return False
    if before is None or after.attributes_class != before.attributes_class or after.phase != before.phase:
        return True
    is_idle = progress_of(after).modification is None
    return is_idle and after.attributes_class != (after.current_attributes_class or "")


def is_ours(claim: Claim, volume: Volume, driver: str) -> bool:
    """Tell whether `driver` modifies the volume, and the two belong together (VM-1)."""
    reference = volume.claim_ref
    is_its = reference is not None and reference.namespace == claim.namespace and reference.uid == claim.uid
    return is_its and volume.csi is not None and volume.csi.driver == driver


def decide_modification(claim: Claim, volume: Volume, driver: str, *, is_uncertain: bool) -> Modifying:
    """Return the next step of `claim`, which is bound to `volume`.

    `is_uncertain` says that nobody knows whether the modification that the claim's status names is running (VM-4).
    """
    if not is_ours(claim, volume, driver):
        return NothingToModify(WhyNotModified.NOT_OURS)
    if claim.phase != "Bound":
        return NothingToModify(WhyNotModified.NOT_BOUND)
    modification = progress_of(claim).modification
    wanted = claim.attributes_class
    if modification is None and wanted == (claim.current_attributes_class or ""):
        return NothingToModify(WhyNotModified.HAS_IT)  # VM-2
    is_in_progress = modification is not None and modification.status == IN_PROGRESS
    if not wanted and not is_in_progress:
        has_condition = any(one.type == MODIFYING for one in claim.conditions)
        return Cancel() if has_condition else NothingToModify(WhyNotModified.NAMES_NONE)  # VM-3
    if modification is not None and is_in_progress and (is_uncertain or not wanted):
        return SeeThrough(modification.target_volume_attributes_class_name)
    failed = modification is not None and modification.status == INFEASIBLE
    same = modification is not None and modification.target_volume_attributes_class_name == wanted
    return Modify(wanted, failed_before=failed and same)


# -- the writes: strategic merge patches of the status, but for the volume's


def pending(claim: Claim) -> Json:
    """Say that the class isn't there (VM-5); the target stays what it was."""
    return _patch(claim, {"modifyVolumeStatus": {"status": PENDING}}, has_revision=True)


def begun(claim: Claim, target: str, now: str) -> Json:
    """Mark the modification to `target` as begun (VM-6)."""
    told = _modifying(f'Modifying volume to "{target}" is in progress.', now)
    status = _status(claim, IN_PROGRESS, [told], target)
    return _patch(claim, status, has_revision=True)


def failed(
    claim: Claim, target: str, code: str, message: str, now: str, *, is_final: bool, is_infeasible: bool
) -> Json:
    """Say that the modification to `target` failed with `code` (VM-9)."""
    outcome = "failed. Waiting for retry." if is_final else "is still in progress."
    told = _modifying(f'Modifying volume to "{target}" {outcome}', now)
    error = condition(MODIFY_ERROR, now, message, reason=code) | {"lastProbeTime": now}
    status = _status(claim, INFEASIBLE if is_infeasible else IN_PROGRESS, [told, error], target)
    return _patch(claim, status, has_revision=True)


def succeeded(claim: Claim, target: str) -> Json:
    """Say that the volume has the attributes of `target` (VM-8).

    It has no revision: whatever the claim names by now, that is what the volume has.
    """
    status: Json = changed_conditions(claim, [], (MODIFYING, MODIFY_ERROR))
    status["modifyVolumeStatus"] = None
    status["currentVolumeAttributesClassName"] = target
    return _patch(claim, status, has_revision=False)


def cancelled(claim: Claim) -> Json:
    """Take the condition away (VM-3)."""
    return _patch(claim, changed_conditions(claim, [], (MODIFYING,)), has_revision=False)


def with_class(volume: Volume, target: str) -> Json:
    """Name the class of `volume` (VM-8; a patch of the volume)."""
    metadata = {"uid": volume.uid, "resourceVersion": volume.resource_version}
    return {"metadata": metadata, "spec": {"volumeAttributesClassName": target}}


def _modifying(message: str, now: str) -> Json:
    return condition(MODIFYING, now, message) | {"lastProbeTime": now}


def _status(claim: Claim, state: str, wanted: list[Json], target: str) -> Json:
    status: Json = changed_conditions(claim, wanted)
    status["modifyVolumeStatus"] = {"status": state, "targetVolumeAttributesClassName": target}
    return status


def _patch(claim: Claim, status: Json, *, has_revision: bool) -> Json:
    metadata: dict[str, Any] = {"uid": claim.uid}
    if has_revision:
        metadata["resourceVersion"] = claim.resource_version
    return {"metadata": metadata, "status": status}
