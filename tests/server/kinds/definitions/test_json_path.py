"""JSON paths of columns and scales."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.kinds.definitions.json_path import JsonPathError, TooManyStepsError, read_json_path

OBJ = {
    "spec": {"a.b": 1, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}], "replicas": 3},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}
FOUND: dict[str, tuple[str, list[Any]]] = {
    "a field": (".spec.replicas", [3]),
    "without a dot": ("spec.replicas", [3]),
    "in braces": ("{.spec.replicas}", [3]),
    "a quoted field": (".spec['a.b']", [1]),
    "an index": (".spec.list[1].n", ["y"]),
    "from the end": (".spec.list[-1].n", ["y"]),
    "outside": (".spec.list[5].n", []),
    "all": (".spec.list[*].v", [1, 2]),
    "filtered by text": ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
    "filtered by number": (".spec.list[?(@.v==2)].n", ["y"]),
    "filtered out": (".status.conditions[?(@.type!='Ready')].type", ["Other"]),
    "nothing": (".spec.none.at.all", []),
}


@pytest.mark.parametrize(("path", "found"), FOUND.values(), ids=FOUND.keys())
def test_a_path_finds(path: str, found: list[Any]) -> None:
    assert read_json_path(path).find(OBJ) == found


@pytest.mark.parametrize("path", [".spec[", ".a b", ".x[?(@.y>1)]", "..x", ".x[abc]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(JsonPathError):
        read_json_path(path)


ENDLESS = (".a[*].b[*]", ".a[*].b[?(@.c==1)]", ".a[?(@.b[*]==1)].b")


@pytest.mark.parametrize("text", ENDLESS)
def test_json_path_1_a_search_ends(text: str) -> None:
    path = read_json_path(text)
    obj = {"a": [{"b": list(range(100))}] * 100}
    with pytest.raises(TooManyStepsError):
        path.find(obj)
    assert path.find({"a": [{"b": [1, 2]}] * 100}) is not None
