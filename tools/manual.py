"""The manual page pvbinder(1), from the same source as the help: what click knows of the commands.

    python -m tools.manual [DIRECTORY]    # writes DIRECTORY/pvbinder.1 (man/ unless named); make dist does it

It isn't kept: it would only be a second copy of the help. The wheel and the sdist have it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from os import environ
from pathlib import Path

import click

from pvbinder import __version__
from pvbinder.cli.main import COMMANDS, cli

TOP = Path(__file__).resolve().parent.parent
EXIT_CODES = (
    ("0", "Fine."),
    ("1", 'The answer is "no".'),
    ("2", "Wrong usage or configuration."),
    ("3", "Something failed."),
    ("130", "Interrupted."),
)
FILES = (
    ("~/.local/share/pvbinder", "The data directory of pvbinder up, if $XDG_DATA_HOME names no other."),
    ("$KUBECONFIG, ~/.kube/config", "Where the other commands find their API server, as kubectl does."),
)


def page() -> str:
    """Return the page, in the language of man(7)."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    seconds = int(environ.get("SOURCE_DATE_EPOCH") or datetime.now(UTC).timestamp())
    day = datetime.fromtimestamp(seconds, UTC).date().isoformat()
    yield f'.TH PVBINDER 1 "{day}" "pvbinder {__version__}" "User Commands"'
    yield from (".nh", ".ad l")
    yield from (".SH NAME", rf"pvbinder \- {text((cli.help or '').rstrip('.'))}")
    yield from (
        ".SH SYNOPSIS",
        r".B pvbinder",
        r".I COMMAND",
        "[OPTIONS]",
        ".br",
        ".B pvbinder",
        r"[\-\-help|\-\-version]",
    )
    yield ".SH COMMANDS"
    for name, (_, line) in COMMANDS.items():
        yield from (".TP", rf".B {text(name)}", text(line))
    for name in COMMANDS:
        yield from _command(name)
    yield ".SH EXIT STATUS"
    for code, meaning in EXIT_CODES:
        yield from (".TP", f".B {code}", text(meaning))
    yield ".SH FILES"
    for path, meaning in FILES:
        yield from (".TP", f".I {text(path)}", text(meaning))


def _command(name: str) -> Iterator[str]:
    root = click.Context(cli, info_name="pvbinder", **cli.context_settings)
    command = cli.get_command(root, name)
    assert command is not None
    yield from _section(command, click.Context(command, parent=root, info_name=name, **command.context_settings))


def _section(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f'.SH "{text(context.command_path.upper())}"'
    usage = " ".join(command.collect_usage_pieces(context))
    yield rf"\fB{text(context.command_path)}\fR {text(usage)}"
    for paragraph in (command.help or "").split("\n\n"):
        yield from (".PP", *_paragraph(paragraph))
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield from (".TP", rf"\fB{text(record[0])}\fR", text(" ".join(record[1].split())))
    if command.epilog:
        yield from _example(command.epilog)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            below = click.Context(found, parent=context, info_name=inner, **found.context_settings)
            yield from _section(found, below)


def _paragraph(paragraph: str) -> Iterator[str]:
    if paragraph.lstrip().startswith("\b"):  # click's mark for lines that stay as they are
        yield from _example(paragraph)
    elif paragraph.strip():
        yield text(" ".join(paragraph.split()))


def _example(block: str) -> Iterator[str]:
    yield from (".PP", ".nf")
    yield from (text(line) for line in block.replace("\b", "").strip("\n").splitlines())
    yield ".fi"


def text(words: str) -> str:
    """Return `words` so that they are printed as they stand."""
    escaped = words.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("…", "...")
    escaped = re.sub(r"[^\x20-\x7e]", lambda found: rf"\[u{ord(found[0]):04X}]", escaped)
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else TOP / "man"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pvbinder.1").write_text(page())
