"""The door: takes connections in, few at a time, and shows out strangers when there are too many.

DOOR-1  In one turn of the loop at most `ACCEPTED_PER_TURN` connections are taken in, and at most `HANDSHAKES_MAX` are
        agreeing upon TLS; when so many are, a handshake of more than `HANDSHAKE_PATIENCE_SECONDS` is cut off to make
        room for the next.
DOOR-2  At most `STRANGERS_MAX` connections are open on which nobody has been recognised by a certificate or a token;
        the one that was opened first goes when there is one more. With `CONNECTIONS_MAX` open nobody is taken in.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

ACCEPTED_PER_TURN = 2
HANDSHAKES_MAX = 256
HANDSHAKE_PATIENCE_SECONDS = 5.0
STRANGERS_MAX = 512
CONNECTIONS_MAX = 20_000
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_BACKLOG_CONNECTIONS = 1024  # that wait to be accepted
_LOOK_AGAIN_SECONDS = 0.25  # whether one takes too long
_RETRY_SECONDS = 1.0  # when the system has no file descriptor left


class Door:
    """Takes connections in on the sockets of one listener. Construct, then `open`, then `close`."""

    def __init__(
        self,
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._make_protocol = make_protocol
        self._tls = tls
        self._handshake_seconds = handshake_seconds
        self._sockets: list[socket.socket] = []
        self._handshakes: dict[asyncio.Task[None], float] = {}  # with when they began, the oldest first
        self._strangers: dict[asyncio.Transport, None] = {}  # the oldest first
        self._known: set[asyncio.Transport] = set()
        self._is_listening = False
        self._alarm: asyncio.TimerHandle | None = None

    def open(self, sockets: list[socket.socket]) -> None:
        """Begin to listen."""
        self._sockets = sockets
        for listening in sockets:
            listening.setblocking(False)
        self._listen()

    async def close(self) -> None:
        """Take nobody in any more; wait until nobody is half in."""
        self._stop_listening()
        if self._alarm is not None:
            self._alarm.cancel()
        for listening in self._sockets:
            listening.close()
        self._sockets = []
        tasks = list(self._handshakes)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- open connections

    def entered(self, transport: asyncio.Transport, *, is_known: bool) -> None:
        """Count a connection that is ready for requests (DOOR-2)."""
        if is_known:
            self._known.add(transport)
            return
        self._strangers[transport] = None
        if len(self._strangers) > STRANGERS_MAX:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.abort()

    def recognised(self, transport: asyncio.Transport) -> None:
        """Note that a request of this connection came from a known user."""
        if transport in self._strangers:
            del self._strangers[transport]
            self._known.add(transport)

    def left(self, transport: asyncio.Transport) -> None:
        """Forget a connection that has ended."""
        self._strangers.pop(transport, None)
        self._known.discard(transport)
        self._listen_again()

    # ---- taking in

    def _listen(self) -> None:
        if not self._is_listening:
            self._is_listening = True
            for listening in self._sockets:
                self._loop.add_reader(listening.fileno(), self._accept, listening)

    def _stop_listening(self) -> None:
        if self._is_listening:
            self._is_listening = False
            for listening in self._sockets:
                self._loop.remove_reader(listening.fileno())

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_PER_TURN):
            if not self._has_room():
                self._stop_listening()
                self._set_alarm(_LOOK_AGAIN_SECONDS)
                return
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                self._stop_listening()
                self._set_alarm(_RETRY_SECONDS)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._take_in(connection))
            self._handshakes[task] = self._loop.time()
            task.add_done_callback(self._taken_in)

    def _has_room(self) -> bool:
        """Tell whether one more may be taken in, and make room if somebody has taken too long (DOOR-1)."""
        if len(self._known) + len(self._strangers) >= CONNECTIONS_MAX:
            return False
        if len(self._handshakes) < HANDSHAKES_MAX:
            return True
        oldest, began = next(iter(self._handshakes.items()))
        if self._loop.time() - began >= HANDSHAKE_PATIENCE_SECONDS:
            oldest.cancel()
        return False

    def _set_alarm(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(seconds, self._listen)

    def _taken_in(self, task: asyncio.Task[None]) -> None:
        del self._handshakes[task]
        self._listen_again()

    def _listen_again(self) -> None:
        if self._sockets and not self._is_listening:
            self._listen()

    async def _take_in(self, connection: socket.socket) -> None:
        # a peer that doesn't come to terms, or goes, concerns nobody: what it sent isn't worth a line of log
        with suppress(OSError, EOFError):
            await self._loop.connect_accepted_socket(
                self._make_protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_seconds if self._tls else None,
            )


async def bind(host: str, port: int, *, shares_port: bool = False) -> list[socket.socket]:
    """Return a socket that listens for each address of `host`; OSError or OverflowError if one can't be had.

    With `shares_port` others that ask for it, too, may have the same port.
    """
    loop = asyncio.get_running_loop()
    flags = socket.AI_PASSIVE
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listening = socket.socket(family, kind, protocol)
            bound.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shares_port:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.listen(_BACKLOG_CONNECTIONS)
    except BaseException:
        for listening in bound:
            listening.close()
        raise
    return bound
