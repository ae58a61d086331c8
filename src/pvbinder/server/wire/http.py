"""The listener: HTTP/1.1, and over TLS HTTP/2 for clients that prefer it, between sockets and the dispatcher.

LISTENER-1  Bounded input: a body has at most `BODY_BYTES_MAX` bytes (413), a header field and the request line
            `LINE_BYTES_MAX`; a request must be sent whole within `read_seconds`, and a connection on which nothing is
            asked is closed.
LISTENER-2  Bounded output: at most one chunk more than the socket takes is kept for a reader, and one that takes
            nothing for `write_seconds` is disconnected; all readers together are bounded, too (`server.wire.ledgers`).
LISTENER-3  One connection's trouble is nobody else's: a request that can't be parsed is answered 400 and its connection
            closed.
LISTENER-4  A client that goes away takes its watch with it; a write that has begun goes on.
LISTENER-5  A body is taken as it came, without regard to its Content-Encoding: nothing is unpacked, as in the
            reference.
LISTENER-6  Nobody's body is taken before `screen` has admitted its head, and none at all with GET and HEAD; a head has
            at most `HEAD_BYTES_MAX`, all its fields together.
LISTENER-7  Connections share the loop fairly, known or not (`server.wire.turns`), and are bounded in number
            (`server.wire.door`).
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import ssl
from asyncio import sslproto
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, cast

from aiohttp import HttpVersion11, web

from pvbinder import logs
from pvbinder.model.errors import PvbinderError
from pvbinder.server.api.negotiation import error_response
from pvbinder.server.errors import ApiError, bad_request
from pvbinder.server.identity.authentication import ANONYMOUS
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.wire.door import Door, bind
from pvbinder.server.wire.ledgers import Bodies, Unsent
from pvbinder.server.wire.messages import (
    BODY_BYTES_MAX,
    LINE_BYTES_MAX,
    Closable,
    Timeouts,
    body_too_large,
    compress_if_large,
    header_fields,
    join_fields,
    read_target,
    too_slow,
)
from pvbinder.server.wire.turns import Paced, Turns
from pvbinder.server.wire.usual_answers import UsualAnswer, is_usual

if TYPE_CHECKING:
    from pvbinder.server.wire.http2 import Http2Protocol

HTTP2 = "h2"  # as TLS calls it (RFC 7301)
PIECE_BYTES = 64 << 10  # of a body, handed to the socket at once
PENDING_BYTES_MAX = 64 << 10  # the unsent bytes of a watch beyond which its reader must have taken something
HEAD_BYTES_MAX = 128 << 10
LINGER_SECONDS = 2.0  # to read the rest of a refused body
FILES_MAX = 65536
TLS_BUFFER_BYTES = 16 << 10  # the size of a TLS record: a read never gives more
_GONE = ("socket.send() raised exception.", "SSL connection is closed")  # said by both loops for each write
_BODILESS = ("GET", "HEAD")  # methods whose body isn't read
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (how to reach who listens everywhere)

Handler = Callable[[ApiRequest], Awaitable[ApiResponse]]
Screen = Callable[[ApiRequest], ApiResponse | None]


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
        screen: Screen | None = None,
        shares_port: bool = False,
    ) -> None:
        """Listen for `handle`; `screen` refuses a request from its head, as the handler would (LISTENER-6).

        With `shares_port` other processes that ask for it, too, may listen on the same port.
        """
        self._shares_port = shares_port
        self._handle = handle
        self._screen = screen or _admit_all
        self._host = host
        self._tls = tls
        self._timeouts = timeouts or Timeouts()
        self.port = port  # the real one once it listens

    async def __aenter__(self) -> Listener:
        logs.leave_out("asyncio", *_GONE)
        _allow_many_connections()
        # asyncio fills a buffer of this size for each TLS connection at its start; at its default of 256 KiB, 10 000
        # idle connections would hold 2.6 GB
        sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
        self._web = web.Server(
            self._serve,
            handler_cancellation=True,
            logger=logs.silent(f"{__name__}.wire"),  # aiohttp's: a traceback for each malformed request
            access_log=None,
            keepalive_timeout=self._timeouts.idle_seconds,
            lingering_time=LINGER_SECONDS,
            read_bufsize=PIECE_BYTES,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
            auto_decompress=False,  # LISTENER-5
        )
        self._http2: set[Http2Protocol] = set()
        self._turns = Turns()
        self._bodies = Bodies()
        self._unsent = Unsent()
        self._door = Door(self._protocol, tls=self._tls, handshake_seconds=self._timeouts.handshake_seconds)
        try:
            sockets = await bind(self._host, self.port, shares_port=self._shares_port)
        except (OSError, OverflowError) as error:
            is_busy = getattr(error, "errno", None) == errno.EADDRINUSE
            raise ListenError(
                f"can't listen on {self._host} port {self.port}: {getattr(error, 'strerror', None) or error}",
                hint="choose another port with --port, or 0 for any that is free"
                if is_busy
                else "choose an address of this machine with --host, and a port that you may use with --port",
            ) from error
        self.port = sockets[0].getsockname()[1]
        self._door.open(sockets)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._door.close()
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
        return Connection(self._turns, self._door, self._parser_of, write_seconds=self._timeouts.write_seconds)

    def _parser_of(self, connection: Connection, *, is_http2: bool) -> Any:
        if not is_http2:
            return self._web()
        from pvbinder.server.wire.http2 import Http2Protocol  # where a client asks for it

        return Http2Protocol(
            self._handle,
            self._timeouts,
            self._http2,
            screen=self._screen,
            bodies=self._bodies,
            unsent=self._unsent,
            recognised=connection.recognised,
        )

    async def _serve(self, incoming: web.BaseRequest) -> web.StreamResponse:
        transport = incoming.transport
        connection: Connection | None = None
        has_body = incoming.body_exists
        if transport is not None:
            connection = cast("Any", transport).connection
            connection.begins(incoming.content if has_body else None)
        try:
            request = self._read_head(incoming)
            if has_body and request.method not in _BODILESS:
                refusal = self._screen(request)
                if refusal is not None:
                    return _plain(refusal)
                request.body = await self._read_body(incoming)
        except ApiError as error:
            request = ApiRequest(incoming.method, "/", headers={"accept": incoming.headers.get("Accept", "")})
            return _plain(error_response(request, error), closes=error.code == 408)
        response = await self._handle(request)
        if connection is not None and not connection.is_known and is_known(request):
            connection.recognised()
        await compress_if_large(request, response)
        if response.stream is not None:
            return await self._send_stream(incoming, response, response.stream)
        if len(response.body) > PIECE_BYTES:
            return await self._send_pieces(incoming, response)
        return UsualAnswer(response) if is_usual(incoming, response) else _plain(response)

    def _read_head(self, incoming: web.BaseRequest) -> ApiRequest:
        """Read the head of a request (LISTENER-1)."""
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
            takes_chunks=True,
            headers=headers,
            client_certificate=transport.get_extra_info("peercert") if transport is not None else None,
            repeated=repeated,
        )

    async def _read_body(self, incoming: web.BaseRequest) -> bytes:
        length = incoming.content_length
        if length is not None and length > BODY_BYTES_MAX:
            raise body_too_large()
        if incoming.headers.get("Expect", "").lower() == "100-continue":
            assert incoming.transport is not None
            incoming.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = bytearray()  # of its own size, however small the chunks are that it comes in
        content = incoming.content
        held = 0
        try:
            if content.is_eof() and content.total_bytes <= BODY_BYTES_MAX:  # it came with the head, as most do
                return content.read_nowait()
            async with asyncio.timeout(self._timeouts.read_seconds):
                while chunk := await content.readany():
                    held += len(chunk)
                    if held > BODY_BYTES_MAX:
                        self._bodies.add(len(chunk))
                        raise body_too_large()
                    self._bodies.add(len(chunk))
                    body += chunk
        except TimeoutError as error:
            raise too_slow() from error
        except (web.RequestPayloadError, ValueError) as error:
            raise bad_request(f"the body of the request can't be read: {error}") from error
        finally:
            self._bodies.take_back(held)
        return bytes(body)

    async def _send_pieces(self, incoming: web.BaseRequest, response: ApiResponse) -> web.StreamResponse:
        """Send a large body piece by piece: a reader that stops must not hold all of it (LISTENER-2)."""
        outgoing = web.StreamResponse(status=response.status)
        _set_headers(outgoing, response)
        outgoing.content_length = len(response.body)
        body = memoryview(response.body)
        with self._unsent.reader(_abort(incoming)) as reader:
            try:
                await outgoing.prepare(incoming)
                for start in range(0, len(body), PIECE_BYTES):
                    self._unsent.set(reader, len(body) - start)
                    async with asyncio.timeout(self._timeouts.write_seconds):
                        await outgoing.write(body[start : start + PIECE_BYTES])
            except TimeoutError:
                if incoming.transport is not None:
                    incoming.transport.abort()
            except ConnectionError:
                pass  # the reader has gone
        return outgoing

    async def _send_stream(
        self, incoming: web.BaseRequest, response: ApiResponse, stream: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        """Send a watch or a long document chunk by chunk (LISTENER-2, LISTENER-4)."""
        outgoing = web.StreamResponse(status=response.status)
        _set_headers(outgoing, response)
        is_chunked = response.length is None
        if response.length is not None:
            outgoing.content_length = response.length
        elif incoming.version >= HttpVersion11:
            outgoing.enable_chunked_encoding()
        else:
            is_chunked = False
            outgoing.force_close()
        async with aclosing(cast("Closable", stream)):
            with self._unsent.reader(_abort(incoming)) as reader:
                try:
                    await outgoing.prepare(incoming)
                    writer = incoming.writer
                    # Chunks are framed here and go straight to the transport: with hundreds of watchers of one kind,
                    # what is done for each event and watcher is all that counts. Nothing waits, so nothing needs a
                    # timeout, until as much is pending as aiohttp would take before it asked whether the socket keeps
                    # up.
                    async for chunk in stream if incoming.method != "HEAD" else _nothing():
                        transport = incoming.transport
                        if transport is None or transport.is_closing():
                            break
                        transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if is_chunked else chunk)
                        pending = transport.get_write_buffer_size()
                        if pending > PENDING_BYTES_MAX:
                            self._unsent.set(reader, pending)
                            async with asyncio.timeout(self._timeouts.write_seconds):
                                await writer.drain()
                            self._unsent.set(reader, 0)
                    if not is_chunked:
                        writer.length = 0  # it was all written, past aiohttp
                except TimeoutError:
                    if incoming.transport is not None:
                        incoming.transport.abort()
                except ConnectionError:
                    pass  # the reader has gone
        return outgoing


class Content(Protocol):
    """A body that comes."""

    def is_eof(self) -> bool:
        """Tell whether it has come whole."""
        ...


class Connection(Paced):
    """A new connection: it becomes one of the version of HTTP that was agreed upon with TLS.

    The system closes it when its peer takes nothing for too long (LISTENER-2).
    """

    def __init__(self, turns: Turns, door: Door, parser_of: Callable[..., Any], *, write_seconds: float) -> None:
        super().__init__(turns)
        self._door = door
        self._parser_of = parser_of
        self._write_milliseconds = max(1, int(write_seconds * 1000))
        self._unclaimed = 0  # bytes that came since the last request began
        self._counts = False
        self.is_known = False
        self._content: Content | None = None  # the body of the request under way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection over."""
        connection = transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._write_milliseconds)
        tls = transport.get_extra_info("ssl_object")
        is_http2 = tls is not None and tls.selected_alpn_protocol() == HTTP2
        self._counts = not is_http2
        self.is_known = bool(transport.get_extra_info("peercert"))
        self._door.entered(cast("asyncio.Transport", transport), is_known=self.is_known)
        self.begin(self._parser_of(self, is_http2=is_http2), transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Hand on."""
        self._door.left(self._transport)
        super().connection_lost(error)

    def begins(self, content: Content | None) -> None:
        """Hear that a request has been taken: what comes after its body is the next one's head (LISTENER-6)."""
        self._unclaimed = 0
        self._content = content

    def recognised(self) -> None:
        """Note that a request came from a known user."""
        if not self.is_known:
            self.is_known = True
            self._door.recognised(self._transport)

    def _parse(self, data: bytes) -> None:
        if self._counts and (self._content is None or self._content.is_eof()):
            self._unclaimed += len(data)
            if (
                self._unclaimed > HEAD_BYTES_MAX + PIECE_BYTES
            ):  # the part of a body that came before its head was screened counts, too
                self._transport.write(_HEAD_TOO_LARGE)
                self.put_out()
                return
        super()._parse(data)


_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def is_known(request: ApiRequest) -> bool:
    """Tell whether a known user has made a request on the connection."""
    return request.is_admitted and request.user is not None and request.user.name != ANONYMOUS.name


def _admit_all(_: ApiRequest) -> ApiResponse | None:
    return None


def _abort(incoming: web.BaseRequest) -> Callable[[], None]:
    def abort() -> None:
        if incoming.transport is not None:
            incoming.transport.abort()

    return abort


async def _nothing() -> AsyncIterator[bytes]:
    empty: tuple[bytes, ...] = ()
    for chunk in empty:
        yield chunk


def _allow_many_connections() -> None:
    """Take as many file descriptors as this process may have, up to a point: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
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
