"""Values as Go prints and reads them, for messages of the reference that quote them; base64 and spans of time, too.

GO_TEXT-1  Any text is read, in time that grows with its length: of thousands of digits Go says that they are out of
           range, where Python wouldn't convert them.
"""

from __future__ import annotations

import base64
import json
import re
import string
from datetime import timedelta
from typing import Any, Final

from pvbinder.model.errors import PvbinderError

_UNSIGNED: Final = re.compile("0*+(?P<digits>[0-9]*)(?<=[0-9])", re.ASCII)
_SIGNED: Final = re.compile("[+-]?0*+(?P<digits>[0-9]*)(?<=[0-9])", re.ASCII)
_DIGITS_MAX: Final = 20  # of 2**64 - 1
_STANDARD_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "+/")
_URL_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "-_")
_URL_TO_STANDARD: Final = str.maketrans("-_", "+/")


def go_plain(value: Any) -> str:
    """A decoded JSON value as ``%v`` prints it: ``map[a:1 b:[x y]]``."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_plain(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_plain, value)) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return go_float(value) if isinstance(value, float) else str(value)


def go_syntax(value: Any) -> str:
    """A decoded JSON value as ``%#v`` prints it: ``map[string]interface {}{"a":1}``."""
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)}:{go_syntax(value[key])}" for key in sorted(value))
        return "map[string]interface {}{" + inner + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(go_syntax, value)) + "}"
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return go_float(value) if isinstance(value, float) else str(value)


def parse_int64(text: str) -> int:
    """Return what ``strconv.ParseInt`` makes of `text`; ValueError in its words (GO_TEXT-1)."""
    return _parsed(text, "ParseInt", _SIGNED, -(2**63), 2**63 - 1)


def parse_uint64(text: str) -> int:
    """Return what ``strconv.ParseUint`` makes of `text`; ValueError in its words (GO_TEXT-1)."""
    return _parsed(text, "ParseUint", _UNSIGNED, 0, 2**64 - 1)


def _parsed(text: str, function: str, shape: re.Pattern[str], low: int, high: int) -> int:
    found = shape.fullmatch(text)
    if found is None:
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax')
    digits = found["digits"]
    number = int(digits or "0") if len(digits) <= _DIGITS_MAX else 2**64
    number = -number if text.startswith("-") else number
    if not low <= number <= high:
        raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
    return number


def go_type(value: Any) -> str:
    """The Go type that a decoded JSON value has."""
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "int64" if isinstance(value, int) else "float64" if isinstance(value, float) else "<nil>"


def go_float(value: float) -> str:
    """A float as ``%v`` prints it."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    mantissa, exponent, digits = text.partition("e")
    if not exponent:
        return text
    return f"{mantissa}e{digits[0] if digits[0] in '+-' else '+'}{digits.lstrip('+-').zfill(2)}"


def seconds_of(count: int) -> timedelta:
    """A span of so many seconds as Go has it: nanoseconds in 64 bits, where what is too long wraps around.

    So whatever number a client sends, a time within 293 years comes out: of 2^63 - 1 seconds the one a second ago.
    """
    nanoseconds = (count * 10**9 + 2**63) % 2**64 - 2**63
    return timedelta(microseconds=nanoseconds // 1000)


class Base64Error(PvbinderError):
    """A text that is no base64; the message is the one of Go's decoder."""

    def __init__(self, at: int) -> None:
        super().__init__(f"illegal base64 data at input byte {at}")


def decode_base64(text: str, *, is_url: bool = False, is_padded: bool = True) -> bytes:
    """Decode base64 as Go does, which passes over ends of lines; Base64Error where it would."""
    alphabet = _URL_ALPHABET if is_url else _STANDARD_ALPHABET
    places = [index for index, character in enumerate(text) if character not in "\r\n"]
    digits = "".join(text[place] for place in places)
    wrong = next((index for index, character in enumerate(digits) if character not in alphabet), len(digits))
    rest = wrong % 4
    if wrong < len(digits):
        wanted = 4 - rest
        if not is_padded or digits[wrong] != "=" or rest < 2:
            raise Base64Error(places[wrong])
        if wanted == 2 and wrong + 1 == len(digits):
            raise Base64Error(len(text))
        if wanted == 2 and digits[wrong + 1] != "=":
            raise Base64Error(places[wrong + 1] - 1)
        if wrong + wanted < len(digits):
            raise Base64Error(places[wrong + wanted])
    elif rest == 1 or (rest and is_padded):
        raise Base64Error(len(text) - rest)
    standard = digits[:wrong].translate(_URL_TO_STANDARD) if is_url else digits[:wrong]
    return base64.b64decode(standard + "=" * (-wrong % 4))
