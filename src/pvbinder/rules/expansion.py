"""Growing a volume inside the control plane: the next step of a claim that asks for more.

Nothing but FlexVolume grows here any more; everything else is left to the resizer of its CSI driver, and the user is
told so. The writes are strategic merge patches with the claim's revision, as the reference makes them.

Rules: docs/rules/expand.md#3-expand-controller
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.names import PRE_RESIZE_CAPACITY, STORAGE_RESIZER
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.quantity import ZERO, Quantity, QuantityError, parse_quantity
from pvbinder.rules.claim_conditions import conditions_patch
from pvbinder.rules.settings import Migrations

RESIZING: Final = "Resizing"
FILE_SYSTEM_RESIZE_PENDING: Final = "FileSystemResizePending"
RESIZE_CONDITIONS: Final = frozenset({RESIZING, FILE_SYSTEM_RESIZE_PENDING, "ControllerResizeError", "NodeResizeError"})
ON_NODE: Final = "Waiting for user to (re-)start a pod to finish file system resize of volume on node."
FLEX_VOLUME: Final = "flexVolume"

PLUGIN_OF_SOURCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "awsElasticBlockStore": "kubernetes.io/aws-ebs",
        "gcePersistentDisk": "kubernetes.io/gce-pd",
        "azureDisk": "kubernetes.io/azure-disk",
        "azureFile": "kubernetes.io/azure-file",
        "cinder": "kubernetes.io/cinder",
        "vsphereVolume": "kubernetes.io/vsphere-volume",
        "portworxVolume": "kubernetes.io/portworx-volume",
    }
)


class NotBoundToEachOther(Struct, frozen=True):
    """The volume doesn't belong to the claim (EX-3): an error, tried again."""

    problem: str


class NothingToExpand(Struct, frozen=True):
    """The claim has what it asks for, or the node does the rest (EX-4)."""


class HandToDriver(Struct, frozen=True):
    """A CSI driver acts for the in-tree plugin: tell the user, and name the driver in the claim (EX-5)."""

    plugin: str
    driver: str
    is_named: bool  # the claim names it already


class WaitForExternal(Struct, frozen=True):
    """Somebody else's resizer must act (EX-6)."""


class ForgetOldCapacity(Struct, frozen=True):
    """The expansion is over: the note of the capacity before it goes (EX-8)."""


class Grow(Struct, frozen=True):
    """Expand to `size` with `plugin` (EX-9 to EX-11)."""

    size: Quantity
    plugin: str


class MarkForNode(Struct, frozen=True):
    """The node failed for good, and may try again (EX-11)."""


class NoteOldCapacity(Struct, frozen=True):
    """The node has been asked, but the old capacity isn't noted yet (EX-11): its last write failed.

    The reference leaves it at that; the note has the value that it would have written.
    """


Expansion: TypeAlias = (
    NotBoundToEachOther
    | NothingToExpand
    | HandToDriver
    | WaitForExternal
    | ForgetOldCapacity
    | Grow
    | MarkForNode
    | NoteOldCapacity
)


def is_worth_a_look(before: Claim | None, after: Claim) -> bool:
    """Tell whether a change of a claim may mean an expansion; `before` is None for one that came or went (EX-1)."""
    if after.phase != "Bound":
        return False
    if before is None:
        return True
    return after.request > before.request or _capacity(after) > _capacity(before)


def decide_expansion(claim: Claim, volume: Volume, migrations: Migrations) -> Expansion:
    """Return the next step of the expansion of `claim`, which is bound to `volume`."""
    reference = volume.claim_ref
    if reference is None or reference.namespace != claim.namespace or reference.uid != claim.uid:
        return NotBoundToEachOther(f"persistent Volume is not bound to PVC being updated : {claim.key}")
    has_note = PRE_RESIZE_CAPACITY in volume.annotations
    if claim.request <= _capacity(claim) and not has_note:
        return NothingToExpand()
    source = volume.source
    plugin = PLUGIN_OF_SOURCE.get(source)
    driver = migrations.driver_of(plugin) if plugin is not None else None
    if plugin is not None and driver is not None:
        return HandToDriver(plugin, driver, is_named=claim.annotations.get(STORAGE_RESIZER) == driver)
    if source != FLEX_VOLUME:
        return WaitForExternal()
    if _capacity(claim) >= claim.request and _capacity(claim) >= volume.size and has_note:
        return ForgetOldCapacity()
    return _grow(claim, volume)


def _grow(claim: Claim, volume: Volume) -> Expansion:
    """Say to which size the claim grows, also after an expansion that failed (EX-9)."""
    status = claim.document().get("status") or {}
    state = (status.get("allocatedResourceStatuses") or {}).get("storage")
    allocated = _quantity((status.get("allocatedResources") or {}).get("storage"))
    plugin = str(((volume.document().get("spec") or {}).get(FLEX_VOLUME) or {}).get("driver") or "")
    promised = claim.request if allocated is None else allocated
    if volume.size < claim.request:
        if state in ("ControllerResizeInProgress", "NodeResizePending", "NodeResizeInProgress", "NodeResizeInfeasible"):
            return Grow(promised, plugin)
        return Grow(claim.request, plugin)
    if state in ("NodeResizePending", "NodeResizeInProgress"):
        has_note = PRE_RESIZE_CAPACITY in volume.annotations
        return NothingToExpand() if has_note or claim.status_capacity is None else NoteOldCapacity()
    if state == "NodeResizeInfeasible":
        return MarkForNode()
    return Grow(promised, plugin)


# -- the writes


def resizer_patch(claim: Claim, driver: str) -> Json:
    """Name `driver` as the resizer of the volume of `claim` (EX-5; a patch of the status)."""
    return _with_revision(claim, {"metadata": {"annotations": {STORAGE_RESIZER: driver}}})


def in_progress_patch(claim: Claim, size: Quantity, plugin: str, now: str) -> Json:
    """Mark the expansion of `claim` to `size` as begun (EX-10; a patch of the status)."""
    status: Json = {
        "allocatedResourceStatuses": {"storage": "ControllerResizeInProgress"},
        "allocatedResources": {"storage": str(size)},
        **_conditions(claim, [_condition(RESIZING, now)], keep_old=False),
    }
    return _with_revision(claim, {"metadata": {"annotations": {STORAGE_RESIZER: plugin}}, "status": status})


def node_pending_patch(claim: Claim, now: str) -> Json:
    """Leave the rest of the expansion of `claim` to its node (EX-11; a patch of the status)."""
    conditions = _conditions(claim, [_condition(FILE_SYSTEM_RESIZE_PENDING, now, ON_NODE)], keep_old=True)
    status: Json = {"allocatedResourceStatuses": {"storage": "NodeResizePending"}, **conditions}
    return _with_revision(claim, {"status": status})


def finished_patch(claim: Claim, size: Quantity) -> Json:
    """Give `claim` its new capacity: a block volume needs nothing from its node (EX-11; a patch of the status)."""
    status: Json = {
        "capacity": {"storage": str(size)},
        "allocatedResourceStatuses": {"storage": None},
        **_conditions(claim, [], keep_old=False),
    }
    return _with_revision(claim, {"status": status})


def volume_size_patch(size: Quantity) -> Json:
    """Give a volume its new capacity (EX-9)."""
    return {"spec": {"capacity": {"storage": str(size)}}}


def old_capacity_patch(capacity: Quantity | None) -> Json:
    """Note on a volume what its claim's capacity was before, or with None take that note away (EX-8, EX-11)."""
    return {"metadata": {"annotations": {PRE_RESIZE_CAPACITY: None if capacity is None else str(capacity)}}}


def _with_revision(claim: Claim, change: Json) -> Json:
    return {**change, "metadata": {**change.get("metadata", {}), "resourceVersion": claim.resource_version}}


def _condition(type_: str, now: str, message: str | None = None) -> Json:
    condition: Json = {"type": type_, "status": "True", "lastTransitionTime": now}
    if message is not None:
        condition["message"] = message
    return condition


def _conditions(claim: Claim, wanted: list[Json], *, keep_old: bool) -> Json:
    """Return what in a patch brings the resize conditions to `wanted`; those that are there already keep their times.

    It is empty where nothing changes: an empty list would be a change.
    """
    status = claim.document().get("status") or {}
    old: dict[str, Json] = {
        one["type"]: one for one in status.get("conditions") or [] if one["type"] in RESIZE_CONDITIONS
    }
    entries: list[Any] = [one for one in wanted if old.get(one["type"], {}).get("status") != one["status"]]
    if not keep_old:
        kept = {one["type"] for one in wanted}
        entries += [{"$patch": "delete", "type": type_} for type_ in old if type_ not in kept]
    return conditions_patch(claim, entries)


def _capacity(claim: Claim) -> Quantity:
    return claim.status_capacity if claim.status_capacity is not None else ZERO


def _quantity(value: object) -> Quantity | None:
    try:
        return parse_quantity(str(value)) if value is not None else None
    except QuantityError:
        return None
