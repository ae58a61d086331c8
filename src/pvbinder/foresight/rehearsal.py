"""A copy of a cluster that lives: the API server and the controllers of `pvbinder up`, in memory, on virtual time.

REHEARSAL-1  No socket is opened, no file is written, no plugin is called, and no webhook asked.
REHEARSAL-2  What decides is what decides in `pvbinder up`: the same server, the same controllers, the same scheduler
             and kubelet in small; only storage has stand-ins (`plugins`, `stand_in`).
REHEARSAL-3  An object that can't be loaded is left out, by name and with the reason; the rest is there.
REHEARSAL-4  `settle` returns when nothing was written for longer than any loop waits between two looks (the binder's
             sync period), or after `SETTLE_SECONDS_MAX` of virtual time.

`run_rehearsal` is the way in: it makes the loop that all of this needs. Nothing here may be awaited on another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from pvbinder import logs
from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration, with_small_cluster
from pvbinder.foresight.plugins import harmless_plugins
from pvbinder.foresight.preparing import Prepared
from pvbinder.foresight.stand_in import StandIn
from pvbinder.insight.manifests import USED
from pvbinder.insight.snapshot import Snapshot
from pvbinder.kube.client import Client
from pvbinder.kube.discovery import Served, discover
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.model import names
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, decode
from pvbinder.rules.settings import DEFAULTS
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo
from pvbinder.virtual_time import VirtualClock, VirtualTimeLoop
from pvbinder.volumes.catalogue import Catalogue

USER: Final = UserInfo("kubernetes-admin", groups=("system:masters", "system:authenticated"))
READER: Final = UserInfo("system:kube-controller-manager", groups=("system:authenticated",))
QUIET_SECONDS: Final = 16.0  # virtual; the binder looks at everything each 15 s
SETTLE_SECONDS_MAX: Final = 900.0  # virtual
LOOK_SECONDS: Final = 1.0  # virtual
ALSO_ON: Final = frozenset(
    {"node-lifecycle-controller", "taint-eviction-controller", "pod-garbage-collector-controller"}
)
OFF: Final = frozenset(
    {
        "serviceaccount-controller",
        "clusterrole-aggregation-controller",
        "serviceaccount-token-controller",
        "root-ca-certificate-publisher-controller",
    }
)
STAND_IN: Final = "stand-in"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A change that a controller made, `at` so many virtual seconds after the start; `fields` as in its log line."""

    at: float
    message: str
    fields: dict[str, str]


@dataclass(slots=True)
class _Line:
    """A line to the server that remembers when something was last written through it."""

    to: Transport
    wrote: Callable[[], None]

    async def send(self, request: Request) -> Answer:
        answer = await self.to.send(request)
        if request.method != "GET" and answer.status < 300 and "/events" not in request.path:
            self.wrote()
        return answer

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.to.watch(request)


@dataclass(slots=True)
class Rehearsal:
    """The living copy, for who does something to it and looks at what comes of it."""

    server: EmbeddedServer
    client: Client
    clock: VirtualClock
    catalogue: Catalogue
    served: tuple[Served, ...]
    left_out: list[str]  # why objects couldn't be loaded
    occurrences: list[Occurrence]
    at_first: list[Json] = field(default_factory=list)  # the objects before any controller saw them
    last_write: float = 0.0
    has_settled: bool = True
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return self._loop.time()

    def wrote(self) -> None:
        """Remember that something was written just now."""
        self.last_write = self.now

    async def settle(self) -> None:
        """Let virtual time pass until nothing changes any more (REHEARSAL-4)."""
        began = self.now
        self.last_write = max(self.last_write, began)
        while self.now - self.last_write < QUIET_SECONDS:
            if self.now - began > SETTLE_SECONDS_MAX:
                self.has_settled = False
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    def documents(self, kinds: Iterable[str] = USED) -> list[Json]:
        """Return the objects of `kinds` as they are now."""
        wanted = set(kinds)
        stored = (one.resource.qualified for one in self.served if one.resource.kind in wanted)
        objects = self.server.store
        return [decode(found.data) for name in dict.fromkeys(stored) for _, found in objects.objects(name)]

    def snapshot(self) -> Snapshot:
        """Return the objects as explanations and findings want to see them."""
        return Snapshot(self.documents(), plugins=self.catalogue, settings=DEFAULTS, known=USED, moment=self.clock())


def run_rehearsal(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` on a loop of its own whose waiting takes no time; an error of ours comes out as it was raised."""
    try:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(main())
    except BaseExceptionGroup as group:
        alone = _alone_in(group)
        if alone is None:
            raise
        raise alone from None


def _alone_in(group: BaseExceptionGroup[BaseException]) -> PvbinderError | None:
    """Return the one error that `group` consists of, if it is one of ours: task groups wrap what their owner raises."""
    if len(group.exceptions) != 1:
        return None
    match group.exceptions[0]:
        case BaseExceptionGroup() as inner:
            return _alone_in(inner)
        case PvbinderError() as error:
            return error
        case _:
            return None


@asynccontextmanager
async def rehearsal(
    prepared: Prepared, options: ControllerOptions | None = None, *, controllers: bool = True
) -> AsyncGenerator[Rehearsal]:
    """Bring the copy to life; without `controllers` it only serves."""
    flags = options or ControllerOptions()
    loop = asyncio.get_running_loop()
    clock = VirtualClock(prepared.moment, loop)
    catalogue = harmless_plugins(provisioning=flags.enable_hostpath_provisioner)
    left_out: list[str] = []
    server = EmbeddedServer(
        listen=False,
        in_memory=True,
        authorization="AlwaysAllow",
        load=prepared.documents,
        on_unfit=left_out.append,
        now=clock,
    )
    occurrences: list[Occurrence] = []
    with logs.heard(lambda line: _note(occurrences, loop.time(), line)):
        async with server, asyncio.TaskGroup() as group:
            user = InProcessTransport(server.dispatcher, USER)
            served = (await discover(Client(user))).kinds
            copy = Rehearsal(server, Client(user), clock, catalogue, served, left_out, occurrences)
            copy.client = Client(_Line(user, copy.wrote))
            copy.at_first = copy.documents()
            if not controllers:
                yield copy
                return
            manager = Manager(
                _Line(InProcessTransport(server.dispatcher, READER), copy.wrote),
                flags,
                known=_declarations(catalogue, prepared),
                transport_as=lambda name: _Line(InProcessTransport(server.dispatcher, _user_of(name)), copy.wrote),
                served=tuple(one.resource for one in served),
                now=clock,
            )
            running = group.create_task(manager.run(), name="controllers")
            await manager.wait_ready()
            try:
                yield copy
            finally:
                running.cancel()


def _note(occurrences: list[Occurrence], at: float, line: logs.Line) -> None:
    """Keep a line about an object, with the virtual time."""
    if any(key in line.fields for key in ("pvc", "pv", "pod", "node", "rule")):
        fields = {key: str(value) for key, value in line.fields.items()}
        occurrences.append(Occurrence(at, line.message, fields))


def _user_of(name: str) -> UserInfo:
    if name.startswith("system:"):
        return UserInfo(name, groups=("system:authenticated",))
    return UserInfo(
        f"system:serviceaccount:kube-system:{name}", groups=("system:serviceaccounts", "system:authenticated")
    )


def _declarations(catalogue: Catalogue, prepared: Prepared) -> tuple[ControllerDeclaration, ...]:
    """Return the controllers of the copy (REHEARSAL-2)."""

    def binder(context: ControllerContext) -> Controller:
        from pvbinder.controllers.binder_controller import BinderController

        return BinderController(context, catalogue=catalogue)

    def scheduler(context: ControllerContext) -> Controller:
        from pvbinder.controllers.scheduler.scheduler import Scheduler

        return Scheduler(context, crowd=prepared.crowd)

    makers = {names.BINDER_CONTROLLER: binder, "scheduler": scheduler}
    known = [
        replace(one, make=makers.get(one.name, one.make), on_by_default=one.on_by_default or one.name in ALSO_ON)
        for one in with_small_cluster(CONTROLLERS)
        if one.name not in OFF
    ]
    stand_in = ControllerDeclaration(STAND_IN, STAND_IN, lambda context: StandIn(context, prepared.failing))
    return (*known, stand_in)
