"""Values of the rules as messages of the interface, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.rules.csi.capabilities import Capability
from pvbinder.rules.csi.existing_volumes import ExpandRequest, ModifyRequest
from pvbinder.rules.csi.topology import Requirement, Segments
from pvbinder.rules.csi.volumes import Abilities, CreatedVolume, FromSnapshot, FromVolume, VolumeRequest

_Rpc = csi.ControllerServiceCapability.RPC


def create_volume(request: VolumeRequest, secrets: Mapping[str, str]) -> csi.CreateVolumeRequest:
    """Return the message that asks for a volume."""
    message = csi.CreateVolumeRequest(
        name=request.name,
        capacity_range=csi.CapacityRange(required_bytes=request.required_bytes),
        volume_capabilities=[capability(one) for one in request.capabilities],
        parameters=request.parameters,
        mutable_parameters=request.mutable_parameters,
        secrets=secrets,
    )
    match request.content:
        case FromSnapshot(snapshot_id=snapshot_id):
            message.volume_content_source.snapshot.snapshot_id = snapshot_id
        case FromVolume(volume_id=volume_id):
            message.volume_content_source.volume.volume_id = volume_id
        case None:
            pass
        case _:
            assert_never(request.content)
    if request.accessibility is not None:
        message.accessibility_requirements.CopyFrom(requirement(request.accessibility))
    return message


def expand_volume(request: ExpandRequest, secrets: Mapping[str, str]) -> csi.ControllerExpandVolumeRequest:
    """Return the message that asks for a larger volume."""
    return csi.ControllerExpandVolumeRequest(
        volume_id=request.volume_id,
        capacity_range=csi.CapacityRange(required_bytes=request.required_bytes),
        secrets=secrets,
        volume_capability=capability(request.capability),
    )


def modify_volume(request: ModifyRequest, secrets: Mapping[str, str]) -> csi.ControllerModifyVolumeRequest:
    """Return the message that asks for other attributes of a volume."""
    return csi.ControllerModifyVolumeRequest(
        volume_id=request.volume_id, secrets=secrets, mutable_parameters=request.parameters
    )


def capability(one: Capability) -> csi.VolumeCapability:
    """Return how a volume will be used."""
    mode = csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.Mode.Name(one.access_mode))
    if one.block:
        return csi.VolumeCapability(access_mode=mode, block=csi.VolumeCapability.BlockVolume())
    mount = csi.VolumeCapability.MountVolume(fs_type=one.fs_type, mount_flags=one.mount_flags)
    return csi.VolumeCapability(access_mode=mode, mount=mount)


def requirement(wanted: Requirement) -> csi.TopologyRequirement:
    """Return where a volume may be."""
    return csi.TopologyRequirement(requisite=_topologies(wanted.requisite), preferred=_topologies(wanted.preferred))


def _topologies(terms: Iterable[Segments]) -> list[csi.Topology]:
    return [csi.Topology(segments=dict(term)) for term in terms]


def created(volume: csi.Volume) -> CreatedVolume:
    """Return what a driver says of a volume that it has made."""
    return CreatedVolume(
        volume_id=volume.volume_id,
        capacity_bytes=volume.capacity_bytes,
        context=dict(volume.volume_context),
        accessible=tuple(dict(topology.segments) for topology in volume.accessible_topology),
        has_content_source=volume.HasField("content_source"),
    )


def grows_on_node(node: csi.NodeGetCapabilitiesResponse) -> bool:
    """Tell whether a driver says that its nodes expand volumes."""
    rpcs = {one.rpc.type for one in node.capabilities if one.HasField("rpc")}
    return csi.NodeServiceCapability.RPC.EXPAND_VOLUME in rpcs


def abilities(
    plugin: csi.GetPluginCapabilitiesResponse, controller: csi.ControllerGetCapabilitiesResponse | None
) -> Abilities:
    """Return what a driver says that it can do."""
    services = {one.service.type for one in plugin.capabilities if one.HasField("service")}
    rpcs = {one.rpc.type for one in controller.capabilities if one.HasField("rpc")} if controller is not None else set()
    return Abilities(
        controller_service=csi.PluginCapability.Service.CONTROLLER_SERVICE in services,
        topology=csi.PluginCapability.Service.VOLUME_ACCESSIBILITY_CONSTRAINTS in services,
        create_delete_volume=_Rpc.CREATE_DELETE_VOLUME in rpcs,
        publish_unpublish=_Rpc.PUBLISH_UNPUBLISH_VOLUME in rpcs,
        create_delete_snapshot=_Rpc.CREATE_DELETE_SNAPSHOT in rpcs,
        clone_volume=_Rpc.CLONE_VOLUME in rpcs,
        several_writers=_Rpc.SINGLE_NODE_MULTI_WRITER in rpcs,
        modify_volume=_Rpc.MODIFY_VOLUME in rpcs,
        get_capacity=_Rpc.GET_CAPACITY in rpcs,
        expand_volume=_Rpc.EXPAND_VOLUME in rpcs,
        list_snapshots=_Rpc.LIST_SNAPSHOTS in rpcs,
    )
