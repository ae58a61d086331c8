"""The judgement of a whole custom object, and of the unchanged parts of an update."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError, invalid
from pvbinder.server.kinds.definitions.conform import fill_in_defaults, pruned
from pvbinder.server.kinds.definitions.correlation import Correlation
from pvbinder.server.kinds.definitions.custom_schema import CustomSchema
from pvbinder.server.kinds.definitions.embedded import check_embedded
from pvbinder.server.kinds.definitions.judgement import Judge
from pvbinder.server.kinds.definitions.list_types import check_lists
from pvbinder.server.kinds.definitions.structure import read_structure
from pvbinder.server.kinds.definitions.validate import check_value
from pvbinder.server.objects.kind import Json

THINGS = Resource("example.com", "v1", "Thing", "things", False)
TEXT = {"type": "string"}
SHORT = {"type": "string", "maxLength": 2}
KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["k"],
    "items": {"type": "object", "properties": {"k": TEXT, "v": {"type": "string", "enum": ["good"]}}},
}


def judge(scale: Json | None = None, **schema: Any) -> Judge:
    """What judges the objects of a schema."""
    return Judge(CustomSchema(THINGS, "ThingList", {"type": "object", **schema}), scale)


def thing(**fields: Any) -> Json:
    """An object."""
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "long-name"}, **fields}


def told(errors: Any) -> list[str]:
    return [str(error) for error in errors]


def test_judgement_1_metadata_is_part_of_what_is_judged() -> None:
    name = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}
    assert told(judge(required=["metadata", "spec"], properties={"spec": TEXT}).create(thing(spec="x"))) == []
    assert told(judge(properties={"metadata": name}).create(thing())) == [
        "metadata.name: Too long: may not be more than 5 bytes"
    ]


class NoRule:
    """Rules of which every object breaks one."""

    is_costly = False

    def judge(self, new: Json, old: Json | None, same: Correlation | None) -> tuple[list[FieldError], list[str]]:
        return [invalid("a", new["a"], "no rule at all")], []


def test_judgement_3_rules_are_not_tried_on_what_has_no_shape() -> None:
    schema = CustomSchema(THINGS, "ThingList", {"type": "object", "properties": {"a": TEXT}})
    schema.rules = NoRule()
    judges = Judge(schema, None)
    assert told(judges.create(thing(a="x"))) == ['a: Invalid value: "x": no rule at all']
    wrong, unchecked = told(judges.create(thing(a=1)))
    assert wrong.startswith("a: ")
    assert unchecked.startswith("<nil>: Invalid value: null: some validation rules were not checked")


CHANGES: dict[str, tuple[Json, Json, list[str]]] = {
    "what stays may stay": ({"a": "long"}, {"a": "long", "b": "x"}, []),
    "what changes is judged": ({"a": "long"}, {"a": "longer"}, ["a: Too long: may not be more than 2 bytes"]),
    "an item by its keys": (
        {"m": [{"k": "a", "v": "bad"}]},
        {"m": [{"k": "b", "v": "good"}, {"k": "a", "v": "bad"}]},
        [],
    ),
    "an item that is new": (
        {"m": [{"k": "a", "v": "bad"}]},
        {"m": [{"k": "b", "v": "bad"}]},
        ['m[0].v: Unsupported value: "bad": supported values: "good"'],
    ),
    "a list without keys as a whole": ({"l": ["long"]}, {"l": ["long"], "b": "x"}, []),
    "an item of a list without keys": (
        {"l": ["long"]},
        {"l": ["x", "long"]},
        ["l[1]: Too long: may not be more than 2 bytes"],
    ),
}


@pytest.mark.parametrize(("old", "new", "errors"), CHANGES.values(), ids=CHANGES.keys())
def test_judgement_2_what_an_update_leaves_may_be_as_it_was(old: Json, new: Json, errors: list[str]) -> None:
    lists = {"m": KEYED, "l": {"type": "array", "items": SHORT}}
    found = judge(properties={"a": SHORT, "b": TEXT, **lists}).update(thing(**new), thing(**old))
    assert told(found) == errors


def test_validate_2_unchanged_values_are_not_refused() -> None:
    structure = read_structure({"properties": {"a": SHORT}})
    same = Correlation({"a": "long"}, {"a": "long"}, structure)
    assert list(check_value({"a": "long"}, structure, "", None, same)) == []
    other = Correlation({"a": "long"}, {"a": "l"}, structure)
    assert len(list(check_value({"a": "long"}, structure, "", None, other))) == 1


def test_correlation_1_items_are_found_by_their_keys() -> None:
    structure = read_structure(KEYED)
    same = Correlation([{"k": "b", "v": 1}], [{"k": "a"}, {"k": "b", "v": 1}], structure)
    found = same.index(0)
    assert found is not None
    assert found.old == {"k": "b", "v": 1}
    assert Correlation([{"k": "c"}], [{"k": "a"}], structure).index(0) is None
    assert Correlation(["x"], ["x"], read_structure({"type": "array", "items": TEXT})).index(0) is None


SCALE = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".status.s"}
COUNTS = {
    "none": ({}, []),
    "a text": (
        {"n": "3"},
        [".spec.n: Invalid value: 0: .spec.n accessor error: 3 is of the type string, expected int64"],
    ),
    "less than none": ({"n": -1}, [".spec.n: Invalid value: -1: should be a non-negative integer"]),
    "too many": ({"n": 2**31}, [".spec.n: Invalid value: 2147483648: should be less than or equal to 2147483647"]),
}


@pytest.mark.parametrize(("spec", "errors"), COUNTS.values(), ids=COUNTS.keys())
def test_what_a_scale_counts_is_a_number(spec: Json, errors: list[str]) -> None:
    found = judge(SCALE, **{"x-kubernetes-preserve-unknown-fields": True}).create(thing(spec=spec))
    assert told(found) == errors


def test_a_status_is_judged_by_its_own_paths() -> None:
    status = {"type": "object", "properties": {"n": {"type": "integer"}}}
    found = judge(properties={"status": status, "spec": SHORT}).status(
        thing(status={"n": "x"}, spec="long"), thing(spec="long")
    )
    assert told(found) == ['status.n: Invalid value: "string": n in body must be of type integer: "string"']


LISTS = {
    "a set": ("set", ["a", "b", "a", "a"], ['l[2]: Duplicate value: "a"']),
    "keys": ("map", [{"k": 1}, {"k": 1, "v": 2}], ['l[1]: Duplicate value: {"k":1}']),
    "no keys": ("map", [{}, {"v": 2}], ["l[1]: Duplicate value: {}"]),
    "no object": ("map", [1], ["l[0]: Invalid value: 1: must be an object for an array of list-type map"]),
    "an ordinary list": ("atomic", ["a", "a"], []),
}


@pytest.mark.parametrize(("type_", "value", "errors"), LISTS.values(), ids=LISTS.keys())
def test_nothing_is_twice_in_sets_and_maps(type_: str, value: Any, errors: list[str]) -> None:
    listed = {"type": "array", "x-kubernetes-list-type": type_, "x-kubernetes-list-map-keys": ["k"], "items": {}}
    assert told(check_lists({"l": value}, read_structure({"properties": {"l": listed}}))) == errors


EMBEDDED = {
    "what it must say": ({}, ["o.apiVersion: Required value", "o.kind: Required value"]),
    "a version of three parts": (
        {"apiVersion": "a/b/c", "kind": "Pod"},
        ['o.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'],
    ),
    "a label": (
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"-": "x"}}},
        ["o.metadata.labels"],
    ),
    "nothing else": ({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "n"}}, []),
}


@pytest.mark.parametrize(("value", "errors"), EMBEDDED.values(), ids=EMBEDDED.keys())
def test_an_object_in_another_is_an_object(value: Json, errors: list[str]) -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    found = told(check_embedded({"o": value}, read_structure({"properties": {"o": inner}})))
    assert len(found) == len(errors)
    assert all(one.startswith(error) for one, error in zip(found, errors, strict=True))


NULLS: dict[str, tuple[Json, Json]] = {
    "is dropped": (TEXT, {}),
    "is kept where it is allowed": (TEXT | {"nullable": True}, {"v": None}),
    "gives way to the default": (TEXT | {"default": "x"}, {"v": "x"}),
    "is kept where it is allowed, with a default": (TEXT | {"nullable": True, "default": "x"}, {"v": None}),
}


@pytest.mark.parametrize(("schema", "kept"), NULLS.values(), ids=NULLS.keys())
def test_conform_1_a_null_that_is_not_allowed(schema: Json, kept: Json) -> None:
    structure = read_structure({"type": "object", "properties": {"v": schema}})
    value = pruned({"v": None}, structure, "", lambda _what, _path: None)
    fill_in_defaults(value, structure)
    assert value == kept


def test_conform_2_an_embedded_object_keeps_its_header() -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": TEXT}}
    dropped: list[str] = []
    value = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "nope": 1}, "spec": "x", "more": 1}
    kept = pruned({"o": value}, read_structure({"properties": {"o": inner}}), "", lambda _, path: dropped.append(path))
    assert kept["o"] == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": "x"}
    assert dropped == ["o.metadata.nope", "o.more"]
