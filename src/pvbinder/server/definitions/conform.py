"""Making an object follow a structure: pruning what it doesn't know, filling in defaults."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from pvbinder.server.definitions.structure import MISSING, Structure
from pvbinder.server.kinds.kind import Json
from pvbinder.server.schema.json_text import Members, plain

_EMBEDDED: Final = frozenset({"apiVersion", "kind", "metadata"})

Note = Callable[[str, str], None]  # "unknown" or "duplicate", and the path


def pruned(value: Any, structure: Structure, path: str, note: Note) -> Any:
    """The value with only what the structure knows, telling `note` what was dropped or there twice."""
    if isinstance(value, Members | dict):
        members = value if isinstance(value, Members) else value.items()
        kept: Json = {}
        for key, inner in members:
            place = f"{path}.{key}" if path else key
            known = structure.properties.get(key) or structure.additional
            if known is None and structure.embedded and key in _EMBEDDED:
                known = Structure(preserves_unknown=True)
            if known is None and not structure.preserves_unknown:
                note("unknown", place)
                continue
            if key in kept:
                note("duplicate", place)
            kept[key] = plain(inner) if known is None else pruned(inner, known, place, note)
        return kept
    if isinstance(value, list):
        items = structure.items
        if items is None:
            return plain(value)
        return [pruned(inner, items, f"{path}[{index}]", note) for index, inner in enumerate(value)]
    return plain(value)


def fill_in_defaults(value: Any, structure: Structure) -> None:
    """Set what isn't there and has a default; a null that isn't allowed counts as not there."""
    if isinstance(value, dict):
        for name, inner in structure.properties.items():
            if inner.default is MISSING:
                continue
            if name not in value or (value[name] is None and not inner.nullable):
                value[name] = copy.deepcopy(inner.default)
        for name, child in value.items():
            known = structure.properties.get(name) or structure.additional
            if known is not None:
                fill_in_defaults(child, known)
    elif isinstance(value, list) and structure.items is not None:
        for child in value:
            fill_in_defaults(child, structure.items)
