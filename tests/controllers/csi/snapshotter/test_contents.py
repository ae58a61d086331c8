"""Contents that are looked at until they are ready."""

from __future__ import annotations

import asyncio

from tests.controllers.csi.fake_driver import INFO
from tests.controllers.csi.snapshotter.snapshot_driver import SnapshotDriver
from tests.controllers.csi.snapshotter.snapshot_stage import snapshot_stage
from tests.virtual_time import on_virtual_time

from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods


def slow(snapshot: csi.Snapshot) -> None:
    snapshot.ready_to_use = False


def finish(driver: SnapshotDriver) -> None:
    for snapshot in driver.snapshots.values():
        snapshot.ready_to_use = True


@on_virtual_time
async def test_contents_1_a_snapshot_is_looked_at_until_it_is_ready() -> None:  # SK-9, SK-11
    driver = SnapshotDriver()
    driver.shape = slow
    async with snapshot_stage(driver) as s:
        await s.take()
        await s.cluster.until(lambda: bool((found := s.snapshot()) and found.is_cut))
        await asyncio.sleep(100)
        found = s.snapshot()
        assert found is not None
        assert not found.is_ready
        assert 5 <= len(driver.calls(methods.LIST_SNAPSHOTS)) <= 10  # 1, 2, 4, … seconds
        finish(driver)
        await asyncio.sleep(100)
        assert len(driver.calls(methods.CREATE_SNAPSHOT)) == 1
        await s.until_ready()
        looks = len(driver.calls(methods.LIST_SNAPSHOTS))
        await asyncio.sleep(1000)
        assert len(driver.calls(methods.LIST_SNAPSHOTS)) == looks


@on_virtual_time
async def test_contents_1_a_driver_that_can_not_list_is_asked_for_it_again() -> None:  # SK-9
    driver = SnapshotDriver()
    driver.shape = slow
    async with snapshot_stage(driver, info=INFO) as s:
        await s.take()
        await s.cluster.until(lambda: bool((found := s.snapshot()) and found.is_cut))
        finish(driver)
        await asyncio.sleep(30)
        await s.until_ready()
        assert len(driver.calls(methods.CREATE_SNAPSHOT)) >= 2


@on_virtual_time
async def test_another_id_for_the_same_snapshot_is_an_error() -> None:
    driver = SnapshotDriver()
    driver.shape = slow
    async with snapshot_stage(driver, info=INFO) as s:
        await s.take()
        await s.cluster.until(lambda: bool((found := s.snapshot()) and found.is_cut))
        (kept,) = s.contents()
        for snapshot in driver.snapshots.values():
            snapshot.snapshot_id = "other"
        await s.until_failed("the driver has answered with snapshot other, and content")
        assert s.contents()[0].handle == kept.handle


@on_virtual_time
async def test_a_snapshot_given_by_hand_must_be_there() -> None:  # SK-9, SK-10
    driver = SnapshotDriver()
    async with snapshot_stage(driver, is_bound=False) as s:
        await s.give("missing")
        await s.take_given()
        await s.until_failed(
            'Failed to check and update snapshot content: failed to list snapshot for content c: "can not find '
            'snapshot for snapshotID missing"'
        )
        driver.snapshots["x"] = csi.Snapshot(snapshot_id="missing", ready_to_use=True)
        await asyncio.sleep(60)
        assert (await s.until_ready()).error == ""
        assert driver.calls(methods.CREATE_SNAPSHOT) == []


@on_virtual_time
async def test_a_driver_that_can_not_list_is_believed_to_have_what_is_given() -> None:  # SK-9
    async with snapshot_stage(info=INFO, is_bound=False) as s:
        await s.give()
        await s.take_given()
        await s.until_ready()


@on_virtual_time
async def test_the_list_has_a_secret_of_its_own() -> None:  # SK-9, SS-1
    driver = SnapshotDriver()
    prefix = "csi.storage.k8s.io/snapshotter-list-secret"
    async with snapshot_stage(driver, is_bound=False) as s:
        await s.add_class("listed", **{f"{prefix}-name": "keys", f"{prefix}-namespace": "default"})
        driver.snapshots["x"] = csi.Snapshot(snapshot_id="given", ready_to_use=True)
        await s.give(volumeSnapshotClassName="listed")
        await s.take_given()
        await s.until_failed("failed to get credentials for snapshot content c: error getting secret keys")
        await s.stage.keep_secret("keys", password="hunter2")
        await asyncio.sleep(60)
        await s.until_ready()
        assert dict(driver.calls(methods.LIST_SNAPSHOTS)[-1].secrets) == {"password": "hunter2"}
