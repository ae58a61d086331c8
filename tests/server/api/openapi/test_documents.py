"""OpenAPI documents (OPENAPI-1 to 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pvbinder.model.resources import Resource
from pvbinder.server.api.openapi import OpenApi
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import ServedKind
from pvbinder.server.requests import ApiRequest, ApiResponse

V1 = "/openapi/v3/api/v1"


def ask(path: str, openapi: OpenApi | None = None, headers: dict[str, str] | None = None, **query: str) -> ApiResponse:
    request = ApiRequest("GET", path, {key: [value] for key, value in query.items()}, headers or {})
    response = (openapi or OpenApi(Registry())).answer(request)
    assert response is not None
    return response


def document(path: str) -> Any:
    return json.loads(ask(path).body)


def hash_of(openapi: OpenApi, name: str = "api/v1") -> str:
    index = json.loads(ask("/openapi/v3", openapi).body)
    return str(index["paths"][name]["serverRelativeURL"].partition("hash=")[2])


def test_openapi_1_the_index_names_every_group_and_version() -> None:
    registry = Registry()
    paths = json.loads(ask("/openapi/v3", OpenApi(registry)).body)["paths"]
    assert set(paths) == {
        f"apis/{group}/{version}" if group else f"api/{version}"
        for group in registry.groups()
        for version in registry.versions(group)
    }
    for name, entry in paths.items():
        assert entry["serverRelativeURL"].startswith(f"/openapi/v3/{name}?hash=")


def test_openapi_1_the_hash_changes_with_the_kinds() -> None:
    registry = Registry()
    openapi = OpenApi(registry)
    before = hash_of(openapi)
    registry.add(ServedKind(Resource("", "v1", "Widget", "widgets", True), "widget", "com.example.v1.Widget"))
    assert hash_of(openapi) != before


def test_openapi_2_by_its_hash_a_document_may_be_kept() -> None:
    openapi = OpenApi(Registry())
    kept = ask(V1, openapi, hash=hash_of(openapi))
    assert (kept.status, kept.headers["Cache-Control"]) == (200, "public, immutable")
    stale = ask(V1, openapi, hash="OLD")
    assert (stale.status, stale.headers["Location"]) == (301, f"{V1}?hash={hash_of(openapi)}")
    known = ask(V1, openapi, {"if-none-match": f'"{hash_of(openapi)}"'})
    assert (known.status, known.body) == (304, b"")


def test_what_is_not_there_is_404() -> None:
    assert ask("/openapi/v3/apis/nosuch/v1") == ApiResponse(404)
    assert OpenApi(Registry()).answer(ApiRequest("GET", "/openapi")) is None


def test_openapi_3_documents_are_json_and_v2_is_protobuf_too() -> None:
    protobuf = {"accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    assert ask(V1, headers=protobuf).status == 406
    assert ask("/openapi/v2", headers={"accept": "text/html"}).status == 406
    answer = ask("/openapi/v2", headers=protobuf)
    assert answer.headers["Content-Type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert answer.body.startswith(b"\x0a\x032.0\x12")
    assert b"io.k8s.api.core.v1.ConfigMap" in answer.body


async def test_openapi_4_a_document_is_made_before_it_is_asked_for() -> None:
    openapi = OpenApi(Registry())
    request = ApiRequest("GET", "/openapi/v2")
    await openapi.prepare(request)
    prepared = openapi.statistics().documents
    assert prepared == 1
    assert openapi.answer(request) is not None
    assert openapi.statistics().documents == prepared
    await openapi.prepare(ApiRequest("GET", "/openapi/v3/apis/none/v1"))
    assert openapi.statistics().documents == prepared


SPEC = "io.k8s.api.core.v1.PersistentVolumeClaimSpec"


def test_a_field_says_all_that_is_known_of_it() -> None:
    properties = document(V1)["components"]["schemas"][SPEC]["properties"]
    assert properties["resources"] == {
        "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.VolumeResourceRequirements"}],
        "default": {},
        "description": properties["resources"]["description"],
    }
    assert properties["accessModes"]["items"]["enum"][0] == "ReadOnlyMany"
    assert properties["accessModes"]["x-kubernetes-list-type"] == "atomic"
    assert properties["volumeMode"]["description"].endswith("will be or is formatted with a filesystem.")


def test_lists_say_how_they_merge() -> None:
    schema = document(V1)["components"]["schemas"]["io.k8s.api.core.v1.PersistentVolumeClaimStatus"]
    conditions = {key: value for key, value in schema["properties"]["conditions"].items() if key.startswith("x-")}
    assert conditions == {
        "x-kubernetes-list-map-keys": ["type"],
        "x-kubernetes-list-type": "map",
        "x-kubernetes-patch-merge-key": "type",
        "x-kubernetes-patch-strategy": "merge",
    }


def references(value: Any) -> set[str]:
    """All references in a document."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(inner) for inner in value.values()))
    if isinstance(value, list):
        return set().union(*(references(inner) for inner in value))
    return set()


@pytest.mark.parametrize(("path", "place"), [(V1, "#/components/schemas/"), ("/openapi/v2", "#/definitions/")])
def test_every_reference_leads_somewhere(path: str, place: str) -> None:
    openapi = document(path)
    schemas = openapi["components"]["schemas"] if "components" in openapi else openapi["definitions"]
    assert {reference.removeprefix(place) for reference in references(openapi)} <= set(schemas)


def test_every_path_of_a_kind_is_there_with_its_verbs() -> None:
    paths = document(V1)["paths"]
    claims = "/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    assert {"get", "post", "delete"} <= set(paths[claims])
    assert {"get", "put", "patch", "delete"} <= set(paths[f"{claims}/{{name}}"])
    assert {"get", "put", "patch"} <= set(paths[f"{claims}/{{name}}/status"])
    assert "get" in paths["/api/v1/persistentvolumeclaims"]
    patch = paths[f"{claims}/{{name}}"]["patch"]
    assert [parameter["name"] for parameter in patch["parameters"]] == [
        "dryRun",
        "fieldManager",
        "fieldValidation",
        "force",
    ]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "PersistentVolumeClaim"}
