"""Requests that cost their sender nothing and a server much: each with its name, and the objects that it needs.

A row is made when it is asked for: some are megabytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec
from tests.server.serving import JSON, MAPS, Serving

from pvbinder.server.requests import ApiRequest, ApiResponse

YAML = "application/yaml"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/shop/widgets"
MEGABYTES_3 = 3 << 20


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request; `prepare` makes what it needs."""

    method: str
    target: str
    body: Callable[[], bytes]
    content_type: str = JSON
    prepare: Callable[[Serving], Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def _filled(unit: str, start: str, end: str, size: int = MEGABYTES_3 - 100) -> bytes:
    return (start + unit * ((size - len(start) - len(end)) // len(unit)) + end).encode()


def _map(**more: object) -> bytes:
    return msgspec.json.encode({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **more})


def _keys(count: int, value: object = "v") -> dict[str, Any]:
    return {f"k{number}": value for number in range(count)}


def _yaml_map(lines: int) -> bytes:
    data = "\n".join(f"  k{number}: v" for number in range(lines))
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n{data}\n".encode()


def _widget(**spec: object) -> bytes:
    return msgspec.json.encode(
        {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec}
    )


def _aliases(levels: int, each: int) -> bytes:
    lines = ["apiVersion: example.com/v1", "kind: Widget", "metadata: {name: a}", "spec:", "  a0: &a0 " + "x" * 100]
    lines += [f"  a{level}: &a{level} [" + ",".join([f"*a{level - 1}"] * each) + "]" for level in range(1, levels)]
    return "\n".join(lines).encode()


def definition(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of widgets with this schema of their spec."""
    schema = {"type": "object", "properties": {"spec": spec}}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }


OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def with_widgets(spec: Mapping[str, Any] = OPEN) -> Callable[[Serving], Any]:
    """The preparation that defines widgets."""

    async def prepare(server: Serving) -> None:
        from pvbinder.server.api.establisher import Establisher

        establisher = Establisher(server.store, server.api.objects.registry, server.dispatcher, server.api.objects.now)
        establisher.load()
        reply = await server.send("POST", DEFINITIONS, definition(spec))
        assert reply.status == 201, reply.body
        establisher.accept(reply.body)

    return prepare


def with_map(**more: object) -> Callable[[Serving], Any]:
    """The preparation that makes a config map."""

    async def prepare(server: Serving) -> None:
        reply = await server.send("POST", MAPS, _map(**more))
        assert reply.status == 201, reply.body

    return prepare


def with_many_maps(count: int) -> Callable[[Serving], Any]:
    """The preparation that makes many config maps."""

    async def prepare(server: Serving) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(server.send("POST", MAPS, _map(metadata={"name": f"a{number}"})))

    return prepare


def with_quotas(objects: int, quotas: int) -> Callable[[Serving], Any]:
    """The preparation that makes many config maps, and quotas that count them."""

    async def prepare(server: Serving) -> None:
        await with_many_maps(objects)(server)
        for number in range(quotas):
            quota = {"metadata": {"name": f"q{number}"}, "spec": {"hard": {"configmaps": "100000"}}}
            assert (await server.send("POST", "/api/v1/namespaces/shop/resourcequotas", quota)).status == 201

    return prepare


def with_pod(count: int) -> Callable[[Serving], Any]:
    """The preparation that makes a pod with many environment variables."""

    async def prepare(server: Serving) -> None:
        reply = await server.send("POST", "/api/v1/namespaces/shop/pods", _pod(count))
        assert reply.status == 201, reply.body

    return prepare


def _env(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"name": f"E{number}", "value": "v"} for number in range(start, start + count)]


def _pod(count: int) -> bytes:
    container = {"name": "c", "image": "i", "env": _env(count)}
    return msgspec.json.encode({"metadata": {"name": "a"}, "spec": {"containers": [container]}})


def _nested_any_of(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"maxLength": 0}
    for _ in range(levels):
        schema = {"anyOf": [schema, schema], "oneOf": [schema, schema]}
    return {"type": "object", "additionalProperties": {"type": "string", **schema}}


def with_columns(
    path: str, spec: Mapping[str, Any], type_: str = "string", count: int = 1_000
) -> Callable[[Serving], Any]:
    """The preparation that defines widgets with many columns of one path, and makes a few with this spec."""

    async def prepare(server: Serving) -> None:
        from pvbinder.server.api.establisher import Establisher

        establisher = Establisher(server.store, server.api.objects.registry, server.dispatcher, server.api.objects.now)
        establisher.load()
        widgets = definition(OPEN)
        columns = [{"name": f"c{number}", "type": type_, "jsonPath": path} for number in range(count)]
        widgets["spec"]["versions"][0]["additionalPrinterColumns"] = columns
        reply = await server.send("POST", DEFINITIONS, widgets)
        assert reply.status == 201, reply.body
        establisher.accept(reply.body)
        for number in range(20):
            one = msgspec.json.decode(_widget(**spec))
            one["metadata"]["name"] = f"a{number}"
            assert (await server.send("POST", WIDGETS, one)).status == 201

    return prepare


def _deep(levels: int, letters: int) -> dict[str, Any]:
    """Objects inside each other, each with a name of so many letters."""
    return {"x" * letters: _deep(levels - 1, letters) if levels else 1}


def _as_table(prepare: Callable[[Serving], Any], one: str = "") -> Hostile:
    headers = {"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
    return Hostile("GET", WIDGETS + one, lambda: b"", prepare=prepare, headers=headers)


_WIDE: dict[str, Any] = {"a": [{"b": [1] * 100}] * 300}

PODS = "/api/v1/namespaces/shop/pods"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
_OWNER = {"apiVersion": "v1", "kind": "ConfigMap"}

HOSTILE: dict[str, Hostile] = {
    "review: 3 MB of {}": Hostile("POST", REVIEWS, lambda: _filled("{},", '{"spec":{"extra":[', "{}]}}")),
    "review: 3 MB of YAML": Hostile("POST", REVIEWS, lambda: _filled("- {}\n", "spec:\n", ""), YAML),
    "review: a million groups": Hostile(
        "POST",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        lambda: _filled(
            '"a",', '{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"},"user":"u","groups":[', '"a"]}}'
        ),
    ),
    "review: 200 000 groups": Hostile(
        "POST",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        lambda: msgspec.json.encode(
            {
                "spec": {
                    "resourceAttributes": {"verb": "get", "resource": "pods"},
                    "user": "u",
                    "groups": [f"g{n}" for n in range(200_000)],
                }
            }
        ),
    ),
    "review: unknown fields": Hostile("POST", REVIEWS, lambda: msgspec.json.encode({"spec": {}, **_keys(150_000, 1)})),
    "config map: 100 000 keys": Hostile("POST", MAPS, lambda: _map(data=_keys(100_000))),
    "config map: 100 000 keys in YAML": Hostile("POST", MAPS, lambda: _yaml_map(100_000), YAML),
    "config map: duplicate keys": Hostile(
        "POST", MAPS, lambda: _filled('"k":"v",', '{"metadata":{"name":"a"},"data":{', '"k":"v"}}')
    ),
    "config map: strict duplicate keys": Hostile(
        "POST",
        f"{MAPS}?fieldValidation=Strict",
        lambda: _filled('"k":"v",', '{"metadata":{"name":"a"},"data":{', '"k":"v"}}', 1_500_000),
    ),
    "apply: 120 000 keys": Hostile("PATCH", f"{MAPS}/a?fieldManager=m", lambda: _map(data=_keys(120_000)), APPLY),
    "apply: 60 000 keys over 60 000": Hostile(
        "PATCH",
        f"{MAPS}/a?fieldManager=m&force=true",
        lambda: _map(data={f"n{n}": "w" for n in range(60_000)}),
        APPLY,
        with_map(data=_keys(30_000)),
    ),
    "labels: 60 000": Hostile("POST", MAPS, lambda: _map(metadata={"name": "a", "labels": _keys(60_000)})),
    "labels: 60 000 wrong": Hostile(
        "POST", MAPS, lambda: _map(metadata={"name": "a", "labels": {f"-k{n}": "-" for n in range(60_000)}})
    ),
    "finalizers: 60 000": Hostile(
        "POST", MAPS, lambda: _map(metadata={"name": "a", "finalizers": [f"x.io/{n}" for n in range(60_000)]})
    ),
    "owner references: 15 000": Hostile(
        "POST",
        MAPS,
        lambda: _map(
            metadata={
                "name": "a",
                "ownerReferences": [{**_OWNER, "name": f"n{n}", "uid": f"u{n}"} for n in range(15_000)],
            }
        ),
    ),
    "json patch: 10 000 adds at the front": Hostile(
        "PATCH",
        f"{MAPS}/a",
        lambda: msgspec.json.encode(
            [{"op": "add", "path": "/metadata/finalizers/0", "value": f"x.io/{n}"} for n in range(10_000)]
        ),
        JSON_PATCH,
        with_map(metadata={"name": "a", "finalizers": ["x.io/y"]}),
    ),
    "json patch: doubling copies": Hostile(
        "PATCH",
        f"{WIDGETS}/a",
        lambda: msgspec.json.encode([{"op": "copy", "from": "/spec", "path": f"/spec/c{n}"} for n in range(30)]),
        JSON_PATCH,
        None,
    ),
    "merge patch: 100 000 keys": Hostile(
        "PATCH", f"{MAPS}/a", lambda: msgspec.json.encode({"data": _keys(100_000)}), MERGE, with_map()
    ),
    "merge patch: a label on a large object": Hostile(
        "PATCH",
        f"{MAPS}/a",
        lambda: msgspec.json.encode({"metadata": {"labels": {"a": "b"}}}),
        MERGE,
        with_map(data=_keys(40_000)),
    ),
    "strategic: 8 000 elements over 8 000": Hostile(
        "PATCH",
        f"{PODS}/a",
        lambda: msgspec.json.encode({"spec": {"containers": [{"name": "c", "env": _env(8_000, 4_000)}]}}),
        STRATEGIC,
        with_pod(8_000),
    ),
    "strategic: directives": Hostile(
        "PATCH",
        f"{PODS}/a",
        lambda: msgspec.json.encode(
            {"spec": {"containers": [{"name": "c", "$setElementOrder/env": _env(15_000), "env": _env(15_000)}]}}
        ),
        STRATEGIC,
        with_pod(10),
    ),
    "pod: 20 000 variables": Hostile("POST", PODS, lambda: _pod(20_000)),
    "custom: 3 MB of {}": Hostile(
        "POST",
        WIDGETS,
        lambda: _filled(
            "{},", '{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"},"spec":{"a":[', "{}]}}"
        ),
        JSON,
        with_widgets(),
    ),
    "custom: 200 000 values": Hostile("POST", WIDGETS, lambda: _widget(a=[{}] * 200_000), JSON, with_widgets()),
    "custom: aliases": Hostile("POST", WIDGETS, lambda: _aliases(6, 9), YAML, with_widgets()),
    "custom: a bomb": Hostile("POST", WIDGETS, lambda: _aliases(40, 9), YAML, with_widgets()),
    "custom: one integer of 3 MB": Hostile(
        "POST",
        WIDGETS,
        lambda: _filled(
            "9", '{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"},"spec":{"a":', "}}"
        ),
        JSON,
        with_widgets(),
    ),
    "custom: one integer of 3 MB in YAML": Hostile(
        "POST",
        WIDGETS,
        lambda: _filled(
            "9", '{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"},"spec":{"a":', "}}"
        ),
        YAML,
        with_widgets(),
    ),
    "custom: nested anyOf": Hostile(
        "POST", WIDGETS, lambda: _widget(**_keys(2_000)), JSON, with_widgets(_nested_any_of(7))
    ),
    "custom: nested anyOf, few values": Hostile(
        "POST", WIDGETS, lambda: _widget(**_keys(500)), JSON, with_widgets(_nested_any_of(7))
    ),
    "custom: large defaults": Hostile(
        "POST",
        WIDGETS,
        lambda: _widget(a=[{}] * 50_000),
        JSON,
        with_widgets(
            {
                "type": "object",
                "properties": {
                    "a": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"b": {"type": "string", "default": "x" * 100_000}}},
                    }
                },
            }
        ),
    ),
    "definition: 10 000 properties": Hostile(
        "POST",
        DEFINITIONS,
        lambda: msgspec.json.encode(
            definition({"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(10_000)}})
        ),
    ),
    "role: 5 000 rules": Hostile(
        "POST",
        ROLES,
        lambda: msgspec.json.encode(
            {
                "metadata": {"name": "r"},
                "rules": [{"apiGroups": [f"g{n}"], "resources": ["x"], "verbs": ["get"]} for n in range(5_000)],
            }
        ),
    ),
    "depth: 3 MB of [": Hostile("POST", MAPS, lambda: b"[" * (MEGABYTES_3 - 10)),
    "no JSON: 3 MB": Hostile("POST", MAPS, lambda: b'{"a":"' + b"\\u0041" * 400_000 + b"x"),
    "YAML: one text of 3 MB": Hostile("POST", MAPS, lambda: b"a: '" + b"x" * (MEGABYTES_3 - 100) + b"'", YAML),
    "YAML: comments": Hostile("POST", MAPS, lambda: b"#\n" * 1_500_000, YAML),
    "YAML: 3 MB of [": Hostile("POST", MAPS, lambda: b"[" * (MEGABYTES_3 - 100), YAML),
    "selector: 8 000 terms over 100 objects": Hostile(
        "GET",
        f"{MAPS}?labelSelector=" + ",".join(f"!a{n}" for n in range(8_000)),
        lambda: b"",
        prepare=with_many_maps(100),
    ),
    "delete a collection of 3 000": Hostile("DELETE", MAPS, lambda: b"", prepare=with_many_maps(3_000)),
    "list 2 000 as a Table": Hostile(
        "GET",
        MAPS,
        lambda: b"",
        prepare=with_many_maps(2_000),
        headers={"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"},
    ),
    "selector: 3 000 terms": Hostile(
        "GET", f"{MAPS}?labelSelector=" + ",".join(f"a{n}=b" for n in range(3_000)), lambda: b""
    ),
    "delete options of 3 MB": Hostile(
        "DELETE", f"{MAPS}/a", lambda: _filled("{},", '{"x":[', "{}]}"), JSON, with_map()
    ),
    "read as YAML": Hostile("GET", f"{MAPS}/a", lambda: b"", JSON, with_map(data=_keys(40_000)), {"accept": YAML}),
    "read as a Table": Hostile(
        "GET",
        f"{MAPS}",
        lambda: b"",
        JSON,
        with_map(data=_keys(40_000)),
        {"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"},
    ),
    "quotas: 15 000 objects": Hostile(
        "POST", MAPS, lambda: _map(metadata={"name": "b"}), prepare=with_quotas(15_000, 1)
    ),
    "quotas: 30 of them": Hostile("POST", MAPS, lambda: _map(metadata={"name": "b"}), prepare=with_quotas(5_000, 30)),
    "columns: wildcards that multiply": _as_table(with_columns(".spec.a[*].b[*]", _WIDE)),
    "columns: the same of one object": _as_table(with_columns(".spec.a[*].b[*]", _WIDE), "/a1"),
    "columns: five with wildcards": _as_table(with_columns(".spec.a[*].b[*]", _WIDE, count=5)),
    "columns: numbers": _as_table(with_columns(".spec.a[*].b[*]", _WIDE, "integer")),
    "columns: filters that refuse": _as_table(with_columns(".spec.a[*].b[?(@.c==1)]", _WIDE)),
    "columns: filters with wildcards": _as_table(with_columns(".spec.a[?(@.b[*]==1)].b", _WIDE)),
    "columns: whole specs": _as_table(with_columns(".spec", _WIDE)),
    "columns: fractions": _as_table(with_columns(".spec", {"a": [1.5] * 10_000})),
    "columns: answers": _as_table(with_columns(".spec", {"a": [True, False] * 10_000})),
    "columns: short texts": _as_table(with_columns(".spec", {"a": ["x"] * 10_000})),
    "columns: empty lists": _as_table(with_columns(".spec", {"a": [[]] * 10_000})),
    "columns: deep objects": _as_table(with_columns(".spec", _deep(levels=60, letters=20))),
    "columns: long texts": _as_table(with_columns(".spec", {"a": "x" * 1_000_000})),
    "columns: one long text": _as_table(with_columns(".spec.a", {"a": "x" * 1_000_000}, count=3)),
    "columns: a long date": _as_table(with_columns(".spec.a", {"a": "2" * 1_000_000}, "date")),
}


async def ask(server: Serving, hostile: Hostile) -> ApiResponse:
    """Send a hostile request; its answer isn't read here, so that only the server's work counts."""
    path, _, query = hostile.target.partition("?")
    headers = {"accept": JSON, "user-agent": "tester/1.0", "content-type": hostile.content_type, **hostile.headers}
    fields = parse_qs(query, keep_blank_values=True)
    return await server.dispatcher.handle(
        ApiRequest(hostile.method, path, fields, headers, hostile.body(), server.user)
    )
