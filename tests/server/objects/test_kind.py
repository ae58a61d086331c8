"""The declaration of a kind: its guarantees hold for every kind that is built in."""

from __future__ import annotations

import ast
import copy
import inspect
from pathlib import Path

import pytest
from tests.server.kinds.writes import NOW, new

import pvbinder.server.kinds
from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.kinds.built_in.secrets import CONFIG_MAP
from pvbinder.server.kinds.registry import BUILT_IN
from pvbinder.server.objects.kind import Json, ServedKind

KINDS = pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.resource.qualified)


@KINDS
def test_kind_1_hooks_change_only_their_first_argument(kind: ServedKind) -> None:
    old = new()
    kind.complete(old)
    before, changed = copy.deepcopy(old), copy.deepcopy(old)
    kind.prepare_update(changed, old, NOW)
    kind.validate_update(changed, old)
    kind.warnings(changed, old)
    for sub in kind.subresources:
        sub.prepare_update(changed, old, NOW)
        sub.validate_update(changed, old)
    assert old == before


@KINDS
def test_kind_2_hooks_raise_nothing_for_an_empty_object(kind: ServedKind) -> None:
    obj: Json = {"metadata": {}}
    kind.complete(obj)
    kind.prepare_create(obj, NOW)
    kind.validate_create(obj)
    kind.warnings(obj, None)


def test_kind_3_hooks_do_not_look_at_a_clock() -> None:
    (folder,) = pvbinder.server.kinds.__path__
    rooms = ("built_in", "definitions", "parts", "validation")
    paths = [path for room in rooms for path in Path(folder, room).glob("*.py")]
    assert len(paths) > 50
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in ("now", "utcnow", "time", "monotonic", "perf_counter", "today"), path


@KINDS
def test_kind_4_default_is_idempotent(kind: ServedKind) -> None:
    obj = new()
    kind.complete(obj)
    once = copy.deepcopy(obj)
    kind.complete(obj)
    assert obj == once


@KINDS
def test_every_kind_has_columns_that_can_show_an_empty_object(kind: ServedKind) -> None:
    obj = new()
    kind.complete(obj)
    assert all(inspect.isfunction(column.cell) for column in kind.columns)


def test_empty_metadata_is_left_out() -> None:
    obj: Json = {"metadata": {"name": "a", "generateName": "", "labels": {}, "finalizers": [], "generation": 0}}
    CONFIG_MAP.complete(obj)
    assert obj == {"metadata": {"name": "a"}}


def test_generation_grows_with_what_it_follows() -> None:
    old = {"metadata": {"generation": 3}, "spec": {"a": 1}, "status": {}}
    assert POD.generation_after({"metadata": {}, "spec": {"a": 1}, "status": {"b": 2}}, old) == 3
    assert POD.generation_after({"metadata": {}, "spec": {"a": 2}}, old) == 4
    assert CONFIG_MAP.generation_after({"metadata": {}, "data": {}}, {"metadata": {}}) is None
