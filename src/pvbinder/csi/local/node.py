"""The Node service: volumes in the pods of this machine."""

from __future__ import annotations

from functools import partial
from typing import Final

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local import arguments
from pvbinder.csi.local.controller import condition_of
from pvbinder.csi.local.names import TOPOLOGY_KEY
from pvbinder.csi.local.publications import Publications
from pvbinder.csi.local.publishing import check_path
from pvbinder.csi.local.records import Shelf, StoredVolume
from pvbinder.csi.local.volumes import VolumeHealth, Volumes, check_form, room_of
from pvbinder.csi.local.walking import DataUsage
from pvbinder.csi.local.work import Work
from pvbinder.csi.serving import Handlers
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

_RPC = csi.NodeServiceCapability.RPC
CAPABILITIES: Final = (
    _RPC.GET_VOLUME_STATS,
    _RPC.EXPAND_VOLUME,
    _RPC.VOLUME_CONDITION,
    _RPC.SINGLE_NODE_MULTI_WRITER,
)


class NodeService:
    """The handlers of the service."""

    def __init__(
        self, shelf: Shelf[StoredVolume], volumes: Volumes, places: Publications, work: Work, node: str
    ) -> None:
        self._shelf = shelf
        self._volumes = volumes
        self._places = places
        self._work = work
        self._node = node

    def handlers(self) -> Handlers:
        """Return the methods and what answers them."""
        return {
            methods.NODE_PUBLISH_VOLUME: self.node_publish_volume,
            methods.NODE_UNPUBLISH_VOLUME: self.node_unpublish_volume,
            methods.NODE_GET_VOLUME_STATS: self.node_get_volume_stats,
            methods.NODE_EXPAND_VOLUME: self.node_expand_volume,
            methods.NODE_GET_CAPABILITIES: self.node_get_capabilities,
            methods.NODE_GET_INFO: self.node_get_info,
        }

    async def node_get_capabilities(self, _: csi.NodeGetCapabilitiesRequest) -> csi.NodeGetCapabilitiesResponse:
        """Say what the service can."""
        return csi.NodeGetCapabilitiesResponse(
            capabilities=[csi.NodeServiceCapability(rpc=_RPC(type=each)) for each in CAPABILITIES]
        )

    async def node_get_info(self, _: csi.NodeGetInfoRequest) -> csi.NodeGetInfoResponse:
        """Name the node, and where it is."""
        return csi.NodeGetInfoResponse(
            node_id=self._node, accessible_topology=csi.Topology(segments={TOPOLOGY_KEY: self._node})
        )

    async def node_publish_volume(self, request: csi.NodePublishVolumeRequest) -> csi.NodePublishVolumeResponse:
        """Put a volume into a pod's directory."""
        identity = arguments.required(request.volume_id, "volume_id")
        check_path(request.target_path, "target_path")
        if not request.HasField("volume_capability"):
            raise arguments.invalid("volume_capability is missing")
        publish = partial(
            self._places.publish,
            identity,
            request.target_path,
            access_mode=request.volume_capability.access_mode.mode,
            form=arguments.form_of(request.volume_capability),
            flags=tuple(sorted(set(request.volume_capability.mount.mount_flags))),
            read_only=request.readonly,
        )
        await self._work.run([identity], publish)
        return csi.NodePublishVolumeResponse()

    async def node_unpublish_volume(self, request: csi.NodeUnpublishVolumeRequest) -> csi.NodeUnpublishVolumeResponse:
        """Take a volume out of a pod's directory."""
        identity = arguments.required(request.volume_id, "volume_id")
        check_path(request.target_path, "target_path")
        await self._work.run([identity], partial(self._places.unpublish, identity, request.target_path))
        return csi.NodeUnpublishVolumeResponse()

    async def node_get_volume_stats(self, request: csi.NodeGetVolumeStatsRequest) -> csi.NodeGetVolumeStatsResponse:
        """Count what is in a volume, against its size or its quota."""
        identity = arguments.required(request.volume_id, "volume_id")
        arguments.required(request.volume_path, "volume_path")
        find = partial(self._places.published_at, identity, request.volume_path)
        volume = await self._work.run((), find)
        usage, condition = await self._work.run((), partial(self._counted, volume), is_long=True)
        total = room_of(volume)
        counts = [csi.VolumeUsage(unit=csi.VolumeUsage.BYTES, total=total)]
        if volume.form == "directory":
            available = max(0, total - usage.used_bytes)
            counts = [
                csi.VolumeUsage(unit=csi.VolumeUsage.BYTES, total=total, used=usage.used_bytes, available=available),
                csi.VolumeUsage(unit=csi.VolumeUsage.INODES, total=usage.inodes, used=usage.inodes),
            ]
        return csi.NodeGetVolumeStatsResponse(usage=counts, volume_condition=condition_of(condition))

    async def node_expand_volume(self, request: csi.NodeExpandVolumeRequest) -> csi.NodeExpandVolumeResponse:
        """Say that a volume is as large as it was made: there is no file system to grow."""
        identity = arguments.required(request.volume_id, "volume_id")
        arguments.required(request.volume_path, "volume_path")
        size = arguments.size_of(request.capacity_range)
        form = arguments.form_of(request.volume_capability) if request.HasField("volume_capability") else None
        volume = await self._work.run((), partial(self._places.published_at, identity, request.volume_path))
        check_form(volume, form)
        if not size.fits(volume.capacity_bytes):
            raise CallFailed(
                Code.OUT_OF_RANGE,
                f"volume {identity} has {volume.capacity_bytes} bytes: ControllerExpandVolume changes that",
            )
        return csi.NodeExpandVolumeResponse(capacity_bytes=volume.capacity_bytes)

    def _counted(self, volume: StoredVolume) -> tuple[DataUsage, VolumeHealth]:
        usage = self._volumes.usage(volume)
        return usage, self._volumes.condition(volume, usage)
