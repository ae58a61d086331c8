"""Volumes, claims, classes, pods and nodes in few words, and a world of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import (
    Claim,
    Node,
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
from pvbinder.rules.plugins import NoPlugins, Plugins
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.rules.volume_index import VolumeIndex
from pvbinder.rules.world import ObjectsByKey, Sources, World

NAMESPACE = "shop"
DELETED_AT = "2026-01-01T00:00:00Z"


def _without_nothing(fields: Json) -> Json:
    return {key: value for key, value in fields.items() if value is not None}


def claim_ref(claim: Claim, *, uid: str | None = None) -> Json:
    """The full reference to `claim`, or with another `uid` (``""``: none)."""
    ref = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace, "name": claim.name}
    uid = claim.uid if uid is None else uid
    return ref | ({"uid": uid} if uid else {})


def volume(
    name: str = "disk",
    *,
    capacity: str | None = "10Gi",
    modes: Iterable[str] = ("ReadWriteOnce",),
    storage_class: str = "",
    claim_ref: Json | None = None,
    phase: str = "Available",
    message: str | None = None,
    policy: str = "Retain",
    volume_mode: str | None = "Filesystem",
    attributes_class: str | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    finalizers: list[str] | None = None,
    is_deleting: bool = False,
    node_affinity: Json | None = None,
    source: Json | None = None,
    revision: str = "1",
    uid: str | None = None,
) -> Volume:
    """A volume; unlike most, it fits a claim made by `claim()`."""
    metadata = {
        "name": name,
        "uid": uid if uid is not None else f"uid-of-{name}",
        "resourceVersion": revision,
        "labels": labels,
        "annotations": annotations,
        "finalizers": finalizers,
        "deletionTimestamp": DELETED_AT if is_deleting else None,
    }
    spec: Json = {
        "capacity": {"storage": capacity} if capacity is not None else None,
        "accessModes": list(modes),
        "claimRef": claim_ref,
        "persistentVolumeReclaimPolicy": policy,
        "storageClassName": storage_class or None,
        "volumeMode": volume_mode,
        "volumeAttributesClassName": attributes_class,
        "nodeAffinity": node_affinity,
        **(source if source is not None else {"hostPath": {"path": f"/tmp/{name}"}}),
    }
    status = {"phase": phase or None, "message": message}
    return parse_volume(_encoded("v1", "PersistentVolume", metadata, spec=spec, status=status))


def claim(
    name: str = "orders",
    *,
    request: str | None = "1Gi",
    modes: Iterable[str] = ("ReadWriteOnce",),
    storage_class: str | None = None,
    volume_name: str | None = None,
    phase: str = "Pending",
    status: Json | None = None,
    volume_mode: str | None = "Filesystem",
    attributes_class: str | None = None,
    selector: Json | None = None,
    annotations: dict[str, str] | None = None,
    finalizers: list[str] | None = None,
    owners: list[Json] | None = None,
    data_source: Json | None = None,
    is_deleting: bool = False,
    revision: str = "1",
    uid: str | None = None,
    namespace: str = NAMESPACE,
) -> Claim:
    """A claim for 1Gi, pending."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": uid if uid is not None else f"uid-of-{name}",
        "resourceVersion": revision,
        "annotations": annotations,
        "finalizers": finalizers,
        "ownerReferences": owners,
        "deletionTimestamp": DELETED_AT if is_deleting else None,
    }
    spec = {
        "accessModes": list(modes),
        "resources": {"requests": {"storage": request}} if request is not None else {},
        "storageClassName": storage_class,
        "volumeName": volume_name,
        "volumeMode": volume_mode,
        "volumeAttributesClassName": attributes_class,
        "selector": selector,
        "dataSource": data_source,
    }
    return parse_claim(
        _encoded("v1", "PersistentVolumeClaim", metadata, spec=spec, status={"phase": phase or None, **(status or {})})
    )


def storage_class(
    name: str = "fast",
    *,
    provisioner: str = "csi.example.com",
    mode: str | None = "Immediate",
    is_default: bool = False,
    created: str = "2026-01-01T00:00:00Z",
    **fields: Any,
) -> StorageClass:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if is_default else None
    metadata = {"name": name, "creationTimestamp": created, "annotations": annotations}
    return parse_storage_class(
        _encoded(
            "storage.k8s.io/v1",
            "StorageClass",
            metadata,
            provisioner=provisioner,
            volumeBindingMode=mode,
            **fields,
        )
    )


def attributes_class(
    name: str = "gold", *, finalizers: list[str] | None = None, is_deleting: bool = False
) -> VolumeAttributesClass:
    metadata = {"name": name, "finalizers": finalizers, "deletionTimestamp": DELETED_AT if is_deleting else None}
    return parse_volume_attributes_class(
        _encoded("storage.k8s.io/v1", "VolumeAttributesClass", metadata, driverName="csi.example.com")
    )


def pod(
    name: str = "web",
    *,
    claims: Iterable[str] = ("orders",),
    ephemeral: Iterable[str] = (),
    node: str | None = None,
    phase: str = "Pending",
    status: Json | None = None,
    is_deleting: bool = False,
    grace_seconds: int | None = None,
    uid: str | None = None,
    namespace: str = NAMESPACE,
) -> Pod:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": uid if uid is not None else f"uid-of-{name}",
        "deletionTimestamp": DELETED_AT if is_deleting else None,
        "deletionGracePeriodSeconds": grace_seconds,
    }
    volumes: list[Json] = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    volumes += [{"name": each, "ephemeral": {"volumeClaimTemplate": {}}} for each in ephemeral]
    spec = {"nodeName": node, "volumes": volumes}
    return parse_pod(_encoded("v1", "Pod", metadata, spec=spec, status={"phase": phase, **(status or {})}))


def node(name: str = "node-1", labels: dict[str, str] | None = None) -> Node:
    return parse_node(_encoded("v1", "Node", {"name": name, "labels": labels}))


def _encoded(api_version: str, kind: str, metadata: Json, **parts: Any) -> bytes:
    metadata = {"resourceVersion": "1"} | _without_nothing(metadata)
    document: Json = {"apiVersion": api_version, "kind": kind, "metadata": metadata}
    for name, part in parts.items():
        if part is not None:
            document[name] = _without_nothing(part) if isinstance(part, dict) else part
    return encode(document)


@dataclass
class SmallWorld(World):
    """A `World` of a few objects."""

    volumes: list[Volume] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    classes: list[StorageClass] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    plugins: Plugins = field(default_factory=NoPlugins)
    settings: Settings = DEFAULTS

    def __post_init__(self) -> None:
        super().__init__(
            Sources(
                volumes=ObjectsByKey(self.volumes),
                claims=ObjectsByKey(self.claims),
                classes=ObjectsByKey(self.classes),
                pods_of=lambda key: [each for each in self.pods if key in each.claim_keys],
            ),
            nodes=ObjectsByKey(self.nodes),
            index=VolumeIndex(self.volumes, self.settings),
            plugins=self.plugins,
        )
