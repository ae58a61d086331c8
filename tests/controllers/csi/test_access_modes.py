"""What a driver says that it can, and how its volumes' access modes are then said to it (table CV)."""

from __future__ import annotations

import msgspec
import pytest
from tests.controllers.csi.fake_driver import ABILITIES, NAME
from tests.controllers.csi.stage import stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi import messages
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

_RPC = csi.ControllerServiceCapability.RPC
_MODE = csi.VolumeCapability.AccessMode


@pytest.mark.parametrize(
    ("several_writers", "modes", "said"),
    [
        (False, ["ReadWriteOnce"], [_MODE.SINGLE_NODE_WRITER]),
        (True, ["ReadWriteOnce"], [_MODE.SINGLE_NODE_MULTI_WRITER]),
        (False, ["ReadWriteOncePod"], [_MODE.SINGLE_NODE_WRITER]),
        (True, ["ReadWriteOncePod"], [_MODE.SINGLE_NODE_SINGLE_WRITER]),
        (True, ["ReadWriteOnce", "ReadOnlyMany"], [_MODE.SINGLE_NODE_MULTI_WRITER, _MODE.MULTI_NODE_READER_ONLY]),
        (True, ["ReadWriteMany"], [_MODE.MULTI_NODE_MULTI_WRITER]),
    ],
)
@on_virtual_time
async def test_cp_13_a_driver_hears_the_modes_that_it_knows(
    several_writers: bool, modes: list[str], said: list[int]
) -> None:  # CP-13
    info = DriverInfo(NAME, msgspec.structs.replace(ABILITIES, several_writers=several_writers))
    async with stage(info=info) as s:
        await s.cluster.create(storage_class())
        await s.want(accessModes=modes)
        await s.until_bound()
        (request,) = s.driver.calls(methods.CREATE_VOLUME)
        assert [one.access_mode.mode for one in request.volume_capabilities] == said


def test_several_writers_are_a_capability_of_the_controller() -> None:
    plugin = csi.GetPluginCapabilitiesResponse()
    for rpcs, has in (([_RPC.CREATE_DELETE_VOLUME], False), ([_RPC.SINGLE_NODE_MULTI_WRITER], True)):
        can = [csi.ControllerServiceCapability(rpc=_RPC(type=rpc)) for rpc in rpcs]
        answer = csi.ControllerGetCapabilitiesResponse(capabilities=can)
        assert messages.abilities(plugin, answer).several_writers == has
