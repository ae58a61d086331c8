"""Snapshots of volumes, their contents and classes, as views (OBJECTS-1 to OBJECTS-3)."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pvbinder.model.objects.sharing import NOTHING
from pvbinder.model.objects.view import NO_META, ObjectMeta, View, parsed, view_fields

GROUP_OF_GROUPS = "groupsnapshot.storage.k8s.io"
GROUP_HANDLE = f"{GROUP_OF_GROUPS}/volumeGroupSnapshotHandle"  # an annotation of contents


class SnapshotError(Struct, frozen=True, gc=False):
    """What went wrong last, as a status has it."""

    message: str | None = None
    time: str | None = None


class SnapshotStatus(Struct, frozen=True, gc=False, rename="camel"):
    """The status of a snapshot; a time or size of None is not known."""

    bound_volume_snapshot_content_name: str | None = None
    creation_time: str | None = None
    ready_to_use: bool | None = None
    restore_size: str | int | None = None
    error: SnapshotError | None = None
    volume_group_snapshot_name: str | None = None


class _SnapshotSource(Struct, frozen=True, gc=False, rename="camel"):
    persistent_volume_claim_name: str | None = None
    volume_snapshot_content_name: str | None = None


class _SnapshotSpec(Struct, frozen=True, gc=False, rename="camel"):
    source: _SnapshotSource | None = None
    volume_snapshot_class_name: str | None = None


class _SnapshotObject(Struct, frozen=True, gc=False):
    metadata: ObjectMeta | None = None
    spec: _SnapshotSpec | None = None
    status: SnapshotStatus | None = None


class VolumeSnapshot(View, frozen=True, kw_only=True):
    """A VolumeSnapshot; `status` of None is none at all, which differs from an empty one."""

    source_claim: str | None
    source_content: str | None
    class_name: str | None
    status: SnapshotStatus | None
    is_of_a_group: bool

    @property
    def key(self) -> str:
        """Its namespace and name."""
        return f"{self.namespace}/{self.name}"

    @property
    def bound_content(self) -> str:
        """The name of the content that it is bound to, or ``""``."""
        return (self.status.bound_volume_snapshot_content_name if self.status else None) or ""

    @property
    def is_ready(self) -> bool:
        """Whether a volume can be made from it."""
        return bool(self.status and self.status.ready_to_use)

    @property
    def is_cut(self) -> bool:
        """Whether the storage has taken it, once."""
        return bool(self.status and self.status.creation_time)

    @property
    def error(self) -> str:
        """What went wrong last, or ``""``."""
        return (self.status.error.message if self.status and self.status.error else None) or ""


class ContentStatus(Struct, frozen=True, gc=False, rename="camel"):
    """The status of a content; `creation_time` is in nanoseconds since 1970, `restore_size` in bytes."""

    snapshot_handle: str | None = None
    creation_time: int | None = None
    ready_to_use: bool | None = None
    restore_size: int | None = None
    error: SnapshotError | None = None
    volume_group_snapshot_handle: str | None = None


class SnapshotReference(Struct, frozen=True, gc=False):
    """The snapshot that a content belongs to; a uid of ``""`` is any of that name."""

    name: str = ""
    namespace: str = ""
    uid: str = ""

    @property
    def key(self) -> str:
        """The snapshot's namespace and name."""
        return f"{self.namespace}/{self.name}"


class _ContentSource(Struct, frozen=True, gc=False, rename="camel"):
    volume_handle: str | None = None
    snapshot_handle: str | None = None


class _ContentSpec(Struct, frozen=True, gc=False, rename="camel"):
    driver: str | None = None
    deletion_policy: str | None = None
    source: _ContentSource | None = None
    source_volume_mode: str | None = None
    volume_snapshot_class_name: str | None = None
    volume_snapshot_ref: SnapshotReference | None = None


class _ContentObject(Struct, frozen=True, gc=False):
    metadata: ObjectMeta | None = None
    spec: _ContentSpec | None = None
    status: ContentStatus | None = None


class SnapshotContent(View, frozen=True, kw_only=True):
    """A VolumeSnapshotContent, made from a volume (`volume_handle`) or given by hand (`given_handle`)."""

    driver: str
    deletion_policy: str
    volume_handle: str | None
    given_handle: str | None
    class_name: str | None
    ref: SnapshotReference
    status: ContentStatus | None

    @property
    def key(self) -> str:
        """Its name."""
        return self.name

    @property
    def handle(self) -> str:
        """The snapshot in the storage, as far as the status says it; else ``""``."""
        return (self.status.snapshot_handle if self.status else None) or ""

    @property
    def is_ready(self) -> bool:
        """Whether a volume can be made from it."""
        return bool(self.status and self.status.ready_to_use)

    @property
    def error(self) -> str:
        """What went wrong last, or ``""``."""
        return (self.status.error.message if self.status and self.status.error else None) or ""

    @property
    def is_of_a_group(self) -> bool:
        """Whether it was taken, or is to be, together with others."""
        return GROUP_HANDLE in self.annotations or bool(self.status and self.status.volume_group_snapshot_handle)


class _ClassObject(Struct, frozen=True, gc=False, rename="camel"):
    metadata: ObjectMeta | None = None
    driver: str | None = None
    deletion_policy: str | None = None
    parameters: dict[str, str] | None = None


class SnapshotClass(View, frozen=True, kw_only=True):
    """A VolumeSnapshotClass."""

    driver: str
    deletion_policy: str
    parameters: dict[str, str]

    @property
    def key(self) -> str:
        """Its name."""
        return self.name


_snapshots = msgspec.json.Decoder(_SnapshotObject)
_contents = msgspec.json.Decoder(_ContentObject)
_classes = msgspec.json.Decoder(_ClassObject)


def parse_snapshot(data: bytes) -> VolumeSnapshot:
    """Return the VolumeSnapshot in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = parsed(_snapshots, data, "VolumeSnapshot")
    meta, spec = found.metadata or NO_META, found.spec or _SnapshotSpec()
    source = spec.source or _SnapshotSource()
    owners = meta.owner_references or ()
    in_group = found.status is not None and bool(found.status.volume_group_snapshot_name)
    return VolumeSnapshot(
        *view_fields(data, meta),
        source_claim=source.persistent_volume_claim_name,
        source_content=source.volume_snapshot_content_name,
        class_name=spec.volume_snapshot_class_name,
        status=found.status,
        is_of_a_group=in_group
        or any(
            owner.kind == "VolumeGroupSnapshot" and (owner.api_version or "").startswith(f"{GROUP_OF_GROUPS}/")
            for owner in owners
        ),
    )


def parse_snapshot_content(data: bytes) -> SnapshotContent:
    """Return the VolumeSnapshotContent in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = parsed(_contents, data, "VolumeSnapshotContent")
    spec = found.spec or _ContentSpec()
    source = spec.source or _ContentSource()
    return SnapshotContent(
        *view_fields(data, found.metadata or NO_META),
        driver=spec.driver or "",
        deletion_policy=spec.deletion_policy or "",
        volume_handle=source.volume_handle,
        given_handle=source.snapshot_handle,
        class_name=spec.volume_snapshot_class_name,
        ref=spec.volume_snapshot_ref or SnapshotReference(),
        status=found.status,
    )


def parse_snapshot_class(data: bytes) -> SnapshotClass:
    """Return the VolumeSnapshotClass in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = parsed(_classes, data, "VolumeSnapshotClass")
    return SnapshotClass(
        *view_fields(data, found.metadata or NO_META),
        driver=found.driver or "",
        deletion_policy=found.deletion_policy or "",
        parameters=found.parameters or NOTHING,
    )
