"""JSON bodies, read with care: every key as it was sent, and what is wrong in the words of Go's decoder.

`parse` keeps objects as `Members`, lists of pairs, because a duplicate key is an error to those who ask for strictness.
What it refuses (syntax, depth, bytes that aren't UTF-8) is a `JsonTextError`. It is the slow way, taken only for a body
that the structs of `schema.structs` refused, so that it may take its time to be exact.

NUMBERS-1  A number keeps its value, or the body is refused: whole ones within 64 bits are integers, others the nearest
           float; what no float holds (``1e400``) is an error.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from pvbinder.model.errors import PvbinderError

LEVELS_MAX: Final = 200  # the reference allows 10000; nothing that it serves is anywhere near, and walkers recurse
INTEGER_DIGITS_MAX: Final = 400
_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**63 - 1

VALUES_MAX: Final = 250_000  # in one body: fields, elements and keys; the largest definitions have some ten thousand
_TEXT: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)
_LITERALS: Final = ("true", "false", "null")
# A body of megabytes that is no JSON is looked through up to the mistake: not one character at a time in Python
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DIGITS: Final = re.compile("[0-9]*")
_PLAIN_TEXT: Final = re.compile(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class JsonTextError(PvbinderError):
    """A text that is no JSON; the message is the one of Go's decoder."""


# the type into which the reference reads what a body says it is
TYPE_STRUCT = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'


class Members(list[tuple[str, Any]]):
    """The members of a JSON object in order, duplicates and all."""


class WideNumber(float):
    """A number that no integer or float of the reference holds; `text` is how it was written."""

    text: str

    def __new__(cls, text: str) -> WideNumber:
        """Keep the text of a number."""
        number = super().__new__(cls, 0.0)
        number.text = text
        return number


class WrittenFloat(float):
    """A number written with a fraction or an exponent; `text` is how it was written."""

    text: str

    def __new__(cls, text: str) -> WrittenFloat:
        """Keep the text of a number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def parse(body: bytes) -> Any:
    """Decode `body` with its objects as `Members`; JsonTextError when it is no JSON."""
    text = _text_of(body)
    check_depth(body)
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise JsonTextError(explain_syntax(text)) from error


class TooManyValuesError(PvbinderError):
    """A body of more values than may be in one."""

    def __init__(self, values_max: int) -> None:
        super().__init__(f"Request entity too large: limit is {values_max} values")


class NumberTooLargeError(JsonTextError):
    """A number that no float holds; the message is the one of Go's decoder."""

    def __init__(self, text: str) -> None:
        super().__init__(f"json: cannot unmarshal number {text} into Go value of type float64")


def kind_of(value: object) -> str:
    """Return Go's name for the kind of a JSON value."""
    if isinstance(value, dict | Members):
        return "object"
    return {bool: "bool", str: "string", list: "array"}.get(type(value), "number")


def plain(value: Any) -> Any:
    """The same with dicts, where the last of several members of one name counts, and with numbers as `number` has them.

    Raises NumberTooLargeError.
    """
    if isinstance(value, Members):
        return {key: plain(inner) for key, inner in value}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return number(value) if isinstance(value, float | int) and not isinstance(value, bool) else value


def number(value: float) -> int | float:
    """A number as the reference keeps those it has no type for, once they are written and read again (NUMBERS-1).

    Whole numbers that 64 bits hold are integers, ``1.0`` and ``1e3`` too; all others are floats, the nearest ones.
    """
    if isinstance(value, WideNumber):
        raise NumberTooLargeError(value.text)
    if isinstance(value, int) and _INTEGER_MIN <= value <= _INTEGER_MAX:
        return value
    try:
        found = float(value)
    except OverflowError:
        raise NumberTooLargeError(str(value)) from None
    if not math.isfinite(found):
        raise NumberTooLargeError(getattr(value, "text", str(value)))
    if found.is_integer() and _INTEGER_MIN <= (whole := int(found)) <= _INTEGER_MAX:
        return whole
    return found


def check_depth(body: bytes) -> None:
    """Refuse what is nested too deeply, before anything recurses into it."""
    if body.count(b"{") + body.count(b"[") <= LEVELS_MAX:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        first = body[token.start()]
        if first in b"[{":
            depth += 1
            if depth > LEVELS_MAX:
                raise JsonTextError("exceeded max depth")
        elif first in b"]}":
            depth -= 1


def check_values(body: bytes, values_max: int = VALUES_MAX) -> None:
    """Refuse a body of more values than anybody needs, before they are made: each takes a hundred times its text.

    Raises TooManyValuesError. Commas and opening brackets are counted: first all of them, then those outside of texts.
    """
    if len(body) <= values_max or _separators(body) <= values_max:
        return
    if _separators(_TEXT.sub(b"", body)) > values_max:
        raise TooManyValuesError(values_max)


def _separators(body: bytes) -> int:
    return body.count(b",") + body.count(b"{") + body.count(b"[")


def object_depth_within(value: Any, limit: int = LEVELS_MAX) -> bool:
    """Whether decoded JSON is nested no deeper than `limit`; never recurses."""
    level: list[Any] = [value]
    for _ in range(limit + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False


def _text_of(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise JsonTextError(f"invalid UTF-8 byte {body[error.start]:#04x} at offset {error.start}") from error


def _refuse(_constant: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")


def _integer(text: str) -> int | float:
    if len(text) > INTEGER_DIGITS_MAX:  # a conversion takes time by the square of the digits
        return _float(text)
    whole = int(text)
    return whole if _INTEGER_MIN <= whole <= _INTEGER_MAX else _float(text)


def _float(text: str) -> float:
    found = WrittenFloat(text)
    return found if math.isfinite(found) else WideNumber(text)


def _members(pairs: list[tuple[str, Any]]) -> Members:
    return Members((_mended(key), _mended(value) if isinstance(value, str) else value) for key, value in pairs)


def _mended(text: str) -> str:
    """A lone surrogate is replaced, as Go does."""
    return _SURROGATES.sub("\ufffd", text) if not text.isascii() else text


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_constant=_refuse, parse_int=_integer, parse_float=_float
)


def explain_syntax(text: str) -> str:
    """Say what is wrong with a text that is no JSON, as Go's scanner does."""
    return _Scanner(text).explain()


class _Scanner:
    """Follows the grammar up to the first character that doesn't fit."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def explain(self) -> str:
        """The message for the first wrong character."""
        try:
            self._value("looking for beginning of value")
            self._space()
            if self._at < len(self._text):
                raise self._unexpected("after top-level value")
        except JsonTextError as error:
            return error.message
        return "invalid JSON"

    def _unexpected(self, where: str) -> JsonTextError:
        if self._at >= len(self._text):
            return JsonTextError("unexpected end of JSON input")
        return JsonTextError(f"invalid character {_quoted(self._text[self._at])} {where}")

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _space(self) -> None:
        self._skip(_SPACE)

    def _skip(self, what: re.Pattern[str]) -> None:
        found = what.match(self._text, self._at)
        assert found, "it matches nothing, too"
        self._at = found.end()

    def _value(self, where: str) -> None:
        self._space()
        first = self._peek()
        if first == "{":
            self._object()
        elif first == "[":
            self._array()
        elif first == '"':
            self._string()
        elif first == "-" or "0" <= first <= "9":
            self._number()
        else:
            self._literal(first, where)

    def _object(self) -> None:
        self._at += 1
        self._space()
        if self._peek() == "}":
            self._at += 1
            return
        where = "looking for beginning of object key string"
        while True:
            self._space()
            if self._peek() != '"':
                raise self._unexpected(where)
            self._string()
            self._space()
            if self._peek() != ":":
                raise self._unexpected("after object key")
            self._at += 1
            self._value("looking for beginning of value")
            self._space()
            if self._peek() == "}":
                self._at += 1
                return
            if self._peek() != ",":
                raise self._unexpected("after object key:value pair")
            self._at += 1

    def _array(self) -> None:
        self._at += 1
        self._space()
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            self._value("looking for beginning of value")
            self._space()
            if self._peek() == "]":
                self._at += 1
                return
            if self._peek() != ",":
                raise self._unexpected("after array element")
            self._at += 1

    def _string(self) -> None:
        self._at += 1
        while True:
            self._skip(_PLAIN_TEXT)
            if (char := self._peek()) == '"':
                break
            if not char or char < " ":
                raise self._unexpected("in string literal")
            self._at += 1
            if char == "\\":
                if self._peek() == "u":
                    for _ in range(4):
                        self._at += 1
                        if self._peek() not in tuple("0123456789abcdefABCDEF"):
                            raise self._unexpected("in \\u hexadecimal character escape")
                elif self._peek() not in tuple('bfnrt\\/"'):
                    raise self._unexpected("in string escape code")
                self._at += 1
        self._at += 1

    def _number(self) -> None:
        if self._peek() == "-":
            self._at += 1
            if not self._digit():
                raise self._unexpected("in numeric literal")
        if self._peek() == "0":
            self._at += 1
        else:
            self._digits()
        if self._peek() == ".":
            self._at += 1
            if not self._digit():
                raise self._unexpected("after decimal point in numeric literal")
            self._digits()
        if self._peek() in ("e", "E"):
            self._at += 1
            if self._peek() in ("+", "-"):
                self._at += 1
            if not self._digit():
                raise self._unexpected("in exponent of numeric literal")
            self._digits()

    def _digit(self) -> bool:
        return "0" <= self._peek() <= "9"

    def _digits(self) -> None:
        self._skip(_DIGITS)

    def _literal(self, first: str, where: str) -> None:
        word = next((word for word in _LITERALS if first and word[0] == first), None)
        if word is None:
            raise self._unexpected(where)
        for expected in word:
            if self._peek() != expected:
                raise self._unexpected(f"in literal {word} (expecting {_quoted(expected)})")
            self._at += 1


def _quoted(char: str) -> str:
    """A character as Go quotes it."""
    if char == "'":
        return r"'\''"
    if char == '"':
        return "'\"'"
    named = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\", "\a": r"\a", "\b": r"\b", "\f": r"\f", "\v": r"\v"}
    if char in named:
        return f"'{named[char]}'"
    if char.isprintable():
        return f"'{char}'"
    return f"'\\x{ord(char):02x}'" if ord(char) < 0x80 else f"'\\u{ord(char):04x}'"
