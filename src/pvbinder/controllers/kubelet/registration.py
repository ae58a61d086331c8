"""Which CSI drivers a node has: its labels, its annotation, and its CSINode.

REGISTRATION-1  A node that we play has the drivers that are served here, and loses those of earlier runs that nobody
                names any more; what others have written there stays.
REGISTRATION-2  A node whose labels contradict a driver's topology doesn't get the driver, and is said; so is a driver
                that no node can have. Other drivers are registered all the same.
REGISTRATION-3  Nothing is asked for a node that has been seen to.
"""

from __future__ import annotations

from collections.abc import Collection

from pvbinder import logs
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.csi.places import CSI_NODE_VIEWS
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import NODES, Metadata
from pvbinder.model.objects import Node, NodeName
from pvbinder.model.resources import CSI_NODES
from pvbinder.rules.csi.registration import (
    NodeInfo,
    collision,
    csi_node_drivers,
    is_csi_node_of,
    misfit_of_any,
    new_csi_node,
    with_drivers,
)

log = logs.get(__name__)


class Registration:
    """Registers the drivers of this process on nodes."""

    def __init__(self, client: Client, drivers: NodeDrivers) -> None:
        self._client = client
        self._drivers = drivers
        self._seen_to: dict[NodeName, tuple[str, tuple[NodeInfo, ...]]] = {}  # the node's uid, and its drivers

    def forget(self, name: NodeName) -> None:
        """Forget a node that is gone."""
        self._seen_to.pop(name, None)

    async def sync(self, node: Node) -> Node:
        """Have `node` say which drivers it has, and return it as it is then (REGISTRATION-1)."""
        infos = tuple(self._fitting(node))
        gone = self._drivers.gone.difference(info.driver for info in infos)
        change = with_drivers(node, infos, gone)
        if change is not None:
            node = await self._client.patch(NODES, node.name, "", change, patch_type="merge")
        if (infos or gone) and self._seen_to.get(node.key) != (node.uid, infos):
            await self._sync_csi_node(node, infos, gone)
            self._seen_to[node.key] = (node.uid, infos)
        return node

    def _fitting(self, node: Node) -> list[NodeInfo]:
        """The drivers that the node can have (REGISTRATION-2)."""
        fitting = []
        for info in self._drivers.infos():
            why_not = misfit_of_any(info) or collision(node, info)
            if why_not is None:
                fitting.append(info)
            else:
                log.warning("driver can't be registered", driver=info.driver, node=node.name, err=why_not)
        return fitting

    async def _sync_csi_node(self, node: Node, infos: Collection[NodeInfo], gone: Collection[str]) -> None:
        found = await self._csi_node(node)
        if found is None:
            if infos:
                await self._client.create(CSI_NODE_VIEWS, new_csi_node(node, infos))
                log.info("drivers registered", node=node.name, drivers=",".join(info.driver for info in infos))
            return
        document = found.document()
        for drivers in csi_node_drivers(document, infos, gone):
            document["spec"]["drivers"] = drivers
            document = (await self._client.replace(CSI_NODE_VIEWS, document)).document()
            log.info("drivers registered", node=node.name, drivers=",".join(one["name"] for one in drivers))

    async def _csi_node(self, node: Node) -> Metadata | None:
        """Return the CSINode of `node`, if it has one; one of an earlier node of its name is deleted."""
        try:
            found = await self._client.get(CSI_NODE_VIEWS, node.name)
        except ApiFailure as failure:
            if failure.names_as_not_found(CSI_NODES, node.name):
                return None
            raise
        if is_csi_node_of(found.document(), node):
            return found
        await self._client.delete(CSI_NODE_VIEWS, node.name, uid=found.uid)
        return None
