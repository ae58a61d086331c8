"""Objects for tests, as dictionaries: what a test doesn't say has the value that most tests want.

All take further fields of the ``spec`` by keyword, in Kubernetes' own names:
``pv("disk", hostPath={"path": "/srv"}, persistentVolumeReclaimPolicy="Delete")``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

Document = dict[str, Any]

_numbers = count(1)


def pv(
    name: str = "",
    *,
    size: str = "1Gi",
    storage_class: str = "",
    modes: Sequence[str] = ("ReadWriteOnce",),
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> Document:
    """Return a volume of class `storage_class`, by default of none; it is a directory of a node unless `spec` says."""
    name = name or f"pv-{next(_numbers)}"
    source = {} if _VOLUME_SOURCES & spec.keys() else {"hostPath": {"path": f"/tmp/{name}"}}  # noqa: S108
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": _metadata(name, labels),
        "spec": {
            "capacity": {"storage": size},
            "accessModes": list(modes),
            "storageClassName": storage_class,
            **source,
            **spec,
        },
    }


def pvc(
    name: str = "",
    *,
    size: str = "1Gi",
    storage_class: str | None = "",
    modes: Sequence[str] = ("ReadWriteOnce",),
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> Document:
    """Return a claim; `storage_class` of None leaves the class to the default class, ``""`` asks for none."""
    named = {} if storage_class is None else {"storageClassName": storage_class}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(name or f"pvc-{next(_numbers)}", labels),
        "spec": {"accessModes": list(modes), "resources": {"requests": {"storage": size}}, **named, **spec},
    }


def storage_class(
    name: str = "",
    *,
    provisioner: str = "kubernetes.io/no-provisioner",
    waits: bool = False,
    default: bool = False,
    **fields: Any,
) -> Document:
    """Return a class; `waits` for its first consumer, or binds at once; `fields` are its own, it has no ``spec``."""
    metadata = _metadata(name or f"class-{next(_numbers)}", None)
    if default:
        metadata["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": metadata,
        "provisioner": provisioner,
        "volumeBindingMode": "WaitForFirstConsumer" if waits else "Immediate",
        **fields,
    }


def pod(
    name: str = "", *, claims: Sequence[str] = (), labels: Mapping[str, str] | None = None, **spec: Any
) -> Document:
    """Return a pod that stays, and uses `claims` as volumes, each below ``/claims`` at its name."""
    mounts = [{"name": claim, "mountPath": f"/claims/{claim}"} for claim in claims]
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(name or f"pod-{next(_numbers)}", labels),
        "spec": {
            "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "inf"], "volumeMounts": mounts}],
            "volumes": volumes,
            **spec,
        },
    }


def node(name: str = "", *, zone: str = "", labels: Mapping[str, str] | None = None, pods: int = 110) -> Document:
    """Return a node that is ready, in a `zone` if one is given."""
    name = name or f"node-{next(_numbers)}"
    own = {"kubernetes.io/hostname": name, **({"topology.kubernetes.io/zone": zone} if zone else {})}
    room = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "100Gi", "pods": str(pods)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": _metadata(name, own | dict(labels or {})),
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready"}],
        },
    }


def _metadata(name: str, labels: Mapping[str, str] | None) -> Document:
    return {"name": name, **({"labels": dict(labels)} if labels else {})}


_VOLUME_SOURCES = frozenset(
    {"awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker"}
    | {"gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume"}
    | {"quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"}
)
