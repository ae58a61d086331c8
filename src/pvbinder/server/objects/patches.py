"""The three patch types of PATCH (GW-8): what comes out of a document and a patch, or which answer the client gets.

PATCHES-1  The document given is never changed, the result shares nothing with it.
PATCHES-2  Every failure is an `ApiError` with the reference's status: a patch that is none is 400, one that doesn't fit
           the document 422, a strategic directive that makes no sense 500.
PATCHES-3  Bounded: at most `OPERATIONS_MAX` operations (413), `COPIED_BYTES_MAX` bytes copied, no result nested deeper
           than a body may be.

`apply_patch` is what the server calls: it also checks the result against the schema.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from pvbinder.server.errors import ApiError, bad_request, entity_too_large
from pvbinder.server.objects import strategic
from pvbinder.server.objects.go_text import go_plain
from pvbinder.server.objects.json_patch import JsonPatchError, apply_operations
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.schema import CATALOGUE, FieldValidation, check_object
from pvbinder.server.objects.schema.decode import has_every_key_once
from pvbinder.server.objects.schema.json_text import (
    JsonTextError,
    Members,
    TooManyValuesError,
    check_depth,
    check_values,
    object_depth_within,
    parse,
    plain,
)

PatchType: TypeAlias = Literal[
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"
]

_NOT_STRATEGIC: Final = (
    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
    "application/merge-patch+json, application/apply-patch+yaml"
)
OPERATIONS_MAX: Final = 10_000
COPIED_BYTES_MAX: Final = 3 * 1024 * 1024


def apply_patch(
    doc: Json, patch: bytes, patch_type: PatchType, kind: ServedKind, field_validation: FieldValidation
) -> tuple[Json, list[str]]:
    """Patch an object of `kind` and check what comes out; the object and the warnings (GW-8)."""
    strict = field_validation != "Ignore"
    try:
        check_values(patch)
    except TooManyValuesError as error:
        raise entity_too_large(error.message) from error
    if patch_type == "application/json-patch+json":
        if strict:
            _check_types(patch)
        found = [f"json patch {error}" for error in _duplicates(patch, list)] if strict else []
        return check_object(json_patch(doc, patch), kind, field_validation, found=found)
    found = _duplicates(patch, dict) if strict else []
    if patch_type == "application/merge-patch+json":
        return check_object(merge_patch(doc, patch), kind, field_validation, found=found)
    if kind.schema in CATALOGUE.customs:
        raise ApiError(415, "UnsupportedMediaType", _NOT_STRATEGIC)
    patched = strategic_patch(doc, patch, kind.schema)
    return check_object(
        patched, kind, field_validation, shown=lambda: go_plain(_object_of(patch, "")), dialect="map", found=found
    )


def _check_types(patch: bytes) -> None:
    """Refuse what is no list of operations, in the words of the reference when it looks for unknown fields."""
    operations = _parsed(patch, "error decoding patch: ")
    wrong = "error decoding patch: json: cannot unmarshal {} into Go "
    if operations is not None and not isinstance(operations, list):
        raise bad_request(f"{wrong.format(_json_type(operations))}value of type []handlers.jsonPatchOp")
    for operation in operations or ():
        if operation is not None and not isinstance(operation, dict):
            raise bad_request(f"{wrong.format(_json_type(operation))}value of type handlers.jsonPatchOp")
        for name in ("op", "from", "path"):
            value = (operation or {}).get(name)
            if value is not None and not isinstance(value, str):
                raise bad_request(f"{wrong.format(_json_type(value))}struct field jsonPatchOp.{name} of type string")


def json_patch(doc: Json, patch: bytes) -> Json:
    """Apply a JSON patch, as `json_patch` has it."""
    operations = _parsed(patch, "error decoding patch: ")
    if operations is None:
        return _copied(doc)
    if not isinstance(operations, list):
        raise bad_request(f"json: cannot unmarshal {_json_type(operations)} into Go value of type jsonpatch.Patch")
    if len(operations) > OPERATIONS_MAX:
        raise ApiError(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}",
        )
    for operation in operations:
        if operation is not None and not isinstance(operation, dict):
            raise bad_request(
                f"json: cannot unmarshal {_json_type(operation)} into Go value of type jsonpatch.Operation"
            )
    patched = _copied(doc)
    try:
        apply_operations(patched, operations, _texts_of(patch, operations), copied_bytes_max=COPIED_BYTES_MAX)
    except JsonPatchError as error:
        raise _does_not_fit() from error
    return _of_bounded_depth(patched)


def _texts_of(patch: bytes, operations: list[Any]) -> list[msgspec.Raw]:
    """Return the operations as they were written; what only our own reader understands is written anew."""
    try:
        return msgspec.json.decode(patch, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [msgspec.Raw(msgspec.json.encode(operation)) for operation in operations]


def merge_patch(doc: Json, patch: bytes) -> Json:
    """Apply a JSON merge patch (RFC 7386)."""
    if patch.strip() == b"null":
        raise bad_request("Invalid JSON Patch")
    return _of_bounded_depth(_merged(_copied(doc), _object_of(patch, "error decoding patch: ")))


def strategic_patch(doc: Json, patch: bytes, schema_name: str) -> Json:
    """Apply a strategic merge patch, which merges lists as the schema named `schema_name` says."""
    try:
        return _of_bounded_depth(strategic.merge(_copied(doc), _object_of(patch, ""), schema_name))
    except strategic.StrategicFormatError as error:
        raise bad_request(error.message) from error
    except strategic.StrategicMergeError as error:
        raise ApiError(500, "", error.message) from error


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2; `target` is ours to change."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            target[key] = _merged(target.get(key), value)
        else:
            target[key] = value
    return dict(sorted(target.items()))  # as messages quote it: the reference's library sorts what it goes into


def _object_of(patch: bytes, prefix: str) -> Json:
    """A patch that must be an object; null is an empty one."""
    value = _parsed(patch, prefix)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_request(
            f"{prefix}json: cannot unmarshal {_json_type(value)} into Go value of type map[string]interface {{}}"
        )
    return value


def _parsed(patch: bytes, prefix: str) -> Any:
    try:
        check_depth(patch)
        return msgspec.json.decode(patch)
    except JsonTextError as error:
        raise bad_request(prefix + error.message) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return plain(parse(patch))
    except JsonTextError as error:
        raise bad_request(prefix + error.message) from error


def _duplicates(patch: bytes, expected: type) -> list[str]:
    """The strict errors of the patch's own text: keys that it has twice."""
    try:
        if has_every_key_once(patch):
            return []
        value = parse(patch)
    except (JsonTextError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []  # no JSON at all: whoever applies the patch says so
    found: list[str] = []
    if isinstance(value, Members if expected is dict else list):
        _find_duplicates(value, "", found)
    return found


def _find_duplicates(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, Members):
        seen: set[str] = set()
        for key, inner in value:
            place = f"{path}.{key}" if path else key
            if key in seen and len(found) < 100:
                text = f'duplicate field "{place}"'
                if text not in found:
                    found.append(text)
            seen.add(key)
            _find_duplicates(inner, place, found)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _find_duplicates(inner, f"{path}[{index}]", found)


def _copied(doc: Json) -> Json:
    """A deep copy, at C speed."""
    copy: Json = msgspec.json.decode(msgspec.json.encode(doc))
    return copy


def _of_bounded_depth(doc: Json) -> Json:
    if not object_depth_within(doc):
        raise _does_not_fit()
    return doc


def _does_not_fit() -> ApiError:
    """422 of a patch that can't be applied; the reference tells nothing more."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", details={})


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "number"
