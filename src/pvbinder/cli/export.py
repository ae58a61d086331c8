"""`pvbinder export`: all objects of a cluster or of a data directory, to a file that ``up --load`` begins with."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from pvbinder.cli.errors import EXIT_NO, WrongUsageError
from pvbinder.cli.output import note, say
from pvbinder.model.printable import printable

if TYPE_CHECKING:
    from pvbinder.model.json import Json

STDOUT = ("-", "/dev/stdout", "/dev/fd/1")
EPILOG = """\b
Examples:
  pvbinder export cluster.yaml                 # the cluster that kubectl would use
  pvbinder export --kubeconfig ~/.kube/production -o json > production.json
  pvbinder export --data-dir .run before.yaml
  pvbinder up --ephemeral --load before.yaml
"""


@click.command(epilog=EPILOG)
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig that leads to the cluster.")
@click.option("--context", help="The context of the kubeconfig to use.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Read a data directory instead, while no pvbinder is running on it.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    show_default="json if FILE ends with .json, else yaml",
    help="How to write the objects.",
)
def export(
    file: Path | None, kubeconfig: Path | None, context: str | None, data_dir: Path | None, output: str | None
) -> int:
    """Write all objects of a cluster, with their statuses, UIDs and times, to FILE or to stdout.

    `pvbinder up --load FILE` begins with them. They include secrets: FILE is readable for its owner alone.

    Exit code 1: some kinds could not be read, and are left out; they are named on stderr.
    """
    if data_dir is not None and (kubeconfig or context):
        raise WrongUsageError("--data-dir reads a directory: --kubeconfig and --context don't go with it")
    if file is not None and str(file) not in STDOUT:
        _refuse_what_is_no_file(file)
    objects, refused = asyncio.run(
        _read(data_dir.expanduser().absolute() if data_dir is not None else None, kubeconfig, context)
    )
    for each in refused:
        note(f"left out: {each}")
    form = output or ("json" if file is not None and file.suffix == ".json" else "yaml")
    if file is None or str(file) in STDOUT:
        _write(objects, sys.stdout, form)
    else:
        _replace(file, objects, form)
        say(printable(f"{len(objects)} objects written to {file}"), is_progress=True)
    return EXIT_NO if refused else 0


async def _read(data_dir: Path | None, kubeconfig: Path | None, context: str | None) -> tuple[list[Json], list[str]]:
    from pvbinder.insight.export import objects_of_cluster, objects_of_directory
    from pvbinder.kube.client import Client
    from pvbinder.kube.config import load
    from pvbinder.kube.http import HttpTransport

    if data_dir is not None:
        return await objects_of_directory(data_dir), []
    async with HttpTransport(load(kubeconfig, context)) as transport:
        return await objects_of_cluster(Client(transport))


def _write(objects: list[Json], to: TextIO, form: str) -> None:
    from pvbinder.insight.export import write_dump

    write_dump(objects, to, "json" if form == "json" else "yaml")


def _refuse_what_is_no_file(file: Path) -> None:
    """Refuse to put a file in the place of a device, a pipe or a descriptor."""
    if file.is_relative_to("/proc") or file.is_relative_to("/dev/fd") or (file.exists() and not file.is_file()):
        raise WrongUsageError(
            f"{file} can't be written: it is no regular file", hint="leave it out, to write to stdout, or name another"
        )


def _replace(file: Path, objects: list[Json], form: str) -> None:
    """Write `file` entirely or not at all, for its owner alone."""
    from pvbinder.server.files.private_files import replacing

    try:
        with replacing(file) as raw:
            to = io.TextIOWrapper(raw, encoding="utf-8")
            _write(objects, to, form)
            to.detach()
    except OSError as error:
        raise WrongUsageError(f"{file} can't be written: {error.strerror}") from error
