"""The methods of the interface by name, with the types of what goes in and what comes out.

METHODS-1  Each unary method of `csi.proto` is here once, with the request and the response that the file names.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import msgspec
from google.protobuf.message import Message

from pvbinder.csi.wire import csi_pb2 as csi

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


class Method(msgspec.Struct, Generic[Q, R], frozen=True):
    """One call of a service: the types of its two messages, which are named after it."""

    service: str
    request: type[Q]
    response: type[R]

    @property
    def name(self) -> str:
        """The name in its service: ``CreateVolume``."""
        return self.request.__name__.removesuffix("Request")

    @property
    def path(self) -> str:
        """The name on the wire, as metrics show it: ``/csi.v1.Controller/CreateVolume``."""
        return f"/csi.v1.{self.service}/{self.name}"


GET_PLUGIN_INFO: Final = Method("Identity", csi.GetPluginInfoRequest, csi.GetPluginInfoResponse)
GET_PLUGIN_CAPABILITIES: Final = Method("Identity", csi.GetPluginCapabilitiesRequest, csi.GetPluginCapabilitiesResponse)
PROBE: Final = Method("Identity", csi.ProbeRequest, csi.ProbeResponse)

CREATE_VOLUME: Final = Method("Controller", csi.CreateVolumeRequest, csi.CreateVolumeResponse)
DELETE_VOLUME: Final = Method("Controller", csi.DeleteVolumeRequest, csi.DeleteVolumeResponse)
CONTROLLER_PUBLISH_VOLUME: Final = Method(
    "Controller", csi.ControllerPublishVolumeRequest, csi.ControllerPublishVolumeResponse
)
CONTROLLER_UNPUBLISH_VOLUME: Final = Method(
    "Controller", csi.ControllerUnpublishVolumeRequest, csi.ControllerUnpublishVolumeResponse
)
VALIDATE_VOLUME_CAPABILITIES: Final = Method(
    "Controller", csi.ValidateVolumeCapabilitiesRequest, csi.ValidateVolumeCapabilitiesResponse
)
LIST_VOLUMES: Final = Method("Controller", csi.ListVolumesRequest, csi.ListVolumesResponse)
GET_CAPACITY: Final = Method("Controller", csi.GetCapacityRequest, csi.GetCapacityResponse)
CONTROLLER_GET_CAPABILITIES: Final = Method(
    "Controller", csi.ControllerGetCapabilitiesRequest, csi.ControllerGetCapabilitiesResponse
)
CREATE_SNAPSHOT: Final = Method("Controller", csi.CreateSnapshotRequest, csi.CreateSnapshotResponse)
DELETE_SNAPSHOT: Final = Method("Controller", csi.DeleteSnapshotRequest, csi.DeleteSnapshotResponse)
LIST_SNAPSHOTS: Final = Method("Controller", csi.ListSnapshotsRequest, csi.ListSnapshotsResponse)
GET_SNAPSHOT: Final = Method("Controller", csi.GetSnapshotRequest, csi.GetSnapshotResponse)
CONTROLLER_EXPAND_VOLUME: Final = Method(
    "Controller", csi.ControllerExpandVolumeRequest, csi.ControllerExpandVolumeResponse
)
CONTROLLER_GET_VOLUME: Final = Method("Controller", csi.ControllerGetVolumeRequest, csi.ControllerGetVolumeResponse)
CONTROLLER_MODIFY_VOLUME: Final = Method(
    "Controller", csi.ControllerModifyVolumeRequest, csi.ControllerModifyVolumeResponse
)

GROUP_CONTROLLER_GET_CAPABILITIES: Final = Method(
    "GroupController", csi.GroupControllerGetCapabilitiesRequest, csi.GroupControllerGetCapabilitiesResponse
)
CREATE_VOLUME_GROUP_SNAPSHOT: Final = Method(
    "GroupController", csi.CreateVolumeGroupSnapshotRequest, csi.CreateVolumeGroupSnapshotResponse
)
DELETE_VOLUME_GROUP_SNAPSHOT: Final = Method(
    "GroupController", csi.DeleteVolumeGroupSnapshotRequest, csi.DeleteVolumeGroupSnapshotResponse
)
GET_VOLUME_GROUP_SNAPSHOT: Final = Method(
    "GroupController", csi.GetVolumeGroupSnapshotRequest, csi.GetVolumeGroupSnapshotResponse
)

NODE_STAGE_VOLUME: Final = Method("Node", csi.NodeStageVolumeRequest, csi.NodeStageVolumeResponse)
NODE_UNSTAGE_VOLUME: Final = Method("Node", csi.NodeUnstageVolumeRequest, csi.NodeUnstageVolumeResponse)
NODE_PUBLISH_VOLUME: Final = Method("Node", csi.NodePublishVolumeRequest, csi.NodePublishVolumeResponse)
NODE_UNPUBLISH_VOLUME: Final = Method("Node", csi.NodeUnpublishVolumeRequest, csi.NodeUnpublishVolumeResponse)
NODE_GET_VOLUME_STATS: Final = Method("Node", csi.NodeGetVolumeStatsRequest, csi.NodeGetVolumeStatsResponse)
NODE_EXPAND_VOLUME: Final = Method("Node", csi.NodeExpandVolumeRequest, csi.NodeExpandVolumeResponse)
NODE_GET_CAPABILITIES: Final = Method("Node", csi.NodeGetCapabilitiesRequest, csi.NodeGetCapabilitiesResponse)
NODE_GET_INFO: Final = Method("Node", csi.NodeGetInfoRequest, csi.NodeGetInfoResponse)
