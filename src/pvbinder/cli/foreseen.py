"""The parts that `pvbinder plan` and `pvbinder rehearse` share: where a copy comes from, how an answer is told."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pvbinder.cli.output import say, say_json

if TYPE_CHECKING:
    from pvbinder.foresight.preparing import Prepared
    from pvbinder.foresight.sections import Section
    from pvbinder.model.json import Json
    from pvbinder.sources.options import SourceOptions

TEXT_COLUMNS_MAX = 120
TEXT_COLUMNS_MIN = 40
_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def output_option(*forms: str) -> Callable[[_Decorated], _Decorated]:
    """Add ``output``, one of `forms`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(forms),
        default=forms[0],
        help="How to write the answer; markdown is for a pull request"
        + (", sarif and junit are for the reports of pipelines." if "sarif" in forms else "."),
    )


def from_files(files: Sequence[str], options: SourceOptions, before: Iterable[tuple[str, Json]] = ()) -> Prepared:
    """Return the copy of what is in `files`, and of the objects of `before`, which were read already."""
    from pvbinder.foresight.preparing import prepare
    from pvbinder.sources.reading import read_sources, written_at

    left_out: list[str] = []
    prepared = prepare(chain(before, read_sources(files, options, left_out.append)), written_at=written_at(files))
    prepared.notes.extend(left_out)
    return prepared


def from_cluster(kubeconfig: Path | None, context: str | None) -> Prepared:
    """Return the copy of a running cluster, which is only read."""
    from pvbinder.foresight.preparing import prepare
    from pvbinder.foresight.reading import read_copy
    from pvbinder.kube.client import Client
    from pvbinder.kube.config import load
    from pvbinder.kube.http import HttpTransport

    async def read() -> tuple[list[tuple[str, Json]], list[str]]:
        async with HttpTransport(load(kubeconfig, context)) as transport:
            return await read_copy(Client(transport))

    found, notes = asyncio.run(read())
    prepared = prepare(found, read_at=datetime.now(UTC))
    prepared.notes.extend(notes)
    return prepared


def tell(answer: Any, output: str, headline: str, sections: Iterable[Section]) -> None:
    """Write the answer in the form that was asked for."""
    import msgspec

    from pvbinder.foresight.sections import as_markdown, as_text

    match output:
        case "json":
            say_json(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
        case "markdown":
            say(as_markdown(headline, sections))
        case _:
            width = min(shutil.get_terminal_size().columns, TEXT_COLUMNS_MAX)
            say(as_text(headline, sections, max(width, TEXT_COLUMNS_MIN)))
