"""The answer of nearly every request over HTTP/1.1, written without being built header by header.

USUAL-1  A client sees the answer that aiohttp would have sent, but for the order of the fields and the name of the
         software; an answer that has more than a type and a body isn't usual.
USUAL-2  A client that asks on without taking the answers is held back, as with any other answer (LISTENER-2).
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from pvbinder.server.requests import ApiResponse
from pvbinder.server.wire.messages import CACHE_CONTROL

_STATUSES = frozenset({200, 201, 202, 404, 409, 422})
_TYPE = "application/json"


def is_usual(incoming: web.BaseRequest, response: ApiResponse) -> bool:
    """Tell whether the answer to `incoming` is a JSON document and nothing else (USUAL-1)."""
    return (
        response.status in _STATUSES
        and len(response.headers) == 1
        and response.headers.get("Content-Type") == _TYPE
        and not response.warnings
        and incoming.method != "HEAD"
        and incoming.version == HttpVersion11
    )


class UsualAnswer(web.StreamResponse):
    """A usual answer: head and body are written at once, and the head is made once a second."""

    def __init__(self, response: ApiResponse) -> None:
        super().__init__(status=response.status)
        self._document = response.body
        self._writer: AbstractStreamWriter | None = None
        self._keeps_alive = False

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after this answer."""
        return self._keeps_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Write it all."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._keeps_alive = request.keep_alive
        head = _head(self.status, int(time.time()), self._keeps_alive)
        transport.write(b"%b%d\r\n\r\n%b" % (head, len(self._document), self._document))
        self._writer = request.writer
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Wait until the client takes what it has asked for (USUAL-2)."""
        assert self._writer is not None, "prepare() comes first"
        await self._writer.drain()


@lru_cache(maxsize=64)
def _head(status: int, second: int, keeps_alive: bool) -> bytes:
    """Return the head up to the length of the body."""
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {_TYPE}",
        f"Cache-Control: {CACHE_CONTROL}",
        f"Date: {formatdate(second, usegmt=True)}",
        *(() if keeps_alive else ("Connection: close",)),
        "Content-Length: ",
    ]
    return "\r\n".join(lines).encode("ascii")
