"""Claims served through a driver, on a real API server with the real binder."""

from __future__ import annotations

import asyncio

from tests.controllers.csi.fake_driver import NAME, FakeDriver
from tests.controllers.csi.stage import stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import CLAIMS, VOLUMES


@on_virtual_time
async def test_a_claim_gets_its_volume_and_is_bound() -> None:  # LB-16, LB-17, LB-24, CR-4
    async with stage() as s:
        await s.cluster.create(storage_class(parameters={"tier": "gold", "csi.storage.k8s.io/fstype": "xfs"}))
        uid = await s.want()
        await s.until_bound()
        await s.cluster.settle()

        volume = s.cluster.of(VOLUMES)[f"pvc-{uid}"].document()
        assert volume["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] == NAME
        assert volume["metadata"]["annotations"]["volume.kubernetes.io/provisioner-deletion-secret-name"] == ""
        assert "external-provisioner.volume.kubernetes.io/finalizer" in volume["metadata"]["finalizers"]
        assert volume["spec"]["csi"] == {
            "driver": NAME,
            "volumeHandle": f"id-of-pvc-{uid}",
            "fsType": "xfs",
            "volumeAttributes": {"storage.kubernetes.io/csiProvisionerIdentity": "1-2-fake"},
        }
        assert volume["spec"]["capacity"] == {"storage": "1Gi"}
        (asked,) = s.driver.calls(methods.CREATE_VOLUME)
        assert dict(asked.parameters) == {"tier": "gold"}
        assert s.told("Provisioning") == ['External provisioner is provisioning volume for claim "default/orders"']
        assert s.told("ProvisioningSucceeded") == [f"Successfully provisioned volume pvc-{uid}"]
        await asyncio.sleep(5)
        assert len(s.provisioner.intents) == 0


@on_virtual_time
async def test_csi_provisioner_2_a_claim_deleted_while_the_driver_is_at_work_leaks_nothing() -> None:
    driver = FakeDriver()
    calls = 0

    def time_out(_: object) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise CallFailed(Code.DEADLINE_EXCEEDED, "context deadline exceeded")

    driver.after = time_out  # the driver has made it every time
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.cluster.until(lambda: calls > 0)
        document = (await s.cluster.client.get(CLAIMS, "orders", "default")).document()
        document["metadata"]["finalizers"] = []
        await s.cluster.client.replace(CLAIMS, document)
        await s.cluster.client.delete(CLAIMS, "orders", "default")
        await s.cluster.until(lambda: f"pvc-{uid}" in s.cluster.of(VOLUMES))
        await s.cluster.until(lambda: s.cluster.of(VOLUMES)[f"pvc-{uid}"].phase == "Released")
        assert list(driver.volumes) == [f"pvc-{uid}"]


@on_virtual_time
async def test_csi_provisioner_1_what_was_asked_for_is_found_after_a_crash() -> None:
    driver = FakeDriver()
    driver.seconds = 3600.0  # it never answers

    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.cluster.until(lambda: bool(driver.calls(methods.CREATE_VOLUME)) or None is not None)
        await s.cluster.stop()
        await s.cluster.client.delete(CLAIMS, "orders", "default")
        driver.seconds = 0.0
        await s.cluster.start()
        await s.cluster.until(lambda: f"pvc-{uid}" in s.cluster.of(VOLUMES))
