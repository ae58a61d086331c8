"""The part of a CSI driver that is on nodes, as a kubelet calls it: where it is, what it can, its volumes in pods.

Each call raises CallFailed, and nothing of what is sent or comes back is logged (DRIVER-3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from pvbinder.controllers.csi import messages
from pvbinder.csi.driver import Driver
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.rules.csi.publishing import PodCsiVolume, capability
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

    async def stage(self, volume: PodCsiVolume, staging: str, secrets: Mapping[str, str], group: str) -> None:
        """Stage a volume for all pods of this machine."""
        request = csi.NodeStageVolumeRequest(
            volume_id=volume.handle,
            staging_target_path=staging,
            volume_capability=self._capability(volume, group),
            secrets=secrets,
            volume_context=volume.attributes,
        )
        await self._driver.call(methods.NODE_STAGE_VOLUME, request)

    async def unstage(self, handle: str, staging: str) -> None:
        """Undo `stage`."""
        request = csi.NodeUnstageVolumeRequest(volume_id=handle, staging_target_path=staging)
        await self._driver.call(methods.NODE_UNSTAGE_VOLUME, request)

    async def publish(
        self,
        volume: PodCsiVolume,
        target: str,
        *,
        staging: str,
        secrets: Mapping[str, str],
        pod_info: Mapping[str, str],
        group: str,
    ) -> None:
        """Put a volume into a pod's directory; `staging` is ``""`` if it isn't staged."""
        request = csi.NodePublishVolumeRequest(
            volume_id=volume.handle,
            staging_target_path=staging,
            target_path=target,
            volume_capability=self._capability(volume, group),
            readonly=volume.read_only,
            secrets=secrets,
            volume_context={**volume.attributes, **pod_info},
        )
        await self._driver.call(methods.NODE_PUBLISH_VOLUME, request)

    async def unpublish(self, handle: str, target: str) -> None:
        """Take a volume out of a pod's directory."""
        request = csi.NodeUnpublishVolumeRequest(volume_id=handle, target_path=target)
        await self._driver.call(methods.NODE_UNPUBLISH_VOLUME, request)

    async def expand(
        self, volume: PodCsiVolume, target: str, *, staging: str, size_bytes: int, secrets: Mapping[str, str]
    ) -> None:
        """Have the file system of a volume that has grown follow."""
        request = csi.NodeExpandVolumeRequest(
            volume_id=volume.handle,
            volume_path=target,
            staging_target_path=staging,
            capacity_range=csi.CapacityRange(required_bytes=size_bytes),
            volume_capability=self._capability(volume, ""),
            secrets=secrets,
        )
        await self._driver.call(methods.NODE_EXPAND_VOLUME, request)

    def _capability(self, volume: PodCsiVolume, group: str) -> csi.VolumeCapability:
        message = messages.capability(capability(volume, several_writers=self.abilities.several_writers))
        if group and self.abilities.sets_group and not volume.is_block:
            message.mount.volume_mount_group = group
        return message


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
