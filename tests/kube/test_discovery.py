"""What a server serves, as its discovery documents tell (DISCOVERY-1 to DISCOVERY-3)."""

from __future__ import annotations

import pytest
from tests.kube.small_server import SmallServer, ok, refusal

from pvbinder.kube.client import Client, Retries
from pvbinder.kube.discovery import discover
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json
from pvbinder.model.resources import PODS, STORAGE_CLASSES

VERBS = ["create", "delete", "get", "list", "watch"]


class Documents(SmallServer):
    """A server that has discovery documents, and no more."""

    def __init__(self, documents: dict[str, Json]) -> None:
        super().__init__()
        self.documents = documents

    async def send(self, request: Request) -> Answer:
        self.requests.append(request)
        document = self.documents.get(request.path)
        return ok(document) if document is not None else refusal(503, "ServiceUnavailable", "no answer")


def client(server: SmallServer) -> Client:
    return Client(server, retries=Retries(attempts=1))


def resource(name: str, kind: str, *, namespaced: bool = False) -> Json:
    return {"name": name, "kind": kind, "namespaced": namespaced, "verbs": VERBS}


def shown(name: str, kind: str, scope: str = "Cluster") -> Json:
    return {"resource": name, "responseKind": {"kind": kind}, "scope": scope, "verbs": VERBS}


OLD_STYLE: dict[str, Json] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"resources": [resource("pods", "Pod", namespaced=True), resource("pods/status", "Pod")]},
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            {
                "name": "storage.k8s.io",
                "versions": [{"version": "v1beta1"}, {"version": "v1"}],
                "preferredVersion": {"version": "v1"},
            },
        ],
    },
    "/apis/storage.k8s.io/v1": {"resources": [resource("storageclasses", "StorageClass")]},
    "/apis/storage.k8s.io/v1beta1": {
        "resources": [resource("storageclasses", "StorageClass"), resource("olds", "Old")]
    },
}
AGGREGATED: dict[str, Json] = {
    "/api": {
        "kind": "APIGroupDiscoveryList",
        "items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [shown("pods", "Pod", "Namespaced")]}]}],
    },
    "/apis": {
        "kind": "APIGroupDiscoveryList",
        "items": [
            {
                "metadata": {"name": "storage.k8s.io"},
                "versions": [
                    {"version": "v1", "resources": [shown("storageclasses", "StorageClass")]},
                    {
                        "version": "v1beta1",
                        "resources": [shown("storageclasses", "StorageClass"), shown("olds", "Old")],
                    },
                ],
            },
            {"metadata": {"name": "example.com"}, "versions": [{"version": "v1", "freshness": "Stale"}]},
        ],
    },
}


@pytest.mark.parametrize("documents", [OLD_STYLE, AGGREGATED], ids=["one by one", "aggregated"])
async def test_discovery_1_each_kind_is_told_once_in_its_preferred_version(documents: dict[str, Json]) -> None:
    found = await discover(client(Documents(documents)))

    assert [served.resource for served in found.kinds][:2] == [PODS, STORAGE_CLASSES]
    assert [(served.resource.version, served.resource.plural) for served in found.kinds[2:]] == [("v1beta1", "olds")]
    assert found.find("storage.k8s.io", "StorageClass") is not None
    assert found.find("storage.k8s.io", "Disk") is None
    assert found.kinds[0].allows("list", "watch")
    assert not found.kinds[0].allows("list", "deletecollection")


async def test_discovery_2_aggregated_documents_cost_two_requests() -> None:
    aggregated, one_by_one = Documents(AGGREGATED), Documents(OLD_STYLE)

    await discover(client(aggregated))
    await discover(client(one_by_one))

    assert [request.path for request in aggregated.requests] == ["/api", "/apis"]
    assert len(one_by_one.requests) == 5


async def test_discovery_3_a_group_that_does_not_answer_hides_no_other() -> None:
    broken = {path: document for path, document in OLD_STYLE.items() if path != "/apis/storage.k8s.io/v1beta1"}

    found = await discover(client(Documents(broken)))

    assert found.missing == ("storage.k8s.io/v1beta1",)
    assert [served.resource for served in found.kinds] == [PODS, STORAGE_CLASSES]
    assert (await discover(client(Documents(AGGREGATED)))).missing == ("example.com/v1",)


async def test_a_server_without_discovery_is_a_failure() -> None:
    with pytest.raises(ApiFailure):
        await discover(client(Documents({})))


NO_DISCOVERY: dict[str, tuple[str, Json]] = {
    "no kinds": ("/apis", {"kind": "APIGroupDiscoveryList", "items": []}),
    "no groups": ("/apis", {"kind": "APIGroupList", "groups": []}),
    "no versions": ("/api", {"kind": "APIVersions", "versions": []}),
    "a list of objects": ("/apis", {"kind": "ConfigMapList", "apiVersion": "v1", "items": [{"metadata": {}}]}),
    "groups in place of versions": ("/api", {"kind": "APIGroupList", "groups": [{"name": "apps"}]}),
    "an empty object": ("/api", {}),
}


@pytest.mark.parametrize(("path", "document"), NO_DISCOVERY.values(), ids=NO_DISCOVERY.keys())
async def test_discovery_4_what_tells_of_no_kinds_is_not_believed(path: str, document: Json) -> None:
    with pytest.raises(ApiFailure, match=f"the answer to GET {path} "):
        await discover(client(Documents({**AGGREGATED, path: document})))


async def test_discovery_4_a_version_without_a_list_of_its_kinds_is_missing() -> None:
    found = await discover(client(Documents({**OLD_STYLE, "/apis/storage.k8s.io/v1": {"kind": "Status"}})))

    assert found.missing == ("storage.k8s.io/v1",)
