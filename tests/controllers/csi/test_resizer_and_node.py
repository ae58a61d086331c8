"""Claims whose volumes grow through a driver and whose file systems grow on a node."""

from __future__ import annotations

import asyncio

import msgspec
from tests.controllers.cluster import pod, using
from tests.controllers.csi.fake_driver import ABILITIES, NAME, FakeDriver
from tests.controllers.csi.resizing import GI, PRE_RESIZE, bound, conditions, expansions, volume_of
from tests.controllers.csi.stage import RESIZING, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.kubelet import create_node
from pvbinder.kube.kinds import CLAIMS
from pvbinder.model.json import Json

ON_NODE = "Waiting for user to (re-)start a pod to finish file system resize of volume on node."


@on_virtual_time
async def test_the_rest_is_left_to_the_node_where_it_has_to_grow_the_file_system() -> None:  # RS-3, RS-11, RS-12
    driver = FakeDriver()
    driver.needs_node = True
    async with bound(driver) as s:
        await s.grow("2Gi")
        await s.until_told("Require file system resize of volume on node", "FileSystemResizeRequired")
        await s.cluster.settle()
        status = await s.status()
        assert status["capacity"] == {"storage": "1Gi"}
        assert status["allocatedResourceStatuses"] == {"storage": "NodeResizePending"}
        assert conditions(status) == {"Resizing": "", "FileSystemResizePending": ON_NODE}
        assert volume_of(s)["spec"]["capacity"] == {"storage": "2Gi"}
        assert volume_of(s)["metadata"]["annotations"][PRE_RESIZE] == "1Gi"

        status["capacity"] = {"storage": "2Gi"}  # as a kubelet writes it
        status["conditions"] = []
        status["allocatedResourceStatuses"] = None
        await s.cluster.client.patch(
            CLAIMS, "orders", "default", {"status": status}, patch_type="merge", subresource="status"
        )
        await s.cluster.until(lambda: PRE_RESIZE not in volume_of(s)["metadata"]["annotations"])
        assert expansions(driver) == [2 * GI]


@on_virtual_time
async def test_a_driver_whose_nodes_alone_grow_volumes_is_not_called() -> None:  # RS-12
    abilities = msgspec.structs.replace(ABILITIES, expand_volume=False, node_expand_volume=True)
    async with bound(info=DriverInfo(NAME, abilities)) as s:
        await s.grow("2Gi")
        await s.until_told("Require file system resize", "FileSystemResizeRequired")
        assert volume_of(s)["spec"]["capacity"] == {"storage": "2Gi"}
        assert expansions(s.driver) == []


@on_virtual_time
async def test_csi_resizer_2_a_volume_never_shrinks() -> None:  # RF-4
    driver = FakeDriver()
    driver.needs_node = True
    async with bound(driver) as s:
        await s.grow("3Gi")
        await s.until_told("Require file system resize", "FileSystemResizeRequired")
        await s.grow("2Gi")  # while its node has it
        await asyncio.sleep(60)
        status = await s.status()
        assert status["allocatedResources"] == {"storage": "3Gi"}
        assert status["allocatedResourceStatuses"] == {"storage": "NodeResizePending"}
        assert expansions(driver) == [3 * GI]


@on_virtual_time
async def test_csi_resizer_4_what_the_node_found_impossible_is_asked_for_once_more_and_then_seldom() -> None:  # RS-1
    driver = FakeDriver()
    driver.needs_node = True
    async with bound(driver) as s:
        await s.grow("2Gi")
        await s.until_told("Require file system resize", "FileSystemResizeRequired")
        for calls, seconds in ((2, 0.0), (2, 200.0), (3, 150.0)):
            change: Json = {"status": {"allocatedResourceStatuses": {"storage": "NodeResizeInfeasible"}}}
            await s.cluster.client.patch(CLAIMS, "orders", "default", change, patch_type="merge", subresource="status")
            await asyncio.sleep(seconds or 1.0)
            assert len(expansions(driver)) == calls
            state = "NodeResizeInfeasible" if seconds == 200.0 else "NodeResizePending"
            assert (await s.status())["allocatedResourceStatuses"] == {"storage": state}
        await s.grow("3Gi")  # the node has the old size to finish first
        change = {"status": {"allocatedResourceStatuses": None, "conditions": None, "capacity": {"storage": "2Gi"}}}
        await s.cluster.client.patch(CLAIMS, "orders", "default", change, patch_type="merge", subresource="status")
        await asyncio.sleep(1)
        assert expansions(driver)[3:] == [3 * GI]


@on_virtual_time
async def test_the_kubelet_in_small_finishes_what_is_left_to_the_node() -> None:  # RS-3, RS-12
    driver = FakeDriver()
    driver.needs_node = True
    async with stage(driver, chosen=f"{RESIZING},kubelet") as s:
        await create_node(s.cluster.client, "node-1")
        await s.cluster.create(storage_class(allowVolumeExpansion=True))
        await s.want()
        await s.until_bound()
        await s.grow("2Gi")
        await s.until_told("Require file system resize", "FileSystemResizeRequired")
        await asyncio.sleep(30)
        assert (await s.status())["capacity"] == {"storage": "1Gi"}  # until a pod has it
        await s.cluster.create(pod("web", using("orders"), node="node-1"))
        await s.until_has("2Gi")
        await s.cluster.until(lambda: PRE_RESIZE not in volume_of(s)["metadata"]["annotations"])
        status = await s.status()
        assert {"conditions", "allocatedResourceStatuses"}.isdisjoint(status)
        assert expansions(driver) == [2 * GI]
