"""Objects as rules in CEL see them: values of the types that their schema has (`rule_types`)."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.functions.times import read_duration, read_timestamp
from pvbinder.server.kinds.cel.types import Type
from pvbinder.server.kinds.cel.values import Fields, KeyedList
from pvbinder.server.kinds.definitions.rule_types import escaped, with_header
from pvbinder.server.objects.kind import Json

_ANY_OBJECT = Type("object", "object")


def rule_value(value: Any, schema: Json, *, is_root: bool = False) -> Any:
    """Return a value as rules see it; a CelError where it doesn't follow the schema."""
    if value is None:
        why = "invalid data, got null for schema with nullable=false"
        return None if schema.get("nullable") else CelError(why)
    if schema.get("x-kubernetes-int-or-string"):
        fits = isinstance(value, str | int) and not isinstance(value, bool)
        why = "invalid data, expected XIntOrString value to be either a string or integer"
        return value if fits else CelError(why)
    match schema.get("type"):
        case "object" if isinstance(value, dict):
            return _object(value, with_header(schema) if is_root else schema)
        case "array" if isinstance(value, list):
            return _list(value, schema)
        case "string" if isinstance(value, str):
            return _text(value, schema)
        case "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case "integer" if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
            return int(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "object":
            return CelError("invalid data, expected a map for the provided schema with type=object")
        case "array":
            return CelError("invalid data, expected an array for the provided schema with type=array")
        case type_:
            return CelError(f"invalid data, expected {_NAMES.get(str(type_), type_)}, got {_go_type(value)}")


_NAMES: Final = {"number": "float", "integer": "int", "boolean": "bool"}


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int64"
        case float():
            return "float64"
        case str():
            return "string"
        case list():
            return "[]interface {}"
        case _:
            return "map[string]interface {}"


def _object(value: Json, schema: Json) -> Any:
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict) and not schema.get("properties"):
        embedded = bool(additional.get("x-kubernetes-embedded-resource"))
        return {key: rule_value(inner, additional, is_root=embedded) for key, inner in value.items()}
    properties = schema.get("properties") or {}
    fields: Json = {}
    unknown: Json = {}
    for name, inner in value.items():
        known = properties.get(name)
        shown = escaped(name) if known is not None else None
        if known is None or not (known.get("type") or known.get("x-kubernetes-int-or-string")):
            unknown[name] = inner
        elif shown is not None and inner is not None:
            fields[shown] = rule_value(inner, known, is_root=bool(known.get("x-kubernetes-embedded-resource")))
    return Fields(fields, _ANY_OBJECT, unknown, value)


def _list(value: list[Any], schema: Json) -> Any:
    items = schema.get("items") or {}
    embedded = bool(items.get("x-kubernetes-embedded-resource"))
    made = [rule_value(inner, items, is_root=embedded) for inner in value]
    match schema.get("x-kubernetes-list-type"):
        case "map":
            keys = schema.get("x-kubernetes-list-map-keys") or ()
            return KeyedList(made, tuple(escaped(key) or key for key in keys))
        case "set":
            return KeyedList(made, None)
        case _:
            return made


def _text(value: str, schema: Json) -> Any:
    try:
        match schema.get("format"):
            case "duration":
                return read_duration(value)
            case "date":
                return read_timestamp(f"{value}T00:00:00Z")
            case "date-time":
                return read_timestamp(value)
            case "byte":
                return base64.b64decode(value, altchars=b"-_", validate=True)
            case _:
                return value
    except (CelError, binascii.Error):
        return CelError(f"Invalid {schema.get('format')} formatted string {value}")
