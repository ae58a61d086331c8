"""One driver and all that is done for it: what runs in a sidecar beside it, and in `pvbinder up` for each driver named.

SIDECAR-1  A driver that isn't there yet is waited for; the other controllers run meanwhile.
SIDECAR-2  A driver that answers nonsense, or says for good that it can't work, ends nothing but its own part: it is
           asked again, later and later.
"""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from pvbinder import logs
from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.deleter import ATTACHMENTS, CsiDeleter
from pvbinder.controllers.csi.driver_info import DriverInfo, NamelessDriverError, ask_driver
from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.controllers.csi.places import CSI_NODE_VIEWS
from pvbinder.controllers.csi.provisioner import CsiProvisioner
from pvbinder.controllers.csi.source_protection import SourceProtection
from pvbinder.csi.driver import Driver, Observe, ProbeFailed
from pvbinder.csi.errors import CallFailed
from pvbinder.kube.kinds import CLAIMS, NODES, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.queue import QueueStatistics

FIRST_WAIT_SECONDS: Final = 1.0
WAIT_SECONDS_MAX: Final = 60.0

log = logs.get(__name__)


class _Role(Controller, Protocol):
    def queues(self) -> Iterator[QueueStatistics]: ...


class CsiSidecar:
    """Everything for one driver; `run()` it as a task that somebody owns, with the informers beside it."""

    def __init__(
        self,
        context: ControllerContext,
        address: str,
        options: ProvisionerOptions | None = None,
        *,
        observe: Observe = lambda *_: None,
        open_driver: Callable[..., Driver] = Driver,
    ) -> None:
        """Name the driver's socket; raises AddressError."""
        self._context = context
        self._options = options or ProvisionerOptions()
        self._driver = open_driver(address, timeout_seconds=self._options.timeout_seconds, observe=observe)
        self._roles: list[_Role] = []
        self.info: DriverInfo | None = None
        informers = context.informers  # all that a role may want, before they run
        informers.of(CLAIMS)
        informers.of(STORAGE_CLASSES)
        informers.of(VOLUMES)
        informers.of(NODES)
        informers.of(CSI_NODE_VIEWS)
        informers.of(ATTACHMENTS)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queues of all roles."""
        for role in self._roles:
            yield from role.queues()

    async def run(self) -> None:
        """Work until cancelled (SIDECAR-1, SIDECAR-2)."""
        async with self._driver as driver:
            self.info = info = await self._ask(driver)
            log.info("driver is ready", driver=info.name, address=driver.address)
            component = f"{info.name}_{socket.gethostname()}_{uuid.uuid4()}"
            context = ControllerContext(self._context.client, self._context.informers, self._context.options)
            self._roles = [
                CsiProvisioner(context, driver, info, self._options, component=component),
                CsiDeleter(context, driver, info, self._options, component=component),
            ]
            if info.abilities.clone_volume or info.abilities.create_delete_snapshot:
                self._roles.append(SourceProtection(context, self._options))
            async with asyncio.TaskGroup() as group:
                for recorder in context.recorders:
                    group.create_task(recorder.run(), name=f"events of {recorder.component}")
                for role in self._roles:
                    group.create_task(role.run(), name=f"{type(role).__name__} of {info.name}")

    async def _ask(self, driver: Driver) -> DriverInfo:
        wait_seconds = FIRST_WAIT_SECONDS
        while True:
            try:
                return await ask_driver(driver)
            except (CallFailed, ProbeFailed, NamelessDriverError) as error:
                log.error("driver can't be used", address=driver.address, err=str(error), again_in_seconds=wait_seconds)
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(2 * wait_seconds, WAIT_SECONDS_MAX)
