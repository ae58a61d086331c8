"""A sidecar beside a real server and a driver on a socket, from before the driver is there."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from tests.controllers.cluster import Cluster, claim, cluster
from tests.controllers.csi.fake_driver import FakeDriver, handlers
from tests.controllers.csi.stage import PROTECTION, storage_class

from pvbinder.cli.errors import reasons_in
from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.driver_info import ask_driver
from pvbinder.controllers.csi.options import SidecarOptions
from pvbinder.controllers.csi.sidecar import CsiSidecar
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.csi.driver import Driver
from pvbinder.csi.serving import serving
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.election import ElectionOptions
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import CLAIMS, VOLUMES, metadata_of
from pvbinder.model.resources import LEASES

OPTIONS = ControllerOptions(controllers=f"persistentvolume-binder,csi,{PROTECTION}")
LEASES_SEEN = metadata_of(LEASES)
LEASE_NAME = "fake-csi-example-com"


def sidecar(address: str) -> tuple[ControllerDeclaration, ...]:
    return (*CONTROLLERS, ControllerDeclaration("csi", user="", make=lambda context: CsiSidecar(context, address)))


async def test_sidecar_1_a_driver_that_comes_later_is_waited_for(tmp_path: Path) -> None:  # SU-1, SU-3, SU-5
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


@pytest.mark.parametrize("name", ["", "../../name", "x" * 64])
async def test_sidecar_2_a_driver_that_is_of_no_use_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("pvbinder.controllers.csi.sidecar.FIRST_WAIT_SECONDS", 0.01)
    caplog.set_level(logging.ERROR)
    address = f"unix://{tmp_path}/csi.sock"
    driver = FakeDriver()
    async with cluster(OPTIONS, sidecar(address)) as c:
        async with serving(address, handlers(driver, name=name)):
            async with asyncio.timeout(10):
                while "driver can't be used" not in caplog.text:
                    await asyncio.sleep(0.01)
        assert c.manager.is_ready
        await c.create(storage_class(), claim("orders", storageClassName="fast"))
        async with serving(address, handlers(driver)):
            await c.until(lambda: "default/orders" in c.of(CLAIMS) and c.of(CLAIMS)["default/orders"].phase == "Bound")
            await c.stop()


async def test_sidecar_3_a_role_is_taken_up_when_no_other_sidecar_has_it_and_put_down_when_it_is_lost(
    tmp_path: Path,
) -> None:  # SU-8
    address = f"unix://{tmp_path}/csi.sock"
    driver = FakeDriver()
    times = ElectionOptions("default", 1.0, 0.6, 0.1, labels={"app": "us"})
    made: list[CsiSidecar] = []

    def elected(context: ControllerContext) -> Controller:
        made.append(CsiSidecar(context, address, SidecarOptions("provisioner", election=times)))
        return made[0]

    lease = {"holderIdentity": "csi-provisioner-0", "leaseDurationSeconds": 3600}
    document = {"metadata": {"name": LEASE_NAME, "namespace": "default"}, "spec": lease}
    known = (*CONTROLLERS, ControllerDeclaration("csi", user="", make=elected))

    async def story() -> None:
        async with cluster(OPTIONS, known) as c:
            await c.create(storage_class(), claim("orders", storageClassName="fast"))
            await c.client.create(LEASES_SEEN, document)
            async with serving(address, handlers(driver)), asyncio.timeout(20):
                while c.line.asked("GET", LEASE_NAME) < 3:
                    await asyncio.sleep(0.01)
                assert driver.seen == []  # another has it
                held = (await c.client.get(LEASES_SEEN, LEASE_NAME, "default")).document()
                held["spec"]["holderIdentity"] = ""
                await c.client.replace(LEASES_SEEN, held)
                await c.until(lambda: any(one.phase == "Bound" for one in c.of(CLAIMS)))
                await change_holder(c)
                await asyncio.Event().wait()  # the manager breaks, and so does the cluster

    async def change_holder(c: Cluster) -> None:
        while True:
            ours = (await c.client.get(LEASES_SEEN, LEASE_NAME, "default")).document()
            assert ours["metadata"]["labels"] == {"app": "us"}
            ours["spec"]["holderIdentity"] = "somebody-else"
            try:
                await c.client.replace(LEASES_SEEN, ours)
                return
            except ApiFailure as failure:
                if not failure.is_conflict:  # it is being renewed
                    raise

    with pytest.raises(ExceptionGroup) as ended:
        await story()
    assert "the lead was lost" in str([one.message for one in reasons_in(ended.value)])


async def test_a_sidecar_that_waits_for_its_role_has_full_caches(tmp_path: Path) -> None:  # ROLE-4
    address = f"unix://{tmp_path}/csi.sock"
    times = ElectionOptions("default", 1.0, 0.6, 0.1)

    def elected(context: ControllerContext) -> Controller:
        return CsiSidecar(context, address, SidecarOptions("provisioner", election=times))

    lease = {"holderIdentity": "csi-provisioner-0", "leaseDurationSeconds": 3600}
    document = {"metadata": {"name": LEASE_NAME, "namespace": "default"}, "spec": lease}
    known = (*CONTROLLERS, ControllerDeclaration("csi", user="", make=elected))
    async with cluster(ControllerOptions(controllers="csi"), known) as c:  # no binder that would read them, too
        await c.client.create(LEASES_SEEN, document)
        async with serving(address, handlers(FakeDriver())), asyncio.timeout(20):
            while c.line.asked("GET", LEASE_NAME) < 3:
                await asyncio.sleep(0.01)
            full = {one.kind.resource.plural for one in c.manager.informers if one.has_synced}
            assert {"storageclasses", "persistentvolumes", "persistentvolumeclaims"} <= full
            await c.stop()


async def test_su_6_a_sidecar_on_a_node_asks_where_the_node_is(tmp_path: Path) -> None:  # SU-6
    async def node_info(_: csi.NodeGetInfoRequest) -> csi.NodeGetInfoResponse:
        return csi.NodeGetInfoResponse(node_id="n", accessible_topology=csi.Topology(segments={"node": "a"}))

    address = f"unix://{tmp_path}/csi.sock"
    methods_of = {**handlers(FakeDriver()), methods.NODE_GET_INFO: node_info}
    async with serving(address, methods_of), Driver(address) as driver:
        assert (await ask_driver(driver, about_node=True)).place == {"node": "a"}
        assert (await ask_driver(driver)).place == {}


async def test_su_7_without_the_gate_topology_counts_for_nothing(tmp_path: Path) -> None:  # SU-7
    async def has_topology(_: csi.GetPluginCapabilitiesRequest) -> csi.GetPluginCapabilitiesResponse:
        service = csi.PluginCapability.Service
        can = (service.CONTROLLER_SERVICE, service.VOLUME_ACCESSIBILITY_CONSTRAINTS)
        made = [csi.PluginCapability(service=service(type=one)) for one in can]
        return csi.GetPluginCapabilitiesResponse(capabilities=made)

    address = f"unix://{tmp_path}/csi.sock"
    methods_of = {**handlers(FakeDriver()), methods.GET_PLUGIN_CAPABILITIES: has_topology}
    made: list[CsiSidecar] = []

    def without(context: ControllerContext) -> Controller:
        made.append(CsiSidecar(context, address, SidecarOptions("provisioner", topology=False)))
        return made[0]

    known = (*CONTROLLERS, ControllerDeclaration("csi", user="", make=without))
    async with serving(address, methods_of), cluster(OPTIONS, known) as c:
        await c.create(storage_class(), claim("orders", storageClassName="fast"))
        await c.until(lambda: any(one.phase == "Bound" for one in c.of(CLAIMS)))
        assert made[0].info is not None
        assert not made[0].info.abilities.topology
        assert "csinodes" not in {informer.kind.resource.plural for informer in c.manager.informers}
        await c.stop()
