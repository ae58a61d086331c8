"""CSI migration: which annotation tells the in-tree side to stand down.

Rules: docs/rules/binder.md#11-migration-and-deletion-finalizers
"""

from __future__ import annotations

from collections.abc import Mapping

from pvbinder.model.names import BETA_STORAGE_PROVISIONER, MIGRATED_TO, PROVISIONED_BY, STORAGE_PROVISIONER
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.settings import Migrations


def claim_annotations(annotations: Mapping[str, str], migrations: Migrations) -> dict[str, str] | None:
    """Return the annotations that a claim should have instead of `annotations`, or None if they are right (MG-1)."""
    provisioner = annotations.get(STORAGE_PROVISIONER, annotations.get(BETA_STORAGE_PROVISIONER))
    return _annealed(annotations, provisioner, migrations)


def volume_annotations(annotations: Mapping[str, str], migrations: Migrations) -> dict[str, str] | None:
    """Return the annotations that a volume should have instead of `annotations`, or None if they are right (MG-2)."""
    return _annealed(annotations, annotations.get(PROVISIONED_BY), migrations)


def is_migrated(obj: Claim | Volume) -> bool:
    """Tell whether a CSI driver acts for the in-tree plugin of `obj` (RC-1)."""
    return bool(obj.annotations.get(MIGRATED_TO))


def _annealed(annotations: Mapping[str, str], provisioner: str | None, migrations: Migrations) -> dict[str, str] | None:
    if provisioner is None:
        return None
    driver = migrations.driver_of(provisioner)
    if driver is not None:
        return None if annotations.get(MIGRATED_TO) == driver else {**annotations, MIGRATED_TO: driver}
    if not annotations.get(MIGRATED_TO):
        return None
    return {key: value for key, value in annotations.items() if key != MIGRATED_TO}
