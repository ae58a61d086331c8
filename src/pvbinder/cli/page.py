"""`pvbinder page`: a cluster, or a dump, as a page in the browser.

PAGE_COMMAND-1  It reads only, and says which rights it lacked.
PAGE_COMMAND-2  SIGINT, SIGTERM and SIGHUP end it cleanly, with exit code 0 once the link was printed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvbinder.cli import loops
from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.links import renewing
from pvbinder.cli.options import LogFormat
from pvbinder.cli.output import note, say
from pvbinder.cli.shared_options import log_options, server_options
from pvbinder.cli.signals import listening
from pvbinder.cli.source_options import FORMS, chosen, source_options

if TYPE_CHECKING:
    from pvbinder.sources.options import SourceOptions
    from pvbinder.web.page import PageSource

EPILOG = """\b
Examples:
  pvbinder page                               # the cluster that kubectl would use
  pvbinder page --kubeconfig ~/.kube/production -n shop
  pvbinder page -f production.yaml
  pvbinder page -f snapshot.db                # of etcd: the cluster as it was then
"""


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="DUMP",
    help=f"Show the objects of this file (- for stdin) instead of a cluster's: {FORMS}. May be given again.",
)
@source_options
@click.option("-n", "--namespace", help="Show the claims and pods of this namespace only.", show_default="all")
@server_options
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port of the page on 127.0.0.1; 0 is any free one.",
)
@log_options
def page(
    files: tuple[str, ...],
    at_revision: int | None,
    etcd_prefix: str | None,
    namespace: str | None,
    kubeconfig: Path | None,
    context: str | None,
    port: int,
    verbosity: int,
    log_format: LogFormat,
) -> int:
    """Show the storage of a cluster, or of a dump, as a page in the browser of this machine.

    Classes, volumes, claims, pods and nodes, the links between them, and of each what pvbinder explain says. The page
    follows the cluster as it changes. It reads only, and is shown to whoever opens the link that is printed; the link
    works once, and Enter prints another one.
    """
    from pvbinder import logs

    options = chosen(at_revision, etcd_prefix, files, "-f")
    if files and (kubeconfig or context):
        raise WrongUsageError("-f reads files instead of a server: --kubeconfig and --context don't go with it")
    if files and namespace:
        raise WrongUsageError("-n chooses what is read of a cluster: the page of a file shows all of it")
    logs.configure(verbosity=verbosity, format=log_format)
    if files:
        source = _of_files(files, options)
        return loops.run(_until_stopped(lambda: nullcontext(source), port))
    return loops.run(_until_stopped(lambda: _of_cluster(kubeconfig, context, namespace or ""), port))


def _of_files(files: tuple[str, ...], options: SourceOptions) -> PageSource:
    from pvbinder.insight.manifests import as_served
    from pvbinder.sources.reading import read_sources, written_at
    from pvbinder.volumes.loading import in_tree_plugins, load_catalogue
    from pvbinder.web.opening import of_files

    left_out: list[str] = []
    documents, notes = as_served(read_sources(files, options, left_out.append))
    return of_files(
        ", ".join(files),
        documents,
        plugins=load_catalogue(in_tree_plugins()),
        written_at=written_at(files),
        notes=left_out + notes,
    )


@asynccontextmanager
async def _of_cluster(kubeconfig: Path | None, context: str | None, namespace: str) -> AsyncIterator[PageSource]:
    from pvbinder.kube.client import Client
    from pvbinder.kube.config import load
    from pvbinder.kube.http import HttpTransport
    from pvbinder.volumes.loading import in_tree_plugins, load_catalogue
    from pvbinder.web.opening import watched

    config = load(kubeconfig, context)
    async with HttpTransport(config) as transport:
        plugins = load_catalogue(in_tree_plugins())
        name = config.context or config.server
        async with watched(Client(transport), name, namespace, plugins=plugins) as source:
            yield source


async def _until_stopped(opened: Callable[[], AbstractAsyncContextManager[PageSource]], port: int) -> int:
    from pvbinder.web.page import LivePage

    task = asyncio.current_task()
    assert task is not None
    with listening(task) as stop:
        try:
            async with opened() as source, LivePage(source, port=port) as shown:
                for each in source.missing:
                    note(each)
                stop.is_ready = True
                with renewing(lambda: say(f"  {shown.link()}")):
                    say(f"{source.name}: open this link in a browser; it works once\n\n  {shown.link()}\n")
                    say("Enter prints a new link; Ctrl-C stops it.")
                    await stop.wished.wait()
        except asyncio.CancelledError:
            if stop.number and not stop.is_ready:
                return 128 + stop.number
            raise
    return 0
