"""A walk over our own OpenAPI: every answer is an object or a Status, whatever is sent to whatever path.

The paths, methods, query parameters and body schemas are those that the documents tell of; names, values and bodies are
drawn by hypothesis, near-valid ones among them. A bug is a request that ends in `dispatch`'s last resort: it is logged
with a traceback and answered with 500.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.serving import ADMIN, Serving, serving
from tests.server.strategies import disturbed, json_values, objects_of, texts

from pvbinder.server.api.openapi import OpenApi
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.requests import ApiRequest

PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
CONTENT_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "text/plain", "")
ACCEPTS = (
    "application/json",
    "application/json;as=Table;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "application/yaml",
    "*/*",
    "text/html",
)
NAMES = st.sampled_from(["a", "b", "shop", "default", "A", "..", "%2e%2e", "a b", "\0", "x" * 300, "é"])
VALUES = (
    st.sampled_from(["", "0", "1", "-1", "true", "All", "a=b", "!a", "metadata.name=a", "1e9", "Strict", "\0"]) | texts
)
JSON_PATCH = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"])},
        optional={
            "path": st.sampled_from(["", "/", "/metadata", "/metadata/labels/a", "/spec/-", "/status", "/spec/0/~1"]),
            "from": st.sampled_from(["", "/spec", "/metadata"]),
            "value": json_values,
        },
    ),
    max_size=3,
)


@dataclass(frozen=True)
class Operation:
    """A path with a method, its query parameters and the schema of its body."""

    path: str
    method: str
    parameters: tuple[str, ...]
    schema: str


@cache
def operations() -> tuple[Operation, ...]:
    """All operations in the OpenAPI v3 documents."""
    documents = OpenApi(Registry())

    def read(path: str) -> Any:
        answer = documents.answer(ApiRequest("GET", path, user=ADMIN))
        assert answer is not None
        return json.loads(answer.body)

    return tuple(
        Operation(path, method.upper(), _query(entry, operation), _schema(operation))
        for name in read("/openapi/v3")["paths"]
        for path, entry in read(f"/openapi/v3/{name}").get("paths", {}).items()
        for method, operation in entry.items()
        if method != "parameters"
    )


def _query(*places: Any) -> tuple[str, ...]:
    found = [each for place in places for each in place.get("parameters", ())]
    return tuple(each["name"] for each in found if each.get("in") == "query")


def _schema(operation: Any) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    reference = next((each["schema"].get("$ref", "") for each in content.values()), "")
    return str(reference.rpartition("/")[2])


@st.composite
def bodies(draw: st.DrawFn, operation: Operation, there: Any) -> bytes:
    """The bodies to send: an object of the schema, a changed copy of a stored one, other JSON, or no JSON."""
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return draw(st.binary(max_size=40))
    if choice == 1:
        return json.dumps(draw(json_values)).encode()
    if choice <= 3 and operation.method == "PATCH":
        return json.dumps(draw(JSON_PATCH)).encode()
    if choice == 4:
        return json.dumps({"metadata": {"labels": draw(st.dictionaries(NAMES, VALUES, max_size=2))}}).encode()
    if choice <= 7 and there is not None:
        if draw(st.booleans()):
            return json.dumps({**there, draw(st.sampled_from(["data", "status", "x"])): {"a": draw(VALUES)}}).encode()
        return json.dumps(draw(disturbed(st.builds(copy.deepcopy, st.just(there))))).encode()
    known = operation.schema and not operation.schema.endswith("Patch")
    obj: Any = draw(objects_of(operation.schema)) if known else {"spec": draw(json_values), "data": draw(json_values)}
    obj["metadata"] = {**(obj.get("metadata") or {}), "name": draw(st.sampled_from(["a", "b"]))}
    return json.dumps(obj).encode()


async def walk(data: st.DataObject, steps: int) -> None:
    """Send some requests to a server of their own."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as server:
            for obj in BEGINNING:
                await server.send("POST", *obj)
            for _ in range(steps):
                await step(data, server)


async def step(data: st.DataObject, server: Serving) -> None:
    """Send one request, and look at the answer."""
    operation = data.draw(st.sampled_from(operations()))
    plain, wild = data.draw(st.integers(0, 3)) > 0, data.draw(st.integers(0, 3)) == 0
    names = st.sampled_from(["a", "shop"]) if plain else NAMES
    path = operation.path.replace("{namespace}", "shop" if plain else data.draw(NAMES))
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + data.draw(names) + rest.partition("}")[2]
    query = (
        {name: data.draw(VALUES) for name in data.draw(st.lists(st.sampled_from(operation.parameters), max_size=3))}
        if operation.parameters
        else {}
    )
    target = path + "?" + "&".join(f"{name}={quote(value)}" for name, value in query.items())
    there = None
    if operation.method in ("PUT", "PATCH"):
        found = await server.send("GET", path)
        there = found.body if found.status == 200 else None
    options: dict[str, Any] = {"headers": {"accept": data.draw(st.sampled_from(ACCEPTS)) if wild else ACCEPTS[0]}}
    if operation.method != "GET":
        options["body"] = data.draw(bodies(operation, there))
        kinds = PATCHES if operation.method == "PATCH" else CONTENT_TYPES
        options["content_type"] = data.draw(st.sampled_from(kinds)) if wild or kinds is PATCHES else kinds[0]
    reply = await server.send(operation.method, target, **options)
    if reply.stream is not None:
        await reply.stream.aclose()  # type: ignore[attr-defined]  # the streams of the server are generators
    elif reply.status >= 400 and isinstance(reply.body, dict):
        assert (reply.body["kind"], reply.body["code"]) == ("Status", reply.status)


def _beginning() -> tuple[tuple[str, dict[str, Any]], ...]:
    spaced = "/api/v1/namespaces/shop"
    metadata = {"name": "a"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    workload = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    return (
        (f"{spaced}/configmaps", {"metadata": metadata, "data": {"a": "b"}}),
        (f"{spaced}/persistentvolumeclaims", {"metadata": metadata, "spec": claim}),
        ("/api/v1/persistentvolumes", {"metadata": metadata, "spec": volume}),
        (f"{spaced}/pods", {"metadata": metadata, "spec": template["spec"]}),
        (f"{spaced}/resourcequotas", {"metadata": metadata, "spec": {"hard": {"requests.storage": "1Ti"}}}),
        ("/apis/apps/v1/namespaces/shop/deployments", {"metadata": metadata, "spec": workload}),
        (
            "/apis/apps/v1/namespaces/shop/statefulsets",
            {"metadata": metadata, "spec": {**workload, "serviceName": "a"}},
        ),
        ("/apis/storage.k8s.io/v1/storageclasses", {"metadata": metadata, "provisioner": "x"}),
        ("/api/v1/nodes", {"metadata": metadata}),
    )


BEGINNING = _beginning()


class _Bugs(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(record)


@contextmanager
def no_bug() -> Iterator[None]:
    """Fail with the first exception that the server has logged."""
    bugs, log = _Bugs(), logging.getLogger("pvbinder.server.api.dispatch")
    log.addHandler(bugs)
    try:
        yield
    finally:
        log.removeHandler(bugs)
    for record in bugs.found:
        assert record.exc_info
        raise AssertionError(record.getMessage()) from record.exc_info[1]


def run(data: st.DataObject, steps: int) -> None:
    with no_bug():
        asyncio.run(walk(data, steps))


def test_the_walk_knows_every_kind_of_operation() -> None:
    methods = {operation.method for operation in operations()}
    assert methods >= {"GET", "POST", "PUT", "PATCH", "DELETE"}
    assert len(operations()) > 400


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_request_that_openapi_tells_of_finds_a_bug(data: st.DataObject) -> None:
    run(data, 25)


@pytest.mark.soak
def test_no_request_finds_a_bug_for_hours() -> None:
    until = time.monotonic() + float(os.environ.get("PVBINDER_SOAK_SECONDS", "60"))

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def walks(data: st.DataObject) -> None:
        run(data, 40)

    while time.monotonic() < until:
        walks()
