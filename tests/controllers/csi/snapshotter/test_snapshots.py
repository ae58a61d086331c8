"""VolumeSnapshots that are brought on their way, and what their users are told."""

from __future__ import annotations

import asyncio

from tests.controllers.csi.snapshotter.snapshot_driver import SnapshotDriver
from tests.controllers.csi.snapshotter.snapshot_stage import snapshot_stage
from tests.controllers.csi.snapshotter.test_taking import forced_away
from tests.controllers.csi.stage import storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOT_CLASSES, SNAPSHOTS
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json
from pvbinder.rules.csi.snapshots.names import SOURCE_FINALIZER


@on_virtual_time
async def test_the_default_class_is_taken_when_none_is_named() -> None:  # SN-3
    async with snapshot_stage() as s:
        await s.add_class("default", is_default=True, policy="Retain")
        await s.take(class_name=None)
        ready = await s.until_ready()
        assert ready.class_name == "default"
        assert s.contents()[0].deletion_policy == "Retain"


@on_virtual_time
async def test_what_is_missing_is_told_and_waited_for() -> None:  # SN-3, SN-11, SN-14
    async with snapshot_stage(is_bound=False) as s:
        await s.take(class_name=None)
        await s.until_failed("Failed to set default snapshot class with error failed to retrieve PVC orders")
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        await s.stage.want()
        await s.until_failed("the PVC orders is not yet bound to a PV, will not attempt to take a snapshot")
        selected = {"volume.kubernetes.io/selected-node": "n1"}

        def select(document: Json) -> None:
            document["metadata"]["annotations"] = {**(document["metadata"].get("annotations") or {}), **selected}

        await s.change(CLAIMS, "orders", select, "default")
        await s.until_failed("cannot find default snapshot class")
        await s.add_class("a", is_default=True)
        await s.until_ready()
        await asyncio.sleep(60)
        told = s.stage.told("SetDefaultSnapshotClassFailed")
        assert len(told) == len(set(told)) == 3


@on_virtual_time
async def test_told_1_of_several_defaults_is_told_once() -> None:  # SN-3, SN-14
    async with snapshot_stage() as s:
        await s.add_class("a", is_default=True)
        await s.add_class("b", is_default=True)
        await s.take(class_name=None)
        await s.until_failed("2 default snapshot classes were found")
        await asyncio.sleep(900)
        assert len(s.stage.told("SetDefaultSnapshotClassFailed")) == 1
        await s.cluster.client.delete(SNAPSHOT_CLASSES, "b")
        await asyncio.sleep(300)
        await s.until_ready()


@on_virtual_time
async def test_volume_snapshots_1_a_snapshot_that_was_deleted_meanwhile_gets_no_content() -> None:
    async with snapshot_stage() as s:
        gone = False

        async def deleted_meanwhile(request: Request) -> None:
            nonlocal gone
            is_claim = request.method == "PUT" and request.path.endswith("/persistentvolumeclaims/orders")
            if is_claim and b"pvc-as-source-protection" in (request.body or b"") and not gone:
                gone = True

                def strip(document: Json) -> None:
                    document["metadata"]["finalizers"] = []

                await s.change(SNAPSHOTS, "s", strip, "default")
                await s.delete()

        s.cluster.line.after_waiting = deleted_meanwhile
        await s.take()
        await s.until_gone()
        await asyncio.sleep(60)
        assert gone
        assert s.contents() == []
        assert s.driver.snapshots == {}


@on_virtual_time
async def test_volume_snapshots_1_a_snapshot_that_is_being_deleted_gets_no_content() -> None:
    async with snapshot_stage() as s:
        gone = False

        async def deleted_meanwhile(request: Request) -> None:
            nonlocal gone
            is_claim = request.method == "PUT" and request.path.endswith("/persistentvolumeclaims/orders")
            if is_claim and b"pvc-as-source-protection" in (request.body or b"") and not gone:
                gone = True
                await s.delete()

        s.cluster.line.after_waiting = deleted_meanwhile
        await s.take()
        await s.until_gone()
        assert gone
        assert s.cluster.line.asked("POST", "/volumesnapshotcontents") == 0


@on_virtual_time
async def test_volume_snapshots_2_a_snapshot_that_was_cut_is_not_cut_anew() -> None:  # SN-6
    async with snapshot_stage() as s:
        await s.take()
        await s.until_ready()
        (content,) = s.contents()
        document = content.document()
        await forced_away(s, content.name)
        failed = await s.until_failed("VolumeSnapshotContent is missing")
        assert not failed.is_ready
        await asyncio.sleep(600)
        assert len(s.driver.calls(methods.CREATE_SNAPSHOT)) == 1
        assert s.contents() == []
        del document["metadata"]["resourceVersion"]
        made = await s.create(CONTENTS, document)  # brought back from a backup
        back = made.document()
        back["status"] = document["status"]
        await s.cluster.client.replace(CONTENTS, back, subresource="status")
        assert (await s.until_ready()).error == ""


@on_virtual_time
async def test_volume_snapshots_3_snapshots_of_others_are_left_alone() -> None:  # SN-1
    async with snapshot_stage() as s:
        await s.add_class("theirs", driver="other.example.com")
        await s.take(class_name="theirs")
        group = {
            "apiVersion": "groupsnapshot.storage.k8s.io/v1",
            "kind": "VolumeGroupSnapshot",
            "name": "g",
            "uid": "u",
        }
        spec = {"source": {"persistentVolumeClaimName": "orders"}, "volumeSnapshotClassName": "snapshots"}
        metadata = {"name": "member", "namespace": "default", "ownerReferences": [group]}
        await s.create(SNAPSHOTS, {"metadata": metadata, "spec": spec})
        await s.give(name="theirs", driver="other.example.com")
        await asyncio.sleep(60)
        assert s.driver.calls(methods.CREATE_SNAPSHOT) == []
        for name in ("s", "member"):
            found = s.snapshot(name)
            assert found is not None
            assert (found.finalizers, found.status) == ((), None)
        assert s.contents()[0].status is None


@on_virtual_time
async def test_a_snapshot_given_by_hand_is_bound() -> None:  # SN-7, SN-9, SK-9, SK-2
    driver = SnapshotDriver()
    async with snapshot_stage(driver, is_bound=False) as s:
        made = await s.take_given()
        await s.until_failed("VolumeSnapshotContent is missing")
        driver.snapshots["by hand"] = csi.Snapshot(snapshot_id="given", size_bytes=1, ready_to_use=True)
        await s.give()
        await s.until_ready()
        (content,) = s.contents()
        assert content.ref.uid == made.uid
        assert content.handle == "given"
        await s.delete()
        await s.until_gone()
        assert driver.snapshots == {}


@on_virtual_time
async def test_a_content_that_could_not_be_made_is_told() -> None:
    async with snapshot_stage() as s:

        def broken(request: Request) -> Answer | None:
            if request.method == "POST" and request.path.endswith("/volumesnapshotcontents"):
                raise ConnectionFailed("broken by the test", request_sent=False)
            return None

        s.cluster.line.before = broken
        await s.take()
        what = "Error creating volume snapshot content object for snapshot default/s: broken by the test."
        await s.stage.until_told(what, "CreateSnapshotContentFailed")
        s.cluster.line.before = lambda _: None
        await asyncio.sleep(60)
        await s.until_ready()


@on_virtual_time
async def test_a_content_that_names_another_snapshot_is_told_twice() -> None:  # SN-7, SN-20
    async with snapshot_stage() as s:
        await s.give(snapshot="another")
        await s.take_given()
        message = "VolumeSnapshotContent [c] is bound to a different snapshot"
        await s.stage.until_told(f"Failed to check and update snapshot: {message}", "SnapshotFinalizerError")
        assert s.stage.told("SnapshotContentMisbound") == [message]


@on_virtual_time
async def test_a_snapshot_of_a_missing_content_is_protected_all_the_same() -> None:  # SN-5, SN-7
    async with snapshot_stage() as s:
        await s.take_given()
        failed = await s.until_failed("VolumeSnapshotContent is missing")
        assert failed.finalizers == (SOURCE_FINALIZER,)
