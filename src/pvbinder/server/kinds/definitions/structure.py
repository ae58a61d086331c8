"""A structural schema as a tree that can be walked, and what makes a schema structural.

A `Structure` keeps what decides the shape of objects; rules about values (bounds, patterns, combinations) stay in
`raw`, the schema as it was written, and `validate` reads them there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.definitions.patterns import why_no_pattern
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.convert import Conversion, ConversionError
from pvbinder.server.objects.schema.json_text import plain

TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
MISSING: Final[Any] = object()
_SCHEMA_PROPS: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


@dataclass(frozen=True, slots=True)
class Structure:
    """One place in a structural schema."""

    type: str = ""
    nullable: bool = False
    int_or_string: bool = False
    preserves_unknown: bool = False
    embedded: bool = False  # an object of some kind, with apiVersion, kind and metadata
    properties: Mapping[str, Structure] = field(default_factory=dict)
    additional: Structure | None = None
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
    forbidden: Structure | None = None  # what ``not`` says
    defaulted: tuple[tuple[str, Structure], ...] = ()  # the properties that have a default
    default_size: int = 0  # of the default, as JSON


def read_structure(schema: Any) -> Structure:
    """Make the tree of a schema; what isn't a schema allows everything."""
    if not isinstance(schema, dict):
        return Structure(preserves_unknown=True)
    additional = schema.get("additionalProperties")
    properties = {name: read_structure(inner) for name, inner in (schema.get("properties") or {}).items()}
    default = plain(schema["default"]) if "default" in schema else MISSING  # as it comes out of storage (NUMBERS-1)
    return Structure(
        type=str(schema.get("type") or ""),
        nullable=bool(schema.get("nullable")),
        int_or_string=bool(schema.get("x-kubernetes-int-or-string")),
        preserves_unknown=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
        embedded=bool(schema.get("x-kubernetes-embedded-resource")),
        properties=properties,
        additional=read_structure(additional) if additional else None,
        items=read_structure(schema["items"]) if schema.get("items") else None,
        required=tuple(schema.get("required") or ()),
        default=default,
        list_type=str(schema.get("x-kubernetes-list-type") or ""),
        list_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        map_type=str(schema.get("x-kubernetes-map-type") or ""),
        raw=schema,
        all_of=_combined(schema, "allOf"),
        any_of=_combined(schema, "anyOf"),
        one_of=_combined(schema, "oneOf"),
        forbidden=read_structure(schema["not"]) if schema.get("not") else None,
        defaulted=tuple((name, inner) for name, inner in properties.items() if inner.default is not MISSING),
        default_size=0 if default is MISSING else len(msgspec.json.encode(default)),
    )


def branches(structure: Structure, most: int) -> int:
    """Count the schemas that values are tried against one after the other; stops beyond `most`."""
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


def _combined(schema: Json, word: str) -> tuple[Structure, ...]:
    return tuple(map(read_structure, schema.get(word) or ()))


def check_structural(schema: Any, path: str) -> list[FieldError]:
    """Say why a schema isn't structural; `path` is where it stands in the definition."""
    if not isinstance(schema, dict):
        return [required(path, "schemas are required")]
    errors = []
    if schema.get("type") != "object":
        errors.append(invalid(f"{path}.type", schema.get("type") or "", "must be object at the root"))
    errors += _check(schema, path, is_root=True)
    return errors


def _typed(schema: Json, path: str) -> Iterator[FieldError]:
    """Check the types in a schema that stands where a boolean may stand too, which the definition's own type leaves."""
    try:
        Conversion().object(schema, _SCHEMA_PROPS)
    except ConversionError as error:
        yield invalid(path, "", error.message)


def _check(schema: Any, path: str, *, is_root: bool = False) -> Iterator[FieldError]:
    if not isinstance(schema, dict):
        return
    type_ = schema.get("type")
    if not type_ and not is_root:
        if not schema.get("x-kubernetes-int-or-string") and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield required(f"{path}.type", "must not be empty for specified object fields")
    elif type_ and type_ not in TYPES:
        yield unsupported(f"{path}.type", type_, TYPES)
    if schema.get("x-kubernetes-int-or-string") and type_:
        yield invalid(f"{path}.type", type_, "must be empty if x-kubernetes-int-or-string is true")
    if schema.get("uniqueItems"):
        yield forbidden(
            f"{path}.uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        )
    for word in ("$ref", "definitions", "dependencies", "patternProperties", "id", "additionalItems"):
        if schema.get(word):
            yield forbidden(f"{path}.{word}", f"{word} is not supported")
    additional = schema.get("additionalProperties")
    if schema.get("properties") and additional:
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if type_ == "array" and not schema.get("items"):
        yield required(f"{path}.items", "must be specified")
    if isinstance(schema.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    yield from _check_list_type(schema, path)
    yield from _check_patterns(schema, path)
    for name, inner in (schema.get("properties") or {}).items():
        yield from _check(inner, f"{path}.properties[{name}]")
    if isinstance(additional, dict):
        wrong = list(_typed(additional, f"{path}.additionalProperties"))
        yield from wrong or _check(additional, f"{path}.additionalProperties")
    if isinstance(schema.get("items"), dict):
        yield from _check(schema["items"], f"{path}.items")


def _check_patterns(schema: Json, path: str) -> Iterator[FieldError]:
    """Check the pattern here and those of the schemas that are combined here (PATTERNS-1)."""
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and (why := why_no_pattern(pattern)):
        yield invalid(f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {why}")
    for word in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(schema.get(word) or ()):
            yield from _check_combined(inner, f"{path}.{word}[{index}]")
    yield from _check_combined(schema.get("not"), f"{path}.not")


def _check_combined(schema: Any, path: str) -> Iterator[FieldError]:
    """Check the patterns in a schema that is combined with another, wherever they stand in it."""
    if not isinstance(schema, dict):
        return
    yield from _check_patterns(schema, path)
    for name, inner in (schema.get("properties") or {}).items():
        yield from _check_combined(inner, f"{path}.properties[{name}]")
    for word in ("items", "additionalProperties"):
        yield from _check_combined(schema.get(word), f"{path}.{word}")


def _check_list_type(schema: Json, path: str) -> Iterator[FieldError]:
    list_type = schema.get("x-kubernetes-list-type")
    if list_type is None:
        return
    if list_type not in ("atomic", "map", "set"):
        yield unsupported(f"{path}.x-kubernetes-list-type", list_type, ("atomic", "map", "set"))
    if schema.get("type") != "array":
        yield invalid(f"{path}.type", schema.get("type") or "", "must be array if x-kubernetes-list-type is specified")
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if list_type == "map" and not keys:
        yield required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    items = schema.get("items") if isinstance(schema.get("items"), dict) else {}
    for index, key in enumerate(keys):
        if key not in ((items or {}).get("properties") or {}):
            yield invalid(
                f"{path}.x-kubernetes-list-map-keys[{index}]", key, "entries must all be names of item properties"
            )
