"""Versions that a webhook would convert: what both know goes over, what one would lose doesn't."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.kinds.definitions.webhook_conversion import lost_field
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import ApiRequest, UserInfo

ADMIN = UserInfo("admin", groups=("system:masters",))
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = "hosts.example.com"
V1, V2 = (f"/apis/example.com/{version}/namespaces/default/hosts" for version in ("v1", "v2"))
OLD = {"title": {"type": "string"}, "host": {"type": "string"}, "port": {"type": "integer"}}
NEW = {"title": {"type": "string"}, "hostPort": {"type": "string"}, "count": {"type": "integer", "default": 1}}
TOLD = (
    'conversion webhook for example.com/{}, Kind=Host failed: Post "https://convert.ops.svc:443/v?timeout=30s": this '
    "server calls no webhooks, and spec.{} would be lost without: use the version that is stored"
)


def version(name: str, properties: Json, *, storage: bool) -> Json:
    spec = {"type": "object", "properties": properties}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {"name": name, "served": True, "storage": storage, "schema": schema}


CLIENT = {"service": {"name": "convert", "namespace": "ops", "path": "/v"}}
DEFINITION: Json = {
    "metadata": {"name": NAME},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "hosts", "kind": "Host"},
        "conversion": {
            "strategy": "Webhook",
            "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": CLIENT},
        },
        "versions": [version("v1", OLD, storage=True), version("v2", NEW, storage=False)],
    },
}


class Asker:
    """A server with the definition, asked for JSON."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    async def ask(self, method: str, path: str, body: Json | None = None, accept: str = "application/json") -> Any:
        """Return the answer's body."""
        path, _, query = path.partition("?")
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"content-type": kind, "accept": accept, "user-agent": "tests"}
        asked = {key: [value] for key, _, value in (pair.partition("=") for pair in query.split("&") if pair)}
        raw = b"" if body is None else json.dumps(body).encode()
        answer = await self._server.dispatcher.handle(ApiRequest(method, path, asked, headers, raw, user=ADMIN))
        if answer.stream is not None:
            lines = [line async for line in answer.stream]
            return [json.loads(line) for line in b"".join(lines).splitlines()]
        return json.loads(answer.body)

    async def define(self, definition: Json) -> None:
        """Write the definition and wait until its kind is served."""
        await self.ask("POST", DEFINITIONS, definition)
        async with asyncio.timeout(5):
            while not await self._is_served():
                await asyncio.sleep(0)

    async def _is_served(self) -> bool:
        conditions = (await self.ask("GET", f"{DEFINITIONS}/{NAME}"))["status"]["conditions"] or []
        return any(one["type"] == "Established" for one in conditions)


@pytest.fixture
async def asker(tmp_path: Path) -> AsyncIterator[Asker]:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        made = Asker(server)
        await made.define(DEFINITION)
        yield made


def host(version: str, name: str = "a", **spec: Any) -> Json:
    return {"apiVersion": f"example.com/{version}", "kind": "Host", "metadata": {"name": name}, "spec": spec}


async def test_conversion_1_nothing_is_lost(asker: Asker) -> None:
    await asker.ask("POST", V1, host("v1", title="db", port=5))
    told = TOLD.format("v1", "port")
    for method, path, body in (
        ("GET", f"{V2}/a", None),
        ("GET", V2, None),
        ("PATCH", f"{V2}/a", {"metadata": {"labels": {"a": "b"}}}),
        ("DELETE", f"{V2}/a", None),
        ("DELETE", V2, None),
    ):
        answer = await asker.ask(method, path, body)
        assert (answer["code"], answer["message"], "reason" in answer) == (500, told, False), (method, path)
    (event,) = await asker.ask("GET", f"{V2}?watch=true&resourceVersion=0&timeoutSeconds=1")
    assert (event["type"], event["object"]["message"]) == ("ERROR", told)
    new = await asker.ask("POST", V2, host("v2", title="new", hostPort="x:1"))
    assert new["message"] == TOLD.format("v2", "hostPort")
    stored = await asker.ask("GET", f"{V1}/a")
    assert (stored["spec"], "labels" in stored["metadata"]) == ({"title": "db", "port": 5}, False)


async def test_conversion_2_what_both_know_goes_over(asker: Asker) -> None:
    made = await asker.ask("POST", V2, host("v2", title="db"))
    assert (made["apiVersion"], made["spec"]) == ("example.com/v2", {"title": "db"})
    assert (await asker.ask("GET", f"{V1}/a"))["apiVersion"] == "example.com/v1"
    changed = await asker.ask("PATCH", f"{V2}/a", {"spec": {"title": "web"}})
    assert changed["spec"] == {"title": "web"}
    assert [one["spec"] for one in (await asker.ask("GET", V2))["items"]] == [{"title": "web"}]
    assert (await asker.ask("DELETE", f"{V2}/a"))["status"] == "Success"


async def test_another_stored_version_loses_nothing_either(asker: Asker) -> None:
    await asker.ask("POST", V1, host("v1", title="db", port=5))
    await asker.ask("POST", V1, host("v1", "b", title="b"))
    other = copy.deepcopy(DEFINITION)
    for each in other["spec"]["versions"]:
        each["storage"] = each["name"] == "v2"
    await asker.ask("PATCH", f"{DEFINITIONS}/{NAME}", {"spec": other["spec"]})
    async with asyncio.timeout(5):
        while (await asker.ask("GET", f"{V2}/b")).get("spec") != {"title": "b", "count": 1}:
            await asyncio.sleep(0)
    assert (await asker.ask("GET", f"{V2}/a"))["message"] == TOLD.format("v1", "port")
    assert (await asker.ask("PATCH", f"{V2}/a", {"spec": {"count": 2}}))["code"] == 500
    await asker.ask("PATCH", f"{DEFINITIONS}/{NAME}", {"spec": DEFINITION["spec"]})
    async with asyncio.timeout(5):
        while (await asker.ask("GET", f"{V1}/a")).get("spec") != {"title": "db", "port": 5}:
            await asyncio.sleep(0)


async def test_a_definition_that_goes_takes_such_objects_with_it(asker: Asker) -> None:
    await asker.ask("POST", V1, host("v1", title="db", port=5))
    await asker.ask("DELETE", f"{DEFINITIONS}/{NAME}")
    async with asyncio.timeout(5):
        while (await asker.ask("GET", f"{DEFINITIONS}/{NAME}")).get("code") != 404:
            await asyncio.sleep(0)


async def test_metadata_and_deletion_by_it_need_no_conversion(asker: Asker) -> None:
    """The controller of namespaces empties them that way."""
    await asker.ask("POST", V1, host("v1", title="db", port=5))
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    assert [one["metadata"]["name"] for one in (await asker.ask("GET", V2, accept=accept))["items"]] == ["a"]
    assert (await asker.ask("DELETE", V2, accept=accept))["kind"] == "PartialObjectMetadataList"
    assert (await asker.ask("GET", V1))["items"] == []


LOST: dict[str, tuple[Json, Json, str]] = {
    "nothing": ({"a": {"b": [1]}}, {"a": {"b": [1], "c": 2}}, ""),
    "a field": ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, "a.c"),
    "a field of an item": ({"a": [{"b": 1}, {"c": 2}]}, {"a": [{"b": 1}, {}]}, "a[1].c"),
    "an item": ({"a": [1, 2]}, {"a": [1]}, "a"),
    "null": ({"a": {"b": None}}, {"a": {}}, ""),
    "the head": ({"apiVersion": "x/v1", "kind": "K", "metadata": {"a": 1}}, {}, ""),
}


@pytest.mark.parametrize(("before", "after", "path"), LOST.values(), ids=LOST.keys())
def test_what_is_lost(before: Json, after: Json, path: str) -> None:
    assert lost_field(before, after) == path
