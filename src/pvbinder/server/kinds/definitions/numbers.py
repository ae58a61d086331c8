"""The rules about numbers in a schema, in the reference's arithmetic: whole numbers are compared with whole bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from pvbinder.server.errors import FieldError, invalid
from pvbinder.server.objects.kind import Json

_INTEGERS: Final = {"int32": 31, "int64": 63, "": 63}
_FLOAT_32_MAX: Final = 3.4028234663852886e38


def check_number(value: float, types: tuple[str, ...], raw: Json, path: str, name: str) -> Iterator[FieldError]:
    """Return the errors of a number; an error about a range names no field, as in the reference."""
    type_ = types[0] if len(types) == 1 else ""
    format_ = _format_of(type_, raw.get("format"))
    if out := _out_of_range(value, type_, format_, "Checked", path):
        yield out
    factor, high, low = raw.get("multipleOf"), raw.get("maximum"), raw.get("minimum")
    if factor is not None:
        yield from _check_bound(factor, value, type_, format_, "MultipleOf", path, name, _check_factor)
    if low is not None:
        strict = bool(raw.get("exclusiveMinimum"))
        words = "greater than" if strict else "greater than or equal to"
        yield from _check_edge(
            low, value, type_, format_, "Minimum boundary", path, name, words, below=True, strict=strict
        )
    if high is not None:
        strict = bool(raw.get("exclusiveMaximum"))
        words = "less than" if strict else "less than or equal to"
        yield from _check_edge(
            high, value, type_, format_, "Maximum boundary", path, name, words, below=False, strict=strict
        )


def go_number(value: float) -> str:
    """A number as Go's ``%v`` prints it."""
    if isinstance(value, int):
        return str(value)
    if math.isinf(value) or math.isnan(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    digits, _, exponent = f"{value!r}".partition("e")
    if exponent and -5 < int(exponent) < 21:
        return f"{value:.20f}".rstrip("0").rstrip(".") if value < 1 else f"{value:.0f}"
    if exponent:
        sign, size = exponent[0] if exponent[0] in "+-" else "+", exponent.lstrip("+-")
        return f"{digits.removesuffix('.0')}e{sign}{size.zfill(2)}"
    return digits.removesuffix(".0")


def _format_of(type_: str, name: Any) -> str:
    known = {"integer": ("int32", "int64"), "number": ("float", "double")}.get(type_, ())
    return str(name) if name in known else ""


def _out_of_range(value: float, type_: str, format_: str, what: str, path: str) -> FieldError | None:
    """Say that a number isn't one of its type and format."""
    if type_ == "integer":
        bits = _INTEGERS[format_]
        fits = float(value).is_integer() and -(2**bits) <= int(value) < 2**bits
    else:
        fits = format_ != "float" or abs(value) <= _FLOAT_32_MAX
    if fits:
        return None
    of = f"with format {format_}" if format_ else "(default format)"
    return invalid("<nil>", "", f"{what} value must be of type {type_} {of} in {path}")


def _check_bound(
    bound: float, value: float, type_: str, format_: str, what: str, path: str, name: str, check: Any
) -> Iterator[FieldError]:
    out = _out_of_range(bound, type_, format_, what, path)
    if out is not None:
        yield out
        wrong = check(float(bound), float(value), path, name)
    elif isinstance(value, int):
        wrong = check(int(bound), value, path, name)
    else:
        wrong = check(float(bound), value, path, name)
    if wrong is not None:
        yield wrong


def _check_factor(factor: float, value: float, path: str, name: str) -> FieldError | None:
    if factor <= 0:
        return invalid(name, factor, f"factor MultipleOf declared for {path} must be positive: {go_number(factor)}")
    if isinstance(factor, int) and isinstance(value, int):
        is_multiple = not value % factor
    else:
        ratio = 1 / factor * value if factor < 1 else value / factor
        is_multiple = _is_whole(ratio)
    if is_multiple:
        return None
    return invalid(name, value, f"{path} in body should be a multiple of {go_number(factor)}")


def _is_whole(value: float) -> bool:
    """Tell whether the reference takes the number as whole; it takes nearly whole numbers, too."""
    if math.isnan(value) or math.isinf(value) or abs(value) > 2**53 - 1:
        return False
    whole = math.trunc(value)
    difference = abs(value - whole)
    return value == whole or difference / (abs(value) + abs(whole)) < 1e-9


def _check_edge(
    bound: float,
    value: float,
    type_: str,
    format_: str,
    what: str,
    path: str,
    name: str,
    words: str,
    *,
    below: bool,
    strict: bool,
) -> Iterator[FieldError]:
    def check(edge: float, number: float, path: str, name: str) -> FieldError | None:
        broken = number < edge if below else number > edge
        if not broken and not (strict and number == edge):
            return None
        return invalid(name, number, f"{path} in body should be {words} {go_number(edge)}")

    yield from _check_bound(bound, value, type_, format_, what, path, name, check)
