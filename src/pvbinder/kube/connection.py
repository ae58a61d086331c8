"""One connection to an API server: a request at a time, and the answer as a whole or as a stream.

CONNECTION-1  A request that is given up in the middle - cancelled, out of time, broken - closes its connection: no
              later request can get an answer that was meant for another.
CONNECTION-2  A stream that is read slowly holds up its sender: at most 256 KiB and a read of it are kept here.

It belongs to the loop's thread. `kube.direct` makes connections and keeps those that may be used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from pvbinder.kube.http1 import AnswerReader, MalformedAnswerError

BUFFER_BYTES_MAX: Final = 256 * 1024
BODY_BYTES_MAX: Final = 1 << 30  # of an answer that is kept whole: 500 objects of a page have no more
_ENDED = "the connection is used up"


class BrokenConnectionError(Exception):
    """The connection ended in the middle of an exchange; `is_silent` means before the first byte of the answer."""

    def __init__(self, reason: str, *, is_silent: bool = False) -> None:
        super().__init__(reason)
        self.is_silent = is_silent


class KeptConnection(asyncio.Protocol):
    """A connection that is made with `create_connection`; `exchange` or `begin` a request, one after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wants_all = False
        self._buffered = 0
        self._is_paused = False
        self._error: Exception | None = None
        self.idle_since = 0.0

    # -- what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Read on, and wake who waits."""
        reader = self._reader
        if reader is None:
            self._fail(BrokenConnectionError("it sent what nobody had asked for"))
            return
        try:
            reader.feed(data)
        except MalformedAnswerError as error:
            self._fail(error)
            return
        self._buffered += len(data)
        if self._wants_all:
            if self._buffered > BODY_BYTES_MAX:
                self._fail(MalformedAnswerError(f"the answer is larger than {BODY_BYTES_MAX} bytes"))
            if not reader.is_done:
                return
        elif self._buffered > BUFFER_BYTES_MAX and not self._is_paused and self._transport is not None:
            self._transport.pause_reading()
            self._is_paused = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Finish an answer that ends with the connection, or fail the exchange."""
        self._transport = None
        reader = self._reader
        if reader is not None and not reader.is_done and not (error is None and reader.end()):
            broken = BrokenConnectionError(str(error or "it was closed"), is_silent=not reader.has_begun)
            self._error = self._error or broken
        self._wake()

    # -- what the line asks

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._error is None

    @property
    def is_busy(self) -> bool:
        """Whether an answer hasn't ended."""
        return self._reader is not None

    async def exchange(self, message: bytes, seconds: float) -> AnswerReader:
        """Send `message` and return the whole answer; raise `TimeoutError` after `seconds` (CONNECTION-1)."""
        return await self._await_answer(message, seconds, wants_all=True)

    async def begin(self, message: bytes, seconds: float) -> AnswerReader:
        """Send `message` and return the answer as soon as its head is there; the body comes from `chunks`."""
        return await self._await_answer(message, seconds, wants_all=False)

    async def _await_answer(self, message: bytes, seconds: float, *, wants_all: bool) -> AnswerReader:
        transport = self._transport
        if transport is None or self._error is not None:
            raise BrokenConnectionError(_ENDED, is_silent=True)
        self._reader = reader = AnswerReader()
        self._wants_all, self._buffered = wants_all, 0
        timer = asyncio.get_running_loop().call_later(seconds, self._fail, TimeoutError())
        transport.write(message)
        try:
            while not (reader.is_done or (reader.status and not wants_all)):
                await self._wait()
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
        if reader.is_done:
            self._reader = None
            if not reader.is_reusable:
                self.close()
        return reader

    async def chunks(self, reader: AnswerReader, seconds: float) -> AsyncGenerator[bytes]:
        """Give the body of an answer that has begun, for `seconds` at most; the connection is closed after it."""
        timer = asyncio.get_running_loop().call_later(seconds, self._fail, TimeoutError())
        try:
            while True:
                chunk = reader.take()
                self._buffered = 0
                if self._is_paused and self._transport is not None:
                    self._transport.resume_reading()
                    self._is_paused = False
                if chunk:
                    yield chunk
                elif reader.is_done:
                    return
                else:
                    await self._wait()
        finally:
            timer.cancel()
            self.close()

    def close(self) -> None:
        """End the connection at once."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    async def _wait(self) -> None:
        """Wait for news; raise the error if there is one."""
        if self._error is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._error is not None and not (self._reader is not None and self._reader.is_done):
            raise self._error

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self.close()
        self._wake()
