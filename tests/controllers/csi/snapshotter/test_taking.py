"""Snapshots that a driver is asked for, in all weathers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from tests.controllers.csi.snapshotter.snapshot_driver import SnapshotDriver
from tests.controllers.csi.snapshotter.snapshot_stage import SnapshotStage, snapshot_stage
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.options import SnapshotterOptions
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOT_CLASSES
from pvbinder.csi.errors import AnswerUnreadable, CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json
from pvbinder.rules.csi.snapshots.names import BEING_CREATED, CLAIM_FINALIZER


def fails(code: Code, times: int = 10**9, kind: type = csi.CreateSnapshotRequest) -> Callable[[Any], None]:
    left = times

    def fail(request: object) -> None:
        nonlocal left
        if left and isinstance(request, kind):
            left -= 1
            raise CallFailed(code, "no")

    return fail


async def forced_away(s: SnapshotStage, name: str) -> None:
    """Remove a content, whatever protects it."""

    def strip(document: Json) -> None:
        document["metadata"]["finalizers"] = []

    await s.change(CONTENTS, name, strip)
    await s.cluster.client.delete(CONTENTS, name)


@on_virtual_time
async def test_a_failure_is_told_in_both_status_and_event() -> None:  # SN-13, SN-14, SK-7, SK-10, SK-11
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        driver.before = fails(Code.INTERNAL, times=2)
        await s.take()
        failed = await s.until_failed("Failed to create snapshot: failed to take snapshot of the volume")
        assert 'rpc error: code = Internal desc = no"' in failed.error
        assert failed.document()["status"]["error"]["time"]
        assert CLAIM_FINALIZER in s.claim_finalizers()
        await s.until_failed("Failed to check and update snapshot content: failed to take snapshot")
        ready = await s.until_ready()
        assert ready.error == ""
        await s.cluster.settle()
        assert len(s.stage.told("SnapshotCreationFailed")) == 1
        assert len(driver.calls(methods.CREATE_SNAPSHOT)) == 3


@on_virtual_time
async def test_each_pause_between_two_attempts_is_longer() -> None:  # SK-11
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        driver.before = fails(Code.INTERNAL)
        await s.take()
        await asyncio.sleep(100)
        assert 5 <= len(driver.calls(methods.CREATE_SNAPSHOT)) <= 9
        writes = s.cluster.line.asked("PUT", "")
        await asyncio.sleep(1000)
        assert s.cluster.line.asked("PUT", "") - writes < 30


@on_virtual_time
async def test_snapshot_taking_1_what_was_asked_for_is_found_after_a_crash() -> None:
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        driver.seconds = 3600.0
        made = await s.take()
        await s.cluster.until(lambda: bool(driver.calls(methods.CREATE_SNAPSHOT)))
        assert list(await s.written_down()) == [made.uid]
        (content,) = s.contents()
        assert BEING_CREATED in content.annotations
        await s.cluster.stop()
        await forced_away(s, content.name)
        driver.snapshots["other"] = csi.Snapshot(snapshot_id="other")
        driver.seconds = 0.0
        driver.after = lambda _: None
        driver._take(csi.CreateSnapshotRequest(name=f"snapshot-{made.uid}"))  # it was made all the same
        await s.delete()
        await s.cluster.start()
        await s.until_gone()
        await asyncio.sleep(60)
        assert set(driver.snapshots) == {"other"}
        assert await s.written_down() == {}


@on_virtual_time
async def test_snapshot_taking_1_a_stale_cache_takes_no_snapshot() -> None:
    async with snapshot_stage() as s:

        def changed_meanwhile(request: Request) -> Answer | None:
            if (
                request.method == "PUT"
                and "/volumesnapshotcontents/" in request.path
                and b"being-created" in (request.body or b"")
            ):
                return Answer(409, b'{"kind":"Status","status":"Failure","reason":"Conflict","code":409}')
            return None

        s.cluster.line.before = changed_meanwhile
        await s.take()
        await asyncio.sleep(100)
        assert s.driver.calls(methods.CREATE_SNAPSHOT) == []
        s.cluster.line.before = lambda _: None
        await asyncio.sleep(300)
        await s.until_ready()


@on_virtual_time
async def test_snapshot_taking_2_a_snapshot_that_timed_out_and_was_made_is_deleted_with_its_own() -> None:  # SK-3
    driver = SnapshotDriver()

    def late(request: object) -> None:
        if isinstance(request, csi.CreateSnapshotRequest):
            raise CallFailed(Code.DEADLINE_EXCEEDED, "late")

    async with snapshot_stage(driver) as s:
        driver.after = late
        await s.take()
        await s.until_failed("DeadlineExceeded")
        await s.delete()
        await asyncio.sleep(300)
        assert s.contents()  # it waits for an answer
        driver.after = lambda _: None
        await asyncio.sleep(300)
        await s.until_gone()
        await s.cluster.until(lambda: not s.contents())
        assert driver.snapshots == {}
        await asyncio.sleep(5)
        assert await s.written_down() == {}


BELIEVED = {  # the second answer, after one whose end nobody knows; and whether it ends the attempt
    "a refusal of the request": (CallFailed(Code.INVALID_ARGUMENT, "no"), True),
    "the source is gone": (CallFailed(Code.NOT_FOUND, "no"), True),
    "something went wrong": (CallFailed(Code.INTERNAL, "no"), False),
    "no room": (CallFailed(Code.RESOURCE_EXHAUSTED, "no"), False),
    "it goes on": (CallFailed(Code.ABORTED, "no"), False),
    "nonsense": (AnswerUnreadable(Code.INVALID_ARGUMENT, "nonsense"), False),
}


@pytest.mark.parametrize(("second", "ends"), BELIEVED.values(), ids=BELIEVED.keys())
def test_snapshot_taking_2_only_a_refused_request_ends_an_attempt_that_may_have_made_one(
    second: CallFailed, ends: bool
) -> None:  # SK-7
    @on_virtual_time
    async def story() -> None:
        driver = SnapshotDriver()
        answers = [CallFailed(Code.DEADLINE_EXCEEDED, "late")]

        def answer(request: object) -> None:
            if isinstance(request, csi.CreateSnapshotRequest):
                raise answers[0]

        async with snapshot_stage(driver) as s:
            driver.after = answer
            await s.take()
            await s.until_failed("DeadlineExceeded")
            answers[0] = second
            await s.delete()
            await asyncio.sleep(1000)
            assert (s.contents() == []) is ends
            assert ((await s.written_down()) == {}) is ends

    story()


@on_virtual_time
async def test_snapshot_taking_2_the_request_is_repeated_when_the_class_is_gone() -> None:
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        await s.add_class("special", tier="gold")
        driver.before = fails(Code.UNAVAILABLE)
        await s.take(class_name="special")
        await s.until_failed("Unavailable")
        await s.cluster.client.delete(SNAPSHOT_CLASSES, "special")
        driver.before = lambda _: None
        await s.cluster.until(lambda: bool(driver.snapshots))
        assert all(dict(one.parameters) == {"tier": "gold"} for one in driver.calls(methods.CREATE_SNAPSHOT))


@on_virtual_time
async def test_snapshot_taking_3_a_handle_that_could_not_be_saved_is_saved_later() -> None:
    async with snapshot_stage() as s:

        def broken(request: Request) -> None:
            if request.path.endswith("/status") and "/volumesnapshotcontents/" in request.path:
                raise ConnectionFailed("broken by the test", request_sent=False)

        def break_it(request: Request) -> Answer | None:
            broken(request)
            return None

        s.cluster.line.before = break_it
        made = await s.take()
        await asyncio.sleep(30)
        assert list(await s.written_down()) == [made.uid]
        s.cluster.line.before = lambda _: None
        await s.until_ready()
        assert len(s.driver.calls(methods.CREATE_SNAPSHOT)) == 1


@on_virtual_time
async def test_snapshot_taking_4_a_snapshot_without_a_content_is_deleted() -> None:
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        driver.seconds = 10.0
        made = await s.take()
        await s.cluster.until(lambda: bool(driver.calls(methods.CREATE_SNAPSHOT)))
        await s.delete()
        await forced_away(s, f"snapcontent-{made.uid}")
        await asyncio.sleep(600)
        assert s.snapshot() is None
        assert driver.snapshots == {}
        assert await s.written_down() == {}


@on_virtual_time
async def test_snapshot_taking_4_a_delete_that_is_begun_ends_before_the_snapshot_is_taken_anew() -> None:
    driver = SnapshotDriver()

    def lost(request: object) -> None:
        if isinstance(request, csi.DeleteSnapshotRequest):
            raise CallFailed(Code.DEADLINE_EXCEEDED, "late")

    async with snapshot_stage(driver) as s:
        driver.seconds, driver.after = 10.0, lost
        made = await s.take()
        await s.cluster.until(lambda: bool(driver.calls(methods.CREATE_SNAPSHOT)))
        s.cluster.line.before = no_posts
        await forced_away(s, f"snapcontent-{made.uid}")
        await asyncio.sleep(60)
        assert driver.calls(methods.DELETE_SNAPSHOT)
        s.cluster.line.before = lambda _: None  # the snapshot is there: it gets another content
        await asyncio.sleep(60)
        assert s.contents()
        assert not any(content.handle for content in s.contents())
        driver.after = lambda _: None
        await asyncio.sleep(700)
        await s.until_ready()
        assert driver.handles() == {content.handle for content in s.contents()}
        assert await s.written_down() == {}


def no_posts(request: Request) -> Answer | None:
    if request.method == "POST" and request.path.endswith("/volumesnapshotcontents"):
        raise ConnectionFailed("broken by the test", request_sent=False)
    return None


@on_virtual_time
async def test_snapshot_taking_4_a_snapshot_that_another_content_has_stays() -> None:
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        driver.seconds = 10.0
        made = await s.take()
        await s.cluster.until(lambda: bool(driver.calls(methods.CREATE_SNAPSHOT)))
        await s.give(handle=f"id-of-snapshot-{made.uid}", snapshot="mine")
        await s.delete()
        await forced_away(s, f"snapcontent-{made.uid}")
        await asyncio.sleep(600)
        assert driver.handles() == {f"id-of-snapshot-{made.uid}"}
        assert await s.written_down() == {}


@on_virtual_time
async def test_snapshot_taking_4_a_snapshot_that_is_to_be_retained_stays() -> None:
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        await s.add_class("kept", policy="Retain")
        driver.seconds = 10.0
        made = await s.take(class_name="kept")
        await s.cluster.until(lambda: bool(driver.calls(methods.CREATE_SNAPSHOT)))
        await s.delete()
        await forced_away(s, f"snapcontent-{made.uid}")
        await asyncio.sleep(600)
        assert driver.calls(methods.DELETE_SNAPSHOT) == []
        assert await s.written_down() == {}


@on_virtual_time
async def test_snapshot_taking_4_a_false_answer_about_a_content_deletes_nothing() -> None:
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        driver.seconds = 10.0
        made = await s.take()
        await s.cluster.until(lambda: bool(driver.calls(methods.CREATE_SNAPSHOT)))
        await s.cluster.stop()
        driver.seconds = 0.0
        name = f"snapcontent-{made.uid}"

        def false_answer(request: Request) -> Answer | None:
            if request.method == "GET" and request.path.endswith(("/volumesnapshotcontents", name)):
                is_list = request.path.endswith("contents")
                body = b'{"kind":"VolumeSnapshotContentList","apiVersion":"snapshot.storage.k8s.io/v1","metadata":{}}'
                return Answer(200, body) if is_list else Answer(404, b"not here")
            return None

        await s.cluster.start()
        s.cluster.line.before = false_answer
        taking = s.snapshotter.taking
        with pytest.raises(Exception, match="404"):
            await taking.finish(made.uid)
        assert driver.calls(methods.DELETE_SNAPSHOT) == []


@on_virtual_time
async def test_snapshot_taking_5_a_secret_goes_to_the_driver_and_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:  # SN-12, SS-1, SS-2, SS-3
    caplog.set_level(logging.DEBUG)
    prefix = "csi.storage.k8s.io/snapshotter-secret"
    async with snapshot_stage() as s:
        await s.stage.keep_secret("keys-s", password="hunter2")
        names = {f"{prefix}-name": "keys-${volumesnapshot.name}", f"{prefix}-namespace": "${volumesnapshot.namespace}"}
        await s.add_class("secret", **names)
        s.driver.before = fails(Code.INTERNAL, times=1)
        await s.take(class_name="secret")
        await s.until_ready()
        (content,) = s.contents()
        assert content.annotations == {
            "snapshot.storage.kubernetes.io/deletion-secret-name": "keys-s",
            "snapshot.storage.kubernetes.io/deletion-secret-namespace": "default",
        }
        assert all(dict(one.secrets) == {"password": "hunter2"} for one in s.driver.calls(methods.CREATE_SNAPSHOT))
        assert all(dict(one.parameters) == {} for one in s.driver.calls(methods.CREATE_SNAPSHOT))
        await s.delete()
        await s.until_gone()
        (deleted,) = s.driver.calls(methods.DELETE_SNAPSHOT)
        assert dict(deleted.secrets) == {"password": "hunter2"}
        assert "hunter2" not in caplog.text
        assert "hunter2" not in str(await s.written_down())


@on_virtual_time
async def test_a_secret_that_is_missing_is_waited_for() -> None:  # SK-5, SS-3
    prefix = "csi.storage.k8s.io/snapshotter-secret"
    async with snapshot_stage() as s:
        await s.add_class("secret", **{f"{prefix}-name": "keys", f"{prefix}-namespace": "default"})
        await s.take(class_name="secret")
        await s.until_failed("failed to get input parameters to create snapshot for content snapcontent-")
        assert s.driver.calls(methods.CREATE_SNAPSHOT) == []
        await s.stage.keep_secret("keys", password="hunter2")
        await s.until_ready()


@on_virtual_time
async def test_names_and_parameters_are_those_that_flags_say() -> None:  # SK-6
    options = SnapshotterOptions(extra_create_metadata=True)
    async with snapshot_stage(options=options) as s:
        await s.add_class("special", tier="gold")
        made = await s.take(class_name="special")
        await s.until_ready()
        (asked,) = s.driver.calls(methods.CREATE_SNAPSHOT)
        assert dict(asked.parameters) == {
            "tier": "gold",
            "csi.storage.k8s.io/volumesnapshot/name": "s",
            "csi.storage.k8s.io/volumesnapshot/namespace": "default",
            "csi.storage.k8s.io/volumesnapshotcontent/name": f"snapcontent-{made.uid}",
        }


@on_virtual_time
async def test_an_answer_without_an_id_is_no_snapshot() -> None:
    driver = SnapshotDriver()

    def nonsense(snapshot: csi.Snapshot) -> None:
        snapshot.snapshot_id = ""

    async with snapshot_stage(driver) as s:
        driver.shape = nonsense
        await s.take()
        await s.until_failed("a snapshot without an id")
        driver.shape = lambda _: None
        driver.snapshots.clear()
        await s.until_ready()


@on_virtual_time
async def test_a_time_that_no_content_can_have_is_none() -> None:  # SK-8
    driver = SnapshotDriver()

    def far_away(snapshot: csi.Snapshot) -> None:
        snapshot.creation_time.seconds = 10**15

    async with snapshot_stage(driver) as s:
        driver.shape = far_away
        await s.take()
        ready = await s.until_ready()
        assert ready.status is not None
        assert ready.status.creation_time is not None


@on_virtual_time
async def test_a_driver_that_says_no_time_and_no_size_is_believed() -> None:  # SK-8
    driver = SnapshotDriver()

    def bare(snapshot: csi.Snapshot) -> None:
        snapshot.ClearField("creation_time")
        snapshot.size_bytes = 0

    async with snapshot_stage(driver) as s:
        driver.shape = bare
        await s.take()
        ready = await s.until_ready()
        assert ready.status is not None
        assert ready.status.creation_time is not None
        assert ready.status.restore_size is None
