"""The listener: HTTP/1.1, and over TLS HTTP/2 for who prefers it, between sockets and the dispatcher.

LISTENER-1  Bounded input: a body has at most `BODY_LIMIT` bytes (413), a header field and the request line
            `LINE_LIMIT`; a request must be sent whole within `read_seconds`, and a connection on which nothing is asked
            is closed.
LISTENER-2  Bounded output: at most one chunk more than the socket takes is kept for a reader, and one that takes
            nothing for `write_seconds` is disconnected.
LISTENER-3  One connection's trouble is nobody else's: what can't be parsed is answered 400 and closed.
LISTENER-4  A client that goes away takes its watch with it; a write that has begun goes on.
LISTENER-5  A body is taken as it came, whatever its Content-Encoding says: nothing is unpacked, as in the reference.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import ssl
from asyncio import sslproto
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, cast

from aiohttp import web

from pvbinder.model.errors import PvbinderError
from pvbinder.server.dispatch import error_response
from pvbinder.server.errors import ApiError, bad_request
from pvbinder.server.messages import (
    BODY_LIMIT,
    LINE_LIMIT,
    Timeouts,
    compress_if_large,
    header_fields,
    join_fields,
    read_target,
    too_large,
    too_slow,
)
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.usual_answers import UsualAnswer, is_usual

if TYPE_CHECKING:
    from pvbinder.server.http2 import Http2Protocol

HTTP2 = "h2"  # as TLS calls it (RFC 7301)
PIECE = 256 << 10  # how much of a body is handed to the socket at once
PENDING = 64 << 10  # how much a reader of a watch may have to come before we look whether it reads
MOST_FILES = 65536
TLS_BUFFER = 16 << 10  # as much as a record of TLS holds: more is never read at once
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (how to reach who listens everywhere)

Handler = Callable[[ApiRequest], Awaitable[ApiResponse]]


class ListenError(PvbinderError):
    """The address can't be listened on."""


class Listener:
    """Listens on one address and hands requests to `handle`. Construct, then ``async with``."""

    def __init__(
        self,
        handle: Handler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._handle = handle
        self._host = host
        self._tls = tls
        self._timeouts = timeouts or Timeouts()
        self.port = port  # the real one once it listens

    async def __aenter__(self) -> Listener:
        quiet = logging.getLogger(f"{__name__}.wire")  # aiohttp's own: a traceback for each malformed request
        quiet.setLevel(logging.CRITICAL + 1)
        _allow_many_connections()
        # asyncio fills a buffer of this size for each TLS connection at its start; at its default of 256 KiB, 10 000
        # idle connections would hold 2.6 GB
        sslproto.SSLProtocol.max_size = TLS_BUFFER
        self._web = web.Server(
            self._serve,
            handler_cancellation=True,
            logger=quiet,
            access_log=None,
            keepalive_timeout=self._timeouts.idle_seconds,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
            auto_decompress=False,  # LISTENER-5
        )
        self._http2: set[Http2Protocol] = set()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._protocol,
                self._host,
                self.port,
                ssl=self._tls,
                ssl_handshake_timeout=self._timeouts.handshake_seconds if self._tls else None,
                backlog=1024,
            )
        except (OSError, OverflowError) as error:
            is_busy = getattr(error, "errno", None) == errno.EADDRINUSE
            raise ListenError(
                f"can't listen on {self._host} port {self.port}: {getattr(error, 'strerror', None) or error}",
                hint="choose another port with --port, or 0 for any that is free"
                if is_busy
                else "choose an address of this machine with --host, and a port that you may use with --port",
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        async with asyncio.TaskGroup() as tasks:
            for connection in list(self._http2):
                tasks.create_task(connection.close())
            tasks.create_task(self._web.shutdown(timeout=2.0))

    @property
    def url(self) -> str:
        """The address as a client writes it."""
        scheme = "https" if self._tls else "http"
        host = _LOOPBACK_OF.get(self._host, self._host)
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    def _protocol(self) -> asyncio.Protocol:
        return _Negotiated(self._web, self._make_http2, write_seconds=self._timeouts.write_seconds)

    def _make_http2(self) -> asyncio.Protocol:
        from pvbinder.server.http2 import Http2Protocol  # where a client asks for it

        return Http2Protocol(self._handle, self._timeouts, self._http2)

    async def _serve(self, incoming: web.BaseRequest) -> web.StreamResponse:
        try:
            request = await self._read(incoming)
        except ApiError as error:
            request = ApiRequest(incoming.method, "/", headers={"accept": incoming.headers.get("Accept", "")})
            return _plain(error_response(request, error), closes=error.code == 408)
        response = await self._handle(request)
        if response.stream is not None:
            return await self._send_stream(incoming, response, response.stream)
        await compress_if_large(request, response)
        if len(response.body) > PIECE:
            return await self._send_pieces(incoming, response)
        return UsualAnswer(response) if is_usual(incoming, response) else _plain(response)

    async def _read(self, incoming: web.BaseRequest) -> ApiRequest:
        """Read a request whole (LISTENER-1)."""
        path, query = read_target(incoming.raw_path)
        headers = {name.lower(): value for name, value in incoming.headers.items()}
        repeated: dict[str, tuple[str, ...]] = {}
        if len(headers) != len(incoming.headers):
            headers, repeated = join_fields(incoming.headers.items())
        transport = incoming.transport
        return ApiRequest(
            method=incoming.method,
            path=path,
            query=query,
            headers=headers,
            body=await self._read_body(incoming) if incoming.body_exists else b"",
            client_certificate=transport.get_extra_info("peercert") if transport is not None else None,
            repeated=repeated,
        )

    async def _read_body(self, incoming: web.BaseRequest) -> bytes:
        length = incoming.content_length
        if length is not None and length > BODY_LIMIT:
            raise too_large()
        if incoming.headers.get("Expect", "").lower() == "100-continue":
            assert incoming.transport is not None
            incoming.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunks: list[bytes] = []
        size = 0
        content = incoming.content
        try:
            if content.is_eof() and content.total_bytes <= BODY_LIMIT:  # it came with the head, as most do
                return content.read_nowait()
            async with asyncio.timeout(self._timeouts.read_seconds):
                while chunk := await content.readany():
                    size += len(chunk)
                    if size > BODY_LIMIT:
                        raise too_large()
                    chunks.append(chunk)
        except TimeoutError as error:
            raise too_slow() from error
        except (web.RequestPayloadError, ValueError) as error:
            raise bad_request(f"the body of the request can't be read: {error}") from error
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _send_pieces(self, incoming: web.BaseRequest, response: ApiResponse) -> web.StreamResponse:
        """Send a large body piece by piece, so that a reader who stops holds it no longer than need be (LISTENER-2)."""
        outgoing = web.StreamResponse(status=response.status)
        _set_headers(outgoing, response)
        outgoing.content_length = len(response.body)
        body = memoryview(response.body)
        try:
            await outgoing.prepare(incoming)
            for start in range(0, len(body), PIECE):
                async with asyncio.timeout(self._timeouts.write_seconds):
                    await outgoing.write(body[start : start + PIECE])
        except TimeoutError:
            if incoming.transport is not None:
                incoming.transport.abort()
        except ConnectionError:
            pass  # the reader has gone
        return outgoing

    async def _send_stream(
        self, incoming: web.BaseRequest, response: ApiResponse, stream: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        """Send a watch chunk by chunk (LISTENER-2, LISTENER-4)."""
        outgoing = web.StreamResponse(status=response.status)
        _set_headers(outgoing, response)
        outgoing.enable_chunked_encoding()
        async with aclosing(cast("_Closable", stream)):
            try:
                await outgoing.prepare(incoming)
                writer = incoming.writer
                # Chunks are framed here and go straight to the transport: with hundreds of watchers of one kind, what
                # is done for each event and watcher is all that counts. Nothing waits, so nothing needs a timeout,
                # until as much is pending as aiohttp would take before it asked whether the socket keeps up.
                async for chunk in stream:
                    transport = incoming.transport
                    if transport is None or transport.is_closing():
                        break
                    transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                    if transport.get_write_buffer_size() > PENDING:
                        async with asyncio.timeout(self._timeouts.write_seconds):
                            await writer.drain()
            except TimeoutError:
                if incoming.transport is not None:
                    incoming.transport.abort()
            except ConnectionError:
                pass  # the reader has gone
        return outgoing


class _Closable(AsyncIterator[bytes]):
    async def aclose(self) -> None:
        """Stop."""


class _Negotiated(asyncio.Protocol):
    """A new connection: it becomes one of the version of HTTP that was agreed upon with TLS.

    The system closes it when its peer takes nothing for too long (LISTENER-2).
    """

    def __init__(
        self, http1: Callable[[], asyncio.Protocol], http2: Callable[[], asyncio.Protocol], *, write_seconds: float
    ) -> None:
        self._http1 = http1
        self._http2 = http2
        self._write_milliseconds = max(1, int(write_seconds * 1000))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection over."""
        connection = transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._write_milliseconds)
        tls = transport.get_extra_info("ssl_object")
        is_http2 = tls is not None and tls.selected_alpn_protocol() == HTTP2
        protocol = self._http2() if is_http2 else self._http1()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def _allow_many_connections() -> None:
    """Take as many file descriptors as this process may have, up to a point: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _plain(response: ApiResponse, *, closes: bool = False) -> web.Response:
    outgoing = web.Response(status=response.status, body=response.body)
    _set_headers(outgoing, response)
    if closes:
        outgoing.force_close()
    return outgoing


def _set_headers(outgoing: web.StreamResponse, response: ApiResponse) -> None:
    headers = outgoing.headers
    for name, value in header_fields(response):
        if name == "Warning":
            headers.add(name, value)  # there may be several
        else:
            headers[name] = value
