"""The words of an expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from pvbinder.server.kinds.cel.errors import Issue
from pvbinder.server.kinds.cel.values import Uint

WordKind: TypeAlias = Literal["sign", "name", "escaped", "int", "uint", "double", "string", "bytes", "end"]

KEYWORDS: Final = frozenset(
    {
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
        "let", "loop", "package", "namespace", "return", "var", "void", "while",
    }
)  # fmt: skip
_WORD: Final = re.compile(
    r"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
      | (?P<number>0x[0-9a-fA-F]+[uU]?|(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)|\d+[uU]?)
      | (?P<text>(?P<prefix>[bB][rR]|[rR][bB]?|[bB])?(?:\"\"\"|'''|"|'))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<escaped>`[a-zA-Z0-9_.\-/ ]+`)
      | (?P<sign>==|!=|<=|>=|&&|\|\||[\[\](){}.,\-!?:+*/%<>])
    """,
    re.VERBOSE | re.ASCII,
)
_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"',
    "`": "`", "?": "?",
}  # fmt: skip
_CODED: Final = re.compile(r"[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})")


@dataclass(frozen=True, slots=True)
class Word:
    """A word: what it is, where it stands, how it was written, and its value if it has one."""

    kind: WordKind
    at: int
    text: str
    value: Any = None


def read_words(source: str, issues: list[Issue]) -> list[Word]:
    """Read all words; what is none is noted and left out."""
    words: list[Word] = []
    at = 0
    while at < len(source):
        found = _WORD.match(source, at)
        if found is None:
            end = at + 1
            if source[at] in "|&=" and end < len(source) and source[end] in " \t":  # the reference takes these as one
                end += 1
            issues.append(Issue(at, f"Syntax error: token recognition error at: '{source[at:end]}'"))
            at = end
        elif found["space"]:
            at = found.end()
        elif found["text"]:
            at = _read_text(source, found, words, issues)
        else:
            words.append(_word(found, issues))
            at = found.end()
    words.append(Word("end", len(source), "<EOF>"))
    return words


def _word(found: re.Match[str], issues: list[Issue]) -> Word:
    text, at = found[0], found.start()
    if found["number"]:
        return _number(text, at, issues)
    if found["name"]:
        return Word("name", at, text)
    if found["escaped"]:
        return Word("escaped", at, text, text[1:-1])
    return Word("sign", at, text)


def _number(text: str, at: int, issues: list[Issue]) -> Word:
    is_unsigned = text[-1] in "uU"
    digits = text[:-1] if is_unsigned else text
    is_hex = digits.startswith("0x")
    if not is_hex and any(letter in digits for letter in ".eE"):
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            issues.append(Issue(at, "invalid double literal"))
        return Word("double", at, text, value)
    number = int(digits, 16 if is_hex else 10) if len(digits) < 64 else 1 << 65
    if is_unsigned:
        if number >= 1 << 64:
            issues.append(Issue(at, "invalid uint literal"))
        return Word("uint", at, text, Uint(number))
    return Word("int", at, text, number)  # the parser knows whether there is a minus


def _read_text(source: str, found: re.Match[str], words: list[Word], issues: list[Issue]) -> int:
    """Read a text in quotes; returns where it ends."""
    start, body = found.start(), found.end()
    quote = source[found.start() + len(found["prefix"] or "") : body]
    prefix = (found["prefix"] or "").lower()
    raw, is_bytes = "r" in prefix, "b" in prefix
    parts: list[str] = []
    octets = bytearray()
    at = body

    def add(text: str) -> None:
        octets.extend(text.encode("utf-8", "surrogatepass")) if is_bytes else parts.append(text)

    while at < len(source):
        if source.startswith(quote, at):
            value: Any = bytes(octets) if is_bytes else "".join(parts)
            words.append(Word("bytes" if is_bytes else "string", start, source[start : at + len(quote)], value))
            return at + len(quote)
        letter = source[at]
        if letter == "\n" and len(quote) == 1:
            break
        if letter == "\\" and not raw:
            simple = _SIMPLE.get(source[at + 1 : at + 2])
            coded = None if simple is not None else _CODED.match(source, at + 1)
            if simple is not None:
                add(simple)
                at += 2
            elif coded is not None:
                code = int(coded[1] or coded[2] or coded[3] or coded[4], 8 if coded[4] else 16)
                if is_bytes and (coded[1] or coded[4]):
                    octets.append(code & 0xFF)
                elif code > 0x10FFFF or 0xD800 <= code < 0xE000:
                    issues.append(Issue(start, "invalid unicode code point"))
                else:
                    add(chr(code))
                at = coded.end()
            else:
                at += 2
                break
        else:
            add(letter)
            at += 1
    text = source[start : min(at, len(source))]
    issues.append(Issue(start, f"Syntax error: token recognition error at: '{text}'"))
    return min(at, len(source))
