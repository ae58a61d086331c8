"""A changed definition: names that become free, schemas, versions, and the objects that are stored already."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.server.kinds.definitions.test_definitions import DEFINITIONS, Plane

from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.objects.kind import Json

NAME = "things.example.com"
THINGS = "/apis/example.com/v1/things"
SPEC = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}


def version(name: str = "v1", *, storage: bool = True, spec: Json = SPEC, **more: Any) -> Json:
    schema = {"type": "object", "properties": {"spec": spec}}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def definition(plural: str = "things", kind: str = "Thing", group: str = "example.com", **names: Any) -> Json:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"plural": plural, "kind": kind, **names},
            "versions": [version()],
        },
    }


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    async with EmbeddedServer(listen=False) as server:
        yield Plane(server)


async def until(plane: Plane, path: str, is_so: Callable[[Json], object]) -> Json:
    """Wait until the answer of a path is as wanted."""
    async with asyncio.timeout(5):
        while True:
            answer: Json = await plane.ask("GET", path)
            if is_so(answer):
                return answer
            await asyncio.sleep(0)


def says(type_: str, value: str) -> Callable[[Json], object]:
    """Whether a condition of a definition says this."""
    return lambda found: any(
        condition["type"] == type_ and condition["status"] == value
        for condition in found.get("status", {}).get("conditions") or ()
    )


async def change(plane: Plane, **spec: Any) -> Json:
    answer: Json = await plane.ask("PATCH", f"{DEFINITIONS}/{NAME}", {"spec": spec}, "merge-patch+json")
    assert answer["kind"] == "CustomResourceDefinition", answer
    return answer


async def settled(plane: Plane, path: str, is_so: Callable[[Json], object]) -> Json:
    return await until(plane, path, is_so)


async def test_establisher_7_a_name_that_is_given_up_is_free_for_others(plane: Plane) -> None:
    await plane.send("POST", DEFINITIONS, definition(shortNames=["t"]))
    await until(plane, f"{DEFINITIONS}/{NAME}", says("Established", "True"))
    await plane.send("POST", DEFINITIONS, definition("others", "Other", shortNames=["t"]))
    refused = await until(plane, f"{DEFINITIONS}/others.example.com", says("NamesAccepted", "False"))
    assert refused["status"]["conditions"][0]["reason"] == "ShortNamesConflict"
    assert refused["status"]["acceptedNames"] == {
        "plural": "others", "singular": "other", "kind": "Other", "listKind": "OtherList",
    }  # fmt: skip
    assert (await plane.send("GET", "/apis/example.com/v1/others")).status == 404
    await change(plane, names={"shortNames": ["x"]})
    await until(plane, f"{DEFINITIONS}/others.example.com", says("Established", "True"))
    assert (await plane.send("GET", "/apis/example.com/v1/others")).status == 200


async def test_establisher_7_a_definition_that_goes_frees_its_names(plane: Plane) -> None:
    await plane.send("POST", DEFINITIONS, definition())
    await until(plane, f"{DEFINITIONS}/{NAME}", says("Established", "True"))
    await plane.send("POST", DEFINITIONS, definition("others", "Thing"))
    await until(plane, f"{DEFINITIONS}/others.example.com", says("NamesAccepted", "False"))
    await plane.send("DELETE", f"{DEFINITIONS}/{NAME}")
    await until(plane, f"{DEFINITIONS}/others.example.com", says("Established", "True"))


async def test_establisher_8_what_was_stored_before_is_read_by_the_schema_that_holds(plane: Plane) -> None:
    await plane.send("POST", DEFINITIONS, definition())
    await until(plane, f"{DEFINITIONS}/{NAME}", says("Established", "True"))
    for name in ("x", "w"):
        await plane.ask("POST", THINGS, {"metadata": {"name": name}, "spec": {"a": name, "b": "gone"}})
    spec = {"type": "object", "properties": {"a": {"type": "string"}, "c": {"type": "string", "default": "new"}}}
    await change(plane, versions=[version(spec=spec)])
    read = await until(plane, f"{THINGS}/x", lambda found: "c" in found["spec"])
    assert read["spec"] == {"a": "x", "c": "new"}
    listed = await plane.ask("GET", THINGS)
    assert [item["spec"] for item in listed["items"]] == [{"a": "w", "c": "new"}, {"a": "x", "c": "new"}]
    touched = await plane.ask("PATCH", f"{THINGS}/x", {"metadata": {"labels": {"l": "m"}}}, "merge-patch+json")
    assert touched["spec"] == {"a": "x", "c": "new"}
    assert touched["metadata"]["generation"] == 1


async def test_establisher_8_an_object_answers_in_the_version_that_was_asked_for(plane: Plane) -> None:
    first = definition()
    first["spec"]["versions"] = [
        version("v1beta1", spec={"type": "object", "properties": {"a": {"type": "string"}}}),
        version("v1", storage=False),
    ]
    await plane.send("POST", DEFINITIONS, first)
    await until(plane, f"{DEFINITIONS}/{NAME}", says("Established", "True"))
    made = await plane.ask("POST", THINGS, {"metadata": {"name": "x"}, "spec": {"a": "x", "b": "isn't stored"}})
    assert (made["apiVersion"], made["spec"]) == ("example.com/v1", {"a": "x"})
    versions = copy.deepcopy(first["spec"]["versions"])
    versions[0]["storage"], versions[1]["storage"] = False, True
    changed = await change(plane, versions=versions)
    assert changed["status"]["storedVersions"] == ["v1beta1", "v1"]
    for each in ("v1", "v1beta1"):
        found = await until(plane, f"/apis/example.com/{each}/things/x", lambda found: found["kind"] == "Thing")
        assert found["apiVersion"] == f"example.com/{each}"
    refused = await plane.ask(
        "PATCH", f"{DEFINITIONS}/{NAME}", {"spec": {"versions": versions[1:]}}, "merge-patch+json"
    )
    assert "v1beta1 was previously a storage version" in refused["message"]


async def test_a_definition_that_goes_takes_no_new_objects(plane: Plane) -> None:
    await plane.send("POST", DEFINITIONS, definition())
    await until(plane, f"{DEFINITIONS}/{NAME}", says("Established", "True"))
    await plane.ask("POST", THINGS, {"metadata": {"name": "x", "finalizers": ["example.com/hold"]}})
    await plane.send("DELETE", f"{DEFINITIONS}/{NAME}")
    going = await until(plane, f"{DEFINITIONS}/{NAME}", says("Terminating", "True"))
    assert going["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    answer = await until(plane, THINGS, lambda found: "deletionTimestamp" in found["items"][0]["metadata"])
    assert answer["kind"] == "ThingList"
    refused = await plane.ask("POST", THINGS, {"metadata": {"name": "new"}})
    why = "create not allowed while custom resource definition is terminating"
    assert (refused["code"], refused["message"]) == (403, f'{NAME} "new" is forbidden: {why}')
    await plane.send("PATCH", f"{THINGS}/x", {"metadata": {"finalizers": None}}, "merge-patch+json")
    await plane.until_gone(f"{DEFINITIONS}/{NAME}")


async def test_whoever_asks_for_a_deprecated_version_is_told(plane: Plane) -> None:
    old = definition()
    old["spec"]["versions"] = [
        version("v1"),
        version("v1beta1", storage=False, deprecated=True),
        version("v1alpha1", storage=False, deprecated=True, deprecationWarning="don't"),
    ]
    await plane.send("POST", DEFINITIONS, old)
    await until(plane, f"{DEFINITIONS}/{NAME}", says("Established", "True"))
    told = {
        each: (await plane.send("GET", f"/apis/example.com/{each}/things")).warnings
        for each in ("v1", "v1beta1", "v1alpha1")
    }
    assert told == {
        "v1": (),
        "v1beta1": ("example.com/v1beta1 Thing is deprecated; use example.com/v1 Thing",),
        "v1alpha1": ("don't",),
    }


APPROVALS = {
    "approved": ("https://github.com/kubernetes/kubernetes/pull/1", "True", "ApprovedAnnotation"),
    "not approved": ("unapproved, an experiment", "False", "UnapprovedAnnotation"),
}


@pytest.mark.parametrize(("text", "status", "reason"), APPROVALS.values(), ids=APPROVALS.keys())
async def test_a_protected_group_says_who_approved(plane: Plane, text: str, status: str, reason: str) -> None:
    made = definition(group="x.k8s.io")
    made["metadata"]["annotations"] = {"api-approved.kubernetes.io": text}
    await plane.send("POST", DEFINITIONS, made)
    found = await until(plane, f"{DEFINITIONS}/things.x.k8s.io", says("Established", "True"))
    first = found["status"]["conditions"][0]
    assert (first["type"], first["status"], first["reason"]) == (
        "KubernetesAPIApprovalPolicyConformant",
        status,
        reason,
    )


@pytest.mark.parametrize("text", ["", "yes"])
async def test_a_protected_group_needs_an_approval(plane: Plane, text: str) -> None:
    made = definition(group="x.k8s.io")
    made["metadata"]["annotations"] = {"api-approved.kubernetes.io": text}
    answer = await plane.ask("POST", DEFINITIONS, made)
    assert answer["code"] == 422
    assert "metadata.annotations[api-approved.kubernetes.io]" in answer["message"]
