"""The rules of defaults in a schema: each must be valid by the schema itself, and without unknown fields."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from pvbinder.server.errors import FieldError, invalid
from pvbinder.server.kinds.definitions.conform import HEADER, pruned
from pvbinder.server.kinds.definitions.embedded import check_embedded
from pvbinder.server.kinds.definitions.structure import Structure, read_structure
from pvbinder.server.kinds.definitions.validate import Steps, TooCostlyError, check_value, under
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.convert import ConversionError

Surrounding = Callable[[Any], Any]  # makes the embedded object around a default
TryRules = Callable[[Json, Any, str, bool], list[FieldError]]  # schema, default, path, whether it is a whole object


def check_defaults(schema: Json, path: str, try_rules: TryRules) -> list[FieldError]:
    """Check all defaults of a structural schema."""
    return list(
        _walk(schema, path, {**schema, "x-kubernetes-embedded-resource": True}, _itself, False, try_rules, True)
    )


def _itself(value: Any) -> Any:
    return value


def _walk(
    schema: Json, path: str, root: Json, around: Surrounding, in_header: bool, try_rules: TryRules, is_root: bool
) -> Iterator[FieldError]:
    embedded = bool(schema.get("x-kubernetes-embedded-resource")) or is_root
    if embedded:
        in_header, around, root = False, _itself, schema
    default = schema.get("default")
    if default is not None:
        yield from _check_default(schema, default, f"{path}.default", root, around, in_header, try_rules, embedded)
    items = schema.get("items")
    if isinstance(items, dict):
        yield from _walk(items, f"{path}.items", root, lambda value: around([value]), in_header, try_rules, False)
    for name, inner in (schema.get("properties") or {}).items():
        if isinstance(inner, dict):
            inside = in_header or (embedded and name in HEADER)
            place = f"{path}.properties[{name}]"
            yield from _walk(inner, place, root, _within(around, name), inside, try_rules, False)


def _within(around: Surrounding, name: str) -> Surrounding:
    return lambda value: around({name: value})


def _check_default(
    schema: Json,
    default: Any,
    path: str,
    root: Json,
    around: Surrounding,
    in_header: bool,
    try_rules: TryRules,
    embedded: bool,
) -> Iterator[FieldError]:
    structure = read_structure({**schema, "x-kubernetes-embedded-resource": embedded})
    if in_header:
        wrong = _wrong_metadata(around(copy.deepcopy(default)), root)
        if wrong:
            yield invalid(path, default, f"must result in valid metadata: {wrong}")
            return
    else:
        try:
            if not _is_pruned(default, structure):
                yield invalid(path, default, "must not have unknown fields")
        except ConversionError as error:
            place, _, body = error.message.partition(": ")
            yield FieldError("FieldValueInvalid", f"{path}.{place}", body)
            return
        errors = [_placed(error, path) for error in check_embedded(default, structure)]
        if errors:
            yield from errors
            return
    loose = _without_either(schema)
    try:
        errors = list(under(path, check_value(default, read_structure(loose), "", Steps())))
    except TooCostlyError as error:
        errors = [invalid(path, "", error.message)]
    yield from errors or try_rules(schema, default, path, embedded)


def _placed(error: FieldError, path: str) -> FieldError:
    return FieldError(error.reason, f"{path}.{error.field}", error.body)


def _is_pruned(default: Any, structure: Structure) -> bool:
    """Whether the schema knows every field of a default; unknown fields of metadata are dropped later, in storing."""
    dropped: list[str] = []
    pruned(copy.deepcopy(default), structure, "", lambda what, _where: dropped.append(what))
    return "unknown" not in dropped


def _wrong_metadata(obj: Any, root: Json) -> str:
    """The reason why the object around a default has no valid kind, version or metadata; "" if it has."""
    if not isinstance(obj, dict):
        return ""
    whole = {"kind": "Validation", "apiVersion": "validation/v1", **obj}
    structure = read_structure({**root, "x-kubernetes-embedded-resource": True})
    try:
        pruned(whole, structure, "", lambda _what, _where: None)
    except ConversionError as error:
        return error.message
    errors = [str(error) for error in check_embedded(whole, structure)]
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]" if errors else ""


def _without_either(schema: Any) -> Any:
    """The schema in which int-or-string says nothing of types, as the reference checks defaults."""
    if isinstance(schema, list):
        return [_without_either(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for word, value in schema.items():
        if word == "properties" and isinstance(value, dict):
            kept[word] = {name: _without_either(inner) for name, inner in value.items()}
        elif word in ("items", "additionalProperties"):
            kept[word] = _without_either(value)
        elif word != "x-kubernetes-int-or-string":
            kept[word] = value
    return kept
