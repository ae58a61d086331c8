"""Lists that are sets or maps: no item of a set may occur twice, nor the keys of an item of a map.

An update is judged only if the old object broke no such rule (`CustomSchema.check_update`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pvbinder.server.errors import FieldError, duplicate, invalid
from pvbinder.server.kinds.definitions.structure import Structure


def check_lists(value: Any, structure: Structure, path: str = "") -> Iterator[FieldError]:
    """Return an error for each item that occurs twice in a set or map, anywhere in a value."""
    if isinstance(value, dict):
        if structure.additional is not None:
            for key, inner in value.items():
                yield from check_lists(inner, structure.additional, f"{path}[{key}]")
        for key, inner in value.items():
            known = structure.properties.get(key)
            if known is not None:
                yield from check_lists(inner, known, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        yield from _check_list(value, structure, path)
        if structure.items is not None:
            for index, inner in enumerate(value):
                yield from check_lists(inner, structure.items, f"{path}[{index}]")


def _check_list(value: list[Any], structure: Structure, path: str) -> Iterator[FieldError]:
    if structure.list_type == "set":
        for index in _repeated(value):
            yield duplicate(f"{path}[{index}]", value[index])
    elif structure.list_type == "map":
        for index, item in enumerate(value):
            if item is not None and not isinstance(item, dict):
                yield invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map")
                return
        names = structure.list_keys
        keys = [{name: item[name] for name in names if name in item} if item else {} for item in value]
        for index in _repeated(keys):
            yield duplicate(f"{path}[{index}]", keys[index])


def _repeated(values: list[Any]) -> Iterator[int]:
    """The index of each repeated value's second occurrence."""
    times: dict[str, int] = {}
    for index, value in enumerate(values):
        text = json.dumps(value, sort_keys=True)
        times[text] = times.get(text, 0) + 1
        if times[text] == 2:
            yield index
