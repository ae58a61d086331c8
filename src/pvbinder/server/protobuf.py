r"""Kubernetes' protobuf envelope, for the kinds that kubectl sends in no other form.

A body is ``k8s\0`` and a `runtime.Unknown` message, whose `raw` field is the object. Only what `protobuf_messages`
lists is decoded, into the JSON that the same object would be; the schema then checks it like any other body. Answers
are always JSON, which every client that sends protobuf accepts too.

A field that isn't listed is an error, not a loss, unless it is empty. Bounded: nesting by the tables (no message
contains itself), everything else by the body's length.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from pvbinder.model.errors import PvbinderError
from pvbinder.server.protobuf_messages import messages

MAGIC: Final = b"k8s\0"


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
    if named[1] == "DeleteOptions":
        named = "v1", named[1]  # a type of every group's version: typed clients name that of what they delete
    message = messages().kinds.get(named)
    if message is None:
        return header, None
    return header, header | _message(message, envelope.get("raw", b""))


def _message(name: str, data: bytes) -> dict[str, Any]:
    """Decode one message."""
    table = messages().fields[name]
    value: dict[str, Any] = {}
    for number, wire_type, raw in _fields(data):
        if number not in table:
            if raw:
                raise ProtobufError(f"field {number} of {name} isn't understood in protobuf, send JSON")
            continue
        field, type_ = table[number]
        if type_ == "-":
            continue
        if type_.startswith("<"):
            value |= _message(type_[1:], _expect_bytes(wire_type, raw))
        elif type_.startswith("[]"):
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
    value: Any = "0" if type_ == "quantity" else ""
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
        case "fields":
            return _fields_v1(_message("FieldsV1", data))
        case "quantity":
            return _message("Quantity", data).get("string") or "0"
        case "intorstring":
            either = _message("IntOrString", data)
            return either.get("strVal", "") if either.get("type") else either.get("intVal", 0)
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
