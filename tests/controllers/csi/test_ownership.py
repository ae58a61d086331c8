"""A sidecar on each node: which of them serves a claim, and which deletes a volume (ND-1 to ND-3, DV-1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
from tests.controllers.cluster import cluster
from tests.controllers.csi.fake_driver import INFO, NAME, FakeDriver
from tests.controllers.csi.stage import Stage, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.controllers.csi.provisioner import CsiProvisioner
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.model.json import Json

SELECTED = "volume.kubernetes.io/selected-node"
ABILITIES = msgspec.structs.replace(INFO.abilities, get_capacity=True, topology=True)


def on(node: str) -> DriverInfo:
    return DriverInfo(NAME, ABILITIES, {"node": node})


def here(node: str = "a", *, immediate: bool = True) -> ProvisionerOptions:
    return ProvisionerOptions(node_deployment=True, node=node, node_deployment_immediate_binding=immediate)


def driver_on(node: str, room: int = 100 << 30) -> FakeDriver:
    driver = FakeDriver()
    driver.room = {node: room}
    driver.change = lambda volume: volume.accessible_topology.append(csi.Topology(segments={"node": node}))
    return driver


def only(node: str) -> Json:
    return {"allowedTopologies": [{"matchLabelExpressions": [{"key": "node", "values": [node]}]}]}


@on_virtual_time
async def test_ownership_1_a_claim_is_its_nodes() -> None:  # ND-1, CP-2
    async with stage(driver_on("a"), on("a"), here("a")) as s:
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        await s.want("ours", annotations={SELECTED: "a"})
        await s.want("theirs", annotations={SELECTED: "b"})
        await s.until_bound("ours")
        await asyncio.sleep(600)
        (request,) = s.driver.calls(methods.CREATE_VOLUME)
        assert dict(request.accessibility_requirements.preferred[0].segments) == {"node": "a"}
        assert s.told("ProvisioningFailed") == []


@on_virtual_time
async def test_ownership_2_a_claim_without_a_node_is_taken_after_a_pause() -> None:  # ND-2
    async with stage(driver_on("a"), on("a"), here("a")) as s:
        await s.cluster.create(storage_class())
        began = asyncio.get_running_loop().time()
        await s.want()
        await s.until_bound()
        assert 10 <= asyncio.get_running_loop().time() - began <= 21
        assert (await s.cluster.client.get(CLAIMS, "orders", "default")).selected_node == "a"


@on_virtual_time
async def test_ownership_2_what_a_node_may_not_have_or_has_no_room_for_it_leaves_alone() -> None:
    for options, spec, room in (
        (here("a", immediate=False), {}, 100 << 30),
        (here("a"), only("b"), 100 << 30),
        (here("a"), {}, 1 << 20),
    ):
        async with stage(driver_on("a", room), on("a"), options) as s:
            await s.cluster.create(storage_class(**spec))
            await s.want()
            await asyncio.sleep(1000)
            assert s.driver.calls(methods.CREATE_VOLUME) == []
            assert (await s.cluster.client.get(CLAIMS, "orders", "default")).selected_node is None


@on_virtual_time
async def test_ownership_2_of_two_nodes_one_takes_it() -> None:
    async with two() as (s, drivers):
        await s.cluster.create(storage_class())
        for number in range(20):
            await s.want(f"data-{number}")
        for number in range(20):
            await s.until_bound(f"data-{number}")
        made = [set(one.volumes) for one in drivers]
        assert made[0].isdisjoint(made[1])
        assert len(made[0] | made[1]) == 20
        assert made[0]
        assert made[1]


@on_virtual_time
async def test_nd_3_where_there_is_no_room_after_all_the_race_begins_anew() -> None:  # ND-3
    driver = driver_on("a")
    left = 1

    def fails(request: object) -> None:
        nonlocal left
        if isinstance(request, csi.CreateVolumeRequest) and left:
            left -= 1
            raise CallFailed(Code.RESOURCE_EXHAUSTED, "full")

    driver.before = fails
    async with stage(driver, on("a"), here("a")) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_told("full")
        await s.until_bound()
        assert len(driver.calls(methods.CREATE_VOLUME)) == 2


@on_virtual_time
async def test_dv_1_a_volume_of_another_node_is_left_to_its_sidecar() -> None:  # DV-1
    async with stage(driver_on("a"), on("a"), here("a")) as s:
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        await s.want(annotations={SELECTED: "a"})
        await s.until_bound()
        (volume,) = await s.cluster.client.list_all(VOLUMES)
        other = volume.document()
        other["metadata"] = {"name": "other", "annotations": other["metadata"]["annotations"]}
        term = other["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]
        term["matchExpressions"][0]["values"] = ["b"]
        other["spec"]["csi"]["volumeHandle"] = "elsewhere"
        other["spec"]["claimRef"]["name"], other["spec"]["claimRef"]["uid"] = "gone", "gone"
        await s.cluster.client.create(VOLUMES, other)
        await s.give_up()
        await asyncio.sleep(100)
        assert [request.volume_id for request in s.driver.calls(methods.DELETE_VOLUME)] == [volume.csi.volume_handle]  # type: ignore[union-attr]
        assert s.volumes() == {"other"}


@asynccontextmanager
async def two() -> AsyncGenerator[tuple[Stage, list[FakeDriver]]]:
    """A cluster with a sidecar on each of two nodes."""
    drivers = [driver_on("a"), driver_on("b")]

    def declare(node: str, driver: FakeDriver) -> ControllerDeclaration:
        def make(context: ControllerContext) -> Controller:
            return CsiProvisioner(context, driver, on(node), here(node), identity=node, component=node)

        return ControllerDeclaration(f"csi-{node}", user="", make=make)

    known = (*CONTROLLERS, *(declare(node, driver) for node, driver in zip("ab", drivers, strict=True)))
    chosen = "persistentvolume-binder,csi-a,csi-b"
    async with cluster(ControllerOptions(controllers=chosen), known) as c:
        yield Stage(c, drivers[0]), drivers
