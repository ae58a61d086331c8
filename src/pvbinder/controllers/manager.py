"""Starts the chosen controllers over one line to an API server, and stops them.

MANAGER-1  One list and one watch a kind, however many controllers look at it.
MANAGER-2  `wait_ready` returns when all caches are filled and all controllers run.
MANAGER-3  Stopping goes from the top: controllers first, then what they still had to tell is written (for a second at
           most), then the watches end.
MANAGER-4  A controller that breaks breaks the manager: everything stops, and the reason is raised.
MANAGER-5  Each controller writes as its own user, if the caller can give it a line as that user.
MANAGER-6  With a `fence`, no controller writes once an election behind it is lost.
MANAGER-7  With a `pace`, all requests of all controllers together keep to it.
MANAGER-8  With a `lead`, controllers run inside it only. Before, the caches are filled all the same, and nothing else
           is done or kept: who takes over begins with what is there, and needn't list anything. The lead is left to
           others until the caches are full, for `PATIENCE_SECONDS` at most.
MANAGER-9  `hand_over()` finishes what is in work and begins nothing new, for as long as `HANDOVER_SECONDS`.
MANAGER-10  With a `gate`, all writes of all controllers pass it (`kube.write_gate`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias

from pvbinder import logs
from pvbinder.controllers.context import (
    Controller,
    ControllerContext,
    Credentials,
    HandsOver,
    HasElections,
    HasQueues,
    wall_clock,
)
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration, choose_controllers
from pvbinder.kube.client import Client, ClientStatistics, KubernetesObject
from pvbinder.kube.election import Election, Fence, Fenced
from pvbinder.kube.events import EventRecorder, RecorderStatistics
from pvbinder.kube.informer import Informer, InformerStatistics
from pvbinder.kube.informers import Informers
from pvbinder.kube.pacing import PacedLine
from pvbinder.kube.queue import QueueStatistics, TokenBucket
from pvbinder.kube.transport import Transport
from pvbinder.kube.write_gate import WriteGate, WriteGateStatistics
from pvbinder.model.resources import Resource

LAST_EVENTS_SECONDS: Final = 1.0
HANDOVER_SECONDS: Final = 10.0  # a pod that is stopped has 30, and needs some for its last events and its lease
PATIENCE_SECONDS: Final = 10.0  # with caches that don't fill, before we say so

Duty: TypeAlias = Callable[[], Awaitable[None]]
Lead: TypeAlias = Callable[[Duty], Awaitable[None]]  # does the work when, and as long as, it may be done

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class ManagerStatistics:
    """The state of all that runs."""

    controllers: tuple[str, ...]
    requests: Mapping[str, ClientStatistics]  # by user; "" are the lists and watches
    informers: Mapping[str, InformerStatistics]  # by resource
    queues: Mapping[str, QueueStatistics]
    recorders: Mapping[str, RecorderStatistics]  # by component
    gate: WriteGateStatistics | None = None


class Manager:
    """The controllers of one process; construct it, then `run()` it as a task that somebody owns."""

    def __init__(
        self,
        transport: Transport,
        options: ControllerOptions | None = None,
        *,
        transport_as: Callable[[str], Transport] | None = None,
        served: tuple[Resource, ...] = (),
        known: tuple[ControllerDeclaration, ...] = CONTROLLERS,
        credentials: Credentials | None = None,
        fence: Fence | None = None,
        gate: WriteGate | None = None,
        now: Callable[[], datetime] = wall_clock,
        pace: TokenBucket | None = None,
        lead: Lead | None = None,
        streams: bool = False,
    ) -> None:
        """`transport_as` gives a line as a controller's user (MANAGER-5, `users.user_of`); `now` is their clock.

        `lead` does the work of all controllers when it may be done (MANAGER-8). With `streams` the first lists come as
        the beginnings of watches (INFORMER-17).
        """
        self.options = options or ControllerOptions()
        self._gate = gate
        behind = fence or Fence()

        def paced(line: Transport) -> Transport:
            return PacedLine(line, pace) if pace is not None else line

        def line(user: str) -> Transport:
            own = transport_as(user) if transport_as is not None else transport
            own = Fenced(own, fence) if fence is not None else own
            return paced(gate.before(own) if gate is not None else own)

        shared = Client(paced(transport))
        self.informers = Informers(shared, streams=streams)
        self._lead = lead
        if lead is not None:
            self.informers.hold()
        self._clients = {"": shared}
        self._controllers: dict[str, Controller] = {}
        self._recorders: list[EventRecorder] = []
        self._ready = asyncio.Event()
        also_kept: dict[Resource, Informer[KubernetesObject]] = {}
        for declaration in choose_controllers(self.options.controllers, known):
            if declaration.gate is not None and not self.options.feature_gates.is_on(declaration.gate):
                log.info("controller left out", controller=declaration.name, gate=declaration.gate.name)
                continue
            if declaration.needs_credentials and credentials is None:
                log.info("controller left out: only beside its own API server", controller=declaration.name)
                continue
            client = self._clients.get(declaration.user)
            if client is None:
                client = Client(line(declaration.user))
                self._clients[declaration.user] = client
            context = ControllerContext(
                client,
                self.informers,
                self.options,
                served,
                also_kept=also_kept,
                credentials=credentials,
                fence=behind,
                make_recorder=partial(EventRecorder, now=now),
                now=now,
            )
            self._controllers[declaration.name] = declaration.make(context)
            self._recorders += context.recorders

    @property
    def controllers(self) -> Mapping[str, Controller]:
        """The controllers by name."""
        return self._controllers

    async def run(self) -> None:
        """Run everything until cancelled (MANAGER-3, MANAGER-4)."""
        async with asyncio.TaskGroup() as lines:
            below = [lines.create_task(self.informers.run(), name="informers")]
            below += [lines.create_task(r.run(), name=f"events of {r.component}") for r in self._recorders]
            try:
                if self._lead is None:
                    await self._control()
                else:
                    await self._fill()
                    await self._lead(self._control)
            finally:
                await self._write_last_events()
                for task in below:
                    task.cancel()
                log.info("controllers stopped")

    async def _fill(self) -> None:
        """Wait for the caches, but not for ever: what they can't have, others may be without, too."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.informers.wait_synced()
        except TimeoutError:
            log.warning("caches are not filled yet", resources=",".join(self.unfilled))
        else:
            log.info("standing by: caches are filled")

    async def _control(self) -> None:
        """Run the controllers until cancelled."""
        if self._lead is not None:
            await self.informers.let_go()
        try:
            async with asyncio.TaskGroup() as group:
                for name, controller in self._controllers.items():
                    group.create_task(controller.run(), name=name)
                await self._wait_synced()
                self._ready.set()
                log.info("controllers started", controllers=",".join(self._controllers))
                await asyncio.Event().wait()
        finally:
            self._ready.clear()

    async def hand_over(self) -> None:
        """Finish what is in work, and begin nothing new (MANAGER-9); then `run()` can be cancelled."""
        handover = self.informers.history.handover
        handover.begin()
        try:
            async with asyncio.timeout(HANDOVER_SECONDS), asyncio.TaskGroup() as group:
                group.create_task(handover.wait_still())
                for controller in self._controllers.values():
                    if isinstance(controller, HandsOver):
                        group.create_task(controller.hand_over())
        except TimeoutError:
            log.warning("work that takes too long is cut short", keys=handover.in_work)

    async def _wait_synced(self) -> None:
        """Wait for the caches, and say now and then which ones keep us waiting."""
        while True:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self.informers.wait_synced()
                    return
            except TimeoutError:
                log.warning("caches are not filled yet", resources=",".join(self.unfilled))

    @property
    def unfilled(self) -> list[str]:
        """The resources whose caches are not filled yet."""
        return [i.kind.resource.qualified for i in self.informers if not i.has_synced]

    @property
    def is_ready(self) -> bool:
        """Whether all caches are filled and all controllers run (MANAGER-2)."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Wait until all caches are filled and all controllers run (MANAGER-2)."""
        await self._ready.wait()

    def statistics(self) -> ManagerStatistics:
        """The state of all that runs."""
        return ManagerStatistics(
            controllers=tuple(self._controllers),
            requests={user: client.statistics() for user, client in self._clients.items()},
            informers=self.informers.statistics(),
            queues={queue.name: queue for queue in self._queues()},
            recorders={recorder.component: recorder.statistics() for recorder in self._recorders},
            gate=self._gate.statistics() if self._gate is not None else None,
        )

    @property
    def is_idle(self) -> bool:
        """Tell whether no controller has anything to do now; what it waits for doesn't count."""
        return all(queue.is_idle for queue in self._queues())

    def elections(self) -> Iterator[Election]:
        """Those that controllers take part in."""
        for controller in self._controllers.values():
            if isinstance(controller, HasElections):
                yield from controller.elections()

    def _queues(self) -> Iterator[QueueStatistics]:
        for controller in self._controllers.values():
            if isinstance(controller, HasQueues):
                yield from controller.queues()

    async def _write_last_events(self) -> None:
        try:
            async with asyncio.timeout(LAST_EVENTS_SECONDS):
                for recorder in self._recorders:
                    await recorder.wait_written()
        except TimeoutError:
            log.warning("events lost: the server did not take them in time")
