"""An answer as sections of rows, and the two forms in which a person reads it: text and Markdown.

SECTIONS-1  Both forms say the same, in the same order; nothing is in one that isn't in the other.
SECTIONS-2  What objects say can't break the form: in Markdown a cell has no bar, line feed or mark-up of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pvbinder.model.printable import printable

ROWS_MAX: Final = 200  # of a section; -o json has all
WIDTH_MAX: Final = 60  # characters of a column but the last
_MARKS: Final = re.compile(r"([\\`*_\[\]<>|#~])")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and rows under names of columns; without names they are plain lines."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_text(headline: str, sections: Iterable[Section]) -> str:
    """Return the answer for a terminal."""
    parts = [headline]
    for section in sections:
        parts += ["", section.title, *_text_rows(section)]
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


def _text_rows(section: Section) -> Iterable[str]:
    shown = section.rows[:ROWS_MAX]
    every = [section.columns, *shown] if section.columns else list(shown)
    count = max((len(row) for row in every), default=0)
    widths = [
        min(max((len(printable(row[place])) for row in every if place < len(row)), default=0), WIDTH_MAX)
        for place in range(count)
    ]
    for row in every:
        cells = [printable(cell).ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  " + "  ".join(cells).rstrip()
    if len(section.rows) > ROWS_MAX:
        yield f"  {_more(section)}"


def _more(section: Section) -> str:
    return f"and {len(section.rows) - ROWS_MAX} more: -o json has them all"


def _markdown_row(cells: Iterable[str], *, is_rule: bool = False) -> str:
    return "| " + " | ".join(cell if is_rule else _escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """Return `text` as a part of a line of Markdown that is nothing but text (SECTIONS-2)."""
    return _MARKS.sub(r"\\\1", printable(text))
