"""Parts of a read: revisions at their bounds, pages and selectors, what is refused, chunks and turns of long lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.server.api.rest.asking import in_turns, watch_aside
from tests.server.serving import ADMIN, MAPS, VOLUMES, Reply, Serving, config_map, serving, volume

from pvbinder.server.api.negotiation import Form
from pvbinder.server.api.rest import read, turns
from pvbinder.server.api.rest.continue_token import make_token
from pvbinder.server.api.rest.shown import Shown
from pvbinder.server.requests import ApiRequest
from pvbinder.server.store import Stored

TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
FLOWS = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"


def names(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [item["metadata"]["name"] for item in reply.body["items"]]


async def make(server: Serving, *wanted: str) -> None:
    for name in wanted:
        sent: dict[str, Any] = config_map(name)
        sent["metadata"]["labels"] = {"name": name}
        assert (await server.send("POST", MAPS, sent)).status == 201


async def test_the_newest_revision_is_no_future(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        now = server.store.revision
        for target in (f"{MAPS}/a?", f"{MAPS}?", f"{MAPS}?resourceVersionMatch=NotOlderThan&"):
            assert (await server.send("GET", f"{target}resourceVersion={now}")).status == 200
            refused = await server.send("GET", f"{target}resourceVersion={now + 1}")
            assert (refused.status, refused.body["reason"], refused.message) == (
                504, "Timeout", f"Timeout: Too large resource version: {now + 1}, current: {now}",
            )  # fmt: skip
            assert refused.body["details"] == {
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            }
        exact = await server.send("GET", f"{MAPS}?resourceVersionMatch=Exact&resourceVersion={now + 9}")
        assert exact.message == f"Timeout: Too large resource version: {now + 9}, current: {now}"


REFUSED: dict[str, tuple[str, int, str]] = {
    "no number, of an object": (
        f"{MAPS}/a?resourceVersion=x", 500,
        'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ),
    "no number, of a list": (
        f"{MAPS}?resourceVersion=x", 400,
        'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ),
    "forgotten": (
        f"{MAPS}?resourceVersion=1&resourceVersionMatch=Exact", 410,
        "The resourceVersion for the provided list is too old.",
    ),
    "a token and a revision": (
        f"{MAPS}?resourceVersion=2&continue={make_token(1, 'a')}", 400,
        "specifying resource version is not allowed when using continue",
    ),
    "no selector": (
        f"{MAPS}?labelSelector=a%3Db%3Dc", 400, "found '=', expected: ',' or 'end of string'",
    ),
    "no such field": (
        f"{MAPS}?fieldSelector=data=x", 400, '"data" is not a known field selector: only "metadata.name"',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("target", "status", "message"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_a_read_refuses(tmp_path: Path, target: str, status: int, message: str) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        answer = await server.send("GET", target)
        assert (answer.status, message in answer.message) == (status, True), answer.message


async def test_a_limit_with_a_match_is_not_exact(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a", "b")
        at = f"resourceVersion={server.store.revision - 1}"
        assert names(await server.send("GET", f"{MAPS}?{at}&limit=9&resourceVersionMatch=NotOlderThan")) == ["a", "b"]
        assert names(await server.send("GET", f"{MAPS}?{at}&limit=9")) == ["a"]
        from_cache = await server.send("GET", f"{MAPS}?resourceVersion=0&limit=1")
        assert (names(from_cache), from_cache.body["metadata"].keys()) == (["a", "b"], {"resourceVersion"})
        token = (await server.send("GET", f"{MAPS}?limit=1")).body["metadata"]["continue"]
        await make(server, "c")
        rest = await server.send("GET", f"{MAPS}?resourceVersion=0&limit=1&continue={token}")
        assert (names(rest), rest.body["metadata"].keys()) == (["b"], {"resourceVersion"})


async def test_a_name_is_found_in_pages_and_at_revisions(tmp_path: Path) -> None:
    """One look-up: what else is there, even if it can't be read, isn't looked at."""
    async with serving(tmp_path) as server:
        await make(server, "b", "bb")
        then = server.store.revision
        await make(server, "a")
        await server.send("POST", VOLUMES, volume("disk"))
        await server.store.put("configmaps", "shop/c", lambda _: b"{")[1]
        await server.store.put("persistentvolumes", "other", lambda _: b"{")[1]
        exact = f"resourceVersion={then}&resourceVersionMatch=Exact"
        assert names(await server.send("GET", f"{VOLUMES}?fieldSelector=metadata.name=disk")) == ["disk"]
        for name, query, found in (
            ("b", "", ["b"]),
            ("x", "", []),
            ("b", exact, ["b"]),
            ("a", exact, []),
            ("b", f"continue={make_token(then, 'a')}", ["b"]),
            ("b", f"continue={make_token(-1, 'a')}", ["b"]),
            ("b", f"continue={make_token(-1, 'b')}", []),
            ("b", f"continue={make_token(then, 'b')}", []),
            ("bb", f"{exact}&limit=1", ["bb"]),
        ):
            answer = await server.send("GET", f"{MAPS}?fieldSelector=metadata.name={name}&{query}")
            assert names(answer) == found, (name, query)
            assert answer.body["metadata"].keys() == {"resourceVersion"}
            assert answer.revision == str(then if exact == query or "limit" in query else answer.revision)
        await server.store.delete("configmaps", "shop/c")[1]
        await server.send("DELETE", f"{MAPS}/b")
        assert names(await server.send("GET", f"{MAPS}?fieldSelector=metadata.name=b&{exact}")) == ["b"]
        assert names(await server.send("GET", "/api/v1/configmaps?fieldSelector=metadata.name=bb")) == ["bb"]


async def test_a_limited_list_with_a_selector_ends_with_the_last_object(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, *"abc")
        last = await server.send("GET", f"{MAPS}?limit=1&labelSelector=name=c")
        assert (names(last), last.body["metadata"].keys()) == (["c"], {"resourceVersion"})
        more = await server.send("GET", f"{MAPS}?limit=2&labelSelector=name")
        assert (names(more), "continue" in more.body["metadata"]) == (["a", "b"], True)
        assert names(await server.send("GET", f"{MAPS}?labelSelector=name&continue={make_token(-1, 'a')}")) == [
            "b",
            "c",
        ]
        then = f"resourceVersion={server.store.revision - 1}&resourceVersionMatch=Exact"
        exact = await server.send("GET", f"{MAPS}?labelSelector=name&{then}")
        assert (names(exact), exact.revision) == (["a", "b"], str(server.store.revision - 1))
        everywhere = await server.send("GET", "/api/v1/configmaps?limit=1&labelSelector=name")
        rest = everywhere.body["metadata"]["continue"]
        found = await server.send("GET", f"/api/v1/configmaps?labelSelector=name&continue={rest}")
        assert names(found) == ["b", "c"]
        gone = await server.send("GET", f"{MAPS}?labelSelector=name&continue={make_token(1, 'a')}")
        assert gone.status == 410


async def test_selectors_that_say_nothing_select_all(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        await server.send("POST", MAPS, config_map("b"))
        assert names(await server.send("GET", f"{MAPS}?labelSelector=%20")) == ["a", "b"]
        assert names(await server.send("GET", f"{MAPS}?labelSelector=!name")) == ["b"]
        assert names(await server.send("GET", f"{MAPS}?labelSelector=name&fieldSelector=metadata.name!=a")) == []


async def fill(server: Serving, count: int) -> None:
    text = '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"k%04d","namespace":"shop"}}'
    for number in range(count):
        server.store.put("configmaps", f"shop/k{number:04}", partial(_given, (text % number).encode()))
    await server.store.barrier()


def _given(data: bytes, _revision: int) -> bytes:
    return data


@pytest.mark.parametrize(
    ("selectors", "parts"),
    [
        ({"labelSelector": ",".join(["!x"] * 21)}, 0),
        ({"labelSelector": ",".join(["!x"] * 22)}, 3),
        ({"fieldSelector": ",".join(["metadata.name!=x"] * 22)}, 3),
        ({"labelSelector": ",".join(["!x"] * 12), "fieldSelector": ",".join(["metadata.name!=x"] * 12)}, 3),
        ({"labelSelector": ",".join(["!x"] * 81)}, 6),
    ],
)
async def test_read_2_a_list_with_a_heavy_selector_is_looked_through_aside(
    tmp_path: Path, selectors: dict[str, str], parts: int
) -> None:
    async with serving(tmp_path) as server:
        await fill(server, 600)
        asked = watch_aside(server)
        query = {name: [text] for name, text in selectors.items()}
        request = ApiRequest("GET", MAPS, query, headers={"accept": "application/json"}, user=ADMIN)
        answer = await server.dispatcher.handle(request)
        assert (answer.status, answer.body.count(b'"k0')) == (200, 600)
        assert asked == [("admin", True, 0)] * parts


async def test_read_2_a_collection_that_is_deleted_is_looked_through_aside_for_its_user(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        asked = watch_aside(server)
        assert (await server.send("DELETE", f"{MAPS}?labelSelector={','.join(['!x'] * 22)}")).status == 200
        assert asked == [("admin", True, 0)]


async def test_rows_have_the_order_of_their_kind(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for name, precedence in (("a", 9), ("b", 3), ("c", 5)):
            spec = {"priorityLevelConfiguration": {"name": "x"}, "matchingPrecedence": precedence}
            assert (await server.send("POST", FLOWS, {"metadata": {"name": name}, "spec": spec})).status == 201
        table = (await server.send("GET", FLOWS, headers=TABLE)).body
        assert [row["cells"][0] for row in table["rows"]] == ["b", "c", "a"]
        assert names(await server.send("GET", FLOWS)) == ["a", "b", "c"]
        metadata = {"accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
        assert names(await server.send("GET", FLOWS, headers=metadata)) == ["a", "b", "c"]


async def test_read_3_how_long_a_list_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a", "b")
        weight = sum(len(stored.data) for _, stored in server.store.objects("configmaps", "shop/"))

        async def ask(accept: str, *, chunks: bool = True) -> Any:
            headers = {"accept": accept}
            return await server.dispatcher.handle(
                ApiRequest("GET", MAPS, headers=headers, user=ADMIN, takes_chunks=chunks)
            )

        for limit, is_joined in ((weight, True), (weight - 1, False)):
            monkeypatch.setattr(read, "JOINED_BYTES_MAX", limit)
            answer = await ask("application/json")
            assert (answer.stream is None, answer.headers["Content-Type"]) == (is_joined, "application/json")
            assert answer.is_document is not is_joined
            assert (await ask("application/json", chunks=False)).stream is None
            assert (await ask("application/yaml")).stream is None
        for limit, status in ((weight, 200), (weight - 1, 406)):
            monkeypatch.setattr(read, "YAML_BYTES_MAX", limit)
            answer = await ask("application/yaml")
            assert answer.status == status
            assert (await ask("application/json")).status == 200
        refused = (await ask("application/yaml")).body.decode()
        assert f"a list of {weight} bytes is too long to be written as YAML: ask for JSON, or for pages of" in refused
        assert "reason: NotAcceptable" in refused


def stored(*sizes: int) -> list[Stored]:
    """Objects whose members, after the ``{``, have these sizes."""
    return [Stored(number, b"x" * size) for number, size in enumerate(sizes)]


BARE: Any = SimpleNamespace(item_members=lambda data: data, decode=lambda data: {"size": len(data)})
FULL = read.CHUNK_BYTES
CHUNKS: dict[str, tuple[list[int], list[list[int]]]] = {  # the sizes of members; of chunks, by turn
    "none": ([], [[2]]),
    "one": ([10], [[13]]),
    "what fits": ([10, FULL - 10], [[1 + 1 + 10 + 2 + FULL - 10 + 1]]),
    "what doesn't": ([10, FULL - 9], [[12, 2 + FULL - 9 + 1]]),
    "as large as a chunk": ([FULL, 1], [[2 + FULL, 4]]),
    "larger": ([FULL + 1, 1], [[2, FULL, 1], [2 + 1 + 1]]),
    "larger, later": ([5, FULL + 1], [[7, 2, FULL, 1], [1]]),
    "five": ([FULL] * 5, [[2 + FULL, 2 + FULL, 2 + FULL, 2 + FULL], [2 + FULL + 1]]),
    "nine": ([FULL] * 9, [[2 + FULL] * 4, [2 + FULL] * 4, [2 + FULL + 1]]),
}


@pytest.mark.parametrize(("sizes", "expected"), CHUNKS.values(), ids=CHUNKS.keys())
def test_read_2_a_list_in_chunks_and_turns(sizes: list[int], expected: list[list[int]]) -> None:
    found = in_turns(read._list_chunks(BARE, stored(*sizes), b"[", b"]"))
    assert [[len(chunk) for chunk in turn] for turn in found] == expected
    written = b"".join(chunk for turn in found for chunk in turn)
    assert written == b"[" + b",".join(b"{" + b"x" * size for size in sizes) + b"]"


class _Clock:
    """A clock that goes on by a step each time it is read."""

    def __init__(self, step: float) -> None:
        self.now = -step
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.mark.parametrize(
    ("sizes", "step", "rows"),
    [
        ([1] * 1001, 0.0, [500, 500, 1]),
        ([turns.BYTES_PER_TURN - 1, 1, 1], 0.0, [2, 1]),
        ([turns.BYTES_PER_TURN] * 2, 0.0, [1, 1]),
        ([1] * 5, read.SHOWN_SECONDS / 2, [3, 2]),
    ],
)
def test_read_2_how_many_rows_one_turn_makes(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], step: float, rows: list[int]
) -> None:
    monkeypatch.setattr(read, "perf_counter", _Clock(step))
    left = iter(stored(*sizes))
    found = []
    while made := list(read._objects_of_a_turn(BARE, left)):
        found.append(len(made))
    assert found == rows


async def test_read_2_rows_come_in_pieces_and_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "OBJECTS_PER_TURN", 2)
    monkeypatch.setattr(read, "SHOWN_SECONDS", 1e9)
    async with serving(tmp_path) as server:
        await make(server, *"abcde")
        storage = server.api.objects.storage("", "v1", "configmaps")
        assert storage is not None
        request = ApiRequest("GET", MAPS)
        shown = Shown.of(server.api, request, storage, Form("application/json", "table", "v1"))
        there = [one for _, one in server.store.objects("configmaps", "shop/")]

        def chunks() -> AsyncIterator[bytes]:
            return read._shown_chunks(shown, there, {"resourceVersion": "7"})

        found = in_turns(chunks())
        assert [len(turn) for turn in found] == [2, 1, 1, 1], "the start and two rows, two, one, the end"
        whole = b"".join(chunk for turn in found for chunk in turn)
        assert whole.endswith(b"]}\n")
        monkeypatch.setattr(read, "CHUNK_BYTES", 100)
        pieces = [chunk for turn in in_turns(chunks()) for chunk in turn]
        assert b"".join(pieces) == whole
        assert max(len(piece) for piece in pieces[1:]) == 100


def test_pieces_of_what_is_small_enough_are_itself() -> None:
    data = b"x" * 10
    assert next(read.pieces_of(data, 10)) is data
    assert list(read.pieces_of(data, 9)) == [b"x" * 9, b"x"]
    assert [type(piece) for piece in read.pieces_of(memoryview(data), 4)] == [bytes] * 3
    assert list(read.pieces_of(memoryview(data), 10)) == [data]


def items(*sizes: int) -> list[tuple[str, Stored]]:
    return [(str(number), one) for number, one in enumerate(stored(*sizes))]


def test_turns_1_bytes_are_counted_up_to_their_bound() -> None:
    full = turns.BYTES_PER_TURN
    assert [len(part) for part in turns.turns(items(full - 1, 1, 1))] == [2, 1]
    assert [len(part) for part in turns.turns(items(full - 2, 1, 1, 1))] == [3, 1]
    assert [len(part) for part in turns.turns(items(full, full, 1))] == [1, 1, 1]
    assert [len(part) for part in turns.turns(items(1, 1, 1), 2)] == [2, 1]


def test_turns_1_others_come_between_two_parts() -> None:
    given: Any = turns.in_turns(items(1, 1, 1, 1, 1), 2)
    assert [len(turn) for turn in in_turns(given)] == [2, 2, 1]
