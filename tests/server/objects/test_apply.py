"""Server-side apply (APPLY-1 to 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.server.objects.schema.kinds import CONFIG_MAP, POD, VOLUME

from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.services import SERVICE_KINDS
from pvbinder.server.objects.apply import LAST_APPLIED, apply, apply_with_warnings
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.managed_fields import record_update
from pvbinder.server.objects.schema import FieldValidation

EVERY = {kind.resource.plural: kind for kind in SERVICE_KINDS}
NOW = "2024-01-01T00:00:00Z"
LATER = "2024-01-02T00:00:00Z"


def manifest(kind: ServedKind = CONFIG_MAP, **fields: Any) -> Json:
    metadata = {"name": "a"} | fields.pop("metadata", {})
    return {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, "metadata": metadata, **fields}


def applied(
    old: Json | None,
    patch: Json,
    manager: str = "one",
    kind: ServedKind = CONFIG_MAP,
    force: bool = False,
    now: str = NOW,
) -> Json:
    return apply(old, json.dumps(patch).encode(), manager=manager, force=force, kind=kind, now=now)


def owned(obj: Json) -> dict[str, Json]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", [])}


def made(obj: Json, manager: str = "maker", kind: ServedKind = CONFIG_MAP) -> Json:
    record_update(obj, None, manager=manager, subresource="", time=NOW, kind=kind)
    return obj


def refusal(old: Json | None, patch: Json, manager: str = "one", kind: ServedKind = CONFIG_MAP) -> ApiError:
    with pytest.raises(ApiError) as caught:
        applied(old, patch, manager, kind)
    return caught.value


def test_apply_1_an_applier_owns_what_it_gives() -> None:
    obj = applied(None, manifest(data={"k": "v"}))
    assert obj == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {
            "name": "a",
            "managedFields": [
                {
                    "manager": "one",
                    "operation": "Apply",
                    "apiVersion": "v1",
                    "time": NOW,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:data": {"f:k": {}}},
                }
            ],
        },
        "data": {"k": "v"},
    }


def test_apply_1_what_it_gives_no_more_is_removed() -> None:
    obj = applied(None, manifest(data={"k": "v", "l": "w"}, metadata={"labels": {"x": "y"}}))
    again = applied(obj, manifest(data={"k": "v"}))
    assert again["data"] == {"k": "v"}
    assert "labels" not in again["metadata"]
    assert owned(again) == {"one": {"f:data": {"f:k": {}}}}


def test_apply_1_unless_somebody_else_owns_it() -> None:
    obj = applied(applied(None, manifest(data={"k": "v"})), manifest(data={"k": "v"}), "two")
    assert owned(obj) == {"one": {"f:data": {"f:k": {}}}, "two": {"f:data": {"f:k": {}}}}
    left = applied(obj, manifest())
    assert left["data"] == {"k": "v"}
    assert owned(left) == {"two": {"f:data": {"f:k": {}}}}


def test_apply_1_elements_of_keyed_lists_are_merged_and_removed_one_by_one() -> None:
    first = manifest(POD, spec={"containers": [{"name": "c", "image": "i"}]})
    second = manifest(POD, spec={"containers": [{"name": "d", "image": "j", "ports": [{"containerPort": 80}]}]})
    both = applied(applied(None, first, "one", POD), second, "two", POD)
    assert [container["name"] for container in both["spec"]["containers"]] == ["c", "d"]
    assert owned(both)["two"]["f:spec"]["f:containers"] == {
        'k:{"name":"d"}': {
            ".": {},
            "f:image": {},
            "f:name": {},
            "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
        }
    }
    left = applied(both, manifest(POD), "one", POD)
    assert [container["name"] for container in left["spec"]["containers"]] == ["d"]


def test_apply_1_sets_are_shared_by_element() -> None:
    first = applied(None, manifest(metadata={"finalizers": ["e/a"]}))
    both = applied(first, manifest(metadata={"finalizers": ["e/b"]}), "two")
    assert both["metadata"]["finalizers"] == ["e/a", "e/b"]
    assert owned(both)["two"] == {"f:metadata": {"f:finalizers": {'v:"e/b"': {}}}}
    assert applied(both, manifest())["metadata"]["finalizers"] == ["e/b"]


def test_apply_1_atomic_lists_have_one_owner() -> None:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    obj = applied(None, manifest(VOLUME, spec=spec | {"mountOptions": ["a"]}), kind=VOLUME)
    assert owned(obj)["one"] == {
        "f:spec": {
            "f:accessModes": {},
            "f:capacity": {"f:storage": {}},
            "f:hostPath": {"f:path": {}},
            "f:mountOptions": {},
        }
    }


def test_apply_2_another_value_is_a_conflict() -> None:
    obj = made({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v", "l": "v"}})
    error = refusal(obj, manifest(data={"k": "other", "l": "other"}), "two")
    assert error.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Apply failed with 2 conflicts: conflicts with "maker" using v1:\n- .data.k\n- .data.l',
        "reason": "Conflict",
        "details": {
            "causes": [
                {"reason": "FieldManagerConflict", "message": 'conflict with "maker" using v1', "field": ".data.k"},
                {"reason": "FieldManagerConflict", "message": 'conflict with "maker" using v1', "field": ".data.l"},
            ]
        },
        "code": 409,
    }


def test_apply_2_an_atomic_list_is_compared_in_the_appliers_own_words() -> None:
    kind = EVERY["endpointslices"]
    slices = manifest(kind, addressType="IPv4", endpoints=[{"addresses": ["10.1.1.1"]}], ports=[])
    stored = applied(None, slices, "one", kind)
    assert stored["endpoints"] == [{"addresses": ["10.1.1.1"], "conditions": {}}]
    assert refusal(stored, slices, "two", kind).message.endswith('conflict with "one": .endpoints')
    full = {**slices, "endpoints": stored["endpoints"]}
    assert set(owned(applied(stored, full, "two", kind))) == {"one", "two"}


def test_apply_2_force_takes_the_field() -> None:
    obj = made({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v", "l": "v"}})
    forced = applied(obj, manifest(data={"k": "other"}), "two", force=True)
    assert forced["data"] == {"k": "other", "l": "v"}
    assert owned(forced) == {"two": {"f:data": {"f:k": {}}}, "maker": {"f:data": {".": {}, "f:l": {}}}}
    assert refusal(forced, manifest(data={"k": "third"}), "three").message == (
        'Apply failed with 1 conflict: conflict with "two": .data.k'
    )


def test_apply_2_conflicts_in_lists_name_the_element() -> None:
    pod = applied(None, manifest(POD, spec={"containers": [{"name": "c", "image": "i"}]}), "one", POD)
    error = refusal(pod, manifest(POD, spec={"containers": [{"name": "c", "image": "j"}]}), "two", POD)
    assert error.message == 'Apply failed with 1 conflict: conflict with "one": .spec.containers[name="c"].image'


def test_apply_3_what_was_there_before_has_an_owner() -> None:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v"}}
    assert refusal(obj, manifest(data={"k": "w"})).message == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.k'
    )


def last_applied(data: Json) -> Json:
    text = json.dumps(manifest(data=data))
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "annotations": {LAST_APPLIED: text}}}
    return made(obj | {"data": data}, "kubectl-client-side-apply")


def test_apply_4_kubectl_takes_over_from_client_side_apply() -> None:
    obj = applied(last_applied({"k": "v"}), manifest(data={"k": "w"}), "kubectl")
    assert obj["data"] == {"k": "w"}
    assert obj["metadata"]["annotations"] == {
        LAST_APPLIED: '{"apiVersion":"v1","data":{"k":"w"},"kind":"ConfigMap","metadata":{"name":"a"}}\n'
    }


def test_apply_4_others_may_not() -> None:
    assert refusal(last_applied({"k": "v"}), manifest(data={"k": "w"}), "helm").code == 409


def test_apply_5_nothing_changes_when_nothing_is_new() -> None:
    obj = applied(None, manifest(data={"k": "v"}))
    assert applied(obj, manifest(data={"k": "v"}), now=LATER) == obj


TYPED = "failed to create typed patch object (/a; /v1, Kind=ConfigMap): "
REFUSED = {
    "a boolean for a string": (manifest(data={"m": False}), 500,
                               TYPED + ".data.m: expected string, got &value.valueUnstructured{Value:false}"),
    "a field that isn't there": (manifest(dat={}), 500, TYPED + ".dat: field not declared in schema"),
    "two things wrong": (
        manifest(dat={}, metadata={"labels": []}), 500,
        TYPED + "errors:\n  .metadata.labels: expected map, got &{[]}\n  .dat: field not declared in schema",
    ),
    "a list for a map": (manifest(data=["x"]), 500, TYPED + ".data: expected map, got &{[x]}"),
    "a set with a value twice": (
        manifest(metadata={"finalizers": ["a", "a"]}), 500,
        TYPED + '.metadata.finalizers: duplicate entries for key [="a"]',
    ),
    "another version": (
        manifest() | {"apiVersion": "v2"}, 400,
        "invalid object type: /v2, Kind=ConfigMap",
    ),
    "a record of its own": (manifest(metadata={"managedFields": []}), 400, "metadata.managedFields must be nil"),
}  # fmt: skip


@pytest.mark.parametrize(("patch", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(patch: Json, code: int, message: str) -> None:
    error = refusal(None, patch)
    assert (error.code, error.message) == (code, message)


def test_an_element_without_its_key_is_refused() -> None:
    error = refusal(None, manifest(POD, spec={"containers": [{"image": "i"}]}), kind=POD)
    assert error.message.endswith(
        '.spec.containers: element 0: associative list with keys has an element that omits key field "name" (and '
        "doesn't have default value)"
    )


@pytest.mark.parametrize("patch", [b"{", b"[]", b"text", b"\xff", b"a: &a [*a]"])
def test_what_is_no_patch_is_refused(patch: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        apply(None, patch, manager="m", force=False, kind=CONFIG_MAP, now=NOW)
    assert caught.value.code == 400


def test_a_damaged_record_is_an_error() -> None:
    obj = applied(None, manifest(data={"k": "v"}))
    obj["metadata"]["managedFields"][0]["fieldsV1"] = {"x:y": {}}
    assert refusal(obj, manifest()).code == 500


def test_keys_twice_are_for_the_strict() -> None:
    patch = b"apiVersion: v1\nkind: ConfigMap\nkind: ConfigMap\nmetadata: {name: a}\n"
    strict = 'line 3: key "kind" already set in map'

    def warnings(field_validation: FieldValidation) -> list[str]:
        found = apply_with_warnings(None, patch, field_validation, manager="m", force=False, kind=CONFIG_MAP, now=NOW)
        return found[1]

    assert warnings("Ignore") == []
    assert warnings("Warn") == [strict]
    with pytest.raises(ApiError, match="error strict decoding YAML"):
        warnings("Strict")


def test_apply_5_who_shares_what_is_there_already_did_it_at_no_time() -> None:
    stored = applied(None, manifest(data={"k": "v"}))
    shared = applied(stored, manifest(data={"k": "v"}), "two", now=LATER)
    times = {entry["manager"]: entry.get("time") for entry in shared["metadata"]["managedFields"]}
    assert times == {"one": NOW, "two": None}
