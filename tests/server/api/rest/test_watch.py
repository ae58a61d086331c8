"""Watches: which events come, in which order, when a watch ends (GW-12)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import MAPS, Serving, config_map, serving
from tests.virtual_time import on_virtual_time


async def put(server: Serving, name: str, labels: dict[str, str] | None = None, **data: str) -> None:
    sent: dict[str, Any] = config_map(name, **data)
    if labels:
        sent["metadata"]["labels"] = labels
    if (await server.send("POST", MAPS, sent)).status == 409:
        assert (await server.send("PUT", f"{MAPS}/{name}", sent)).status == 200


async def test_watch_1_every_change_after_the_revision_is_shown_once_and_in_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await put(server, "before")
        watch = await server.events(f"{MAPS}?watch=true&resourceVersion={server.store.revision}")
        for number in range(50):
            await put(server, f"k{number % 5}", n=str(number))
            await server.send("POST", "/api/v1/namespaces/default/configmaps", config_map(f"other{number}"))
        await server.send("DELETE", f"{MAPS}/k0")
        seen = [await watch.next() for _ in range(51)]
        assert [kind for kind, _ in seen] == ["ADDED"] * 5 + ["MODIFIED"] * 45 + ["DELETED"]
        revisions = [int(obj["metadata"]["resourceVersion"]) for _, obj in seen]
        assert revisions == sorted(set(revisions))
        assert revisions[-1] == server.store.revision, "a deletion is shown at its own revision (GW-12)"
        await watch.close()


async def test_watch_1_what_comes_to_match_is_added_and_what_ceases_to_is_deleted(tmp_path: Path) -> None:
    """GW-12."""
    async with serving(tmp_path) as server:
        watch = await server.events(f"{MAPS}?watch=true&labelSelector=on&resourceVersion={server.store.revision}")
        await put(server, "a", n="1")
        await put(server, "a", {"on": "1"}, n="2")
        await put(server, "a", {"on": "1"}, n="3")
        await put(server, "a", n="4")
        await put(server, "a", n="5")
        await put(server, "a", {"on": "2"}, n="6")
        await server.send("DELETE", f"{MAPS}/a")
        seen = [await watch.next() for _ in range(5)]
        assert [(kind, obj["data"]["n"]) for kind, obj in seen] == [
            ("ADDED", "2"),
            ("MODIFIED", "3"),
            ("DELETED", "3"),
            ("ADDED", "6"),
            ("DELETED", "6"),
        ]
        await watch.close()


async def test_watch_1_from_the_start_it_shows_what_is_there_and_then_what_changes(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for number in range(1200):
            server.store.put("configmaps", f"shop/k{number:04}", lambda revision: b'{"metadata":{}}')
        await put(server, "a")
        watch = await server.events("/api/v1/configmaps?watch=true&fieldSelector=metadata.name=a")
        await put(server, "a", n="1")
        assert await watch.names(2) == [("ADDED", "a"), ("MODIFIED", "a")]
        await watch.close()


async def test_watch_1_the_present_objects_end_with_a_bookmark_where_that_is_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await put(server, "a")
        watch = await server.events(
            f"{MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        )
        assert (await watch.next())[0] == "ADDED"
        kind, bookmark = await watch.next()
        assert (kind, bookmark["metadata"]) == (
            "BOOKMARK",
            {
                "resourceVersion": str(server.store.revision),
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        )
        await put(server, "b")
        assert await watch.names(1) == [("ADDED", "b")]
        await watch.close()


async def test_watch_2_an_event_is_encoded_once_for_all_who_watch_it_plainly(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        revision = server.store.revision
        watches = [await server.events(f"/api/v1/configmaps?watch=true&resourceVersion={revision}") for _ in range(3)]
        await put(server, "a")
        chunks = [await anext(watch.stream) for watch in watches]
        (change,) = server.store.watch("configmaps", revision).take(9)
        assert change.line is not None
        assert all(chunk == change.line for chunk in chunks)
        for watch in watches:
            await watch.close()


async def test_watch_3_a_reader_that_was_overtaken_finds_its_stream_ended(tmp_path: Path) -> None:
    async with serving(tmp_path, history_changes=20) as server:
        await put(server, "a")
        revision = server.store.revision
        watch = await server.events(f"{MAPS}?watch=true&resourceVersion={revision}")
        for number in range(40):
            await put(server, "a", n=str(number))
        assert await watch.ended()
        again = await server.events(f"{MAPS}?watch=true&resourceVersion={revision}")
        kind, status = await again.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert await again.ended()


@on_virtual_time
async def test_watch_4_it_ends_at_its_timeout_after_a_last_bookmark(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path) as server:
        started = loop.time()
        watch = await server.events(
            f"{MAPS}?watch=true&timeoutSeconds=100&allowWatchBookmarks=true&resourceVersion={server.store.revision}"
        )
        await server.send("POST", "/api/v1/namespaces/default/configmaps", config_map("elsewhere"))
        times = []
        for _ in range(3):
            kind, bookmark = await watch.next()
            assert (kind, bookmark["metadata"]) == ("BOOKMARK", {"resourceVersion": str(server.store.revision)})
            times.append(round(loop.time() - started, 1))
        assert await watch.ended()
        assert (times, round(loop.time() - started)) == ([0.5, 60, 98], 100)


@pytest.mark.slow
@on_virtual_time
async def test_watch_1_a_bookmark_is_never_past_a_change_that_was_not_shown(tmp_path: Path) -> None:
    """A watch that goes on from a bookmark must miss nothing, so a bookmark is never ahead of the events sent."""
    async with serving(tmp_path) as server:
        watch = await server.events(
            f"{MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=3000&resourceVersion={server.store.revision}"
        )
        shown = 0
        for number in range(1500):  # more than are taken at once
            await put(server, f"m{number}")
        while shown < 1500:
            kind, obj = await watch.next()
            revision = int(obj["metadata"]["resourceVersion"])
            if kind == "BOOKMARK":
                changes = server.store.watch("configmaps", revision).take(10_000)
                assert len(changes) == 1500 - shown, "a bookmark stepped over changes"
            else:
                shown += 1
                if shown % 500 == 1:
                    await asyncio.sleep(100)  # long enough for a bookmark to be due while changes wait
        kind, bookmark = await watch.next()
        assert (kind, bookmark["metadata"]) == ("BOOKMARK", {"resourceVersion": str(server.store.revision)})
        await watch.close()


@on_virtual_time
async def test_watch_5_who_allows_bookmarks_is_shown_something_within_a_second(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path) as server:
        revision = server.store.revision
        started = loop.time()
        silent = await server.events(f"{MAPS}?watch=true&allowWatchBookmarks=true&resourceVersion={revision}")
        busy = await server.events(f"{MAPS}?watch=true&allowWatchBookmarks=true&resourceVersion={revision}")
        plain = await server.events(f"{MAPS}?watch=true&timeoutSeconds=50&resourceVersion={revision}")
        assert (await silent.next())[0] == "BOOKMARK"
        assert loop.time() - started < 1
        await put(server, "a")
        assert await busy.names(1) == [("ADDED", "a")]
        assert await silent.names(1) == [("ADDED", "a")]
        for watch in (silent, busy):
            assert (await watch.next())[0] == "BOOKMARK"
            assert 60 <= loop.time() - started < 62, "one that showed an event needs no bookmark before its time"
            await watch.close()
        assert await plain.names(1) == [("ADDED", "a")]
        assert await plain.ended(), "who didn't allow them has none"


@on_virtual_time
async def test_watch_4_without_a_timeout_it_ends_between_30_and_60_minutes(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path) as server:
        started = loop.time()
        watch = await server.events(f"{MAPS}?watch=true&resourceVersion={server.store.revision}")
        assert await watch.ended()
        assert 1800 <= loop.time() - started <= 3601


async def test_watch_4_it_ends_when_the_server_stops(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        watch = await server.events(f"{MAPS}?watch=true&resourceVersion={server.store.revision}")
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(watch.ended())
            await asyncio.sleep(0)
            server.store.end_watches()
        assert ended.result()


async def test_a_watch_as_tables_has_columns_in_the_first_event_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        accept = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        watch = await server.events(f"{MAPS}?watch=true&resourceVersion={server.store.revision}", headers=accept)
        await put(server, "a")
        await put(server, "b")
        first, second = (await watch.next())[1], (await watch.next())[1]
        assert [row["cells"][0] for row in first["rows"] + second["rows"]] == ["a", "b"]
        assert (len(first["columnDefinitions"]), second["columnDefinitions"]) == (3, [])
        await watch.close()


async def test_events_are_watched_in_the_form_of_their_group(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        path = "/apis/events.k8s.io/v1/namespaces/shop/events"
        watch = await server.events(f"{path}?watch=true&resourceVersion={server.store.revision}")
        await server.send(
            "POST",
            "/api/v1/namespaces/shop/events",
            {"metadata": {"name": "e"}, "involvedObject": {"namespace": "shop"}, "message": "m"},
        )
        kind, event = await watch.next()
        assert (kind, event["apiVersion"], event["note"]) == ("ADDED", "events.k8s.io/v1", "m")
        await watch.close()


async def test_watch_6_a_watch_from_the_future_waits_for_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await put(server, "a")
        revision = server.store.revision + 2
        watch = await server.events(f"{MAPS}?watch=true&resourceVersion={revision}")
        for number in range(4):
            await put(server, "a", n=str(number))
        seen = [await watch.next() for _ in range(2)]
        assert [(kind, obj["data"]["n"]) for kind, obj in seen] == [("MODIFIED", "2"), ("MODIFIED", "3")]
        await watch.close()


REFUSED = {
    "a selector that is none": ("labelSelector=a%3Db%3Dc", 400),
    "a revision that is none": ("resourceVersion=abc", 500),
    "a place in a list": ("continue=abc", 422),
    "initial events without a match": ("sendInitialEvents=true", 422),
    "a match without initial events": ("resourceVersionMatch=NotOlderThan&resourceVersion=0", 422),
}


@pytest.mark.parametrize(("query", "status"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_watch_that_makes_no_sense_is_refused_before_it_begins(tmp_path: Path, query: str, status: int) -> None:
    async with serving(tmp_path) as server:
        assert (await server.send("GET", f"{MAPS}?watch=true&{query}")).status == status
