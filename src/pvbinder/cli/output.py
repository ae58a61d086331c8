"""What commands write: results to stdout, everything else to stderr, nothing in it that could command a terminal.

OUTPUT-1  Whatever objects, files, servers and other programs say, only printable characters and our own line feeds come
          out (`model.printable`), to a pipe as to a terminal. JSON and YAML keep their meaning.
OUTPUT-2  No other module of `cli` writes to stdout or stderr, but for the live view, which draws.
"""

from __future__ import annotations

import click

from pvbinder.model.printable import printable, printable_json, printable_lines


def say(text: str, *, is_progress: bool = False) -> None:
    """Write `text` and a line feed to stdout, or to stderr if it is progress; its line feeds are meant."""
    click.echo(printable_lines(text), err=is_progress)


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
