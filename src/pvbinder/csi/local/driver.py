"""The driver put together: served on a socket while the context is open.

LOCALDRIVER-1  It is served only when all that is on the disk was read, and everything half-made is gone.
LOCALDRIVER-2  When it stops, calls under way get a moment; copies that take longer are given up, and leave nothing.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from pvbinder import logs
from pvbinder.csi.driver import socket_of
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.controller import ControllerService
from pvbinder.csi.local.identity import IdentityService
from pvbinder.csi.local.node import NodeService
from pvbinder.csi.local.options import LocalDriver
from pvbinder.csi.local.pool import Pool
from pvbinder.csi.local.publications import Publications
from pvbinder.csi.local.publishing import Publisher
from pvbinder.csi.local.records import Shelf, StoredSnapshot, StoredVolume
from pvbinder.csi.local.root import Root, RootError, opened_root
from pvbinder.csi.local.snapshot_service import SnapshotService
from pvbinder.csi.local.snapshots import Snapshots
from pvbinder.csi.local.volumes import Volumes
from pvbinder.csi.local.walking import Going
from pvbinder.csi.local.work import Work, working
from pvbinder.csi.serving import Handlers, serving

NODE_NAME: Final = re.compile("[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")

log = logs.get(__name__)


@asynccontextmanager
async def local_driver(options: LocalDriver) -> AsyncGenerator[None]:
    """Serve the driver; raises RootError, AddressError, SocketTaken or OSError."""
    if NODE_NAME.fullmatch(options.node) is None:
        raise RootError(
            f"{options.node!r} can't be the name of a node",
            hint="it has 1 to 63 letters, digits, '.', '_' or '-', and begins and ends with a letter or digit",
        )
    socket_of(options.endpoint)
    stopping = threading.Event()

    def going() -> None:
        if stopping.is_set():
            raise CallFailed(Code.UNAVAILABLE, "the driver is stopping: try again")

    opened = opened_root(options.root, node=options.node)
    async with AsyncExitStack() as stack:
        root = await asyncio.to_thread(opened.__enter__)
        stack.push_async_callback(asyncio.to_thread, opened.__exit__, None, None, None)
        work = await stack.enter_async_context(working())
        stack.callback(stopping.set)
        handlers = await asyncio.to_thread(_handlers, options, root, work, going)
        await stack.enter_async_context(serving(options.endpoint, handlers))
        yield


def _handlers(options: LocalDriver, root: Root, work: Work, going: Going) -> Handlers:
    """Read what is on the disk, and return the methods that answer for it (LOCALDRIVER-1)."""
    volume_shelf = Shelf(root, StoredVolume, "volume")
    snapshot_shelf = Shelf(root, StoredSnapshot, "snapshot")
    pool = Pool(root, options.capacity_bytes)
    try:
        publisher = Publisher(root, options.how)
    except OSError as error:
        raise RootError(
            f"the driver may not mount: {error.strerror}", hint="run it as root, or with --publish link"
        ) from error
    volumes = Volumes(volume_shelf, snapshot_shelf, pool, publisher, going)
    snapshots = Snapshots(snapshot_shelf, volume_shelf, pool, going)
    places = Publications(volume_shelf, volumes, publisher)
    volumes.settle()
    log.info(
        "driver has read its root",
        root=str(root.path),
        node=options.node,
        volumes=len(volume_shelf.all()),
        snapshots=len(snapshot_shelf.all()),
        publishes_by=publisher.by,
    )
    return {
        **IdentityService(root, work).handlers(),
        **ControllerService(volume_shelf, volumes, pool, work, options.node).handlers(),
        **SnapshotService(snapshot_shelf, snapshots, work).handlers(),
        **NodeService(volume_shelf, volumes, places, work, options.node).handlers(),
    }
