"""Protobuf written by hand, for tests."""

from __future__ import annotations

from pvbinder.server.objects.protobuf import MAGIC


def field(number: int, value: bytes | str | int) -> bytes:
    """A field on the wire."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A number."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def entry(key: str, value: bytes | str) -> bytes:
    """An entry of a map."""
    return field(1, key) + field(2, value)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    """An object as it is sent."""
    return MAGIC + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)
