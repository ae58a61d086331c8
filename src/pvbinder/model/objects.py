"""The objects we read, as frozen views: flat, typed, decoded at C speed, with rules about their fields as properties.

OBJECTS-1  A view carries the object's own JSON (`raw`): a write starts from it, so nothing we don't know is lost.
OBJECTS-2  Absent and null are the same; an absent list or map is empty. None means "not set" only where that decides
           something: a claim reference, a deletion timestamp, a volume's capacity.
OBJECTS-3  What is no such object (wrong types, an impossible quantity) is `MalformedObjectError`, naming it and the
           field.

Views are immutable and shared by everyone; nothing in them may be changed in place, labels and annotations included.
They hold no cycles, so the garbage collector leaves them out (``gc=False``): with 100 000 volumes in a cache a full
collection takes 30 ms instead of 224, and filling the cache is more than twice as fast.
"""

from __future__ import annotations

from sys import intern
from typing import Any, NewType, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from pvbinder.model import names
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, decode
from pvbinder.model.quantity import ZERO, Quantity, QuantityError, parse_quantity
from pvbinder.model.selectors import LabelSelector, NodeSelector

VolumeName = NewType("VolumeName", str)
ClaimKey = NewType("ClaimKey", str)  # namespace/name
ClassName = NewType("ClassName", str)
AttributesClassName = NewType("AttributesClassName", str)
PodKey = NewType("PodKey", str)  # namespace/name
NodeName = NewType("NodeName", str)


class MalformedObjectError(PvbinderError):
    """JSON that is no object of its kind."""


def claim_key(namespace: str, name: str) -> ClaimKey:
    """Return the key of the claim `name` in `namespace`."""
    return ClaimKey(f"{namespace}/{name}")


# ------------------------------------------------------------------------------------------------ shared parts


class OwnerReference(Struct, frozen=True, gc=False, rename="camel"):
    """Who an object belongs to."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    api_version: str | None = None


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


class Condition(Struct, frozen=True, gc=False, rename="camel"):
    """One condition of a claim."""

    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None


class _Meta(Struct, frozen=True, gc=False, rename="camel"):
    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: tuple[str, ...] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    owner_references: tuple[OwnerReference, ...] | None = None


class View(Struct, frozen=True, gc=False):
    """What every view has."""

    raw: bytes
    name: str
    namespace: str
    uid: str
    resource_version: str
    labels: dict[str, str]
    annotations: dict[str, str]
    finalizers: tuple[str, ...]
    created: str
    deletion_timestamp: str | None

    def document(self) -> Json:
        """Return a fresh copy of the whole object, to change and write back (OBJECTS-1)."""
        return decode(self.raw)

    @property
    def is_deleting(self) -> bool:
        """Tell whether a deletion timestamp is set."""
        return self.deletion_timestamp is not None


_Amounts: TypeAlias = dict[str, str | int | float]

# ------------------------------------------------------------------------------------------------ volumes


class _NodeAffinity(Struct, frozen=True, gc=False):
    required: NodeSelector | None = None


class _VolumeSpec(Struct, frozen=True, gc=False, rename="camel"):
    capacity: _Amounts | None = None
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
    metadata: _Meta | None = None
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
    class_field: str  # spec.storageClassName, whatever the annotation says (MT-1b)
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
        """Who provisioned it; None if nobody did (PV made by hand)."""
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


_NOT_SOURCES = frozenset({"capacity", "claimRef", "nodeAffinity"})  # the other fields that hold an object

# ------------------------------------------------------------------------------------------------ claims


class _Resources(Struct, frozen=True, gc=False):
    requests: _Amounts | None = None


class _DataSource(Struct, frozen=True, gc=False, rename="camel"):
    kind: str | None = None
    name: str | None = None
    api_group: str | None = None


class _ClaimSpec(Struct, frozen=True, gc=False, rename="camel"):
    access_modes: tuple[str, ...] | None = None
    selector: LabelSelector | None = None
    resources: _Resources | None = None
    volume_name: str | None = None
    storage_class_name: str | None = None
    volume_mode: str | None = None
    volume_attributes_class_name: str | None = None
    data_source: _DataSource | None = None


class _ModifyStatus(Struct, frozen=True, gc=False, rename="camel"):
    target_volume_attributes_class_name: str | None = None


class _ClaimStatus(Struct, frozen=True, gc=False, rename="camel"):
    phase: str | None = None
    access_modes: tuple[str, ...] | None = None
    capacity: _Amounts | None = None
    conditions: tuple[Condition, ...] | None = None
    current_volume_attributes_class_name: str | None = None
    modify_volume_status: _ModifyStatus | None = None


class _ClaimObject(Struct, frozen=True, gc=False):
    metadata: _Meta | None = None
    spec: _ClaimSpec | None = None
    status: _ClaimStatus | None = None


class Claim(View, frozen=True):
    """A PersistentVolumeClaim.

    `storage_class` is the effective one: the beta annotation, even an empty one, before the field, else ``""``;
    `has_class` tells a class set to ``""`` from no class at all (DC-4).
    """

    owner_references: tuple[OwnerReference, ...]
    access_modes: tuple[str, ...]
    selector: LabelSelector | None
    request: Quantity
    volume_name: str
    storage_class: str
    has_class: bool
    volume_mode: str
    attributes_class: str
    has_data_source: bool
    phase: str
    status_access_modes: tuple[str, ...]
    status_capacity: Quantity | None
    conditions: tuple[Condition, ...]
    current_attributes_class: str | None
    target_attributes_class: str

    @property
    def key(self) -> ClaimKey:
        """Its namespace and name."""
        return ClaimKey(f"{self.namespace}/{self.name}")

    @property
    def bind_completed(self) -> bool:
        """Tell whether the bind was completed once: selects the branch of the claim's decision."""
        return names.BIND_COMPLETED in self.annotations

    @property
    def bound_by_controller(self) -> bool:
        """Tell whether a controller, not a user, linked it to its volume."""
        return names.BOUND_BY_CONTROLLER in self.annotations

    @property
    def selected_node(self) -> str | None:
        """The node that the scheduler chose; any value, even an empty one, counts as chosen (DB-4)."""
        return self.annotations.get(names.SELECTED_NODE)


# ------------------------------------------------------------------------------------------------ classes


class _ClassObject(Struct, frozen=True, gc=False, rename="camel"):
    metadata: _Meta | None = None
    provisioner: str | None = None
    parameters: dict[str, str] | None = None
    reclaim_policy: str | None = None
    mount_options: tuple[str, ...] | None = None
    allow_volume_expansion: bool | None = None
    volume_binding_mode: str | None = None


class StorageClass(View, frozen=True):
    """A StorageClass; `volume_binding_mode` of None is an error when it is used (SC-U1)."""

    provisioner: str
    parameters: dict[str, str]
    reclaim_policy: str | None
    mount_options: tuple[str, ...]
    allow_volume_expansion: bool | None
    volume_binding_mode: str | None

    @property
    def key(self) -> ClassName:
        """Its name."""
        return ClassName(self.name)

    @property
    def is_default(self) -> bool:
        """Tell whether one of the default annotations is exactly ``true`` (DC-2)."""
        return "true" in (self.annotations.get(names.DEFAULT_CLASS), self.annotations.get(names.BETA_DEFAULT_CLASS))


class _AttributesClassObject(Struct, frozen=True, gc=False, rename="camel"):
    metadata: _Meta | None = None
    driver_name: str | None = None
    parameters: dict[str, str] | None = None


class VolumeAttributesClass(View, frozen=True):
    """A VolumeAttributesClass."""

    driver_name: str
    parameters: dict[str, str]

    @property
    def key(self) -> AttributesClassName:
        """Its name."""
        return AttributesClassName(self.name)


# ------------------------------------------------------------------------------------------------ pods and nodes


class _PodClaim(Struct, frozen=True, gc=False, rename="camel"):
    claim_name: str | None = None


class _Volume(Struct, frozen=True, gc=False, rename="camel"):
    name: str | None = None
    persistent_volume_claim: _PodClaim | None = None
    ephemeral: dict[str, Any] | None = None


class _PodSpec(Struct, frozen=True, gc=False, rename="camel"):
    node_name: str | None = None
    volumes: tuple[_Volume, ...] | None = None


class _ContainerState(Struct, frozen=True, gc=False):
    terminated: dict[str, Any] | None = None
    waiting: dict[str, Any] | None = None


class _ContainerStatus(Struct, frozen=True, gc=False):
    state: _ContainerState | None = None

    @property
    def is_running(self) -> bool:
        return self.state is None or (self.state.terminated is None and self.state.waiting is None)


class _PodStatus(Struct, frozen=True, gc=False, rename="camel"):
    phase: str | None = None
    message: str | None = None
    init_container_statuses: tuple[_ContainerStatus, ...] | None = None
    container_statuses: tuple[_ContainerStatus, ...] | None = None
    ephemeral_container_statuses: tuple[_ContainerStatus, ...] | None = None

    @property
    def has_running_container(self) -> bool:
        statuses = (self.init_container_statuses, self.container_statuses, self.ephemeral_container_statuses)
        return any(container.is_running for group in statuses for container in group or ())


class _PodObject(Struct, frozen=True, gc=False):
    metadata: _Meta | None = None
    spec: _PodSpec | None = None
    status: _PodStatus | None = None


class PodVolume(Struct, frozen=True, gc=False):
    """One volume of a pod that needs a claim: by name, or made for the pod (`is_ephemeral`)."""

    name: str
    claim_name: str
    is_ephemeral: bool


class Pod(View, frozen=True):
    """A Pod; `volumes` holds only those that need a claim, an ephemeral one with the claim name that P-5 gives it."""

    owner_references: tuple[OwnerReference, ...]
    deletion_grace_period_seconds: int | None
    node_name: str
    volumes: tuple[PodVolume, ...]
    phase: str
    message: str
    has_running_container: bool

    @property
    def key(self) -> PodKey:
        """Its namespace and name."""
        return PodKey(f"{self.namespace}/{self.name}")

    @property
    def claim_keys(self) -> tuple[ClaimKey, ...]:
        """The claims it needs, by name or made for it (PC-6)."""
        return tuple(ClaimKey(f"{self.namespace}/{volume.claim_name}") for volume in self.volumes)

    @property
    def is_scheduled(self) -> bool:
        """Tell whether it has a node."""
        return self.node_name != ""

    @property
    def is_terminated(self) -> bool:
        """Tell whether it is over (DB-3, P-3)."""
        return self.phase in ("Failed", "Succeeded") or (self.is_deleting and not self.has_running_container)

    @property
    def is_shut_down(self) -> bool:
        """Tell whether it is being deleted and its grace period is over (P-4)."""
        return self.is_deleting and self.deletion_grace_period_seconds == 0


class _NodeObject(Struct, frozen=True, gc=False):
    metadata: _Meta | None = None


class Node(View, frozen=True):
    """A Node; its labels are what volumes' affinity looks at."""

    @property
    def key(self) -> NodeName:
        """Its name."""
        return NodeName(self.name)


# ------------------------------------------------------------------------------------------------ parsing

_NO_META = _Meta()
_NO_CLAIM_SPEC = _ClaimSpec()
_NO_CLAIM_STATUS = _ClaimStatus()
_NO_VOLUME_SPEC = _VolumeSpec()
_NO_VOLUME_STATUS = _VolumeStatus()
_NO_POD_SPEC = _PodSpec()
_NO_POD_STATUS = _PodStatus()
_NOTHING: dict[str, str] = {}

_volumes = msgspec.json.Decoder(_VolumeObject)
_claims = msgspec.json.Decoder(_ClaimObject)
_classes = msgspec.json.Decoder(_ClassObject)
_attributes_classes = msgspec.json.Decoder(_AttributesClassObject)
_pods = msgspec.json.Decoder(_PodObject)
_nodes = msgspec.json.Decoder(_NodeObject)


def parse_volume(data: bytes) -> Volume:
    """Return the PersistentVolume in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = _parsed(_volumes, data, "PersistentVolume")
    meta, spec, status = found.metadata or _NO_META, found.spec or _NO_VOLUME_SPEC, found.status or _NO_VOLUME_STATUS
    annotations = meta.annotations or _NOTHING
    class_field = spec.storage_class_name or ""
    return Volume(
        data,
        meta.name or "",
        "",
        meta.uid or "",
        meta.resource_version or "",
        _shared(meta.labels),
        _shared(annotations),
        _shared_texts(meta.finalizers),
        meta.creation_timestamp or "",
        meta.deletion_timestamp,
        _amount(spec.capacity, "PersistentVolume", meta, "spec.capacity"),
        _shared_texts(spec.access_modes),
        spec.claim_ref,
        intern(spec.persistent_volume_reclaim_policy or ""),
        intern(annotations.get(names.BETA_STORAGE_CLASS, class_field)),
        intern(class_field),
        intern(spec.volume_mode or "Filesystem"),
        spec.volume_attributes_class_name or "",
        spec.node_affinity.required if spec.node_affinity is not None else None,
        spec.csi,
        spec.host_path,
        spec.nfs,
        intern(status.phase or ""),
        status.message or "",
    )


def parse_claim(data: bytes) -> Claim:
    """Return the PersistentVolumeClaim in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = _parsed(_claims, data, "PersistentVolumeClaim")
    meta, spec, status = found.metadata or _NO_META, found.spec or _NO_CLAIM_SPEC, found.status or _NO_CLAIM_STATUS
    annotations = meta.annotations or _NOTHING
    storage_class = annotations.get(names.BETA_STORAGE_CLASS, spec.storage_class_name)
    requests = spec.resources.requests if spec.resources is not None else None
    request = _amount(requests, "PersistentVolumeClaim", meta, "spec.resources.requests")
    modify = status.modify_volume_status
    return Claim(
        data,
        meta.name or "",
        intern(meta.namespace or ""),
        meta.uid or "",
        meta.resource_version or "",
        _shared(meta.labels),
        _shared(annotations),
        _shared_texts(meta.finalizers),
        meta.creation_timestamp or "",
        meta.deletion_timestamp,
        meta.owner_references or (),
        _shared_texts(spec.access_modes),
        spec.selector,
        ZERO if request is None else request,
        spec.volume_name or "",
        intern(storage_class or ""),
        storage_class is not None,
        intern(spec.volume_mode or "Filesystem"),
        spec.volume_attributes_class_name or "",
        spec.data_source is not None,
        intern(status.phase or ""),
        _shared_texts(status.access_modes),
        _amount(status.capacity, "PersistentVolumeClaim", meta, "status.capacity"),
        status.conditions or (),
        status.current_volume_attributes_class_name,
        (modify.target_volume_attributes_class_name or "") if modify is not None else "",
    )


def parse_storage_class(data: bytes) -> StorageClass:
    """Return the StorageClass in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = _parsed(_classes, data, "StorageClass")
    return StorageClass(
        *_common(data, found.metadata or _NO_META),
        found.provisioner or "",
        found.parameters or _NOTHING,
        found.reclaim_policy,
        found.mount_options or (),
        found.allow_volume_expansion,
        found.volume_binding_mode,
    )


def parse_volume_attributes_class(data: bytes) -> VolumeAttributesClass:
    """Return the VolumeAttributesClass in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = _parsed(_attributes_classes, data, "VolumeAttributesClass")
    common = _common(data, found.metadata or _NO_META)
    return VolumeAttributesClass(*common, found.driver_name or "", found.parameters or _NOTHING)


def parse_pod(data: bytes) -> Pod:
    """Return the Pod in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = _parsed(_pods, data, "Pod")
    meta, spec, status = found.metadata or _NO_META, found.spec or _NO_POD_SPEC, found.status or _NO_POD_STATUS
    volumes = []
    for volume in spec.volumes or ():
        name = volume.name or ""
        if volume.persistent_volume_claim is not None:
            volumes.append(PodVolume(name, volume.persistent_volume_claim.claim_name or "", is_ephemeral=False))
        elif volume.ephemeral is not None:
            volumes.append(PodVolume(name, f"{meta.name or ''}-{name}", is_ephemeral=True))
    return Pod(
        *_common(data, meta),
        meta.owner_references or (),
        meta.deletion_grace_period_seconds,
        spec.node_name or "",
        tuple(volumes),
        status.phase or "",
        status.message or "",
        status.has_running_container,
    )


def parse_node(data: bytes) -> Node:
    """Return the Node in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    return Node(*_common(data, _parsed(_nodes, data, "Node").metadata or _NO_META))


# Most objects of a cluster say the same things: one copy of each saves a third of a large cache's memory.
_MOST_SHARED = 4096
_maps: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
_texts: dict[tuple[str, ...], tuple[str, ...]] = {}


def _shared(found: dict[str, str] | None) -> dict[str, str]:
    """The one copy of a map that few objects have to themselves, or `found`."""
    if not found:
        return _NOTHING
    if len(found) > 4:
        return found
    key = tuple(found.items())
    known = _maps.get(key)
    if known is None:
        if len(_maps) >= _MOST_SHARED:
            _maps.clear()
        known = _maps[key] = found
    return known


def _shared_texts(found: tuple[str, ...] | None) -> tuple[str, ...]:
    """The one copy of a list of texts."""
    if not found:
        return ()
    known = _texts.get(found)
    if known is None:
        if len(_texts) >= _MOST_SHARED:
            _texts.clear()
        known = _texts[found] = found
    return known


_Found = TypeVar("_Found")


def _parsed(decoder: msgspec.json.Decoder[_Found], data: bytes, kind: str) -> _Found:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedObjectError(f"{kind}{_name_in(data)} can't be read: {error}") from error


def _name_in(data: bytes) -> str:
    try:
        return _quoted(_nodes.decode(data).metadata or _NO_META)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""


def _quoted(meta: _Meta) -> str:
    return f' "{meta.namespace}/{meta.name}"' if meta.namespace else f' "{meta.name}"'


def _common(
    data: bytes, meta: _Meta
) -> tuple[bytes, str, str, str, str, dict[str, str], dict[str, str], tuple[str, ...], str, str | None]:
    return (
        data,
        meta.name or "",
        meta.namespace or "",
        meta.uid or "",
        meta.resource_version or "",
        meta.labels or _NOTHING,
        meta.annotations or _NOTHING,
        meta.finalizers or (),
        meta.creation_timestamp or "",
        meta.deletion_timestamp,
    )


def _amount(amounts: _Amounts | None, kind: str, meta: _Meta, path: str) -> Quantity | None:
    value = amounts.get("storage") if amounts else None
    if value is None:
        return None
    try:
        return parse_quantity(value if isinstance(value, str) else repr(value))
    except QuantityError as error:
        raise MalformedObjectError(f"{kind}{_quoted(meta)}: {path}[storage]: {value!r}: {error.message}") from error
