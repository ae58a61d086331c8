"""The local driver of `pvbinder up`: started as a process when something needs it, and served like any other.

BUILTIN-1  There is no such process, and gRPC isn't even imported, before a claim waits for it, a volume or a snapshot's
           content is its, or its directory has volumes or snapshots from before; and never before the start of the
           process is over.
BUILTIN-2  A start that fails is said, and tried again later and later, and so is one whose process ends; nothing else
           stops for it.
BUILTIN-3  It doesn't touch what another driver of its name has made: one that is named with ``--csi-driver`` goes
           first, and while there are volumes that such a one made in an earlier run, it isn't started.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pvbinder import logs
from pvbinder.controllers.context import Controller, ControllerContext, HasQueues
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS
from pvbinder.csi.local.names import DRIVER_NAME
from pvbinder.csi.local.options import LocalDriver
from pvbinder.csi.local.process import driver_process
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.queue import QueueStatistics
from pvbinder.model.errors import PvbinderError
from pvbinder.model.names import BETA_STORAGE_PROVISIONER, STORAGE_PROVISIONER
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.snapshots import SnapshotContent

NAMED_SECONDS: Final = 5.0  # for drivers named by the user to say their names
FIRST_WAIT_SECONDS: Final = 1.0
WAIT_SECONDS_MAX: Final = 60.0
KEPT_IN: Final = ("volumes", "snapshots")  # folders of the root that hold more than the driver's own marks

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """Where the local driver keeps its volumes, which socket it serves, and the name of its node."""

    root: Path
    socket: Path
    node: str

    @property
    def address(self) -> str:
        """The address of the socket."""
        return f"unix://{self.socket}"

    def has_volumes(self) -> bool:
        """Tell whether an earlier run left volumes or snapshots; blocking."""
        for folder in KEPT_IN:
            try:
                if any((self.root / folder).iterdir()):
                    return True
            except OSError:
                continue
        return False


class HasEnd(Protocol):
    """A process that may end."""

    async def ended(self) -> str:
        """Wait for its end, and say how that came."""
        ...


class BuiltInDriver:
    """The local driver and what is done for it; `run()` it as a task that somebody owns."""

    def __init__(
        self,
        context: ControllerContext,
        place: LocalPlace,
        make_sidecar: Callable[[ControllerContext], Controller],
        drivers: NodeDrivers,
        *,
        open_driver: Callable[[LocalDriver], AbstractAsyncContextManager[HasEnd]] = driver_process,
    ) -> None:
        self._open_driver = open_driver
        self._context = context
        self._place = place
        self._make_sidecar = make_sidecar
        self._drivers = drivers
        self._claims = context.informers.of(CLAIMS)
        self._volumes = context.informers.of(VOLUMES)
        self._contents = context.informers.of(CONTENTS)
        self._serving: HasQueues | None = None

    @property
    def sidecar(self) -> object | None:
        """What serves it, once that runs: metrics ask there."""
        return self._serving

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queues of its sidecar, once that runs."""
        if self._serving is not None:
            yield from self._serving.queues()

    async def run(self) -> None:
        """Work until cancelled."""
        self._claims.add_handler(self._on_claim)
        self._volumes.add_handler(self._on_volume)
        self._contents.add_handler(self._on_content)
        if await asyncio.to_thread(self._place.has_volumes):
            self._drivers.reserve(DRIVER_NAME, f"the volumes in {self._place.root} are of a driver of that name")
            self._drivers.need(DRIVER_NAME)
        await self._drivers.wait_needed(DRIVER_NAME)  # BUILTIN-1
        await self._drivers.wait_named(NAMED_SECONDS)
        if self._drivers.is_served(DRIVER_NAME):
            log.info("local driver is not needed: another one is served as it", name=DRIVER_NAME)
            return
        why = self._why_not()
        if why is not None:
            log.warning("local driver is not started", why=why)
            self._drivers.say_trouble(DRIVER_NAME, why)
            return
        is_served = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_served(is_served), name="local driver's process")
            await is_served.wait()
            await self._serve()

    def _on_claim(self, change: Change[Claim]) -> None:
        claim = change.object
        if isinstance(change, Deleted) or claim.volume_name:
            return
        asked = claim.annotations.get(STORAGE_PROVISIONER) or claim.annotations.get(BETA_STORAGE_PROVISIONER)
        if asked == DRIVER_NAME:
            self._drivers.need(DRIVER_NAME)

    def _on_volume(self, change: Change[Volume]) -> None:
        if not isinstance(change, Deleted) and _is_ours(change.object):
            self._drivers.need(DRIVER_NAME)

    def _on_content(self, change: Change[SnapshotContent]) -> None:
        if not isinstance(change, Deleted) and change.object.driver == DRIVER_NAME:
            self._drivers.need(DRIVER_NAME)

    def _why_not(self) -> str | None:
        """Say why the driver may not be started (BUILTIN-3)."""
        other = self._drivers.addresses.get(DRIVER_NAME)
        if other is not None and any(_is_ours(volume) for volume in self._volumes):
            return f"there are volumes of the driver at {other}, which has its name: start with --csi-driver {other}"
        return None

    async def _keep_served(self, is_served: asyncio.Event) -> None:
        """Have the driver's process started, and started again when it ends (BUILTIN-2)."""
        loop, wait_seconds = asyncio.get_running_loop(), FIRST_WAIT_SECONDS
        while True:
            try:
                async with self._process() as process:
                    self._drivers.say_trouble(DRIVER_NAME, None)
                    is_served.set()
                    since = loop.time()
                    how = await process.ended()
                    log.error("local driver has ended", how=how, again_in_seconds=wait_seconds)
                    if loop.time() - since > WAIT_SECONDS_MAX:
                        wait_seconds = FIRST_WAIT_SECONDS
            except (PvbinderError, OSError, ImportError) as error:
                hint = {"hint": error.hint} if isinstance(error, PvbinderError) and error.hint else {}
                self._drivers.say_trouble(DRIVER_NAME, f"the local driver can't start: {error}")
                log.error("local driver can't start", err=str(error), **hint, again_in_seconds=wait_seconds)
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, WAIT_SECONDS_MAX)

    @asynccontextmanager
    async def _process(self) -> AsyncGenerator[HasEnd]:
        """Give a process that serves the driver; raise PvbinderError, OSError or ImportError if that can't be."""
        place = self._place
        await asyncio.to_thread(place.socket.parent.mkdir, mode=0o700, exist_ok=True)
        importing = asyncio.ensure_future(asyncio.to_thread(_import))  # while the process does the same
        try:
            async with self._open_driver(LocalDriver(place.address, place.root, place.node)) as process:
                await importing
                log.info("local driver started", root=str(place.root))
                yield process
        finally:
            await asyncio.wait([importing])

    async def _serve(self) -> None:
        """Do all that is done for a driver, while its process comes and goes."""
        from pvbinder.controllers.csi.served_driver import ServedDriver

        sidecar = self._make_sidecar(self._context)
        self._serving = serving = ServedDriver(self._place.address, sidecar, self._drivers, is_own=True)
        await serving.run()


def _import() -> None:
    """Import what takes time, in a thread: the loop goes on meanwhile."""
    import pvbinder.controllers.csi.sidecar  # noqa: F401


def _is_ours(volume: Volume) -> bool:
    return volume.csi is not None and volume.csi.driver == DRIVER_NAME
