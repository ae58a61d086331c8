"""One leader among several processes, by a Lease in the cluster, as client-go elects: either side may be one of those.

ELECTION-1  At most one works: a candidate takes a lease only after it has seen it unchanged, by its own clock, for as
            long as the lease says. Times of other machines are never compared.
ELECTION-2  A leader that hasn't renewed in time stops before its lease is over: its work is cancelled, and from that
            very moment its writes are refused (`Fence`), also by a process that was frozen and only now goes on.
ELECTION-3  Every change of the lease names the revision that was read: of two that try at once, one has it.
ELECTION-4  An API server that fails for less than the renewal's deadline costs nobody the lead, whatever it did with
            the write whose answer got lost.
ELECTION-5  A leader that ends in peace has stopped working before it lets the lease go; the next one needn't wait then.
ELECTION-6  Who waits says for whom, once for each holder, and why it can't have the lease, once a minute.
ELECTION-7  Who waits tries when the lease that it saw would be over, not only when its next turn to look comes.

An identity is never used twice, so a process that crashed and comes back waits like any other.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pvbinder import logs
from pvbinder.chance import CHANCE
from pvbinder.kube.client import Client
from pvbinder.kube.election_options import JITTER_FACTOR as JITTER_FACTOR
from pvbinder.kube.election_options import ElectionOptions as ElectionOptions
from pvbinder.kube.election_options import ElectionOptionsError as ElectionOptionsError
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.events import EventRecorder, Subject
from pvbinder.kube.kinds import Metadata, metadata_of
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.resources import LEASES

LAST_PAUSE_SECONDS: Final = 0.2  # between the last tries to renew a lease, or to take one
TOLERANCE_SECONDS: Final = 20.0  # beyond a lease's end, until health says that something is wrong
RELEASED_SECONDS: Final = 1  # how long a lease lasts that nobody holds
RELEASE_SECONDS_MAX: Final = 5.0  # for letting it go
QUIET_SECONDS: Final = 60.0  # between two lines about the same trouble
LEASE_PATHS: Final = "/apis/coordination.k8s.io/"

_LEASES: Final = metadata_of(LEASES)

log = logs.get(__name__)


class LeadershipLost(PvbinderError):  # noqa: N818  (says what happened)
    """We were the leader, and may not be any more."""


def lease_name(text: str) -> str:
    """Return `text` as the name of a lease, as the reference's sidecars make it of a driver's name."""
    name = re.sub("[^a-zA-Z0-9-]", "-", text)
    return f"{name}X" if name.endswith("-") else name


def new_identity() -> str:
    """Return a name for this process that no other has, and none had before."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


def steady_clock() -> float:
    """Return seconds that only grow, also while the process or the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Election:
    """One candidate for one lease; `run()` it once."""

    def __init__(
        self,
        client: Client,
        name: str,
        options: ElectionOptions,
        *,
        identity: str = "",
        recorder: EventRecorder | None = None,
        clock: Callable[[], float] = steady_clock,
        chance: Callable[[], float] = CHANCE.random,
    ) -> None:
        """`client` should try each request once: the election has retries of its own; its writes pass a `Fence`."""
        options.check()
        self.name = name
        self.identity = identity or new_identity()
        self.options = options
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._chance = chance
        self._seen: Metadata | None = None  # the lease as it was last read or written
        self._seen_at = 0.0  # when that state of it was first seen, on our clock
        self._renewed_at: float | None = None  # when our last successful renewal was begun; None while we don't lead
        self._told = ("", float("-inf"))  # the last trouble in the log, and when
        self.changes = 0  # of the leader, as far as we saw

    @property
    def is_leading(self) -> bool:
        """Whether we have the lead, and may still write (ELECTION-2)."""
        return self._renewed_at is not None and self._clock() < self._renewed_at + self.options.renew_deadline_seconds

    def trouble(self) -> str | None:
        """What is wrong for health's sake: a leader whose lease is long over, and that still runs."""
        if self._renewed_at is None:
            return None
        if self._clock() > self._renewed_at + self.options.lease_seconds + TOLERANCE_SECONDS:
            return f"failed election to renew leadership on lease {self.name}"
        return None

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lead, then do `work` for as long as we have it; raise LeadershipLost when we haven't.

        Cancelled, it stops the work first, and lets the lease go (ELECTION-5). So it does when the work ends.
        """
        await self._acquire()
        try:
            async with asyncio.TaskGroup() as group:
                working = group.create_task(_as_coroutine(work), name=f"work of the leader of {self.name}")
                renewing = group.create_task(self._renew(), name=f"renewal of {self.name}")
                working.add_done_callback(lambda _: renewing.cancel())
        finally:
            if self.options.releases and self._renewed_at is not None:
                await self._release()
            self._renewed_at = None

    # -- the life of a candidate

    async def _acquire(self) -> None:
        log.info("waiting for the lead", lease=f"{self.options.namespace}/{self.name}", identity=self.identity)
        told = ""
        while not await self._try():
            if self._holder() not in ("", told):
                told = self._holder()
                log.info("another leads", lease=f"{self.options.namespace}/{self.name}", holder=told)
            await asyncio.sleep(self._pause_seconds())
        log.info("became leader", lease=f"{self.options.namespace}/{self.name}", identity=self.identity)
        self._tell("became leader")

    def _pause_seconds(self) -> float:
        """Return the time until the next try to take the lease (ELECTION-7)."""
        pause_seconds = self.options.retry_seconds * (1 + JITTER_FACTOR * self._chance())
        left_seconds = self._over_at() - self._clock()
        return min(pause_seconds, max(left_seconds, LAST_PAUSE_SECONDS)) if left_seconds > 0 else pause_seconds

    async def _renew(self) -> None:
        """Renew until that fails for too long; raise LeadershipLost then."""
        while True:
            await asyncio.sleep(self.options.retry_seconds)
            if not self.is_leading or not await self._renewed_in_time():
                self._renewed_at = None
                log.error("lost the lead", lease=f"{self.options.namespace}/{self.name}", identity=self.identity)
                self._tell("stopped leading")
                raise LeadershipLost(
                    f"the lead was lost: lease {self.options.namespace}/{self.name} could not be renewed in time",
                    hint="start it anew: it waits for the lead then",
                )

    async def _renewed_in_time(self) -> bool:
        assert self._renewed_at is not None
        left = self._renewed_at + self.options.renew_deadline_seconds - self._clock()
        try:
            async with asyncio.timeout(left):
                while not await self._try():
                    if self._holder() not in ("", self.identity):
                        return False
                    left = self._renewed_at + self.options.renew_deadline_seconds - self._clock()
                    # sooner and sooner, so that a server that is back just before the deadline is met (ELECTION-4)
                    await asyncio.sleep(min(self.options.retry_seconds, max(left / 2, LAST_PAUSE_SECONDS)))
        except TimeoutError:
            return False
        return True

    def _holder(self) -> str:
        return _spec(self._seen).get("holderIdentity") or "" if self._seen is not None else ""

    async def _try(self) -> bool:
        """Take the lease, or renew it; False if it is another's, or the server didn't do it."""
        began_at = self._clock()
        try:
            if not (self.is_leading and self._seen is not None and self._holder() == self.identity):
                await self._look()
            if not self._may_take(began_at):
                return False
            await self._write(self._taken())
        except (ApiFailure, ConnectionFailed) as error:
            if not (isinstance(error, ApiFailure) and (error.is_conflict or error.is_already_exists)):
                self._complain(error.message)
            await self._look_again()
            return False
        self._renewed_at = began_at
        return True

    def _complain(self, what: str) -> None:
        told, at = self._told
        if what != told or self._clock() - at >= QUIET_SECONDS:
            self._told = (what, self._clock())
            log.warning("lease could not be read or written", lease=f"{self.options.namespace}/{self.name}", err=what)

    def _may_take(self, now: float) -> bool:
        return self._holder() in ("", self.identity) or now >= self._over_at()

    def _over_at(self) -> float:
        """Return when the lease, as it was last seen, is over by our clock; long ago if there is none."""
        if self._seen is None:
            return float("-inf")
        return self._seen_at + float(_spec(self._seen).get("leaseDurationSeconds") or 0)

    async def _look(self) -> None:
        """Read the lease; a state that is new was seen now (ELECTION-1)."""
        try:
            found = await self._client.get(_LEASES, self.name, self.options.namespace)
        except ApiFailure as failure:
            if not failure.names_as_not_found(LEASES, self.name):
                raise
            self._seen = None
            return
        self._take_in(found)

    async def _look_again(self) -> None:
        """After a write that failed or whose end nobody knows: see what became of it (ELECTION-4)."""
        try:
            await self._look()
        except (ApiFailure, ConnectionFailed) as error:
            log.debug("lease can't be read", lease=self.name, err=error.message)

    def _take_in(self, lease: Metadata) -> None:
        if self._seen is None or _spec(self._seen) != _spec(lease):
            if self._seen is not None and _spec(self._seen).get("holderIdentity") != _spec(lease).get("holderIdentity"):
                self.changes += 1
            self._seen_at = self._clock()
        self._seen = lease

    # -- the lease

    def _taken(self) -> Json:
        """The fields of a lease that is ours from now on, or still."""
        now = _instant()
        before = _spec(self._seen) if self._seen is not None else {}
        fields: Json = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self.options.lease_seconds),
            "renewTime": now,
        }
        transitions = int(before.get("leaseTransitions") or 0)
        if self._holder() == self.identity:
            return fields | {"acquireTime": before.get("acquireTime") or now, "leaseTransitions": transitions}
        return fields | {"acquireTime": now, "leaseTransitions": transitions + (self._seen is not None)}

    async def _write(self, fields: Json) -> None:
        """Write the lease, if it is as we know it (ELECTION-3)."""
        if self._seen is None:
            metadata: Json = {"name": self.name, "namespace": self.options.namespace}
            if self.options.labels:
                metadata["labels"] = dict(self.options.labels)
            self._take_in(await self._client.create(_LEASES, {"metadata": metadata, "spec": fields}))
            return
        document = self._seen.document()
        document["spec"] = {**(document.get("spec") or {}), **fields}
        if self.options.labels:
            document["metadata"]["labels"] = {**(document["metadata"].get("labels") or {}), **self.options.labels}
        self._take_in(await self._client.replace(_LEASES, document))

    async def _release(self) -> None:
        """Let go the lease, if it is still ours (ELECTION-5)."""
        now = _instant()
        fields = {"holderIdentity": "", "leaseDurationSeconds": RELEASED_SECONDS, "renewTime": now, "acquireTime": now}
        try:
            async with asyncio.timeout(RELEASE_SECONDS_MAX):
                await self._look()
                if self._seen is not None and self._holder() == self.identity:
                    await self._write(fields)
                    log.info("lease let go", lease=f"{self.options.namespace}/{self.name}")
        except (ApiFailure, ConnectionFailed, TimeoutError) as error:
            log.warning("lease could not be let go: the next leader waits for its end", lease=self.name, err=str(error))

    def _tell(self, what: str) -> None:
        if self._recorder is not None and self._seen is not None:
            subject = Subject.of(LEASES, self._seen)
            self._recorder.event(subject, "Normal", "LeaderElection", f"{self.identity} {what}")


class Fence:
    """What a process may still write: nothing once an election that it won is lost (ELECTION-2)."""

    def __init__(self) -> None:
        self._won: list[Election] = []

    async def run(self, election: Election, work: Callable[[], Awaitable[None]]) -> None:
        """Run `election`, and hold back the writes of everybody behind the fence from when it is lost."""

        async def guarded() -> None:
            self._won.append(election)
            await work()

        await election.run(guarded)
        if election in self._won:
            self._won.remove(election)

    def trouble(self) -> str | None:
        """Why nothing may be written; None if it may."""
        for election in self._won:
            if not election.is_leading:
                return f"not written: the lead is lost (lease {election.name})"
        return None


@dataclass(frozen=True, slots=True)
class Fenced:
    """A line whose writes the fence holds back; leases pass, since by them the lead is won."""

    line: Transport
    fence: Fence

    async def send(self, request: Request) -> Answer:
        """Send `request`, if the fence lets it."""
        if request.method != "GET" and not request.path.startswith(LEASE_PATHS):
            trouble = self.fence.trouble()
            if trouble is not None:
                raise ConnectionFailed(trouble, request_sent=False)
        return await self.line.send(request)

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch, which never writes."""
        return self.line.watch(request)


async def _as_coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _spec(lease: Metadata | None) -> dict[str, Any]:
    return (lease.document().get("spec") or {}) if lease is not None else {}


def _instant() -> str:
    """The time for people, in microseconds; nobody compares it (ELECTION-1)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
