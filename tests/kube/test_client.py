"""What the typed client promises (CLIENT-1 to CLIENT-6)."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.kube.small_server import SmallServer, lost_connection, no_connection, ok, refusal
from tests.virtual_time import on_virtual_time

from pvbinder.kube.client import Client, Retries
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.lines import CutLine
from pvbinder.kube.transport import Request
from pvbinder.kube.watch_lines import read_line

VOLUME = "/api/v1/persistentvolumes"
CLAIM = "/api/v1/namespaces/shop/persistentvolumeclaims"


def client_of(server: SmallServer, **retries: float) -> Client:
    return Client(server, retries=Retries(**retries), chance=lambda: 1.0)  # type: ignore[arg-type]


@on_virtual_time
async def test_an_object_goes_round() -> None:
    server = SmallServer()
    client = client_of(server)

    made = await client.create(VOLUMES, {"metadata": {"name": "disk-1"}, "spec": {"volumeMode": "Block"}})
    read = await client.get(VOLUMES, "disk-1")
    document = read.document()
    document["metadata"]["labels"] = {"tier": "gold"}
    replaced = await client.replace(VOLUMES, document)
    patched = await client.patch(VOLUMES, "disk-1", "", {"status": {"phase": "Available"}}, patch_type="merge")
    await client.delete(VOLUMES, "disk-1")

    assert (made.resource_version, replaced.labels, patched.phase) == ("1", {"tier": "gold"}, "Available")
    assert [(r.method, r.path) for r in server.requests] == [
        ("POST", VOLUME),
        ("GET", f"{VOLUME}/disk-1"),
        ("PUT", f"{VOLUME}/disk-1"),
        ("PATCH", f"{VOLUME}/disk-1"),
        ("DELETE", f"{VOLUME}/disk-1"),
    ]


@on_virtual_time
async def test_what_a_list_leaves_out_is_written_back() -> None:
    server = SmallServer()
    server.apply(f"{CLAIM}/orders", {"spec": {}})
    client = client_of(server)

    [claim] = await client.list_all(CLAIMS, "shop")
    await client.replace(CLAIMS, claim.document(), subresource="status")

    [put] = [r for r in server.requests if r.method == "PUT"]
    assert put.path == f"{CLAIM}/orders/status"
    body = json.loads(put.body or b"")
    assert (body["apiVersion"], body["kind"]) == ("v1", "PersistentVolumeClaim")


@on_virtual_time
async def test_a_delete_says_which_object_it_means() -> None:
    server = SmallServer()
    server.apply(f"{CLAIM}/orders")
    client = client_of(server)

    await client.delete(CLAIMS, "orders", "shop", uid="u1", propagation="Foreground", grace_seconds=0)

    assert json.loads(server.requests[0].body or b"") == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "u1"},
        "propagationPolicy": "Foreground",
        "gracePeriodSeconds": 0,
    }


@on_virtual_time
async def test_client_1_a_refusal_is_an_api_failure() -> None:
    with pytest.raises(ApiFailure, match="not found") as caught:
        await client_of(SmallServer()).get(VOLUMES, "disk-1")
    assert caught.value.is_not_found


@on_virtual_time
async def test_client_1_an_answer_of_another_kind_is_an_api_failure() -> None:
    server = SmallServer()
    server.before.append(lambda _: ok({"metadata": []}))

    with pytest.raises(ApiFailure, match="the answer is no PersistentVolume"):
        await client_of(server).get(VOLUMES, "disk-1")


@on_virtual_time
async def test_client_2_reads_are_repeated() -> None:
    server = SmallServer()
    server.apply(f"{VOLUME}/disk-1")
    server.before += [lost_connection, lambda _: refusal(503, "ServiceUnavailable", "starting"), no_connection]

    assert (await client_of(server).get(VOLUMES, "disk-1")).name == "disk-1"
    assert len(server.requests) == 4


@on_virtual_time
async def test_client_2_a_write_that_may_have_happened_is_not_repeated() -> None:
    server = SmallServer(lose_answers=1)

    with pytest.raises(ConnectionFailed):
        await client_of(server).create(VOLUMES, {"metadata": {"name": "disk-1"}})

    assert server.count("POST") == 1
    assert f"{VOLUME}/disk-1" in server.objects


@on_virtual_time
async def test_client_2_a_write_that_failed_inside_the_server_is_not_repeated() -> None:
    server = SmallServer()
    server.before.append(lambda _: refusal(500, "InternalError", "etcd"))

    with pytest.raises(ApiFailure):
        await client_of(server).create(VOLUMES, {"metadata": {"name": "disk-1"}})

    assert server.count("POST") == 1


@on_virtual_time
async def test_client_2_a_write_that_was_not_carried_out_is_repeated() -> None:
    server = SmallServer()
    server.before += [no_connection, lambda _: refusal(429, "TooManyRequests", "busy")]

    await client_of(server).create(VOLUMES, {"metadata": {"name": "disk-1"}})

    assert server.count("POST") == 3


@on_virtual_time
async def test_client_3_retry_after_is_heeded() -> None:
    server = SmallServer()
    server.apply(f"{VOLUME}/disk-1")
    server.before.append(lambda _: refusal(429, "TooManyRequests", "busy", retry_after="7"))
    started = asyncio.get_running_loop().time()

    await client_of(server).get(VOLUMES, "disk-1")

    assert 7 <= asyncio.get_running_loop().time() - started <= 7.2


@on_virtual_time
async def test_client_3_the_end_comes() -> None:
    server = SmallServer()
    server.before += [no_connection] * 100
    started = asyncio.get_running_loop().time()

    with pytest.raises(ConnectionFailed):
        await client_of(server, attempts=4, first_seconds=1.0, most_seconds=3.0).get(VOLUMES, "disk-1")

    assert len(server.requests) == 4
    assert asyncio.get_running_loop().time() - started == 1 + 2 + 3


def test_client_3_no_two_clients_come_back_together() -> None:
    retries = Retries(first_seconds=1.0)

    assert [retries.delay(1, None, chance) for chance in (0.0, 0.5, 1.0)] == [0.5, 0.75, 1.0]
    assert retries.delay(1, 3600.0, 0.0) == 60.5


@on_virtual_time
async def test_client_4_every_request_is_counted() -> None:
    server = SmallServer()
    server.before += [no_connection]
    client = client_of(server)

    await client.create(VOLUMES, {"metadata": {"name": "disk-1"}})
    await client.replace(VOLUMES, {"metadata": {"name": "disk-1"}}, subresource="status")
    with pytest.raises(ApiFailure):
        await client.get(VOLUMES, "disk-2")
    await client.list_all(VOLUMES)

    statistics = client.statistics()
    assert statistics.requests == {
        ("create", "persistentvolumes"): 2,
        ("update", "persistentvolumes/status"): 1,
        ("get", "persistentvolumes"): 1,
        ("list", "persistentvolumes"): 1,
    }
    assert statistics.statuses == {0: 1, 201: 1, 200: 2, 404: 1}
    assert (statistics.total, statistics.writes, statistics.repetitions, statistics.in_flight) == (5, 3, 1, 0)
    assert statistics.writes_in_flight == 0
    answered = {verb: durations.count for verb, durations in statistics.durations.items()}
    assert answered == {"create": 1, "update": 1, "get": 1, "list": 1}


@on_virtual_time
async def test_client_5_a_long_list_comes_in_pages() -> None:
    server = SmallServer()
    for number in range(25):
        server.apply(f"{VOLUME}/disk-{number:02}")
    client = client_of(server)

    pages = [page async for page in client.pages(VOLUMES, limit=10)]

    assert [len(page.items) for page in pages] == [10, 10, 5]
    assert {page.resource_version for page in pages} == {"25"}
    assert [volume.name for page in pages for volume in page.items] == [f"disk-{number:02}" for number in range(25)]


@on_virtual_time
async def test_client_5_a_server_that_sends_all_at_once_is_read_by_pieces() -> None:
    server = SmallServer()
    everything = {
        "metadata": {"resourceVersion": "9"},
        "items": [{"metadata": {"name": f"disk-{n}"}} for n in range(25)],
    }
    server.before.append(lambda _: ok(everything))

    pages = [page async for page in client_of(server).pages(VOLUMES, limit=10)]

    assert [len(page.items) for page in pages] == [10, 10, 5]


@on_virtual_time
async def test_client_5_an_expired_token_ends_the_list() -> None:
    server = SmallServer()
    for number in range(3):
        server.apply(f"{VOLUME}/disk-{number}")
    pages = aiter(client_of(server).pages(VOLUMES, limit=1))
    await anext(pages)
    server.apply(f"{VOLUME}/disk-9")
    server.compact()

    with pytest.raises(ApiFailure) as caught:
        await anext(pages)
    assert caught.value.is_expired


@on_virtual_time
async def test_client_6_one_broken_object_hides_no_other() -> None:
    server = SmallServer()
    server.apply(f"{VOLUME}/disk-1")
    server.apply(f"{VOLUME}/disk-2", {"spec": {"capacity": "big"}})

    [page] = [page async for page in client_of(server).pages(VOLUMES)]

    assert [volume.name for volume in page.items] == ["disk-1"]
    assert [(broken.key, broken.resource_version) for broken in page.unreadable] == [("disk-2", "2")]


def test_client_6_an_object_too_large_for_a_line_is_unreadable() -> None:
    line = b'{"type":"MODIFIED","object":{"kind":"PersistentVolume","apiVersion":"v1","metadata":{"name":"disk-1",'
    event = read_line(VOLUMES, CutLine(line + b'"resourceVersion":"7"},"spec":{"x":"yyyy'))

    assert event is not None
    assert (event.type, event.resource_version, event.object) == ("MODIFIED", "7", None)
    assert event.unreadable is not None
    assert (event.unreadable.key, event.unreadable.resource_version) == ("disk-1", "7")
    assert "larger than" in event.unreadable.problem
    with pytest.raises(ConnectionFailed):
        read_line(VOLUMES, CutLine(b"xxxx"))


@on_virtual_time
async def test_an_empty_list_is_one_empty_page() -> None:
    [page] = [page async for page in client_of(SmallServer()).pages(VOLUMES)]

    assert (page.items, page.resource_version) == ((), "0")


def test_lines_of_a_watch() -> None:
    added = read_line(VOLUMES, b'{"type":"ADDED","object":{"metadata":{"name":"disk-1","resourceVersion":"7"}}}')
    bookmark = read_line(VOLUMES, b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}')

    assert added is not None
    assert added.object is not None
    assert (added.type, added.resource_version, added.object.name) == ("ADDED", "7", "disk-1")
    assert bookmark is not None
    assert (bookmark.type, bookmark.resource_version, bookmark.object) == ("BOOKMARK", "9", None)
    assert read_line(VOLUMES, b"\n") is None
    assert read_line(VOLUMES, b'{"type":"NEWS","object":{}}') is None


def test_an_error_line_is_raised() -> None:
    with pytest.raises(ApiFailure) as caught:
        read_line(VOLUMES, b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}}')
    assert caught.value.is_expired


@pytest.mark.parametrize("line", [b"{", b"\xff", b"[]", b'{"type":"ADDED"}'])
def test_a_line_that_is_none_breaks_the_watch(line: bytes) -> None:
    with pytest.raises(ConnectionFailed):
        read_line(VOLUMES, line)


@on_virtual_time
async def test_a_watch_asks_for_bookmarks_and_selects() -> None:
    server = SmallServer()

    async with client_of(server).watch(
        CLAIMS, "0", "shop", label_selector="a=b", field_selector="metadata.name=orders", timeout_seconds=60
    ) as events:
        assert [event async for event in events] == []

    [request] = server.requests
    assert request == Request(
        "GET",
        CLAIM,
        {
            "labelSelector": "a=b",
            "fieldSelector": "metadata.name=orders",
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": "0",
            "timeoutSeconds": "60",
        },
    )


FOREIGN = {
    "another kind": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "disk-1"}},
    "another object": {"metadata": {"name": "disk-2"}},
    "a Status": {"kind": "Status", "apiVersion": "v1", "status": "Failure"},
}


@pytest.mark.parametrize("document", FOREIGN.values(), ids=FOREIGN.keys())
@on_virtual_time
async def test_client_7_a_success_that_is_none_is_a_failure(document: dict[str, object]) -> None:
    server = SmallServer()
    server.before.append(lambda _: ok(document))

    with pytest.raises(ApiFailure) as caught:
        await client_of(server).get(VOLUMES, "disk-1")
    assert caught.value.leaves_write_unknown, "had it been a write, nobody would know"
