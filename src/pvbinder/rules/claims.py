"""What a claim needs next (binder.md section 4)."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, StorageClass, Volume
from pvbinder.model.selectors import SelectorError
from pvbinder.rules import events, migration
from pvbinder.rules.classes import BindingModeError, consumer_event, default_class, is_delayed, may_get_default_class
from pvbinder.rules.events import Event
from pvbinder.rules.matching import is_bound_to
from pvbinder.rules.provisioning import Provisioning, decide_provisioning
from pvbinder.rules.satisfy import check_named_volume
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.rules.world import World


class AnnealClaim(Struct, frozen=True):
    """Write `document`, whose migration annotations are right, and decide again with the answer (MG-1)."""

    document: Json
    rule: str


class Bind(Struct, frozen=True):
    """Make the four writes BN-1 to BN-4 for the claim and this volume, in order, skipping what is there already."""

    volume: Volume
    rule: str


class AssignClass(Struct, frozen=True):
    """Give the claim this default class; its update comes back and is decided anew (DC-3)."""

    storage_class: StorageClass
    rule: str


class Provision(Struct, frozen=True):
    """Have a volume made, by whoever `by` says; the status stays as it is (SC-U6)."""

    by: Provisioning
    rule: str


class Wait(Struct, frozen=True):
    """Nothing can be done now: tell `event`, if there is one, and see that the status is `Pending` (SC-U8)."""

    event: Event | None
    rule: str


class Lose(Struct, frozen=True):
    """The claim has lost its volume: phase `Lost`, and `event` if that is news."""

    event: Event
    rule: str


class Fail(Struct, frozen=True):
    """Something is wrong that may come right: tell `event`, if there is one, and try again later with back-off."""

    message: str
    event: Event | None
    rule: str


ClaimAction: TypeAlias = AnnealClaim | Bind | AssignClass | Provision | Wait | Lose | Fail


def decide_claim(claim: Claim, world: World, settings: Settings = DEFAULTS) -> ClaimAction:
    """Say what `claim` needs next (section 4)."""
    annotations = migration.claim_annotations(claim.annotations, settings.migrations)
    if annotations is not None:
        document = claim.document()
        document["metadata"]["annotations"] = annotations
        return AnnealClaim(document, "MG-1")
    if claim.bind_completed:
        return decide_bound(claim, world.volume(claim.volume_name) if claim.volume_name else None)
    if claim.volume_name:
        return _decide_prebound(claim, world, settings)
    return _decide_unbound(claim, world, settings)


def _decide_unbound(claim: Claim, world: World, settings: Settings) -> ClaimAction:
    try:
        delayed = is_delayed(world.storage_class(claim.storage_class) if claim.storage_class else None)
    except BindingModeError as error:
        return Fail(error.message, None, "SC-U1")
    try:
        volume = world.choose_volume(claim, is_delayed=delayed)
    except SelectorError as error:
        return Fail(f'error finding PV for claim "{claim.key}": {error.message}', None, "SC-U2")
    if volume is not None:
        return Bind(volume, "SC-U3")
    if may_get_default_class(claim):
        default = default_class(world.storage_classes())
        if default is not None:
            return AssignClass(default, "SC-U4")
    if delayed and claim.selected_node is None:
        return Wait(consumer_event(world.pods_of(claim.key)), "SC-U5")
    if claim.storage_class:
        return Provision(decide_provisioning(claim, world, settings), "SC-U6")
    return Wait(events.NO_VOLUME_AND_NO_CLASS, "SC-U7")


def _decide_prebound(claim: Claim, world: World, settings: Settings) -> ClaimAction:
    volume = world.volume(claim.volume_name)
    if volume is None:
        return Wait(None, "SC-P1")
    if volume.claim_ref is None:
        unsuitable = check_named_volume(volume, claim, settings)
        if unsuitable is not None:
            return Wait(events.volume_unsuitable(volume.name, unsuitable.message), "SC-P2")
        return Bind(volume, "SC-P3")
    if is_bound_to(volume, claim):
        return Bind(volume, "SC-P4")
    event = events.volume_taken(volume.name)
    if not claim.bound_by_controller:
        return Wait(event, "SC-P5")
    message = (
        f'invalid binding of claim "{claim.key}" to volume "{volume.name}": '
        f'volume already claimed by "{volume.claim_ref.key}"'
    )
    return Fail(message, event, "SC-P6")


def decide_bound(claim: Claim, volume: Volume | None) -> Bind | Lose:
    """Say what a bound claim needs next when `volume` is the one that it names (section 4.2)."""
    if not claim.volume_name:
        return Lose(events.LOST_REFERENCE, "SC-B1")
    if volume is None:
        return Lose(events.LOST_VOLUME, "SC-B2")
    if volume.claim_ref is None:
        return Bind(volume, "SC-B3")
    if volume.claim_uid == claim.uid:
        return Bind(volume, "SC-B4")
    return Lose(events.MISBOUND, "SC-B5")
