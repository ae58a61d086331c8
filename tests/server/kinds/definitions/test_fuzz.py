"""Schemas and objects of all shapes: nothing but field errors comes out, and conforming twice is conforming once."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.strategies import json_values, texts

from pvbinder.server.kinds.definitions.conform import fill_in_defaults, pruned
from pvbinder.server.kinds.definitions.json_path import JsonPathError, read_json_path
from pvbinder.server.kinds.definitions.structural_rules import check_structural
from pvbinder.server.kinds.definitions.structure import read_structure
from pvbinder.server.kinds.definitions.validate import check_value

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
NAMES = st.sampled_from(["a", "b", "c"])

leaves = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "number", "boolean"])},
    optional={
        "default": json_values,
        "nullable": st.booleans(),
        "enum": st.lists(json_values, min_size=1, max_size=3),
        "minimum": st.integers(-5, 5),
        "maximum": st.floats(-5, 5),
        "maxLength": st.integers(0, 3),
        "pattern": st.sampled_from(["^a", "(", r"\p{L}", "b$"]),
        "format": st.sampled_from(["date-time", "uuid", "ipv4", "cidr", "byte", "uri", "email", "int32", "odd"]),
        "not": st.just({"type": "string"}),
    },
)
schemas = st.recursive(
    leaves | st.just({"x-kubernetes-int-or-string": True}) | st.just({"x-kubernetes-preserve-unknown-fields": True}),
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=3)},
            optional={"required": st.lists(NAMES, max_size=2), "default": json_values},
        ),
        st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner}),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"x-kubernetes-list-type": st.sampled_from(["set", "atomic"]), "minItems": st.integers(0, 2)},
        ),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)}),
    ),
    max_leaves=6,
)
values = st.recursive(
    json_values, lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3)
)


@given(schema=schemas, value=values)
@QUICK
def test_conforming_twice_is_conforming_once(schema: Any, value: Any) -> None:
    structure = read_structure(schema)
    notes: list[str] = []
    once = pruned(value, structure, "", lambda _what, path: notes.append(path))
    fill_in_defaults(once, structure)
    again = pruned(copy.deepcopy(once), structure, "", lambda _what, _path: None)
    fill_in_defaults(again, structure)
    third = pruned(copy.deepcopy(again), structure, "", lambda _what, _path: None)
    fill_in_defaults(third, structure)
    assert again == third
    for error in check_value(once, structure, ""):
        assert str(error)


@given(schema=schemas | json_values)
@QUICK
def test_a_schema_is_structural_or_says_why_not(schema: Any) -> None:
    for error in check_structural(json.loads(json.dumps(schema)), "s"):
        assert error.field.startswith("s")


@given(text=st.text(alphabet=".[]*?()@='\"ab01 -$", max_size=15) | texts, value=values)
@QUICK
def test_a_path_is_read_and_followed_or_refused(text: str, value: Any) -> None:
    try:
        path = read_json_path(text)
    except JsonPathError:
        return
    path.find(value)
