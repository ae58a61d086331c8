"""What a driver says about itself when it is asked first (SU-2, SU-3, SU-5, SU-6)."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from pvbinder.controllers.csi.messages import abilities, grows_on_node
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.model.errors import PvbinderError
from pvbinder.rules.csi.volumes import Abilities

_ASK_AGAIN: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.CANCELLED})


class NamelessDriverError(PvbinderError):
    """A driver that says no name."""


class DriverInfo(Struct, frozen=True):
    """A driver's name and abilities; `place` is where its own node is, if it was asked."""

    name: str
    abilities: Abilities
    place: dict[str, str] = {}


async def ask_driver(driver: Driver, *, about_node: bool = False) -> DriverInfo:
    """Wait for the driver, and ask it (SU-2, SU-3, SU-5, SU-6); raise CallFailed, ProbeFailed, NamelessDriverError."""
    await driver.wait_ready()
    info = await driver.call(methods.GET_PLUGIN_INFO, csi.GetPluginInfoRequest())
    if not info.name:
        raise NamelessDriverError("driver name is empty")
    plugin = await driver.call(methods.GET_PLUGIN_CAPABILITIES, csi.GetPluginCapabilitiesRequest())
    controller = None
    if abilities(plugin, None).controller_service:
        controller = await driver.call(methods.CONTROLLER_GET_CAPABILITIES, csi.ControllerGetCapabilitiesRequest())
    can = abilities(plugin, controller)
    if can.controller_service and not can.expand_volume:
        can = msgspec.structs.replace(can, node_expand_volume=await _node_expands(driver))
    place: dict[str, str] = {}
    if about_node:
        node = await driver.call(methods.NODE_GET_INFO, csi.NodeGetInfoRequest())
        place = dict(node.accessible_topology.segments)
    return DriverInfo(info.name, can, place)


async def _node_expands(driver: Driver) -> bool:
    """Ask whether nodes expand volumes; a driver without a node service at this socket doesn't say so."""
    try:
        answer = await driver.call(methods.NODE_GET_CAPABILITIES, csi.NodeGetCapabilitiesRequest())
    except CallFailed as failed:
        if failed.code in _ASK_AGAIN:
            raise
        return False
    return grows_on_node(answer)
