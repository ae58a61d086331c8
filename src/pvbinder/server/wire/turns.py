"""Turns: the input of all connections shares the event loop fairly.

TURN-1  In one turn of the loop, input is parsed for `TURN_SECONDS` and no longer, on all connections together; the rest
        waits for the next turn.
TURN-2  The connection that used the least has the next turn: a connection that asks seldom is served before all that
        keep the loop busy.
TURN-3  A connection holds at most `INBOX_BYTES_MAX` that nobody has parsed, and what its socket gave at once; over that
        it isn't read. One that was put out holds nothing, and is aborted after `GOODBYE_SECONDS`.

A connection that has the loop to itself pays for this with two looks at the clock for each time that something comes.
Everything belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from heapq import heappop, heappush
from time import perf_counter
from typing import Protocol, cast

TURN_SECONDS = 0.004
CREDIT_SECONDS = 0.02  # of parsing: the most that an idle connection is ahead of busy ones
PIECE_BYTES = (
    1 << 10
)  # parsed between two looks at the clock: 113 of the shortest frames of HTTP/2, or as many requests
INBOX_BYTES_MAX = 64 << 10
GOODBYE_SECONDS = 1.0  # for a peer to take the last words


class Parses(Protocol):
    """The parser behind a connection: one version of HTTP."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""

    def data_received(self, data: bytes) -> None:
        """Parse `data`, which is at most `PIECE_BYTES` long."""

    def eof_received(self) -> bool | None:
        """Hear that nothing more comes."""

    def pause_writing(self) -> None:
        """Hear that the peer doesn't keep up."""

    def resume_writing(self) -> None:
        """Hear that it does again."""

    def connection_lost(self, error: Exception | None) -> None:
        """Hear that the connection has ended."""


class Turns:
    """Gives the connections of a listener their turns."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, Paced]] = []  # a heap: the one that used the least is first
        self._order = 0
        self._spent = 0.0
        self._least = 0.0  # the time used by the connection that was served last
        self._is_set = False

    def can_go_on(self) -> bool:
        """Tell whether this turn has time left and nobody waits."""
        return self._spent < TURN_SECONDS and not self._waiting

    def spend(self, connection: Paced, seconds: float) -> None:
        """Count what was done for a connection in this turn (TURN-1)."""
        self._spent += seconds
        least = self._least - CREDIT_SECONDS
        connection.used = (connection.used if connection.used > least else least) + seconds
        if not self._is_set:
            self._is_set = True
            self._loop.call_soon(self._next)

    def wait(self, connection: Paced) -> None:
        """Let a connection wait for its turn (TURN-2)."""
        connection.used = max(connection.used, self._least - CREDIT_SECONDS)
        self._order += 1
        heappush(self._waiting, (connection.used, self._order, connection))
        if not self._is_set:
            self._is_set = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        self._is_set = False
        self._spent = 0.0
        while self._waiting and self._spent < TURN_SECONDS:
            used, _, connection = heappop(self._waiting)
            self._least = max(self._least, used)
            connection.parse_waiting()
        if self._waiting and not self._is_set:
            self._is_set = True
            self._loop.call_soon(self._next)


class Paced(asyncio.Protocol):
    """The transport's end of a connection: hands what comes to `parser` in turns."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.used = 0.0  # seconds of parsing so far
        self._parser: Parses | None = None
        self._inbox: deque[memoryview] = deque()
        self._size = 0
        self._is_waiting = False  # for a turn
        self._is_held = False  # by the parser, which wants nothing more for now
        self._is_paused = False
        self._is_out = False

    def begin(self, parser: Parses, transport: asyncio.BaseTransport) -> None:
        """Hand over to the parser."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = parser
        parser.connection_made(cast("asyncio.Transport", HeldTransport(self._transport, self)))

    # ---- called by the transport

    def data_received(self, data: bytes) -> None:
        """Parse what came, or keep it for a later turn (TURN-1)."""
        if self._is_out or self._parser is None:
            return
        if not self._inbox:
            if len(data) <= PIECE_BYTES and not self._is_held and self._turns.can_go_on():
                self._parse(data)
                return
            while len(data) > PIECE_BYTES and not self._is_held and self._turns.can_go_on():
                self._parse(data[:PIECE_BYTES])
                data = data[PIECE_BYTES:] if not self._is_out else b""
        if not data:
            return
        self._inbox.append(memoryview(data))
        self._size += len(data)
        self._go_on()
        if self._size > INBOX_BYTES_MAX and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool | None:
        """Hand on: a peer that sends nothing more doesn't wait for an answer."""
        return None if self._parser is None else self._parser.eof_received()

    def pause_writing(self) -> None:
        """Hand on."""
        if self._parser is not None:
            self._parser.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        if self._parser is not None:
            self._parser.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget what waits, and hand on."""
        self._drop()
        if self._parser is not None:
            self._parser.connection_lost(error)

    # ---- called by the parser, through its transport

    def hold(self) -> None:
        """Parse nothing more until `release`."""
        self._is_held = True
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def release(self) -> None:
        """Go on; aiohttp says so for every body, also when nothing was held."""
        if self._is_held:
            self._is_held = False
            self._go_on()

    def put_out(self) -> None:
        """Take nothing more from this peer, and close once it has taken what was written (TURN-3)."""
        if self._is_out:
            return
        self._drop()
        self._transport.pause_reading()
        self._transport.close()
        asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self._transport.abort)

    # ---- called in turns

    def parse_waiting(self) -> None:
        """Parse one piece of the waiting input."""
        self._is_waiting = False
        if self._inbox and not self._is_held:
            view = self._inbox[0]
            if len(view) > PIECE_BYTES:
                self._inbox[0] = view[PIECE_BYTES:]
                view = view[:PIECE_BYTES]
            else:
                self._inbox.popleft()
            self._size -= len(view)
            self._parse(bytes(view))
        self._go_on()

    def _go_on(self) -> None:
        """Wait for the next turn if something is left to parse; else read on."""
        if self._is_held or self._is_out:
            return
        if self._inbox and not self._is_waiting:
            self._is_waiting = True
            self._turns.wait(self)
        if self._is_paused and self._size <= INBOX_BYTES_MAX // 2:
            self._is_paused = False
            self._transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        assert self._parser is not None, "begin() comes first"
        started = perf_counter()
        self._parser.data_received(data)
        self._turns.spend(self, perf_counter() - started)

    def _drop(self) -> None:
        self._is_out = True
        self._inbox.clear()
        self._size = 0


class HeldTransport:
    """A transport as a parser sees it: when it pauses reading, input that was read already waits, too."""

    def __init__(self, transport: asyncio.Transport, paced: Paced) -> None:
        self._transport = transport
        self.connection = paced
        self.pause_reading = paced.hold
        self.resume_reading = paced.release
        self.put_out = paced.put_out
        # bound once, as they are called for every answer
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.set_write_buffer_limits = transport.set_write_buffer_limits
        self.close = transport.close
        self.abort = transport.abort

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)
