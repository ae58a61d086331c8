"""What `pvbinder up` begins with unless it is ``--bare``: one node, and a storage class that waits for its consumer.

STARTER-1  What is missing is created at each start; what is there stays as it is, however it was changed.

There is no default class on purpose: nothing here could provision for it yet, and claims without a class would no
longer find volumes without one.
"""

from __future__ import annotations

from pvbinder.controllers.kubelet import create_node
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import STORAGE_CLASSES
from pvbinder.model.json import Json
from pvbinder.model.names import NO_PROVISIONER

NODE = "local"
STORAGE_CLASS = "local-storage"


async def create_starter_objects(client: Client) -> None:
    """Create the node and the storage class, where they are missing (STARTER-1)."""
    await create_node(client, NODE)
    try:
        await client.create(STORAGE_CLASSES, storage_class())
    except ApiFailure as failure:
        if not failure.is_already_exists:
            raise


def storage_class() -> Json:
    """Return the class for volumes that are disks of a node."""
    return {
        "metadata": {"name": STORAGE_CLASS},
        "provisioner": NO_PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
