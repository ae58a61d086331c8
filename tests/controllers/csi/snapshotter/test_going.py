"""Snapshots that are deleted."""

from __future__ import annotations

import asyncio

from tests.controllers.csi.snapshotter.snapshot_driver import SnapshotDriver
from tests.controllers.csi.snapshotter.snapshot_stage import snapshot_stage
from tests.controllers.csi.snapshotter.test_taking import fails
from tests.controllers.csi.test_preparing import RESTORE
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOT_CLASSES
from pvbinder.csi.errors import Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json
from pvbinder.rules.csi.snapshots.names import CONTENT_FINALIZER, SOURCE_FINALIZER


@on_virtual_time
async def test_snapshots_going_1_a_snapshot_that_a_claim_is_made_from_waits() -> None:  # SN-16
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        await s.take()
        await s.until_ready()
        driver.before = fails(Code.INTERNAL, kind=csi.CreateVolumeRequest)
        await s.stage.want("copy", dataSource=RESTORE)
        await s.stage.until_told("code = Internal")
        await s.delete()
        await s.stage.until_told("Snapshot is being used to restore a PVC", "SnapshotDeletePending")
        await asyncio.sleep(60)
        assert s.contents()
        driver.before = lambda _: None
        await asyncio.sleep(400)
        await s.stage.until_bound("copy")
        assert s.snapshot() is None
        assert driver.snapshots == {}


@on_virtual_time
async def test_snapshots_going_1_a_false_list_of_claims_deletes_nothing() -> None:  # SN-16
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        await s.take()
        await s.until_ready()
        driver.before = fails(Code.INTERNAL, kind=csi.CreateVolumeRequest)
        await s.stage.want("copy", dataSource=RESTORE)
        await s.stage.until_told("code = Internal")

        def false_list(request: Request) -> Answer | None:
            if request.method == "GET" and request.path.endswith("/persistentvolumeclaims"):
                return Answer(200, b'{"kind":"PersistentVolumeClaimList","apiVersion":"v1","metadata":{},"items":[]}')
            return None

        s.cluster.line.before = false_list
        await s.delete()
        await asyncio.sleep(60)
        assert driver.calls(methods.DELETE_SNAPSHOT) == []
        assert not s.contents()[0].is_deleting


@on_virtual_time
async def test_snapshots_going_2_a_false_answer_about_a_content_lets_no_snapshot_go() -> None:  # SN-18
    async with snapshot_stage() as s:
        await s.take()
        await s.until_ready()
        await s.cluster.stop()

        def false_answer(request: Request) -> Answer | None:
            if request.method == "GET" and "/volumesnapshotcontents" in request.path:
                is_list = request.path.endswith("contents")
                body = b'{"kind":"VolumeSnapshotContentList","apiVersion":"snapshot.storage.k8s.io/v1",'
                body += b'"metadata":{"resourceVersion":"1"},"items":[]}'
                return Answer(200, body) if is_list else Answer(404, b"not here")
            return None

        await s.delete()
        s.cluster.begins_with = false_answer
        await s.cluster.start()
        await asyncio.sleep(20)
        found = s.snapshot()
        assert found is not None
        assert SOURCE_FINALIZER in found.finalizers
        s.cluster.line.before = lambda _: None
        await asyncio.sleep(400)
        assert s.snapshot() is None
        assert s.driver.snapshots == {}


@on_virtual_time
async def test_a_content_whose_finalizer_was_taken_doesnt_go_before_its_snapshot() -> None:  # SK-2, SN-17
    async with snapshot_stage() as s:
        await s.take()
        await s.until_ready()
        await s.cluster.stop()

        def strip(document: Json) -> None:
            document["metadata"]["finalizers"] = []

        await s.change(CONTENTS, s.contents()[0].name, strip)
        await s.delete()
        await s.cluster.start()
        await s.until_gone()
        assert s.driver.snapshots == {}
        await s.take("next")
        await s.until_ready("next")
        await s.change(CONTENTS, s.contents()[0].name, strip)
        await s.cluster.until(lambda: CONTENT_FINALIZER in s.contents()[0].finalizers)


@on_virtual_time
async def test_a_snapshot_that_was_never_taken_goes_at_once() -> None:  # SN-18, SN-2
    async with snapshot_stage() as s:
        await s.take(class_name="missing")
        await s.until_failed('volumesnapshotclass.snapshot.storage.k8s.io "missing" not found')
        await s.delete()
        await s.until_gone()


@on_virtual_time
async def test_a_class_that_is_gone_hinders_no_deletion() -> None:  # SN-2
    async with snapshot_stage() as s:
        await s.take()
        await s.until_ready()
        await s.cluster.client.delete(SNAPSHOT_CLASSES, "snapshots")
        await s.delete()
        await s.until_gone()
        assert s.driver.snapshots == {}


@on_virtual_time
async def test_a_retained_snapshot_stays_with_its_content() -> None:  # SN-17, SN-18
    async with snapshot_stage() as s:
        await s.add_class("kept", policy="Retain")
        await s.take(class_name="kept")
        await s.until_ready()
        await s.delete()
        await s.until_gone()
        await asyncio.sleep(60)
        (content,) = s.contents()
        assert s.driver.handles() == {content.handle}
        assert not content.is_deleting


@on_virtual_time
async def test_a_content_that_its_user_deletes_waits_for_its_snapshot() -> None:  # SK-3
    async with snapshot_stage() as s:
        await s.take()
        await s.until_ready()
        (content,) = s.contents()
        await s.cluster.client.delete(CONTENTS, content.name)
        await asyncio.sleep(60)
        assert s.driver.handles() == {content.handle}
        assert s.contents()
        await s.delete()
        await s.until_gone()
        assert s.driver.snapshots == {}
