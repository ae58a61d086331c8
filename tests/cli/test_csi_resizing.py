"""Claims that grow and change through the local driver, over its socket, with all controllers and their own rights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.controllers.cluster import claim
from tests.controllers.csi.stage import attributes_class
from tests.plane.test_control_plane import options

from pvbinder.controllers.csi.declaration import LOCAL
from pvbinder.controllers.csi.roles import ROLES
from pvbinder.csi.driver import Driver
from pvbinder.csi.local.driver import local_driver
from pvbinder.csi.local.options import LocalDriver
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, STORAGE_CLASSES, VOLUMES
from pvbinder.model.json import Json
from pvbinder.plane.control_plane import control_plane

DEADLINE_SECONDS = 40
NAME = "local.csi.pvbinder.io"
GI = 1 << 30


class User:
    """Someone who changes the claim ``orders``, and waits for what becomes of it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, **spec: object) -> None:
        await self.client.patch(CLAIMS, "orders", "default", {"spec": spec}, patch_type="merge")

    async def ask_for(self, size: str) -> None:
        await self.ask(resources={"requests": {"storage": size}})

    async def status_when(self, question: Callable[[Json], bool]) -> Json:
        while True:
            status: Json = (await self.client.get(CLAIMS, "orders", "default")).document()["status"]
            if question(status):
                return status
            await asyncio.sleep(0.05)


def has_class(name: str) -> Callable[[Json], bool]:
    return lambda status: status.get("currentVolumeAttributesClassName") == name and "modifyVolumeStatus" not in status


def is_refused(status: Json) -> bool:
    state: Json = status.get("modifyVolumeStatus") or {}
    return state.get("status") == "Infeasible"


@pytest.mark.slow
async def test_a_claim_grows_changes_and_steps_back_through_the_local_driver(tmp_path: Path) -> None:
    """RS-13, RS-14, RF-1, VM-8, VM-9; ROLE-3"""
    address = f"unix://{tmp_path}/csi.sock"
    local = LocalDriver(address, tmp_path / "root", "here", capacity_bytes=10 * GI, how="link")
    chosen = options(tmp_path / "data", controllers=f"*,-{LOCAL}")  # whose driver has the same name
    asked = replace(chosen, csi_drivers=(address,))
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        local_driver(local),
        Driver(address) as driver,
        control_plane(asked) as plane,
    ):
        user = User(Client(plane.transport))
        storage_class = {"metadata": {"name": "fast"}, "provisioner": NAME, "allowVolumeExpansion": True}
        await user.client.create(STORAGE_CLASSES, storage_class)
        await user.client.create(ATTRIBUTES_CLASSES, attributes_class("archive", NAME, readOnly="true"))
        await user.client.create(ATTRIBUTES_CLASSES, attributes_class("live", NAME, readOnly="false"))
        await user.client.create(ATTRIBUTES_CLASSES, attributes_class("wrong", NAME, colour="red"))
        await user.client.create(CLAIMS, claim("orders", storageClassName="fast", volumeMode="Block"))
        await user.status_when(lambda status: status["phase"] == "Bound")
        (volume,) = await user.client.list_all(VOLUMES)
        assert volume.csi is not None
        handle = volume.csi.volume_handle or ""

        async def is_read_only() -> bool:
            block = csi.VolumeCapability(block=csi.VolumeCapability.BlockVolume())
            block.access_mode.mode = csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER
            answer = await driver.call(
                methods.VALIDATE_VOLUME_CAPABILITIES,
                csi.ValidateVolumeCapabilitiesRequest(
                    volume_id=handle, volume_capabilities=[block], mutable_parameters={"readOnly": "true"}
                ),
            )
            return answer.HasField("confirmed")

        await user.ask_for("2Gi")
        status = await user.status_when(lambda status: status["capacity"]["storage"] == "2Gi")
        assert "conditions" not in status
        files = [file.stat().st_size for file in (tmp_path / "root").rglob("*") if file.is_file()]
        assert max(files) == 2 * GI

        await user.ask_for("64Gi")  # more than the driver has
        status = await user.status_when(
            lambda status: status.get("allocatedResourceStatuses") == {"storage": "ControllerResizeInfeasible"}
        )
        assert any("OutOfRange" in one.get("message", "") for one in status["conditions"])
        await user.ask_for("3Gi")
        status = await user.status_when(lambda status: status["capacity"]["storage"] == "3Gi")
        assert "conditions" not in status
        assert "allocatedResourceStatuses" not in status

        await user.ask(volumeAttributesClassName="archive")
        await user.status_when(has_class("archive"))
        assert await is_read_only()
        await user.ask(volumeAttributesClassName="wrong")
        status = await user.status_when(
            lambda status: status.get("modifyVolumeStatus", {}).get("status") == "Infeasible"
        )
        assert any("colour" in one.get("message", "") for one in status["conditions"])
        assert await is_read_only()
        await user.ask(volumeAttributesClassName="live")
        await user.status_when(has_class("live"))
        assert not await is_read_only()
        (volume,) = await user.client.list_all(VOLUMES)
        assert (str(volume.size), volume.attributes_class) == ("3Gi", "live")

        granted = {
            (verb, f"{plural}.{right.group}".rstrip("."))
            for role in ROLES
            for right in role.rights
            for plural in right.resources
            for verb in right.verbs
        }
        assert set(plane.manager.statistics().requests["csi-provisioner"].requests) <= granted
