"""The objects that every client works with."""

from __future__ import annotations

from typing import Any

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
BACKUPS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "backups.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"plural": "backups", "singular": "backup", "kind": "Backup", "listKind": "BackupList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": OPEN, "status": OPEN}}},
            }
        ],
    },
}


def claim(name: str, **labels: str) -> dict[str, Any]:
    """A claim for a volume without class."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "",
        },
    }


def volume(name: str, claim_name: str) -> dict[str, Any]:
    """A volume that is meant for a claim in the default namespace."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "2Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": f"/srv/{name}"},
            "claimRef": {"namespace": "default", "name": claim_name},
        },
    }


def config_map(name: str, **data: str) -> dict[str, Any]:
    """A config map in the default namespace, as it is applied."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }
