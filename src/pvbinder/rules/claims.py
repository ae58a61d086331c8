"""The next step of a claim.

Rules: docs/rules/binder.md#4-syncclaim
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, StorageClass, Volume
from pvbinder.model.selectors import SelectorError
from pvbinder.rules import events, migration
from pvbinder.rules.classes import BindingModeError, consumer_event, default_class, is_delayed, may_get_default_class
from pvbinder.rules.events import Event
from pvbinder.rules.matching import is_bound_to
from pvbinder.rules.provisioning import Provisioning, decide_provisioning
from pvbinder.rules.reasons import ByReason, Reason
from pvbinder.rules.satisfy import check_named_volume
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.rules.world import World


class BindReason(Reason):
    """Why a claim is bound to this volume."""

    CHOSEN = "SC-U3"  # it is the best that fits
    NAMED_AND_FREE = "SC-P3"  # the claim names it, and nobody has it
    NAMED_AND_RESERVED = "SC-P4"  # the claim names it, and it is reserved for the claim
    CLAIM_REF_MISSING = "SC-B3"  # the claim is bound, its volume doesn't say so any more
    BOUND_TO_EACH_OTHER = "SC-B4"


class WaitReason(Reason):
    """Why a claim waits."""

    NO_CONSUMER = "SC-U5"  # no pod that uses it has a node
    NOTHING_FITS = "SC-U7"  # and it has no class, so that nobody makes a volume
    NAMED_VOLUME_MISSING = "SC-P1"
    NAMED_VOLUME_UNSUITABLE = "SC-P2"
    NAMED_VOLUME_TAKEN = "SC-P5"


class LoseReason(Reason):
    """How a claim lost its volume."""

    REFERENCE_REMOVED = "SC-B1"
    VOLUME_GONE = "SC-B2"
    VOLUME_IS_ANOTHERS = "SC-B5"


class FailReason(Reason):
    """The reasons why a claim fails for now, and is tried again."""

    CLASS_IS_BROKEN = "SC-U1"
    SELECTOR_IS_BROKEN = "SC-U2"
    BOUND_VOLUME_TAKEN = "SC-P6"  # a controller linked the claim to a volume that is another's by now


class AnnealClaim(Struct, frozen=True):
    """Write `document`, whose migration annotations are right, and decide again with the answer (MG-1)."""

    document: Json
    rule: ClassVar[str] = "MG-1"


class Bind(Struct, ByReason, frozen=True):
    """Make the four writes BN-1 to BN-4 for the claim and this volume, in order, skipping what is there already."""

    volume: Volume
    reason: BindReason


class AssignClass(Struct, frozen=True):
    """Give the claim this default class; its update comes back and is decided anew (DC-3)."""

    storage_class: StorageClass
    rule: ClassVar[str] = "SC-U4"


class Provision(Struct, frozen=True):
    """Have a volume made, in the way that `by` says; the status stays as it is (SC-U6)."""

    by: Provisioning
    rule: ClassVar[str] = "SC-U6"


class Wait(Struct, ByReason, frozen=True):
    """Nothing can be done now: tell `event`, if there is one, and see that the status is `Pending` (SC-U8)."""

    event: Event | None
    reason: WaitReason


class Lose(Struct, ByReason, frozen=True):
    """The claim has lost its volume: phase `Lost`, and `event` if that is news."""

    event: Event
    reason: LoseReason


class Fail(Struct, ByReason, frozen=True):
    """Something is wrong that may come right: tell `event`, if there is one, and try again later with back-off."""

    message: str
    event: Event | None
    reason: FailReason


ClaimAction: TypeAlias = AnnealClaim | Bind | AssignClass | Provision | Wait | Lose | Fail


def decide_claim(claim: Claim, world: World, settings: Settings = DEFAULTS) -> ClaimAction:
    """Say what `claim` needs next."""
    annotations = migration.claim_annotations(claim.annotations, settings.migrations)
    if annotations is not None:
        document = claim.document()
        document["metadata"]["annotations"] = annotations
        return AnnealClaim(document)
    if claim.bind_completed:
        return decide_bound(claim, world.volume(claim.volume_name) if claim.volume_name else None)
    if claim.volume_name:
        return _decide_prebound(claim, world, settings)
    return _decide_unbound(claim, world, settings)


def _decide_unbound(claim: Claim, world: World, settings: Settings) -> ClaimAction:
    try:
        delayed = is_delayed(world.storage_class(claim.storage_class) if claim.storage_class else None)
    except BindingModeError as error:
        return Fail(error.message, None, FailReason.CLASS_IS_BROKEN)
    try:
        volume = world.choose_volume(claim, is_delayed=delayed)
    except SelectorError as error:
        return Fail(f'error finding PV for claim "{claim.key}": {error.message}', None, FailReason.SELECTOR_IS_BROKEN)
    if volume is not None:
        return Bind(volume, BindReason.CHOSEN)
    if may_get_default_class(claim):
        default = default_class(world.storage_classes())
        if default is not None:
            return AssignClass(default)
    if delayed and claim.selected_node is None:
        return Wait(consumer_event(world.pods_of(claim.key)), WaitReason.NO_CONSUMER)
    if claim.storage_class:
        return Provision(decide_provisioning(claim, world, settings))
    return Wait(events.NO_VOLUME_AND_NO_CLASS, WaitReason.NOTHING_FITS)


def _decide_prebound(claim: Claim, world: World, settings: Settings) -> ClaimAction:
    volume = world.volume(claim.volume_name)
    if volume is None:
        return Wait(None, WaitReason.NAMED_VOLUME_MISSING)
    if volume.claim_ref is None:
        unsuitable = check_named_volume(volume, claim, settings)
        if unsuitable is not None:
            return Wait(events.volume_unsuitable(volume.name, unsuitable.message), WaitReason.NAMED_VOLUME_UNSUITABLE)
        return Bind(volume, BindReason.NAMED_AND_FREE)
    if is_bound_to(volume, claim):
        return Bind(volume, BindReason.NAMED_AND_RESERVED)
    event = events.volume_taken(volume.name)
    if not claim.bound_by_controller:
        return Wait(event, WaitReason.NAMED_VOLUME_TAKEN)
    message = (
        f'invalid binding of claim "{claim.key}" to volume "{volume.name}": '
        f'volume already claimed by "{volume.claim_ref.key}"'
    )
    return Fail(message, event, FailReason.BOUND_VOLUME_TAKEN)


def decide_bound(claim: Claim, volume: Volume | None) -> Bind | Lose:
    """Say what a bound claim needs next when `volume` is the one that it names."""
    if not claim.volume_name:
        return Lose(events.LOST_REFERENCE, LoseReason.REFERENCE_REMOVED)
    if volume is None:
        return Lose(events.LOST_VOLUME, LoseReason.VOLUME_GONE)
    if volume.claim_ref is None:
        return Bind(volume, BindReason.CLAIM_REF_MISSING)
    if volume.claim_uid == claim.uid:
        return Bind(volume, BindReason.BOUND_TO_EACH_OTHER)
    return Lose(events.MISBOUND, LoseReason.VOLUME_IS_ANOTHERS)
