"""One stream of HTTP/2: a request and its answer.

Its head is admitted before its body is taken, what it holds is counted for its connection and for all together
(HTTP2-4), and whatever goes wrong with it ends with it (HTTP2-1). A stream is in one of these states:

    state      `task`    it holds            next
    receiving  None      its head, and what  the body is whole: answering; it is too large, too late or too much
                         came of the body    (HTTP2-4): answering, with the refusal; RST_STREAM or lost: ended
    answering  runs      the answer's piece  answered, or a reader too slow: ended; RST_STREAM or lost: cancelled, ended
    ended      is done   nothing             its connection forgets it

A GET, a HEAD, and a request without a body are answered at once; one that is refused by its head is, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from h2.errors import ErrorCodes
from h2.exceptions import H2Error

from pvbinder import logs
from pvbinder.server.api.negotiation import error_response
from pvbinder.server.errors import ApiError, bad_request
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.wire.messages import (
    BODY_BYTES_MAX,
    LINE_BYTES_MAX,
    body_too_large,
    join_fields,
    read_target,
    too_slow,
)

log = logs.get(__name__)


class Carries(Protocol):
    """The parts of a connection that its streams need."""

    def screen(self, request: ApiRequest) -> ApiResponse | None:
        """Refuse a request by its head."""
        ...

    def hold(self, count: int) -> None:
        """Hold so many bytes more for unfinished requests, or fewer; ApiError 429 if that is too much."""
        ...

    def certificate(self) -> dict[str, object] | None:
        """Return the certificate that the peer showed, if any."""
        ...

    async def answer(self, stream: Stream, request: ApiRequest) -> None:
        """Have a request handled, and send the answer."""
        ...

    async def send(self, stream: Stream, response: ApiResponse, *, has_body: bool = True) -> None:
        """Send an answer."""
        ...

    def reset(self, stream: Stream, code: ErrorCodes) -> None:
        """End a stream that can't be answered (any more)."""
        ...

    def ended(self, stream: Stream) -> None:
        """Forget a stream whose task has ended."""
        ...


class Stream:
    """One request and its answer: first what has come of its body, then the task that answers."""

    def __init__(self, connection: Carries, number: int, fields: Sequence[tuple[str, str]]) -> None:
        self.number = number
        self.window = asyncio.Event()  # set when a flow-control window of the peer has grown
        self.task: asyncio.Task[None] | None = None
        self.is_answered = False
        self._connection = connection
        self._fields, self._repeated = join_fields(fields)
        self._head: ApiRequest | None = None  # once it was admitted
        self._body = bytearray()
        self._size = 0  # of what is held: head and body
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def method(self) -> str:
        """The method of the request."""
        return self._fields.get(":method", "")

    def wait_for_body(self, seconds: float) -> None:
        """Take the body if the head is admitted; refuse the request if it hasn't come whole in time (HTTP2-4)."""
        try:
            self._head = head = self._read_head()
            refusal = self._connection.screen(head)
        except ApiError as error:
            self._refuse(error)
            return
        if refusal is not None:
            self._run(lambda: self._connection.send(self, refusal))
            return
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._refuse, too_slow())
        self._hold(sum(len(name) + len(text) for name, text in self._fields.items()))

    def take(self, data: bytes) -> None:
        """Take a piece of the body (MESSAGE-1)."""
        if self.task is not None:
            return  # it was refused
        self._body += data
        if len(self._body) > BODY_BYTES_MAX:
            self._refuse(body_too_large())
            return
        self._hold(len(data))

    def _hold(self, count: int) -> None:
        """Count what is held for this stream (HTTP2-4)."""
        self._size += count
        try:
            self._connection.hold(count)
        except ApiError as error:
            self._refuse(error)

    def start(self) -> None:
        """Answer the request, which has come whole."""
        if self.task is not None:
            return
        try:
            request = self._head or self._read_head()
        except ApiError as error:
            self._refuse(error)
        else:
            request.body = bytes(self._body)
            self._head, self._fields = None, {}  # the request has them, for as long as it is needed
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
        self._body = bytearray()
        self._connection.hold(-self._size)
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
        except Exception:
            code = ErrorCodes.INTERNAL_ERROR
            log.exception("a request could not be answered")
        finally:
            self._connection.reset(self, code)

    def _read_head(self) -> ApiRequest:
        path, query = read_target(self._fields.get(":path", "/"))
        headers = {name: text for name, text in self._fields.items() if not name.startswith(":")}
        headers.setdefault("host", self._fields.get(":authority", ""))
        if len(path) > LINE_BYTES_MAX:
            raise bad_request("the path of the request is too long")
        return ApiRequest(
            method=self._fields.get(":method", ""),
            path=path,
            query=query,
            takes_chunks=True,
            headers=headers,
            client_certificate=self._connection.certificate(),
            repeated=self._repeated,
        )
