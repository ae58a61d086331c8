"""Custom kinds on a real server: defined, served, conformed, changed, gone (ESTABLISHER-1 to 5)."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.watchdog import Watchdog, watchdog  # noqa: F401  (a fixture)

from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.kinds.built_in.snapshots import DEFINITIONS as SNAPSHOT_DEFINITIONS
from pvbinder.server.kinds.definitions.definition import DEFINITIONS as RESOURCE
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo

ADMIN = UserInfo("admin", groups=("system:masters",))
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABS = "/apis/stable.example.com/v1/namespaces/default/crontabs"
NAME = "crontabs.stable.example.com"

SPEC_SCHEMA: Json = {
    "type": "object",
    "required": ["cronSpec"],
    "properties": {
        "cronSpec": {"type": "string"},
        "replicas": {"type": "integer", "minimum": 1, "default": 1},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "items": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "v": {"type": "integer"}},
            },
        },
    },
}
DEFINITION: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": NAME},
    "spec": {
        "group": "stable.example.com",
        "scope": "Namespaced",
        "names": {"plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
                "additionalPrinterColumns": [{"name": "Cron", "type": "string", "jsonPath": ".spec.cronSpec"}],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": SPEC_SCHEMA,
                            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
                        },
                    }
                },
            },
            {
                "name": "v1beta1",
                "served": True,
                "storage": False,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            },
        ],
    },
}


class Plane:
    """A server and a way to ask it."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    async def send(self, method: str, path: str, body: Any = None, kind: str = "json", **query: str) -> ApiResponse:
        """Send a request as an administrator."""
        return await self._server.dispatcher.handle(
            ApiRequest(
                method,
                path,
                {key: [value] for key, value in query.items()},
                {"content-type": f"application/{kind}", "user-agent": "tests"},
                b"" if body is None else json.dumps(body).encode(),
                user=ADMIN,
            )
        )

    async def ask(self, method: str, path: str, body: Any = None, kind: str = "json", **query: str) -> Any:
        """Send a request and read the answer."""
        return json.loads((await self.send(method, path, body, kind, **query)).body)

    async def until_gone(self, path: str) -> None:
        """Wait until a path answers 404."""
        async with asyncio.timeout(5):
            while (await self.send("GET", path)).status != 404:
                await asyncio.sleep(0)

    async def established(self, name: str = NAME) -> Json:
        """Wait until the definition says that its kind is served."""
        async with asyncio.timeout(5):
            while True:
                definition: Json = await self.ask("GET", f"{DEFINITIONS}/{name}")
                for condition in definition["status"]["conditions"] or ():
                    if condition["type"] == "Established":
                        return definition
                await asyncio.sleep(0)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        yield Plane(server)


@pytest.fixture
async def tabs(plane: Plane) -> Plane:
    assert (await plane.send("POST", DEFINITIONS, DEFINITION)).status == 201
    await plane.established()
    return plane


def tab(name: str = "one", **spec: Any) -> Json:
    return {
        "apiVersion": "stable.example.com/v1",
        "kind": "CronTab",
        "metadata": {"name": name},
        "spec": {"cronSpec": "* * * * *"} | spec,
    }


async def test_establisher_1_a_definition_is_accepted_and_says_so(tabs: Plane) -> None:
    definition = await tabs.established()
    assert definition["status"]["acceptedNames"] == definition["spec"]["names"] == {
        "plural": "crontabs", "singular": "crontab", "kind": "CronTab", "listKind": "CronTabList", "shortNames": ["ct"],
    }  # fmt: skip
    assert definition["status"]["storedVersions"] == ["v1"]
    assert [(c["type"], c["status"]) for c in definition["status"]["conditions"]] == [
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ]


async def test_establisher_2_names_that_are_taken_are_not_accepted(tabs: Plane) -> None:
    second = copy.deepcopy(DEFINITION)
    second["metadata"]["name"] = "others.stable.example.com"
    second["spec"]["names"] = {"plural": "others", "kind": "Other", "shortNames": ["ct"]}
    await tabs.ask("POST", DEFINITIONS, second)
    async with asyncio.timeout(5):
        while True:
            conditions = (await tabs.ask("GET", f"{DEFINITIONS}/others.stable.example.com"))["status"]["conditions"]
            if conditions:
                break
            await asyncio.sleep(0)
    assert conditions[0]["message"] == '"ct" is already in use'
    assert (await tabs.send("GET", "/apis/stable.example.com/v1/others")).status == 404


async def test_establisher_3_a_definition_takes_its_objects_with_it(tabs: Plane) -> None:
    await tabs.ask("POST", TABS, tab())
    await tabs.ask("DELETE", f"{DEFINITIONS}/{NAME}")
    await tabs.until_gone(f"{DEFINITIONS}/{NAME}")
    await tabs.until_gone(TABS)
    await tabs.ask("POST", DEFINITIONS, DEFINITION)
    await tabs.established()
    assert (await tabs.ask("GET", TABS))["items"] == []


async def test_establisher_4_after_a_restart_the_kind_is_there_at_once(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        plane = Plane(server)
        await plane.ask("POST", DEFINITIONS, DEFINITION)
        await plane.established()
        await plane.ask("POST", TABS, tab())
    async with EmbeddedServer(tmp_path, listen=False) as server:
        assert (await Plane(server).ask("GET", f"{TABS}/one"))["spec"]["replicas"] == 1


OWN = {
    "roles in another version": ("rbac.authorization.k8s.io", "clusterroles", "ClusterRole", "v2"),
    "bindings in another version": (
        "rbac.authorization.k8s.io",
        "clusterrolebindings",
        "ClusterRoleBinding",
        "v1beta1",
    ),
    "classes in the version that is served": ("storage.k8s.io", "storageclasses", "StorageClass", "v1"),
}


@pytest.mark.parametrize(("group", "plural", "kind", "version"), OWN.values(), ids=OWN.keys())
async def test_establisher_5_a_kind_of_kubernetes_own_is_never_served_by_a_definition(
    plane: Plane, group: str, plural: str, kind: str, version: str
) -> None:
    own = f"/apis/{group}/v1/{plural}"
    before = await plane.ask("GET", own)
    definition = copy.deepcopy(DEFINITION)
    name = definition["metadata"]["name"] = f"{plural}.{group}"
    definition["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, as a test"}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    definition["spec"] |= {"group": group, "scope": "Cluster", "names": names}
    definition["spec"]["versions"] = [definition["spec"]["versions"][0] | {"name": version}]
    assert (await plane.send("POST", DEFINITIONS, definition)).status == 201
    established = {"type": "Established", "status": "True", "reason": "X", "message": ""}
    status = {"status": {"conditions": [established | {"lastTransitionTime": "2026-03-01T12:00:00Z"}]}}
    await plane.send("PATCH", f"{DEFINITIONS}/{name}/status", status, "merge-patch+json")
    async with asyncio.timeout(5):
        while True:
            conditions = (await plane.ask("GET", f"{DEFINITIONS}/{name}"))["status"]["conditions"]
            told = {condition["type"]: condition for condition in conditions or ()}
            if {told[name]["status"] for name in ("NamesAccepted", "Established") if name in told} == {"False"}:
                break
            await asyncio.sleep(0)
    assert told["NamesAccepted"]["message"] == f'"{plural}" is already in use'
    if version != "v1":
        assert (await plane.send("GET", f"/apis/{group}/{version}/{plural}")).status == 404
    await plane.send("DELETE", f"{DEFINITIONS}/{name}")
    await plane.until_gone(f"{DEFINITIONS}/{name}")
    assert (await plane.ask("GET", own))["items"] == before["items"]


async def test_a_kind_that_is_served_without_a_definition_is_served_again_after_one(plane: Plane) -> None:
    snapshots = "/apis/snapshot.storage.k8s.io/v1/namespaces/default/volumesnapshots"
    snapshot = {"metadata": {"name": "a"}, "spec": {"source": {"persistentVolumeClaimName": "data"}}}
    assert (await plane.send("POST", snapshots, snapshot)).status == 201
    for definition in SNAPSHOT_DEFINITIONS:
        official = copy.deepcopy(definition)
        official["spec"]["versions"][0]["additionalPrinterColumns"] = []
        assert (await plane.send("POST", DEFINITIONS, official)).status == 201
        await plane.established(official["metadata"]["name"])
    assert (await plane.send("GET", f"{snapshots}/a")).status == 200
    assert (await plane.send("POST", snapshots, {**snapshot, "metadata": {"name": "b"}})).status == 201
    for definition in SNAPSHOT_DEFINITIONS:
        name = definition["metadata"]["name"]
        assert (await plane.send("DELETE", f"{DEFINITIONS}/{name}")).status == 200
        await plane.until_gone(f"{DEFINITIONS}/{name}")
    assert (await plane.ask("GET", snapshots))["items"] == []  # they went with their definition
    assert (await plane.send("POST", snapshots, snapshot)).status == 201
    refused = await plane.send("POST", snapshots, {"metadata": {"name": "c"}, "spec": {"source": {}}})
    assert refused.status == 422


async def test_establisher_6_a_large_definition_does_not_hold_up_the_loop(watchdog: Watchdog) -> None:  # noqa: F811
    large = copy.deepcopy(DEFINITION)
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    spec = large["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    spec.update({f"property{number}": inner for number in range(5000)})
    async with EmbeddedServer(listen=False) as server:
        plane = Plane(server)
        watchdog.reset()
        changes = server.store.watch(RESOURCE.qualified, server.store.revision)
        await plane.send("POST", DEFINITIONS, large)
        async with asyncio.timeout(60):
            while not any(b'"Established"' in change.now.data for change in changes.take(10)):
                await changes.wait(asyncio.get_running_loop().time() + 60)
        changes.close()
        watchdog.check()
        await plane.ask("POST", TABS, tab(property7={"a": "b", "c": "d"}))
        assert (await plane.ask("GET", f"{TABS}/one"))["spec"]["property7"] == {"a": "b"}


async def test_an_object_is_defaulted_pruned_and_counted(tabs: Plane) -> None:
    response = await tabs.send("POST", TABS, tab(unknown=1, free={"a": {"b": None}}, items=[]))
    made = json.loads(response.body)
    assert made["spec"] == {"cronSpec": "* * * * *", "free": {"a": {"b": None}}, "items": [], "replicas": 1}
    assert made["metadata"]["generation"] == 1
    assert response.warnings == ('unknown field "spec.unknown"',)
    changed = await tabs.ask("PATCH", f"{TABS}/one", {"spec": {"replicas": 2}}, "merge-patch+json")
    assert changed["metadata"]["generation"] == 2


async def test_what_breaks_the_schema_is_refused(tabs: Plane) -> None:
    answer = await tabs.ask("POST", TABS, tab(cronSpec=5, replicas=0))
    assert (answer["code"], answer["message"]) == (
        422,
        (
            'CronTab.stable.example.com "one" is invalid: [spec.cronSpec: Invalid value: "integer": spec.cronSpec in '
            'body must be of type string: "integer", spec.replicas: Invalid value: 0: spec.replicas in body should be '
            "greater than or equal to 1]"
        ),
    )
    strict = await tabs.ask("POST", TABS, tab(imag="x"), fieldValidation="Strict")
    assert strict["message"] == (
        'CronTab in version "v1" cannot be handled as a CronTab: strict decoding error: unknown field "spec.imag"'
    )


async def test_a_strategic_patch_is_not_for_custom_kinds(tabs: Plane) -> None:
    await tabs.ask("POST", TABS, tab())
    assert (await tabs.send("PATCH", f"{TABS}/one", {}, "strategic-merge-patch+json")).status == 415


async def test_applies_merge_lists_by_the_keys_of_the_schema(tabs: Plane) -> None:
    first, second = tab(items=[{"name": "a", "v": 1}]), tab(items=[{"name": "b", "v": 2}])
    await tabs.ask("PATCH", f"{TABS}/one", first, "apply-patch+yaml", fieldManager="one")
    answer = await tabs.ask("PATCH", f"{TABS}/one", second, "apply-patch+yaml", fieldManager="two")
    assert answer["spec"]["items"] == [{"name": "a", "v": 1}, {"name": "b", "v": 2}]


async def test_the_status_has_its_own_path(tabs: Plane) -> None:
    await tabs.ask("POST", TABS, tab() | {"status": {"replicas": 9}})
    patch = {"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 7}, "status": {"replicas": 3}}
    answer = await tabs.ask("PATCH", f"{TABS}/one/status", patch, "merge-patch+json")
    assert (answer["spec"]["replicas"], answer["status"], "labels" in answer["metadata"]) == (1, {"replicas": 3}, False)
    scale = await tabs.ask("GET", f"{TABS}/one/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 3})


async def test_the_scale_can_be_applied(tabs: Plane) -> None:
    await tabs.ask("POST", TABS, tab())
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "one"}, "spec": {"replicas": 5}}
    await tabs.ask("PATCH", f"{TABS}/one/scale", scale, "apply-patch+yaml", fieldManager="scaler", force="true")
    found = await tabs.ask("GET", f"{TABS}/one")
    assert found["spec"]["replicas"] == 5
    owner = found["metadata"]["managedFields"][0]
    assert (owner["manager"], owner["apiVersion"], owner["subresource"]) == (
        "scaler",
        "stable.example.com/v1",
        "scale",
    )
    assert owner["fieldsV1"] == {"f:spec": {"f:replicas": {}}}


@pytest.mark.parametrize(
    ("patch", "media_type"),
    [
        ({"spec": {"replicas": 5}}, "merge-patch+json"),  # as kubectl scale sends it
        ([{"op": "replace", "path": "/spec/replicas", "value": 5}], "json-patch+json"),
    ],
)
async def test_the_scale_can_be_patched_without_a_revision(tabs: Plane, patch: Any, media_type: str) -> None:
    await tabs.ask("POST", TABS, tab())
    answer = await tabs.ask("PATCH", f"{TABS}/one/scale", patch, media_type)
    found = await tabs.ask("GET", f"{TABS}/one")
    assert (answer["kind"], answer["spec"], found["spec"]["replicas"]) == ("Scale", {"replicas": 5}, 5)
    assert answer["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]


async def test_a_patch_of_the_scale_with_an_old_revision_is_a_conflict(tabs: Plane) -> None:
    there = await tabs.ask("POST", TABS, tab())
    await tabs.ask("PATCH", f"{TABS}/one", {"spec": {"replicas": 2}}, "merge-patch+json")
    patch = {"metadata": {"resourceVersion": there["metadata"]["resourceVersion"]}, "spec": {"replicas": 5}}
    assert (await tabs.send("PATCH", f"{TABS}/one/scale", patch, "merge-patch+json")).status == 409


@pytest.mark.parametrize("path", [f"{TABS}/{{name}}", f"{TABS}/{{name}}/status", f"{TABS}/{{name}}/scale"])
async def test_kubectl_finds_the_patches_that_a_custom_kind_takes(tabs: Plane, path: str) -> None:
    """kubectl apply sends a strategic merge patch to whatever offers it."""
    document = await tabs.ask("GET", "/openapi/v3/apis/stable.example.com/v1")
    operation = document["paths"][path.replace("/default/", "/{namespace}/")]["patch"]
    offered = [media_type.removeprefix("application/") for media_type in operation["requestBody"]["content"]]
    assert offered == ["apply-patch+yaml", "json-patch+json", "merge-patch+json"]


async def test_other_versions_show_the_same_object(tabs: Plane) -> None:
    await tabs.ask("POST", TABS, tab())
    other = await tabs.ask("GET", f"{TABS}/one".replace("/v1/", "/v1beta1/"))
    assert (other["apiVersion"], other["spec"]["replicas"]) == ("stable.example.com/v1beta1", 1)


async def test_the_kind_is_discovered_and_documented(tabs: Plane) -> None:
    resources = (await tabs.ask("GET", "/apis/stable.example.com/v1"))["resources"]
    assert [resource["name"] for resource in resources] == ["crontabs", "crontabs/status", "crontabs/scale"]
    openapi = await tabs.ask("GET", "/openapi/v3/apis/stable.example.com/v1")
    schema = openapi["components"]["schemas"]["com.example.stable.v1.CronTab"]
    assert schema["properties"]["spec"] == SPEC_SCHEMA
    assert schema["x-kubernetes-group-version-kind"] == [
        {"group": "stable.example.com", "kind": "CronTab", "version": "v1"}
    ]


REFUSED: dict[str, tuple[str, Any, str]] = {
    "another name": ("metadata.name", "x.y.z", 'must be spec.names.plural+"."+spec.group'),
    "no scope": ("spec.scope", "Everywhere", 'supported values: "Cluster", "Namespaced"'),
    "no version": ("spec.versions", [], "must have exactly one version marked as storage version"),
    "a group without a dot": ("spec.group", "stable", "should be a domain with at least one dot"),
}


@pytest.mark.parametrize(("field", "value", "why"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_definition_that_makes_no_sense_is_refused(plane: Plane, field: str, value: Any, why: str) -> None:
    definition = copy.deepcopy(DEFINITION)
    outer, inner = field.split(".")
    definition[outer][inner] = value
    answer = await plane.ask("POST", DEFINITIONS, definition)
    assert answer["code"] == 422
    assert why in answer["message"]


NESTED_NONSENSE: dict[str, Any] = {
    "items that are a text": {"type": "array", "items": "x"},
    "items of a wrong type": {"type": "array", "items": {"type": "object", "properties": 5}},
    "any fields of a wrong type": {"type": "object", "additionalProperties": {"type": "string", "enum": 5}},
    "a bound that is a text": {"type": "integer", "minimum": "x"},
}


@pytest.mark.parametrize("schema", NESTED_NONSENSE.values(), ids=NESTED_NONSENSE.keys())
async def test_nonsense_deep_in_a_schema_is_refused(plane: Plane, schema: Any) -> None:
    definition = copy.deepcopy(DEFINITION)
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = schema
    answer = await plane.ask("POST", DEFINITIONS, definition)
    assert answer["code"] in (400, 422)


async def test_two_servers_in_one_process_may_define_the_same_kind(tmp_path: Path, tabs: Plane) -> None:
    await tabs.ask("POST", TABS, tab())
    other = copy.deepcopy(DEFINITION)
    del other["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["replicas"]
    async with EmbeddedServer(tmp_path / "second", listen=False) as server:
        second = Plane(server)
        await second.ask("POST", DEFINITIONS, other)
        await second.established()
        assert "replicas" not in (await second.ask("POST", TABS, tab()))["spec"]
    assert (await tabs.ask("POST", TABS, tab("two")))["spec"]["replicas"] == 1
