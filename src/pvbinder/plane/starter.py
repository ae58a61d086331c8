"""The objects that `pvbinder up` begins with, unless it is ``--bare``: one node, storage classes, snapshots' kinds.

STARTER-1  What is missing is created at each start; objects that are there stay as they are, also changed ones.
STARTER-2  Who asks for a default class (``--default-class``) gets one: ``standard`` is marked, unless somebody has said
           of it whether it is the default.
STARTER-3  The local driver is registered on the node before it runs: it has a CSIDriver, and the node its label and
           CSINode, so that nothing has to be started for that.

``local`` and ``local-immediate`` are the local driver's: the one waits for its first consumer, the other doesn't.
``local-storage`` is for volumes that are disks of a node, and waits, too. ``standard`` makes directories: through the
local driver for those who want a default class, or with the hostPath provisioner if that is allowed
(``--enable-hostpath-provisioner``). None is the default class without being asked for, on purpose: with one, claims
that name no class would no longer find volumes that have none.

The kinds of snapshots are served in any case; their definitions are there for those who look for them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pvbinder.controllers.kubelet import create_node
from pvbinder.csi.local.names import DRIVER_NAME, TOPOLOGY_KEY
from pvbinder.kube.client import Client, Kind
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import NODES, STORAGE_CLASSES, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.names import DEFAULT_CLASS, HOST_PATH_PLUGIN, NO_PROVISIONER
from pvbinder.model.resources import CSI_DRIVERS, CSI_NODES
from pvbinder.rules.csi.registration import NodeInfo, collision, new_csi_node, with_drivers
from pvbinder.server.kinds.built_in.snapshots import DEFINITIONS as SNAPSHOT_DEFINITIONS
from pvbinder.server.kinds.definitions.definition import DEFINITIONS

NODE = "local"
DISK_CLASS = "local-storage"
STANDARD_CLASS = "standard"
LOCAL_CLASS = "local"
LOCAL_IMMEDIATE_CLASS = "local-immediate"
LOCAL_INFO = NodeInfo(DRIVER_NAME, NODE, {TOPOLOGY_KEY: NODE})


async def create_starter_objects(
    client: Client, *, host_path: bool, local: bool = False, default_class: bool = False
) -> None:
    """Create the node, definitions and storage classes, where they are missing (STARTER-1 to STARTER-3)."""
    async with asyncio.TaskGroup() as group:  # together: the disk is synced once for all that is written meanwhile
        group.create_task(_create_node(client, local=local))
        for definition in SNAPSHOT_DEFINITIONS:
            group.create_task(_create(client, metadata_of(DEFINITIONS), definition))
        group.create_task(_create_class(client, DISK_CLASS, NO_PROVISIONER, "WaitForFirstConsumer"))
        if local:
            group.create_task(create_csi_driver(client, LOCAL_INFO))
            group.create_task(_create_local_class(client, LOCAL_CLASS, "WaitForFirstConsumer"))
            group.create_task(_create_local_class(client, LOCAL_IMMEDIATE_CLASS, "Immediate"))
        if host_path:
            group.create_task(_create_class(client, STANDARD_CLASS, HOST_PATH_PLUGIN, "Immediate"))
        elif default_class and local:
            group.create_task(_create_local_class(client, STANDARD_CLASS, "Immediate"))
        elif default_class:
            group.create_task(_create_class(client, STANDARD_CLASS, HOST_PATH_PLUGIN, "Immediate"))
    if default_class:
        await _mark_as_default(client, STANDARD_CLASS)


async def is_made_by_host_path(client: Client) -> bool:
    """Tell whether the class ``standard`` is of the hostPath provisioner, as earlier versions made it."""
    return (await client.get(STORAGE_CLASSES, STANDARD_CLASS)).provisioner == HOST_PATH_PLUGIN


async def create_csi_driver(client: Client, info: NodeInfo) -> None:
    """Create the CSIDriver of a driver, where it is missing: nothing is attached here, and no group is set."""
    document: Json = {
        "metadata": {"name": info.driver},
        "spec": {"attachRequired": False, "fsGroupPolicy": "None", "volumeLifecycleModes": ["Persistent"]},
    }
    await _create(client, metadata_of(CSI_DRIVERS), document)


async def _create_node(client: Client, *, local: bool) -> None:
    if not local:
        await create_node(client, NODE)
        return
    node = await create_node(client, NODE, labels=dict(LOCAL_INFO.topology))
    change = with_drivers(node, [LOCAL_INFO]) if collision(node, LOCAL_INFO) is None else None
    if change is not None:
        await client.patch(NODES, NODE, "", change, patch_type="merge")
    await _create(client, metadata_of(CSI_NODES), new_csi_node(node, [LOCAL_INFO]))


async def _mark_as_default(client: Client, name: str) -> None:
    known = await client.get(STORAGE_CLASSES, name)
    if DEFAULT_CLASS not in known.annotations:
        change: Json = {"metadata": {"annotations": {DEFAULT_CLASS: "true"}}}
        await client.patch(STORAGE_CLASSES, name, "", change, patch_type="merge")


async def _create_local_class(client: Client, name: str, binding_mode: str) -> None:
    await _create_class(client, name, DRIVER_NAME, binding_mode, allowVolumeExpansion=True)


async def _create_class(client: Client, name: str, provisioner: str, binding_mode: str, **others: bool) -> None:
    document: Json = {
        "metadata": {"name": name},
        "provisioner": provisioner,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": binding_mode,
        **others,
    }
    await _create(client, STORAGE_CLASSES, document)


async def _create(client: Client, kind: Kind[Any], document: Json) -> None:
    try:
        await client.create(kind, document)
    except ApiFailure as failure:
        if not failure.is_already_exists:
            raise
