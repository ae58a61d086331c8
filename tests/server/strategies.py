"""Hypothesis strategies for objects of a kind, near-objects, and JSON in general."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import strategies as st

from pvbinder.server.objects.schema.types import CATALOGUE, Field

TENTHS = st.integers(0, 9)
texts = st.text(max_size=8) | st.sampled_from(["a", "b", "name", "", "\u2028", "x" * 40, "\ud7ff"])
numbers = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)

_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": texts,
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "double": st.integers(-100, 100) | st.floats(-1e6, 1e6),
    "bytes": st.sampled_from(["", "YQ==", "YWI=", "YWJj"]),
    "time": st.sampled_from(["2024-01-01T00:00:00Z", "2024-02-29T12:30:00.5+02:00", "1999-12-31T23:59:59Z"]),
    "microtime": st.sampled_from(["2024-01-01T00:00:00.123456Z", "2024-01-01T00:00:00Z"]),
    "quantity": st.sampled_from(["1Gi", "1024Mi", "0", "1.5", "100m", "1e3", "0.5Gi", "-1"]),
    "intorstring": st.integers(0, 65535) | texts,
    "any": st.dictionaries(texts, texts, max_size=2),
}


def values_of(field: Field, depth: int = 4) -> st.SearchStrategy[Any]:
    """Values that a field may have."""
    if field.is_list:
        return st.lists(values_of(field.element, depth - 1), max_size=2)
    if field.is_map:
        return st.dictionaries(texts, values_of(field.element, depth - 1), max_size=2)
    if field.type.startswith("#"):
        return objects_of(field.type[1:], depth - 1)
    return _SCALARS[field.type]


def objects_of(schema: str, depth: int = 4) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a type, with a few of their fields."""
    return _built_in(schema, depth) if schema.startswith("io.k8s.") else _made(schema, depth)


def _made(schema: str, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    fields = CATALOGUE[schema].fields if depth > 0 else {}
    plain = {name: field for name, field in fields.items() if name not in ("kind", "apiVersion", "managedFields")}
    if not plain:
        return st.builds(dict)
    names = st.lists(st.sampled_from(sorted(plain)), max_size=5, unique=True)
    values = functools.cache(lambda name: values_of(plain[name], depth))

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        return {name: draw(st.none() if draw(TENTHS) == 0 else values(name)) for name in draw(names)}

    return build()


_built_in = functools.cache(_made)  # to make a strategy takes longer than to draw from it


@st.composite
def disturbed(draw: st.DrawFn, objects: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    """Objects in which something, somewhere, is replaced by something else or added."""
    obj = draw(objects)
    place: Any = obj
    while isinstance(place, dict) and place and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict):
            place[key] = draw(json_values)
            return obj
        place = place[key]
    if isinstance(place, dict):
        place[draw(texts)] = draw(json_values)
    return obj
