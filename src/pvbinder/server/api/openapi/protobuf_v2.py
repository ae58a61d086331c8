"""The OpenAPI v2 document in protobuf, the only form in which some kubectl commands ask for it.

kubectl validates a ``List`` on its own side, with the definitions of v2, and takes them in no other form. The messages
are those of openapi.v2; only the fields that our documents use are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from pvbinder.server.objects.kind import Json

MEDIA_TYPE: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ANSWERED_AS: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_METHODS: Final = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def encode_document(document: Json) -> bytes:
    """Encode a document as `documents` makes it."""
    info = document["info"]
    return b"".join(
        (
            _text(1, document["swagger"]),
            _message(2, _text(1, info["title"]) + _text(2, info["version"])),
            _message(8, b"".join(_message(2, _named(path, _path(item))) for path, item in document["paths"].items())),
            _message(9, b"".join(_message(1, _named(n, _schema(s))) for n, s in document["definitions"].items())),
        )
    )


def _path(item: Json) -> bytes:
    encoded = b"".join(_message(number, _operation(item[name])) for name, number in _METHODS.items() if name in item)
    return encoded + _parameters(9, item.get("parameters", []))


def _operation(operation: Json) -> bytes:
    return b"".join(
        (
            _texts(1, operation.get("tags", [])),
            _text(3, operation.get("description", "")),
            _text(5, operation.get("operationId", "")),
            _texts(6, operation.get("produces", [])),
            _texts(7, operation.get("consumes", [])),
            _parameters(8, operation.get("parameters", [])),
            _message(9, b"".join(_message(1, _named(c, _response(r))) for c, r in operation["responses"].items())),
            _extensions(13, operation),
        )
    )


def _response(response: Json) -> bytes:
    encoded = _text(1, response.get("description", ""))
    if "schema" in response:
        encoded += _message(2, _message(1, _schema(response["schema"])))
    return _message(1, encoded)


def _parameters(number: int, parameters: Iterable[Json]) -> bytes:
    return b"".join(_message(number, _message(1, _parameter(parameter))) for parameter in parameters)


def _parameter(parameter: Json) -> bytes:
    if parameter["in"] == "body":
        body = _text(2, parameter["name"]) + _text(3, "body") + _flag(4, parameter.get("required", False))
        return _message(1, body + _message(5, _schema(parameter["schema"])))
    text, name, place = _text(3, parameter["description"]), _text(4, parameter["name"]), _text(2, parameter["in"])
    plain = _flag(1, parameter.get("required", False)) + place + text + name
    if parameter["in"] == "path":
        return _message(2, _message(4, plain + _text(5, parameter["type"])))
    return _message(2, _message(3, plain + _text(6, parameter["type"])))


def _schema(schema: Json) -> bytes:
    encoded = _text(1, schema.get("$ref", "")) + _text(2, schema.get("format", ""))
    encoded += _text(4, schema.get("description", "")) + _texts(19, schema.get("required", []))
    if isinstance(schema.get("additionalProperties"), dict):
        encoded += _message(21, _message(1, _schema(schema["additionalProperties"])))
    if "type" in schema:
        encoded += _message(22, _text(1, schema["type"]))
    if "items" in schema:
        encoded += _message(23, _message(1, _schema(schema["items"])))
    if "properties" in schema:
        properties = (_message(1, _named(name, _schema(inner))) for name, inner in schema["properties"].items())
        encoded += _message(25, b"".join(properties))
    return encoded + _extensions(31, schema)


def _extensions(number: int, holder: Json) -> bytes:
    """The ``x-`` members, each as YAML text."""
    return b"".join(
        _message(number, _named(name, _text(2, json.dumps(value, separators=(",", ":")))))
        for name, value in holder.items()
        if name.startswith("x-")
    )


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _message(2, value)


def _text(number: int, text: Any) -> bytes:
    return _message(number, str(text).encode()) if text else b""


def _texts(number: int, texts: Iterable[str]) -> bytes:
    return b"".join(_message(number, text.encode()) for text in texts)


def _flag(number: int, value: bool) -> bytes:
    return _varint(number << 3) + b"\1" if value else b""


def _message(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
