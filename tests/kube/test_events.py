"""What the event recorder promises (RECORDER-1 to RECORDER-6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.kube.small_server import SmallServer, lost_connection, refusal
from tests.virtual_time import on_virtual_time

from pvbinder.kube.client import Client, Retries
from pvbinder.kube.events import QUEUED_EVENTS_MAX, EventRecorder, Subject, event_name
from pvbinder.model import resources

EVENTS = "/api/v1/namespaces/shop/events"
CLAIM = Subject(resources.PERSISTENT_VOLUME_CLAIMS, "orders", "shop", "uid-1", "7")
VOLUME = Subject(resources.PERSISTENT_VOLUMES, "disk-1", "", "uid-2", "8")
START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def recorder_of(server: SmallServer) -> EventRecorder:
    client = Client(server, retries=Retries(attempts=1))
    loop = asyncio.get_running_loop()
    return EventRecorder(
        client, "persistentvolume-controller", now=lambda: START + timedelta(seconds=loop.time()), chance=lambda: 0.5
    )


@asynccontextmanager
async def running(recorder: EventRecorder) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(recorder.run())
        yield
        task.cancel()


def events_in(server: SmallServer) -> list[dict[str, Any]]:
    return [document for path, document in server.objects.items() if "/events/" in path]


@on_virtual_time
async def test_an_event_looks_like_the_references() -> None:
    server = SmallServer()
    recorder = recorder_of(server)
    async with running(recorder):
        recorder.event(CLAIM, "Normal", "FailedBinding", "no persistent volumes available")
        await recorder.wait_written()

    [request] = server.requests
    assert (request.method, request.path) == ("POST", EVENTS)
    assert json.loads(request.body or b"") == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "orders.1898af4d52654000", "namespace": "shop"},
        "involvedObject": {
            "kind": "PersistentVolumeClaim",
            "namespace": "shop",
            "name": "orders",
            "uid": "uid-1",
            "apiVersion": "v1",
            "resourceVersion": "7",
        },
        "reason": "FailedBinding",
        "message": "no persistent volumes available",
        "source": {"component": "persistentvolume-controller"},
        "firstTimestamp": "2026-03-01T10:00:00Z",
        "lastTimestamp": "2026-03-01T10:00:00Z",
        "count": 1,
        "type": "Normal",
        "eventTime": None,
        "reportingComponent": "persistentvolume-controller",
        "reportingInstance": "",
    }


@on_virtual_time
async def test_events_of_cluster_scoped_objects_go_to_default() -> None:
    server = SmallServer()
    recorder = recorder_of(server)
    async with running(recorder):
        recorder.event(VOLUME, "Warning", "VolumeFailedDelete", "no")
        await recorder.wait_written()

    assert server.requests[0].path == "/api/v1/namespaces/default/events"
    assert "namespace" not in events_in(server)[0]["involvedObject"]


@on_virtual_time
async def test_recorder_1_what_is_too_much_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    recorder = recorder_of(SmallServer())
    for number in range(QUEUED_EVENTS_MAX + 3):
        recorder.event(CLAIM, "Normal", "Reason", str(number))

    assert (recorder.statistics().queued, recorder.statistics().dropped) == (QUEUED_EVENTS_MAX, 3)
    assert [record.getMessage() for record in caplog.records] == ["events dropped: too many at once"]


@on_virtual_time
async def test_recorder_2_the_same_again_is_a_count() -> None:
    server = SmallServer()
    recorder = recorder_of(server)
    async with running(recorder):
        for _ in range(3):
            recorder.event(CLAIM, "Normal", "FailedBinding", "none")
            await recorder.wait_written()
            await asyncio.sleep(15)

    [event] = events_in(server)
    assert [r.method for r in server.requests] == ["POST", "PATCH", "PATCH"]
    assert server.requests[1].content_type == "application/strategic-merge-patch+json"
    assert json.loads(server.requests[2].body or b"") == {
        "count": 3,
        "lastTimestamp": "2026-03-01T10:00:30Z",
        "message": "none",
    }
    assert (event["count"], event["firstTimestamp"]) == (3, "2026-03-01T10:00:00Z")
    assert recorder.statistics().patched == 2


@on_virtual_time
async def test_recorder_2_an_event_that_expired_is_made_anew() -> None:
    server = SmallServer()
    recorder = recorder_of(server)
    async with running(recorder):
        recorder.event(CLAIM, "Normal", "FailedBinding", "none")
        await recorder.wait_written()
        server.delete(next(iter(server.objects)))
        await asyncio.sleep(3600)
        recorder.event(CLAIM, "Normal", "FailedBinding", "none")
        await recorder.wait_written()

    [event] = events_in(server)
    assert (event["count"], event["firstTimestamp"]) == (2, "2026-03-01T10:00:00Z")


@on_virtual_time
async def test_recorder_2_a_new_revision_of_the_object_changes_nothing() -> None:
    server = SmallServer()
    recorder = recorder_of(server)
    async with running(recorder):
        for revision in ("7", "8"):
            subject = Subject(CLAIM.resource, CLAIM.name, CLAIM.namespace, CLAIM.uid, revision)
            recorder.event(subject, "Normal", "FailedBinding", "none")
        recorder.event(
            Subject(CLAIM.resource, CLAIM.name, CLAIM.namespace, "other uid"), "Normal", "FailedBinding", "none"
        )
        await recorder.wait_written()

    assert [event["count"] for event in events_in(server)] == [2, 1]


@on_virtual_time
async def test_recorder_3_similar_messages_are_combined() -> None:
    server = SmallServer()
    recorder = recorder_of(server)
    async with running(recorder):
        for number in range(12):
            recorder.event(CLAIM, "Normal", "Reason", f"message {number}")
        await recorder.wait_written()

    messages = [(event["message"], event["count"]) for event in events_in(server)]
    assert messages[:9] == [(f"message {number}", 1) for number in range(9)]
    assert messages[9:] == [("(combined from similar events): message 11", 3)]


@on_virtual_time
async def test_recorder_3_after_ten_minutes_of_silence_messages_are_new_again() -> None:
    server = SmallServer()
    recorder = recorder_of(server)
    async with running(recorder):
        for number in range(9):
            recorder.event(CLAIM, "Normal", "Reason", f"message {number}")
        await recorder.wait_written()
        await asyncio.sleep(601)
        recorder.event(CLAIM, "Normal", "Reason", "message 9")
        await recorder.wait_written()

    assert events_in(server)[-1]["message"] == "message 9"


@on_virtual_time
async def test_recorder_4_spam_is_only_counted() -> None:
    server = SmallServer()
    recorder = recorder_of(server)
    async with running(recorder):
        for _ in range(30):
            recorder.event(CLAIM, "Normal", "Reason", "again")
        recorder.event(CLAIM, "Warning", "Reason", "another type")
        recorder.event(VOLUME, "Normal", "Reason", "another object")
        await recorder.wait_written()
        assert recorder.statistics().suppressed == 5
        await asyncio.sleep(300)
        recorder.event(CLAIM, "Normal", "Reason", "again")
        await recorder.wait_written()

    assert [(event["message"], event["count"]) for event in events_in(server)] == [
        ("again", 31),
        ("another type", 1),
        ("another object", 1),
    ]


@on_virtual_time
async def test_recorder_5_it_tries_twelve_times() -> None:
    server = SmallServer()
    server.before += [lost_connection] * 5 + [lambda _: refusal(503, "ServiceUnavailable", "busy")] * 7
    recorder = recorder_of(server)
    loop = asyncio.get_running_loop()
    async with running(recorder):
        recorder.event(CLAIM, "Normal", "Reason", "lost")
        recorder.event(CLAIM, "Normal", "Reason", "written")
        await recorder.wait_written()

    assert [event["message"] for event in events_in(server)] == ["written"]
    assert loop.time() == 0.5 * 10 + 10 * 10
    assert recorder.statistics().given_up == 1


@on_virtual_time
async def test_recorder_5_an_event_whose_answer_got_lost_is_there_once() -> None:
    server = SmallServer(lose_answers=1)
    recorder = recorder_of(server)
    async with running(recorder):
        recorder.event(CLAIM, "Normal", "Reason", "written")
        await recorder.wait_written()
        recorder.event(CLAIM, "Normal", "Reason", "written")
        await recorder.wait_written()

    [event] = events_in(server)
    assert event["count"] == 2


@on_virtual_time
async def test_recorder_5_a_refused_event_is_not_tried_again() -> None:
    server = SmallServer()
    server.before.append(lambda _: refusal(403, "Forbidden", "namespace is being terminated"))
    recorder = recorder_of(server)
    async with running(recorder):
        recorder.event(CLAIM, "Normal", "Reason", "refused")
        await recorder.wait_written()

    assert len(server.requests) == 1
    assert recorder.statistics().refused == 1


@on_virtual_time
async def test_recorder_6_events_keep_their_order() -> None:
    server = SmallServer()
    server.before += [lost_connection, lost_connection]
    recorder = recorder_of(server)
    async with running(recorder):
        for message in ("first", "second", "third"):
            recorder.event(CLAIM, "Normal", "Reason", message)
        await recorder.wait_written()

    assert [event["message"] for event in events_in(server)] == ["first", "second", "third"]
    assert len({event["metadata"]["name"] for event in events_in(server)}) == 3


def test_the_name_of_an_event_is_never_too_long() -> None:
    assert event_name("disk-1", 255) == "disk-1.ff"
    long = event_name("d" * 250 + ".-x", 0x123456789ABCDEF0)
    assert len(long) <= 253
    assert long.endswith("d.123456789abcdef0")
