"""Volumes, claims and classes as the tests of plugins need them: made from JSON, like those that the server sends."""

from __future__ import annotations

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import StorageClass, Volume, parse_claim, parse_storage_class, parse_volume
from pvbinder.volumes.plugin import ProvisionRequest


def volume(
    name: str = "disk-1", *, capacity: str = "1Gi", annotations: dict[str, str] | None = None, **source: Json
) -> Volume:
    """A volume with `source`, such as ``hostPath={"path": …}``."""
    document = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "uid": f"uid-of-{name}", "annotations": annotations or {}},
        "spec": {"capacity": {"storage": capacity}, **source},
    }
    return parse_volume(encode(document))


def storage_class(provisioner: str, *, mount_options: tuple[str, ...] = (), **parameters: str) -> StorageClass:
    """A class called ``fast``."""
    document = {
        "metadata": {"name": "fast"},
        "provisioner": provisioner,
        "parameters": parameters,
        "mountOptions": list(mount_options),
    }
    return parse_storage_class(encode(document))


def request(
    provisioner: str = "kubernetes.io/host-path",
    *,
    name: str = "pvc-1",
    volume_mode: str = "Filesystem",
    access_modes: tuple[str, ...] = ("ReadWriteMany",),
    mount_options: tuple[str, ...] = (),
    **parameters: str,
) -> ProvisionRequest:
    """A request for 5Gi."""
    claim = {
        "metadata": {"name": "orders", "namespace": "shop", "uid": "1"},
        "spec": {
            "accessModes": list(access_modes),
            "resources": {"requests": {"storage": "5Gi"}},
            "storageClassName": "fast",
            "volumeMode": volume_mode,
        },
    }
    used_class = storage_class(provisioner, mount_options=mount_options, **parameters)
    return ProvisionRequest(name, parse_claim(encode(claim)), used_class)
