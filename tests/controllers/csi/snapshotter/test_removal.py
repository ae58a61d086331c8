"""Snapshots deleted in the storage, and contents let go, on proof."""

from __future__ import annotations

import asyncio

from tests.controllers.csi.snapshotter.snapshot_driver import SnapshotDriver
from tests.controllers.csi.snapshotter.snapshot_stage import SnapshotStage, snapshot_stage
from tests.controllers.csi.snapshotter.test_taking import fails
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json
from pvbinder.model.snapshots import SnapshotContent
from pvbinder.rules.csi.snapshots.names import BEING_DELETED, CONTENT_FINALIZER


async def taken(s: SnapshotStage) -> SnapshotContent:
    await s.take()
    await s.until_ready()
    await s.cluster.settle()
    (content,) = s.contents()
    return content


@on_virtual_time
async def test_snapshot_removal_1_an_old_cache_deletes_nothing() -> None:
    async with snapshot_stage() as s:
        content = await taken(s)
        await s.cluster.stop()
        await s.cluster.client.delete(CONTENTS, content.name)  # the user alone, and it has no mark
        await s.cluster.start()
        await asyncio.sleep(30)
        snapshotter = s.snapshotter
        marked = content.document()
        marked["metadata"]["annotations"] = {BEING_DELETED: "yes"}
        marked["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z"
        old = CONTENTS.parse(_encoded(marked))
        await snapshotter.removal.remove(old, may_be_made=False)
        assert s.driver.calls(methods.DELETE_SNAPSHOT) == []
        assert CONTENT_FINALIZER in (await s.cluster.client.get(CONTENTS, content.name)).finalizers


@on_virtual_time
async def test_snapshot_removal_1_a_content_that_is_retained_now_deletes_nothing() -> None:
    async with snapshot_stage() as s:
        content = await taken(s)

        def retain(document: Json) -> None:
            document["spec"]["deletionPolicy"] = "Retain"

        await s.change(CONTENTS, content.name, retain)
        await s.delete()
        await s.until_gone()
        await asyncio.sleep(60)
        (left,) = s.contents()
        assert left.annotations[BEING_DELETED] == "yes"
        await s.cluster.client.delete(CONTENTS, left.name)
        await s.cluster.until(lambda: not s.contents())
        assert s.driver.calls(methods.DELETE_SNAPSHOT) == []
        assert s.driver.handles() == {content.handle}


@on_virtual_time
async def test_snapshot_removal_2_a_lost_answer_keeps_the_content() -> None:  # SK-4
    driver = SnapshotDriver()

    def lost(request: object) -> None:
        if isinstance(request, csi.DeleteSnapshotRequest):
            raise CallFailed(Code.DEADLINE_EXCEEDED, "late")

    async with snapshot_stage(driver) as s:
        content = await taken(s)
        driver.after = lost
        await s.delete()
        await asyncio.sleep(60)
        (kept,) = s.contents()
        assert kept.handle == content.handle
        assert set(s.stage.told("SnapshotDeleteError")) == {"Failed to delete snapshot"}
        driver.after = lambda _: None
        await asyncio.sleep(300)
        assert s.contents() == []
        assert s.snapshot() is None


@on_virtual_time
async def test_a_status_that_can_not_be_cleared_is_told_and_tried_again() -> None:  # SK-4
    async with snapshot_stage() as s:
        await taken(s)

        def broken(request: Request) -> Answer | None:
            if request.method == "PUT" and "/volumesnapshotcontents/" in request.path and "/status" in request.path:
                raise ConnectionFailed("broken by the test", request_sent=False)
            return None

        s.cluster.line.before = broken
        await s.delete()
        await s.stage.until_told("Failed to clear content status", "SnapshotDeleteError")
        assert len(s.contents()) == 1
        s.cluster.line.before = lambda _: None
        await asyncio.sleep(300)
        assert s.contents() == []


@on_virtual_time
async def test_a_secret_that_is_missing_keeps_the_content() -> None:  # SK-4, SS-3
    prefix = "csi.storage.k8s.io/snapshotter-secret"
    async with snapshot_stage() as s:
        await s.stage.keep_secret("keys", password="hunter2")
        await s.add_class("secret", **{f"{prefix}-name": "keys", f"{prefix}-namespace": "default"})
        await s.take(class_name="secret")
        await s.until_ready()
        await s.stage.lose_secret("keys")
        await s.delete()
        await s.stage.until_told("Failed to get snapshot credentials", "SnapshotDeleteError")
        assert s.driver.calls(methods.DELETE_SNAPSHOT) == []
        await s.stage.keep_secret("keys", password="hunter3")
        await asyncio.sleep(300)
        assert s.contents() == []
        (asked,) = s.driver.calls(methods.DELETE_SNAPSHOT)
        assert dict(asked.secrets) == {"password": "hunter3"}


@on_virtual_time
async def test_a_driver_that_fails_is_asked_again() -> None:  # SK-11
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        await taken(s)
        driver.before = fails(Code.FAILED_PRECONDITION, times=3, kind=csi.DeleteSnapshotRequest)
        await s.delete()
        await asyncio.sleep(60)
        assert s.snapshot() is None
        assert len(driver.calls(methods.DELETE_SNAPSHOT)) == 4


def _encoded(document: Json) -> bytes:
    from pvbinder.model.json import encode

    return encode(document)
