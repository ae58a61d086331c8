"""Functions of texts: those of the language, of CEL's extension for texts, and Kubernetes' ``find``."""

from __future__ import annotations

from typing import Any, Final

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.functions.text_format import formatted
from pvbinder.server.kinds.cel.types import BOOL, DYN, INT, STRING, list_of
from pvbinder.server.kinds.validation.patterns import TooLongToMatch, find_all, matches, why_no_pattern

_TEXTS: Final = list_of(STRING)
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_QUOTED: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"',
}  # fmt: skip


def declare(library: Library) -> None:
    """Declare the functions of texts."""
    add = library.add_member
    add("contains", "contains_string", (STRING, STRING), BOOL, lambda text, part: part in text)
    add("startsWith", "starts_with_string", (STRING, STRING), BOOL, lambda text, part: text.startswith(part))
    add("endsWith", "ends_with_string", (STRING, STRING), BOOL, lambda text, part: text.endswith(part))
    library.add("matches", "matches", (STRING, STRING), BOOL, _matches)
    add("matches", "matches_string", (STRING, STRING), BOOL, _matches)
    add("charAt", "string_char_at_int", (STRING, INT), STRING, _char_at)
    add("indexOf", "string_index_of_string", (STRING, STRING), INT, _index_of)
    add("indexOf", "string_index_of_string_int", (STRING, STRING, INT), INT, _index_of)
    add("lastIndexOf", "string_last_index_of_string", (STRING, STRING), INT, lambda text, part: text.rfind(part))
    add("lastIndexOf", "string_last_index_of_string_int", (STRING, STRING, INT), INT, _last_index_of)
    add("lowerAscii", "string_lower_ascii", (STRING,), STRING, lambda text: text.translate(_LOWER))
    add("upperAscii", "string_upper_ascii", (STRING,), STRING, lambda text: text.translate(_UPPER))
    add("replace", "string_replace_string_string", (STRING, STRING, STRING), STRING, _replace)
    add("replace", "string_replace_string_string_int", (STRING, STRING, STRING, INT), STRING, _replace)
    add("split", "string_split_string", (STRING, STRING), _TEXTS, _split)
    add("split", "string_split_string_int", (STRING, STRING, INT), _TEXTS, _split)
    add("substring", "string_substring_int", (STRING, INT), STRING, _substring)
    add("substring", "string_substring_int_int", (STRING, INT, INT), STRING, _substring)
    add("trim", "string_trim", (STRING,), STRING, lambda text: text.strip())
    add("format", "string_format", (STRING, list_of(DYN)), STRING, formatted)
    add("join", "list_join", (_TEXTS,), STRING, _join)
    add("join", "list_join_string", (_TEXTS, STRING), STRING, _join)
    library.add("strings.quote", "strings_quote", (STRING,), STRING, _quoted)
    add("find", "string_find_string", (STRING, STRING), STRING, _find)
    add("findAll", "string_find_all_string", (STRING, STRING), _TEXTS, _find_all)
    add("findAll", "string_find_all_string_int", (STRING, STRING, INT), _TEXTS, _find_all)


def _checked(pattern: str, prefix: str) -> None:
    if why := why_no_pattern(pattern):
        raise CelError(f"{prefix}{why}")


def _matches(text: str, pattern: str) -> bool:
    _checked(pattern, "")
    try:
        return matches(pattern, text)
    except TooLongToMatch:
        raise CelError("the text is too long for its pattern") from None


def _find(text: str, pattern: str) -> str:
    found = _find_all(text, pattern, 1)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    _checked(pattern, "Illegal regex: ")
    try:
        return find_all(pattern, text, most)
    except TooLongToMatch:
        raise CelError("the text is too long for its pattern") from None


def _out_of_range(place: int) -> CelError:
    return CelError(f"index out of range: {place}")


def _char_at(text: str, place: int) -> str:
    if not 0 <= place <= len(text):
        raise _out_of_range(place)
    return text[place : place + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if start < 0:
        raise _out_of_range(start)
    if not part:
        return min(start, len(text))
    return text.find(part, start)


def _last_index_of(text: str, part: str, start: int) -> int:
    if start < 0:
        raise _out_of_range(start)
    if not part:
        return min(start, len(text))
    return -1 if start >= len(text) else text.rfind(part, 0, start + len(part))


def _replace(text: str, old: str, new: str, most: int = -1) -> str:
    return text.replace(old, new, most)


def _split(text: str, separator: str, most: int = -1) -> list[str]:
    if most == 0:
        return []
    if separator:
        return text.split(separator, most - 1 if most > 0 else -1)
    letters = list(text)
    return letters if most < 0 or most >= len(letters) else [*letters[: most - 1], "".join(letters[most - 1 :])]


def _substring(text: str, start: int, end: int | None = None) -> str:
    if end is not None and start > end:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    for place in (start, end):
        if place is not None and not 0 <= place <= len(text):
            raise _out_of_range(place)
    return text[start:end]


def _join(texts: list[Any], separator: str = "") -> str:
    for text in texts:
        if not isinstance(text, str):
            raise CelError(f"join: invalid input: {text}")
    return separator.join(texts)


def _quoted(text: str) -> str:
    return f'"{"".join(_QUOTED.get(letter, letter) for letter in text)}"'
