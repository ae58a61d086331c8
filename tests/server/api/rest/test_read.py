"""GET of objects and lists: revisions, pages, selectors, forms."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.server.serving import ADMIN, MAPS, VOLUMES, Reply, Serving, config_map, serving, volume

from pvbinder.server.api.rest import read
from pvbinder.server.api.rest.continue_token import make_token, read_token
from pvbinder.server.requests import ApiRequest

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def names(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [item["metadata"]["name"] for item in reply.body["items"]]


async def make(server: Serving, *wanted: str) -> None:
    for name in wanted:
        sent: dict[str, Any] = config_map(name)
        sent["metadata"]["labels"] = {"name": name}
        assert (await server.send("POST", MAPS, sent)).status == 201


async def test_pages_join_to_the_list_as_it_was_when_the_first_was_read(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, *"abcdefg")
        first = await server.send("GET", f"{MAPS}?limit=3")
        assert first.body["metadata"]["remainingItemCount"] == 4
        await make(server, "cc")
        await server.send("DELETE", f"{MAPS}/e")

        found, page = names(first), first
        while token := page.body["metadata"].get("continue"):
            page = await server.send("GET", f"{MAPS}?limit=3&continue={token}")
            assert page.revision == first.revision
            found += names(page)
        assert found == list("abcdefg")


async def test_a_continue_token_is_the_references(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, *"ab")
        page = await server.send("GET", f"{MAPS}?limit=1")
        token = page.body["metadata"]["continue"]
        decoded = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        assert decoded == {"v": "meta.k8s.io/v1", "rv": int(page.revision), "start": "a\0"}
        everywhere = (await server.send("GET", "/api/v1/configmaps?limit=1")).body["metadata"]["continue"]
        assert read_token(everywhere) == (int(page.revision), "shop/a\0")


async def test_an_expired_token_comes_with_one_that_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, *"abc")
        gone = await server.send("GET", f"{MAPS}?limit=1&continue={make_token(1, 'a')}")
        assert (gone.status, gone.body["reason"]) == (410, "Expired")
        rest = await server.send("GET", f"{MAPS}?continue={gone.body['metadata']['continue']}")
        assert names(rest) == ["b", "c"]


async def test_a_limited_list_with_a_selector_looks_on_until_it_has_enough(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, *"abcde")
        page = await server.send("GET", f"{MAPS}?limit=1&labelSelector=name in (b,d)")
        assert names(page) == ["b"]
        assert "remainingItemCount" not in page.body["metadata"]
        rest = await server.send(
            "GET", f"{MAPS}?limit=5&labelSelector=name in (b,d)&continue={page.body['metadata']['continue']}"
        )
        assert names(rest) == ["d"]


async def test_a_list_at_a_revision_is_exact_or_not_older(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        revision = server.store.revision
        await make(server, "b")
        exact = f"resourceVersion={revision}&resourceVersionMatch=Exact"
        assert names(await server.send("GET", f"{MAPS}?{exact}")) == ["a"]
        assert names(await server.send("GET", f"{MAPS}?{exact}&fieldSelector=metadata.name=b")) == []
        assert names(await server.send("GET", f"{MAPS}?resourceVersion={revision}&limit=9")) == ["a"]
        assert names(await server.send("GET", f"{MAPS}?resourceVersion={revision}")) == ["a", "b"]
        assert names(await server.send("GET", f"{MAPS}?resourceVersion=0")) == ["a", "b"]


async def test_a_read_at_a_revision_of_the_future_is_to_be_tried_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        for target in (MAPS, f"{MAPS}/a"):
            answer = await server.send("GET", f"{target}?resourceVersion=99999999")
            assert (answer.status, answer.headers["Retry-After"]) == (504, "1")


async def test_a_name_is_looked_up_and_the_other_terms_still_count(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make(server, *"ab")
        select = "fieldSelector=metadata.name=a"
        assert names(await server.send("GET", f"{MAPS}?{select}")) == ["a"]
        assert names(await server.send("GET", f"/api/v1/configmaps?{select}")) == ["a"]
        assert names(await server.send("GET", f"{MAPS}?{select}&labelSelector=name=b")) == []
        assert names(await server.send("GET", f"{MAPS}?{select},metadata.namespace=other")) == []


FORMS = {
    "nothing said": ("", "ConfigMap", "v1"),
    "anything": ("*/*", "ConfigMap", "v1"),
    "protobuf or JSON": ("application/vnd.kubernetes.protobuf,application/json", "ConfigMap", "v1"),
    "a table": (TABLE, "Table", "meta.k8s.io/v1"),
    "a table if possible": ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", "ConfigMap", "v1"),
    "what is liked best": (f"application/json;q=0.5,{TABLE};q=0.9", "Table", "meta.k8s.io/v1"),
    "metadata": (
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        "PartialObjectMetadata",
        "meta.k8s.io/v1",
    ),
}


@pytest.mark.parametrize(("accept", "kind", "api_version"), FORMS.values(), ids=FORMS.keys())
async def test_the_answer_has_the_form_that_is_accepted(
    tmp_path: Path, accept: str, kind: str, api_version: str
) -> None:
    async with serving(tmp_path) as server:
        await make(server, "a")
        answer = await server.send("GET", f"{MAPS}/a", headers={"accept": accept})
        assert (answer.body["kind"], answer.body["apiVersion"]) == (kind, api_version)


@pytest.mark.parametrize("accept", ["text/html", "application/json;as=Nothing;v=v1;g=meta.k8s.io", "application/*"])
async def test_what_is_not_to_be_had_is_not_acceptable(tmp_path: Path, accept: str) -> None:
    async with serving(tmp_path) as server:
        answer = await server.send("GET", f"{MAPS}/a", headers={"accept": accept})
        assert (answer.status, answer.body["reason"]) == (406, "NotAcceptable")


async def test_who_accepts_protobuf_alone_is_told_what_there_is(tmp_path: Path) -> None:
    protobuf = "application/vnd.kubernetes.protobuf"
    async with serving(tmp_path) as server:
        await make(server, "a")
        answer = await server.send("GET", f"{MAPS}/a", headers={"accept": protobuf})
        assert answer.status == 406
        assert answer.body["message"] == (
            f"answers are not written as {protobuf}: only the following media types are accepted: application/json, "
            "application/yaml"
        )
        for others in ("application/json", "*/*"):
            answer = await server.send("GET", f"{MAPS}/a", headers={"accept": f"{protobuf},{others}"})
            assert (answer.status, answer.body["kind"]) == (200, "ConfigMap")


async def test_a_list_as_a_table_has_a_row_for_each_object(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", VOLUMES, volume())
        table = (await server.send("GET", VOLUMES, headers={"accept": TABLE})).body
        assert [column["name"] for column in table["columnDefinitions"]][:2] == ["Name", "Capacity"]
        assert table["rows"][0]["cells"][:3] == ["disk", "1Gi", "RWO"]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_an_answer_in_yaml_is_the_same_object(tmp_path: Path) -> None:
    import yaml

    async with serving(tmp_path) as server:
        await make(server, "a")
        as_json = (await server.send("GET", f"{MAPS}/a")).body
        as_yaml = await server.send("GET", f"{MAPS}/a", headers={"accept": "application/yaml"})
        assert as_yaml.headers["Content-Type"] == "application/yaml"
        assert yaml.safe_load(as_yaml.body)["data"] == as_json["data"]


async def fill(server: Serving, count: int) -> None:
    futures = []
    for number in range(count):
        name = f"k{number:05}"
        text = (
            '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"%s","namespace":"shop","resourceVersion":"%d"}}'
        )
        encode = lambda revision, text=text, name=name: (text % (name, revision)).encode()  # noqa: E731
        futures.append(server.store.put("configmaps", f"shop/{name}", encode)[1])
    for future in futures:
        await future


@pytest.mark.parametrize("accept", ["application/json", TABLE])
async def test_read_1_a_long_list_is_the_state_at_which_it_was_taken(tmp_path: Path, accept: str) -> None:
    async with serving(tmp_path) as server:
        await fill(server, 25_000 if accept == "application/json" else 1200)
        count, revision = server.store.statistics().objects["configmaps"], server.store.revision
        async with asyncio.TaskGroup() as tasks:
            listing = tasks.create_task(server.send("GET", MAPS, headers={"accept": accept}))
            tasks.create_task(server.send("DELETE", f"{MAPS}/k00000"))
            tasks.create_task(server.send("DELETE", f"{MAPS}/k01199"))
        listed = listing.result()
        rows = listed.body["rows" if accept == TABLE else "items"]
        assert (listed.revision, len(rows)) == (str(revision), count)


@pytest.mark.parametrize("target", [f"{MAPS}?labelSelector=none", MAPS])
async def test_read_2_a_long_list_lets_others_have_their_turn(tmp_path: Path, target: str) -> None:
    async with serving(tmp_path) as server:
        await fill(server, 2000)
        finished: list[str] = []

        async def ask(what: str, accept: str) -> None:
            await server.send("GET", what, headers={"accept": accept})
            finished.append(what)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask(target, TABLE))
            tasks.create_task(ask(f"{MAPS}/k00001", "application/json"))
        assert finished == [f"{MAPS}/k00001", target]


@pytest.mark.parametrize("accept", ["application/json", TABLE])
async def test_read_3_a_long_list_comes_in_chunks_of_what_is_stored(tmp_path: Path, accept: str) -> None:
    async with serving(tmp_path) as server:
        for number in range(6):
            await server.send("POST", MAPS, config_map(f"m{number}", k="x" * (200_000 if number % 2 else 300)))
        await fill(server, 8000)
        whole = ApiRequest("GET", MAPS, headers={"accept": accept}, user=ADMIN)
        chunked = ApiRequest("GET", MAPS, headers={"accept": accept}, user=ADMIN, takes_chunks=True)
        expected = (await server.dispatcher.handle(whole)).body
        answer = await server.dispatcher.handle(chunked)
        assert answer.stream is not None
        chunks = [chunk async for chunk in answer.stream]
        assert b"".join(chunks) == expected
        assert answer.length in ((len(expected),) if accept == "application/json" else (None,))
        assert max(map(len, chunks)) <= 2 * read.CHUNK_BYTES


async def test_read_3_a_list_too_long_for_yaml_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map(k="x" * 1000))
        assert (await server.send("GET", MAPS, headers={"accept": "application/yaml"})).status == 200
        monkeypatch.setattr(read, "YAML_BYTES_MAX", 1000)
        refused = await server.send("GET", MAPS, headers={"accept": "application/yaml"})
        assert (refused.status, "limit" in str(refused.body)) == (406, True)
