"""Snapshots from the claim to the storage and back, on a real API server."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.controllers.csi.fake_driver import NAME
from tests.controllers.csi.snapshotter.snapshot_stage import snapshot_stage
from tests.virtual_time import on_virtual_time

from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.transport import Answer, Request
from pvbinder.rules.csi.snapshots.names import BOUND_FINALIZER, CLAIM_FINALIZER, CONTENT_FINALIZER, SOURCE_FINALIZER


@on_virtual_time
async def test_a_snapshot_is_taken_and_ready() -> None:  # SN-5, SN-8, SN-10 to SN-13, SN-15, SK-2, SK-5, SK-7, SK-8
    async with snapshot_stage() as s:
        made = await s.take()
        ready = await s.until_ready()
        await s.cluster.settle()

        name = f"snapcontent-{made.uid}"
        status = ready.document()["status"]
        assert status == {
            "boundVolumeSnapshotContentName": name,
            "creationTime": "2020-09-13T12:26:40Z",
            "readyToUse": True,
            "restoreSize": "1Gi",
        }
        (content,) = s.contents()
        document = content.document()
        assert document["metadata"]["finalizers"] == [CONTENT_FINALIZER]
        assert not document["metadata"].get("annotations")
        claim = s.cluster.of(CLAIMS)["default/orders"]
        spec = document["spec"]
        assert spec.pop("volumeSnapshotRef")["uid"] == made.uid
        assert spec == {
            "deletionPolicy": "Delete",
            "driver": NAME,
            "source": {"volumeHandle": f"id-of-pvc-{claim.uid}"},
            "sourceVolumeMode": "Filesystem",
            "volumeSnapshotClassName": "snapshots",
        }
        assert document["status"] == {
            "creationTime": 1_600_000_000 * 10**9,
            "readyToUse": True,
            "restoreSize": 1 << 30,
            "snapshotHandle": f"id-of-snapshot-{made.uid}",
        }
        (asked,) = s.driver.calls(methods.CREATE_SNAPSHOT)
        assert (asked.name, asked.source_volume_id) == (f"snapshot-{made.uid}", f"id-of-pvc-{claim.uid}")
        assert set((s.snapshot() or ready).finalizers) == {SOURCE_FINALIZER, BOUND_FINALIZER}
        assert CLAIM_FINALIZER not in s.claim_finalizers()
        await s.stage.until_told("", "SnapshotReady")
        told = s.stage.told
        assert told("CreatingSnapshot") == ["Waiting for a snapshot default/s to be created by the CSI driver."]
        assert told("SnapshotCreated") == ["Snapshot default/s was successfully created by the CSI driver."]
        assert told("SnapshotReady") == ["Snapshot default/s is ready to use."]
        await asyncio.sleep(5)
        assert await s.written_down() == {}


@on_virtual_time
async def test_a_deleted_snapshot_is_deleted_in_the_storage() -> None:  # SN-17, SN-18, SK-3, SK-4
    async with snapshot_stage() as s:
        await s.take()
        await s.until_ready()
        await s.delete()
        await s.until_gone()
        assert s.driver.snapshots == {}
        await s.cluster.until(lambda: not s.contents())
        assert len(s.driver.calls(methods.DELETE_SNAPSHOT)) == 1


@on_virtual_time
async def test_snapshotter_1_a_cluster_without_the_kinds_is_one_without_snapshots(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with snapshot_stage() as s:
        await s.cluster.stop()
        is_served = False

        def unserved(request: Request) -> Answer | None:
            if not is_served and "snapshot.storage.k8s.io" in request.path:
                body = b'{"kind":"Status","status":"Failure","reason":"NotFound","code":404,"details":{}}'
                return Answer(404, body)
            return None

        s.cluster.begins_with = unserved
        await s.cluster.start()
        await s.stage.want("other")
        await s.stage.until_bound("other")
        caplog.clear()
        before = len([one for one in s.cluster.line.seen if "snapshot" in one.path])
        await asyncio.sleep(600)
        assert len([one for one in s.cluster.line.seen if "snapshot" in one.path]) - before < 60
        assert "is not served" not in caplog.text  # it was said at the start
        is_served = True
        await s.take()
        await asyncio.sleep(60)
        await s.until_ready()


@on_virtual_time
async def test_snapshotter_2_nothing_is_taken_before_it_is_known_what_was_begun() -> None:
    async with snapshot_stage() as s:
        await s.cluster.stop()

        def unreadable(request: Request) -> Answer | None:
            if request.method == "GET" and request.path.endswith("/configmaps"):
                return Answer(500, b"broken")
            return None

        s.cluster.begins_with = unreadable
        await s.cluster.start()
        await s.take()
        await asyncio.sleep(60)
        assert s.driver.calls(methods.CREATE_SNAPSHOT) == []
        s.cluster.line.before = lambda _: None
        await asyncio.sleep(60)
        await s.until_ready()
