"""Hostile peers, and a witness that sends requests beside them, on real sockets with TLS."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import hpack
from tests.processor import hold
from tests.server.child import ServerProcess

MEMORY_MIB_MAX = 512
CONNECTIONS_PER_SECOND = 50
DELAY_SECONDS_MAX = 0.25  # of the server's processor, for a GET beside them
PATIENCE_SECONDS = 60.0
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def head(method: str, path: str, **fields: str) -> bytes:
    """Return a block of header fields as HPACK has it."""
    named = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "x")]
    return hpack.Encoder().encode(named + [(name.replace("_", "-"), text) for name, text in fields.items()])


@functools.cache
def trusting_all(*versions: str) -> ssl.SSLContext:
    """TLS for a client that offers these versions of HTTP and checks no certificate.

    It is made once, and without the authorities of this machine: to load them takes 22 ms and a megabyte, and attackers
    connect thousands of times.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    tls.set_alpn_protocols(versions)
    return tls


@asynccontextmanager
async def connected(
    port: int, version: str = "h2", *, limit: int = 1 << 16
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting_all(version), limit=limit)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@dataclass(slots=True)
class Witness:
    """A client with credentials that asks for one object at a time, on a connection of its own.

    It asks from a thread, so that the load of the attackers' loop doesn't count.
    """

    server: ServerProcess
    connection: ssl.SSLSocket
    delays: list[float] = field(default_factory=list)

    async def ask(self, path: str = "/api/v1/namespaces/default") -> None:
        """Ask once; count the processor time that the server takes until it has answered."""
        raw = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.server.token}\r\n\r\n".encode()
        self.delays.append(await asyncio.to_thread(self._ask, raw))

    def _ask(self, raw: bytes) -> float:
        before = self.server.cpu_seconds
        self.connection.sendall(raw)
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = self.connection.recv(1 << 16)
            if not piece:
                raise EOFError("the server has closed")
            answer += piece
        seconds = self.server.cpu_seconds - before
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(body)
        while left:
            left -= len(self.connection.recv(left))
        return seconds

    def check(self) -> None:
        """Fail if the server's memory is over its bound, or an answer took too much of its processor."""
        assert self.server.peak_mib < MEMORY_MIB_MAX
        hold(max(self.delays), DELAY_SECONDS_MAX, f"GETs of the witness: {self.delays}")


@asynccontextmanager
async def witness(server: ServerProcess) -> AsyncGenerator[Witness]:
    def connect() -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS)
        try:
            return trusting_all().wrap_socket(plain)
        except BaseException:
            plain.close()
            raise

    with await asyncio.to_thread(connect) as connection:
        seen = Witness(server, connection)
        await seen.ask()
        seen.delays.clear()
        yield seen


@dataclass(slots=True)
class Attackers:
    """The attackers at work; `all_began` is set when each has begun."""

    begun: int = 0
    all_began: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def beside(attack: Callable[[], Awaitable[None]], count: int) -> AsyncGenerator[Attackers]:
    """Have `count` attackers at work while the context is open, each anew when its connection has ended.

    Together they connect `CONNECTIONS_PER_SECOND` times a second at most: a flood of handshakes is another attack,
    which isn't tried here.
    """
    attackers = Attackers()

    async def again(number: int) -> None:
        await asyncio.sleep(number / CONNECTIONS_PER_SECOND)
        while True:
            attackers.begun += 1
            if attackers.begun == count:
                attackers.all_began.set()
            with suppress(OSError, EOFError):
                await attack()
            await asyncio.sleep(count / CONNECTIONS_PER_SECOND)

    tasks = [asyncio.create_task(again(number)) for number in range(count)]
    try:
        yield attackers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def pour(writer: asyncio.StreamWriter, pieces: Iterator[bytes] | list[bytes]) -> None:
    """Write all of it, as fast as it is taken."""
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
