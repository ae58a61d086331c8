"""The rules of structural schemas, in the reference's words: shape stands apart from rules about values.

STRUCTURAL-1  The shape of a value is declared outside of allOf, anyOf, oneOf and not; these only add conditions, and
              only about fields that are declared outside.
STRUCTURAL-2  Errors come sorted by their texts, as in the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from pvbinder.server.errors import FieldError, forbidden, invalid, required
from pvbinder.server.kinds.validation.patterns import why_no_pattern
from pvbinder.server.objects.kind import Json

Level = Literal["at the root", "for specified array items", "for specified object fields"]

_COMBINED: Final = ("anyOf", "allOf", "oneOf")
_INTEGER_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]
_UNSUPPORTED: Final = {
    "id": "id",
    "$schema": "schema",
    "$ref": "$ref",
    "patternProperties": "patternProperties",
    "dependencies": "dependencies",
    "additionalItems": "additionalItems",
    "definitions": "definitions",
}
_FORBIDDEN_INSIDE: Final = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}


def why_unreadable(schema: Any) -> str:
    """Return the reason why no structure can be made of a schema; "" if one can."""
    for place in _all_places(schema):
        for word, name in _UNSUPPORTED.items():
            if is_set(place, word):
                return f"OpenAPIV3Schema '{name}' is not supported"
        if isinstance(place.get("items"), list) and place["items"]:
            return "OpenAPIV3Schema 'items' must be a schema, but is an array"
        if place.get("x-kubernetes-preserve-unknown-fields") is False:
            return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
    return ""


def is_set(schema: Json, word: str) -> bool:
    """Whether a schema sets this word; a null or an empty value doesn't."""
    value = schema.get(word)
    if word in ("dependencies", "additionalItems"):
        return value is not None
    return value is not None and value != "" and value != {} and value != []


def check_structural(schema: Any, path: str) -> list[FieldError]:
    """Return the errors of the schema at `path` that isn't structural (STRUCTURAL-1, STRUCTURAL-2)."""
    if not isinstance(schema, dict):
        return [required(path)]
    errors = [*_check(schema, path, "at the root"), *_check_completeness(schema, schema, path, path)]
    return sorted(errors, key=str)


def _all_places(schema: Any) -> Iterator[Json]:
    if not isinstance(schema, dict):
        return
    yield schema
    for word in _COMBINED:
        for inner in schema.get(word) or ():
            yield from _all_places(inner)
    for inner in (schema.get("properties") or {}).values():
        yield from _all_places(inner)
    for word in ("not", "items", "additionalProperties"):
        yield from _all_places(schema.get(word))


def _check(schema: Json, path: str, level: Level) -> Iterator[FieldError]:
    type_ = schema.get("type") or ""
    items, additional, properties = schema.get("items"), schema.get("additionalProperties"), _properties(schema)
    if type_ == "array" and not isinstance(items, dict):
        yield required(f"{path}.items", "must be specified")
    if isinstance(items, dict):
        yield from _check(items, f"{path}.items", "for specified array items")
    for name, inner in properties.items():
        if isinstance(inner, dict):
            yield from _check(inner, f"{path}.properties[{name}]", "for specified object fields")
    if additional is not None:
        if level == "at the root":
            yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
        if isinstance(additional, dict):
            yield from _check(additional, f"{path}.additionalProperties", "for specified object fields")
    yield from _check_extensions(schema, path)
    yield from _check_values(schema, path, skip_any=_is_either(schema.get("anyOf")), skip_first=_is_all_either(schema))
    yield from _check_type(schema, type_, path, level)
    yield from _check_header(schema, properties, path, level)


def _check_extensions(schema: Json, path: str) -> Iterator[FieldError]:
    if schema.get("x-kubernetes-int-or-string"):
        for word in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
            if schema.get(word):
                yield invalid(f"{path}.{word}", True, "must be false if x-kubernetes-int-or-string is true")


def _check_type(schema: Json, type_: str, path: str, level: Level) -> Iterator[FieldError]:
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if embedded and type_ != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        yield invalid(f"{path}.type", type_, why) if type_ else required(f"{path}.type", why)
    elif not type_ and not free:
        yield required(f"{path}.type", f"must not be empty {level}")
    if embedded and schema.get("additionalProperties") is not None:
        yield forbidden(f"{path}.additionalProperties", "must not be used if x-kubernetes-embedded-resource is set")
    if level == "at the root" and type_ and type_ != "object":
        yield invalid(f"{path}.type", type_, "must be object at the root")


def _check_header(schema: Json, properties: Json, path: str, level: Level) -> Iterator[FieldError]:
    """The rules of objects that have kind, version and metadata: the root, and embedded ones."""
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    is_object = level == "at the root" or embedded
    for name in ("kind", "apiVersion"):
        inner = properties.get(name)
        if is_object and isinstance(inner, dict) and inner.get("type") != "string":
            yield invalid(f"{path}.properties[{name}].type", inner.get("type") or "", "must be string")
    metadata = properties.get("metadata")
    if isinstance(metadata, dict):
        place = f"{path}.properties[metadata]"
        if is_object and metadata.get("type") != "object":
            yield invalid(f"{place}.type", metadata.get("type") or "", "must be object")
        if level == "at the root" and _says_too_much(metadata):
            why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            yield forbidden(place, why)
    if embedded and not schema.get("x-kubernetes-preserve-unknown-fields") and not properties:
        why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        yield required(f"{path}.properties", why)


def _says_too_much(metadata: Json) -> bool:
    """Whether the schema of an object's own metadata has more than its type and its names."""
    said = {word for word in metadata if is_set(metadata, word) and metadata[word] is not False} - {"type", "default"}
    names = set(_properties(metadata))
    return bool(said - {"properties"}) or bool(names - {"name", "generateName"})


def _check_values(schema: Json, path: str, *, skip_any: bool, skip_first: bool) -> Iterator[FieldError]:
    for index, inner in enumerate(schema.get("anyOf") or ()):
        if not skip_any:
            yield from _check_nested(inner, f"{path}.anyOf[{index}]")
    for index, inner in enumerate(schema.get("allOf") or ()):
        yield from _check_nested(inner, f"{path}.allOf[{index}]", skip_any=skip_first and not index)
    for index, inner in enumerate(schema.get("oneOf") or ()):
        yield from _check_nested(inner, f"{path}.oneOf[{index}]")
    yield from _check_nested(schema.get("not"), f"{path}.not")
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and pattern and (why := why_no_pattern(pattern)):
        yield invalid(f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {why}")


def _check_nested(schema: Any, path: str, *, skip_any: bool = False) -> Iterator[FieldError]:
    """Check a schema in a combination: it may not declare shape."""
    if not isinstance(schema, dict):
        return
    yield from _check_values(schema, path, skip_any=skip_any, skip_first=False)
    yield from _check_nested(schema.get("items"), f"{path}.items")
    for name, inner in _properties(schema).items():
        yield from _check_nested(inner, f"{path}.properties[{name}]")
    for word, why in _FORBIDDEN_INSIDE.items():
        if _says(schema, word):
            yield forbidden(f"{path}.{word}", why)
    if "metadata" in _properties(schema):
        yield forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _says(schema: Json, word: str) -> bool:
    value = schema.get(word)
    if word in ("default", "additionalProperties", "x-kubernetes-list-type", "x-kubernetes-map-type"):
        return value is not None
    return bool(value)


def _check_completeness(nested: Any, spine: Any, spine_path: str, path: str) -> Iterator[FieldError]:
    """Check that a schema in a combination names only fields of the schema that it is combined with."""
    if not isinstance(nested, dict):
        return
    yield from _check_complete(nested.get("not"), spine, spine_path, f"{path}.not")
    for word in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(nested.get(word) or ()):
            yield from _check_complete(inner, spine, spine_path, f"{path}.{word}[{index}]")


def _check_complete(nested: Any, spine: Any, spine_path: str, path: str) -> Iterator[FieldError]:
    if not isinstance(nested, dict):
        return
    if not isinstance(spine, dict):
        yield required(spine_path, f"because it is defined in {path}")
        return
    yield from _check_completeness(nested, spine, spine_path, path)
    yield from _check_complete(nested.get("items"), spine.get("items"), f"{spine_path}.items", f"{path}.items")
    known = _properties(spine)
    for name, inner in _properties(nested).items():
        yield from _check_complete(
            inner, known.get(name), f"{spine_path}.properties[{name}]", f"{path}.properties[{name}]"
        )


def _is_either(schemas: Any) -> bool:
    """Whether these two schemas together mean an integer or a string."""
    return isinstance(schemas, list) and schemas == _INTEGER_OR_STRING


def _is_all_either(schema: Json) -> bool:
    first = (schema.get("allOf") or [None])[0]
    return isinstance(first, dict) and _is_either(first.get("anyOf"))


def _properties(schema: Json) -> Json:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}
