"""Kubernetes' protobuf of any built-in object, by the tables that the server reads it with, for tests."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.protobuf_wire import envelope, field, varint

from pvbinder.server.objects.protobuf_messages import messages

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stored_form(document: Mapping[str, Any]) -> bytes:
    """Return what kube-apiserver stores for an object: protobuf if its kind has messages, else JSON."""
    header = document["apiVersion"], document["kind"]
    message = messages().kinds.get(header)
    if message is None:
        return json.dumps(document).encode()
    return envelope(
        *header, _message(message, {key: document[key] for key in document if key not in ("apiVersion", "kind")})
    )


def _message(name: str, value: Mapping[str, Any]) -> bytes:
    out = b""
    for number, (key, type_) in sorted(messages()[name].items()):
        if type_.startswith("<"):
            out += field(number, _message(type_[1:], value)) if _has_any(type_[1:], value) else b""
        elif key in value and value[key] is not None:
            out += _field(number, type_, value[key])
    return out


def _has_any(name: str, value: Mapping[str, Any]) -> bool:
    return any(
        _has_any(type_[1:], value) if type_.startswith("<") else key in value
        for key, type_ in messages()[name].values()
    )


def _field(number: int, type_: str, value: Any) -> bytes:
    if type_.startswith("[]"):
        return b"".join(_field(number, type_[2:], each) for each in value)
    if type_.startswith("{}"):
        return b"".join(field(number, field(1, key) + _field(2, type_[2:], value[key])) for key in sorted(value))
    match type_:
        case "int" | "bool":
            return varint(number << 3) + varint(int(value) % 2**64)
        case "float":
            return varint(number << 3 | 1) + struct.pack("<d", value)
        case "string":
            return field(number, value)
        case "bytes":
            return field(number, base64.b64decode(value))
        case "time" | "microtime":
            moment = datetime.fromisoformat(value) - EPOCH
            seconds = moment // timedelta(seconds=1)
            return field(number, field(1, seconds) + field(2, moment.microseconds * 1000))
        case "quantity":
            return field(number, field(1, str(value)))
        case "fields" | "json":
            return field(number, field(1, json.dumps(value, separators=(",", ":"))))
        case "intorstring":
            is_text = isinstance(value, str)
            return field(
                number, field(1, int(is_text)) + field(2, 0 if is_text else value) + field(3, value if is_text else "")
            )
        case "items":
            return field(number, b"".join(field(1, each) for each in value))
        case _:
            return field(number, _message(type_, value))
