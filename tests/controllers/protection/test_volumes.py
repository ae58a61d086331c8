"""A volume stays while it is bound (PP-1 to PP-4), on a real API server."""

from __future__ import annotations

import logging

import pytest
from tests.controllers.cluster import Cluster, cluster, fails, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import VOLUMES
from pvbinder.model.json import Json
from pvbinder.model.names import PV_PROTECTION_FINALIZER

ONLY = ControllerOptions(controllers="pv-protection")
ELSEWHERE = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "orders", "uid": "1"}


async def set_phase(c: Cluster, phase: str) -> None:
    document: Json = (await c.client.get(VOLUMES, "disk")).document()
    document["status"]["phase"] = phase
    await c.client.replace(VOLUMES, document, subresource="status")


@pytest.mark.parametrize("phase", ["Pending", "Available", "Released", "Failed"])
@on_virtual_time
async def test_a_volume_that_is_not_bound_goes_at_once(phase: str) -> None:  # PP-2
    async with cluster(ONLY) as c:
        await c.create(volume("disk", claimRef=ELSEWHERE))
        await set_phase(c, phase)
        await c.client.delete(VOLUMES, "disk")

        await c.until(lambda: "disk" not in c.of(VOLUMES))


@on_virtual_time
async def test_a_bound_volume_goes_when_it_is_released() -> None:  # PP-2
    async with cluster(ONLY) as c:
        await c.create(volume("disk", claimRef=ELSEWHERE))
        await set_phase(c, "Bound")
        await c.client.delete(VOLUMES, "disk")
        await c.until(lambda: c.of(VOLUMES)["disk"].is_deleting)
        await c.settle()
        assert PV_PROTECTION_FINALIZER in c.of(VOLUMES)["disk"].finalizers

        await set_phase(c, "Released")

        await c.until(lambda: "disk" not in c.of(VOLUMES))


@on_virtual_time
async def test_a_missing_finalizer_is_put_back() -> None:  # PP-3
    async with cluster(ONLY) as c:
        await c.create(volume("disk"))
        stripped = (await c.client.get(VOLUMES, "disk")).document()
        stripped["metadata"]["finalizers"] = []
        changed = await c.client.replace(VOLUMES, stripped)
        assert changed.finalizers == ()

        await c.until(
            lambda: (
                "disk" in c.of(VOLUMES) and int(c.of(VOLUMES)["disk"].resource_version) > int(changed.resource_version)
            )
        )

        assert c.of(VOLUMES)["disk"].finalizers == (PV_PROTECTION_FINALIZER,)


@on_virtual_time
async def test_a_failed_volume_comes_back(caplog: pytest.LogCaptureFixture) -> None:  # PP-4
    async with cluster(ONLY) as c:
        await c.create(volume("disk"))
        c.line.before = fails(3, "PUT", "/disk")
        await c.client.delete(VOLUMES, "disk")

        await c.until(lambda: "disk" not in c.of(VOLUMES))
    messages = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert messages == ["PV disk failed with : broken by the test"] * 3
