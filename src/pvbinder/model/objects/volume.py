"""PersistentVolumes."""

from __future__ import annotations

from sys import intern

import msgspec
from msgspec import Struct

from pvbinder.model import names
from pvbinder.model.objects.keys import ClaimKey, VolumeName
from pvbinder.model.objects.sharing import NOTHING, shared_map, shared_texts, shared_value
from pvbinder.model.objects.view import NO_META, Amounts, ObjectMeta, View, amount, parsed
from pvbinder.model.quantity import ZERO, Quantity
from pvbinder.model.selectors import NodeSelector


class ClaimRef(Struct, frozen=True, gc=False, rename="camel"):
    """The claim that a volume is reserved for or bound to; without a `uid` it is reserved by name only."""

    namespace: str | None = None
    name: str | None = None
    uid: str | None = None

    @property
    def key(self) -> ClaimKey:
        """The key of the claim that is meant."""
        return ClaimKey(f"{self.namespace or ''}/{self.name or ''}")


class CsiSource(Struct, frozen=True, gc=False, rename="camel"):
    """A volume made by a CSI driver."""

    driver: str | None = None
    volume_handle: str | None = None


class HostPathSource(Struct, frozen=True, gc=False, rename="camel"):
    """A directory of the node."""

    path: str | None = None


class NfsSource(Struct, frozen=True, gc=False, rename="camel"):
    """An NFS export."""

    server: str | None = None
    path: str | None = None


class _NodeAffinity(Struct, frozen=True, gc=False):
    required: NodeSelector | None = None


class _VolumeSpec(Struct, frozen=True, gc=False, rename="camel"):
    capacity: Amounts | None = None
    access_modes: tuple[str, ...] | None = None
    claim_ref: ClaimRef | None = None
    persistent_volume_reclaim_policy: str | None = None
    storage_class_name: str | None = None
    volume_mode: str | None = None
    node_affinity: _NodeAffinity | None = None
    volume_attributes_class_name: str | None = None
    csi: CsiSource | None = None
    host_path: HostPathSource | None = None
    nfs: NfsSource | None = None


class _VolumeStatus(Struct, frozen=True, gc=False):
    phase: str | None = None
    message: str | None = None


class _VolumeObject(Struct, frozen=True, gc=False):
    metadata: ObjectMeta | None = None
    spec: _VolumeSpec | None = None
    status: _VolumeStatus | None = None


class Volume(View, frozen=True):
    """A PersistentVolume.

    `storage_class` is the effective one: the beta annotation, even an empty one, before the field. `capacity` of None
    is a volume without storage capacity (ST-5), which counts as zero when matching.
    """

    capacity: Quantity | None
    access_modes: tuple[str, ...]
    claim_ref: ClaimRef | None
    reclaim_policy: str
    storage_class: str
    class_field: str  # spec.storageClassName, without regard to the annotation (MT-1b)
    volume_mode: str
    attributes_class: str
    node_affinity: NodeSelector | None
    csi: CsiSource | None
    host_path: HostPathSource | None
    nfs: NfsSource | None
    phase: str
    message: str

    @property
    def key(self) -> VolumeName:
        """Its name."""
        return VolumeName(self.name)

    @property
    def size(self) -> Quantity:
        """The storage capacity; a missing one is zero (FM-6a)."""
        return self.capacity if self.capacity is not None else ZERO

    @property
    def claim_key(self) -> ClaimKey | None:
        """The key of the claim that it is bound to or reserved for."""
        return self.claim_ref.key if self.claim_ref is not None else None

    @property
    def claim_uid(self) -> str:
        """The uid of the claim it is bound to; ``""`` if there is none."""
        return (self.claim_ref.uid or "") if self.claim_ref is not None else ""

    @property
    def is_released(self) -> bool:
        """Tell whether the phase is `Released` or `Failed` (SV-3, SV-5)."""
        return self.phase in ("Released", "Failed")

    @property
    def provisioned_by(self) -> str | None:
        """The provisioner that made it; None if nobody did (PV made by hand)."""
        return self.annotations.get(names.PROVISIONED_BY)

    @property
    def source(self) -> str:
        """The field that says where the storage is, such as ``csi`` or ``awsElasticBlockStore``; ``""`` if none."""
        if self.csi is not None:
            return "csi"
        if self.host_path is not None:
            return "hostPath"
        if self.nfs is not None:
            return "nfs"
        spec = self.document().get("spec") or {}
        return next((field for field in spec if field not in _NOT_SOURCES and isinstance(spec[field], dict)), "")


_NO_SPEC = _VolumeSpec()
_NO_STATUS = _VolumeStatus()
_NOT_SOURCES = frozenset({"capacity", "claimRef", "nodeAffinity"})  # the other fields that hold an object
_volumes = msgspec.json.Decoder(_VolumeObject)


def _shared_reference(found: ClaimRef | None) -> ClaimRef | None:
    if found is None or found.namespace is None:
        return found
    return ClaimRef(intern(found.namespace), found.name, found.uid)


def _shared_source(found: CsiSource | None) -> CsiSource | None:
    if found is None or found.driver is None:
        return found
    return CsiSource(intern(found.driver), found.volume_handle)


def parse_volume(data: bytes) -> Volume:
    """Return the PersistentVolume in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = parsed(_volumes, data, "PersistentVolume")
    meta, spec, status = found.metadata or NO_META, found.spec or _NO_SPEC, found.status or _NO_STATUS
    annotations = meta.annotations or NOTHING
    class_field = spec.storage_class_name or ""
    # In the order of the fields, which a test compares one by one. So it takes 2.6 µs, by keyword 3.6 (+35 %),
    # and caches are filled with a hundred thousand of these.
    return Volume(
        data,
        meta.name or "",
        "",
        meta.uid or "",
        meta.resource_version or "",
        shared_map(meta.labels),
        shared_map(annotations),
        shared_texts(meta.finalizers),
        meta.creation_timestamp or "",
        meta.deletion_timestamp,
        amount(spec.capacity, "PersistentVolume", meta, "spec.capacity"),
        shared_texts(spec.access_modes),
        _shared_reference(spec.claim_ref),
        intern(spec.persistent_volume_reclaim_policy or ""),
        intern(annotations.get(names.BETA_STORAGE_CLASS, class_field)),
        intern(class_field),
        intern(spec.volume_mode or "Filesystem"),
        spec.volume_attributes_class_name or "",
        shared_value(spec.node_affinity.required) if spec.node_affinity is not None else None,
        _shared_source(spec.csi),
        spec.host_path,
        spec.nfs,
        intern(status.phase or ""),
        status.message or "",
    )
