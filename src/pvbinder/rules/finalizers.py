"""The finalizers that keep a provisioned volume until its storage is deleted.

Rules: docs/rules/binder.md#11-migration-and-deletion-finalizers
"""

from __future__ import annotations

from pvbinder.model.names import EXTERNAL_PROVISIONER_FINALIZER, IN_TREE_PREFIX, PV_CONTROLLER_FINALIZER
from pvbinder.model.objects import Volume
from pvbinder.rules.settings import Migrations


def deletion_finalizers(volume: Volume, migrations: Migrations) -> tuple[str, ...] | None:
    """Return the finalizers that `volume` should have, or None if they are right (FZ-1 to FZ-5).

    None is added to a volume that is being deleted: the API server would refuse it (`waits_for_its_end`).
    """
    provisioner = volume.provisioned_by
    if provisioner is None:
        return None  # FZ-1
    found = volume.finalizers
    if migrations.driver_of(provisioner) is not None:
        wanted = _without(found, PV_CONTROLLER_FINALIZER)  # FZ-2
    elif not provisioner.startswith(IN_TREE_PREFIX):
        return None  # FZ-3
    else:
        wanted = found
        if volume.reclaim_policy == "Delete":  # FZ-4
            if PV_CONTROLLER_FINALIZER not in found and not volume.is_deleting:
                wanted = (*found, PV_CONTROLLER_FINALIZER)
        elif volume.reclaim_policy in ("Retain", "Recycle"):
            wanted = _without(found, PV_CONTROLLER_FINALIZER)
        wanted = _without(wanted, EXTERNAL_PROVISIONER_FINALIZER)  # FZ-5
    return None if wanted == found else wanted


def waits_for_its_end(volume: Volume, migrations: Migrations) -> bool:
    """Tell whether `volume`, which is being deleted, lacks a finalizer that can't be added any more (FZ-4)."""
    provisioner = volume.provisioned_by
    return (
        volume.is_deleting
        and provisioner is not None
        and provisioner.startswith(IN_TREE_PREFIX)
        and migrations.driver_of(provisioner) is None
        and volume.reclaim_policy == "Delete"
        and PV_CONTROLLER_FINALIZER not in volume.finalizers
    )


def _without(finalizers: tuple[str, ...], unwanted: str) -> tuple[str, ...]:
    return tuple(finalizer for finalizer in finalizers if finalizer != unwanted)
