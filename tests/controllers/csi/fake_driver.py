"""A driver without a socket: it keeps volumes in memory, and does what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.csi.wire.methods import Method
from pvbinder.rules.csi.volumes import Abilities

NAME = "fake.csi.example.com"
ABILITIES = Abilities(
    controller_service=True,
    create_delete_volume=True,
    create_delete_snapshot=True,
    clone_volume=True,
    modify_volume=True,
    expand_volume=True,
)
INFO = DriverInfo(NAME, ABILITIES)

_Rpc = csi.ControllerServiceCapability.RPC

Behaviour = Callable[[Any], None]


class FakeDriver(Driver):
    """Volumes by name; `before` may raise instead of a call, `after` once it was carried out."""

    def __init__(self) -> None:
        super().__init__("unix:///nowhere")
        self.volumes: dict[str, csi.Volume] = {}
        self.seen: list[tuple[str, Any]] = []
        self.before: Behaviour = lambda _: None
        self.after: Behaviour = lambda _: None
        self.change: Callable[[csi.Volume], None] = lambda _: None
        self.seconds = 0.0
        self.needs_node = False  # after an expansion
        self.given: Callable[[int], int] = lambda asked: asked  # the bytes that an expansion is said to give
        self.attributes: dict[str, dict[str, str]] = {}  # by the volume's id
        self.room: dict[str, int] = {"": 10 << 30}  # bytes, by the value of the topology key "node"

    def has(self, name: str) -> bool:
        return name in self.volumes

    def calls(self, method: Method[Any, Any]) -> list[Any]:
        return [request for name, request in self.seen if name == method.name]

    async def call(self, method: Method[Any, Any], request: Any, *, timeout_seconds: float | None = None) -> Any:
        self.seen.append((method.name, request))
        await asyncio.sleep(self.seconds)
        self.before(request)
        answer: Any
        if method is methods.CREATE_VOLUME:
            answer = self._create(request)
        elif method is methods.DELETE_VOLUME:
            self.volumes = {name: one for name, one in self.volumes.items() if one.volume_id != request.volume_id}
            answer = csi.DeleteVolumeResponse()
        elif method is methods.CONTROLLER_EXPAND_VOLUME:
            answer = self._expand(request)
        elif method is methods.CONTROLLER_MODIFY_VOLUME:
            self.attributes.setdefault(request.volume_id, {}).update(request.mutable_parameters)
            answer = csi.ControllerModifyVolumeResponse()
        elif method is methods.GET_CAPACITY:
            place = dict(request.accessible_topology.segments)
            answer = csi.GetCapacityResponse(available_capacity=self.room.get(place.get("node", ""), 0))
        else:
            raise CallFailed(Code.UNIMPLEMENTED, method.name)
        self.after(request)
        return answer

    def _create(self, request: csi.CreateVolumeRequest) -> csi.CreateVolumeResponse:
        if request.name not in self.volumes:
            volume = csi.Volume(volume_id=f"id-of-{request.name}", capacity_bytes=request.capacity_range.required_bytes)
            if request.HasField("volume_content_source"):
                volume.content_source.CopyFrom(request.volume_content_source)
            self.change(volume)
            self.volumes[request.name] = volume
        return csi.CreateVolumeResponse(volume=self.volumes[request.name])

    def _expand(self, request: csi.ControllerExpandVolumeRequest) -> csi.ControllerExpandVolumeResponse:
        volume = next(one for one in self.volumes.values() if one.volume_id == request.volume_id)
        volume.capacity_bytes = max(volume.capacity_bytes, self.given(request.capacity_range.required_bytes))
        return csi.ControllerExpandVolumeResponse(
            capacity_bytes=volume.capacity_bytes, node_expansion_required=self.needs_node
        )


def handlers(driver: FakeDriver, name: str = NAME) -> Mapping[Any, Any]:
    """The methods of a driver that keeps volumes in memory."""

    async def probe(_: csi.ProbeRequest) -> csi.ProbeResponse:
        return csi.ProbeResponse()

    async def info(_: csi.GetPluginInfoRequest) -> csi.GetPluginInfoResponse:
        return csi.GetPluginInfoResponse(name=name, vendor_version="1")

    async def plugin(_: csi.GetPluginCapabilitiesRequest) -> csi.GetPluginCapabilitiesResponse:
        service = csi.PluginCapability.Service(type=csi.PluginCapability.Service.CONTROLLER_SERVICE)
        return csi.GetPluginCapabilitiesResponse(capabilities=[csi.PluginCapability(service=service)])

    async def controller(_: csi.ControllerGetCapabilitiesRequest) -> csi.ControllerGetCapabilitiesResponse:
        rpc = _Rpc(type=_Rpc.CREATE_DELETE_VOLUME)
        return csi.ControllerGetCapabilitiesResponse(capabilities=[csi.ControllerServiceCapability(rpc=rpc)])

    async def create(request: csi.CreateVolumeRequest) -> csi.CreateVolumeResponse:
        answer = await driver.call(methods.CREATE_VOLUME, request)
        assert isinstance(answer, csi.CreateVolumeResponse)
        return answer

    async def delete(request: csi.DeleteVolumeRequest) -> csi.DeleteVolumeResponse:
        answer = await driver.call(methods.DELETE_VOLUME, request)
        assert isinstance(answer, csi.DeleteVolumeResponse)
        return answer

    return {
        methods.PROBE: probe,
        methods.GET_PLUGIN_INFO: info,
        methods.GET_PLUGIN_CAPABILITIES: plugin,
        methods.CONTROLLER_GET_CAPABILITIES: controller,
        methods.CREATE_VOLUME: create,
        methods.DELETE_VOLUME: delete,
    }
