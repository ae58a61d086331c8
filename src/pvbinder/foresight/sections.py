"""An answer as sections of rows, and the two forms in which a person reads it: text and Markdown.

SECTIONS-1  Both forms say the same, in the same order; nothing is in one that isn't in the other.
SECTIONS-2  What objects say can't break the form: in Markdown a cell has no bar, line feed or mark-up of its own.
SECTIONS-3  No line of text is wider than asked, but for commands, which are to be copied and never broken, and for
            columns that are as narrow as they get (`WIDTH_MIN`).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from pvbinder.model.printable import printable

ROWS_MAX: Final = 200  # of a section; -o json has all
WIDTH_MIN: Final = 8  # characters of a column
COMFORTABLE: Final = 18  # characters of a column that isn't broken further while another can give way
_INDENT: Final = "  "
_GAP: Final = "  "
_COMMAND: Final = ": kubectl "  # as a remedy ends that is a command
_MARKS: Final = re.compile(r"([\\`*_\[\]<>|#~])")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and rows under names of columns; without names they are plain lines."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_text(headline: str, sections: Iterable[Section], width: int) -> str:
    """Return the answer for a terminal that is `width` characters wide (SECTIONS-3)."""
    parts = textwrap.wrap(headline, width)
    for section in sections:
        parts += ["", *textwrap.wrap(section.title, width), *_text_rows(section, width)]
    return "\n".join(parts)


def as_markdown(headline: str, sections: Iterable[Section]) -> str:
    """Return the answer for a pull request."""
    parts = [f"### {_escaped(headline)}"]
    for section in sections:
        parts += ["", f"**{_escaped(section.title)}**", ""]
        if section.columns:
            parts += [_markdown_row(section.columns), _markdown_row(["---"] * len(section.columns), is_rule=True)]
            parts += [_markdown_row(row) for row in section.rows[:ROWS_MAX]]
        else:
            parts += [f"- {_escaped(' '.join(row))}" for row in section.rows[:ROWS_MAX]]
        parts += [f"- {_more(section)}"] if len(section.rows) > ROWS_MAX else []
    return "\n".join(parts)


def _text_rows(section: Section, width: int) -> Iterator[str]:
    shown = section.rows[:ROWS_MAX]
    every = [section.columns, *shown] if section.columns else list(shown)
    count = max((len(row) for row in every), default=0)
    natural = [
        max((len(printable(row[place])) for row in every if place < len(row)), default=0) for place in range(count)
    ]
    widths = _fitted(natural, width - len(_INDENT) - len(_GAP) * (count - 1))
    for row in every:
        yield from _text_row(row, widths)
    if len(section.rows) > ROWS_MAX:
        yield _INDENT + _more(section)


def _text_row(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    """The lines of a row: each cell is broken at its width, a command at its end stands on a line of its own."""
    said, colon, command = printable(row[-1]).partition(_COMMAND) if row else ("", "", "")
    texts = [*map(printable, row[:-1]), said + ":" * bool(colon)]
    cells = [
        textwrap.wrap(text, max(width, 1), break_on_hyphens=False) or [""]
        for text, width in zip(texts, widths, strict=False)
    ]
    for parts in zip_longest(*cells, fillvalue=""):
        yield _INDENT + _GAP.join(part.ljust(width) for part, width in zip(parts, widths, strict=False)).rstrip()
    if colon:
        yield f"{_INDENT}{_GAP}kubectl {command}"


def _fitted(widths: list[int], room: int) -> list[int]:
    """The widths of columns that have `room` together (SECTIONS-3): the widest give way, the names before them last."""
    found = list(widths)
    for places, least in ((range(1, len(found)), COMFORTABLE), (range(len(found)), WIDTH_MIN)):
        while places and sum(found) > room and max(found[place] for place in places) > least:
            widest = max(places, key=lambda place: found[place])
            found[widest] -= 1
    return found


def _more(section: Section) -> str:
    return f"and {len(section.rows) - ROWS_MAX} more: -o json has them all"


def _markdown_row(cells: Iterable[str], *, is_rule: bool = False) -> str:
    return "| " + " | ".join(cell if is_rule else _escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """Return `text` as a part of a line of Markdown that is nothing but text (SECTIONS-2)."""
    return _MARKS.sub(r"\\\1", printable(text))
