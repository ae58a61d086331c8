"""Requests straight to an API server, over kept connections: HTTP/1.1 of our own, because speed of binding is our core.

A request costs half of what it costs through a general library; docs/decisions/http-client.md has the figures.

DIRECT-1  A request is sent once: no connection that broke is answered by sending again.
DIRECT-2  Waiting for a connection is bounded, as is waiting for an answer; at most `CONNECTIONS_MAX` are open.
DIRECT-3  No header can be smuggled in: a value with a control character is refused before anything is sent.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from pvbinder.kube.connection import KeptConnection
from pvbinder.kube.errors import ConfigError
from pvbinder.kube.socks import SocksProxy
from pvbinder.kube.transport import Answer, Request

CONNECTIONS_MAX: Final = 256
KEEP_ALIVE_SECONDS: Final = (
    30.0  # less than servers keep idle connections, so that we don't write into one being closed
)
PROBES: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
_SAFE_PATH = re.compile(r"[A-Za-z0-9/:@._~-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class NoConnectionError(Exception):
    """No connection could be made; `error` is what the loop said. Nothing was sent."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class Origin:
    """The place that requests go to, from the server's URL."""

    host: str
    port: int
    prefix: str  # of every path
    host_header: str
    server_name: str | None  # for TLS; None without TLS

    @classmethod
    def of(cls, server: str, tls_server_name: str = "") -> Origin:
        """Read the URL of a server; raise `ConfigError` if it has no host or a wrong port."""
        parts = urlsplit(server)
        is_tls = parts.scheme == "https"
        try:
            port = parts.port or (443 if is_tls else 80)
        except ValueError:
            port = 0
        host = parts.hostname
        if not host or not port:
            raise ConfigError(f"the server's address {server} has no host and port that could be used")
        name = (tls_server_name or host) if is_tls else None
        return cls(host, port, parts.path.rstrip("/"), parts.netloc.rpartition("@")[2], name)


class DirectLine:
    """The connections to one server. `close` them at the end."""

    def __init__(
        self,
        origin: Origin,
        headers: tuple[tuple[str, str], ...],
        *,
        connect_seconds: float,
        socks: SocksProxy | None = None,
    ) -> None:
        """`headers` go with each request; all connections go through `socks`, if there is one."""
        self._socks = socks
        self._origin = origin
        self._fixed = f"Host: {origin.host_header}\r\n" + "".join(_header(*pair) for pair in headers)
        self._connect_seconds = connect_seconds
        self._idle: deque[KeptConnection] = deque()
        self._busy: set[KeptConnection] = set()
        self._places = asyncio.Semaphore(CONNECTIONS_MAX)
        self._context: ssl.SSLContext | None = None
        self._heads: dict[tuple[str, str, str], str] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Close all connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()

    async def send(self, request: Request, token: str, context: ssl.SSLContext | None, seconds: float) -> Answer:
        """Send `request` and return the whole answer, which may take `seconds`."""
        message = self._message(request, token)
        async with self._places:
            connection = self._take(context) or await self._connect(context)
            self._busy.add(connection)
            try:
                reader = await connection.exchange(message, seconds)
                return Answer(reader.status, reader.take(), reader.headers)
            finally:
                self._give_back(connection, context)

    @asynccontextmanager
    async def open(
        self, request: Request, token: str, context: ssl.SSLContext | None, *, head_seconds: float, seconds: float
    ) -> AsyncGenerator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        """Send `request`; give status, headers and body as it comes, for `seconds` at most."""
        message = self._message(request, token)
        async with self._places:
            connection = self._take(context) or await self._connect(context)
            self._busy.add(connection)
            try:
                reader = await connection.begin(message, head_seconds)
                async with aclosing(connection.chunks(reader, seconds)) as chunks:
                    yield reader.status, reader.headers, chunks
            finally:
                self._give_back(connection, context)

    def _message(self, request: Request, token: str) -> bytes:
        path = request.path
        target = self._origin.prefix + (path if _SAFE_PATH.fullmatch(path) else quote(path, safe="/:@"))
        if request.query:
            target += "?" + urlencode(request.query)
        body = request.body
        content_type = request.content_type if body is not None else ""
        key = (request.accept, content_type, token)
        head = self._heads.get(key)
        if head is None:
            head = self._head(*key)
        if body is not None:
            return f"{request.method} {target} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        length = "" if request.method in ("GET", "DELETE") else "Content-Length: 0\r\n"
        return f"{request.method} {target} HTTP/1.1\r\n{head}{length}\r\n".encode()

    def _head(self, accept: str, content_type: str, token: str) -> str:
        head = self._fixed + _header("Accept", accept)
        if content_type:
            head += _header("Content-Type", content_type)
        if token:
            head += _header("Authorization", f"Bearer {token}")
        if len(self._heads) > 100:  # tokens change
            self._heads.clear()
        self._heads[accept, content_type, token] = head
        return head

    # -- connections

    def _take(self, context: ssl.SSLContext | None) -> KeptConnection | None:
        """Return the connection that was used last, if it can be used again."""
        if context is not self._context:
            self._forget_all()  # they were made with another certificate
            self._context = context
        oldest = asyncio.get_running_loop().time() - KEEP_ALIVE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    def _give_back(self, connection: KeptConnection, context: ssl.SSLContext | None) -> None:
        self._busy.discard(connection)
        if not connection.is_open or connection.is_busy or context is not self._context:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(KEEP_ALIVE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close the connections that nobody has used for long."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEEP_ALIVE_SECONDS
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.popleft().close()
        self._sweeper = loop.call_later(KEEP_ALIVE_SECONDS, self._sweep) if self._idle else None

    def _forget_all(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _connect(self, context: ssl.SSLContext | None) -> KeptConnection:
        origin, loop = self._origin, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                if self._socks is None:
                    transport, connection = await loop.create_connection(
                        KeptConnection, origin.host, origin.port, ssl=context, server_hostname=origin.server_name
                    )
                else:
                    there = await self._socks.connect(origin.host, origin.port)
                    transport, connection = await loop.create_connection(
                        KeptConnection, sock=there, ssl=context, server_hostname=origin.server_name
                    )
        except (OSError, ssl.SSLError, ValueError) as error:  # TimeoutError is an OSError
            raise NoConnectionError(error) from error
        made = transport.get_extra_info("socket")
        if made is not None:
            probe(made)
        return connection


def probe(made: socket.socket) -> None:
    """Have a connection break within about a minute when the other side is gone (WIRE-7)."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in PROBES:
        if hasattr(socket, option):  # not every system has them; then the silence of a watch tells (INFORMER-13)
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)


def _header(name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise ConfigError(f"the value of the header {name} has a control character in it")
    return f"{name}: {value}\r\n"
