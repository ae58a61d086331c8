"""Discovery documents, plain and aggregated (DISCOVERY-1 to 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pvbinder.model.resources import CONFIG_MAPS, CSI_NODES, NAMESPACES, Resource
from pvbinder.server.api.discovery import Discovery, aggregated_form, storage_version_hash
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import ServedKind
from pvbinder.server.requests import ApiRequest

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def answer(path: str, accept: str = "", registry: Registry | None = None) -> Any:
    headers = {"accept": accept, "host": "localhost:6443"}
    response = Discovery(registry or Registry()).answer(ApiRequest("GET", path, headers=headers))
    return None if response is None else json.loads(response.body)


def test_the_api_tells_where_it_is() -> None:
    assert (
        answer("/api")
        == answer("/api/")
        == {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "localhost:6443"}],
        }
    )


def test_the_core_resources_say_what_can_be_done() -> None:
    document = answer("/api/v1")
    assert (document["kind"], document["groupVersion"], "apiVersion" in document) == ("APIResourceList", "v1", False)
    resources = {resource["name"]: resource for resource in document["resources"]}
    assert resources["configmaps"] == {
        "name": "configmaps",
        "singularName": "configmap",
        "namespaced": True,
        "kind": "ConfigMap",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["cm"],
        "storageVersionHash": "qFsyl6wFWjQ=",
    }
    assert resources["persistentvolumeclaims/status"] == {
        "name": "persistentvolumeclaims/status",
        "singularName": "",
        "namespaced": True,
        "kind": "PersistentVolumeClaim",
        "verbs": ["get", "patch", "update"],
    }
    assert list(resources) == sorted(resources)


def test_discovery_1_groups_come_in_the_order_of_the_registry() -> None:
    groups = answer("/apis")["groups"]
    assert [group["name"] for group in groups] == [group for group in Registry().groups() if group]
    assert answer("/apis/storage.k8s.io") == {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": "storage.k8s.io",
        "versions": [{"groupVersion": "storage.k8s.io/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "storage.k8s.io/v1", "version": "v1"},
    }


@pytest.mark.parametrize("path", ["/api/v2", "/apis/none.k8s.io", "/apis/storage.k8s.io/v9", "/apis/a/b/c", "/else"])
def test_other_paths_are_not_its_business(path: str) -> None:
    assert answer(path) is None


def test_discovery_2_everything_in_one_document() -> None:
    document = answer("/apis", V2)
    assert (document["kind"], document["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    storage = next(item for item in document["items"] if item["metadata"]["name"] == "storage.k8s.io")
    assert storage["versions"][0]["freshness"] == "Current"
    resources = {resource["resource"]: resource for resource in storage["versions"][0]["resources"]}
    assert resources["storageclasses"] == {
        "resource": "storageclasses",
        "responseKind": {"group": "", "version": "", "kind": "StorageClass"},
        "scope": "Cluster",
        "singularResource": "storageclass",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["sc"],
    }
    assert answer("/api", V2)["items"][0]["metadata"] == {}
    assert answer("/apis/storage.k8s.io/v1", V2)["kind"] == "APIResourceList", "only at the two roots"


ACCEPTED = {
    "v2 first": (V2, True),
    "the older one, which is gone": (V2.replace("v=v2;", "v=v2beta1;"), False),
    "plain before it": ("application/json," + V2, True),
    "plain, and better": (V2.replace("as=APIGroupDiscoveryList", "as=APIGroupDiscoveryList;q=0.1"), True),
    "an unknown version": (V2.replace("v=v2;", "v=v3;"), False),
    "YAML": (V2.replace("json;g", "yaml;g"), True),
    "nothing": ("", False),
}


@pytest.mark.parametrize(("accept", "is_aggregated"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_discovery_2_as_the_client_accepts_it(accept: str, is_aggregated: bool) -> None:
    assert (aggregated_form(accept) is not None) is is_aggregated


def test_discovery_2_what_is_the_same_is_not_sent_again() -> None:
    discovery = Discovery(Registry())
    first = discovery.answer(ApiRequest("GET", "/apis", headers={"accept": V2}))
    assert first is not None
    assert (first.headers["Vary"], first.headers["Cache-Control"]) == ("Accept", "public")
    again = discovery.answer(ApiRequest("GET", "/apis", headers={"accept": V2, "if-none-match": first.headers["ETag"]}))
    assert again is not None
    assert (again.status, again.body) == (304, b"")


def test_the_plain_documents_are_negotiated_too() -> None:
    for accept in (V2.partition(",")[0].replace("v=v2;", "v=v3;"), "application/json;as=Table;g=meta.k8s.io;v=v1"):
        with pytest.raises(ApiError, match="only the following media types are accepted"):
            answer("/api", accept)
    with pytest.raises(ApiError, match="406: Not Acceptable"):
        answer("/apis/apps/v1", "text/html")


def test_discovery_3_a_new_kind_shows_at_once() -> None:
    registry = Registry()
    discovery = Discovery(registry)
    request = ApiRequest("GET", "/apis/example.com/v1")
    assert discovery.answer(request) is None
    registry.add(
        ServedKind(Resource("example.com", "v1", "Widget", "widgets", True), "widget", "com.example.v1.Widget")
    )
    response = discovery.answer(request)
    assert response is not None
    assert json.loads(response.body)["resources"][0]["name"] == "widgets"


def test_the_hash_of_a_storage_version_is_the_one_of_the_reference() -> None:
    assert storage_version_hash(CONFIG_MAPS) == "qFsyl6wFWjQ="
    assert storage_version_hash(NAMESPACES) == "Q3oi5N2YM8M="
    assert storage_version_hash(CSI_NODES) == "Pe62DkZtjuo="


def test_the_version_is_the_one_it_behaves_like() -> None:
    assert {key: answer("/version")[key] for key in ("major", "minor", "emulationMinor")} == {
        "major": "1",
        "minor": "36",
        "emulationMinor": "36",
    }
