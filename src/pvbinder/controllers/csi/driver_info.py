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
from pvbinder.model.dns_names import is_subdomain
from pvbinder.model.errors import PvbinderError
from pvbinder.rules.csi.volumes import Abilities

NAME_CHARACTERS_MAX: Final = 63
_ASK_AGAIN: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.CANCELLED})


class DriverNameError(PvbinderError):
    """A driver that says no name, or one that no object could have."""


class DriverInfo(Struct, frozen=True):
    """A driver's name and abilities; `place` is where its own node is, if it was asked."""

    name: str
    abilities: Abilities
    place: dict[str, str] = {}


async def ask_driver(driver: Driver, *, about_node: bool = False) -> DriverInfo:
    """Wait for the driver, and ask it (SU-2, SU-3, SU-5, SU-6); raise CallFailed, ProbeFailed, DriverNameError."""
    await driver.wait_ready()
    name = await ask_name(driver)
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
    return DriverInfo(name, can, place)


async def ask_name(driver: Driver) -> str:
    """Ask a driver for its name, which must be as CSI and volumes demand it; raise CallFailed, DriverNameError."""
    name: str = (await driver.call(methods.GET_PLUGIN_INFO, csi.GetPluginInfoRequest())).name
    if not name:
        raise DriverNameError("driver name is empty")
    if len(name) > NAME_CHARACTERS_MAX or not is_subdomain(name.lower()):
        raise DriverNameError(
            f"driver name {name[: 2 * NAME_CHARACTERS_MAX]!r} is none: it has at most {NAME_CHARACTERS_MAX} letters, "
            "digits, - and ., and a letter or digit at both ends"
        )
    return name


async def _node_expands(driver: Driver) -> bool:
    """Ask whether nodes expand volumes; a driver without a node service at this socket doesn't say so."""
    try:
        answer = await driver.call(methods.NODE_GET_CAPABILITIES, csi.NodeGetCapabilitiesRequest())
    except CallFailed as failed:
        if failed.code in _ASK_AGAIN:
            raise
        return False
    return grows_on_node(answer)
