"""Candidates for one lease at a real server, on virtual time; each has a clock of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from tests.controllers.cluster import ADMIN, Breakable
from tests.kube.small_server import refusal
from tests.virtual_time import on_virtual_time

from pvbinder.kube.client import Client, Retries
from pvbinder.kube.election import (
    Election,
    ElectionOptions,
    ElectionOptionsError,
    Fence,
    Fenced,
    LeadershipLost,
    lease_name,
    new_identity,
    steady_clock,
)
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import metadata_of
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS, LEASES
from pvbinder.server.embedded import EmbeddedServer

NAME = "hostpath-csi-k8s-io"
LEASE = metadata_of(LEASES)
CONFIG = metadata_of(CONFIG_MAPS)
OPTIONS = ElectionOptions("default")


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Candidate:
    """One process: its line, its clock, and what it did."""

    line: Breakable
    election: Election
    task: asyncio.Task[None] | None = None
    worked: list[tuple[float, float]] = field(default_factory=list)
    since: float | None = None
    fence: Fence = field(default_factory=Fence)

    @property
    def works(self) -> bool:
        return self.since is not None

    async def work(self) -> None:
        self.since = now()
        try:
            await asyncio.Event().wait()
        finally:
            self.worked.append((self.since, now()))
            self.since = None

    def start(self) -> None:
        self.task = asyncio.create_task(self.fence.run(self.election, self.work))

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait([self.task])

    async def end(self) -> BaseException | None:
        """Wait until it ends by itself."""
        assert self.task is not None
        await asyncio.wait([self.task])
        return self.task.exception()


@dataclass
class Place:
    """The server, and who is there."""

    server: EmbeddedServer
    client: Client
    candidates: list[Candidate] = field(default_factory=list)

    def candidate(
        self,
        name: str,
        clock: Callable[[], float] = now,
        options: ElectionOptions = OPTIONS,
        chance: Callable[[], float] = lambda: 0.0,
    ) -> Candidate:
        line = Breakable(InProcessTransport(self.server.dispatcher, ADMIN))
        client = Client(line, retries=Retries(attempts=1))
        election = Election(client, NAME, options, identity=name, clock=clock, chance=chance)
        one = Candidate(line, election)
        one.start()
        self.candidates.append(one)
        return one

    async def lease(self) -> Json:
        spec: Json = (await self.client.get(LEASE, NAME, "default")).document()["spec"]
        return spec

    async def hold(self, holder: str, **fields: object) -> None:
        """Take the lease as somebody else would, who writes what he likes."""
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3, **fields}
        await self.client.create(LEASE, {"metadata": {"name": NAME, "namespace": "default"}, "spec": spec})

    async def renew(self, at: str) -> None:
        document = (await self.client.get(LEASE, NAME, "default")).document()
        document["spec"]["renewTime"] = at
        await self.client.replace(LEASE, document)


@asynccontextmanager
async def place() -> AsyncGenerator[Place]:
    async with EmbeddedServer(listen=False) as server:
        here = Place(server, Client(InProcessTransport(server.dispatcher, ADMIN)))
        try:
            yield here
        finally:
            for one in here.candidates:
                assert one.task is not None
                one.task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ExceptionGroup):
                    await one.task


async def until(question: Callable[[], bool]) -> float:
    """Wait, and return for how long."""
    began = now()
    async with asyncio.timeout(600):
        while not question():
            await asyncio.sleep(0.05)
    return now() - began


def fails(_: Request) -> Answer | None:
    raise ConnectionFailed("broken by the test")


@on_virtual_time
async def test_the_lease_has_client_gos_fields() -> None:
    async with place() as here:
        first = here.candidate("a")
        await until(lambda: first.works)
        lease = await here.lease()
        assert set(lease) == {"holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions"}
        assert (lease["holderIdentity"], lease["leaseDurationSeconds"], lease["leaseTransitions"]) == ("a", 15, 0)
        assert "annotations" not in (await here.client.get(LEASE, NAME, "default")).document()["metadata"]


@on_virtual_time
async def test_election_1_one_works_and_the_other_waits_for_as_long_as_it_lives() -> None:
    async with place() as here:
        first, second = here.candidate("a"), here.candidate("b")
        await until(lambda: first.works or second.works)
        await asyncio.sleep(300)
        assert [first.works, second.works].count(True) == 1
        assert len(first.worked + second.worked) == 0


@on_virtual_time
async def test_election_1_the_lease_of_a_dead_leader_is_taken_when_it_is_over_and_not_before() -> None:
    async with place() as here:
        first = here.candidate("a", options=ElectionOptions("default", releases=False))
        await until(lambda: first.works)
        second = here.candidate("b")
        await asyncio.sleep(60)
        await first.stop()
        waited = await until(lambda: second.works)
        assert 15 - OPTIONS.retry_seconds <= waited <= 15 + 2 * OPTIONS.retry_seconds
        lease = await here.lease()
        assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("b", 1)


@on_virtual_time
@pytest.mark.parametrize("at", ["1999-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"])
async def test_election_1_the_times_of_other_machines_count_for_nothing(at: str) -> None:
    async with place() as here:
        await here.hold("elsewhere", renewTime=at, acquireTime=at)
        mine = here.candidate("a")
        waited = await until(lambda: mine.works)
        assert 15 <= waited <= 15 + 2 * OPTIONS.retry_seconds
        assert (await here.lease())["leaseTransitions"] == 4


@on_virtual_time
async def test_election_1_whoever_renews_keeps_it_whatever_the_clock_says() -> None:
    async with place() as here:
        await here.hold("elsewhere")
        mine = here.candidate("a")
        for number in range(20):
            await here.renew(f"1999-01-01T00:00:{number:02}.000000Z")
            await asyncio.sleep(10)
            assert not mine.works
        assert await until(lambda: mine.works) <= 15


@on_virtual_time
async def test_election_2_a_leader_that_is_cut_off_stops_before_another_begins() -> None:
    async with place() as here:
        first = here.candidate("a")
        await until(lambda: first.works)
        second = here.candidate("b")
        await asyncio.sleep(30)
        first.line.before = fails
        assert isinstance(await first.end(), BaseExceptionGroup)
        stopped = first.worked[-1][1]
        await until(lambda: second.works)
        assert second.since is not None
        assert second.since - stopped >= 5 - OPTIONS.retry_seconds  # lease less renewal's deadline
        assert (await here.lease())["holderIdentity"] == "b"


@on_virtual_time
async def test_election_2_a_process_that_was_frozen_writes_nothing_when_it_goes_on() -> None:
    ahead = 0.0
    async with place() as here:
        first = here.candidate("a", clock=lambda: now() + ahead)
        await until(lambda: first.works)
        fenced = Client(Fenced(first.line, first.fence), retries=Retries(attempts=1))
        await fenced.create(CONFIG, {"metadata": {"name": "before", "namespace": "default"}})
        ahead = 11.0  # its clock has gone on while it stood still; its timers haven't fired
        assert first.works
        with pytest.raises(ConnectionFailed, match="the lead is lost") as caught:
            await fenced.create(CONFIG, {"metadata": {"name": "after", "namespace": "default"}})
        assert not caught.value.leaves_write_unknown
        assert (await fenced.get(CONFIG, "before", "default")).name == "before"
        ended = await first.end()
        assert isinstance(ended, BaseExceptionGroup)
        assert isinstance(ended.exceptions[0], LeadershipLost)
        with pytest.raises(ConnectionFailed, match="the lead is lost"):
            await fenced.create(CONFIG, {"metadata": {"name": "later", "namespace": "default"}})


@on_virtual_time
async def test_election_2_who_is_no_leader_any_more_sees_it_at_the_next_renewal() -> None:
    async with place() as here:
        first = here.candidate("a")
        await until(lambda: first.works)
        document = (await here.client.get(LEASE, NAME, "default")).document()
        document["spec"]["holderIdentity"] = "usurper"
        await here.client.replace(LEASE, document)
        began = now()
        await first.end()
        assert now() - began <= 2 * OPTIONS.retry_seconds + 1
        assert (await here.lease())["holderIdentity"] == "usurper"


@on_virtual_time
async def test_election_3_of_two_that_try_at_once_one_has_it() -> None:
    async with place() as here:
        await here.hold("", leaseDurationSeconds=1)
        both = [here.candidate("a"), here.candidate("b")]
        meeting = asyncio.Barrier(2)

        for one in both:

            async def meet(request: Request, seen: list[Request] = one.line.seen) -> None:
                if request.method == "GET" and len(seen) == 1:  # both have read it before either writes
                    await meeting.wait()

            one.line.after_waiting = meet
        await until(lambda: any(one.works for one in both))
        await asyncio.sleep(10)
        assert [one.works for one in both].count(True) == 1
        assert (await here.lease())["leaseTransitions"] == 4


@on_virtual_time
@pytest.mark.parametrize("answered", [True, False])
async def test_election_4_errors_shorter_than_the_deadline_cost_nothing(answered: bool) -> None:
    async with place() as here:
        first, second = here.candidate("a"), None
        await until(lambda: first.works)
        second = here.candidate("b")
        for _ in range(5):
            if answered:
                first.line.before = lambda _: Answer(500, b"no")
            else:
                first.line.before = fails
            await asyncio.sleep(5.5)  # up to 2 s after the last renewal it begins, and up to 2 s later the next is due
            first.line.before = lambda _: None
            await asyncio.sleep(6.5)
        assert first.works
        assert not second.works


@on_virtual_time
async def test_election_4_a_server_that_is_back_just_before_the_deadline_is_met() -> None:
    """It fails from just before a renewal on; the last tries come sooner than each `retry_seconds`."""
    async with place() as here:
        first = here.candidate("a")
        renewed = asyncio.Event()
        first.line.after = lambda request: renewed.set() if request.method == "PUT" else None
        await renewed.wait()
        await asyncio.sleep(1.9)
        first.line.before = fails
        await asyncio.sleep(7.4)
        first.line.before = lambda _: None
        await asyncio.sleep(5)
        assert first.works


@on_virtual_time
async def test_election_4_a_write_whose_answer_got_lost_counts() -> None:
    lost = 0

    def loses(request: Request) -> None:
        nonlocal lost
        if request.method in ("PUT", "POST"):
            lost += 1
            if lost % 2:
                raise ConnectionFailed("the answer got lost")

    async with place() as here:
        first = here.candidate("a")
        first.line.after = loses
        await until(lambda: first.works)
        await asyncio.sleep(120)
        assert first.works
        assert (await here.lease())["leaseTransitions"] == 0
        assert lost > 10


@on_virtual_time
async def test_election_4_a_lease_that_somebody_deleted_is_made_anew() -> None:
    async with place() as here:
        first = here.candidate("a")
        await until(lambda: first.works)
        await here.client.delete(LEASE, NAME, "default")
        await asyncio.sleep(10)
        assert first.works
        assert (await here.lease())["holderIdentity"] == "a"


@on_virtual_time
async def test_election_5_a_leader_that_ends_in_peace_lets_the_lease_go_when_its_work_has_stopped() -> None:
    async with place() as here:
        first = here.candidate("a")
        await until(lambda: first.works)
        second = here.candidate("b")
        await asyncio.sleep(30)
        seen: list[bool] = []

        def at_release(request: Request) -> None:
            if request.method == "PUT" and b'"holderIdentity":""' in (request.body or b""):
                seen.append(first.works)

        first.line.after = at_release
        await first.stop()
        assert seen == [False]
        lease = await here.lease()
        assert (lease["holderIdentity"], lease["leaseDurationSeconds"], lease["leaseTransitions"]) == ("", 1, 0)
        assert await until(lambda: second.works) <= OPTIONS.retry_seconds + 1


@on_virtual_time
async def test_a_server_that_is_away_is_waited_for() -> None:
    async with place() as here:
        mine = here.candidate("a")
        mine.line.before = fails
        await asyncio.sleep(100)
        assert not mine.works
        mine.line.before = lambda _: None
        assert await until(lambda: mine.works) <= OPTIONS.retry_seconds + 1


@on_virtual_time
async def test_election_6_who_waits_says_for_whom_and_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pvbinder.kube.election")

    def said(text: str) -> list[str]:
        return [str(vars(record)) for record in caplog.records if record.getMessage() == text]

    async with place() as here:
        await here.hold("migration", leaseDurationSeconds=86400)
        mine = here.candidate("a")
        await asyncio.sleep(300)
        assert ["migration" in line for line in said("another leads")] == [True]
        mine.line.before = lambda _: refusal(403, "Forbidden", "leases is forbidden")
        await asyncio.sleep(300)
        assert not mine.works
        assert 5 <= len(said("lease could not be read or written")) <= 6
        assert "forbidden" in said("lease could not be read or written")[0]
        mine.line.before = lambda _: None
        document = (await here.client.get(LEASE, NAME, "default")).document()
        document["spec"]["holderIdentity"] = ""  # somebody opens the gate
        await here.client.replace(LEASE, document)
        assert await until(lambda: mine.works) <= 2 * OPTIONS.retry_seconds + 1


@on_virtual_time
async def test_election_7_a_lease_is_taken_when_it_is_over_whenever_the_next_look_would_come() -> None:
    async with place() as here:
        await here.hold("dead")
        for chance in (0.0, 0.31, 1.0):  # pauses of 2 to 4.4 s
            one = here.candidate(f"c-{chance}", chance=lambda chance=chance: chance)  # type: ignore[misc]
            waited = await until(lambda one=one: one.works)  # type: ignore[misc]
            assert 15 <= waited <= 15.5
            looks = one.line.asked("GET")
            assert looks <= 15 / 2 + 3, "not in a hot loop"
            await one.stop()
            await here.client.delete(LEASE, NAME, "default")
            await here.hold("dead")


@on_virtual_time
async def test_work_that_ends_or_fails_ends_the_lead() -> None:
    async with place() as here:
        client = Client(InProcessTransport(here.server.dispatcher, ADMIN))

        async def nothing() -> None: ...

        async def broken() -> None:
            raise ValueError("broken by the test")

        await Election(client, NAME, OPTIONS, identity="a", clock=now).run(nothing)
        assert (await here.lease())["holderIdentity"] == ""
        with pytest.raises(ExceptionGroup):
            await Election(client, NAME, OPTIONS, identity="b", clock=now).run(broken)
        assert (await here.lease())["holderIdentity"] == ""


@on_virtual_time
async def test_health_tells_of_a_leader_whose_lease_is_long_over() -> None:
    ahead = 0.0
    async with place() as here:
        first = here.candidate("a", clock=lambda: now() + ahead)
        assert first.election.trouble() is None
        await until(lambda: first.works)
        assert first.election.trouble() is None
        ahead = 36.0
        assert first.election.trouble() == f"failed election to renew leadership on lease {NAME}"
        ahead = 0.0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hostpath.csi.k8s.io", "hostpath-csi-k8s-io"),
        ("example.com/nfs", "example-com-nfs"),
        ("a.b.", "a-b-X"),
        ("Plain-1", "Plain-1"),
    ],
)
def test_su_8_names_of_leases(text: str, name: str) -> None:  # SU-8
    assert lease_name(text) == name


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ({"lease_seconds": 10.0}, "greater than the renewal's deadline"),
        ({"retry_seconds": 9.0}, "1.2 times the retry period"),
        ({"lease_seconds": 0.5, "renew_deadline_seconds": 0.4, "retry_seconds": 0.1}, "a second or more"),
        ({"retry_seconds": 0.0}, "retry period something"),
    ],
)
def test_times_that_client_go_refuses_are_refused(times: dict[str, float], told: str) -> None:
    with pytest.raises(ElectionOptionsError, match=told):
        ElectionOptions("default", **times).check()  # type: ignore[arg-type]


def test_no_identity_is_used_twice_and_the_clock_grows() -> None:
    assert new_identity() != new_identity()
    assert steady_clock() <= steady_clock()
