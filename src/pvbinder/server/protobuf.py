r"""Kubernetes' protobuf envelope, for the few kinds that kubectl sends in no other form.

A body is ``k8s\0`` and a `runtime.Unknown` message, whose `raw` field is the object. Only what `_MESSAGES` lists is
decoded, into the JSON that the same object would be; the schema then checks it like any other body. Answers are always
JSON, which every client that sends protobuf accepts too.

Bounded: nesting by the tables (no message contains itself), everything else by the body's length.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from pvbinder.model.errors import PvbinderError

MAGIC: Final = b"k8s\0"

# message -> field number -> (JSON name, type). Types: scalars, a message's name, "[]…" repeated, "{}…" map from string.
_META: Final = "ObjectMeta"
_MESSAGES: Final[dict[str, dict[int, tuple[str, str]]]] = {
    "TypeMeta": {1: ("apiVersion", "string"), 2: ("kind", "string")},
    "Unknown": {1: ("typeMeta", "TypeMeta"), 2: ("raw", "raw"), 3: ("contentEncoding", "string"),
                4: ("contentType", "string")},
    "ObjectMeta": {
        1: ("name", "string"), 2: ("generateName", "string"), 3: ("namespace", "string"), 4: ("selfLink", "string"),
        5: ("uid", "string"), 6: ("resourceVersion", "string"), 7: ("generation", "int"),
        8: ("creationTimestamp", "time"), 9: ("deletionTimestamp", "time"), 10: ("deletionGracePeriodSeconds", "int"),
        11: ("labels", "{}string"), 12: ("annotations", "{}string"), 13: ("ownerReferences", "[]OwnerReference"),
        14: ("finalizers", "[]string"), 17: ("managedFields", "[]ManagedFieldsEntry"),
    },
    "OwnerReference": {1: ("kind", "string"), 3: ("name", "string"), 4: ("uid", "string"), 5: ("apiVersion", "string"),
                       6: ("controller", "bool"), 7: ("blockOwnerDeletion", "bool")},
    "ManagedFieldsEntry": {1: ("manager", "string"), 2: ("operation", "string"), 3: ("apiVersion", "string"),
                           4: ("time", "time"), 6: ("fieldsType", "string"), 7: ("fieldsV1", "FieldsV1"),
                           8: ("subresource", "string")},
    "Namespace": {1: ("metadata", _META), 2: ("spec", "NamespaceSpec"), 3: ("status", "NamespaceStatus")},
    "NamespaceSpec": {1: ("finalizers", "[]string")},
    "NamespaceStatus": {1: ("phase", "string")},
    "ConfigMap": {1: ("metadata", _META), 2: ("data", "{}string"), 3: ("binaryData", "{}bytes"),
                  4: ("immutable", "bool")},
    "Secret": {1: ("metadata", _META), 2: ("data", "{}bytes"), 3: ("type", "string"), 4: ("stringData", "{}string"),
               5: ("immutable", "bool")},
    "ServiceAccount": {1: ("metadata", _META), 2: ("secrets", "[]ObjectReference"),
                       3: ("imagePullSecrets", "[]LocalObjectReference"), 4: ("automountServiceAccountToken", "bool")},
    "ObjectReference": {1: ("kind", "string"), 2: ("namespace", "string"), 3: ("name", "string"), 4: ("uid", "string"),
                        5: ("apiVersion", "string"), 6: ("resourceVersion", "string"), 7: ("fieldPath", "string")},
    "LocalObjectReference": {1: ("name", "string")},
    "SelfSubjectAccessReview": {1: ("metadata", _META), 2: ("spec", "SelfSubjectAccessReviewSpec"),
                                3: ("status", "SubjectAccessReviewStatus")},
    "SelfSubjectAccessReviewSpec": {1: ("resourceAttributes", "ResourceAttributes"),
                                    2: ("nonResourceAttributes", "NonResourceAttributes")},
    "SubjectAccessReviewStatus": {1: ("allowed", "bool"), 2: ("reason", "string"), 3: ("evaluationError", "string"),
                                  4: ("denied", "bool")},
    "ResourceAttributes": {1: ("namespace", "string"), 2: ("verb", "string"), 3: ("group", "string"),
                           4: ("version", "string"), 5: ("resource", "string"), 6: ("subresource", "string"),
                           7: ("name", "string"), 8: ("fieldSelector", "FieldSelectorAttributes"),
                           9: ("labelSelector", "LabelSelectorAttributes")},
    "FieldSelectorAttributes": {1: ("rawSelector", "string"), 2: ("requirements", "[]SelectorRequirement")},
    "LabelSelectorAttributes": {1: ("rawSelector", "string"), 2: ("requirements", "[]SelectorRequirement")},
    "SelectorRequirement": {1: ("key", "string"), 2: ("operator", "string"), 3: ("values", "[]string")},
    "NonResourceAttributes": {1: ("path", "string"), 2: ("verb", "string")},
    "SelfSubjectReview": {1: ("metadata", _META), 2: ("status", "SelfSubjectReviewStatus")},
    "SelfSubjectReviewStatus": {1: ("userInfo", "UserInfo")},
    "UserInfo": {1: ("username", "string"), 2: ("uid", "string"), 3: ("groups", "[]string")},
    "DeleteOptions": {1: ("gracePeriodSeconds", "int"), 2: ("preconditions", "Preconditions"),
                      3: ("orphanDependents", "bool"), 4: ("propagationPolicy", "string"), 5: ("dryRun", "[]string")},
    "Preconditions": {1: ("uid", "string"), 2: ("resourceVersion", "string")},
    "Timestamp": {1: ("seconds", "int"), 2: ("nanos", "int")},
    "FieldsV1": {1: ("raw", "raw")},
}  # fmt: skip

_KINDS: Final = {
    ("v1", "Namespace"), ("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "ServiceAccount"),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"), ("authentication.k8s.io/v1", "SelfSubjectReview"),
    ("v1", "DeleteOptions"), ("meta.k8s.io/v1", "DeleteOptions"),
}  # fmt: skip


class ProtobufError(PvbinderError):
    """A body that isn't Kubernetes' protobuf."""


def decode(body: bytes, kind: str, api_version: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The type that the envelope names, and the object as JSON; None for a kind that isn't understood.

    `kind` and `api_version` are what an envelope without a type means. ProtobufError when the bytes make no sense.
    """
    if not body.startswith(MAGIC):
        raise ProtobufError(
            f"provided data does not appear to be a protobuf message, expected prefix [{' '.join(map(str, MAGIC))}]"
        )
    envelope = _message("Unknown", body[len(MAGIC) :])
    if envelope.get("contentEncoding"):
        raise ProtobufError(f"unsupported content encoding {envelope['contentEncoding']!r}")
    header = {key: text for key, text in envelope.get("typeMeta", {}).items() if text}
    named = header.get("apiVersion", api_version), header.get("kind", kind)
    if named not in _KINDS:
        return header, None
    return header, header | _message(named[1], envelope.get("raw", b""))


def _message(name: str, data: bytes) -> dict[str, Any]:
    """Decode one message; fields that its table doesn't have are skipped, as protobuf wants it."""
    table = _MESSAGES[name]
    value: dict[str, Any] = {}
    for number, wire_type, raw in _fields(data):
        if number not in table:
            continue
        field, type_ = table[number]
        if type_.startswith("[]"):
            value.setdefault(field, []).append(_value(type_[2:], wire_type, raw))
        elif type_.startswith("{}"):
            key, inner = _entry(type_[2:], _expect_bytes(wire_type, raw))
            value.setdefault(field, {})[key] = inner
        else:
            value[field] = _value(type_, wire_type, raw)
    return value


def _entry(type_: str, data: bytes) -> tuple[str, Any]:
    """An entry of a map: key 1, value 2."""
    key = ""
    value: Any = ""
    for number, wire_type, raw in _fields(data):
        if number == 1:
            key = _value("string", wire_type, raw)
        elif number == 2:
            value = _value(type_, wire_type, raw)
    return key, value


def _value(type_: str, wire_type: int, raw: int | bytes) -> Any:
    if type_ in ("int", "bool"):
        if not isinstance(raw, int):
            raise ProtobufError(f"proto: wrong wireType = {wire_type}")
        return bool(raw) if type_ == "bool" else raw - 2**64 if raw >= 2**63 else raw
    data = _expect_bytes(wire_type, raw)
    match type_:
        case "string":
            return _text(data)
        case "bytes":
            return base64.b64encode(data).decode()
        case "raw":
            return data
        case "time":
            return _time(_message("Timestamp", data))
        case "FieldsV1":
            return _fields_v1(_message("FieldsV1", data))
        case _:
            return _message(type_, data)


def _expect_bytes(wire_type: int, raw: int | bytes) -> bytes:
    if not isinstance(raw, bytes):
        raise ProtobufError(f"proto: wrong wireType = {wire_type}")
    return raw


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ProtobufError("proto: invalid UTF-8 string") from error


def _time(stamp: dict[str, Any]) -> str | None:
    """A time; the zero time is what Go sends for an unset one."""
    if not stamp:
        return None
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=stamp.get("seconds", 0))
    except OverflowError as error:
        raise ProtobufError("proto: timestamp out of range") from error
    return f"{moment.year:04}-{moment:%m-%dT%H:%M:%SZ}"


def _fields_v1(value: dict[str, Any]) -> Any:
    try:
        return msgspec.json.decode(value.get("raw", b"{}"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtobufError("fieldsV1 is no JSON") from error


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """The fields of a message: number, wire type, and a number or bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise ProtobufError("proto: illegal tag 0")
        raw: int | bytes
        if wire_type == 0:
            raw, at = _varint(data, at)
        elif wire_type == 2:
            length, at = _varint(data, at)
            raw, at = _take(data, at, length)
        elif wire_type in (1, 5):
            raw, at = _take(data, at, 8 if wire_type == 1 else 4)
        else:
            raise ProtobufError(f"proto: illegal wireType {wire_type}")
        yield number, wire_type, raw


def _take(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if at + length > len(data):
        raise ProtobufError("unexpected EOF")
    return data[at : at + length], at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ProtobufError("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise ProtobufError("proto: integer overflow")
