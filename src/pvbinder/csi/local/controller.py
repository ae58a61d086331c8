"""The Controller service, but for snapshots: volumes by request.

CONTROLLER-1  Every call may be made again: the same request has the same answer, and one that asks for something else
              under the same name is AlreadyExists.
CONTROLLER-2  Wrong arguments are answered before anything is done.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from google.protobuf.wrappers_pb2 import Int64Value

from pvbinder.csi.errors import CallFailed
from pvbinder.csi.local import arguments
from pvbinder.csi.local.names import TOPOLOGY_KEY
from pvbinder.csi.local.pages import page_of
from pvbinder.csi.local.pool import Pool
from pvbinder.csi.local.records import Shelf, Source, StoredVolume, VolumeSettings
from pvbinder.csi.local.volumes import VolumeHealth, Volumes, Wish
from pvbinder.csi.local.work import Together, Work
from pvbinder.csi.serving import Handlers
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.model.errors import PvbinderError

_RPC = csi.ControllerServiceCapability.RPC
CAPABILITIES: Final = (
    _RPC.CREATE_DELETE_VOLUME,
    _RPC.LIST_VOLUMES,
    _RPC.GET_CAPACITY,
    _RPC.CREATE_DELETE_SNAPSHOT,
    _RPC.LIST_SNAPSHOTS,
    _RPC.CLONE_VOLUME,
    _RPC.EXPAND_VOLUME,
    _RPC.VOLUME_CONDITION,
    _RPC.GET_VOLUME,
    _RPC.SINGLE_NODE_MULTI_WRITER,
    _RPC.MODIFY_VOLUME,
    _RPC.GET_SNAPSHOT,
)


class ControllerService:
    """The handlers of the service."""

    def __init__(self, shelf: Shelf[StoredVolume], volumes: Volumes, pool: Pool, work: Work, node: str) -> None:
        self._shelf = shelf
        self._volumes = volumes
        self._pool = pool
        self._work = work
        self._empty_volumes = Together(work, volumes.create_all)
        self._topology = csi.Topology(segments={TOPOLOGY_KEY: node})

    def handlers(self) -> Handlers:
        """Return the methods and what answers them."""
        return {
            methods.CREATE_VOLUME: self.create_volume,
            methods.DELETE_VOLUME: self.delete_volume,
            methods.VALIDATE_VOLUME_CAPABILITIES: self.validate_volume_capabilities,
            methods.LIST_VOLUMES: self.list_volumes,
            methods.GET_CAPACITY: self.get_capacity,
            methods.CONTROLLER_GET_CAPABILITIES: self.controller_get_capabilities,
            methods.CONTROLLER_EXPAND_VOLUME: self.controller_expand_volume,
            methods.CONTROLLER_GET_VOLUME: self.controller_get_volume,
            methods.CONTROLLER_MODIFY_VOLUME: self.controller_modify_volume,
        }

    async def controller_get_capabilities(
        self, _: csi.ControllerGetCapabilitiesRequest
    ) -> csi.ControllerGetCapabilitiesResponse:
        """Say what the service can."""
        return csi.ControllerGetCapabilitiesResponse(
            capabilities=[csi.ControllerServiceCapability(rpc=_RPC(type=each)) for each in CAPABILITIES]
        )

    async def create_volume(self, request: csi.CreateVolumeRequest) -> csi.CreateVolumeResponse:
        """Make a volume, or a copy of a volume or snapshot; return the one that has the name already."""
        form = arguments.form_of_all(request.volume_capabilities)
        settings = arguments.change_of(request.mutable_parameters, "mutable_parameters").over(
            arguments.change_of(request.parameters, "parameters")
        )
        wish = Wish(
            name=arguments.name_of(request.name),
            size=arguments.size_of(request.capacity_range),
            form=form,
            settings=settings.of(VolumeSettings()),
            source=_source_of(request),
            is_reachable=self._is_reachable(request.accessibility_requirements),
        )
        if wish.settings.quota_bytes and form == "file":
            raise arguments.invalid("a block volume has no quotaBytes: its size is what is in it")
        keys = [f"name {wish.name}", *([wish.source.id] if wish.source else [])]
        if wish.source is None:
            volume = await self._empty_volumes.run(keys, wish)
        else:
            volume = await self._work.run(keys, partial(self._volumes.create, wish), is_long=True)
        return csi.CreateVolumeResponse(volume=self._shown(volume))

    async def delete_volume(self, request: csi.DeleteVolumeRequest) -> csi.DeleteVolumeResponse:
        """Remove a volume, if there is one."""
        identity = arguments.required(request.volume_id, "volume_id")
        await self._work.run([identity], partial(self._volumes.delete, identity), is_long=True)
        return csi.DeleteVolumeResponse()

    async def validate_volume_capabilities(
        self, request: csi.ValidateVolumeCapabilitiesRequest
    ) -> csi.ValidateVolumeCapabilitiesResponse:
        """Say whether the volume is and can what is asked, in the words of the refusal if it isn't."""
        identity = arguments.required(request.volume_id, "volume_id")
        if not request.volume_capabilities:
            raise arguments.invalid("volume_capabilities is missing")
        volume = self._shelf.get(identity)
        try:
            form = arguments.form_of_all(request.volume_capabilities)
            first = arguments.change_of(request.parameters, "parameters")
            change = arguments.change_of(request.mutable_parameters, "mutable_parameters")
        except CallFailed as refused:
            return csi.ValidateVolumeCapabilitiesResponse(message=refused.description)
        if form != volume.form:
            return csi.ValidateVolumeCapabilitiesResponse(message=f"the volume is a {volume.form}, and no {form}")
        if first.of(volume.created_with) != volume.created_with:
            return csi.ValidateVolumeCapabilitiesResponse(message="the volume was made with other parameters")
        if change.of(volume.settings) != volume.settings:
            return csi.ValidateVolumeCapabilitiesResponse(message="the volume has other mutable parameters")
        return csi.ValidateVolumeCapabilitiesResponse(
            confirmed=csi.ValidateVolumeCapabilitiesResponse.Confirmed(
                volume_context=request.volume_context,
                volume_capabilities=request.volume_capabilities,
                parameters=request.parameters,
                mutable_parameters=request.mutable_parameters,
            )
        )

    async def list_volumes(self, request: csi.ListVolumesRequest) -> csi.ListVolumesResponse:
        """List the volumes, those that are damaged too, and how they are."""
        entries_max = arguments.max_entries_of(request.max_entries)
        known = {volume.id: volume for volume in self._shelf.all()}
        page, token = page_of(
            sorted(known.keys() | self._shelf.damaged),
            str,
            noun="volumes",
            token=request.starting_token,
            entries_max=entries_max,
        )
        conditions = await self._work.run((), partial(self._conditions, [known.get(each) for each in page]))
        entries = []
        for identity, condition in zip(page, conditions, strict=True):
            volume = known.get(identity)
            status = csi.ListVolumesResponse.VolumeStatus(volume_condition=condition_of(condition))
            shown = csi.Volume(volume_id=identity) if volume is None else self._shown(volume)
            entries.append(csi.ListVolumesResponse.Entry(volume=shown, status=status))
        return csi.ListVolumesResponse(entries=entries, next_token=token)

    async def controller_get_volume(self, request: csi.ControllerGetVolumeRequest) -> csi.ControllerGetVolumeResponse:
        """Show one volume, and how it is, what is in it counted."""
        identity = arguments.required(request.volume_id, "volume_id")
        volume = self._shelf.get(identity)
        condition = await self._work.run((), partial(self._counted_condition, volume), is_long=True)
        status = csi.ControllerGetVolumeResponse.VolumeStatus(volume_condition=condition_of(condition))
        return csi.ControllerGetVolumeResponse(volume=self._shown(volume), status=status)

    async def get_capacity(self, request: csi.GetCapacityRequest) -> csi.GetCapacityResponse:
        """Say how large a new volume may be."""
        if request.volume_capabilities:
            arguments.form_of_all(request.volume_capabilities)
        arguments.change_of(request.parameters, "parameters")
        if request.HasField("accessible_topology") and not self._is_here(request.accessible_topology):
            return csi.GetCapacityResponse(available_capacity=0, maximum_volume_size=Int64Value(value=0))
        available = await self._work.run((), self._pool.available_bytes)
        return csi.GetCapacityResponse(available_capacity=available, maximum_volume_size=Int64Value(value=available))

    async def controller_expand_volume(
        self, request: csi.ControllerExpandVolumeRequest
    ) -> csi.ControllerExpandVolumeResponse:
        """Make a volume larger; on the node nothing is left to do."""
        identity = arguments.required(request.volume_id, "volume_id")
        size = arguments.size_of(request.capacity_range)
        if not size.required_bytes and not size.limit_bytes:
            raise arguments.invalid("capacity_range is missing")
        form = arguments.form_of(request.volume_capability) if request.HasField("volume_capability") else None
        volume = await self._work.run([identity], partial(self._volumes.expand, identity, size, form))
        return csi.ControllerExpandVolumeResponse(capacity_bytes=volume.capacity_bytes, node_expansion_required=False)

    async def controller_modify_volume(
        self, request: csi.ControllerModifyVolumeRequest
    ) -> csi.ControllerModifyVolumeResponse:
        """Change the settings that are named, and no others."""
        identity = arguments.required(request.volume_id, "volume_id")
        self._shelf.get(identity)
        if not request.mutable_parameters:
            raise arguments.invalid("mutable_parameters is missing")
        change = arguments.change_of(request.mutable_parameters, "mutable_parameters")
        await self._work.run([identity], partial(self._volumes.modify, identity, change))
        return csi.ControllerModifyVolumeResponse()

    def _shown(self, volume: StoredVolume) -> csi.Volume:
        shown = csi.Volume(
            capacity_bytes=volume.capacity_bytes, volume_id=volume.id, accessible_topology=[self._topology]
        )
        match volume.source:
            case Source(kind="snapshot", id=identity):
                shown.content_source.snapshot.snapshot_id = identity
            case Source(id=identity):
                shown.content_source.volume.volume_id = identity
        return shown

    def _conditions(self, volumes: list[StoredVolume | None]) -> list[VolumeHealth]:
        damaged = VolumeHealth("what the volume is can't be read: the driver's log says why")
        return [damaged if volume is None else self._volumes.condition(volume) for volume in volumes]

    def _counted_condition(self, volume: StoredVolume) -> VolumeHealth:
        condition = self._volumes.condition(volume)
        if condition.trouble:
            return condition
        try:
            return self._volumes.condition(volume, self._volumes.usage(volume))
        except PvbinderError as error:
            return VolumeHealth(f"what is in the volume can't be counted: {error}")

    def _is_reachable(self, wanted: csi.TopologyRequirement) -> bool:
        return not wanted.requisite or any(map(self._is_here, wanted.requisite))

    def _is_here(self, topology: csi.Topology) -> bool:
        return all(self._topology.segments.get(key) == value for key, value in topology.segments.items())


def condition_of(condition: VolumeHealth) -> csi.VolumeCondition:
    """Return a condition as it is answered."""
    return csi.VolumeCondition(abnormal=bool(condition.trouble), message=condition.trouble or "the volume is well")


def _source_of(request: csi.CreateVolumeRequest) -> Source | None:
    if not request.HasField("volume_content_source"):
        return None
    source = request.volume_content_source
    match source.WhichOneof("type"):
        case "snapshot":
            identity = arguments.required(source.snapshot.snapshot_id, "volume_content_source.snapshot.snapshot_id")
            return Source("snapshot", identity)
        case "volume":
            return Source(
                "volume", arguments.required(source.volume.volume_id, "volume_content_source.volume.volume_id")
            )
        case _:
            raise arguments.invalid("volume_content_source names neither a snapshot nor a volume")
