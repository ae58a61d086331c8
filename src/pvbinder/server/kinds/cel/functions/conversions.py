"""Conversions between types, sizes, and types as values."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from pvbinder.model.go_values import parse_bool
from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.functions.times import (
    duration_text,
    read_duration,
    read_timestamp,
    timestamp_of_seconds,
    timestamp_text,
)
from pvbinder.server.kinds.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    list_of,
    map_of,
    param,
    type_of,
)
from pvbinder.server.kinds.cel.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    TypeValue,
    Uint,
    checked_int,
    checked_uint,
    type_name,
)

_A: Final = param("A")
_B: Final = param("B")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,40}")
_UNSIGNED: Final = re.compile(r"[0-9]{1,40}")


def declare(library: Library) -> None:
    """Declare conversions and sizes."""
    for name, type_ in (("int", INT), ("uint", UINT), ("double", DOUBLE), ("bool", BOOL), ("string", STRING)):
        library.add(name, f"{name}_to_{name}", (type_,), type_, _same)
    library.add("bytes", "bytes_to_bytes", (BYTES,), BYTES, _same)
    library.add("duration", "duration_to_duration", (DURATION,), DURATION, _same)
    library.add("timestamp", "timestamp_to_timestamp", (TIMESTAMP,), TIMESTAMP, _same)
    library.add("int", "uint64_to_int64", (UINT,), INT, _int_of_uint)
    library.add("int", "double_to_int64", (DOUBLE,), INT, _int_of_double)
    library.add("int", "string_to_int64", (STRING,), INT, _int_of_text)
    library.add("int", "timestamp_to_int64", (TIMESTAMP,), INT, lambda value: value.nanoseconds // 10**9)
    library.add("int", "duration_to_int64", (DURATION,), INT, lambda value: value.nanoseconds)
    library.add("uint", "int64_to_uint64", (INT,), UINT, checked_uint)
    library.add("uint", "double_to_uint64", (DOUBLE,), UINT, _uint_of_double)
    library.add("uint", "string_to_uint64", (STRING,), UINT, _uint_of_text)
    library.add("double", "int64_to_double", (INT,), DOUBLE, float)
    library.add("double", "uint64_to_double", (UINT,), DOUBLE, float)
    library.add("double", "string_to_double", (STRING,), DOUBLE, _double_of_text)
    library.add("bool", "string_to_bool", (STRING,), BOOL, _bool_of_text)
    library.add("bytes", "string_to_bytes", (STRING,), BYTES, lambda value: value.encode())
    library.add("duration", "string_to_duration", (STRING,), DURATION, read_duration)
    library.add("timestamp", "string_to_timestamp", (STRING,), TIMESTAMP, read_timestamp)
    library.add("timestamp", "int64_to_timestamp", (INT,), TIMESTAMP, timestamp_of_seconds)
    library.add("string", "bool_to_string", (BOOL,), STRING, lambda value: "true" if value else "false")
    library.add("string", "bytes_to_string", (BYTES,), STRING, _text_of_bytes)
    library.add("string", "double_to_string", (DOUBLE,), STRING, double_text)
    library.add("string", "int64_to_string", (INT,), STRING, str)
    library.add("string", "uint64_to_string", (UINT,), STRING, lambda value: str(int(value)))
    library.add("string", "duration_to_string", (DURATION,), STRING, duration_text)
    library.add("string", "timestamp_to_string", (TIMESTAMP,), STRING, timestamp_text)
    library.add("dyn", "to_dyn", (_A,), DYN, _same)
    library.add("type", "type", (_A,), type_of(_A), lambda value: TypeValue(type_name(value)))
    for id_, type_ in (
        ("string", STRING), ("bytes", BYTES), ("list", list_of(_A)), ("map", map_of(_A, _B)),
    ):  # fmt: skip
        library.add("size", f"size_{id_}", (type_,), INT, len)
        library.add_member("size", f"{id_}_size", (type_,), INT, len)


def _same(value: Any) -> Any:
    return value


def _conversion(one: str, other: str) -> CelError:
    return CelError(f"type conversion error from '{one}' to '{other}'")


def _int_of_uint(value: int) -> int:
    return checked_int(int(value))


def _int_of_double(value: float) -> int:
    if math.isnan(value) or not INT_MIN < value < INT_MAX:
        raise CelError("integer overflow")
    return int(value)


def _uint_of_double(value: float) -> Uint:
    if math.isnan(value) or not 0 <= value <= UINT_MAX:
        raise CelError("unsigned integer overflow")
    return Uint(int(value))


def _int_of_text(value: str) -> int:
    if not _WHOLE.fullmatch(value) or not INT_MIN <= int(value) <= INT_MAX:
        raise _conversion("string", "int")
    return int(value)


def _uint_of_text(value: str) -> Uint:
    if not _UNSIGNED.fullmatch(value) or int(value) > UINT_MAX:
        raise _conversion("string", "uint")
    return Uint(value)


def _double_of_text(value: str) -> float:
    try:
        if value != value.strip() or "_" in value:
            raise ValueError
        return float(value)
    except ValueError:
        raise _conversion("string", "double") from None


def _bool_of_text(value: str) -> bool:
    known = parse_bool(value)
    if known is None:
        raise _conversion("string", "bool")
    return known


def _text_of_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None


def double_text(value: float) -> str:
    """A number as its conversion to a text shows it."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value)) if value or math.copysign(1, value) > 0 else "-0"
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        return digits
    if -5 <= int(exponent) < 0:
        return f"{value:.25f}".rstrip("0")
    sign, size = ("-", exponent[1:]) if exponent[0] == "-" else ("+", exponent.lstrip("+"))
    return f"{digits.removesuffix('.0')}e{sign}{size.zfill(2)}"
