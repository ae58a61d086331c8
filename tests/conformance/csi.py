"""A driver and `pvbinder csi` beside the API server of KUBECONFIG, as scenarios with `needs: [csi]` ask for.

The driver is our own, under the name and with the limits of the one that the scenarios were recorded with: no topology,
no volume of more than 1 TiB, UUIDs as ids, and attributes that it takes without a word.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.driver import local_driver
from pvbinder.csi.local.options import LocalDriver
from pvbinder.csi.serving import Handlers, serving
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.csi.wire.methods import Method

NAME: Final = "hostpath.csi.k8s.io"
VOLUME_BYTES_MAX: Final = 1 << 40
FLAGS: Final = ("--roles", "provisioner", "--extra-create-metadata", "--default-fstype", "ext4", "--no-metrics")
PASSED_ON: Final[tuple[Method[Any, Any], ...]] = (methods.PROBE, methods.CONTROLLER_GET_CAPABILITIES)
ID_BEGIN: Final = "vol-"


def recorded(volume_id: str) -> str:
    """Return one of our ids as the recorded driver writes its own, which are UUIDs."""
    return str(uuid.UUID(volume_id.removeprefix(ID_BEGIN)))


def ours(volume_id: str) -> str:
    """Return the id that `recorded` was made from; an id that nobody made stays what it is."""
    try:
        return ID_BEGIN + uuid.UUID(volume_id).hex
    except ValueError:
        return volume_id


def relaying(driver: Driver) -> Handlers:
    """Pass every call on to `driver`, but for what the recorded one says otherwise."""

    def passing_on(method: Method[Any, Any]) -> Callable[[Any], Awaitable[Any]]:
        async def pass_on(request: Any) -> Any:
            return await driver.call(method, request)

        return pass_on

    async def name(_: csi.GetPluginInfoRequest) -> csi.GetPluginInfoResponse:
        return csi.GetPluginInfoResponse(name=NAME, vendor_version="1")

    async def abilities(request: csi.GetPluginCapabilitiesRequest) -> csi.GetPluginCapabilitiesResponse:
        answer = await driver.call(methods.GET_PLUGIN_CAPABILITIES, request)
        everywhere = csi.PluginCapability.Service.VOLUME_ACCESSIBILITY_CONSTRAINTS
        kept = [one for one in answer.capabilities if one.service.type != everywhere]
        return csi.GetPluginCapabilitiesResponse(capabilities=kept)

    async def create(request: csi.CreateVolumeRequest) -> csi.CreateVolumeResponse:
        wanted = request.capacity_range.required_bytes
        if wanted > VOLUME_BYTES_MAX:
            raise CallFailed(
                Code.OUT_OF_RANGE, f"Requested capacity {wanted} exceeds maximum allowed {VOLUME_BYTES_MAX}"
            )
        context = dict(request.parameters)  # the recorded driver gives back what it was told
        request.parameters.clear()
        request.mutable_parameters.clear()
        source = request.volume_content_source.volume
        if source.volume_id:
            source.volume_id = ours(source.volume_id)
        answer = await driver.call(methods.CREATE_VOLUME, request)
        answer.volume.volume_id = recorded(answer.volume.volume_id)
        answer.volume.accessible_topology.clear()
        answer.volume.volume_context.clear()
        answer.volume.volume_context.update(context)
        return answer

    async def delete(request: csi.DeleteVolumeRequest) -> csi.DeleteVolumeResponse:
        return await driver.call(methods.DELETE_VOLUME, csi.DeleteVolumeRequest(volume_id=ours(request.volume_id)))

    return {
        **{method: passing_on(method) for method in PASSED_ON},
        methods.GET_PLUGIN_INFO: name,
        methods.GET_PLUGIN_CAPABILITIES: abilities,
        methods.CREATE_VOLUME: create,
        methods.DELETE_VOLUME: delete,
    }


async def beside(command: list[str]) -> int:
    """Run `command` with driver and sidecar beside it, and return its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        inner, outer = f"unix://{folder}/inner.sock", f"unix://{folder}/csi.sock"
        async with (
            local_driver(LocalDriver(inner, Path(folder, "root"), "here", capacity_bytes=1 << 50, how="link")),
            Driver(inner) as driver,
            serving(outer, relaying(driver)),
        ):
            flags = ["--csi-address", outer, *FLAGS]
            sidecar = await asyncio.create_subprocess_exec(sys.executable, "-m", "pvbinder.cli.main", "csi", *flags)
            try:
                process = await asyncio.create_subprocess_exec(*command)
                return await process.wait()
            finally:
                sidecar.terminate()
                await sidecar.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(beside(sys.argv[1:])))
