"""A structural schema as a tree that can be walked.

A `Structure` keeps the words that decide the shape of objects; rules about values (bounds, patterns, combinations) stay
in `raw`, the schema as it was written, and `validate` reads them there. `structural_rules` checks that a schema is
structural.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pvbinder.server.kinds.validation.text_formats import known_format
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.json_text import plain

MISSING: Final[Any] = object()


@dataclass(frozen=True, slots=True)
class Structure:
    """One place in a structural schema."""

    type: str = ""
    types: tuple[str, ...] = ()  # the types that a value may have
    format: str = ""  # only a format that is checked
    nullable: bool = False
    int_or_string: bool = False
    preserves_unknown: bool = False
    embedded: bool = False  # an object of some kind, with apiVersion, kind and metadata
    properties: Mapping[str, Structure] = field(default_factory=dict)
    additional: Structure | None = None  # of other keys; without fields for ``true``
    allows_no_more: bool = False  # ``additionalProperties: false``
    items: Structure | None = None
    required: tuple[str, ...] = ()
    default: Any = MISSING
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    map_type: str = ""
    raw: Json = field(default_factory=dict, repr=False)
    all_of: tuple[Structure, ...] = ()
    any_of: tuple[Structure, ...] = ()
    one_of: tuple[Structure, ...] = ()
    forbidden: Structure | None = None  # the schema of ``not``
    defaulted: tuple[tuple[str, Structure], ...] = ()  # the properties with a default
    default_size: int = 0  # bytes of the default as JSON

    @property
    def has_combinations(self) -> bool:
        """Whether values are also checked against combined schemas."""
        return bool(self.all_of or self.any_of or self.one_of or self.forbidden is not None)

    def field(self, name: str) -> Structure | None:
        """Return the structure of the value of a field or key."""
        known = self.properties.get(name)
        return self.additional if known is None else known


def read_structure(schema: Any) -> Structure:
    """Make the tree of a schema; a value that isn't a schema allows everything."""
    if not isinstance(schema, dict):
        return Structure(preserves_unknown=True)
    additional, items, default = schema.get("additionalProperties"), schema.get("items"), schema.get("default")
    properties = {name: read_structure(inner) for name, inner in (schema.get("properties") or {}).items()}
    default = MISSING if default is None else plain(default)  # NUMBERS-1; null is no default
    type_ = str(schema.get("type") or "")
    is_either = bool(schema.get("x-kubernetes-int-or-string"))
    return Structure(
        type=type_,
        types=("integer", "string") if is_either else (type_,) if type_ else (),
        format=_checked_format(str(schema.get("format") or ""), "?" if is_either else type_),
        nullable=bool(schema.get("nullable")),
        int_or_string=is_either,
        preserves_unknown=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
        embedded=bool(schema.get("x-kubernetes-embedded-resource")),
        properties=properties,
        additional=read_structure(additional) if isinstance(additional, dict) else NOTHING if additional else None,
        allows_no_more=additional is False,
        items=read_structure(items) if isinstance(items, dict) else None,
        required=tuple(schema.get("required") or ()),
        default=default,
        list_type=str(schema.get("x-kubernetes-list-type") or ""),
        list_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        map_type=str(schema.get("x-kubernetes-map-type") or ""),
        raw=schema,
        all_of=_combined(schema, "allOf"),
        any_of=_combined(schema, "anyOf"),
        one_of=_combined(schema, "oneOf"),
        forbidden=read_structure(schema["not"]) if isinstance(schema.get("not"), dict) else None,
        defaulted=tuple((name, inner) for name, inner in properties.items() if inner.default is not MISSING),
        default_size=0 if default is MISSING else len(msgspec.json.encode(default)),
    )


def _checked_format(name: str, type_: str) -> str:
    """The format of a type, if it is one that the reference checks."""
    match type_:
        case "" | "string" | "?":
            return name if known_format(name) else ""
        case "integer":
            return name if name in ("int32", "int64") else ""
        case "number":
            return name if name in ("float", "double") else ""
        case _:
            return ""


def branches(structure: Structure, most: int) -> int:
    """Count the combined schemas that values are checked against; stops beyond `most`."""
    found = 0
    places = [structure]
    while places and found <= most:
        place = places.pop()
        tried = (*place.all_of, *place.any_of, *place.one_of, *((place.forbidden,) if place.forbidden else ()))
        found += len(tried)
        places += tried
        places += place.properties.values()
        places += [inner for inner in (place.additional, place.items) if inner is not None]
    return found


NOTHING: Final = Structure()  # the structure without any field


def _combined(schema: Json, word: str) -> tuple[Structure, ...]:
    return tuple(map(read_structure, schema.get(word) or ()))
