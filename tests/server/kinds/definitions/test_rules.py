"""Rules in CEL: their definition, and their errors about objects."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.model.resources import Resource
from pvbinder.server.kinds.definitions import rules as limits
from pvbinder.server.kinds.definitions.custom_schema import CustomSchema
from pvbinder.server.kinds.definitions.definition import validate_definition
from pvbinder.server.kinds.definitions.judgement import Judge
from pvbinder.server.objects.kind import Json

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
RULES = "x-kubernetes-validations"
ROOT = "spec.validation.openAPIV3Schema"


def rules(*rules: str | Json) -> Json:
    """What a schema says of its rules."""
    return {RULES: [rule if isinstance(rule, dict) else {"rule": rule} for rule in rules]}


def told(schema: Json) -> list[str]:
    """What is said of a definition with this schema in ``spec``."""
    errors = validate_definition(
        {
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Cluster",
                "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}},
                    }
                ],
            },
            "status": {"storedVersions": ["v1"], "acceptedNames": {"plural": "", "kind": ""}},
        }
    )
    return [str(error).replace(f"{ROOT}.properties[spec]", "SPEC").replace(ROOT, "ROOT") for error in errors]


def judge(spec: Json) -> Judge:
    schema = {"type": "object", "properties": {"spec": spec}}
    return Judge(CustomSchema(Resource("example.com", "v1", "Thing", "things", False), "ThingList", schema), None)


def thing(spec: Any) -> Json:
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}


def broken(schema: Json, new: Any, old: Any = None) -> list[str]:
    """What is said of an object with this ``spec``, or of a change to it."""
    judges = judge(schema)
    errors = judges.create(thing(new)) if old is None else judges.update(thing(new), thing(old))
    return [str(error) for error in errors]


BOUND = {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 10}}
FINE: dict[str, Json] = {
    "fields by their names": {
        "type": "object",
        "properties": {"a-b": TEXT, "c.d": TEXT, "if": TEXT, "__e": TEXT, "x/y": TEXT},
        **rules("self.a__dash__b == self.c__dot__d && self.__if__ == self.__underscores__e && self.x__slash__y != ''"),
    },
    "times and octets": {
        "type": "object",
        "properties": {
            "d": {**TEXT, "format": "duration"},
            "t": {**TEXT, "format": "date-time"},
            "b": {**TEXT, "format": "byte"},
        },
        **rules("self.d < duration('1h') && self.t < timestamp('2030-01-01T00:00:00Z') && self.b == b'x'"),
    },
    "an integer or a text": {"x-kubernetes-int-or-string": True, **rules("type(self) == int ? self > 0 : self != ''")},
    "lists that are bound": {
        "type": "object",
        "properties": {"l": BOUND},
        **rules("self.l.all(x, self.l.exists(y, x == y))"),
    },
    "a message that is computed": {
        **NUMBER,
        **rules({"rule": "self > 0", "messageExpression": "'%d is too small'.format([self])"}),
    },
    "what was there before": {
        **NUMBER,
        **rules("self >= oldSelf", {"rule": "oldSelf.orValue(0) < 9", "optionalOldSelf": True}),
    },
    "an object inside": {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
        **rules("self.kind == 'Pod' && self.metadata.name.startsWith('a')"),
    },
}


@pytest.mark.parametrize("schema", FINE.values(), ids=FINE)
def test_a_rule_that_may_be(schema: Json) -> None:
    assert told(schema) == []


def mistake(text: str, message: str, **more: str) -> str:
    """How a rule is refused whose expression isn't one."""
    place = "messageExpression" if "messageExpression" in more else "rule"
    quoted = "".join(f',"{key}":"{value}"' for key, value in {"message": "", "messageExpression": "", **more}.items())
    return f'SPEC.x-kubernetes-validations[0].{place}: Invalid value: {{"rule":"{text}"{quoted}}}: {message}'


WRONG: dict[str, tuple[Json, str]] = {
    "no field": (
        {"type": "object", "properties": {"a": TEXT}, **rules("self.b == 1")},
        "SPEC.x-kubernetes-validations[0].rule: Invalid value: {Rule:self.b == 1 ",
    ),
    "no bool": ({**NUMBER, **rules("self")}, "cel expression must evaluate to a bool"),
    "no text": (
        {**NUMBER, **rules({"rule": "self > 0", "messageExpression": "self"})},
        "messageExpression must evaluate to a string",
    ),
    "a message that is none": (
        {**NUMBER, **rules({"rule": "self > 0", "messageExpression": "nobody"})},
        "messageExpression compilation failed: ERROR: <input>:1:1: undeclared reference to 'nobody'",
    ),
    "what is known before": ({**TEXT, **rules("self == string(int('x'))")}, "program instantiation failed: "),
    "old where there is none": (
        {"type": "array", "items": {**TEXT, **rules("self == oldSelf")}},
        "oldSelf cannot be used on the uncorrelatable portion of the schema within SPEC",
    ),
    "optional without old": (
        {**NUMBER, **rules({"rule": "self > 0", "optionalOldSelf": True})},
        "SPEC.x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used",
    ),
    "a default that breaks it": (
        {"type": "object", "properties": {"n": {**NUMBER, "default": 1, **rules("self > 1")}}},
        "SPEC.properties[n].default: Invalid value: 1: failed rule: self > 1",
    ),
}


@pytest.mark.parametrize(("schema", "message"), WRONG.values(), ids=WRONG)
def test_rules_1_what_does_not_compile_is_refused(schema: Json, message: str) -> None:
    said = "\n".join(told(schema))
    assert message in said or message.partition(" {Rule")[0] in said


def test_rules_2_what_might_cost_too_much_is_refused() -> None:
    free = {"type": "object", "properties": {"l": {"type": "array", "items": TEXT}}}
    said = told({**free, **rules("self.l.all(x, self.l.exists(y, x == y))")})
    assert said[0].startswith(
        "SPEC.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than"
    )
    inner = {**BOUND, "maxItems": 200_000, "items": {**TEXT, "maxLength": 10, **rules("self.contains('ab')")}}
    assert told({"type": "object", "properties": {"l": inner}}) == []
    many = {f"l{number}": inner for number in range(130)}
    said = told({"type": "object", "properties": many})
    assert said[-1].startswith(
        "ROOT: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget"
    )


def test_rules_2_a_message_might_cost_too_much_too() -> None:
    free = {
        "type": "array",
        "items": TEXT,
        **rules({"rule": "true", "messageExpression": "self.map(x, self.map(y, x + y).join()).join()"}),
    }
    said = told(free)
    assert said[0].startswith(
        "SPEC.x-kubernetes-validations[0].messageExpression: Forbidden: estimated messageExpression cost exceeds budget"
    )


def test_rules_3_what_costs_too_much_is_not_tried() -> None:
    schema = {"type": "array", "items": NUMBER, **rules("self.all(x, self.all(y, x + y >= 0))")}
    assert broken(schema, [1] * 10) == []
    [said] = broken(schema, [1] * 500)
    assert said == (
        "spec: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation "
        "rules will be run due to call cost exceeds limit for rule: self.all(x, self.all(y, x + y >= 0))"
    )


def test_rules_3_all_rules_of_an_object_share_what_they_may_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OBJECT_COST_MAX", 10_000)
    schema = {"type": "array", "items": NUMBER, **rules(*["self.all(x, self.all(y, x + y >= 0))"] * 20)}
    assert broken(schema, [1] * 5) == []
    said = broken(schema, [1] * 30)
    assert len(said) == 1
    assert "validation failed due to running out of cost budget, no further validation rules will be run" in said[0]


CHANGING = {"type": "object", "properties": {"n": NUMBER, "other": TEXT}, **rules("self.n >= oldSelf.n")}
NEW = {
    "type": "object",
    "properties": {
        "n": {
            **NUMBER,
            **rules({"rule": "oldSelf.hasValue() ? self > oldSelf.value() : self < 5", "optionalOldSelf": True}),
        },
        "other": TEXT,
    },
}
BY_KEYS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["k"],
    "items": {
        "type": "object",
        "required": ["k"],
        "properties": {"k": TEXT, "n": NUMBER},
        **rules("self.n >= oldSelf.n"),
    },
}


def test_rules_4_what_compares_is_tried_where_there_is_something_before() -> None:
    assert broken(CHANGING, {"n": 1}) == []
    assert broken(CHANGING, {"n": 2}, {"n": 1}) == []
    assert broken(CHANGING, {"n": 1}, {"n": 2}) == ["spec: Invalid value: failed rule: self.n >= oldSelf.n"]
    assert broken(NEW, {"n": 4}) == []
    assert len(broken(NEW, {"n": 5})) == 1
    assert broken(NEW, {"n": 9}, {"n": 5}) == []
    assert len(broken(NEW, {"n": 4}, {"n": 5})) == 1
    items = [{"k": "a", "n": 5}, {"k": "b", "n": 1}]
    assert broken(BY_KEYS, [{"k": "b", "n": 1}, {"k": "c", "n": 0}, {"k": "a", "n": 5}], items) == []
    assert broken(BY_KEYS, [{"k": "b", "n": 0}, {"k": "a", "n": 5}], items) == [
        "spec[0]: Invalid value: failed rule: self.n >= oldSelf.n"
    ]


NARROWED = {"type": "object", "properties": {"s": {**TEXT, **rules("self != 'bad'")}, "other": TEXT}}


def test_rules_5_what_stays_may_stay() -> None:
    assert len(broken(NARROWED, {"s": "bad"})) == 1
    assert broken(NARROWED, {"s": "bad", "other": "x"}, {"s": "bad"}) == []
    assert len(broken(NARROWED, {"s": "bad"}, {"s": "good"})) == 1


MESSAGES: dict[str, tuple[Json, str]] = {
    "the rule": ({"rule": "self.n > 1"}, "spec: Invalid value: failed rule: self.n > 1"),
    "a message": ({"rule": "self.n > 1", "message": "more!"}, "spec: Invalid value: more!"),
    "a computed message": (
        {"rule": "self.n > 1", "message": "more!", "messageExpression": "string(self.n) + ' is few'"},
        "spec: Invalid value: 1 is few",
    ),
    "a computed message that can't be": (
        {"rule": "self.n > 1", "message": "more!", "messageExpression": "string(1 / (self.n - 1))"},
        "spec: Invalid value: more!",
    ),
    "a computed message of two lines": (
        {"rule": "self.n > 1", "message": "more!", "messageExpression": r"'a\nb'"},
        "spec: Invalid value: more!",
    ),
    "a field": ({"rule": "self.n > 1", "fieldPath": ".n"}, "spec.n: Invalid value: failed rule: self.n > 1"),
    "forbidden": ({"rule": "self.n > 1", "reason": "FieldValueForbidden"}, "spec: Forbidden: failed rule: self.n > 1"),
    "required": (
        {"rule": "self.n > 1", "reason": "FieldValueRequired"},
        "spec: Required value: failed rule: self.n > 1",
    ),
    "duplicate": ({"rule": "self.n > 1", "reason": "FieldValueDuplicate"}, "spec: Duplicate value"),
    "an error": (
        {"rule": "10 / (self.n - 1) > 1"},
        'spec: Invalid value: "object": division by zero evaluating rule: 10 / (self.n - 1) > 1',
    ),
}


@pytest.mark.parametrize(("rule", "message"), MESSAGES.values(), ids=MESSAGES)
def test_what_a_broken_rule_says(rule: Json, message: str) -> None:
    assert broken({"type": "object", "properties": {"n": NUMBER}, **rules(rule)}, {"n": 1}) == [message]
