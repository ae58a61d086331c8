"""The Identity service of the local driver, over gRPC."""

from __future__ import annotations

import re
from pathlib import Path

from tests.csi.local.calls import driver_in

from pvbinder import __version__
from pvbinder.csi.errors import Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

SERVICE = csi.PluginCapability.Service


async def test_the_driver_says_who_it_is(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        info = await calls.call(methods.GET_PLUGIN_INFO)
        assert (info.name, info.vendor_version) == ("local.csi.pvbinder.io", __version__)
        assert re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9.-]{0,61}[a-zA-Z0-9]", info.name)


async def test_the_driver_says_what_it_can(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        found = (await calls.call(methods.GET_PLUGIN_CAPABILITIES)).capabilities
        assert {each.service.type for each in found if each.HasField("service")} == {
            SERVICE.CONTROLLER_SERVICE,
            SERVICE.VOLUME_ACCESSIBILITY_CONSTRAINTS,
        }
        assert [each.volume_expansion.type for each in found if each.HasField("volume_expansion")] == [
            csi.PluginCapability.VolumeExpansion.ONLINE
        ]


async def test_the_driver_is_ready_until_its_root_is_gone(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        assert (await calls.call(methods.PROBE)).ready.value
        calls.root.rename(tmp_path / "elsewhere")
        assert "can't be used" in await calls.refused(Code.FAILED_PRECONDITION, methods.PROBE)
        calls.root.mkdir()
        assert "another directory" in await calls.refused(Code.FAILED_PRECONDITION, methods.PROBE)


async def test_what_the_driver_does_not_do_is_unimplemented(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        for method in (
            methods.CONTROLLER_PUBLISH_VOLUME,
            methods.CONTROLLER_UNPUBLISH_VOLUME,
            methods.NODE_STAGE_VOLUME,
            methods.NODE_UNSTAGE_VOLUME,
            methods.CREATE_VOLUME_GROUP_SNAPSHOT,
        ):
            await calls.refused(Code.UNIMPLEMENTED, method)
