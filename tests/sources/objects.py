"""A few objects of a cluster, for files of every form."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

CLASS: Document = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "fast", "uid": "u-class", "creationTimestamp": "2026-01-02T03:04:05Z"},
    "provisioner": "d.example.com",
    "reclaimPolicy": "Retain",
    "volumeBindingMode": "Immediate",
}
DEFINITION: Document = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
WIDGET: Document = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "w", "namespace": "shop"},
    "spec": {"size": 3},
}


def claim(name: str, volume: str = "", namespace: str = "shop") -> Document:
    """Return a claim of class fast, bound if a volume is named."""
    metadata: Document = {"name": name, "namespace": namespace, "uid": f"u-{namespace}-{name}"}
    size = {"storage": "10Gi"}
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": size},
        "storageClassName": "fast",
        "volumeMode": "Filesystem",
    }
    status: Document = {"phase": "Pending"}
    if volume:
        spec["volumeName"] = volume
        status = {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": size}
        metadata["annotations"] = {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
        }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec, "status": status}


def volume(name: str, of: str, namespace: str = "shop") -> Document:
    """Return a volume that is bound to a claim."""
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": namespace,
        "name": of,
        "uid": f"u-{namespace}-{of}",
    }
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "10Gi"},
        "claimRef": reference,
        "csi": {"driver": "d.example.com", "volumeHandle": f"h-{name}"},
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "fast",
        "volumeMode": "Filesystem",
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": spec,
        "status": {"phase": "Bound"},
    }


NAMESPACE: Document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
SHOP = [NAMESPACE, CLASS, claim("orders", "pv-1"), volume("pv-1", "orders"), claim("waits")]


def names(found: list[Document]) -> list[str]:
    """Return kinds and names, in the order of the source."""
    return [f"{each['kind']}/{each['metadata']['name']}" for each in found]
