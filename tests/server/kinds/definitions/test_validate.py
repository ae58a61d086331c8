"""Rules about values in structural schemas, and the words for violations."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.kinds.definitions.conform import DefaultsTooLargeError, fill_in_defaults, pruned
from pvbinder.server.kinds.definitions.structural_rules import check_structural
from pvbinder.server.kinds.definitions.structure import branches, read_structure
from pvbinder.server.kinds.definitions.validate import STEPS_MAX, Steps, TooCostlyError, check_value

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def errors(value: Any, schema: Any) -> list[str]:
    return [str(error) for error in check_value({"v": value}, read_structure({"properties": {"v": schema}}), "")]


BROKEN = {
    "another type": (5, TEXT, 'v: Invalid value: "integer": v in body must be of type string: "integer"'),
    "null": (None, TEXT, 'v: Invalid value: "null": v in body must be of type string: "null"'),
    "too small": (0, NUMBER | {"minimum": 1}, "v: Invalid value: 0: v in body should be greater than or equal to 1"),
    "not greater": (
        1,
        NUMBER | {"minimum": 1, "exclusiveMinimum": True},
        "v: Invalid value: 1: v in body should be greater than 1",
    ),
    "too large": (9, NUMBER | {"maximum": 2}, "v: Invalid value: 9: v in body should be less than or equal to 2"),
    "no multiple": (3, NUMBER | {"multipleOf": 2}, "v: Invalid value: 3: v in body should be a multiple of 2"),
    "too short": ("a", TEXT | {"minLength": 2}, 'v: Invalid value: "a": v in body should be at least 2 chars long'),
    "too long": ("abc", TEXT | {"maxLength": 2}, "v: Too long: may not be more than 2 bytes"),
    "no match": ("a", TEXT | {"pattern": "^b"}, "v: Invalid value: \"a\": v in body should match '^b'"),
    "none of the values": ("c", TEXT | {"enum": ["a", "b"]}, 'v: Unsupported value: "c": supported values: "a", "b"'),
    "no date": (
        "x",
        TEXT | {"format": "date-time"},
        'v: Invalid value: "x": v in body must be of type date-time: "x"',
    ),
    "too few": (
        [],
        {"type": "array", "minItems": 1},
        "v: Invalid value: 0: v in body should have at least 1 items",
    ),
    "too many": ([1, 2], {"type": "array", "maxItems": 1}, "v: Too many: 2: must have at most 1 items"),
    "a field is missing": ({}, {"type": "object", "required": ["w"]}, "v.w: Required value"),
    "in a list": (
        [1],
        {"type": "array", "items": TEXT},
        'v[0]: Invalid value: "integer": v[0] in body must be of type string: "integer"',
    ),
    "in a map": (
        {"k": 1},
        {"type": "object", "additionalProperties": TEXT},
        'v.k: Invalid value: "integer": v.k in body must be of type string: "integer"',
    ),
    "neither integer nor string": (
        True,
        {"x-kubernetes-int-or-string": True},
        'v: Invalid value: "boolean": v in body must be of type integer,string: "boolean"',
    ),
    "what it must not be": (
        1,
        {"not": {"type": "integer"}},
        '<nil>: Invalid value: "": "v" must not validate the schema (not)',
    ),
}


@pytest.mark.parametrize(("value", "schema", "error"), BROKEN.values(), ids=BROKEN.keys())
def test_what_breaks_a_rule_is_named(value: Any, schema: Any, error: str) -> None:
    assert errors(value, schema) == [error]


FINE = {
    "null where it may be": (None, TEXT | {"nullable": True}),
    "a whole float for a number": (1.0, {"type": "number"}),
    "either of both": ("80%", {"x-kubernetes-int-or-string": True}),
    "anything": ({"a": [1, None]}, {"x-kubernetes-preserve-unknown-fields": True}),
    "a pattern that only Go can read": ("Éx", TEXT | {"pattern": r"\p{Lu}"}),
    "a date": ("2024-01-01T00:00:00Z", TEXT | {"format": "date-time"}),
    "an unknown format": ("x", TEXT | {"format": "quux"}),
}


@pytest.mark.parametrize(("value", "schema"), FINE.values(), ids=FINE.keys())
def test_what_breaks_none_is_fine(value: Any, schema: Any) -> None:
    assert errors(value, schema) == []


NESTED = {
    "type": "object",
    "properties": {
        "a": {"type": "object", "properties": {"x": NUMBER | {"default": 5}}, "default": {}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "list": {"type": "array", "items": {"type": "object", "properties": {"y": TEXT | {"default": "d"}}}},
    },
}


def test_defaults_are_filled_in_from_the_outside_to_the_inside() -> None:
    obj: Any = {"list": [{}, {"y": None}, {"y": "e"}]}
    fill_in_defaults(obj, read_structure(NESTED))
    assert obj == {"a": {"x": 5}, "list": [{"y": "d"}, {"y": "d"}, {"y": "e"}]}


def test_what_is_not_known_is_pruned_and_named() -> None:
    notes: list[str] = []
    obj = {"a": {"x": 1, "z": 1}, "free": {"z": {"z": 1}}, "list": [{"q": 1}], "no": 1}
    left = pruned(obj, read_structure(NESTED), "", lambda what, path: notes.append(f"{what} {path}"))
    assert left == {"a": {"x": 1}, "free": {"z": {"z": 1}}, "list": [{}]}
    assert notes == ["unknown a.z", "unknown list[0].q", "unknown no"]


NOT_STRUCTURAL = {
    "no schema": (None, "s: Required value"),
    "no object": ({"type": "string"}, 's.type: Invalid value: "string": must be object at the root'),
    "a field without a type": (
        {"type": "object", "properties": {"a": {}}},
        "s.properties[a].type: Required value: must not be empty for specified object fields",
    ),
    "a list of anything": (
        {"type": "object", "properties": {"a": {"type": "array"}}},
        "s.properties[a].items: Required value: must be specified",
    ),
}


@pytest.mark.parametrize(("schema", "error"), NOT_STRUCTURAL.values(), ids=NOT_STRUCTURAL.keys())
def test_what_is_not_structural_is_refused(schema: Any, error: str) -> None:
    assert [str(found) for found in check_structural(schema, "s")] == [error]


def combined(levels: int, word: str) -> dict[str, Any]:
    """Schemas in schemas: a value is tried against two to the power of `levels`."""
    schema: dict[str, Any] = {"maxLength": 0}
    for _ in range(levels):
        schema = {word: [schema, schema]}
    return schema


@pytest.mark.parametrize("word", ["anyOf", "oneOf", "allOf"])
def test_validate_1_an_object_that_is_too_costly_is_refused(word: str) -> None:
    structure = read_structure({"type": "array", "items": {"type": "string", **combined(8, word)}})
    assert list(check_value(["a"] * 10, structure, "v"))
    assert list(check_value(["a"] * 10, structure, "v", Steps(10_000)))
    with pytest.raises(TooCostlyError):
        list(check_value(["a"] * 40, structure, "v", Steps(10_000)))


def test_validate_1_the_budget_is_the_maximum_unless_the_caller_says_less() -> None:
    steps = Steps()
    steps.take(STEPS_MAX)
    with pytest.raises(TooCostlyError):
        steps.take(1)


def test_validate_1_required_fields_and_enumerations_are_steps_too() -> None:
    required = read_structure({"type": "array", "items": {"required": [f"f{number}" for number in range(1000)]}})
    with pytest.raises(TooCostlyError):
        list(check_value([{}] * 10, required, "v", Steps(5000)))
    enum = read_structure({"type": "array", "items": {"enum": [f"f{number}" for number in range(1000)]}})
    with pytest.raises(TooCostlyError):
        list(check_value(["x"] * 10, enum, "v", Steps(5000)))


def test_defaults_do_not_make_an_object_grow_without_bound() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "string", "default": "x" * 100_000}}}
    structure = read_structure({"type": "array", "items": inner})
    fill_in_defaults([{}] * 10, structure)
    with pytest.raises(DefaultsTooLargeError):
        fill_in_defaults([{} for _ in range(50)], structure)


def test_branches_are_counted_wherever_they_stand() -> None:
    schema = {"type": "object", "properties": {"a": {"anyOf": [{}, {}]}, "b": {"items": {"not": {"oneOf": [{}]}}}}}
    assert branches(read_structure(schema), 100) == 4
    assert branches(read_structure(combined(8, "anyOf")), 10) > 10
