"""One connection of HTTP/2 (RFC 9113): the version that kubectl and everything on client-go asks for.

client-go sends all its requests and watches over one connection; each is a stream here, and a task of its own.

HTTP2-1  What `server.http` promises holds here, too: bounded input and output, one stream's trouble is nobody else's,
         and a client that resets a stream or goes away takes its watch with it.
HTTP2-2  A peer that opens streams only to reset them, asks for more than `STREAMS` at once, or sends what is no HTTP/2
         is told so (GOAWAY) and disconnected.
HTTP2-3  A connection without a stream is closed after the idle time; a stream whose reader gives it no room for the
         write time is reset, and a connection that takes nothing for as long is closed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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

_LOG = logging.getLogger(__name__)

STREAMS = 250  # at once on one connection, as in the reference
WINDOW = 1 << 20  # how much a client may send on a stream, and on a connection, before it is told to go on
RESETS = 1000  # of streams without an answer, more than there were answers: what a peer may do before it is put out
HELD = 32 << 20  # bytes of bodies that haven't come whole, on one connection
GRACE_SECONDS = 2.0  # for the requests under way when the server stops
UNFINISHED = 2 << 20  # bytes without the end of a frame, or of a head
PENDING = 256 << 10  # how much the socket may have to come before a stream waits for it

Handler = Callable[[ApiRequest], Awaitable[ApiResponse]]


class Http2Protocol(asyncio.Protocol):
    """Speaks HTTP/2 on one connection and hands its requests to `handle`.

    `open_connections` holds those that are open: whoever listens closes them at its end.
    """

    def __init__(self, handle: Handler, timeouts: Timeouts, open_connections: set[Http2Protocol]) -> None:
        self._handle = handle
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
        self._streams: dict[int, _Stream] = {}
        self._unanswered_resets = 0
        self._unfinished = 0
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
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=PENDING)
        self._open_connections.add(self)
        self._http.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS,
                SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: LINE_LIMIT,
            },
        )
        self._http.initiate_connection()
        self._http.increment_flow_control_window(WINDOW)
        self._flush()
        self._wait_for_requests()

    def data_received(self, data: bytes) -> None:
        """Take in what came, and answer what asks for no work."""
        try:
            events = self._http.receive_data(data)
        except Exception:  # noqa: BLE001  (h2 has written a GOAWAY if it knows what was wrong)
            self._flush()
            self._transport.close()
            return
        self._unfinished = 0 if events else self._unfinished + len(data)
        if self._unfinished > UNFINISHED:  # h2 would wait for the end of a frame that is larger than it takes
            self._put_out(ErrorCodes.FRAME_SIZE_ERROR)
            return
        for event in events:
            self._take(event)
        self._flush()
        if self._transport.get_write_buffer_size() > 4 * PENDING:  # it asks for answers (pings) but reads none
            self._transport.abort()

    def pause_writing(self) -> None:
        """Let the streams wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let the streams go on."""
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Stop everything that was under way for this peer (HTTP2-1)."""
        self._is_lost = True
        self._writable.set()
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
        tasks = {stream.task for stream in self._streams.values() if stream.task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        for stream in list(self._streams.values()):
            stream.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._put_out()
        self._open_connections.discard(self)

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
                        stream.room.set()
                else:
                    self._make_room()
            case RemoteSettingsChanged():
                self._make_room()
            case ConnectionTerminated():
                self._transport.close()
            case _:
                pass

    def _open(self, event: RequestReceived) -> None:
        if self._is_closing:
            self._http.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)  # nothing was done: it may ask again
            return
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        stream = _Stream(self, event.stream_id, cast("list[tuple[str, str]]", event.headers))
        self._streams[event.stream_id] = stream
        if event.stream_ended is None:
            stream.wait_for_body(self.timeouts.read_seconds)
        else:
            stream.start()

    def _make_room(self) -> None:
        for stream in self._streams.values():
            stream.room.set()

    def _reset_by_peer(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        if not stream.is_answered:
            self._unanswered_resets += 1
        stream.stop()
        if self._unanswered_resets > RESETS:
            self._put_out(ErrorCodes.ENHANCE_YOUR_CALM)

    # ---- what the streams do

    def certificate(self) -> dict[str, object] | None:
        """Return the certificate that the peer showed, if any."""
        return cast("dict[str, object] | None", self._transport.get_extra_info("peercert"))

    def ended(self, stream: _Stream) -> None:
        """Forget a stream whose task has ended."""
        self._streams.pop(stream.number, None)
        if self._is_lost:
            if not self._streams:
                self._open_connections.discard(self)
        elif not self._streams:
            self._wait_for_requests()

    async def answer(self, stream: _Stream, request: ApiRequest) -> None:
        """Have a request handled, and send the answer."""
        response = await self._handle(request)
        async with AsyncExitStack() as stack:
            if response.stream is not None:
                await stack.enter_async_context(aclosing(cast("_Closable", response.stream)))
            else:
                await compress_if_large(request, response)
            await self.send(stream, response, has_body=request.method != "HEAD")

    async def send(self, stream: _Stream, response: ApiResponse, *, has_body: bool = True) -> None:
        """Send an answer, however long it is, at the speed of its reader."""
        fields = [(":status", str(response.status)), *((name.lower(), text) for name, text in header_fields(response))]
        fields.append(("date", _date(int(time.time()))))
        if response.stream is None:
            fields.append(("content-length", str(len(response.body))))
        stream.is_answered = True
        self._unanswered_resets = max(0, self._unanswered_resets - 1)
        is_whole = response.stream is None and not (response.body and has_body)
        self._http.send_headers(stream.number, fields, end_stream=is_whole)
        if response.stream is not None:
            self._flush_soon()
            async for chunk in response.stream:
                await self._send_data(stream, chunk, ends=False)
            self._http.end_stream(stream.number)
        elif not is_whole:
            await self._send_data(stream, response.body, ends=True)
        self._flush_soon()

    async def _send_data(self, stream: _Stream, data: bytes, *, ends: bool) -> None:
        """Send `data` as the windows allow (HTTP2-3)."""
        number = stream.number
        rest = memoryview(data)
        while rest:
            await self._wait_for_socket()
            stream.room.clear()
            size = min(self._http.local_flow_control_window(number), self._http.max_outbound_frame_size, len(rest))
            if size <= 0:
                async with asyncio.timeout(self.timeouts.write_seconds):
                    await stream.room.wait()
                continue
            piece, rest = rest[:size], rest[size:]
            self._http.send_data(number, piece.tobytes(), end_stream=ends and not rest)
            if rest:
                self._flush()  # so that it is known whether the socket keeps up
        self._flush_soon()

    async def _wait_for_socket(self) -> None:
        try:
            while not self._writable.is_set():
                async with asyncio.timeout(self.timeouts.write_seconds):
                    await self._writable.wait()
        except TimeoutError:
            self._transport.abort()  # it takes nothing, for no stream
            raise

    def reset(self, stream: _Stream, code: ErrorCodes) -> None:
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
        if data and not self._is_lost:
            self._transport.write(data)

    def _wait_for_requests(self) -> None:
        self._idle = self._loop.call_later(self.timeouts.idle_seconds, self._put_out)

    def _put_out(self, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        with suppress(H2Error):  # the peer may have closed it itself
            self._http.close_connection(code)
        self._flush()
        self._transport.close()


class _Stream:
    """One request and its answer: first what has come of its body, then the task that answers."""

    def __init__(self, connection: Http2Protocol, number: int, fields: Sequence[tuple[str, str]]) -> None:
        self.number = number
        self.room = asyncio.Event()  # set when its reader has given it room
        self.task: asyncio.Task[None] | None = None
        self.is_answered = False
        self._connection = connection
        self._fields, self._repeated = join_fields(fields)
        self._chunks: list[bytes] = []
        self._size = 0
        self._deadline: asyncio.TimerHandle | None = None

    def wait_for_body(self, seconds: float) -> None:
        """Refuse the request if it hasn't come whole in time."""
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._refuse, too_slow())

    def take(self, data: bytes) -> None:
        """Take a piece of the body (MESSAGE-1)."""
        if self.task is not None:
            return  # it was refused
        self._size += len(data)
        self._connection.held += len(data)
        self._chunks.append(data)
        if self._size > BODY_LIMIT:
            self._refuse(too_large())
        elif self._connection.held > HELD:
            self._refuse(ApiError(429, "TooManyRequests", "too many large bodies are under way on this connection"))

    def start(self) -> None:
        """Answer the request, which has come whole."""
        if self.task is not None:
            return
        try:
            request = self._request()
        except ApiError as error:
            self._refuse(error)
        else:
            self._run(lambda: self._connection.answer(self, request))

    def stop(self) -> None:
        """Leave it: nobody waits for the answer."""
        if self.task is not None:
            self.task.cancel()
            return
        self._end_waiting()
        self._connection.ended(self)

    def _refuse(self, error: ApiError) -> None:
        request = ApiRequest(self._fields.get(":method", ""), "/", headers={"accept": self._fields.get("accept", "")})
        self._run(lambda: self._connection.send(self, error_response(request, error)))

    def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        self._end_waiting()
        self.task = asyncio.get_running_loop().create_task(self._answer(work))
        self.task.add_done_callback(lambda _: self._connection.ended(self))

    def _end_waiting(self) -> None:
        self._chunks.clear()
        self._connection.held -= self._size
        self._size = 0
        if self._deadline is not None:
            self._deadline.cancel()

    async def _answer(self, work: Callable[[], Awaitable[None]]) -> None:
        code = ErrorCodes.NO_ERROR  # where the stream is still open: the client needn't send more of what was refused
        try:
            await work()
        except (TimeoutError, asyncio.CancelledError) as error:
            code = ErrorCodes.CANCEL
            if isinstance(error, asyncio.CancelledError):
                raise
        except H2Error:  # its peer has ended the stream meanwhile
            code = ErrorCodes.STREAM_CLOSED
        except Exception:  # noqa: BLE001  (one stream's trouble is nobody else's)
            code = ErrorCodes.INTERNAL_ERROR
            _LOG.exception("a request could not be answered")
        finally:
            self._connection.reset(self, code)

    def _request(self) -> ApiRequest:
        path, query = read_target(self._fields.get(":path", "/"))
        headers = {name: text for name, text in self._fields.items() if not name.startswith(":")}
        headers.setdefault("host", self._fields.get(":authority", ""))
        if len(path) > LINE_LIMIT:
            raise bad_request("the path of the request is too long")
        return ApiRequest(
            method=self._fields.get(":method", ""),
            path=path,
            query=query,
            headers=headers,
            body=b"".join(self._chunks),
            client_certificate=self._connection.certificate(),
            repeated=self._repeated,
        )


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


class _Closable(AsyncIterator[bytes]):
    async def aclose(self) -> None:
        """Stop."""
