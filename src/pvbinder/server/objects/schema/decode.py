"""From the body of a request to an object of its kind, or to the 400 that says why not.

DECODE-1  What comes out is what the reference would store: unknown fields gone, every value of its type, empty optional
          fields left out, zero values of required ones filled in, quantities, times and bytes in their one form.
DECODE-2  Strictness (GW-3): unknown and duplicate fields are an error (Strict), warnings (Warn) or nothing (Ignore).
DECODE-3  Bounded: whatever the body, decoding neither recurses nor grows beyond what its size explains; every refusal
          is an `ApiError`.

A body that a struct accepts as it is takes the fast way; it must not hold the same key twice, which is found by
counting (`has_every_key_once`). All others take the careful one, which gives the same result or the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from pvbinder.model.errors import PvbinderError
from pvbinder.model.quantity import QuantityError
from pvbinder.server.errors import ApiError, FieldError, bad_request, entity_too_large
from pvbinder.server.objects import protobuf
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.schema.convert import Conversion, ConversionError, MessageStyle
from pvbinder.server.objects.schema.json_text import (
    TYPE_STRUCT,
    VALUES_MAX,
    JsonTextError,
    Members,
    TooManyValuesError,
    check_depth,
    check_values,
    kind_of,
    object_depth_within,
    parse,
)
from pvbinder.server.objects.schema.media_types import PROTOBUF, YAML, media_type_of
from pvbinder.server.objects.schema.registered import internal_package, is_registered, is_same_kind, scheme_of
from pvbinder.server.objects.schema.structs import KindStruct, build_kind_struct
from pvbinder.server.objects.schema.types import CATALOGUE

FieldValidation: TypeAlias = Literal["Strict", "Warn", "Ignore"]

_YAML_ERRORS = "yaml: unmarshal errors:\n"
_CARELESS_KEY = re.compile(rb'"[ \t\r\n]+:')
_DEFINITION = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"  # has loose parts
_kind_structs: dict[str, KindStruct | None] = {}


def decode_body(
    body: bytes, content_type: str, kind: ServedKind, field_validation: FieldValidation
) -> tuple[Json, list[str]]:
    """Decode the body of a create or update; the object and the warnings (GW-3, DECODE-1 to 3)."""
    media_type = media_type_of(content_type)
    if media_type == PROTOBUF:
        return _from_protobuf(body, kind)
    if media_type == YAML:
        return _from_yaml(body, kind, field_validation)
    try:
        check_values(body)
    except TooManyValuesError as error:
        raise entity_too_large(error.message) from error
    return _from_json(body, kind, field_validation)


def warnings_of(strict: Sequence[str]) -> list[str]:
    """Return strict errors as the warnings that tell them: what a YAML parser says in several lines is several."""
    texts: list[str] = []
    for error in strict:
        lines = error.removeprefix(_YAML_ERRORS)
        texts += [error] if lines == error else [line.strip() for line in lines.split("\n")]
    return texts


def check_object(
    obj: Json,
    kind: ServedKind,
    field_validation: FieldValidation,
    *,
    shown: Callable[[], str] | None = None,
    dialect: MessageStyle = "json",
    found: Sequence[str] = (),
) -> tuple[Json, list[str]]:
    """Check what a patch has made of an object; the object and the warnings (GW-8).

    `shown` gives what the refusal quotes (by default the object itself), `found` are strict errors of the patch's
    own text.
    """
    strict = list(found)
    try:
        _check_kind(obj, kind, obj)
        shape = _kind_struct(kind.schema)
        checked = _try_convert(shape, obj) if shape is not None else None
        if checked is None:
            if not object_depth_within(obj):
                raise ConversionError("exceeded max depth")
            conversion = Conversion(dialect)
            checked = conversion.object(obj, kind.schema)
            strict += [error for error in conversion.strict_errors if error not in strict]
    except (ConversionError, _UnfitKindError) as error:
        raise _patch_refused(_quoted(obj, shown), error.message) from error
    if not strict or field_validation == "Ignore":
        return checked, []
    if field_validation == "Warn":
        return checked, warnings_of(strict)
    raise _patch_refused(_quoted(obj, shown), f"strict decoding error: {', '.join(strict)}")


def _quoted(obj: Json, shown: Callable[[], str] | None) -> str:
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False) if shown is None else shown()


def _patch_refused(shown: str, why: str) -> ApiError:
    """422 of a patch whose result is no object of the kind; the reference leaves kind and name empty here."""
    error = FieldError("FieldValueInvalid", "patch", f"Invalid value: {json.dumps(shown, ensure_ascii=False)}: {why}")
    cause = {"reason": error.reason, "message": error.body, "field": error.field}
    return ApiError(422, "Invalid", f' "" is invalid: {error}', details={"causes": [cause]})


def _kind_struct(schema: str) -> KindStruct | None:
    if schema not in _kind_structs:
        _kind_structs[schema] = (
            None if schema in CATALOGUE.customs or schema == _DEFINITION else build_kind_struct(schema)
        )
    return _kind_structs[schema]


def as_written(obj: Json) -> Json:
    """Return an object as the reference writes it: empty optional fields left out, zero values of the others filled in.

    A kind that isn't built in, and an object that doesn't fit its kind, come out as they went in.
    """
    group, _, version = obj["apiVersion"].rpartition("/")
    schema = CATALOGUE.kinds.get((group, version, obj["kind"]))
    if schema is None:
        return obj
    shape = _kind_struct(schema)
    written = _try_convert(shape, obj) if shape is not None else None
    if written is not None:
        return written
    try:
        return Conversion("json").object(obj, schema)
    except ConversionError:
        return obj


def forget_schema(schema: str) -> None:
    """Drop what is cached about a type that has changed or gone."""
    _kind_structs.pop(schema, None)


def _try_convert(shape: KindStruct, obj: Json) -> Json | None:
    try:
        return shape.convert(obj)
    except (msgspec.ValidationError, QuantityError, RecursionError):
        return None


def has_every_key_once(body: bytes) -> bool:
    """Whether no object in a valid JSON body has two members of one name; False also when that isn't certain.

    A member that is there twice is lost when the body is decoded and encoded anew. Most bodies were written by machines
    and come out of that as they went in. Of the others, `":` is counted before and after: it ends each key (unless
    space stands between, which isn't certain), and where it stands inside a string it comes out as it went in (unless
    one of the two characters is written by its number, which isn't certain either).
    """
    written_anew = msgspec.json.encode(msgspec.json.decode(body))
    if written_anew == body:
        return True
    if body.count(b'":') != written_anew.count(b'":') or _CARELESS_KEY.search(body) is not None:
        return False
    return b"\\u0022" not in body and b"\\u003a" not in body and b"\\u003A" not in body


# The fast way


def _from_json(body: bytes, kind: ServedKind, field_validation: FieldValidation) -> tuple[Json, list[str]]:
    shape = _kind_struct(kind.schema)
    if shape is not None:
        try:
            check_depth(body)  # nothing may recurse into it before; the careful way says what is wrong
            obj = shape.decode(body)
        except (JsonTextError, msgspec.MsgspecError, QuantityError, UnicodeDecodeError, RecursionError):
            pass
        else:
            resource = kind.resource
            own_kind = obj.get("kind", resource.kind) == resource.kind
            own_version = obj.get("apiVersion", resource.api_version) == resource.api_version
            if own_kind and own_version and (field_validation == "Ignore" or has_every_key_once(body)):
                return _named(obj, kind), []
    return _carefully(body, kind, field_validation)


def _named(obj: Json, kind: ServedKind) -> Json:
    """Fill in kind and version, which a body may leave out."""
    if "kind" in obj and "apiVersion" in obj:
        return obj
    return {"kind": kind.resource.kind, "apiVersion": kind.resource.api_version} | obj


# The careful way


def _carefully(body: bytes, kind: ServedKind, field_validation: FieldValidation) -> tuple[Json, list[str]]:
    try:
        value = parse(body)
    except JsonTextError as error:
        raise _unrecognized(body, kind, f"couldn't get version/kind; json parse error: {error.message}") from error
    return _decoded(value, body, kind, field_validation, [])


def _from_yaml(body: bytes, kind: ServedKind, field_validation: FieldValidation) -> tuple[Json, list[str]]:
    from pvbinder.server.objects.schema.yaml_text import YamlTextError, YamlTooManyError, parse_yaml  # late: slow

    try:
        document = parse_yaml(body)
    except YamlTooManyError as error:
        raise entity_too_large(TooManyValuesError(VALUES_MAX).message) from error
    except YamlTextError as error:
        raise _unrecognized(body, kind, error.message) from error
    found = [document.strict_error] if document.strict_error else []
    return _decoded(document.value, body, kind, field_validation, found)


def _decoded(
    value: Any, body: bytes, kind: ServedKind, field_validation: FieldValidation, found: list[str]
) -> tuple[Json, list[str]]:
    """Convert a parsed body, whatever it was written in."""
    header = _type_of_body(value, body, kind)
    conversion = Conversion()
    try:
        _check_kind(header, kind, value)
        obj = conversion.object({} if value is None else value, kind.schema)
    except (ConversionError, _UnfitKindError) as error:
        raise _cannot_handle(header, kind, error.message) from error
    _check_version(header, kind)
    obj = _named(obj, kind)
    strict = found + conversion.strict_errors
    if not strict or field_validation == "Ignore":
        return obj, []
    if field_validation == "Warn":
        return obj, warnings_of(strict)
    raise _cannot_handle(header, kind, f"strict decoding error: {', '.join(strict)}")


def _type_of_body(value: Any, body: bytes, kind: ServedKind) -> Json:
    """The kind and version that the body says it has, each "" when it doesn't."""
    if value is None:
        return {}
    plain_value = dict(value) if isinstance(value, Members) else value
    if not isinstance(plain_value, dict):
        why = f"json: cannot unmarshal {kind_of(plain_value)} into Go value of type {TYPE_STRUCT}"
        raise _unrecognized(body, kind, f"couldn't get version/kind; json parse error: {why}")
    header: Json = {}
    for key, go_field in (("apiVersion", ".apiVersion"), ("kind", ".kind")):
        text = plain_value.get(key)
        if text is not None and not isinstance(text, str):
            why = f"json: cannot unmarshal {kind_of(text)} into Go struct field {go_field} of type string"
            raise _unrecognized(body, kind, f"couldn't get version/kind; json parse error: {why}")
        if text:
            header[key] = text
    return header


def _check_kind(header: Json, kind: ServedKind, value: Any) -> None:
    """Refuse a body of another kind, as the reference's conversion does: what that kind can't be is told first."""
    resource = kind.resource
    name = header.get("kind") or resource.kind
    api_version = header.get("apiVersion") or resource.api_version
    if not isinstance(name, str) or not isinstance(api_version, str):
        raise _UnfitKindError("json: cannot unmarshal object into Go struct field .kind of type string")
    group, _, version = api_version.rpartition("/")
    if (name, api_version) == (resource.kind, resource.api_version):
        return
    if kind.schema in CATALOGUE.customs and (name, group) == (resource.kind, resource.group):
        return  # another version of it: that is for `_check_version` to say
    if not is_registered(group, version, name, resource.group):
        scheme = scheme_of(resource.group)
        raise _UnfitKindError(f'no kind "{name}" is registered for version "{api_version}" in scheme "{scheme}"')
    if name != resource.kind or not is_same_kind(name, group, resource.group):
        schema = CATALOGUE.kinds.get((group, version, name))
        if schema is not None and isinstance(value, Members | dict) and object_depth_within(value):
            Conversion().object(value, schema)
        internal = internal_package(resource.group)
        raise _UnfitKindError(f"converting ({version}.{name}) to ({internal}.{resource.kind}): unknown conversion")


def _check_version(header: Json, kind: ServedKind) -> None:
    api_version = header.get("apiVersion") or kind.resource.api_version
    if api_version != kind.resource.api_version:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({kind.resource.api_version})"
        )


class _UnfitKindError(PvbinderError):
    """A body of another kind."""


def _cannot_handle(header: Json, kind: ServedKind, why: str) -> ApiError:
    """400 of a body whose kind is known but whose content doesn't fit."""
    name = header.get("kind") or kind.resource.kind
    version = (header.get("apiVersion") or kind.resource.api_version).rpartition("/")[2]
    return bad_request(f'{name} in version "{version}" cannot be handled as a {kind.resource.kind}: {why}')


def _unrecognized(body: bytes, kind: ServedKind, why: str) -> ApiError:
    """400 of a body that isn't even an object."""
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind.resource.kind}): {why} ({_summary(body)})"
    )


def _summary(body: bytes) -> str:
    """The beginning of a body, as the reference shows it."""
    if not body:
        return "<empty>"
    end = " ..." if len(body) > 30 else ""
    start = body[:30]
    return (start.decode(errors="replace") if body[:1] == b"{" else start.hex()) + end


def _from_protobuf(body: bytes, kind: ServedKind) -> tuple[Json, list[str]]:
    try:
        header, value = protobuf.decode(body, kind.resource.kind, kind.resource.api_version)
    except protobuf.ProtobufError as error:
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind.resource.kind}): {error.message} "
            f"({_summary(body)})"
        ) from error
    try:
        _check_kind(header, kind, value)
        if value is None:
            raise ConversionError(f"a protobuf body of kind {kind.resource.kind} isn't understood, send JSON")
        shape = _kind_struct(kind.schema)
        obj = _try_convert(shape, value) if shape is not None else None
        if obj is None:
            obj = Conversion().object(value, kind.schema)
    except (ConversionError, _UnfitKindError) as error:
        raise _cannot_handle(header, kind, error.message) from error
    _check_version(header, kind)
    return _named(obj, kind), []
