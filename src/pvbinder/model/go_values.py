"""Texts as Go's standard library reads and writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def parse_bool(text: str) -> bool | None:
    """Return what ``strconv.ParseBool`` reads; None for a text that it refuses."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


_VARIABLE: Final = re.compile(r"\$(?:\{([^}]+)\}|([*#$@!?\-0-9])|([A-Za-z_][A-Za-z0-9_]*)|\{\}?)", re.ASCII)


def expand(template: str, value_of: Callable[[str], str]) -> str:
    """Return `template` with its variables replaced, as ``os.Expand`` does it.

    A variable is ``${NAME}``, ``$NAME`` or ``$`` and one of Go's special characters, each of which is a name. ``${}``,
    and ``${`` without an end, are left out; a ``$`` that none of these follows stays.
    """

    def replaced(found: re.Match[str]) -> str:
        name = found[1] or found[2] or found[3]
        return value_of(name) if name else ""

    return _VARIABLE.sub(replaced, template)


_ESCAPES: Final = {"\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v", "\\": "\\", '"': '"'}


def quoted(text: str) -> str:
    """Return `text` as ``strconv.Quote`` writes it, and ``%q`` with it."""
    if text.isprintable():  # as nearly all are
        text = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    known = _ESCAPES.get(character)
    if known is not None:
        return f"\\{known}"
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
