"""Options of commands that read files: the files, and which objects of a database are meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from pvbinder.cli.errors import WrongUsageError
from pvbinder.sources.options import SourceOptions

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

FORMS = (
    "YAML or JSON, a directory of them, a snapshot or the data file of etcd, a database of k3s, a Velero backup, a "
    "must-gather of OpenShift, a support bundle of Troubleshoot"
)


def files_option(what: str) -> Callable[[_Decorated], _Decorated]:
    """Add ``files``; `what` says what becomes of the objects in them."""
    return click.option(
        "-f",
        "--filename",
        "files",
        multiple=True,
        metavar="DUMP",
        help=f"{what}: {FORMS}. - is stdin. May be given again.",
    )


def check_read_once(*names: str) -> None:
    """Refuse ``-`` among the `names` of files if it is there more than once."""
    if names.count("-") > 1:
        raise WrongUsageError("standard input can be read once only", hint="give - once")


def check_no_server(files: Iterable[str], kubeconfig: Path | None, context: str | None) -> None:
    """Refuse the options that choose a server beside files."""
    if files and (kubeconfig or context):
        raise WrongUsageError("-f reads files instead of a server: --kubeconfig and --context don't go with it")


def source_options(command: _Decorated) -> _Decorated:
    """Add ``at_revision`` and ``etcd_prefix``; `chosen` makes one value of both."""
    command = click.option(
        "--etcd-prefix",
        metavar="PREFIX",
        help="Of a database that several clusters share, read the keys below PREFIX (/registry).",
    )(command)
    return click.option(
        "--at-revision",
        type=click.IntRange(min=1),
        metavar="N",
        help="Read a database of etcd or k3s as it was at revision N; the newest by default.",
    )(command)


def chosen(at_revision: int | None, etcd_prefix: str | None, files: tuple[str, ...], flag: str) -> SourceOptions:
    """Return what the two options say of `files`, which `flag` named."""
    if not files and (at_revision is not None or etcd_prefix is not None):
        which = "--at-revision" if at_revision is not None else "--etcd-prefix"
        raise WrongUsageError(f"{which} is about a file, and none is named", hint=f"name it with {flag}")
    check_read_once(*files)
    return SourceOptions(at_revision, etcd_prefix)


def manifest_texts(files: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Give name and content of the manifests among `files`, which have lines; a database or an archive has none."""
    from pvbinder.audit.places import PLACED_BYTES_MAX
    from pvbinder.sources.errors import DumpFileError
    from pvbinder.sources.reading import read_contents

    endings = (".yaml", ".yml", ".json")
    for file in map(Path, files):
        if file.is_dir() or (file.suffix in endings and file.stat().st_size <= PLACED_BYTES_MAX):
            try:
                yield from read_contents([str(file)])
            except DumpFileError:
                continue  # what a tool has collected, or a database: it has been read, and has no lines
