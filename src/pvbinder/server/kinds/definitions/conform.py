"""Making an object follow a structure: pruning what it doesn't know, filling in defaults."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from pvbinder.model.errors import PvbinderError
from pvbinder.server.kinds.definitions.structure import Structure
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.json_text import Members, plain

_EMBEDDED: Final = frozenset({"apiVersion", "kind", "metadata"})
DEFAULT_BYTES_MAX: Final = 3 << 20

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


class DefaultsTooLargeError(PvbinderError):
    """Defaults that would make an object too large."""


class DefaultsLeft:
    """The number of bytes of defaults that may still be filled in."""

    def __init__(self, most: int = DEFAULT_BYTES_MAX) -> None:
        self._left = most

    def take(self, size: int) -> None:
        """Take some; DefaultsTooLargeError when there is no more."""
        self._left -= size
        if self._left < 0:
            raise DefaultsTooLargeError(
                f"the defaults of its schema make it larger by more than {DEFAULT_BYTES_MAX} bytes"
            )


def fill_in_defaults(value: Any, structure: Structure, left: DefaultsLeft | None = None) -> None:
    """Set what isn't there and has a default; a null that isn't allowed counts as not there.

    Raises DefaultsTooLargeError: a default may be filled in as often as there are objects in a list.
    """
    left = left or DefaultsLeft()
    if isinstance(value, dict):
        for name, inner in structure.defaulted:
            if name not in value or (value[name] is None and not inner.nullable):
                left.take(len(name) + inner.default_size)
                value[name] = copy.deepcopy(inner.default)
        for name, child in value.items():
            known = structure.properties.get(name) or structure.additional
            if known is not None:
                fill_in_defaults(child, known, left)
    elif isinstance(value, list) and structure.items is not None:
        for child in value:
            fill_in_defaults(child, structure.items, left)
