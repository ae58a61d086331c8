"""What `pvbinder up` begins with unless it is ``--bare``: one node, and a storage class that waits for its consumer.

STARTER-1  What is missing is created at each start; what is there stays as it is, however it was changed.

There is no default class on purpose: nothing here could provision for it yet, and claims without a class would no
longer find volumes without one.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime

from pvbinder import __version__
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.json import Json
from pvbinder.model.names import NO_PROVISIONER
from pvbinder.model.resources import NODES, STORAGE_CLASSES

NODE = "local"
STORAGE_CLASS = "local-storage"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


async def create_starter_objects(client: Client) -> None:
    """Create the node and the storage class, where they are missing (STARTER-1)."""
    for resource, document in ((NODES, _node()), (STORAGE_CLASSES, _storage_class())):
        try:
            await client.create(metadata_of(resource), document)
        except ApiFailure as failure:
            if not failure.is_already_exists:
                raise


def _node() -> Json:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    condition = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    return {
        "metadata": {
            "name": NODE,
            "labels": {
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture,
            },
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [{"type": "Hostname", "address": NODE}, {"type": "InternalIP", "address": "127.0.0.1"}],
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "PvbinderNode",
                    "message": "a node on paper: nothing runs on it",
                    **condition,
                }
            ],
            "nodeInfo": {
                "architecture": architecture,
                "operatingSystem": "linux",
                "kubeletVersion": f"v1.36.0+pvbinder-{__version__}",
                "kernelVersion": platform.release(),
                "osImage": "pvbinder",
                "containerRuntimeVersion": "none://0",
                "kubeProxyVersion": "",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
            },
        },
    }


def _storage_class() -> Json:
    return {
        "metadata": {"name": STORAGE_CLASS},
        "provisioner": NO_PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
