"""The part of a CSI driver that is on nodes, as a kubelet calls it: where it is, what it can, its volumes in pods.

Each call raises CallFailed, and nothing of what is sent or comes back is logged (DRIVER-3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from pvbinder.csi.driver import Driver
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.rules.csi.registration import NodeInfo

CALL_SECONDS: Final = 120.0  # as a kubelet waits

_Rpc = csi.NodeServiceCapability.RPC


class NodeAbilities(Struct, frozen=True):
    """What a driver can do on nodes."""

    stages: bool = False
    expands: bool = False
    several_writers: bool = False  # SINGLE_NODE_MULTI_WRITER
    sets_group: bool = False  # VOLUME_MOUNT_GROUP


class NodeDriver:
    """A driver that is there, and what it said about itself."""

    def __init__(self, driver: Driver, info: NodeInfo, abilities: NodeAbilities) -> None:
        self._driver = driver
        self.info = info
        self.abilities = abilities


async def ask_node_driver(driver: Driver, name: str) -> NodeDriver:
    """Ask a driver that is ready where its nodes are and what it can do there; raise CallFailed."""
    info = await driver.call(methods.NODE_GET_INFO, csi.NodeGetInfoRequest())
    said = await driver.call(methods.NODE_GET_CAPABILITIES, csi.NodeGetCapabilitiesRequest())
    can = {one.rpc.type for one in said.capabilities if one.HasField("rpc")}
    topology: Mapping[str, str] = dict(info.accessible_topology.segments)
    return NodeDriver(
        driver,
        NodeInfo(name, info.node_id, topology, max(0, info.max_volumes_per_node)),
        NodeAbilities(
            stages=_Rpc.STAGE_UNSTAGE_VOLUME in can,
            expands=_Rpc.EXPAND_VOLUME in can,
            several_writers=_Rpc.SINGLE_NODE_MULTI_WRITER in can,
            sets_group=_Rpc.VOLUME_MOUNT_GROUP in can,
        ),
    )
