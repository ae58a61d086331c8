"""``pvbinder driver``: the local CSI driver as a process of its own.

DRIVERCOMMAND-1  It says that it is ready when it is, and stays until Ctrl-C or SIGTERM, which end it cleanly.
DRIVERCOMMAND-2  A mistake on the command line, or a root or socket that can't be used, ends it at once, with words.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.options import LogFormat
from pvbinder.cli.shared_options import log_options

if TYPE_CHECKING:
    from pvbinder.csi.local.options import LocalDriver

EPILOG = """\b
Examples:
  pvbinder driver --endpoint unix:///tmp/local.sock --root ~/volumes --node-id this-machine
  pvbinder driver --endpoint unix:///run/csi/csi.sock --root /srv/volumes --node-id node-1 --capacity 100Gi
"""


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.option(
    "--endpoint",
    required=True,
    metavar="ADDRESS",
    help="The socket to serve: unix:///path/of/csi.sock. It is for this user alone.",
)
@click.option(
    "--root",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The directory for the volumes: new, empty, or a driver's already. It becomes this user's alone.",
)
@click.option("--node-id", required=True, metavar="NAME", help="The name of this node: volumes can be used there only.")
@click.option(
    "--capacity",
    metavar="QUANTITY",
    show_default="what the file system has",
    help="How much all volumes and snapshots may have together, such as 100Gi.",
)
@click.option(
    "--publish",
    type=click.Choice(["auto", "mount", "link"]),
    default="auto",
    help="How volumes get into pods: by bind mounts, by symbolic links, or by mounts where that is allowed.",
)
@log_options
def driver(
    *,
    endpoint: str,
    root: Path,
    node_id: str,
    capacity: str | None,
    publish: Literal["auto", "mount", "link"],
    log_format: LogFormat,
    verbosity: int,
) -> int:
    """Serve a CSI driver whose volumes are directories on this machine.

    Volumes are directories below DIR, and sparse files where a block volume is asked for. It makes snapshots and
    clones, expands volumes, and has two parameters, which can also be changed later: readOnly ("true" or "false") and
    quotaBytes. It stays until Ctrl-C or SIGTERM; the volumes stay until DeleteVolume.
    """
    capacity_bytes = None if capacity is None else _bytes_of(capacity)
    from pvbinder import logs
    from pvbinder.cli import loops
    from pvbinder.csi.local.options import LocalDriver

    logs.configure(verbosity=verbosity, format=log_format)
    options = LocalDriver(endpoint, root.expanduser(), node_id, capacity_bytes, publish)
    return loops.run(_serve(options))


async def _serve(options: LocalDriver) -> int:
    from pvbinder import logs
    from pvbinder.cli.signals import listening
    from pvbinder.csi.driver import AddressError
    from pvbinder.csi.local.driver import local_driver
    from pvbinder.csi.local.root import RootError
    from pvbinder.csi.serving import SocketTaken

    log = logs.get(__name__)
    task = asyncio.current_task()
    assert task is not None
    with listening(task) as stop:
        try:
            async with local_driver(options):
                stop.is_ready = True
                log.info("driver is ready", endpoint=options.endpoint)
                await stop.wished.wait()
        except (AddressError, RootError, SocketTaken) as error:
            raise WrongUsageError(error.message, hint=error.hint) from error
    log.info("stopped")
    return 0


def _bytes_of(text: str) -> int:
    from pvbinder.model.quantity import QuantityError, parse_quantity

    hint = "write a number of bytes, or one with a unit: 500Mi, 100Gi"
    try:
        nano = parse_quantity(text).nano
    except QuantityError as error:
        raise WrongUsageError(f"--capacity is {text!r}: {error.message}", hint=hint) from error
    if nano < 10**9 or nano >= 2**63 * 10**9:
        raise WrongUsageError(f"--capacity is {text!r}: that is no size of a disk", hint=hint)
    return nano // 10**9
