"""The finalizers, annotations and names of snapshots.

Rules: docs/rules/snapshotter.md#1-keys
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

_PREFIX: Final = "snapshot.storage.kubernetes.io/"
SOURCE_FINALIZER: Final = _PREFIX + "volumesnapshot-as-source-protection"
BOUND_FINALIZER: Final = _PREFIX + "volumesnapshot-bound-protection"
CONTENT_FINALIZER: Final = _PREFIX + "volumesnapshotcontent-bound-protection"
CLAIM_FINALIZER: Final = _PREFIX + "pvc-as-source-protection"
BEING_CREATED: Final = _PREFIX + "volumesnapshot-being-created"
BEING_DELETED: Final = _PREFIX + "volumesnapshot-being-deleted"
DELETION_SECRET: Final = _PREFIX + "deletion-secret"
DEFAULT_CLASS: Final = _PREFIX + "is-default-class"


class SnapshotNaming(Struct, frozen=True):
    """How snapshots are called in the storage: `uuid_length` of -1 takes the uid as it is."""

    prefix: str = "snapshot"
    uuid_length: int = -1


def content_name(snapshot_uid: str) -> str:
    """Return the name of the content that is made for a snapshot (SN-8)."""
    return f"snapcontent-{snapshot_uid}"


def stored_name(naming: SnapshotNaming, snapshot_uid: str) -> str:
    """Return what a snapshot is called when a driver is asked for it."""
    if naming.uuid_length == -1:
        return f"{naming.prefix}-{snapshot_uid}"
    return f"{naming.prefix}-{snapshot_uid.replace('-', '')[: naming.uuid_length]}"
