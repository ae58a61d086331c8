"""The reclaim of a volume whose claim is gone.

Rules: docs/rules/binder.md#9-reclaim
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from msgspec import Struct

from pvbinder.model.names import IN_TREE_PREFIX, MIGRATED_TO
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules import events
from pvbinder.rules.events import Event
from pvbinder.rules.migration import is_migrated
from pvbinder.rules.plugins import PluginAbilities, Plugins
from pvbinder.rules.reasons import ByReason, Reason
from pvbinder.rules.world import World


class LeaveReason(Reason):
    """Why a volume without a claim stays as it is."""

    MIGRATED = "RC-1"  # the CSI side reclaims it
    RETAINED = "RC-2"


class Leave(Struct, ByReason, frozen=True):
    """Leave the volume as it is, for the CSI side or for a person."""

    reason: LeaveReason


class StartRecycling(Struct, frozen=True):
    """Start the operation that scrubs the volume (RY)."""

    rule: ClassVar[str] = "RC-3"


class StartDeleting(Struct, frozen=True):
    """Start the operation that deletes the storage and the volume (DL)."""

    rule: ClassVar[str] = "RC-4"


class RefusePolicy(Struct, frozen=True):
    """The volume fails: nobody knows its reclaim policy."""

    event: Event
    rule: ClassVar[str] = "RC-5"


Reclaim: TypeAlias = Leave | StartRecycling | StartDeleting | RefusePolicy


def decide_reclaim(volume: Volume) -> Reclaim:
    """Say what to do with `volume`, whose claim is gone (RC-1 to RC-5)."""
    if is_migrated(volume):
        return Leave(LeaveReason.MIGRATED)
    match volume.reclaim_policy:
        case "Retain":
            return Leave(LeaveReason.RETAINED)
        case "Recycle":
            return StartRecycling()
        case "Delete":
            return StartDeleting()
        case _:
            return RefusePolicy(events.UNKNOWN_POLICY)


def is_released(volume: Volume, world: World) -> bool:
    """Tell whether the claim of `volume`, as just read live, has let it go (RC-6)."""
    ref = volume.claim_ref
    if ref is None or not ref.uid:
        return False
    return lets_go(world.claim(ref.key), volume)


def lets_go(claim: Claim | None, volume: Volume) -> bool:
    """Tell whether `claim`, all there is under the name that `volume` refers to, isn't the one that uses it (RC-6)."""
    if claim is None or claim.uid != volume.claim_uid:
        return True
    return claim.volume_name not in ("", volume.name)


# ------------------------------------------------------------------------------------------------ delete


class DeleteOutside(Struct, frozen=True):
    """An external provisioner deletes it, once its phase is `Released`; nothing to do here, ever (DL-2)."""

    rule: ClassVar[str] = "DL-2"


class DeleteWith(Struct, frozen=True):
    """Let `plugin` delete the storage."""

    plugin: PluginAbilities
    rule: ClassVar[str] = "DL-1"


class CannotDelete(Struct, frozen=True):
    """The volume fails: nothing can delete its storage; `why` is the reference's text (DL-3)."""

    why: str
    rule: ClassVar[str] = "DL-3"


DeleterFound: TypeAlias = DeleteOutside | DeleteWith | CannotDelete


def find_deleter(volume: Volume, plugins: Plugins) -> DeleterFound:
    """Say who deletes the storage behind `volume` (DL-1)."""
    provisioner = volume.provisioned_by
    if provisioner:
        plugin = plugins.named(provisioner)
        if plugin is not None and plugin.can_delete:
            return DeleteWith(plugin)
        if not provisioner.startswith(IN_TREE_PREFIX):
            return DeleteOutside()
        if plugin is None:
            return CannotDelete(f"no volume plugin matched name: {provisioner}")
        return CannotDelete("no deletable volume plugin matched")
    if MIGRATED_TO in volume.annotations or volume.csi is not None:
        return DeleteOutside()
    found = plugins.supporting(volume)
    if len(found) == 1 and found[0].can_delete:
        return DeleteWith(found[0])
    if not found:
        why = "no volume plugin matched"
    elif len(found) > 1:
        why = f"multiple volume plugins matched: {','.join(plugin.name for plugin in found)}"
    else:
        why = "no deletable volume plugin matched"
    return CannotDelete(f'error getting deleter volume plugin for volume "{volume.name}": {why}')


# ------------------------------------------------------------------------------------------------ recycle


class NotReleased(Struct, frozen=True):
    """Nothing now: a claim has the volume again."""

    rule: ClassVar[str] = "RY-1"


class StillUsed(Struct, frozen=True):
    """Nothing now: pods still use it."""

    event: Event
    rule: ClassVar[str] = "RY-2"


class RecycleWith(Struct, frozen=True):
    """Let `plugin` scrub the storage."""

    plugin: PluginAbilities
    rule: ClassVar[str] = "RY-4"


class CannotRecycle(Struct, frozen=True):
    """The volume fails: nothing can scrub its storage (RY-3)."""

    event: Event
    rule: ClassVar[str] = "RY-3"


Recycling: TypeAlias = NotReleased | StillUsed | RecycleWith | CannotRecycle


def decide_recycling(volume: Volume, world: World) -> Recycling:
    """Say whether and by whom `volume`, as just read live, is scrubbed (RY-1 to RY-3).

    Pods count only while no claim has the name that they use: a new claim of that name uses another volume.
    """
    ref = volume.claim_ref
    if ref is None or not is_released(volume, world):
        return NotReleased()
    pods = sorted(pod.key for pod in world.pods_of(ref.key) if not pod.is_terminated)
    if pods and world.claim(ref.key) is None:
        return StillUsed(events.volume_in_use(pods))
    found = world.plugins.supporting(volume)
    if len(found) == 1 and found[0].can_recycle:
        return RecycleWith(found[0])
    return CannotRecycle(events.NO_RECYCLER)
