"""CSIStorageCapacity objects of a driver, on virtual time."""

from __future__ import annotations

import asyncio
import dataclasses

import msgspec
import pytest
from tests.controllers.csi.fake_driver import INFO, NAME, FakeDriver
from tests.controllers.csi.stage import Stage, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.capacity import CAPACITIES, CapacityTracker
from pvbinder.controllers.csi.capacity_owner import CapacityOwnerError, find_owner
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import CapacityOptions, ProvisionerOptions
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import NODES, STORAGE_CLASSES, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import CSI_NODES, PODS, STATEFUL_SETS
from pvbinder.rules.csi.volumes import Abilities

ASKED = CapacityOptions("default", ownerref_level=-1)
OPTIONS = ProvisionerOptions(capacity=ASKED)
ABILITIES: Abilities = msgspec.structs.replace(INFO.abilities, get_capacity=True)
PLAIN = DriverInfo(NAME, ABILITIES)
SPREAD = DriverInfo(NAME, msgspec.structs.replace(ABILITIES, topology=True))
CSI_NODE = metadata_of(CSI_NODES)
CHOSEN = "persistentvolume-binder,csi-capacity"
LATE = {"volumeBindingMode": "WaitForFirstConsumer"}


def tracker(s: Stage) -> CapacityTracker:
    found = s.cluster.manager.controllers["csi-capacity"]
    assert isinstance(found, CapacityTracker)
    return found


async def published(s: Stage) -> dict[tuple[str, str], str]:
    """The room by class and node."""
    found = [one.document() for one in await s.cluster.client.list_all(CAPACITIES, "default")]
    return {
        (one["storageClassName"], ((one["nodeTopology"] or {}).get("matchLabels") or {}).get("node", "")): one[
            "capacity"
        ]
        for one in found
    }


async def until_published(s: Stage, wanted: dict[tuple[str, str], str]) -> None:
    async with asyncio.timeout(600):
        while await published(s) != wanted:
            await asyncio.sleep(0.1)


async def join(s: Stage, name: str, **labels: str) -> None:
    """A node of the cluster that has the driver."""
    await s.cluster.client.create(NODES, {"metadata": {"name": name, "labels": labels}})
    drivers = [{"name": NAME, "nodeID": name, "topologyKeys": ["node"]}]
    await s.cluster.client.create(CSI_NODE, {"metadata": {"name": name}, "spec": {"drivers": drivers}})


@on_virtual_time
async def test_capacity_1_there_is_one_for_each_class_and_place() -> None:  # CA-2, CA-6
    driver = FakeDriver()
    driver.room = {"a": 1 << 30, "b": 2 << 30}
    async with stage(driver, SPREAD, OPTIONS, CHOSEN) as s:
        await join(s, "a", node="a")
        await join(s, "a2", node="a")
        await join(s, "b", node="b")
        await join(s, "c", other="c")  # lacks the label
        now, late = storage_class(), storage_class(**LATE, parameters={"kind": "late"})
        now["metadata"]["name"], late["metadata"]["name"] = "now", "late"
        await s.cluster.create(now, late)
        await until_published(s, {("late", "a"): "1Gi", ("late", "b"): "2Gi"})
        assert driver.calls(methods.GET_CAPACITY)[0].parameters == {"kind": "late"}
        statistics = tracker(s).capacity_statistics()
        assert (statistics.goal, statistics.current, statistics.obsolete) == (2, 2, 0)

        await s.cluster.client.delete(NODES, "b")
        await until_published(s, {("late", "a"): "1Gi"})
        await s.cluster.client.delete(STORAGE_CLASSES, "late")
        await until_published(s, {})


@on_virtual_time
async def test_capacity_1_what_is_missing_is_made_and_what_nobody_wants_deleted() -> None:
    async with stage(FakeDriver(), PLAIN, OPTIONS, CHOSEN) as s:
        await s.cluster.create(storage_class(**LATE))
        await until_published(s, {("fast", ""): "10Gi"})
        (first,) = await s.cluster.client.list_all(CAPACITIES, "default")
        await s.cluster.client.delete(CAPACITIES, first.name, "default")
        await asyncio.sleep(10)
        (second,) = await s.cluster.client.list_all(CAPACITIES, "default")
        assert second.uid != first.uid

        twin = second.document()
        twin["metadata"] = {"name": "csisc-twin", "namespace": "default", "labels": twin["metadata"]["labels"]}
        stranger = {**twin, "metadata": {**twin["metadata"], "name": "mine"}, "storageClassName": "gone"}
        foreign = {**stranger, "metadata": {"name": "foreign", "namespace": "default"}}
        for one in (twin, stranger, foreign):
            await s.cluster.client.create(CAPACITIES, one)
        await asyncio.sleep(10)
        left = {one.name for one in await s.cluster.client.list_all(CAPACITIES, "default")}
        assert len(left) == 2
        assert "foreign" in left  # another's: it has none of our labels
        assert "mine" not in left


@on_virtual_time
async def test_capacity_1_immediate_classes_only_if_that_is_wanted() -> None:
    asked = dataclasses.replace(ASKED, for_immediate_binding=True)
    async with stage(FakeDriver(), PLAIN, ProvisionerOptions(capacity=asked), CHOSEN) as s:
        await s.cluster.create(storage_class())
        await until_published(s, {("fast", ""): "10Gi"})


@on_virtual_time
async def test_capacity_2_an_idle_cluster_costs_a_question_to_the_driver_each_interval_and_no_request() -> None:
    driver = FakeDriver()
    async with stage(driver, PLAIN, OPTIONS, CHOSEN) as s:
        await s.cluster.create(storage_class(**LATE))
        await until_published(s, {("fast", ""): "10Gi"})
        asked, sent = len(driver.seen), len(s.cluster.line.seen)
        await asyncio.sleep(601)
        assert len(driver.seen) - asked == 10
        assert [one for one in s.cluster.line.seen[sent:] if one.method != "GET"] == []
        driver.room[""] = 5 << 30
        await until_published(s, {("fast", ""): "5Gi"})


@on_virtual_time
async def test_capacity_2_a_volume_that_comes_or_goes_has_it_asked_at_once() -> None:  # CA-4
    driver = FakeDriver()
    async with stage(driver, PLAIN, OPTIONS, f"{CHOSEN},csi-provisioner,csi-deleter") as s:
        await s.cluster.create(storage_class(**LATE))
        await until_published(s, {("fast", ""): "10Gi"})
        driver.room[""] = 9 << 30
        began = asyncio.get_running_loop().time()
        await s.want(annotations={"volume.kubernetes.io/selected-node": "a"})
        await s.until_bound()
        await until_published(s, {("fast", ""): "9Gi"})
        driver.room[""] = 10 << 30
        await s.give_up()
        await until_published(s, {("fast", ""): "10Gi"})
        assert asyncio.get_running_loop().time() - began < ASKED.poll_interval_seconds


@on_virtual_time
async def test_capacity_3_a_driver_that_does_not_know_leaves_what_is_there() -> None:
    driver = FakeDriver()
    async with stage(driver, PLAIN, OPTIONS, CHOSEN) as s:
        await s.cluster.create(storage_class(**LATE))
        await until_published(s, {("fast", ""): "10Gi"})

        def fails(_: object) -> None:
            raise CallFailed(Code.UNAVAILABLE, "broken by the test")

        driver.before, driver.room[""] = fails, -5
        await asyncio.sleep(200)
        assert await published(s) == {("fast", ""): "10Gi"}
        driver.before = lambda _: None
        await asyncio.sleep(600)
        assert await published(s) == {("fast", ""): "10Gi"}  # less than nothing is no answer
        driver.room[""] = 1 << 30
        await until_published(s, {("fast", ""): "1Gi"})


@on_virtual_time
async def test_ca_1_the_objects_belong_to_what_made_the_pod() -> None:
    async with stage(FakeDriver(), PLAIN, OPTIONS, CHOSEN) as s:
        client = s.cluster.client
        spec: Json = {
            "serviceName": "csi",
            "selector": {"matchLabels": {"app": "csi"}},
            "template": {
                "metadata": {"labels": {"app": "csi"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        }
        set_ = metadata_of(STATEFUL_SETS)
        made = await client.create(set_, {"metadata": {"name": "csi", "namespace": "default"}, "spec": spec})
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "csi", "uid": made.uid, "controller": True}
        pod: Json = {
            "metadata": {"name": "csi-0", "namespace": "default", "ownerReferences": [owner]},
            "spec": {"containers": [{"name": "c", "image": "i"}], "schedulerName": "none"},
        }
        uid = (await client.create(metadata_of(PODS), pod)).uid

        def level(number: int, pod: str = "csi-0") -> CapacityOptions:
            return CapacityOptions("default", pod, number)

        assert await find_owner(client, level(-1)) is None
        assert await find_owner(client, level(1)) == owner
        assert (await find_owner(client, level(0)) or {})["uid"] == uid
        with pytest.raises(CapacityOwnerError, match="StatefulSet default/csi has no controller"):
            await find_owner(client, level(2))
        with pytest.raises(CapacityOwnerError, match="Pod default/other can't be read"):
            await find_owner(client, level(1, "other"))


@on_virtual_time
async def test_kube_api_capacity_qps_bounds_the_writes() -> None:
    driver = FakeDriver()
    driver.room = {str(number): 1 << 30 for number in range(12)}
    async with stage(driver, SPREAD, OPTIONS, CHOSEN) as s:
        for number in range(12):
            await join(s, f"n{number}", node=str(number))
        began = asyncio.get_running_loop().time()
        await s.cluster.create(storage_class(**LATE))
        await until_published(s, {("fast", str(number)): "1Gi" for number in range(12)})
        assert 6 <= asyncio.get_running_loop().time() - began <= 9  # five at once, then one a second
