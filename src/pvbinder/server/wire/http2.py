"""One connection of HTTP/2 (RFC 9113): the version that kubectl and everything on client-go asks for.

client-go sends all its requests and watches over one connection; each is a stream here, and a task of its own.

How it works: bytes come in turns (`turns`), `frames` cuts them into whole frames and counts them, and h2 makes events
of them, which `_take` hands to the streams (`http2_streams`). A stream answers in a task of its own, and sends a piece
whenever its flow-control window, the connection's and the socket all have room; what is to be written in one turn of
the loop goes to the socket at once. A connection is always in one of these states:

    state     since                                  a new stream     frames     next
    idle      its last stream has ended              is opened        are taken  a request: active; `idle_seconds`: out
    active    a request has come                     up to the bound  are taken  the last stream ends: idle
    closing   the server stops (`close`)             REFUSED_STREAM   are taken  no stream left, or GRACE_SECONDS: out
    out       a GOAWAY was written, or has come      none             dropped    the peer took it, or
                                                                                 `turns.GOODBYE_SECONDS`: lost
    lost      the socket is closed                   none             none       its last task has ended: forgotten

Idle, active and closing go to out for a peer that misbehaves (HTTP2-2), and every state to lost when the socket closes.

HTTP2-1  What `server.wire.http` promises holds here, too: bounded input and output, one stream's trouble is nobody
         else's, and a client that resets a stream or goes away takes its watch with it.
HTTP2-2  A peer that opens streams only to reset them, asks for more than `STREAMS_MAX` at once, sends what is no HTTP/2
         or frames without work (`server.wire.frames`) is told so (GOAWAY) and disconnected; nothing more of it is read.
HTTP2-3  A connection without a stream is closed after the idle time; a stream whose flow-control window stays shut for
         the write time is reset, and a connection that takes nothing for as long is closed.
HTTP2-4  A body is taken only after its head was admitted, and all that is held for it counts for all connections
         together (`server.wire.ledgers`); so do the pieces of answers that wait for a window or a socket.
HTTP2-5  Every task is a stream's, every stream a connection's, and whoever listens waits in `close` for all of them,
         also for those that began while it waited.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from email.utils import formatdate
from functools import lru_cache
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from pvbinder.server.errors import ApiError
from pvbinder.server.identity.authentication import ANONYMOUS
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.wire.frames import Flood, Frames
from pvbinder.server.wire.http2_streams import Stream
from pvbinder.server.wire.ledgers import Bodies, Receiver, Unsent
from pvbinder.server.wire.messages import (
    LINE_BYTES_MAX,
    Closable,
    Timeouts,
    compress_if_large,
    header_fields,
)
from pvbinder.server.wire.turns import HeldTransport

STREAMS_MAX = 250  # at once on one connection, as in the reference
WINDOW_BYTES = 1 << 20  # how much a client may send on a stream, and on a connection, before it is told to go on
RESETS_MAX = 1000  # of streams without an answer, more than there were answers: what a peer may do before it is put out
HELD_BYTES_MAX = 32 << 20  # bytes of bodies that haven't come whole, on one connection
GRACE_SECONDS = 2.0  # for the requests under way when the server stops
PENDING_BYTES_MAX = 64 << 10  # how much the socket may have to come before a stream waits for it
PIECE_BYTES_MAX = 16 << 10  # of an answer in one frame, however large a frame the peer would take
TABLE_BYTES_MAX = 4 << 10  # of the names and values that heads are written with, however large a table the peer allows

Handler = Callable[[ApiRequest], Awaitable[ApiResponse]]
Screen = Callable[[ApiRequest], ApiResponse | None]
_BODILESS = ("GET", "HEAD")  # whatever they bring along isn't looked at


class Http2Protocol(asyncio.Protocol):
    """Speaks HTTP/2 on one connection and hands its requests to `handle`.

    `open_connections` holds those that are open: whoever listens closes them at its end.
    """

    def __init__(
        self,
        handle: Handler,
        timeouts: Timeouts,
        open_connections: set[Http2Protocol],
        *,
        screen: Screen,
        bodies: Bodies,
        unsent: Unsent,
        recognised: Callable[[], None],
    ) -> None:
        self._handle = handle
        self._screen = screen
        self._bodies = bodies
        self.unsent = unsent
        self._recognised = recognised
        self.timeouts = timeouts
        self._open_connections = open_connections
        self._loop = asyncio.get_running_loop()
        # what is sent here is right, and checking it takes as long as writing it
        configuration = H2Configuration(
            client_side=False,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._http = H2Connection(configuration)
        self._streams: dict[int, Stream] = {}
        self._unanswered_resets = 0
        self._frames = Frames()
        self._waiting_for_window: set[Stream] = set()
        self._is_out = False
        self._is_flushing = False
        self._is_closing = False
        self.held = 0  # bytes of bodies that haven't come whole
        self._writable = asyncio.Event()
        self._writable.set()
        self._idle: asyncio.TimerHandle | None = None
        self._is_lost = False

    # ---- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what this side takes."""
        self._transport = cast("HeldTransport", transport)
        self._transport.set_write_buffer_limits(high=PENDING_BYTES_MAX)
        self._socket = Receiver(self._transport.abort)
        self._open_connections.add(self)
        self._http.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_MAX,
                SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: LINE_BYTES_MAX,
            },
        )
        self._http.initiate_connection()
        self._http.increment_flow_control_window(WINDOW_BYTES)
        self._flush()
        self._wait_for_requests()

    def data_received(self, data: bytes) -> None:
        """Take in what came, and answer what asks for no work."""
        if self._has_ended():
            return
        try:
            events = self._http.receive_data(self._frames.take(data))
        except Flood as flood:
            self._go_away(flood.code)
            return
        except Exception:  # noqa: BLE001  (h2 has written a GOAWAY if it knows what was wrong)
            self._end()
            return
        for event in events:
            self._take(event)
            if self._has_ended():
                return
        self._flush()
        # Much is unsent where the peer asks for answers (pings) but reads none.
        if self._transport.get_write_buffer_size() > 4 * PENDING_BYTES_MAX:
            self._transport.abort()

    def pause_writing(self) -> None:
        """Let the streams wait."""
        self._writable.clear()
        self.unsent.set(self._socket, self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Let the streams go on."""
        self._writable.set()
        self.unsent.set(self._socket, 0)

    def connection_lost(self, error: Exception | None) -> None:
        """Stop everything that was under way for this peer (HTTP2-1)."""
        self._is_lost = self._is_out = True
        self._writable.set()
        self.unsent.set(self._socket, 0)
        if self._idle is not None:
            self._idle.cancel()
        for stream in list(self._streams.values()):
            stream.stop()
        if not self._streams:
            self._open_connections.discard(self)

    # ---- called by whoever listens

    async def close(self) -> None:
        """Answer what is under way, say goodbye, and wait until every task of this connection has ended."""
        self._is_closing = True
        if tasks := self._tasks():
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        for stream in list(self._streams.values()):
            stream.stop()
        await asyncio.gather(*self._tasks(), return_exceptions=True)  # a body may have come whole meanwhile (HTTP2-5)
        self._go_away()
        self._open_connections.discard(self)

    def _tasks(self) -> set[asyncio.Task[None]]:
        return {stream.task for stream in self._streams.values() if stream.task is not None}

    # ---- what the peer says

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._open(event)
            case DataReceived():
                with suppress(H2Error):  # the stream may have ended
                    self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if (stream := self._streams.get(event.stream_id)) is not None:
                    stream.take(event.data)
            case StreamEnded():
                if (stream := self._streams.get(event.stream_id)) is not None:
                    stream.start()
            case StreamReset():
                self._reset_by_peer(event.stream_id)
            case WindowUpdated():
                if event.stream_id:
                    if (stream := self._streams.get(event.stream_id)) is not None:
                        stream.window.set()
                else:
                    self._window_grew()
            case RemoteSettingsChanged():
                if self._http.encoder.header_table_size > TABLE_BYTES_MAX:
                    self._http.encoder.header_table_size = TABLE_BYTES_MAX
                self._window_grew()
            case ConnectionTerminated():
                self._end()
            case _:
                pass

    def _open(self, event: RequestReceived) -> None:
        if self._is_closing:
            self._http.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)  # nothing was done: it may ask again
            return
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        stream = Stream(self, event.stream_id, cast("list[tuple[str, str]]", event.headers))
        self._streams[event.stream_id] = stream
        if event.stream_ended is not None or stream.method in _BODILESS:
            stream.start()
        else:
            stream.wait_for_body(self.timeouts.read_seconds)

    def screen(self, request: ApiRequest) -> ApiResponse | None:
        """Refuse a request by its head (HTTP2-4)."""
        return self._screen(request)

    def hold(self, count: int) -> None:
        """Hold so many bytes more for unfinished requests, or fewer; ApiError 429 if that is too much (HTTP2-4)."""
        self.held += count
        if count <= 0:
            self._bodies.take_back(-count)
            return
        self._bodies.add(count)
        if self.held > HELD_BYTES_MAX:
            message = "too many large bodies are under way on this connection"
            raise ApiError(429, "TooManyRequests", message, headers={"Retry-After": "1"})

    def _window_grew(self) -> None:
        """Let the streams look again: the connection's flow-control window has grown, or all of theirs."""
        for stream in self._waiting_for_window:
            stream.window.set()

    def _reset_by_peer(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        if not stream.is_answered:
            self._unanswered_resets += 1
        stream.stop()
        if self._unanswered_resets > RESETS_MAX:
            self._go_away(ErrorCodes.ENHANCE_YOUR_CALM)

    # ---- what the streams do

    def certificate(self) -> dict[str, object] | None:
        """Return the certificate that the peer showed, if any."""
        return cast("dict[str, object] | None", self._transport.get_extra_info("peercert"))

    def ended(self, stream: Stream) -> None:
        """Forget a stream whose task has ended."""
        self._streams.pop(stream.number, None)
        if self._is_lost:
            if not self._streams:
                self._open_connections.discard(self)
        elif not self._streams:
            self._wait_for_requests()

    async def answer(self, stream: Stream, request: ApiRequest) -> None:
        """Have a request handled, and send the answer."""
        response = await self._handle(request)
        if request.is_admitted and request.user is not None and request.user.name != ANONYMOUS.name:
            self._recognised()
        async with AsyncExitStack() as stack:
            await compress_if_large(request, response)
            if response.stream is not None:
                await stack.enter_async_context(aclosing(cast("Closable", response.stream)))
            has_body = request.method != "HEAD"
            del request  # a slow reader isn't to hold what it has sent
            await self.send(stream, response, has_body=has_body)

    async def send(self, stream: Stream, response: ApiResponse, *, has_body: bool = True) -> None:
        """Send an answer, however long it is, at the speed of its reader."""
        fields = [(":status", str(response.status)), *((name.lower(), text) for name, text in header_fields(response))]
        fields.append(("date", _date(int(time.time()))))
        if response.stream is None:
            fields.append(("content-length", str(len(response.body))))
        elif response.length is not None:
            fields.append(("content-length", str(response.length)))
        stream.is_answered = True
        self._frames.answered()
        self._unanswered_resets = max(0, self._unanswered_resets - 1)
        is_whole = response.stream is None and not (response.body and has_body)
        self._http.send_headers(stream.number, fields, end_stream=is_whole)
        if response.stream is not None:
            self._flush_soon()
            if has_body:
                with self.unsent.reader(stream.stop) as reader:
                    async for chunk in response.stream:
                        await self._send_data(stream, reader, chunk, ends=False)
            self._http.end_stream(stream.number)
        elif not is_whole:
            with self.unsent.reader(stream.stop) as reader:
                await self._send_data(stream, reader, response.body, ends=True)
        self._flush_soon()

    async def _send_data(self, stream: Stream, reader: Receiver, data: bytes, *, ends: bool) -> None:
        """Send `data` as the windows allow (HTTP2-3)."""
        number = stream.number
        rest = memoryview(data)
        while rest:
            if not self._writable.is_set():
                self.unsent.set(reader, len(rest))
                await self._wait_for_socket()
            size = min(self._http.local_flow_control_window(number), self._http.max_outbound_frame_size)
            size = min(size, PIECE_BYTES_MAX, len(rest))
            if size <= 0:
                self.unsent.set(reader, len(rest))
                await self._wait_for_window(stream)
                continue
            piece, rest = rest[:size], rest[size:]
            self._http.send_data(number, piece.tobytes(), end_stream=ends and not rest)
            self._frames.sent()
            if rest:
                self._flush()  # so that it is known whether the socket keeps up
        self.unsent.set(reader, 0)
        self._flush_soon()

    async def _wait_for_window(self, stream: Stream) -> None:
        self._waiting_for_window.add(stream)
        stream.window.clear()
        try:
            async with asyncio.timeout(self.timeouts.write_seconds):
                await stream.window.wait()
        finally:
            self._waiting_for_window.discard(stream)

    async def _wait_for_socket(self) -> None:
        try:
            while not self._writable.is_set():
                async with asyncio.timeout(self.timeouts.write_seconds):
                    await self._writable.wait()
        except TimeoutError:
            self._transport.abort()  # it takes nothing, for no stream
            raise

    def reset(self, stream: Stream, code: ErrorCodes) -> None:
        """End a stream that can't be answered (any more)."""
        with suppress(H2Error):  # it has ended, all of it
            self._http.reset_stream(stream.number, code)
        self._flush_soon()

    def _flush_soon(self) -> None:
        """Write at the end of this turn of the loop: streams that are answered in one turn share a packet."""
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        data = self._http.data_to_send()
        if data and not self._is_out:
            self._transport.write(data)

    def _wait_for_requests(self) -> None:
        self._idle = self._loop.call_later(self.timeouts.idle_seconds, self._go_away)

    def _go_away(self, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Say GOAWAY, and take nothing more."""
        if self._is_out:
            return
        with suppress(H2Error):  # the peer may have closed it itself
            self._http.close_connection(code)
        self._end()

    def _has_ended(self) -> bool:
        return self._is_out

    def _end(self) -> None:
        """Write what is to be said last, and take nothing more (HTTP2-2)."""
        if self._is_out:
            return
        self._flush()
        self._is_out = True
        self._transport.put_out()
        for stream in list(self._streams.values()):
            stream.stop()


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
