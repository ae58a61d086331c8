"""One driver of `pvbinder up`: its part on the nodes that we play, and its sidecar once that is registered.

SERVED-1  A driver that isn't there, answers nonsense or has a name that is taken is said, and asked again later and
          later; nothing else stops for it.
SERVED-2  The sidecar begins when the driver's nodes are registered: no claim is refused because a CSINode is missing.
SERVED-3  A driver without a part on nodes is provisioned through all the same.
SERVED-4  The queues of each driver bear its name: two drivers never count as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import Controller, HasQueues
from pvbinder.controllers.csi.driver_info import DriverNameError, ask_name
from pvbinder.controllers.csi.node_driver import CALL_SECONDS, NodeDriver, ask_node_driver
from pvbinder.controllers.csi.node_drivers import NameTakenError, NodeDrivers
from pvbinder.csi.driver import Driver, ProbeFailed
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.kube.queue import QueueStatistics

FIRST_WAIT_SECONDS: Final = 1.0
WAIT_SECONDS_MAX: Final = 60.0

log = logs.get(__name__)


class ServedDriver:
    """A driver at a socket and what we do for it; `run()` it as a task that somebody owns."""

    def __init__(self, address: str, sidecar: Controller, drivers: NodeDrivers, *, is_own: bool = False) -> None:
        """Name the driver's socket; raises AddressError. `is_own` is the driver that this process has itself."""
        self._driver = Driver(address, timeout_seconds=CALL_SECONDS)
        self._address = "" if is_own else address
        self._drivers = drivers
        self.sidecar = sidecar
        self.name = ""

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queues of its sidecar (SERVED-4)."""
        if isinstance(self.sidecar, HasQueues):
            for queue in self.sidecar.queues():
                yield replace(queue, name=f"{self.name} {queue.name}")

    async def run(self) -> None:
        """Work until cancelled."""
        wait_seconds = FIRST_WAIT_SECONDS
        async with self._driver as driver:
            while True:
                try:
                    await self._serve(driver)
                except (CallFailed, ProbeFailed, DriverNameError, NameTakenError) as error:
                    log.error(
                        "driver can't be used", address=driver.address, err=str(error), again_in_seconds=wait_seconds
                    )
                    await asyncio.sleep(wait_seconds)
                    wait_seconds = min(2 * wait_seconds, WAIT_SECONDS_MAX)

    async def _serve(self, driver: Driver) -> None:
        """Serve a driver once it is there; raise what `run` says before anything begins."""
        await driver.wait_ready()
        self.name = await ask_name(driver)
        async with self._drivers.serving(self.name, self._address):
            on_nodes = await self._ask(driver)
            if on_nodes is not None:
                await self._drivers.put(on_nodes)
            await self.sidecar.run()

    async def _ask(self, driver: Driver) -> NodeDriver | None:
        """Ask for the driver's part on nodes; None if it has none (SERVED-3)."""
        try:
            found = await ask_node_driver(driver, self.name)
        except CallFailed as failed:
            if failed.code is Code.UNIMPLEMENTED:
                log.info("driver has no part on nodes", driver=self.name, address=driver.address)
                return None
            raise
        if not found.info.node_id:
            log.warning("driver says no node id: it isn't registered", driver=self.name, address=driver.address)
            return None
        return found
