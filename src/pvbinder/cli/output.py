"""The output of commands: results to stdout, everything else to stderr, nothing in it that could command a terminal.

OUTPUT-1  Whatever objects, files, servers and other programs say, only printable characters and our own line feeds come
          out (`model.printable`), to a pipe as to a terminal. JSON and YAML keep their meaning.
OUTPUT-2  No other module of `cli` writes to stdout or stderr, but for the live view, which draws.
"""

from __future__ import annotations

import re
from typing import Any, Final

import click

from pvbinder.model.printable import printable, printable_json, printable_lines

_HEADLINE: Final = re.compile(
    r"( *(?:(?:pod |volume )?[^ ]+ is|[0-9]+ claims?) )([A-Z][a-z]+)((?: on node [^ ]+)?:.*)", re.DOTALL
)
_PHASES: Final[dict[str, dict[str, Any]]] = {  # as `live.STYLES` has them
    "Bound": {"fg": "green"},
    "Running": {"fg": "green"},
    "Available": {"fg": "cyan"},
    "Pending": {"fg": "yellow"},
    "Terminating": {"fg": "yellow"},
    "Released": {"fg": "magenta"},
    "Lost": {"fg": "red", "bold": True},
    "Failed": {"fg": "red", "bold": True},
    "Missing": {"fg": "red", "bold": True},
}


def say(text: str, *, is_progress: bool = False) -> None:
    """Write `text` and a line feed to stdout, or to stderr if it is progress; its line feeds are meant."""
    click.echo(printable_lines(text), err=is_progress)


def say_report(text: str) -> None:
    """Write the lines of an explanation to stdout, on a terminal in the colours of ``up --watch`` (OUTPUT-1)."""
    for line in printable_lines(text).split("\n"):
        click.echo(_coloured(line))


def _coloured(line: str) -> str:
    headline = _HEADLINE.match(line)
    if headline is not None and headline[2] in _PHASES:
        before, phase, after = headline.groups()
        return before + click.style(phase, **_PHASES[phase]) + after
    if line.strip().startswith(("VOLUME ", "CLAIM ")):
        return click.style(line, bold=True, dim=True)
    return line


_LEVELS: Final[dict[str, dict[str, Any]]] = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow"},
    "information": {"fg": "cyan"},
}
_FINDING: Final = re.compile(r"(error|warning|information)( PVB[0-9]{3}: .*)", re.DOTALL)


def say_findings(text: str) -> None:
    """Write the lines of an audit to stdout, on a terminal with its levels in colour (OUTPUT-1)."""
    for line in printable_lines(text).split("\n"):
        found = _FINDING.fullmatch(line)
        click.echo(click.style(found[1], **_LEVELS[found[1]]) + found[2] if found is not None else line)


def say_json(text: str) -> None:
    """Write the JSON `text` to stdout."""
    click.echo(printable_json(text))


def note(text: str) -> None:
    """Write one line to stderr that somebody may want to know."""
    click.echo(f"note: {printable(text)}", err=True)


def complain(message: str, hint: str | None = None) -> None:
    """Write an error and the way out of it to stderr; the message is one line, the hint may have several."""
    lines = [f"error: {printable(message)}"]
    lines += [f"       {printable(line)}" for line in hint.split("\n")] if hint else []
    click.echo("\n".join(lines), err=True)
