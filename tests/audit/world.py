"""Worlds for audits: objects as a server would have them, and what an audit finds in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from tests.insight.builders import Document

from pvbinder.audit import Finding, Options, find_all
from pvbinder.insight.manifests import as_served
from pvbinder.insight.snapshot import Snapshot
from pvbinder.rules.plugins import Plugins
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
CONTROLLER = {"apiVersion": "apps/v1", "controller": True}


@cache
def plugins() -> Plugins:
    """The plugins of pvbinder itself."""
    return load_catalogue(in_tree_plugins(), installed=())


def snapshot_of(documents: Iterable[Document]) -> Snapshot:
    """The objects with the defaults that a server fills in."""
    found, _ = as_served(("world", each) for each in documents)
    return Snapshot(found, plugins=plugins())


def audited(documents: Iterable[Document], **options: Any) -> tuple[Finding, ...]:
    """What an audit finds."""
    return find_all(snapshot_of(documents), NOW, Options(**options))


def pair(name: str, size: str = "10Gi", disk: str = "", **both: Any) -> tuple[Document, Document]:
    """A claim and its volume, bound to each other, in the namespace shop."""
    disk = disk or f"disk-{name}"
    uid = f"uid-of-{name}"
    of_claim: Document = both.pop("claim", {})
    of_volume: Document = both.pop("volume", {})
    meta: Document = both.pop("meta", {})
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "creationTimestamp": "2026-01-01T09:00:00Z",
            "annotations": {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"},
            "finalizers": ["kubernetes.io/pvc-protection"],
            **meta,
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "storageClassName": "fast",
            "volumeMode": "Filesystem",
            "volumeName": disk,
            **both,
            **of_claim,
        },
        "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}},
    }
    volume: Document = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": disk, "finalizers": ["kubernetes.io/pv-protection"], **of_volume.pop("meta", {})},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": "fast",
            "volumeMode": "Filesystem",
            "csi": {"driver": "csi.example.com", "volumeHandle": f"handle-of-{disk}"},
            "claimRef": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": name, "uid": uid},
            **both,
            **of_volume,
        },
        "status": {"phase": "Bound"},
    }
    if {"nfs", "local", "hostPath"} & volume["spec"].keys():
        del volume["spec"]["csi"]
    return claim, volume


def template(*claims: str, **spec: Any) -> Document:
    """A template of pods that use `claims`."""
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": volumes, **spec},
    }


def deployment(name: str, *claims: str, replicas: int = 1, strategy: str = "Recreate", **spec: Any) -> Document:
    return _workload("apps/v1", "Deployment", name, claims, spec, replicas=replicas, strategy={"type": strategy})


def daemon_set(name: str, *claims: str, **spec: Any) -> Document:
    return _workload("apps/v1", "DaemonSet", name, claims, spec)


def _workload(
    version: str, kind: str, name: str, claims: tuple[str, ...], template_spec: Document, **spec: Any
) -> Document:
    selector = {"matchLabels": {"app": "web"}}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}"},
        "spec": {"selector": selector, "template": template(*claims, **template_spec), **spec},
    }


def job(name: str, *claims: str) -> Document:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"template": template(*claims, restartPolicy="Never")},
    }


def cron_job(name: str, *claims: str) -> Document:
    inner = {"spec": {"template": template(*claims, restartPolicy="Never")}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": inner},
    }


def stateful_set(
    name: str, *, replicas: int = 1, claim: str = "data", retention: Document | None = None, **claim_spec: Any
) -> Document:
    wanted = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "10Gi"}},
        "storageClassName": "fast",
        **claim_spec,
    }
    wanted = {key: value for key, value in wanted.items() if value is not None}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}"},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            "volumeClaimTemplates": [{"metadata": {"name": claim}, "spec": wanted}],
            **({"persistentVolumeClaimRetentionPolicy": retention} if retention else {}),
        },
    }


def namespace(name: str = "shop") -> Document:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def csi_node(name: str, *drivers: str, limit: int | None = None) -> Document:
    entries = [
        {"name": each, "nodeID": name, **({"allocatable": {"count": limit}} if limit is not None else {})}
        for each in drivers
    ]
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSINode",
        "metadata": {"name": name},
        "spec": {"drivers": entries},
    }


def attachment(name: str, volume: str, node: str, driver: str = "csi.example.com") -> Document:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": {"name": name},
        "spec": {"attacher": driver, "nodeName": node, "source": {"persistentVolumeName": volume}},
        "status": {"attached": True},
    }


def content(name: str, snapshot: str, uid: str = "", policy: str = "Delete", **meta: Any) -> Document:
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshotContent",
        "metadata": {"name": name, **meta},
        "spec": {
            "driver": "csi.example.com",
            "deletionPolicy": policy,
            "source": {"snapshotHandle": f"handle-of-{name}"},
            "volumeSnapshotRef": {"namespace": "shop", "name": snapshot, **({"uid": uid} if uid else {})},
        },
    }


def quota(hard: dict[str, str], used: dict[str, str] | None = None) -> Document:
    status = {"hard": hard, "used": used} if used is not None else {}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "storage", "namespace": "shop"},
        "spec": {"hard": hard},
        **({"status": status} if status else {}),
    }


def ready(node: Document, *, is_ready: bool = True, cordoned: bool = False) -> Document:
    conditions = [{"type": "Ready", "status": "True" if is_ready else "Unknown"}]
    spec = {"unschedulable": True} if cordoned else {}
    return {**node, "spec": spec, "status": {"conditions": conditions}}
