"""Objects for questions about claims: a claim, its class, volumes, nodes and pods, as kubectl prints them."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
DAY = "2026-03-01T"
UID = "11111111-2222-4333-8444-555555555555"
OLD_UID = "99999999-2222-4333-8444-555555555555"


def volume(
    name: str, size: str = "10Gi", *, phase: str = "Available", meta: Document | None = None, **spec: Any
) -> Document:
    wanted: Document = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "fast",
        "volumeMode": "Filesystem",
    }
    if not {"csi", "nfs", "local"} & spec.keys():
        wanted["hostPath"] = {"path": f"/tmp/{name}"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, **(meta or {})},
        "spec": {key: value for key, value in (wanted | spec).items() if value is not None},
        "status": {"phase": phase},
    }


RESTORE: Document = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "monday"}


def volume_snapshot(name: str = "monday", **status: Any) -> Document:
    """A snapshot of the master claim."""
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}"},
        "spec": {"source": {"persistentVolumeClaimName": "master"}},
        **({"status": status} if status else {}),
    }


def claim(
    name: str = "orders", *, meta: Document | None = None, status: Document | None = None, **spec: Any
) -> Document:
    wanted: Document = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "10Gi"}},
        "storageClassName": "fast",
        "volumeMode": "Filesystem",
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": UID if name == "orders" else f"{UID[:-4]}{sum(map(ord, name)):04}",
            "creationTimestamp": f"{DAY}09:00:00Z",
            **(meta or {}),
        },
        "spec": {key: value for key, value in (wanted | spec).items() if value is not None},
        "status": {"phase": "Pending", **(status or {})},
    }


def bound(disk: str = "disk", size: str = "10Gi", *, status: Document | None = None, **spec: Any) -> Document:
    """The claim, bound."""
    return claim(
        meta={
            "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
            "finalizers": ["kubernetes.io/pvc-protection"],
        },
        status={"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, **(status or {})},
        volumeName=disk,
        **spec,
    )


def its(name: str = "disk", **spec: Any) -> Document:
    """The volume of the bound claim."""
    return volume(name, phase="Bound", claimRef=REFERENCE, **spec)


def storage_class(
    provisioner: str = "csi.example.com", mode: str = "Immediate", name: str = "fast", **rest: Any
) -> Document:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, **rest.pop("meta", {})},
        "provisioner": provisioner,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": mode,
        **rest,
    }


def driver(name: str = "csi.example.com", **spec: Any) -> Document:
    return {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name}, "spec": spec}


def node(name: str = "n1", **labels: str) -> Document:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {HOST: name, **labels}}}


def in_zone(name: str, zone: str) -> Document:
    return node(name, **{ZONE: zone})


def pod(
    name: str = "web", on: str = "", *, phase: str = "", claims: tuple[str, ...] = ("orders",), **spec: Any
) -> Document:
    conditions = spec.pop("conditions", [])
    meta = spec.pop("meta", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": f"pod-{name}", **meta},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims],
            **({"nodeName": on} if on else {}),
            **spec,
        },
        "status": {"phase": phase or "Pending", "conditions": conditions},
    }


def event(reason: str, message: str, *, about: str = "PersistentVolumeClaim/orders", **rest: Any) -> Document:
    kind, _, name = about.partition("/")
    uid = {"uid": UID} if name == "orders" else {}
    where = {} if kind == "PersistentVolume" else {"namespace": "shop"}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{reason.lower()}", "namespace": "shop"},
        "involvedObject": {"kind": kind, "name": name, **where, **uid},
        "type": "Warning",
        "reason": reason,
        "message": message,
        **rest,
    }


def affinity(key: str, *values: str) -> Document:
    expression = {"key": key, "operator": "In", "values": list(values)}
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}


def attributes_class(name: str, driver_name: str = "csi.example.com") -> Document:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttributesClass",
        "metadata": {"name": name},
        "driverName": driver_name,
        "parameters": {"iops": "1000"},
    }


def capacity(size: str, zone: str = "") -> Document:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIStorageCapacity",
        "metadata": {"name": f"c{size.lower()}", "namespace": "kube-system"},
        "storageClassName": "fast",
        "nodeTopology": {"matchLabels": {ZONE: zone}} if zone else {},
        "capacity": size,
    }


def topologies(*zones: str) -> list[Document]:
    return [{"matchLabelExpressions": [{"key": ZONE, "values": list(zones)}]}]


REFERENCE = {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "orders", "uid": UID}
EARLIER = REFERENCE | {"uid": OLD_UID}
MASTER = {"kind": "PersistentVolumeClaim", "name": "master"}
INVOICES = REFERENCE | {"name": "invoices", "uid": OLD_UID}
DELAYED = storage_class(mode="WaitForFirstConsumer")
BY_HAND = storage_class("kubernetes.io/no-provisioner", "WaitForFirstConsumer")
CSI: Document = {"csi": {"driver": "csi.example.com", "volumeHandle": "h"}}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
WAITED = event(
    "ExternalProvisioning",
    "Waiting for a volume to be created",
    type="Normal",
    count=720,
    firstTimestamp=f"{DAY}09:00:10Z",
    lastTimestamp=f"{DAY}12:00:10Z",
)
DELETED = {"deletionTimestamp": f"{DAY}10:00:00Z", "finalizers": ["kubernetes.io/pv-protection"]}
HELD = {"deletionTimestamp": f"{DAY}10:00:00Z", "deletionGracePeriodSeconds": 0}
