"""The rules of metadata (OM-1 to OM-8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import MAPS, serving

from pvbinder.server.kinds.built_in.namespaces import NAMESPACE
from pvbinder.server.kinds.built_in.persistent_volumes import PERSISTENT_VOLUME
from pvbinder.server.kinds.built_in.secrets import CONFIG_MAP
from pvbinder.server.kinds.validation.metadata import validate_metadata_create, validate_metadata_update
from pvbinder.server.objects.kind import Json

QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
NOT_A_FINALIZER = "name is neither a standard finalizer name nor is it fully qualified"


def metadata(**fields: Any) -> Json:
    return {"metadata": {"name": "a", "namespace": "n", **fields}}


def owner(**fields: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", **fields}


REFUSED = {
    "no name (OM-1)": ({"name": ""}, ["metadata.name: Required value: name or generateName is required"]),
    "no namespace (OM-3)": ({"namespace": ""}, ["metadata.namespace: Required value"]),
    "odd finalizers (OM-4)": (
        {"finalizers": ["noslash", "a b", "example.com/ok", "kubernetes", "orphan"]},
        [
            f'metadata.finalizers: Invalid value: "a b": {QUALIFIED}',
            f'metadata.finalizers[0]: Invalid value: "noslash": {NOT_A_FINALIZER}',
            f'metadata.finalizers[1]: Invalid value: "a b": {NOT_A_FINALIZER}',
        ],
    ),
    "odd label (OM-7)": ({"labels": {"bad key": "x"}}, [f'metadata.labels: Invalid value: "bad key": {QUALIFIED}']),
    "annotations in any case (OM-7)": ({"annotations": {"Example.COM/Key": "anything at all"}}, []),
    "large annotations (OM-7)": (
        {"annotations": {"big": "x" * 262144}},
        ["metadata.annotations: Too long: may not be more than 262144 bytes"],
    ),
    "an owner that is nothing (OM-8)": (
        {"ownerReferences": [{}]},
        [
            'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty',
            'metadata.ownerReferences.kind: Invalid value: "": must not be empty',
            'metadata.ownerReferences.name: Invalid value: "": must not be empty',
            'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
        ],
    ),
}


@pytest.mark.parametrize(("fields", "errors"), REFUSED.values(), ids=REFUSED.keys())
def test_what_metadata_can_not_be(fields: Json, errors: list[str]) -> None:
    assert [str(error) for error in validate_metadata_create(CONFIG_MAP, metadata(**fields))] == errors


def test_two_controllers_are_one_too_many() -> None:  # OM-8
    owners = [owner(controller=True), owner(kind="Job", name="j", controller=True)]
    (error,) = validate_metadata_create(CONFIG_MAP, metadata(ownerReferences=owners))
    assert str(error).endswith(
        'Only one reference can have Controller set to true. Found "true" in references for Pod/p and Job/j'
    )


def test_an_event_owns_nothing() -> None:  # OM-8
    (error,) = validate_metadata_create(CONFIG_MAP, metadata(ownerReferences=[owner(kind="Event")]))
    assert str(error).endswith("is disallowed from being an owner")


def test_cluster_scoped_kinds_have_no_namespace() -> None:  # OM-3
    (error,) = validate_metadata_create(PERSISTENT_VOLUME, metadata())
    assert str(error) == "metadata.namespace: Forbidden: not allowed on this type"


def test_namespaces_are_labels_others_subdomains() -> None:  # OM-2
    assert validate_metadata_create(PERSISTENT_VOLUME, {"metadata": {"name": "a.b"}}) == []
    (error,) = validate_metadata_create(NAMESPACE, {"metadata": {"name": "a.b"}})
    assert error.body == 'Invalid value: "a.b": must not contain dots'


@pytest.mark.parametrize("field", ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"])
def test_what_stays(field: str) -> None:  # OM-6
    old = metadata(uid="u", creationTimestamp="t", deletionTimestamp="t", deletionGracePeriodSeconds=0)
    new = {"metadata": {**old["metadata"], field: "other"}}
    (error,) = validate_metadata_update(CONFIG_MAP, new, old)
    assert str(error) == f'metadata.{field}: Invalid value: "other": field is immutable'


def test_no_finalizer_is_added_to_what_is_being_deleted() -> None:  # OM-5
    old = metadata(deletionTimestamp="t", finalizers=["example.com/a", "example.com/b"])
    new = {"metadata": {**old["metadata"], "finalizers": ["example.com/a", "example.com/c"]}}
    (error,) = validate_metadata_update(CONFIG_MAP, new, old)
    assert str(error) == (
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"example.com/c"}'
    )


def test_what_has_not_changed_is_not_looked_at_again() -> None:
    old = metadata(labels={"bad key": "x"}, finalizers=["noslash"])
    assert validate_metadata_update(CONFIG_MAP, {"metadata": dict(old["metadata"])}, old) == []


async def test_metadata_1_the_kind_looks_first(tmp_path: Path) -> None:
    budgets = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
    async with serving(tmp_path) as server:
        wrong = await server.send("POST", budgets, {"metadata": {"name": "a/b"}, "spec": {"minAvailable": -1}})
        assert [cause["field"] for cause in wrong.body["details"]["causes"]] == ["spec.minAvailable"]
        wrong = await server.send("POST", budgets, {"metadata": {"name": "a/b"}, "spec": {}})
        assert wrong.body["details"]["causes"][0]["message"] == "Invalid value: \"a/b\": may not contain '/'"
        assert (await server.send("POST", budgets, {"metadata": {"name": "A"}, "spec": {}})).status == 201


TIMES: dict[str, tuple[Json, int]] = {  # how often a changed object's wrong label is told
    "/api/v1/namespaces/shop/configmaps": ({}, 4),
    "/apis/coordination.k8s.io/v1/namespaces/shop/leases": ({}, 3),
    "/apis/policy/v1/namespaces/shop/poddisruptionbudgets": ({"spec": {}}, 2),
    "/apis/storage.k8s.io/v1/csinodes": ({"spec": {"drivers": []}}, 3),
    "/api/v1/nodes": ({}, 5),
}


async def test_metadata_2_what_is_wrong_is_told_as_often_as_the_reference_looks(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for path, row in TIMES.items():
            body, times = row
            assert (await server.send("POST", path, {"metadata": {"name": "a"}, **body})).status == 201
            patch = {"metadata": {"labels": {"bad key": "x"}}}
            wrong = await server.send("PATCH", f"{path}/a", patch, content_type="application/merge-patch+json")
            assert [cause["field"] for cause in wrong.body["details"]["causes"]] == ["metadata.labels"] * times, path


async def test_owners_named_twice_are_dropped_and_told(tmp_path: Path) -> None:
    owners = [owner(), owner(), owner(controller=True)]
    async with serving(tmp_path) as server:
        made = await server.send("POST", MAPS, {"metadata": {"name": "a", "ownerReferences": owners}})
        assert made.body["metadata"]["ownerReferences"] == [owner(), owner(controller=True)]
        (warning,) = made.warnings
        assert warning.startswith(".metadata.ownerReferences contains duplicate entries; API server dedups")
        patch = {"metadata": {"ownerReferences": [owner(), owner()]}}
        patched = await server.send("PATCH", f"{MAPS}/a", patch, content_type="application/merge-patch+json")
        assert patched.body["metadata"]["ownerReferences"] == [owner()]
        assert "after mutating admission happens; API server dedups" in patched.warnings[0]
