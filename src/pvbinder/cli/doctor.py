"""``pvbinder doctor``: what is missing on this machine, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import click

from pvbinder.cli.errors import EXIT_NO
from pvbinder.cli.options import default_data_dir
from pvbinder.cli.output import say, say_json

MARKS = {"fine": "ok   ", "note": "note ", "wrong": "WRONG"}
EPILOG = """\b
Examples:
  pvbinder doctor
  pvbinder doctor --data-dir /srv/pvbinder --port 7443
  pvbinder doctor -o json > machine.json
"""


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    show_default="the user's data directory, ~/.local/share/pvbinder",
    help="The data directory that `pvbinder up` will have.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=6443, metavar="N", help="The port that it will have.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people, or for programs."
)
def doctor(data_dir: Path | None, port: int, output: str) -> int:
    """Say what is missing on this machine for `pvbinder up`, and what to do about it.

    It looks at Python, SQLite, kubectl, the port, the data directory and how fast its disk is, and the limits of this
    shell. Nothing is changed.

    Exit code 1: something is wrong, and `pvbinder up` would not work. A note is no mistake.
    """
    import msgspec

    from pvbinder.insight.machine import examine

    findings = []
    for finding in examine(data_dir or default_data_dir(), port):
        findings.append(finding)
        if output == "text":
            say(f"{MARKS[finding.verdict]}  {finding.subject:<15}  {finding.text}")
            if finding.way_out:
                say(f"{'':24}{finding.way_out}")
    if output == "json":
        say_json(msgspec.json.encode(findings).decode())
    return EXIT_NO if any(finding.verdict == "wrong" for finding in findings) else 0
