"""The objects that `pvbinder up` begins with, unless it is ``--bare``: one node, storage classes, snapshots' kinds.

STARTER-1  What is missing is created at each start; objects that are there stay as they are, also changed ones.
STARTER-2  Who asks for a default class (``--default-class``) gets one: ``standard`` is marked, unless somebody has said
           of it whether it is the default.

``local-storage`` is for volumes that are disks of a node, and waits for their first consumer. ``standard`` makes
directories, and is there only if that is allowed (``--enable-hostpath-provisioner``). Neither is the default class
without being asked for, on purpose: with one, claims that name no class would no longer find volumes that have none.

The kinds of snapshots are served in any case; their definitions are there for those who look for them.
"""

from __future__ import annotations

from typing import Any

from pvbinder.controllers.kubelet import create_node
from pvbinder.kube.client import Client, Kind
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import STORAGE_CLASSES, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.names import DEFAULT_CLASS, HOST_PATH_PLUGIN, NO_PROVISIONER
from pvbinder.server.kinds.built_in.snapshots import DEFINITIONS as SNAPSHOT_DEFINITIONS
from pvbinder.server.kinds.definitions.definition import DEFINITIONS

NODE = "local"
LOCAL_CLASS = "local-storage"
HOST_PATH_CLASS = "standard"


async def create_starter_objects(client: Client, *, host_path: bool, default_class: bool = False) -> None:
    """Create the node, definitions and storage classes, where they are missing (STARTER-1, STARTER-2)."""
    await create_node(client, NODE)
    for definition in SNAPSHOT_DEFINITIONS:
        await _create(client, metadata_of(DEFINITIONS), definition)
    await _create_class(client, LOCAL_CLASS, NO_PROVISIONER, "WaitForFirstConsumer")
    if host_path:
        await _create_class(client, HOST_PATH_CLASS, HOST_PATH_PLUGIN, "Immediate")
    if default_class:
        await _mark_as_default(client, HOST_PATH_CLASS)


async def _mark_as_default(client: Client, name: str) -> None:
    known = await client.get(STORAGE_CLASSES, name)
    if DEFAULT_CLASS not in known.annotations:
        change: Json = {"metadata": {"annotations": {DEFAULT_CLASS: "true"}}}
        await client.patch(STORAGE_CLASSES, name, "", change, patch_type="merge")


async def _create_class(client: Client, name: str, provisioner: str, binding_mode: str) -> None:
    document: Json = {
        "metadata": {"name": name},
        "provisioner": provisioner,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": binding_mode,
    }
    await _create(client, STORAGE_CLASSES, document)


async def _create(client: Client, kind: Kind[Any], document: Json) -> None:
    try:
        await client.create(kind, document)
    except ApiFailure as failure:
        if not failure.is_already_exists:
            raise
