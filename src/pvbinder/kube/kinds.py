"""The kinds that our controllers read, each with the function that makes its view.

`metadata_of` and `Metadata` are for callers that need only the metadata of an object, of any kind.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from pvbinder.kube.client import Kind
from pvbinder.model import resources
from pvbinder.model.json import Json, decode
from pvbinder.model.objects import (
    Claim,
    IdentityMeta,
    Node,
    OwnerReference,
    Pod,
    StorageClass,
    Volume,
    VolumeAttributesClass,
    parse_claim,
    parse_node,
    parse_pod,
    parse_storage_class,
    parse_volume,
    parse_volume_attributes_class,
)
from pvbinder.model.resources import Resource


class Metadata(Struct, frozen=True, gc=False):
    """Any object, seen through its metadata only."""

    raw: bytes
    name: str
    namespace: str
    uid: str
    resource_version: str
    finalizers: tuple[str, ...]
    owner_references: tuple[OwnerReference, ...]
    deletion_timestamp: str | None

    @property
    def key(self) -> str:
        """Its namespace and name, or its name."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def is_deleting(self) -> bool:
        """Tell whether a deletion timestamp is set."""
        return self.deletion_timestamp is not None

    def document(self) -> Json:
        """Return a fresh copy of the whole object, to change and write back."""
        return decode(self.raw)


class _Meta(IdentityMeta, frozen=True):
    finalizers: tuple[str, ...] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    deletion_timestamp: str | None = None


class _Object(Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


_objects = msgspec.json.Decoder(_Object)


def parse_metadata(data: bytes) -> Metadata:
    """Return the view of any object; raises `msgspec.DecodeError` if `data` is none."""
    meta = _objects.decode(data).metadata
    return Metadata(
        data,
        meta.name or "",
        meta.namespace or "",
        meta.uid or "",
        meta.resource_version or "",
        meta.finalizers or (),
        meta.owner_references or (),
        meta.deletion_timestamp,
    )


def metadata_of(resource: Resource) -> Kind[Metadata]:
    """Return the kind `resource`, read through its metadata only; views have the whole object in `raw`."""
    return Kind(resource, parse_metadata)


def only_metadata_of(resource: Resource) -> Kind[Metadata]:
    """Return the kind `resource` of which the server sends no more than the metadata, if it can."""
    return Kind(resource, parse_metadata, only_metadata=True)


VOLUMES: Final[Kind[Volume]] = Kind(resources.PERSISTENT_VOLUMES, parse_volume)
CLAIMS: Final[Kind[Claim]] = Kind(resources.PERSISTENT_VOLUME_CLAIMS, parse_claim)
STORAGE_CLASSES: Final[Kind[StorageClass]] = Kind(resources.STORAGE_CLASSES, parse_storage_class)
ATTRIBUTES_CLASSES: Final[Kind[VolumeAttributesClass]] = Kind(
    resources.VOLUME_ATTRIBUTES_CLASSES, parse_volume_attributes_class
)
PODS: Final[Kind[Pod]] = Kind(resources.PODS, parse_pod)
NODES: Final[Kind[Node]] = Kind(resources.NODES, parse_node)
EVENTS: Final[Kind[Metadata]] = metadata_of(resources.EVENTS)
NAMESPACES: Final[Kind[Metadata]] = metadata_of(resources.NAMESPACES)
