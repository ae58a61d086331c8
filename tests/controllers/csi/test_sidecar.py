"""A sidecar beside a real server and a driver on a socket, from before the driver is there."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from tests.controllers.cluster import claim, cluster
from tests.controllers.csi.fake_driver import FakeDriver, handlers
from tests.controllers.csi.stage import PROTECTION, storage_class

from pvbinder.controllers.csi.sidecar import CsiSidecar
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.csi.serving import serving
from pvbinder.kube.kinds import CLAIMS, VOLUMES

OPTIONS = ControllerOptions(controllers=f"persistentvolume-binder,csi,{PROTECTION}")


def sidecar(address: str) -> tuple[ControllerDeclaration, ...]:
    return (*CONTROLLERS, ControllerDeclaration("csi", user="", make=lambda context: CsiSidecar(context, address)))


async def test_sidecar_1_a_driver_that_comes_later_is_waited_for(tmp_path: Path) -> None:  # SU-3, SU-5
    address = f"unix://{tmp_path}/csi.sock"
    driver = FakeDriver()
    async with cluster(OPTIONS, sidecar(address)) as c:  # the controllers are ready, without the driver
        await c.create(storage_class(), claim("orders", storageClassName="fast"))
        async with serving(address, handlers(driver)):
            await c.until(lambda: "default/orders" in c.of(CLAIMS) and c.of(CLAIMS)["default/orders"].phase == "Bound")
            document = (await c.client.get(CLAIMS, "orders", "default")).document()
            document["metadata"]["finalizers"] = []
            await c.client.replace(CLAIMS, document)
            await c.client.delete(CLAIMS, "orders", "default")
            await c.until(lambda: not list(c.of(VOLUMES)))
            assert driver.volumes == {}
            await c.stop()


async def test_sidecar_2_a_driver_that_is_of_no_use_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pvbinder.controllers.csi.sidecar.FIRST_WAIT_SECONDS", 0.01)
    caplog.set_level(logging.ERROR)
    address = f"unix://{tmp_path}/csi.sock"
    driver = FakeDriver()
    async with cluster(OPTIONS, sidecar(address)) as c:
        async with serving(address, handlers(driver, name="")):
            async with asyncio.timeout(10):
                while "driver can't be used" not in caplog.text:
                    await asyncio.sleep(0.01)
        assert c.manager.is_ready
        await c.create(storage_class(), claim("orders", storageClassName="fast"))
        async with serving(address, handlers(driver)):
            await c.until(lambda: "default/orders" in c.of(CLAIMS) and c.of(CLAIMS)["default/orders"].phase == "Bound")
            await c.stop()
