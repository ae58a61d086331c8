"""One driver and all that is done for it: what runs in a sidecar beside it, and in `pvbinder up` for each driver named.

SIDECAR-1  A driver that isn't there yet is waited for; the other controllers run meanwhile.
SIDECAR-2  A driver that answers nonsense, has a name that is none, or says for good that it can't work, ends nothing
           but its own part: it is asked again, later and later.
SIDECAR-3  With an election each role is taken up only while no other sidecar has it, be it one of ours or the
           reference's; when one is lost, neither server nor driver are asked for anything that changes, and the reason
           is raised.

What is done for it are the roles (`roles`).
"""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import structs

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.driver_info import DriverInfo, DriverNameError, ask_driver
from pvbinder.controllers.csi.measures import CapacityStatistics, CsiMeasures, HasCapacities
from pvbinder.controllers.csi.options import SidecarOptions
from pvbinder.controllers.csi.roles import ROLES, RoleContext, RolePart, SidecarRole, choose_roles
from pvbinder.csi.driver import Driver, ProbeFailed
from pvbinder.csi.errors import CallFailed
from pvbinder.kube.election import Election, lease_name
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.queue import QueueStatistics

FIRST_WAIT_SECONDS: Final = 1.0
WAIT_SECONDS_MAX: Final = 60.0
PATIENCE_SECONDS: Final = 10.0  # with caches that don't fill, before the lead is asked for all the same

log = logs.get(__name__)


class CsiSidecar:
    """Everything for one driver; `run()` it as a task that somebody owns, with the informers beside it."""

    def __init__(
        self,
        context: ControllerContext,
        address: str,
        options: SidecarOptions | None = None,
        *,
        open_driver: Callable[..., Driver] = Driver,
    ) -> None:
        """Name the driver's socket; raises AddressError, or UnknownRoleError."""
        self._context = context
        self._options = options or SidecarOptions()
        self._roles = choose_roles(self._options.roles) if self._options.roles else ROLES
        self.csi_measures = CsiMeasures()
        self._driver = open_driver(
            address,
            timeout_seconds=self._options.timeout_seconds,
            observe=self.csi_measures.called,
            forbidden=context.fence.trouble,
        )
        self._parts: list[RolePart] = []
        self._elections: list[Election] = []
        self.info: DriverInfo | None = None
        context.informers.of(CLAIMS)  # every role's: they fill while the driver is waited for
        context.informers.of(VOLUMES)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queues of all roles."""
        for part in self._parts:
            yield from part.queues()

    def capacities(self) -> Iterator[CapacityStatistics]:
        """The state of CSIStorageCapacity objects, where they are kept."""
        for part in self._parts:
            if isinstance(part, HasCapacities):
                yield part.capacity_statistics()

    def elections(self) -> Iterator[Election]:
        """Those of all roles."""
        return iter(self._elections)

    async def run(self) -> None:
        """Work until cancelled (SIDECAR-1, SIDECAR-2)."""
        async with self._driver as driver:
            self.info = info = await self._ask(driver)
            self.csi_measures.driver = info.name
            log.info("driver is ready", driver=info.name, address=driver.address)
            component = f"{info.name}_{socket.gethostname()}_{uuid.uuid4()}"
            async with asyncio.TaskGroup() as group:
                for role in self._roles:
                    if role.is_of_use(info.abilities):
                        group.create_task(
                            self._take_up(role, driver, info, component), name=f"{role.name} of {info.name}"
                        )
                    else:
                        log.info("role left out: the driver has no use for it", role=role.name, driver=info.name)

    async def _take_up(self, role: SidecarRole, driver: Driver, info: DriverInfo, component: str) -> None:
        """Do the work of a role, when and as long as it is ours (SIDECAR-3)."""
        ours = self._context
        context = ControllerContext(ours.client, ours.informers, ours.options, fence=ours.fence)
        here = RoleContext(context, driver, info, self._options, component, self.csi_measures)

        async def work() -> None:
            parts = role.make(here)
            self._parts += parts
            async with asyncio.TaskGroup() as group:
                for recorder in context.recorders:
                    group.create_task(recorder.run(), name=f"events of {recorder.component}")
                for part in parts:
                    group.create_task(part.run(), name=f"{type(part).__name__} of {info.name}")

        if self._options.election is None:
            await work()
            return
        await self._fill(role, here)
        recorder = ours.make_recorder(ours.client, f"{info.name}/{component}")
        name = lease_name(role.lease.format(info.name))
        election = Election(ours.client, name, self._options.election, recorder=recorder)
        self._elections.append(election)
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(recorder.run(), name=f"events of {name}")
            await ours.fence.run(election, work)
            telling.cancel()

    async def _fill(self, role: SidecarRole, here: RoleContext) -> None:
        """Have the role's caches full before its lead is asked for, but don't wait for ever (ROLE-4)."""
        informers = [here.context.informers.of(kind) for kind in role.warms(here)]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for informer in informers:
                    await informer.wait_synced()
        except TimeoutError:
            missing = ",".join(one.kind.resource.qualified for one in informers if not one.has_synced)
            log.warning("caches are not filled yet", role=role.name, resources=missing)
        else:
            log.info("standing by: caches are filled", role=role.name, driver=here.info.name)

    async def _ask(self, driver: Driver) -> DriverInfo:
        wait_seconds = FIRST_WAIT_SECONDS
        while True:
            try:
                info = await ask_driver(driver, about_node=self._options.provisioner.node_deployment)
                if self._options.topology:
                    return info
                return structs.replace(info, abilities=structs.replace(info.abilities, topology=False))
            except (CallFailed, ProbeFailed, DriverNameError) as error:
                log.error("driver can't be used", address=driver.address, err=str(error), again_in_seconds=wait_seconds)
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(2 * wait_seconds, WAIT_SECONDS_MAX)
