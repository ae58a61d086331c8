"""`pvbinder recover`: a new database from what can be read of a damaged one, and a frank word on each object."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvbinder.cli.errors import EXIT_NO
from pvbinder.cli.options import default_data_dir
from pvbinder.cli.output import say, say_json
from pvbinder.model.printable import printable

if TYPE_CHECKING:
    from pvbinder.server.store.findings import Recovery

EPILOG = """\b
Examples:
  pvbinder recover                            # the directory that `pvbinder up` uses
  pvbinder recover --data-dir /srv/pvbinder
  pvbinder recover --data-dir /srv/pvbinder -o json > what-became-of-it.json
"""
LINES_SHOWN_MAX = 20


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    show_default="the user's data directory, ~/.local/share/pvbinder",
    help="The data directory that `pvbinder up` says is damaged.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to say what became of the objects; json names every one of them.",
)
def recover(data_dir: Path | None, output: str) -> int:
    """Recover a damaged data directory, so that `pvbinder up` starts on it again.

    Every object is taken in the newest state that can be read: from the damaged file, its log, or the copy from the
    last start or clean stop. It says of each what became of it: current, as it was last acknowledged; older; lost; or,
    where that can't be known, that it may have changed or been deleted since. An object that is known to be deleted
    isn't brought back. Nothing is destroyed: the damaged files are kept beside the new one. On a directory that is
    sound it does nothing.

    Exit code 0: it is proven that nothing is lost; 1: something is older, lost, or can't be proven.
    """
    import msgspec

    from pvbinder.server.store.findings import document
    from pvbinder.server.store.recovery import recover as recover_directory

    directory = (data_dir or default_data_dir()).expanduser().absolute()
    done = recover_directory(directory)
    if output == "json":
        text = msgspec.json.encode(document(done, directory))
        say_json(msgspec.json.format(text, indent=2).decode())
    elif done is None:
        say(f"{directory} is sound: there is nothing to recover")
    else:
        say("\n".join(map(printable, report(done, directory))))
    return 0 if done is None or done.is_complete else EXIT_NO


def report(done: Recovery, directory: Path) -> Sequence[str]:
    """Return the lines that say what a recovery did."""
    from pvbinder.server.store.findings import Current, Lost, MaybeDeleted, Older, Unproven

    lines = [
        f"recovered {done.objects} {_objects(done.objects)}, the newest of revision {done.newest_revision}",
        f"revisions go on at {done.next_revision}",
        f"the damaged files are kept in {done.kept}",
    ]
    if done.from_copy:
        count = len(done.from_copy)
        lines.append(f"{count} could be read only from the copy of revision {done.copy_revision}, {done.copy_time}")
    if done.deleted:
        stay = "stays" if len(done.deleted) == 1 else "stay"
        lines.append(f"{len(done.deleted)} that could still be read {_are(len(done.deleted))} deleted, and {stay} so")
    current = sum(isinstance(each, Current) for each in done.outcomes)
    if done.is_complete:
        lines += ["", "Nothing is missing: all are as they were last acknowledged. Go on with:"]
    else:
        lines += ["", f"{current} {_are(current)} as {_they(current)} {_were(current)} last acknowledged"]
        older = [each for each in done.outcomes if isinstance(each, Older)]
        if older:
            lines += ["", f"{len(older)} {_are(len(older))} older than {_they(len(older))} {_were(len(older))}:"]
            lines += _shown(
                [
                    f"{_name(each.kind, each.key)}  of revision {each.revision}, {each.acknowledged} is lost"
                    for each in older
                ]
            )
        lost = [each for each in done.outcomes if isinstance(each, Lost)]
        if lost or done.unnamed:
            lines += ["", f"{done.missing} {_are(done.missing)} lost:"]
            lines += _shown([_name(each.kind, each.key) for each in lost])
            if done.unnamed:
                lines.append(f"  {done.unnamed} whose {'name' if done.unnamed == 1 else 'names'} can't be read")
        lines += _unknown(done.named(Unproven), "may have changed or been deleted since: that can't be known")
        back = done.named(MaybeDeleted)
        them = "it" if len(back) == 1 else "them"
        lines += _unknown(back, f"may have been deleted: the damaged file doesn't have {them}, the copy has")
        if done.why_unproven:
            lines += ["", f"Others may be missing, too: {done.why_unproven}."]
        lines += ["", "Compare, then go on with:"]
    return [*lines, f"  pvbinder up --data-dir {shlex.quote(str(directory))}"]


def _unknown(keys: Sequence[tuple[str, str]], what: str) -> list[str]:
    if not keys:
        return []
    return ["", f"{len(keys)} {what}:", *_shown([_name(*where) for where in keys])]


def _objects(count: int) -> str:
    return "object" if count == 1 else "objects"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _they(count: int) -> str:
    return "it" if count == 1 else "they"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _name(kind: str, key: str) -> str:
    return f"{kind} {key}"


def _shown(lines: Sequence[str]) -> list[str]:
    more = (
        [f"  … and {len(lines) - LINES_SHOWN_MAX} more; -o json names them all"] if len(lines) > LINES_SHOWN_MAX else []
    )
    return [*(f"  {line}" for line in lines[:LINES_SHOWN_MAX]), *more]
