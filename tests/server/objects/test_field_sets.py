"""Sets of field paths as managedFields stores them (FIELDSET-1, FIELDSET-2)."""

from __future__ import annotations

import copy

import pytest

from pvbinder.server.objects.field_sets import (
    FieldSet,
    difference,
    intersection,
    is_member,
    is_valid,
    of_paths,
    paths,
    shown_path,
    sorted_set,
    union,
)

BOTH: FieldSet = {"f:data": {".": {}, "f:k": {}}}


def test_a_node_with_children_is_a_path_only_if_it_says_so() -> None:
    assert list(paths(BOTH)) == [("f:data",), ("f:data", "f:k")]
    assert list(paths({"f:data": {"f:k": {}}})) == [("f:data", "f:k")]
    assert is_member(BOTH["f:data"])
    assert not is_member({"f:k": {}})


def test_fieldset_1_nothing_is_changed_and_what_is_equal_is_the_same() -> None:
    left: FieldSet = copy.deepcopy(BOTH)
    right: FieldSet = {"f:data": {"f:l": {}}}
    assert union(left, right) == {"f:data": {".": {}, "f:k": {}, "f:l": {}}}
    assert difference(left, {"f:data": {"f:k": {}}}) == {"f:data": {}}
    assert left == BOTH
    assert union(left, BOTH) is left
    assert difference(left, right) is left


def test_fieldset_2_a_few_paths_are_taken_from_many_without_touching_the_rest() -> None:
    many: FieldSet = {f"f:{number}": {"f:x": {}} for number in range(100)}
    fewer = difference(many, {"f:7": {"f:x": {}}})
    assert "f:7" not in fewer
    assert all(fewer[element] is many[element] for element in fewer)


def test_sets_meet_in_common_paths() -> None:
    assert intersection(BOTH, {"f:data": {"f:k": {}, "f:z": {}}}) == {"f:data": {"f:k": {}}}
    assert intersection(BOTH, {"f:data": {}}) == {"f:data": {}}
    assert intersection(BOTH, {"f:other": {}}) == {}


SHOWN = {
    "fields": (("f:spec", "f:a.b"), ".spec.a.b"),
    "an element by key": (("f:c", 'k:{"name":"x"}', "f:image"), '.c[name="x"].image'),
    "by two keys": (("f:p", 'k:{"containerPort":80,"protocol":"TCP"}'), '.p[containerPort=80,protocol="TCP"]'),
    "by value": (("f:finalizers", 'v:"e/a"'), '.finalizers[="e/a"]'),
    "by index": (("f:l", "i:3"), ".l[3]"),
}


@pytest.mark.parametrize(("path", "text"), SHOWN.values(), ids=SHOWN.keys())
def test_paths_are_shown_as_messages_show_them(path: tuple[str, ...], text: str) -> None:
    assert shown_path(path) == text


def test_a_set_is_stored_in_order() -> None:
    assert list(sorted_set({"f:b": {"f:z": {}, ".": {}}, "f:a": {}})) == ["f:a", "f:b"]
    assert list(sorted_set({"f:b": {"f:z": {}, ".": {}}})["f:b"]) == [".", "f:z"]


def test_what_a_set_shares_with_a_stored_one_is_not_looked_into() -> None:
    stored: FieldSet = {"f:a": {"f:x": {}}, "f:c": {}}
    changed = union(stored, {"f:b": {"f:z": {}, ".": {}}})
    in_order = sorted_set(changed, stored)
    assert list(in_order) == ["f:a", "f:b", "f:c"]
    assert list(in_order["f:b"]) == [".", "f:z"]
    assert in_order["f:a"] is stored["f:a"]


NONSENSE = [5, [], {"x:y": {}}, {"f:a": 5}, {".": {"f:a": {}}}, {"k:[]": {}}, {"k:{": {}}, {"i:x": {}}, {"data": {}}]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_no_set(nonsense: object) -> None:
    assert not is_valid(nonsense)


def test_paths_make_the_set_that_has_them() -> None:
    assert of_paths([("f:data",), ("f:data", "f:k")]) == BOTH
