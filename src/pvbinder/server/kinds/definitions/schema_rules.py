"""The rules of a schema, place by place, in the reference's words and order.

SCHEMA-1  A schema that breaks a rule is refused with each place and each rule; rules in CEL are compiled only where
          nothing else is wrong at or below their place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.definitions.field_paths import FieldPathError, read_field_path
from pvbinder.server.kinds.definitions.structural_rules import is_set
from pvbinder.server.objects.kind import Json

TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_KNOWN_TYPES: Final = frozenset({*TYPES, ""})
_HEADER: Final = frozenset({"metadata", "kind", "apiVersion"})
_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_LINE_BREAK: Final = re.compile(r"[\n\r]")
_QUADRATIC: Final = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
_NOT_SUPPORTED: Final = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")

CompileRules = Callable[[Json, str, "Context"], list[FieldError]]


@dataclass(frozen=True, slots=True)
class Context:
    """The place of the walk in a schema, and its consequences."""

    no_defaults: str | None = None  # the reason why defaults are forbidden here
    in_metadata: bool = False
    unrelated: str = ""  # the first place above that has no counterpart in an old object
    way: (
        tuple[str, ...] | None
    ) = ()  # from the root: names of properties, "[]" for items, "{}" for values; None inside of combinations


@dataclass(slots=True)
class _Found:
    schema: list[FieldError]
    rules: list[FieldError]

    def merge(self, other: _Found) -> None:
        self.schema += other.schema
        self.rules += other.rules


def check_schema(schema: Json, path: str, compile_rules: CompileRules | None) -> list[FieldError]:
    """Check all places of a schema; `compile_rules` compiles the rules of one place (SCHEMA-1)."""
    found = _walk(schema, path, Context(), compile_rules, is_root=True)
    return found.schema + found.rules


def _walk(schema: Any, path: str, at: Context, compile_rules: CompileRules | None, *, is_root: bool = False) -> _Found:
    found = _Found([], [])
    if not isinstance(schema, dict):
        return found
    found.schema += _check_words(schema, path, at)
    for inner, place, context in _inner(schema, path, at, is_root=is_root):
        if context == "forbidden":
            found.schema.append(forbidden(place, "additionalProperties and properties are mutual exclusive"))
        elif isinstance(context, Context):
            found.merge(_walk(inner, place, context, compile_rules))
    found.schema += _check_extensions(schema, path)
    found.schema += _check_list(schema, path)
    rules = schema.get("x-kubernetes-validations") or []
    for index, rule in enumerate(rules):
        found.schema += _check_rule(schema, rule, f"{path}.x-kubernetes-validations[{index}]")
    if rules and not found.schema and compile_rules is not None and at.way is not None:
        found.rules += compile_rules(schema, path, at)
    return found


def _inner(schema: Json, path: str, at: Context, *, is_root: bool) -> Iterator[tuple[Any, str, Context | str]]:
    """The schemas inside a schema, their paths, and their contexts."""
    inside = replace(at, way=None)
    additional, properties = schema.get("additionalProperties"), schema.get("properties") or {}
    if additional is not None:
        if properties and additional is not True:
            yield None, f"{path}.additionalProperties", "forbidden"
        context = at
        if at.in_metadata:
            context = replace(at, no_defaults="inside additionalProperties applying to object metadata")
        yield additional, f"{path}.additionalProperties", _further(context, "{}")
    map_type = schema.get("x-kubernetes-map-type")
    for name, inner in properties.items():
        context = at
        if map_type not in (None, "granular", "atomic"):
            context = replace(context, unrelated=context.unrelated or path)
        if (is_root or schema.get("x-kubernetes-embedded-resource")) and name in _HEADER:
            context = replace(context, in_metadata=True)
            if is_root:
                context = replace(context, no_defaults=f"in top-level {name}")
        yield inner, f"{path}.properties[{name}]", _further(context, name)
    yield schema.get("not"), f"{path}.not", inside
    for word in ("allOf", "oneOf", "anyOf"):
        for index, inner in enumerate(schema.get(word) or ()):
            yield inner, f"{path}.{word}[{index}]", inside
    for name, inner in (schema.get("definitions") or {}).items():
        yield inner, f"{path}.definitions[{name}]", inside
    items = schema.get("items")
    if items is not None:
        context = at
        if schema.get("x-kubernetes-list-type") != "map":
            context = replace(at, unrelated=at.unrelated or path)
        for index, inner in enumerate(items if isinstance(items, list) else ()):
            yield inner, f"{path}.items[{index}]", inside
        yield items, f"{path}.items", _further(context, "[]")


def _further(at: Context, step: str) -> Context:
    return at if at.way is None else replace(at, way=(*at.way, step))


def _check_words(schema: Json, path: str, at: Context) -> Iterator[FieldError]:
    type_ = schema.get("type") or ""
    if type_ not in _KNOWN_TYPES:
        yield unsupported(f"{path}.type", type_, TYPES)
    if schema.get("default") is not None and at.no_defaults is not None:
        yield forbidden(f"{path}.default", f"must not be set {at.no_defaults}")
    for word in _NOT_SUPPORTED:
        if is_set(schema, word):
            yield forbidden(f"{path}.{word}", f"{word} is not supported")
    if type_ == "null":
        yield forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list) and schema["items"]:
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    if at.in_metadata and schema.get("x-kubernetes-embedded-resource"):
        yield forbidden(f"{path}.x-kubernetes-embedded-resource", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        yield forbidden(f"{path}.uniqueItems", _QUADRATIC)


def _check_extensions(schema: Json, path: str) -> Iterator[FieldError]:
    type_ = schema.get("type") or ""
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    map_type, list_type = schema.get("x-kubernetes-map-type"), schema.get("x-kubernetes-list-type")
    if map_type is not None and type_ != "object":
        yield _untyped(path, type_, "must be object if x-kubernetes-map-type is specified")
    if map_type is not None and map_type not in ("atomic", "granular"):
        yield unsupported(f"{path}.x-kubernetes-map-type", map_type, ("atomic", "granular"))
    items = schema.get("items")
    if list_type is not None and type_ != "array":
        yield _untyped(path, type_, "must be array if x-kubernetes-list-type is specified")
    elif list_type == "set" and isinstance(items, dict):
        why = "must be atomic as item of a list with x-kubernetes-list-type=set"
        inner = items.get("x-kubernetes-list-type")
        if items.get("type") == "array" and inner not in (None, "atomic"):
            yield invalid(f"{path}.items.x-kubernetes-list-type", inner, why)
        if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
            yield invalid(f"{path}.items.x-kubernetes-map-type", inner, why)
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        yield unsupported(f"{path}.x-kubernetes-list-type", list_type, ("atomic", "set", "map"))


def _untyped(path: str, type_: str, why: str) -> FieldError:
    return invalid(f"{path}.type", type_, why) if type_ else required(f"{path}.type", why)


def _check_list(schema: Json, path: str) -> Iterator[FieldError]:
    """The rules of lists with keys."""
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    items = schema.get("items")
    if keys and list_type is None:
        why = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield required(f"{path}.x-kubernetes-list-type", why)
    elif keys and list_type != "map":
        why = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield invalid(f"{path}.x-kubernetes-list-type", list_type, why)
    if list_type == "map":
        if not keys:
            yield required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
        if items is None:
            yield required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")
        elif not isinstance(items, dict):
            why = "must only have a single schema if x-kubernetes-list-type is map"
            yield invalid(f"{path}.items", items, why)
        elif items.get("type") != "object":
            why = "must be object if parent array's x-kubernetes-list-type is map"
            yield invalid(f"{path}.items.type", items.get("type") or "", why)
        else:
            yield from _check_keys(items, keys, path)
    if list_type in ("set", "map") and isinstance(items, dict):
        yield from _check_members(items, keys, str(list_type), path)


def _check_keys(items: Json, keys: list[str], path: str) -> Iterator[FieldError]:
    place, seen = f"{path}.x-kubernetes-list-map-keys", set[str]()
    for key in keys:
        known = (items.get("properties") or {}).get(key)
        if known is None:
            yield invalid(place, keys, "entries must all be names of item properties")
        elif known.get("type") in ("array", "object"):
            why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield invalid(f"{path}.items.properties[{key}].type", items.get("type"), why)
        if key in seen:
            yield invalid(place, keys, "must not contain duplicate entries")
        seen.add(key)


def _check_members(items: Json, keys: list[str], list_type: str, path: str) -> Iterator[FieldError]:
    if items.get("nullable"):
        yield forbidden(f"{path}.items.nullable", f"cannot be nullable when x-kubernetes-list-type is {list_type}")
    for key in keys if list_type == "map" else ():
        known = (items.get("properties") or {}).get(key)
        if known is None:
            continue
        place = f"{path}.items.properties[{key}]"
        what = "this property is in x-kubernetes-list-map-keys, so it"
        if key not in (items.get("required") or ()) and known.get("default") is None:
            yield required(f"{place}.default", f"{what} must have a default or be a required property")
        if known.get("nullable"):
            yield forbidden(f"{place}.nullable", f"{what} cannot be nullable")


def _check_rule(schema: Json, rule: Json, path: str) -> Iterator[FieldError]:
    """The form of a rule; its compilation is checked elsewhere."""
    text, message = rule.get("rule") or "", rule.get("message") or ""
    expression, field = rule.get("messageExpression") or "", rule.get("fieldPath") or ""
    trimmed, plain_message = text.strip(), message.strip()
    if not trimmed:
        yield required(f"{path}.rule", "rule is not specified")
    elif message and not plain_message:
        yield invalid(f"{path}.message", message, "must be non-empty if specified")
    elif _LINE_BREAK.search(plain_message):
        yield invalid(f"{path}.message", message, "must not contain line breaks")
    elif _LINE_BREAK.search(trimmed) and not plain_message:
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    if expression and not expression.strip():
        yield required(f"{path}.messageExpression", "messageExpression must be non-empty if specified")
    reason = rule.get("reason")
    if reason is not None and reason not in _REASONS:
        yield unsupported(f"{path}.reason", reason, _REASONS)
    if field and not field.strip():
        yield invalid(f"{path}.fieldPath", field, "must be non-empty if specified")
    if _LINE_BREAK.search(field):
        yield invalid(f"{path}.fieldPath", field, "must not contain line breaks")
    if field:
        try:
            read_field_path(field, schema)
        except FieldPathError:
            yield invalid(f"{path}.fieldPath", field, "must be a valid path")


def check_selectable(fields: list[Json], schema: Json, path: str, most: int) -> Iterator[FieldError]:
    """Check the fields by which objects can be selected."""
    seen: set[str] = set()
    for index, each in enumerate(fields):
        place, text = f"{path}[{index}].jsonPath", each.get("jsonPath") or ""
        if not text:
            yield required(place)
            continue
        try:
            found = read_field_path(text, schema, allow_brackets=False)
        except FieldPathError as error:
            yield invalid(place, text, f"is an invalid path: {error.message}")
            continue
        if found.steps[:1] == ("metadata",):
            yield invalid(place, text, "must not point to fields in metadata")
        if found.schema.get("type") not in ("string", "boolean", "integer"):
            why = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats "
                "are allowed."
            )
            yield invalid(place, text, why)
        if found.text in seen:
            yield duplicate(place, text)
        seen.add(found.text)
    if len(seen) > most:
        yield FieldError("FieldValueTooMany", path, f"Too many: {len(seen)}: must have at most {most} items")
