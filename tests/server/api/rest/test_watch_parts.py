"""Parts of a watch: where it starts, chunks and turns, bookmarks by the clock, what it leaves behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.server.api.rest.asking import in_turns
from tests.server.serving import MAPS, VOLUMES, Serving, config_map, serving, volume
from tests.virtual_time import on_virtual_time

from pvbinder.server.api.rest import watch
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.storage import Storage

METADATA = {"accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
OLDER = "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers"
MATCH = "resourceVersionMatch=NotOlderThan"
FULL = watch.CHUNK_BYTES_MAX


async def make(server: Serving, *names: str, **data: str) -> None:
    for name in names:
        assert (await server.send("POST", MAPS, config_map(name, **data))).status == 201


async def change(server: Serving, name: str, **data: str) -> None:
    assert (await server.send("PATCH", f"{MAPS}/{name}", {"data": data})).status == 200


STARTS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "nothing said": ("", [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]),
    "the beginning": ("&resourceVersion=0", [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]),
    "now": ("&resourceVersion=NOW", [("ADDED", "c")]),
    "earlier": ("&resourceVersion=EARLIER", [("ADDED", "b"), ("ADDED", "c")]),
    "without what is there": (f"&sendInitialEvents=false&{MATCH}", [("ADDED", "c")]),
    "without what is there, from earlier": (
        f"&sendInitialEvents=false&{MATCH}&resourceVersion=EARLIER",
        [("ADDED", "b"), ("ADDED", "c")],
    ),
    "with what is there now": (
        f"&sendInitialEvents=true&{MATCH}&resourceVersion=NOW",
        [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")],
    ),
    "with what is there, where it was earlier": (
        f"&sendInitialEvents=true&{MATCH}&resourceVersion=EARLIER",
        [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")],
    ),
}


@pytest.mark.parametrize(("query", "seen"), STARTS.values(), ids=STARTS.keys())
async def test_watch_1_where_it_starts(tmp_path: Path, query: str, seen: list[tuple[str, str]]) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        earlier = server.store.revision
        await make(server, "b")
        query = query.replace("NOW", str(server.store.revision)).replace("EARLIER", str(earlier))
        assert server.api.watches["configmaps"] == 0
        opened = await server.events(f"{MAPS}?watch=true{query}")
        await make(server, "c")
        assert await opened.names(len(seen)) == seen
        assert server.api.watches["configmaps"] == 1
        await opened.close()
        assert server.api.watches["configmaps"] == 0


async def test_a_watch_from_a_revision_that_is_forgotten_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path, history_changes=3) as server:
        await make(server, *"abcdef")
        answer = await server.send("GET", f"{MAPS}?watch=true&resourceVersion=2")
        assert (answer.status, answer.headers) == (200, {"Content-Type": "application/json"})
        assert answer.stream is not None
        (line,) = [chunk async for chunk in answer.stream]
        why = f"too old resource version: 2 ({server.store.revision})"
        assert line.endswith(b"\n")
        assert f'"message":"{why}"' in line.decode()
        future = await server.events(f"{MAPS}?watch=true&sendInitialEvents=true&{MATCH}&resourceVersion=999999")
        kind, status = await future.next()
        why = f"Timeout: Too large resource version: 999999, current: {server.store.revision}"
        assert (kind, status["code"], status["message"]) == ("ERROR", 504, why)


@pytest.mark.parametrize("version", ["", "&resourceVersion=0"])
async def test_watch_1_the_present_objects_of_an_older_client_end_with_a_bookmark_too(
    tmp_path: Path, version: str
) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        opened = await server.events(f"{MAPS}?watch=true&allowWatchBookmarks=true{version}")
        assert (await opened.next())[0] == "ADDED"
        kind, shown = await opened.next()
        assert (kind, shown["metadata"]["annotations"]) == ("BOOKMARK", {"k8s.io/initial-events-end": "true"})
        await opened.close()


async def test_watch_1_a_deletion_by_selection_is_shown_at_its_own_revision(tmp_path: Path) -> None:  # GW-12
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, {"metadata": {"name": "a", "labels": {"on": "1"}}})
        opened = await server.events(f"{MAPS}?watch=true&labelSelector=on&resourceVersion={server.store.revision}")
        answer = await server.send("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"on": None}}})
        kind, shown = await opened.next()
        assert (kind, shown["metadata"]["resourceVersion"]) == ("DELETED", answer.revision)
        assert shown["metadata"]["labels"] == {"on": "1"}
        await opened.close()


async def test_watch_1_with_selectors_only_what_is_selected_is_there_at_first(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for name in "ab":
            await server.send("POST", MAPS, {"metadata": {"name": name, "labels": {"n": name}}})
        opened = await server.events(f"{MAPS}?watch=true&labelSelector=n=b")
        assert await opened.names(1) == [("ADDED", "b")]
        await opened.close()


async def test_a_watch_of_one_object_looks_at_no_other(tmp_path: Path) -> None:
    """What can't be read is passed over: it has another key."""
    async with serving(tmp_path) as server:
        await make(server, "a")
        await server.send("POST", VOLUMES, volume("disk"))
        for kind, key, target in (
            ("configmaps", "shop/b", f"{MAPS}?watch=true&fieldSelector=metadata.name=a&"),
            ("persistentvolumes", "other", f"{VOLUMES}?watch=true&fieldSelector=metadata.name=disk&"),
            ("configmaps", "shop/c", "/api/v1/watch/namespaces/shop/configmaps/a?"),
            ("configmaps", "default/d", f"{MAPS}?watch=true&labelSelector=!x&"),
        ):
            opened = await server.events(f"{target}resourceVersion={server.store.revision}")
            await server.store.put(kind, key, lambda _: b"{")[1]
            path = MAPS + "/a" if kind == "configmaps" else VOLUMES + "/disk"
            await server.send("PATCH", path, {"metadata": {"annotations": {"key": key}}})
            kind_of, shown = await opened.next()
            assert (kind_of, shown["metadata"]["annotations"]["key"]) == ("MODIFIED", key)
            await opened.close()
        await server.store.delete("configmaps", "shop/b")[1]
        await server.store.delete("configmaps", "shop/c")[1]
        await server.store.delete("configmaps", "default/d")[1]
        everywhere = await server.events(
            f"/api/v1/configmaps?watch=true&fieldSelector=metadata.name=a&resourceVersion={server.store.revision}"
        )
        await make(server, "e")
        await change(server, "a", k="w")
        assert await everywhere.names(1) == [("MODIFIED", "a")]
        await everywhere.close()


async def test_watch_2_who_comes_later_has_all_that_was_encoded_before(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        target = f"{MAPS}?watch=true&resourceVersion={server.store.revision}"
        first, second = await server.events(target), await server.events(target)
        await make(server, *"abc")
        assert await first.names(3) == await second.names(3) == [("ADDED", name) for name in "abc"]
        await first.close()
        await second.close()


@pytest.mark.parametrize(("headers", "kind"), [(METADATA, "PartialObjectMetadata"), (TABLE, "Table")])
async def test_a_watch_in_another_form_has_it_in_every_event(
    tmp_path: Path, headers: dict[str, str], kind: str
) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        opened = await server.events(
            f"{MAPS}?watch=true&sendInitialEvents=true&{MATCH}&allowWatchBookmarks=true", headers=headers
        )
        events = [await opened.next(), await opened.next()]
        await change(server, "a", k="w")
        events.append(await opened.next())
        assert [(event, shown["kind"]) for event, shown in events] == [
            ("ADDED", kind), ("BOOKMARK", kind), ("MODIFIED", kind),
        ]  # fmt: skip
        assert events[1][1]["metadata"]["resourceVersion"] == events[0][1]["metadata"]["resourceVersion"]
        await opened.close()


async def test_a_bookmark_is_an_object_of_its_kind(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        opened = await server.events(f"{OLDER}?watch=true&sendInitialEvents=true&{MATCH}&allowWatchBookmarks=true")
        assert await opened.next() == (
            "BOOKMARK",
            {
                "kind": "HorizontalPodAutoscaler",
                "apiVersion": "autoscaling/v1",
                "metadata": {
                    "resourceVersion": str(server.store.revision),
                    "annotations": {"k8s.io/initial-events-end": "true"},
                },
            },
        )
        await opened.close()


async def test_conversion_1_what_cannot_be_shown_ends_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> bytes:
        raise ApiError(500, "InternalError", "it would lose a field")

    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "w", "apiVersion": "apps/v1"}, "maxReplicas": 3}
    async with serving(tmp_path) as server:
        await server.send("POST", OLDER, {"metadata": {"name": "w"}, "spec": spec})
        opened = await server.events(f"{OLDER}?watch=true")
        monkeypatch.setattr(Storage, "answer", fails)
        kind, status = await opened.next()
        assert (kind, status["kind"], status["message"]) == ("ERROR", "Status", "it would lose a field")
        assert await opened.ended()
        assert server.api.watches["horizontalpodautoscalers.autoscaling"] == 0


# lines by their length; an object larger than a chunk, which is in parts, by that of its parts
CHUNKS: dict[str, tuple[list[Any], list[int]]] = {
    "none": ([], []),
    "one": ([10], [10]),
    "what fits": ([FULL - 10, 10], [FULL]),
    "what doesn't": ([FULL - 10, 11], [FULL - 10, 11]),
    "three and one": ([FULL // 3] * 4, [FULL // 3 * 3, FULL // 3]),
    "one as large as a chunk": ([FULL, 1], [FULL, 1]),
    "one larger": ([FULL + 1, 1], [FULL + 1, 1]),
    "parts, first": ([(5, FULL + 1, 3), 4], [5, FULL, 1, 3, 4]),
    "parts, later": ([4, 4, (5, 2 * FULL, 3)], [8, 5, FULL, FULL, 3]),
    "after parts it begins anew": ([FULL, (1, 2, 3), FULL], [FULL, 1, 2, 3, FULL]),
}


@pytest.mark.parametrize(("given", "sizes"), CHUNKS.values(), ids=CHUNKS.keys())
def test_watch_3_lines_are_put_together_to_chunks(given: list[Any], sizes: list[int]) -> None:
    lines = [tuple(b"x" * part for part in one) if isinstance(one, tuple) else b"x" * one for one in given]
    chunks = list(watch._chunks(lines))
    assert [len(chunk) for chunk in chunks] == sizes


async def test_watch_3_a_large_object_comes_in_pieces_and_is_nobodys_copy(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        revision = server.store.revision
        await make(server, "big", k="x" * FULL)
        opened = await server.events(f"{MAPS}?watch=true&resourceVersion={revision}")
        chunks = [await anext(opened.stream) for _ in range(4)]
        assert (chunks[0], chunks[3]) == (b'{"type":"ADDED","object":', b"}\n")
        assert [len(chunk) for chunk in chunks[1:2]] == [FULL]
        (change,) = server.store.watch("configmaps", revision).take(1)
        assert b"".join(chunks[1:3]) == change.now.data
        assert change.line is None
        await opened.close()


def test_a_line_as_large_as_a_chunk_is_whole() -> None:
    assert isinstance(watch._line("ADDED", b"x" * FULL), bytes)
    assert isinstance(watch._line("ADDED", b"x" * (FULL + 1)), tuple)


async def test_watch_3_others_have_their_turn_after_four_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "CHUNK_BYTES_MAX", 1)
    monkeypatch.setattr(watch, "CHANGES_TAKEN_MAX", 1)
    monkeypatch.setattr(watch, "_line", lambda kind, data: kind.encode() + data[-1:])
    async with serving(tmp_path) as server:
        revision = server.store.revision
        await make(server, *"abcdefghi")
        for query in ("", f"&resourceVersion={revision}"):
            opened = await server.events(f"{MAPS}?watch=true&timeoutSeconds=1{query}")
            stream = opened.stream
            if query:  # the end comes with the changes: nothing is to be waited for
                server.store.end_watches()
                monkeypatch.setattr(type(server.store), "closed", property(lambda store: False))
            taken = in_turns(_first(stream, 9))
            assert [len(turn) for turn in taken] == [4, 4, 1]
            await opened.close()


async def _first(stream: Any, count: int) -> Any:
    """The first chunks of a stream."""
    async for chunk in stream:
        yield chunk
        count -= 1
        if not count:
            return


BOOKMARKS: dict[str, tuple[str, list[float], float]] = {  # when they come, and when the watch ends
    "long": ("timeoutSeconds=150&allowWatchBookmarks=true", [0.5, 60, 120, 148], 150),
    "a minute": ("timeoutSeconds=62&allowWatchBookmarks=true", [0.5, 60], 62),
    "short": ("timeoutSeconds=1&allowWatchBookmarks=true", [0.5], 1),
    "not allowed": ("timeoutSeconds=100", [], 100),
    "after the initial ones": (
        f"timeoutSeconds=100&allowWatchBookmarks=true&sendInitialEvents=true&{MATCH}", [0, 60, 98], 100,
    ),
    "without initial ones, as asked for": (
        f"timeoutSeconds=100&allowWatchBookmarks=true&sendInitialEvents=false&{MATCH}", [60, 98], 100,
    ),
    "initial ones without bookmarks": (f"timeoutSeconds=100&sendInitialEvents=true&{MATCH}", [], 100),
}  # fmt: skip


@pytest.mark.parametrize(("query", "times", "end"), BOOKMARKS.values(), ids=BOOKMARKS.keys())
@on_virtual_time
async def test_watch_4_when_bookmarks_come(tmp_path: Path, query: str, times: list[float], end: float) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path) as server:
        started = loop.time()
        revision = "" if "send" in query else f"resourceVersion={server.store.revision}&"
        opened = await server.events(f"{MAPS}?watch=true&{revision}{query}")
        for expected in times:
            kind, shown = await opened.next()
            assert (kind, round(loop.time() - started, 1)) == ("BOOKMARK", expected)
            assert ("annotations" in shown["metadata"]) is (expected == 0)
        assert await opened.ended()
        assert round(loop.time() - started, 1) == end


@on_virtual_time
async def test_watch_4_a_bookmark_of_the_future_waits_for_it(tmp_path: Path) -> None:  # WATCH-6
    async with serving(tmp_path) as server:
        future = server.store.revision + 2
        opened = await server.events(
            f"{MAPS}?watch=true&timeoutSeconds=100&allowWatchBookmarks=true&resourceVersion={future}"
        )
        waiting = asyncio.create_task(opened.next())
        await asyncio.sleep(70)
        assert not waiting.done(), "it would be told a revision before the one it is at"
        for number in range(3):
            await server.send("POST", "/api/v1/namespaces/default/configmaps", config_map(f"m{number}"))
        kind, shown = await waiting
        assert (kind, shown["metadata"]["resourceVersion"]) == ("BOOKMARK", str(server.store.revision))
        await opened.close()


async def test_a_watch_that_is_left_leaves_no_alarm_behind(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        opened = await server.events(f"{MAPS}?watch=true&resourceVersion={server.store.revision}")
        waiting = asyncio.create_task(opened.next())
        await asyncio.sleep(0)
        await make(server, "a")
        assert (await waiting)[0] == "ADDED"
        alarms = [one for one in asyncio.get_running_loop()._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
        assert len(alarms) == 1
        await opened.close()
        assert alarms[0].cancelled()
