"""`pvbinder recover`: a new database from what can be read of a damaged one, and a frank word on the rest."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvbinder.cli.errors import EXIT_NO
from pvbinder.cli.options import default_data_dir
from pvbinder.cli.output import say
from pvbinder.model.printable import printable

if TYPE_CHECKING:
    from pvbinder.server.store.recovery import Recovery

EPILOG = """\b
Examples:
  pvbinder recover                            # the directory that `pvbinder up` uses
  pvbinder recover --data-dir /srv/pvbinder
"""
SHOWN = 20


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    show_default="the user's data directory, ~/.local/share/pvbinder",
    help="The data directory that `pvbinder up` says is damaged.",
)
def recover(data_dir: Path | None) -> int:
    """Recover a damaged data directory, so that `pvbinder up` starts on it again.

    Every object that can be read is taken in its newest state, from the damaged file and its log; for those that can't
    be read, the copy from the last start or clean stop is used. It says which are older than they may have been, and
    which are lost. Nothing is destroyed: the damaged files are kept beside the new one. On a directory that is sound it
    does nothing.

    Exit code 0: everything is there; 1: something is lost or may be older than it was.
    """
    from pvbinder.server.store.recovery import recover as recover_directory

    directory = (data_dir or default_data_dir()).expanduser().absolute()
    done = recover_directory(directory)
    if done is None:
        say(f"{directory} is sound: there is nothing to recover")
        return 0
    say("\n".join(map(printable, report(done, directory))))
    return EXIT_NO if done.from_copy or done.missing else 0


def report(done: Recovery, directory: Path) -> Sequence[str]:
    """Return the lines that say what a recovery did."""
    lines = [
        f"recovered {done.objects} {_objects(done.objects)}, the newest of revision {done.newest_revision}",
        f"revisions go on at {done.next_revision}",
        f"the damaged files are kept in {done.kept}",
    ]
    if done.from_copy:
        count = len(done.from_copy)
        lines += ["", f"{count} could be read only from the copy of revision {done.copy_revision}, so may be older:"]
        lines += _named(done.from_copy)
    if done.missing:
        lines += ["", f"{done.missing} {'is' if done.missing == 1 else 'are'} lost:"]
        lines += _named(done.lost)
        if unnamed := done.missing - len(done.lost):
            lines.append(f"  {unnamed} whose {'name' if unnamed == 1 else 'names'} can't be read")
    if done.from_copy or done.missing:
        lines += ["", "What was deleted shortly before the damage may be back. Compare, then go on with:"]
    else:
        lines += ["", "Nothing is missing. Go on with:"]
    return [*lines, f"  pvbinder up --data-dir {shlex.quote(str(directory))}"]


def _objects(count: int) -> str:
    return "object" if count == 1 else "objects"


def _named(keys: Sequence[tuple[str, str]]) -> list[str]:
    more = [f"  … and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else []
    return [*(f"  {kind} {key}" for kind, key in keys[:SHOWN]), *more]
