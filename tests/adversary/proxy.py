"""A TLS proxy for HTTP/1.1 that passes on, and breaks, each request as it is told to.

It uses the server's own certificate, so that a kubeconfig needs another port only. A server that is away is a
connection that ends, as for any proxy. It counts requests, and remembers the first list of each target as the old one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from tests.adversary.faults import (
    Delay,
    DoneBut,
    DropAfter,
    DropBefore,
    Duplicate,
    Fault,
    Freeze,
    Hang,
    Instead,
    Rewritten,
    Truncate,
    rewritten,
)

HEAD_BYTES_MAX = 64 << 10
PIECE_BYTES = 64 << 10
TOLD_MAX = 20_000


class _Ended(Exception):  # noqa: N818  (says what happened)
    """The connection to the client has to end now."""


@dataclass(frozen=True, slots=True)
class Passing:
    """A request on its way: what a schedule decides by."""

    method: str
    target: str
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_watch(self) -> bool:
        """Whether its answer is endless."""
        return "watch=true" in self.target or "watch=1" in self.target


Decide = Callable[[Passing], tuple[str, Fault] | None]


@dataclass(slots=True)
class Proxy:
    """Listens on a free port of this machine, for the server on `upstream_port`. Construct, then ``running()``."""

    pki: Path
    upstream_port: int
    decide: Decide = lambda _: None
    port: int = 0
    requests: int = 0
    by_target: Counter[str] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)
    told: deque[str] = field(default_factory=lambda: deque(maxlen=TOLD_MAX))  # the last requests and their faults
    _began: float = field(default_factory=time.monotonic)
    _old: dict[str, bytes] = field(default_factory=dict)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)
    _breaks: Fault | None = None  # the fault of every open watch
    _broken: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen until the context is left."""
        server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_side.load_cert_chain(self.pki / "server.crt", self.pki / "server.key")
        listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=server_side, limit=HEAD_BYTES_MAX)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            listener.close()
            for task in self._connections:
                task.cancel()
            if self._connections:
                await asyncio.wait(self._connections)

    def break_watches(self, fault: Fault) -> None:
        """Do this to every watch that is open now."""
        self._breaks, broken = fault, self._broken
        self._broken = asyncio.Event()
        broken.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task; it is closed even when the task is cancelled before its first step."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = _Upstream(self.pki, self.upstream_port)
        try:
            while await self._pass_one(reader, writer, upstream):
                pass
        except (_Ended, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        except asyncio.CancelledError:
            pass  # the end of the proxy; a callback of asyncio would report it otherwise
        finally:
            upstream.close()

    async def _pass_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: _Upstream) -> bool:
        """Pass on one request and its answer; False if the client has closed the connection."""
        head = await _read_head(reader)
        if not head:
            return False
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        length = int(_field(head, b"content-length") or 0)
        passing = Passing(method, target, head, await reader.readexactly(length))
        self.requests += 1
        self.by_target[f"{method} {target.partition('?')[0]}"] += 1
        chosen = self.decide(passing)
        fault: Fault | None = None
        name = ""
        if chosen is not None:
            name, fault = chosen
            self.by_fault[name] += 1
        self.told.append(f"{time.monotonic() - self._began:8.3f} {method} {target} {name}")
        match fault:
            case Instead():
                writer.write(_answer(fault))
                await writer.drain()
                return True
            case DropBefore():
                raise _Ended
            case Delay(seconds=seconds):
                await asyncio.sleep(seconds)
            case Hang(seconds=seconds):
                await asyncio.sleep(seconds)
                raise _Ended
            case Duplicate():
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    if not passing.is_watch:
                        await self._forward(passing, writer, upstream, None)
                        again = _Upstream(self.pki, self.upstream_port)
                        try:
                            await _swallow(await again.ask(passing))
                        finally:
                            again.close()
                        return True
            case DropAfter() | DoneBut() | Truncate() | Freeze() | Rewritten() | None:
                pass
            case _:
                assert_never(fault)
        await self._forward(passing, writer, upstream, fault)
        return True

    async def _forward(
        self, passing: Passing, writer: asyncio.StreamWriter, upstream: _Upstream, fault: Fault | None
    ) -> None:
        answer = await upstream.ask(passing)
        head = await _read_head(answer)
        if not head:
            raise _Ended
        if isinstance(fault, DropAfter):
            raise _Ended
        length = _field(head, b"content-length")
        if length is None:
            await self._stream(head, answer, writer, fault)
            return
        body = await answer.readexactly(int(length))
        if passing.method == "GET" and body.startswith(b"{") and b'"items"' in body[:4096]:
            self._old.setdefault(passing.target, body)
        match fault:
            case Truncate():
                writer.write(head + body[: len(body) // 2])
                await writer.drain()
                raise _Ended
            case DoneBut(answer=said) if passing.method != "GET":
                head, body = _answer(said), b""
            case Freeze(seconds=seconds):
                writer.write(head)
                await writer.drain()
                await asyncio.sleep(seconds)
                raise _Ended
            case Rewritten(how=how) if passing.method == "GET":
                body = rewritten(how, body, self._old.get(passing.target))
                head = _with_length(head, len(body))
        writer.write(head + body)
        await writer.drain()

    async def _stream(
        self, head: bytes, answer: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault | None
    ) -> None:
        """Pass on an answer in chunks, a watch as a rule, until it ends or breaks."""
        writer.write(head)
        await writer.drain()
        broken = asyncio.ensure_future(self._broken.wait())
        try:
            while True:
                reading = asyncio.ensure_future(answer.read(PIECE_BYTES))
                await asyncio.wait({reading, broken}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    reading.cancel()
                    piece = b""
                    fault = self._breaks
                else:
                    piece = reading.result()
                    if not piece:
                        raise _Ended
                match fault:
                    case Freeze(seconds=seconds):
                        await asyncio.sleep(seconds)
                        raise _Ended
                    case Truncate() | Rewritten():
                        writer.write(piece[: len(piece) // 2])
                        await writer.drain()
                        raise _Ended
                    case None | Duplicate() | Delay() | DoneBut():
                        writer.write(piece)
                        await writer.drain()
                        if piece.endswith(b"0\r\n\r\n"):
                            return
                    case _:
                        raise _Ended
        finally:
            broken.cancel()


@dataclass(slots=True)
class _Upstream:
    """The way to the real server: one connection, made anew when it has gone."""

    pki: Path
    port: int
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def ask(self, passing: Passing) -> asyncio.StreamReader:
        """Send a request, and return where its answer comes from."""
        for _ in range(2):
            if self._writer is None or self._writer.is_closing() or self._reader is None or self._reader.at_eof():
                self.close()
                context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
                self._reader, self._writer = await asyncio.open_connection(
                    "127.0.0.1", self.port, ssl=context, limit=HEAD_BYTES_MAX
                )
            try:
                self._writer.write(passing.head + passing.body)
                await self._writer.drain()
            except OSError:
                self.close()
                continue
            return self._reader
        raise _Ended

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


async def _swallow(answer: asyncio.StreamReader) -> None:
    head = await _read_head(answer)
    await answer.readexactly(int(_field(head, b"content-length") or 0))


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def _field(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _with_length(head: bytes, length: int) -> bytes:
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    lines.insert(1, b"Content-Length: %d" % length)
    return b"\r\n".join(lines)


def _answer(said: Instead) -> bytes:
    lines = [
        f"HTTP/1.1 {said.status} Said by the proxy",
        f"Content-Type: {said.content_type}",
        f"Content-Length: {len(said.body)}",
    ]
    if said.retry_after is not None:
        lines.append(f"Retry-After: {said.retry_after}")
    return "\r\n".join([*lines, "", ""]).encode() + said.body
