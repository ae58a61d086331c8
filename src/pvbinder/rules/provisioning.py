"""The choice of a provisioner for a claim, and the volume that is made for it.

Rules: docs/rules/binder.md#10-provisioning
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.names import (
    BETA_STORAGE_PROVISIONER,
    BOUND_BY_CONTROLLER,
    CSI_PLUGIN,
    IN_TREE_PREFIX,
    PROVISIONED_BY,
    PV_CONTROLLER_FINALIZER,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    YES,
)
from pvbinder.model.objects import Claim, StorageClass
from pvbinder.rules import events, migration
from pvbinder.rules.binding import reference_to
from pvbinder.rules.events import Event
from pvbinder.rules.plugins import PluginAbilities
from pvbinder.rules.reasons import ByReason, Reason
from pvbinder.rules.settings import Migrations, Settings
from pvbinder.rules.world import World


class NoProvisionerReason(Reason):
    """Why nobody makes a volume."""

    SWITCHED_OFF = "PR-1"
    CLASS_MISSING = "PR-2"
    NO_PLUGIN = "PR-4"  # none that is loaded and can make volumes has the name of an in-tree provisioner


class ProvisionInTree(Struct, frozen=True):
    """Start the operation that makes a volume with `plugin` (PR-6 to PR-17)."""

    storage_class: StorageClass
    plugin: PluginAbilities
    rule: ClassVar[str] = "PR-4"


class OutsideReason(Reason):
    """Why an external provisioner is to make a volume."""

    MIGRATED = "PR-3"  # the in-tree provisioner has moved out into a driver
    NO_PLUGIN = "PR-4"  # none that is loaded has this name


class ProvisionOutside(Struct, ByReason, frozen=True):
    """Ask an external provisioner through annotations and tell the user (PR-18 to PR-20)."""

    provisioner: str
    reason: OutsideReason


class CannotProvision(Struct, ByReason, frozen=True):
    """Nobody will make a volume; `event` of None says nothing about it, because it is switched off (PR-1)."""

    event: Event | None
    reason: NoProvisionerReason


Provisioning: TypeAlias = ProvisionInTree | ProvisionOutside | CannotProvision


def decide_provisioning(claim: Claim, world: World, settings: Settings) -> Provisioning:
    """Say who makes a volume for `claim`, which has a class and no volume (PR-1 to PR-5)."""
    if not settings.dynamic_provisioning:
        return CannotProvision(None, NoProvisionerReason.SWITCHED_OFF)
    storage_class = world.storage_class(claim.storage_class)
    if storage_class is None:
        why = f'storageclass.storage.k8s.io "{claim.storage_class}" not found'
        return CannotProvision(events.provisioning_failed(why), NoProvisionerReason.CLASS_MISSING)
    provisioner = storage_class.provisioner
    driver = settings.migrations.driver_of(provisioner)
    if driver is not None:
        return ProvisionOutside(driver, OutsideReason.MIGRATED)
    plugin = world.plugins.named(provisioner)
    if plugin is not None and plugin.can_provision:
        return ProvisionInTree(storage_class, plugin)
    if not provisioner.startswith(IN_TREE_PREFIX):
        return ProvisionOutside(provisioner, OutsideReason.NO_PLUGIN)
    why = (
        f"no volume plugin matched name: {provisioner}" if plugin is None else "no provisionable volume plugin matched"
    )
    return CannotProvision(events.provisioning_failed(why), NoProvisionerReason.NO_PLUGIN)


class RefusalReason(Reason):
    """The parts of a claim or a class that a plugin can't provide."""

    DATA_SOURCE = "PR-7"
    MOUNT_OPTIONS = "PR-10"


class Refusal(Struct, ByReason, frozen=True):
    """Why a plugin won't be asked: the event for the user, and the error of the operation."""

    event: Event
    error: str
    reason: RefusalReason


def refuse_data_source(claim: Claim, plugin: PluginAbilities) -> Refusal | None:
    """Say why `plugin` can't make a volume from the data source of `claim` (PR-7)."""
    if not claim.has_data_source or plugin.name == CSI_PLUGIN:
        return None
    why = f'plugin "{plugin.name}" is not a CSI plugin. Only CSI plugin can provision a claim with a datasource'
    return Refusal(events.provisioning_failed(why), why, RefusalReason.DATA_SOURCE)


def refuse_mount_options(storage_class: StorageClass, plugin: PluginAbilities) -> Refusal | None:
    """Say why `plugin` can't make a volume with the mount options of `storage_class` (PR-10)."""
    if plugin.takes_mount_options or not storage_class.mount_options:
        return None
    options = " ".join(storage_class.mount_options)
    why = (
        "Mount options are not supported by the provisioner but StorageClass "
        f'"{storage_class.name}" has mount options [{options}]'
    )
    error = f'provisioner "{plugin.name}" doesn\'t support mount options'
    return Refusal(events.provisioning_failed(why), error, RefusalReason.MOUNT_OPTIONS)


def with_provisioner(claim: Claim, provisioner: str, migrations: Migrations) -> Json | None:
    """Return `claim` asking `provisioner` to act, or None if it does so already (PR-8, PR-19)."""
    if claim.annotations.get(STORAGE_PROVISIONER) == provisioner:
        return None
    annotations = {**claim.annotations, STORAGE_PROVISIONER: provisioner, BETA_STORAGE_PROVISIONER: provisioner}
    document = claim.document()
    document["metadata"]["annotations"] = migration.claim_annotations(annotations, migrations) or annotations
    return document


def without_selected_node(claim: Claim) -> Json | None:
    """Return `claim` without its selected node, so that the scheduler chooses anew; None if it has none (PR-13)."""
    if SELECTED_NODE not in claim.annotations:
        return None
    document = claim.document()
    del document["metadata"]["annotations"][SELECTED_NODE]
    return document


def volume_name_for(claim: Claim) -> str:
    """Return the name of the volume that is made for `claim` (PR-9)."""
    return f"pvc-{claim.uid}"


def reclaim_policy_of(storage_class: StorageClass) -> str:
    """Return the policy that volumes of `storage_class` get; the API server's default if it says none."""
    return storage_class.reclaim_policy or "Delete"


def provisioned_volume(claim: Claim, storage_class: StorageClass, plugin: str, made: Json) -> Json:
    """Return the volume object of the storage that `plugin` has `made`, with source, capacity and modes (PR-14)."""
    metadata = made.setdefault("metadata", {})
    metadata.setdefault("name", volume_name_for(claim))
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        BOUND_BY_CONTROLLER: YES,
        PROVISIONED_BY: plugin,
    }
    spec = made["spec"]
    spec["claimRef"] = reference_to(claim)
    spec["storageClassName"] = claim.storage_class
    policy = spec.setdefault("persistentVolumeReclaimPolicy", reclaim_policy_of(storage_class))
    finalizers = metadata.get("finalizers") or []
    if policy == "Delete" and PV_CONTROLLER_FINALIZER not in finalizers:
        metadata["finalizers"] = [*finalizers, PV_CONTROLLER_FINALIZER]
    made["status"] = {**(made.get("status") or {}), "phase": "Bound"}
    return {"apiVersion": "v1", "kind": "PersistentVolume", **made}
