"""The types and sizes that rules in CEL see of a schema.

Rules don't see values without a type: fields of unknown content, and lists and maps of such. They see the fields of an
object by `escaped` names; of the root, and of embedded objects, they see kind, version and names, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pvbinder.server.kinds.cel.lexer import KEYWORDS
from pvbinder.server.kinds.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Type,
    list_of,
    map_of,
)
from pvbinder.server.objects.kind import Json

REQUEST_BYTES_MAX: Final = 3 * 1024 * 1024
_NAME_LETTERS_MAX: Final = 253
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*", re.ASCII)
_SPECIAL: Final = re.compile(r"__|[-./]")
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_DURATION_SIZE: Final = 32  # the reference's bound for one, with its quotes
_TIMES: Final = {"date": (12, 12), "date-time": (32, 21)}  # the most and the fewest characters, with their quotes


@dataclass(frozen=True, slots=True)
class SchemaType:
    """A place of a schema as rules see it: its type, its most elements or characters, its fewest octets."""

    type: Type
    elements_max: int = 0
    octets_min: int = 2
    element: SchemaType | None = None
    fields: Mapping[str, SchemaType] = field(default_factory=dict)

    def size_at(self, path: tuple[str, ...]) -> int | None:
        """Return the largest size at a path from a variable; None where it isn't known."""
        place: SchemaType | None = self
        for name in path[1:]:
            assert place is not None
            if name in ("@items", "@values"):
                place = place.element
            elif name == "@keys":
                return 0 if place.type.kind == "map" else None
            else:
                place = place.fields.get(name)
            if place is None:
                return None
        return place.elements_max if place is not None else None


def escaped(name: str) -> str | None:
    """The name of a field in expressions; None where there can be none."""
    if name in KEYWORDS:
        return f"__{name}__"
    if not _PLAIN.fullmatch(name):
        return None
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], name)


def schema_type(schema: Json, *, is_root: bool) -> SchemaType | None:
    """Return the type of a schema in rules; None where they don't see it."""
    if schema.get("x-kubernetes-int-or-string"):
        longest = schema.get("maxLength")
        most = max(longest, 0) * 4 if isinstance(longest, int) else REQUEST_BYTES_MAX - 2
        return SchemaType(DYN, most, 1)
    if is_root:
        schema = with_header(schema)
    match schema.get("type"):
        case "array":
            return _list_type(schema)
        case "object":
            additional = schema.get("additionalProperties")
            return _map_type(schema, additional) if isinstance(additional, dict) else _object_type(schema)
        case "string":
            return _text_type(schema)
        case "boolean":
            return SchemaType(BOOL, 0, 4)
        case "number":
            return SchemaType(DOUBLE, 0, 1)
        case "integer":
            return SchemaType(INT, 0, 1)
        case _:
            return None


def with_header(schema: Json) -> Json:
    """Return the schema with kind, version and the two names of its metadata."""
    properties = schema.get("properties") or {}
    names = ((properties.get("metadata") or {}).get("properties")) or {}
    known = all((properties.get(name) or {}).get("type") == "string" for name in ("kind", "apiVersion"))
    known = known and (properties.get("metadata") or {}).get("type") == "object"
    if known and all((names.get(name) or {}).get("type") == "string" for name in ("name", "generateName")):
        return schema
    metadata = {
        "type": "object",
        "properties": {
            "name": _capped(names.get("name"), _NAME_LETTERS_MAX),
            "generateName": _capped(names.get("generateName"), _NAME_LETTERS_MAX - 1),
        },
    }
    text = {"type": "string"}
    return {**schema, "properties": {**properties, "kind": text, "apiVersion": text, "metadata": metadata}}


def _capped(schema: Any, most: int) -> Json:
    longest = (schema or {}).get("maxLength")
    return {"type": "string", "maxLength": min(longest, most) if isinstance(longest, int) else most}


def _is_embedded(schema: Json) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def _list_type(schema: Json) -> SchemaType | None:
    items = schema.get("items")
    inner = schema_type(items, is_root=_is_embedded(items)) if isinstance(items, dict) else None
    if inner is None:
        return None
    most = schema.get("maxItems")
    count = max(most, 0) if isinstance(most, int) else (REQUEST_BYTES_MAX - 2) // (inner.octets_min + 1)
    return SchemaType(list_of(inner.type), count, 2, inner)


def _map_type(schema: Json, additional: Json) -> SchemaType | None:
    inner = schema_type(additional, is_root=_is_embedded(additional))
    if inner is None:
        return None
    most = schema.get("maxProperties")
    count = max(most, 0) if isinstance(most, int) else (REQUEST_BYTES_MAX - 2) // (inner.octets_min + 6)
    return SchemaType(map_of(STRING, inner.type), count, 2, inner)


def _object_type(schema: Json) -> SchemaType:
    fields: dict[str, SchemaType] = {}
    required, octets = set(schema.get("required") or ()), 2
    for name, inner in (schema.get("properties") or {}).items():
        found = schema_type(inner, is_root=_is_embedded(inner))
        if found is None:
            continue
        shown = escaped(name)
        if shown is not None:
            fields[shown] = found
        if name in required and inner.get("default") is None:
            octets += len(name.encode()) + found.octets_min + 4
    type_ = Type("object", "object", fields={name: inner.type for name, inner in fields.items()})
    return SchemaType(type_, 0, octets, None, fields)


def _text_type(schema: Json) -> SchemaType:
    longest, format_ = schema.get("maxLength"), schema.get("format")
    if format_ == "byte":
        most = max(longest, 0) if isinstance(longest, int) else REQUEST_BYTES_MAX - 2
        return SchemaType(BYTES, most, 2)
    if format_ == "duration":
        return SchemaType(DURATION, _DURATION_SIZE, 3)
    if format_ in _TIMES:
        return SchemaType(TIMESTAMP, *_TIMES[format_])
    if isinstance(longest, int):
        return SchemaType(STRING, max(longest, 0) * 4, 2)
    enum = [len(value.encode()) for value in schema.get("enum") or () if isinstance(value, str)]
    return SchemaType(STRING, max(enum) if enum else REQUEST_BYTES_MAX - 2, 2)
