r"""Text from anywhere, made fit to be shown to people: on a terminal, in a log, in a browser.

PRINTABLE-1  Nothing is left that commands a terminal, turns the direction of reading, can't be seen or begins a line:
             every character that isn't printable is written out, as ``\x1b`` or ``\u202e``.
PRINTABLE-2  Of text that has lines on purpose, the line feeds stay, and nothing else of the kind.
PRINTABLE-3  JSON stays the same JSON: in it such characters become JSON's own escapes.

All text for people goes through these functions: `cli.output` for what commands write, `cli.live` for the live view,
`logs` for log lines. Output for machines stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

_JSON_STRING_BREAKERS: Final = re.compile(r"[^\x20-\x7e\n]")


def printable(text: str) -> str:
    """Return `text` as one line (PRINTABLE-1)."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    """Return `text`, whose line feeds are meant, line by line (PRINTABLE-2)."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    """Return the JSON `text` as the same JSON (PRINTABLE-3)."""
    return _JSON_STRING_BREAKERS.sub(lambda found: found[0] if found[0].isprintable() else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
