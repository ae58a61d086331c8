"""An object made to follow a structure: unknown and forbidden fields are pruned, defaults are filled in.

CONFORM-1  A null is dropped where the schema knows the field, doesn't allow null and has no default for it; a null in
           a list or in an unknown field stays.
CONFORM-2  An object inside another (``x-kubernetes-embedded-resource``) keeps its kind, its version and its metadata
           whatever the schema says of them; its metadata follows the type of all objects' metadata.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from pvbinder.model.errors import PvbinderError
from pvbinder.server.errors import invalid
from pvbinder.server.kinds.definitions.structure import MISSING, NOTHING, Structure
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.convert import Conversion, ConversionError
from pvbinder.server.objects.schema.json_text import Members, plain
from pvbinder.server.objects.schema.types import Field

HEADER: Final = frozenset({"apiVersion", "kind", "metadata"})
DEFAULT_BYTES_MAX: Final = 3 << 20
_OBJECT_META: Final = Field("#io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")

Note = Callable[[str, str], None]  # "unknown" or "duplicate", and the path


def pruned(value: Any, structure: Structure, path: str, note: Note) -> Any:
    """The value without fields that the structure doesn't know; `note` is told of dropped fields and duplicates."""
    if isinstance(value, Members | dict):
        return _pruned_object(value, structure, path, note)
    if isinstance(value, list):
        items = structure.items
        if items is None:
            if structure.preserves_unknown:
                return plain(value)
            items = NOTHING
        if structure.preserves_unknown:  # keeps unknown fields of the items, too, but not those deeper
            return [_spared(inner, items, f"{path}[{index}]", note) for index, inner in enumerate(value)]
        return [pruned(inner, items, f"{path}[{index}]", note) for index, inner in enumerate(value)]
    return plain(value)


def _spared(value: Any, structure: Structure, path: str, note: Note) -> Any:
    if isinstance(value, Members | dict):
        return _pruned_object(value, structure, path, note, spare=True)
    return pruned(value, structure, path, note)


def _pruned_object(value: Members | Json, structure: Structure, path: str, note: Note, *, spare: bool = False) -> Json:
    kept: Json = {}
    spare = spare or structure.preserves_unknown
    for key, inner in value if isinstance(value, Members) else value.items():
        place = f"{path}.{key}" if path else key
        known = structure.field(key)
        if structure.embedded and key in HEADER:
            fresh: Any = _header(key, inner, known, place, note)
        elif known is None:
            if not spare:
                note("unknown", place)
                continue
            fresh = plain(inner)
        elif inner is None and known is not NOTHING and not known.nullable and known.default is MISSING:
            continue  # CONFORM-1
        else:
            fresh = pruned(inner, known, place, note)
        if key in kept:
            note("duplicate", place)
        kept[key] = fresh
    return kept


def _header(key: str, value: Any, known: Structure | None, place: str, note: Note) -> Any:
    """Return the header of an embedded object (CONFORM-2); ConversionError when it is of a wrong type."""
    if key != "metadata":
        if not isinstance(value, str):
            raise ConversionError(str(invalid(place, plain(value), "must be a string")))
        return value
    conversion = Conversion()
    try:
        metadata = conversion.value({} if value is None else value, _OBJECT_META)
    except ConversionError as error:
        raise ConversionError(str(invalid(place, plain(value), error.message))) from error
    for text in conversion.strict_errors:
        what, inner = text.split('"')[:2]
        note("unknown in metadata" if what.startswith("unknown") else what.split()[0], f"{place}.{inner}")
    if known is not None and isinstance(metadata, dict):
        return {name: inner for name, inner in metadata.items() if inner is not None}
    return metadata


class DefaultsTooLargeError(PvbinderError):
    """The defaults would make an object too large."""


class DefaultsLeft:
    """The number of bytes of defaults that may still be filled in."""

    def __init__(self, most: int = DEFAULT_BYTES_MAX) -> None:
        self._left = most

    def take(self, size: int) -> None:
        """Take `size` bytes; raises DefaultsTooLargeError when there are not enough left."""
        self._left -= size
        if self._left < 0:
            raise DefaultsTooLargeError(
                f"the defaults of its schema make it larger by more than {DEFAULT_BYTES_MAX} bytes"
            )


def fill_in_defaults(value: Any, structure: Structure, left: DefaultsLeft | None = None) -> None:
    """Set each missing field that has a default; a null that isn't allowed counts as missing.

    Raises DefaultsTooLargeError: a default may be filled in as often as there are objects in a list.
    """
    left = left or DefaultsLeft()
    if isinstance(value, dict):
        for name, inner in structure.defaulted:
            if name not in value or (value[name] is None and not inner.nullable):
                left.take(len(name) + inner.default_size)
                value[name] = copy.deepcopy(inner.default)
        additional = structure.additional
        for name, child in value.items():
            known = structure.properties.get(name)
            if known is None and additional is not None:
                known = additional
                if child is None and not known.nullable and known.default is not MISSING:
                    left.take(known.default_size)
                    value[name] = child = copy.deepcopy(known.default)
            if known is not None:
                fill_in_defaults(child, known, left)
    elif isinstance(value, list) and structure.items is not None:
        items = structure.items
        for index, child in enumerate(value):
            if child is None and not items.nullable and items.default is not MISSING:
                left.take(items.default_size)
                value[index] = copy.deepcopy(items.default)
            fill_in_defaults(value[index], items, left)
