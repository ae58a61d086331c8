"""The rules of a schema: each once, with the field and the words of its refusal."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.kinds.definitions.definition import validate_definition, validate_definition_update
from pvbinder.server.kinds.definitions.structural_rules import check_structural
from pvbinder.server.objects.kind import Json

ROOT = "spec.validation.openAPIV3Schema"
TEXT = {"type": "string"}
EITHER = [{"type": "integer"}, {"type": "string"}]


def definition(schema: Any, **version: Any) -> Json:
    """A definition of one version with this schema."""
    return {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}
            ],
        },
        "status": {"storedVersions": ["v1"], "acceptedNames": {"plural": "", "kind": ""}},
    }


def of_spec(**schema: Any) -> Json:
    """The schema of a kind whose ``spec`` has this one."""
    return {"type": "object", "properties": {"spec": {key.replace("__", "-"): value for key, value in schema.items()}}}


def told(schema: Any, **version: Any) -> list[str]:
    """What is said of the definition, with short names for the long paths."""
    errors = validate_definition(definition(schema, **version))
    return [str(error).replace(f"{ROOT}.properties[spec]", "SPEC").replace(ROOT, "ROOT") for error in errors]


LIST_OF_KEYS = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
ITEM = {"type": "object", "required": ["k"], "properties": {"k": TEXT}}
FINE = {
    "an integer or a string, said by type too": of_spec(type="string", **{"x-kubernetes-int-or-string": True}),
    "the two types of either": of_spec(**{"x-kubernetes-int-or-string": True, "anyOf": EITHER}),
    "either, narrowed": of_spec(
        **{"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": EITHER}, {"pattern": "^1"}]}
    ),
    "required metadata": {"type": "object", "required": ["metadata"], "properties": {"metadata": {"type": "object"}}},
    "rules for the name": {
        "type": "object",
        "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}},
    },
    "any fields at the root": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "a list with keys": of_spec(type="array", items=ITEM, **LIST_OF_KEYS),
    "a default of the right type": of_spec(type="object", default={"a": "x"}, properties={"a": TEXT}),
    "a default whose metadata has more than there is": of_spec(
        type="object",
        default={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "more": 1}},
        **{"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
    ),
    "no default is null": of_spec(type="string", default=None),
    "narrowed by what is there": of_spec(type="object", properties={"a": TEXT}, anyOf=[{"required": ["a"]}]),
}
BROKEN: dict[str, tuple[Any, list[str]]] = {
    "any keys at the root": (
        {"type": "object", "additionalProperties": TEXT},
        ["ROOT.additionalProperties: Forbidden: must not be used at the root"],
    ),
    "no type": ({}, ["ROOT.type: Required value: must not be empty at the root"]),
    "labels in metadata": (
        {"type": "object", "properties": {"metadata": {"type": "object", "required": ["labels"]}}},
        [
            ("ROOT.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but "
            "metadata is implicitly specified")
        ],
    ),
    "a kind that is no text": (
        {"type": "object", "properties": {"kind": {"type": "integer"}}},
        ['ROOT.properties[kind].type: Invalid value: "integer": must be string'],
    ),
    "null at the root": (
        {"type": "object", "nullable": True},
        ["ROOT.nullable: Forbidden: nullable cannot be true at the root"],
    ),
    "a type inside anyOf": (
        of_spec(type="string", anyOf=[{"type": "string"}]),
        ["SPEC.anyOf[0].type: Forbidden: must be empty to be structural"],
    ),
    "shape inside allOf": (
        of_spec(
            type="object",
            properties={"a": TEXT},
            allOf=[
                {
                    "description": "d",
                    "title": "t",
                    "default": {},
                    "nullable": True,
                    "additionalProperties": TEXT,
                    "x-kubernetes-preserve-unknown-fields": True,
                    "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-int-or-string": True,
                    "x-kubernetes-list-type": "set",
                    "x-kubernetes-map-type": "atomic",
                    "x-kubernetes-list-map-keys": ["k"],
                    "x-kubernetes-validations": [{"rule": "true"}],
                }
            ],
        ),
        [
            "SPEC.allOf[0].additionalProperties: Forbidden: must be undefined to be structural",
            "SPEC.allOf[0].default: Forbidden: must be undefined to be structural",
            "SPEC.allOf[0].description: Forbidden: must be empty to be structural",
            "SPEC.allOf[0].nullable: Forbidden: must be false to be structural",
            "SPEC.allOf[0].title: Forbidden: must be empty to be structural",
            "SPEC.allOf[0].x-kubernetes-embedded-resource: Forbidden: must be false to be structural",
            "SPEC.allOf[0].x-kubernetes-int-or-string: Forbidden: must be false to be structural",
            "SPEC.allOf[0].x-kubernetes-list-map-keys: Forbidden: must be empty to be structural",
            "SPEC.allOf[0].x-kubernetes-list-type: Forbidden: must be undefined to be structural",
            "SPEC.allOf[0].x-kubernetes-map-type: Forbidden: must be undefined to be structural",
            "SPEC.allOf[0].x-kubernetes-preserve-unknown-fields: Forbidden: must be false to be structural",
            "SPEC.allOf[0].x-kubernetes-validations: Forbidden: must be empty to be structural",
            # and what the list rules say, which look inside, too
            "SPEC.allOf[0].type: Required value: must be object if x-kubernetes-map-type is specified",
            "SPEC.allOf[0].type: Required value: must be array if x-kubernetes-list-type is specified",
            ('SPEC.allOf[0].x-kubernetes-list-type: Invalid value: "set": must be map if x-kubernetes-list-map-keys is '
            "non-empty"),
        ],
    ),
    "a field that only oneOf knows": (
        {"type": "object", "properties": {"a": TEXT}, "oneOf": [{"properties": {"b": {"pattern": "x"}}}]},
        ["ROOT.properties[b]: Required value: because it is defined in ROOT.oneOf[0].properties[b]"],
    ),
    "items that only not knows": (
        {**of_spec(type="object"), "not": {"properties": {"spec": {"items": {"pattern": "x"}}}}},
        ["SPEC.items: Required value: because it is defined in ROOT.not.properties[spec].items"],
    ),
    "metadata inside not": (
        {"type": "object", "properties": {"metadata": {"type": "object"}}, "not": {"properties": {"metadata": {}}}},
        ["ROOT.not.properties[metadata]: Forbidden: must not be specified in a nested context"],
    ),
    "an embedded object of nothing": (
        of_spec(type="object", **{"x-kubernetes-embedded-resource": True}),
        [
            ("SPEC.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without "
            "x-kubernetes-preserve-unknown-fields")
        ],
    ),
    "an embedded object of any keys": (
        of_spec(
            type="object",
            additionalProperties=TEXT,
            **{"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        ),
        ["SPEC.additionalProperties: Forbidden: must not be used if x-kubernetes-embedded-resource is set"],
    ),
    "either with any fields": (
        of_spec(**{"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True}),
        [
            ("SPEC.x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if "
            "x-kubernetes-int-or-string is true")
        ],
    ),
    "fields and any keys": (
        of_spec(type="object", properties={"a": TEXT}, additionalProperties=TEXT),
        ["SPEC.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"],
    ),
    "keys that may be missing": (
        of_spec(type="array", items={"type": "object", "properties": {"k": TEXT}}, **LIST_OF_KEYS),
        [
            ("SPEC.items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it "
            "must have a default or be a required property")
        ],
    ),
    "a set of lists that are sets": (
        of_spec(
            type="array",
            items={"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
            **{"x-kubernetes-list-type": "set"},
        ),
        [
            ('SPEC.items.x-kubernetes-list-type: Invalid value: "set": must be atomic as item of a list with '
            "x-kubernetes-list-type=set")
        ],
    ),
    "a map type that nobody knows": (
        of_spec(type="object", **{"x-kubernetes-map-type": "separable"}),
        ['SPEC.x-kubernetes-map-type: Unsupported value: "separable": supported values: "atomic", "granular"'],
    ),
    "a default of another type": (
        of_spec(type="object", properties={"a": {"type": "integer", "default": "1"}}),
        [
            'SPEC.properties[a].default: Invalid value: "string":  in body must be of type integer: "string"',
        ],
    ),
    "a default in a list": (
        of_spec(type="array", items={"type": "object", "properties": {"a": {"type": "boolean", "default": 1}}}),
        ['SPEC.items.properties[a].default: Invalid value: "integer":  in body must be of type boolean: "integer"'],
    ),
    "a default with more than there is": (
        of_spec(type="object", default={"z": 1}, properties={"a": TEXT}),
        ['SPEC.default: Invalid value: {"z":1}: must not have unknown fields'],
    ),
    "what is said not to be kept": (
        {"x-kubernetes-preserve-unknown-fields": False},
        ["ROOT.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"],
    ),
    "a default of an object inside whose metadata is wrong": (
        of_spec(
            type="object",
            default={"apiVersion": "v1", "kind": "Pod", "metadata": 42},
            **{"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        ),
        [
            ("SPEC.default.metadata: Invalid value: 42: json: cannot unmarshal number into Go value of type "
            "v1.ObjectMeta"),
        ],
    ),
    "a default that makes metadata invalid": (
        of_spec(
            type="object",
            properties={
                "o": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {
                        "metadata": {"type": "object", "properties": {"name": {"type": "string", "default": "a/b"}}}
                    },
                }
            },
        ),
        [
            ("SPEC.properties[o].properties[metadata].properties[name].default: Invalid value: \"a/b\": must result in "
            "valid metadata: metadata.name: Invalid value: \"a/b\": may not contain '/'")
        ],
    ),
    "a rule without a rule": (
        of_spec(type="string", **{"x-kubernetes-validations": [{"message": "m"}]}),
        ["SPEC.x-kubernetes-validations[0].rule: Required value: rule is not specified"],
    ),
    "a rule about another field": (
        of_spec(
            type="object",
            properties={"a": TEXT},
            **{"x-kubernetes-validations": [{"rule": "true", "fieldPath": ".b"}]},
        ),
        ['SPEC.x-kubernetes-validations[0].fieldPath: Invalid value: ".b": must be a valid path'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("schema", FINE.values(), ids=FINE.keys())
def test_what_kubernetes_takes_is_taken(schema: Any) -> None:
    assert told(schema) == []


@pytest.mark.parametrize(("schema", "errors"), BROKEN.values(), ids=BROKEN.keys())
def test_schema_1_what_breaks_a_rule_is_refused_in_its_words(schema: Any, errors: list[str]) -> None:
    assert told(schema) == errors


def test_structural_1_what_is_combined_narrows_only() -> None:
    inside: Json = {"properties": {"a": {"minLength": 1}}}
    schema = {"type": "object", "properties": {"a": TEXT}, "anyOf": [inside]}
    assert check_structural(schema, "s") == []
    inside["properties"]["b"] = {"minLength": 1}
    assert [error.field for error in check_structural(schema, "s")] == ["s.properties[b]"]


def test_structural_2_errors_are_sorted() -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    assert [error.field for error in check_structural(schema, "s")] == ["s.properties[a].type", "s.properties[b].type"]


def test_versions_that_differ_are_named_each() -> None:
    obj = definition({"type": "object"})
    obj["spec"]["versions"].append(
        {"name": "v2", "served": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {}}}}}
    )
    where = "spec.versions[1].schema.openAPIV3Schema.properties[a].type"
    assert [error.field for error in validate_definition(obj)] == [where]


def test_the_root_of_a_kind_with_a_status_has_nothing_that_the_status_would_lose() -> None:
    schema = {"type": "object", "minProperties": 1}
    errors = told(schema, subresources={"status": {}})
    assert len(errors) == 1
    assert "fields are allowed at the root of the schema if the status subresource is enabled" in errors[0]


def test_definition_1_what_was_there_before_stays_allowed() -> None:
    fields = [{"jsonPath": f".f{number}"} for number in range(9)]
    schema = {"type": "object", "properties": {f"f{number}": TEXT for number in range(10)}}
    old = definition(schema, selectableFields=fields)
    assert [str(error) for error in validate_definition(old)] == [
        "spec.selectableFields: Too many: 9: must have at most 8 items"
    ]
    assert validate_definition_update({**old, "metadata": {"name": "things.example.com", "labels": {}}}, old) == []
    more = definition(schema, selectableFields=[*fields, {"jsonPath": ".f9"}])
    assert [error.reason for error in validate_definition_update(more, old)] == ["FieldValueTooMany"]


SELECTABLE = {
    "a field": (".spec.a", ""),
    "metadata": (".metadata.name", "must not point to fields in metadata"),
    "an object": (".spec", "must point to a field of type string, boolean or integer."),
    "a field that isn't there": (".spec.b", "is an invalid path: does not refer to a valid field"),
    "an item": (".spec.l[0]", "is an invalid path: array notation is not allowed"),
    "no dot": ("spec.a", "is an invalid path: expected [ or . but got: spec"),
}


@pytest.mark.parametrize(("path", "why"), SELECTABLE.values(), ids=SELECTABLE.keys())
def test_fields_to_select_by_are_checked(path: str, why: str) -> None:
    spec = {"type": "object", "properties": {"a": TEXT, "l": {"type": "array", "items": TEXT}}}
    schema = {
        "type": "object",
        "properties": {"spec": spec, "metadata": {"type": "object", "properties": {"name": TEXT}}},
    }
    errors = validate_definition(definition(schema, selectableFields=[{"jsonPath": path}]))
    assert [error.field for error in errors] == (["spec.selectableFields[0].jsonPath"] if why else [])
    assert all(why in error.body for error in errors)
