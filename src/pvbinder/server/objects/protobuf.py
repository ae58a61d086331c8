r"""Kubernetes' protobuf envelope, which client-go and kubectl send for the built-in kinds.

A body is ``k8s\0`` and a `runtime.Unknown` message, whose `raw` field is the object. It is decoded, by the tables of
`protobuf_messages`, into the JSON that the same object would be; the schema then checks it like any other body. Answers
are always JSON, which every client that sends protobuf accepts too.

A field that isn't listed is passed over, as the reference does: it is one of a newer version. Bounded: nesting by
`MESSAGES_DEEP_MAX`, work by `FIELDS_MAX`, everything else by the body's length.
"""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from pvbinder.model.errors import PvbinderError
from pvbinder.server.objects.protobuf_messages import messages

MAGIC: Final = b"k8s\0"
FIELDS_MAX: Final = 50_000  # more than any object that fits into etcd has in earnest
MESSAGES_DEEP_MAX: Final = 100  # messages; only schemas in custom resource definitions contain themselves


class ProtobufError(PvbinderError):
    """A body that isn't Kubernetes' protobuf."""


def decode(body: bytes, kind: str, api_version: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The type that the envelope names, and the object as JSON; None for a kind that isn't understood.

    `kind` and `api_version` are those of an envelope without a type. ProtobufError when the bytes make no sense.
    """
    if not body.startswith(MAGIC):
        raise ProtobufError(
            f"provided data does not appear to be a protobuf message, expected prefix [{' '.join(map(str, MAGIC))}]"
        )
    decoder = _Decoder()
    envelope = decoder.message("Unknown", body[len(MAGIC) :])
    if envelope.get("contentEncoding"):
        raise ProtobufError(f"unsupported content encoding {envelope['contentEncoding']!r}")
    header = {key: text for key, text in envelope.get("typeMeta", {}).items() if text}
    named = header.get("apiVersion", api_version), header.get("kind", kind)
    if named[1] == "DeleteOptions":
        named = "v1", named[1]  # a type of every group's version: typed clients name that of what they delete
    message = messages().kinds.get(named)
    if message is None:
        return header, None
    return header, header | decoder.message(message, envelope.get("raw", b""))


class _Decoder:
    """Decodes one body; counts what it has read."""

    def __init__(self) -> None:
        self._fields_left = FIELDS_MAX
        self._depth = 0

    def message(self, name: str, data: bytes) -> dict[str, Any]:
        """Decode one message."""
        if self._depth > MESSAGES_DEEP_MAX:
            raise ProtobufError("exceeded max depth")
        self._depth += 1
        table = messages()[name]
        value: dict[str, Any] = {}
        for number, wire_type, raw in self._fields(data):
            listed = table.get(number)
            if listed is None:
                continue
            field, type_ = listed
            if type_ == "string" and isinstance(raw, bytes):  # as most are
                value[field] = _text(raw)
                continue
            match type_[:2]:
                case "[]":
                    value.setdefault(field, []).append(self._value(type_[2:], wire_type, raw))
                case "{}":
                    key, inner = self._entry(type_[2:], _expect_bytes(wire_type, raw))
                    value.setdefault(field, {})[key] = inner
                case _ if type_[0] == "<":
                    value |= self.message(type_[1:], _expect_bytes(wire_type, raw))
                case _:
                    value[field] = self._value(type_, wire_type, raw)
        self._depth -= 1
        return value

    def _entry(self, type_: str, data: bytes) -> tuple[str, Any]:
        """An entry of a map: key 1, value 2; each may be left out when it is empty."""
        key = ""
        sent: tuple[int, int | bytes] = (2, b"")
        for number, wire_type, raw in self._fields(data):
            if number == 1:
                key = _text(_expect_bytes(wire_type, raw))
            elif number == 2:
                sent = wire_type, raw
        return key, self._value(type_, *sent)

    def _value(self, type_: str, wire_type: int, raw: int | bytes) -> Any:
        if type_ in ("int", "bool"):
            if not isinstance(raw, int):
                raise ProtobufError(f"proto: wrong wireType = {wire_type}")
            return bool(raw) if type_ == "bool" else raw - 2**64 if raw >= 2**63 else raw
        if type_ == "float":
            if wire_type != 1 or not isinstance(raw, bytes):
                raise ProtobufError(f"proto: wrong wireType = {wire_type}")
            return struct.unpack("<d", raw)[0]
        data = _expect_bytes(wire_type, raw)
        match type_:
            case "string":
                return _text(data)
            case "bytes":
                return base64.b64encode(data).decode()
            case "raw":
                return data
            case "time" | "microtime":
                return _time(self.message("Timestamp", data), is_micro=type_ == "microtime")
            case "fields" | "json":
                return _json(self.message("Raw", data).get("raw", b""), type_)
            case "items":
                return self.message("Items", data).get("items", [])
            case "quantity":
                return self.message("Quantity", data).get("string") or "0"
            case "intorstring":
                either = self.message("IntOrString", data)
                return either.get("strVal", "") if either.get("type") else either.get("intVal", 0)
            case "schemaorbool":
                either = self.message("JSONSchemaPropsOrBool", data)
                return either["schema"] if "schema" in either else either.get("allows", False)
            case "schemaorarray":
                either = self.message("JSONSchemaPropsOrArray", data)
                return either["schemas"] if "schemas" in either else either.get("schema")
            case "schemaorstrings":
                either = self.message("JSONSchemaPropsOrStringArray", data)
                return either["strings"] if "strings" in either else either.get("schema")
            case _:
                return self.message(type_, data)

    def _fields(self, data: bytes) -> list[tuple[int, int, int | bytes]]:
        """The fields of a message: number, wire type, and a number or bytes. Numbers of one byte take no call."""
        found: list[tuple[int, int, int | bytes]] = []
        at, end = 0, len(data)
        left = self._fields_left
        while at < end:
            if left == 0:
                raise ProtobufError(f"more than {FIELDS_MAX} fields")
            left -= 1
            tag = data[at]
            at += 1
            if tag >= 0x80:
                tag, at = _varint(data, at - 1)
            wire_type = tag & 7
            if tag < 8:
                raise ProtobufError("proto: illegal tag 0")
            raw: int | bytes
            if wire_type == 2:
                if at < end and data[at] < 0x80:
                    after = at + 1 + data[at]
                    at += 1
                else:
                    length, at = _varint(data, at)
                    after = at + length
                if after > end:
                    raise ProtobufError("unexpected EOF")
                raw = data[at:after]
                at = after
            elif wire_type == 0:
                raw, at = _varint(data, at)
            elif wire_type in (1, 5):
                raw, at = _take(data, at, 8 if wire_type == 1 else 4)
            else:
                raise ProtobufError(f"proto: illegal wireType {wire_type}")
            found.append((tag >> 3, wire_type, raw))
        self._fields_left = left
        return found


def _expect_bytes(wire_type: int, raw: int | bytes) -> bytes:
    if not isinstance(raw, bytes):
        raise ProtobufError(f"proto: wrong wireType = {wire_type}")
    return raw


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ProtobufError("proto: invalid UTF-8 string") from error


def _time(stamp: dict[str, Any], *, is_micro: bool) -> str | None:
    """A time; Go sends the zero time for an unset one."""
    if not stamp:
        return None
    micros = stamp.get("nanos", 0) // 1000 if is_micro else 0
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=stamp.get("seconds", 0), microseconds=micros)
    except OverflowError as error:
        raise ProtobufError("proto: timestamp out of range") from error
    fraction = f".{moment.microsecond:06}" if is_micro else ""
    return f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}{fraction}Z"


def _json(text: bytes, type_: str) -> Any:
    """A value that is sent as JSON text."""
    try:
        return msgspec.json.decode(text) if text else {} if type_ == "fields" else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtobufError("fieldsV1 is no JSON" if type_ == "fields" else "a raw value is no JSON") from error


def _take(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if at + length > len(data):
        raise ProtobufError("unexpected EOF")
    return data[at : at + length], at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    if at < len(data) and data[at] < 0x80:  # as nearly all are
        return data[at], at + 1
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
