"""Options of commands that read files: which objects of a database are meant."""

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
