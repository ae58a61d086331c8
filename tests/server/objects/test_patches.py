"""JSON, merge and strategic merge patches (GW-8, PATCHES-1 to 3, STRATEGIC-1 to 4)."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from tests.server.objects.schema.kinds import CONFIG_MAP, POD

from pvbinder.server.errors import ApiError
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.patches import (
    OPERATIONS_MAX,
    PatchType,
    apply_patch,
    json_patch,
    merge_patch,
    strategic_patch,
)

POD_SCHEMA = POD.schema
DOC: Json = {
    "metadata": {"name": "a", "labels": {"x": "1", "y": "2"}, "finalizers": ["e/a"]},
    "data": {"k": "v", "l": "w"},
}
JSON_PATCH: PatchType = "application/json-patch+json"
MERGE_PATCH: PatchType = "application/merge-patch+json"
STRATEGIC_PATCH: PatchType = "application/strategic-merge-patch+json"


def encoded(patch: Any) -> bytes:
    return patch if isinstance(patch, bytes) else json.dumps(patch).encode()


JSON_PATCHES = {
    "nothing": ([], DOC["data"]),
    "add": ([{"op": "add", "path": "/data/n", "value": "1"}], {"k": "v", "l": "w", "n": "1"}),
    "replace": ([{"op": "replace", "path": "/data/k", "value": "2"}], {"k": "2", "l": "w"}),
    "move": ([{"op": "move", "from": "/data/k", "path": "/data/o"}], {"l": "w", "o": "v"}),
    "copy": ([{"op": "copy", "from": "/data/k", "path": "/data/q"}], {"k": "v", "l": "w", "q": "v"}),
    "test and remove": (
        [{"op": "test", "path": "/data/k", "value": "v"}, {"op": "remove", "path": "/data/k"}],
        {"l": "w"},
    ),
}


@pytest.mark.parametrize(("patch", "data"), JSON_PATCHES.values(), ids=JSON_PATCHES.keys())
def test_json_patch(patch: Any, data: Json) -> None:
    before = copy.deepcopy(DOC)
    assert json_patch(DOC, encoded(patch))["data"] == data
    assert before == DOC, "PATCHES-1"


def test_patches_1_results_share_nothing_with_the_document() -> None:
    doc = copy.deepcopy(DOC)
    for patched in (json_patch(doc, b"[]"), merge_patch(doc, b"{}"), strategic_patch(doc, b"{}", CONFIG_MAP.schema)):
        patched["metadata"]["labels"]["x"] = "changed"
        patched["metadata"]["finalizers"].append("e/new")
    assert doc == DOC


JSON_REFUSED = {
    "no JSON": (b"[", 400),
    "no list": ({"op": "add"}, 400),
    "no operation": (["add"], 400),
    "unknown operation": ([{"op": "grow", "path": "/data"}], 422),
    "no path": ([{"op": "remove"}], 422),
    "a path that is a number": ([{"op": "remove", "path": 5}], 422),
    "what isn't there": ([{"op": "remove", "path": "/data/none"}], 422),
    "through a string": ([{"op": "add", "path": "/data/k/deep/er", "value": 1}], 422),
    "failed test": ([{"op": "test", "path": "/data/k", "value": "other"}], 422),
    "outside of a list": ([{"op": "add", "path": "/metadata/finalizers/7", "value": "x"}], 422),
    "no index": ([{"op": "add", "path": "/metadata/finalizers/x", "value": "x"}], 422),
    "itself into itself": ([{"op": "move", "from": "/data", "path": "/data/k/x"}], 422),
    "the whole document away": ([{"op": "remove", "path": ""}], 422),
    "a number for the whole document": ([{"op": "replace", "path": "", "value": 1}], 422),
    "a list for the whole document": ([{"op": "add", "path": "", "value": []}], 422),
    "a copy of no element": ([{"op": "copy", "from": "/metadata/finalizers/7", "path": "/x"}], 422),
    "no pointer": ([{"op": "add", "path": "data", "value": 1}], 422),
    "too many": ([{"op": "test", "path": "/data/k", "value": "v"}] * (OPERATIONS_MAX + 1), 413),
    "a bomb": (
        [{"op": "add", "path": "/x", "value": ["y" * 1000]}, *([{"op": "copy", "from": "/x", "path": "/x/-"}] * 30)],
        422,
    ),
}


@pytest.mark.parametrize(("patch", "code"), JSON_REFUSED.values(), ids=JSON_REFUSED.keys())
def test_patches_2_json_patch_refused(patch: Any, code: int) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch(DOC, encoded(patch))
    assert caught.value.code == code
    if code == 422:
        assert caught.value.status() == {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Invalid",
            "message": "the server rejected our request due to an error in our request", "details": {}, "code": 422,
        }  # fmt: skip


MERGES = {
    "nothing": ({}, {"k": "v", "l": "w"}),
    "one gone, one new": ({"data": {"k": None, "m": "n"}}, {"l": "w", "m": "n"}),
    "all gone": ({"data": None}, None),
    "a map for a string": ({"data": {"k": {"a": None, "b": 1}}}, {"k": {"b": 1}, "l": "w"}),
}


@pytest.mark.parametrize(("patch", "data"), MERGES.values(), ids=MERGES.keys())
def test_merge_patch(patch: Any, data: Json | None) -> None:
    assert merge_patch(DOC, encoded(patch)).get("data") == data


def test_a_merge_patch_sorts_what_it_goes_into() -> None:
    merged = merge_patch({"b": {"d": 1, "c": 2}, "a": {"f": 1, "e": 2}}, b'{"a": {"g": 3}}')
    assert [list(merged), list(merged["a"]), list(merged["b"])] == [["a", "b"], ["e", "f", "g"], ["d", "c"]]


def test_a_merge_patch_replaces_lists() -> None:
    assert merge_patch(DOC, b'{"metadata":{"finalizers":["e/b"]}}')["metadata"]["finalizers"] == ["e/b"]


@pytest.mark.parametrize("patch", ["[]", '"x"', "1", "{", '{"a":'])
@pytest.mark.parametrize("patch_type", [MERGE_PATCH, STRATEGIC_PATCH])
def test_patches_2_what_is_no_patch_is_a_bad_request(patch: str, patch_type: PatchType) -> None:
    with pytest.raises(ApiError) as caught:
        apply_patch(DOC, patch.encode(), patch_type, CONFIG_MAP, "Warn")
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")


def test_patches_3_a_result_that_is_too_deep_is_refused() -> None:
    value: Json = {}
    for _ in range(150):
        value = {"a": value}
    doc = merge_patch(DOC, encoded({"x": value}))
    with pytest.raises(ApiError):
        json_patch(doc, encoded([{"op": "copy", "from": "/x", "path": "/x" + "/a" * 120}]))


def containers(*names: str, **images: str) -> list[Json]:
    return [{"name": name, "image": images.get(name, "i")} for name in names]


PATCHED = {  # the object, the patch, the result
    "an element with a known key is merged": (
        {"spec": {"containers": containers("c", "d")}},
        {"spec": {"containers": [{"name": "d", "image": "j"}]}},
        {"spec": {"containers": containers("c", "d", d="j")}},
    ),
    "an element with a new key comes first": (
        {"spec": {"containers": containers("c")}},
        {"spec": {"containers": containers("d")}},
        {"spec": {"containers": containers("d", "c")}},
    ),
    "an element is deleted": (
        {"spec": {"containers": containers("c", "d")}},
        {"spec": {"containers": [{"name": "c", "$patch": "delete"}]}},
        {"spec": {"containers": containers("d")}},
    ),
    "a list is replaced on demand": (
        {"spec": {"containers": containers("c", "d")}},
        {"spec": {"containers": [{"$patch": "replace"}, *containers("e")]}},
        {"spec": {"containers": containers("e")}},
    ),
    "the order is given": (
        {"spec": {"containers": containers("c", "d", "e")}},
        {"spec": {"$setElementOrder/containers": [{"name": "e"}, {"name": "c"}]}},
        {"spec": {"containers": containers("d", "e", "c")}},
    ),
    "a set gains": (
        {"metadata": {"finalizers": ["e/a"]}},
        {"metadata": {"finalizers": ["e/b"]}},
        {"metadata": {"finalizers": ["e/b", "e/a"]}},
    ),
    "a set loses": (
        {"metadata": {"finalizers": ["e/b", "e/a"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["e/a"]}},
        {"metadata": {"finalizers": ["e/b"]}},
    ),
    "an empty order of an empty list changes nothing": (
        {"metadata": {"finalizers": ["e/b"]}},
        {"metadata": {"finalizers": [], "$setElementOrder/finalizers": []}},
        {"metadata": {"finalizers": ["e/b"]}},
    ),
    "a map is replaced on demand": (
        {"metadata": {"labels": {"a": "b", "c": "d"}}},
        {"metadata": {"labels": {"$patch": "replace", "e": "f"}}},
        {"metadata": {"labels": {"e": "f"}}},
    ),
    "a map is emptied": (
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"labels": {"$patch": "delete"}}},
        {"metadata": {"labels": {}}},
    ),
    "a null deletes": (
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"labels": {"a": None, "x": None}}},
        {"metadata": {"labels": {}}},
    ),
    "nulls in what is new are dropped": ({}, {"metadata": {"labels": {"a": None}}}, {"metadata": {"labels": {}}}),
    "an atomic list is replaced": (
        {"spec": {"tolerations": [{"key": "t"}]}},
        {"spec": {"tolerations": [{"key": "new"}]}},
        {"spec": {"tolerations": [{"key": "new"}]}},
    ),
    "only some keys are retained": (
        {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}},
        {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}, "$retainKeys": ["name", "hostPath"]}]}},
        {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}},
    ),
    "directives are not stored": (
        {},
        {"spec": {"containers": [{"name": "a", "$retainKeys": ["name"]}, {"name": "b", "$patch": "delete"}]}},
        {"spec": {"containers": [{"name": "a"}]}},
    ),
    "conditions merge by type": (
        {"status": {"conditions": [{"type": "A", "status": "False"}, {"type": "B"}]}},
        {"status": {"conditions": [{"type": "A", "status": "True"}]}},
        {"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B"}]}},
    ),
}


@pytest.mark.parametrize(("original", "patch", "expected"), PATCHED.values(), ids=PATCHED.keys())
def test_strategic_patch(original: Json, patch: Json, expected: Json) -> None:
    before = copy.deepcopy(original)
    assert strategic_patch(original, encoded(patch), POD_SCHEMA) == expected
    assert before == original, "PATCHES-1"


STRATEGIC_REFUSED: dict[str, tuple[Json, int, str]] = {
    "an unknown directive": (
        {"metadata": {"$patch": "bogus"}},
        500,
        "unknown patch type: bogus in map: map[$patch:bogus]",
    ),
    "an element without its key": (
        {"spec": {"containers": [{"image": "x"}]}},
        500,
        "map: map[image:x] does not contain declared merge key: name",
    ),
    "a bad list directive": (
        {"metadata": {"$deleteFromPrimitiveList": ["x"]}},
        400,
        "invalid patch format of primitive list",
    ),
    "a bad order directive": (
        {"metadata": {"$setElementOrder": ["x"]}},
        400,
        "invalid patch format of setElementOrder list",
    ),
    "retained keys that miss a field": (
        {"spec": {"volumes": [{"name": "v", "hostPath": {}, "$retainKeys": ["name"]}]}},
        400,
        "invalid patch format of retainKeys",
    ),
    "an order that contradicts the list": (
        {"metadata": {"finalizers": ["a", "b"], "$setElementOrder/finalizers": ["b", "a"]}},
        500,
        "The order in patch list:\n[a b]\n doesn't match $setElementOrder list:\n[b a]\n",
    ),
}


@pytest.mark.parametrize(("patch", "code", "message"), STRATEGIC_REFUSED.values(), ids=STRATEGIC_REFUSED.keys())
def test_patches_2_strategic_patch_refused(patch: Json, code: int, message: str) -> None:
    doc = {
        "metadata": {"finalizers": ["x"]},
        "spec": {"containers": containers("c"), "volumes": [{"name": "v", "emptyDir": {}}]},
    }
    with pytest.raises(ApiError) as caught:
        strategic_patch(doc, encoded(patch), POD_SCHEMA)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_strategic_1_lists_merge_where_their_field_says_so() -> None:
    doc = {"spec": {"containers": containers("c"), "tolerations": [{"key": "t"}]}}
    patch = {"spec": {"containers": containers("d"), "tolerations": [{"key": "u"}]}}
    spec = strategic_patch(doc, encoded(patch), POD_SCHEMA)["spec"]
    assert spec == {"containers": containers("d", "c"), "tolerations": [{"key": "u"}]}


def test_strategic_2_no_directive_is_left_in_the_result() -> None:
    patch = {
        "metadata": {"labels": {"$patch": "replace", "a": "b"}, "$deleteFromPrimitiveList/finalizers": ["x"]},
        "spec": {"containers": [{"name": "c", "$patch": "delete"}], "$setElementOrder/containers": []},
    }
    assert "$" not in str(strategic_patch({}, encoded(patch), POD_SCHEMA))


def test_strategic_3_what_only_the_server_has_keeps_its_place() -> None:
    doc = {"spec": {"containers": containers("a", "b", "c")}}
    patch = {"spec": {"containers": [], "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}]}}
    names = [c["name"] for c in strategic_patch(doc, encoded(patch), POD_SCHEMA)["spec"]["containers"]]
    assert names == ["a", "c", "b"]


def test_strategic_4_long_lists_merge_in_linear_time() -> None:
    original = {"spec": {"containers": containers(*(f"c{i}" for i in range(20_000)))}}
    patch = {"spec": {"containers": [{"name": f"c{i}", "image": "j"} for i in reversed(range(20_000))]}}
    merged = strategic_patch(original, encoded(patch), POD_SCHEMA)["spec"]["containers"]
    assert [container["name"] for container in merged[:2]] == ["c19999", "c19998"]
    assert all(container["image"] == "j" for container in merged)


def test_a_patch_with_unknown_fields_warns() -> None:
    patched, warnings = apply_patch(DOC, b'{"nonsense":{"a":1}}', MERGE_PATCH, CONFIG_MAP, "Warn")
    assert warnings == ['unknown field "nonsense"']
    assert "nonsense" not in patched


def test_a_patch_with_a_key_twice_warns() -> None:
    patch = b'{"data":{"k":"1","k":"2"}}'
    assert apply_patch(DOC, patch, MERGE_PATCH, CONFIG_MAP, "Warn")[1] == ['duplicate field "data.k"']
    assert apply_patch(DOC, patch, MERGE_PATCH, CONFIG_MAP, "Ignore")[1] == []
    operations = b'[{"op":"remove","op":"remove","path":"/data/k"}]'
    assert apply_patch(DOC, operations, JSON_PATCH, CONFIG_MAP, "Warn")[1] == ['json patch duplicate field "[0].op"']


@pytest.mark.parametrize("patch_type", [MERGE_PATCH, STRATEGIC_PATCH])
def test_a_patch_that_breaks_a_type_is_422(patch_type: PatchType) -> None:
    with pytest.raises(ApiError) as caught:
        apply_patch(DOC, b'{"data":{"k":5}}', patch_type, CONFIG_MAP, "Warn")
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert caught.value.details is not None
    assert caught.value.details["causes"][0]["field"] == "patch"
