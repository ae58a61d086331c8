"""Three replicas on one API server: killed, cut off, late, and with clocks that are wrong, on virtual time.

Each has a line of its own, on which requests can get lost, or arrive long after their sender has given up: the worst
that a network, or a process that was frozen in the middle of a request, does. What the server accepted is recorded with
its sender. (That a frozen process sends nothing when it thaws is tried with real ones in `tests.cli.test_controller`.)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from random import Random
from typing import Final

import pytest
from tests.controllers.cluster import ADMIN, claim, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import beside_a_cluster
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.election import Election, ElectionOptions, Fence
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.transport import Answer, Request
from pvbinder.server.embedded import EmbeddedServer

BINDER: Final = ControllerOptions(controllers="persistentvolume-binder-controller")
TIMES: Final = ElectionOptions("kube-system")
PATIENCE_SECONDS: Final = 5.0  # of a sender whose answer doesn't come
RESTART_SECONDS: Final = 1.0
ROUND_SECONDS: Final = 40.0  # more than a takeover takes


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(frozen=True)
class Accepted:
    """A write that the server carried out."""

    sender: str
    term: int  # of the sender's life
    request: Request
    at: float

    @property
    def target(self) -> str:
        return self.request.path.removesuffix("/status")


@dataclass
class Line:
    """A replica's line to the server."""

    sender: str
    below: InProcessTransport
    accepted: list[Accepted]
    term: int = 0
    is_cut: bool = False
    delivers_late: bool = False
    healed: asyncio.Event = field(default_factory=asyncio.Event)
    late: set[asyncio.Task[Answer]] = field(default_factory=set)

    async def send(self, request: Request) -> Answer:
        if self.is_cut:
            if self.delivers_late:
                task = asyncio.create_task(self._deliver(request, self.term))
                self.late.add(task)
                task.add_done_callback(self.late.discard)
            await asyncio.sleep(PATIENCE_SECONDS)
            raise ConnectionFailed("no answer in time")
        return await self._pass_on(request, self.term)

    async def _deliver(self, request: Request, term: int) -> Answer:
        await self.healed.wait()
        return await self._pass_on(request, term)

    async def _pass_on(self, request: Request, term: int) -> Answer:
        answer = await self.below.send(request)
        is_about_objects = "/leases" not in request.path and "/events" not in request.path
        if request.method != "GET" and answer.status < 300 and is_about_objects:
            self.accepted.append(Accepted(self.sender, term, request, now()))
        return answer

    @contextlib.asynccontextmanager
    async def _broken(self) -> AsyncIterator[AsyncIterator[bytes]]:
        await asyncio.sleep(PATIENCE_SECONDS)
        if self.sender:
            raise ConnectionFailed("no answer in time")
        yield self._no_lines()

    async def _no_lines(self) -> AsyncIterator[bytes]:
        for line in tuple[bytes, ...]():
            yield line

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._broken() if self.is_cut else self.below.watch(request)

    def cut(self, *, late: bool) -> None:
        self.is_cut, self.delivers_late = True, late
        self.healed = asyncio.Event()

    def heal(self) -> None:
        self.is_cut = False
        self.healed.set()


class Replica:
    """A process that is started again whenever it has ended."""

    def __init__(self, name: str, server: EmbeddedServer, accepted: list[Accepted], clock: Callable[[], float]) -> None:
        self.name = name
        self.line = Line(name, InProcessTransport(server.dispatcher, ADMIN), accepted)
        self._clock = clock
        self.election: Election | None = None
        self._life: asyncio.Task[None] | None = None

    async def run(self) -> None:
        while True:
            self._life = asyncio.create_task(self._live())
            await asyncio.wait([self._life])
            self.line.term += 1
            await asyncio.sleep(RESTART_SECONDS)

    async def _live(self) -> None:
        fence = Fence()
        client = Client(self.line, retries=Retries(attempts=1))
        self.election = election = Election(client, "pvbinder", TIMES, clock=self._clock)

        async def lead(work: Callable[[], Awaitable[None]]) -> None:
            await fence.run(election, work)

        with contextlib.suppress(ExceptionGroup):
            await Manager(self.line, BINDER, known=beside_a_cluster(), fence=fence, lead=lead).run()

    @property
    def leads(self) -> bool:
        return self.election is not None and self.election.is_leading

    async def kill(self) -> None:
        """End it in the middle of whatever it does: nothing that it wants to say in the end is heard."""
        assert self._life is not None
        self.line.cut(late=False)
        self._life.cancel()
        await asyncio.wait([self._life])
        self.line.heal()


@dataclass
class Place:
    """The server, the replicas, and the user who makes claims."""

    user: Client
    replicas: list[Replica]
    accepted: list[Accepted]
    made: int = 0

    def leader(self) -> Replica | None:
        return next((one for one in self.replicas if one.leads and not one.line.is_cut), None)

    async def until(self, question: Callable[[], Awaitable[bool]], seconds: float = 300.0) -> None:
        async with asyncio.timeout(seconds):
            while not await question():
                await asyncio.sleep(0.25)

    async def has_leader(self) -> bool:
        return self.leader() is not None

    async def make_pairs(self, count: int) -> None:
        for number in range(self.made, self.made + count):
            await self.user.create(VOLUMES, volume(f"disk-{number}"))
            await self.user.create(CLAIMS, claim(f"claim-{number}"))
        self.made += count

    async def bound(self) -> dict[str, str]:
        """Return which claim has which volume, where both sides say so and are Bound."""
        volumes = {one.name: one async for page in self.user.pages(VOLUMES) for one in page.items}
        pairs = {}
        async for page in self.user.pages(CLAIMS):
            for one in page.items:
                found = volumes.get(one.volume_name)
                if one.phase == "Bound" and found is not None and found.phase == "Bound":
                    assert found.claim_ref is not None
                    assert (found.claim_ref.name, found.claim_ref.uid) == (one.name, one.uid)
                    pairs[one.name] = one.volume_name
        return pairs

    async def all_bound(self) -> bool:
        return len(await self.bound()) == self.made


def clocks(random: Random) -> list[Callable[[], float]]:
    """Clocks that are years apart, and of which none goes as fast as another."""
    return [clock(random.uniform(-1e9, 1e9), drift) for drift in (1.0, 0.998, 1.002)]


def clock(offset: float, drift: float) -> Callable[[], float]:
    """A clock that is wrong by so much, and more each second."""
    return lambda: offset + now() * drift


@contextlib.asynccontextmanager
async def place(random: Random) -> AsyncIterator[Place]:
    async with EmbeddedServer(listen=False) as server:
        accepted: list[Accepted] = []
        user = Client(InProcessTransport(server.dispatcher, ADMIN))
        names = ("a", "b", "c")
        replicas = [Replica(name, server, accepted, clock) for name, clock in zip(names, clocks(random), strict=True)]
        tasks = [asyncio.create_task(one.run()) for one in replicas]
        try:
            yield Place(user, replicas, accepted)
        finally:
            lives = [one._life for one in replicas if one._life is not None]
            late = [task for one in replicas for task in one.line.late]
            for task in (*tasks, *lives, *late):
                task.cancel()
            await asyncio.gather(*tasks, *lives, *late, return_exceptions=True)


def check_beliefs(accepted: list[Accepted]) -> None:
    """Fail if two lives wrote one object by turns, or if a write could have met a state that its sender didn't know."""
    for one in accepted:
        if one.request.method == "PUT":
            assert json.loads(one.request.body or b"")["metadata"]["resourceVersion"], one
        else:
            assert one.request.method == "POST", one  # this story needs nothing else
    lives_of: dict[str, list[tuple[str, int]]] = {}
    for one in accepted:
        lives = lives_of.setdefault(one.target, [])
        if not lives or lives[-1] != (one.sender, one.term):
            lives.append((one.sender, one.term))
    for target, lives in lives_of.items():
        assert len(lives) == len(set(lives)), f"{target} was written by turns: {lives}"


FAULTS: Final = ("kill", "cut", "late")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@on_virtual_time
async def test_three_replicas_bind_each_claim_once_whatever_becomes_of_the_leader(seed: int) -> None:
    random = Random(seed)
    async with place(random) as here:
        faults = [*FAULTS, *(random.choice(FAULTS) for _ in range(2))]
        random.shuffle(faults)
        for fault in faults:
            await here.until(here.has_leader)
            leader = here.leader()
            assert leader is not None
            making = asyncio.create_task(here.make_pairs(6))
            for _ in range(random.randrange(60)):  # somewhere in the middle of the binds
                await asyncio.sleep(0)
            match fault:
                case "kill":
                    await leader.kill()
                case _:
                    leader.line.cut(late=fault == "late")
            await making
            await here.make_pairs(2)
            await asyncio.sleep(ROUND_SECONDS)
            successor = here.leader()
            assert successor is not None
            assert successor is not leader or fault == "kill"
            leader.line.heal()
        await here.until(here.all_bound)
        await asyncio.sleep(ROUND_SECONDS)
        pairs = await here.bound()
        assert len(pairs) == len(set(pairs.values())) == here.made
        assert [one.leads for one in here.replicas].count(True) == 1
        check_beliefs(here.accepted)
        assert len({(one.sender, one.term) for one in here.accepted}) > 2


@pytest.mark.slow
@on_virtual_time
async def test_the_first_bind_after_a_takeover_comes_within_a_second_of_it() -> None:
    async with place(Random(1)) as here:
        await here.until(here.has_leader)
        leader = here.leader()
        assert leader is not None
        await here.make_pairs(40)
        await leader.kill()
        killed = now()
        before = len(here.accepted)
        await here.until(here.has_leader)
        await here.until(here.all_bound)
        first = next(one.at for one in here.accepted[before:] if one.sender != leader.name)
        lease = TIMES.lease_seconds + TIMES.retry_seconds * 2.2
        assert first - killed <= lease + 1
