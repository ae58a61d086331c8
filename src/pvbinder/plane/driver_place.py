"""What the drivers of `pvbinder up` have in its data directory.

    csi/local/         the root of the local driver
    csi/local.sock     its socket
    csi/drivers.json   where the drivers of other processes were, by name

PLACE-1  The socket's path is short enough for a socket, wherever the data directory is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from pvbinder import logs
from pvbinder.controllers.csi.built_in import LocalPlace
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.csi.local.names import DRIVER_NAME
from pvbinder.plane.starter import NODE
from pvbinder.server.files.private_files import PrivateFileError, read_secret, write_private
from pvbinder.server.files.scratch import scratch_directory

FOLDER: Final = "csi"
ROOT: Final = "local"
SOCKET: Final = "local.sock"
NAMES: Final = "drivers.json"
SOCKET_BYTES_MAX: Final = 107  # of the path of a unix socket

log = logs.get(__name__)


@contextmanager
def local_place(data_dir: Path) -> Iterator[LocalPlace]:
    """Give the place of the local driver in `data_dir` (PLACE-1)."""
    root = data_dir / FOLDER / ROOT
    socket = data_dir / FOLDER / SOCKET
    if len(str(socket).encode()) <= SOCKET_BYTES_MAX:
        yield LocalPlace(root, socket, NODE)
        return
    with scratch_directory() as directory:
        yield LocalPlace(root, directory / SOCKET, NODE)


def node_drivers(data_dir: Path, named: tuple[str, ...], *, has_local: bool) -> NodeDrivers:
    """Return the drivers that will be served: those at the addresses `named`, and the local one."""
    file = data_dir / FOLDER / NAMES
    addresses = _read(file)
    drivers = NodeDrivers(addresses, _rememberer(file), named=len(named))
    for name, address in addresses.items():
        if address in named:
            drivers.expect(name)
    if has_local:
        drivers.expect(DRIVER_NAME)
    drivers.gone = frozenset(name for name in addresses if not drivers.serves(name))
    return drivers


def _read(file: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(read_secret(file), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (PrivateFileError, OSError, msgspec.DecodeError) as error:
        log.warning("names of earlier drivers can't be read", path=str(file), err=str(error))
        return {}


def _rememberer(file: Path) -> Callable[[Mapping[str, str]], Awaitable[None]]:
    async def remember(addresses: Mapping[str, str]) -> None:
        try:
            await asyncio.to_thread(write_private, file, msgspec.json.encode(addresses))
        except PrivateFileError as error:
            log.warning("names of drivers can't be kept", err=error.message)

    return remember
