"""The gate that writes pass on their way to an API server: as many as the server keeps up with, and everybody in turn.

WRITE_GATE-1  No more writes are in flight than the window allows, however many clients share the gate (`kube.window`).
WRITE_GATE-2  Who waits is let in by turns of namespaces; writes for a claim that a pod waits for come first
              (`kube.fair_line`). A task says on whose behalf it writes with `on_behalf_of`; else it is the namespace in
              the path.
WRITE_GATE-3  Leases pass at once: an election must not be lost because there is much to write.
WRITE_GATE-4  A write that is cancelled while it waits takes nobody's place.
WRITE_GATE-5  What was begun is finished before more is begun: the later writes of a task on somebody's behalf come with
              the urgent ones, in turns with them. So the first bind of a thousand is done after its own writes, not
              after those of all.

It belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from pvbinder.kube.election import LEASE_PATHS
from pvbinder.kube.errors import ConnectionFailed, seconds
from pvbinder.kube.fair_line import FairLine
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.kube.window import WriteWindow

_NAMESPACE = re.compile(r"/namespaces/([^/]+)/")
_BUSY: Final = frozenset({429, 503, 504})


@dataclass(slots=True)
class _Behalf:
    namespace: str
    is_urgent: bool
    has_begun: bool = False

    @property
    def group(self) -> str:
        """Who takes turns: an urgent write needn't stand behind the begun ones of its namespace."""
        return f"urgent in {self.namespace}" if self.is_urgent else self.namespace


_behalf: ContextVar[_Behalf | None] = ContextVar("behalf", default=None)


@contextmanager
def on_behalf_of(namespace: str, *, is_urgent: bool = False) -> Iterator[None]:
    """Have the writes of this task count for `namespace` (WRITE_GATE-2)."""
    token = _behalf.set(_Behalf(namespace, is_urgent))
    try:
        yield
    finally:
        _behalf.reset(token)


@dataclass(frozen=True, slots=True)
class WriteGateStatistics:
    """The state of a gate."""

    limit: int
    in_flight: int
    waiting: int
    cuts: int
    slowdowns: int


class WriteGate:
    """One gate for all clients of a process."""

    def __init__(self) -> None:
        self._window = WriteWindow()
        self._line: FairLine[asyncio.Future[None]] = FairLine()
        self._in_flight = 0
        self._opens: asyncio.TimerHandle | None = None

    def statistics(self) -> WriteGateStatistics:
        """The state of the gate."""
        window = self._window
        return WriteGateStatistics(window.limit, self._in_flight, len(self._line), window.cuts, window.slowdowns)

    def before(self, line: Transport) -> Transport:
        """Return `line` behind this gate."""
        return GatedLine(line, self)

    async def send(self, line: Transport, request: Request) -> Answer:
        """Send `request` over `line` when it may be sent."""
        if request.method == "GET" or request.path.startswith(LEASE_PATHS):
            return await line.send(request)  # WRITE_GATE-3
        loop = asyncio.get_running_loop()
        await self._enter(request, loop)
        started = loop.time()
        try:
            answer = await line.send(request)
        except ConnectionFailed:
            self._window.refused(loop.time(), started)
            raise
        else:
            self._learn(answer, loop.time(), started)
            return answer
        finally:
            self._in_flight -= 1
            self._let_in()

    def _learn(self, answer: Answer, now: float, started: float) -> None:
        if answer.status in _BUSY:
            self._window.refused(now, started, seconds(answer.headers.get("retry-after")))
        else:
            waits = bool(self._line)
            self._window.answered(now, now - started, in_flight=self._in_flight, somebody_waits=waits)

    async def _enter(self, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for a place in flight, and take it."""
        behalf = _behalf.get()
        has_begun = behalf is not None and behalf.has_begun
        if behalf is not None:
            behalf.has_begun = True
        if not self._line and self._has_place(loop):
            self._in_flight += 1
            return
        if behalf is None:
            named = _NAMESPACE.search(request.path)
            behalf = _Behalf(named[1] if named else "", is_urgent=False)
        turn: asyncio.Future[None] = loop.create_future()
        self._line.add(turn, behalf.group, is_urgent=behalf.is_urgent or has_begun)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place was ours already (WRITE_GATE-4)
                self._in_flight -= 1
                self._let_in()
            raise

    def _has_place(self, loop: asyncio.AbstractEventLoop) -> bool:
        return self._in_flight < self._window.limit and not self._window.closed_for(loop.time())

    def _let_in(self) -> None:
        """Give the places that are free to those whose turn it is."""
        loop = asyncio.get_running_loop()
        while self._line and self._in_flight < self._window.limit:
            closed_seconds = self._window.closed_for(loop.time())
            if closed_seconds:
                if self._opens is None:
                    self._opens = loop.call_later(closed_seconds, self._open)
                return
            turn = self._line.pop()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

    def _open(self) -> None:
        self._opens = None
        self._let_in()


@dataclass(frozen=True, slots=True)
class GatedLine:
    """A line behind a gate."""

    line: Transport
    gate: WriteGate

    async def send(self, request: Request) -> Answer:
        """Send `request` when it may be sent."""
        return await self.gate.send(self.line, request)

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch, which never writes."""
        return self.line.watch(request)
