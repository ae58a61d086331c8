"""Answers of HTTP/1.1, read from bytes as they come: no socket, no loop.

HTTP1-1  However the bytes are cut, the same answer comes out: status, headers, and the body by its length, in chunks,
         or up to the end of the connection (RFC 9112, 6.3).
HTTP1-2  What leaves the body's end in doubt is refused: two lengths, a length beside chunks, a folded or nameless
         header, another coding. Nothing that was refused is ever read further.
HTTP1-3  Everything is bounded: a head by 64 KiB, a line of a chunk by 256 bytes, trailers by 64 KiB.
HTTP1-4  `is_reusable` is True only when the answer is whole, nothing came after it and both sides keep the connection.

One `AnswerReader` for each answer; interim answers (1xx) are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

HEAD_BYTES_MAX: Final = 64 * 1024
CHUNK_LINE_BYTES_MAX: Final = 256
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [^\r\n]*)?")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")


class MalformedAnswerError(ValueError):
    """The bytes are no answer that HTTP/1.1 allows (HTTP1-2, HTTP1-3)."""


class _Await(Enum):
    HEAD = auto()
    LENGTH = auto()  # so many bytes of the body are missing
    CLOSE = auto()  # the body ends with the connection
    CHUNK_LINE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    NOTHING = auto()


class AnswerReader:
    """Reads one answer: `feed` it until `is_done`; `take` what has come of the body."""

    __slots__ = ("_await", "_keeps", "_missing", "_parts", "_pending", "_trailer_bytes", "headers", "status")

    def __init__(self) -> None:
        self.status = 0  # until the head is there
        self.headers: Mapping[str, str] = {}  # names in lower case; values that came apart are joined by commas
        self._await = _Await.HEAD
        self._pending = b""
        self._missing = 0
        self._keeps = True
        self._trailer_bytes = 0
        self._parts: list[bytes] = []

    @property
    def is_done(self) -> bool:
        """Whether the answer is whole."""
        return self._await is _Await.NOTHING

    @property
    def is_reusable(self) -> bool:
        """Whether the connection may carry another request (HTTP1-4)."""
        return self._keeps and self._await is _Await.NOTHING and not self._pending

    @property
    def has_begun(self) -> bool:
        """Whether any byte has come."""
        return bool(self.status or self._pending)

    def take(self) -> bytes:
        """Return the part of the body that has come since the last call."""
        parts = self._parts
        if len(parts) == 1:
            return parts.pop()
        body = b"".join(parts)
        parts.clear()
        return body

    def end(self) -> bool:
        """The connection has ended: return whether that makes the answer whole."""
        if self._await is _Await.CLOSE:
            self._await = _Await.NOTHING
        self._keeps = False
        return self.is_done

    def feed(self, data: bytes) -> None:
        """Read on; raise `MalformedAnswerError` for what is no answer."""
        if self._pending:
            data = self._pending + data
            self._pending = b""
        at = 0
        while at < len(data) and self._await is not _Await.NOTHING:
            before = at
            at = self._step(data, at)
            if at == before:
                break
        if at < len(data):
            self._pending = data[at:]

    def _step(self, data: bytes, at: int) -> int:
        """Read one part of the answer from `at` on; return where it ended, or `at` if it isn't whole yet."""
        match self._await:
            case _Await.HEAD:
                return self._head(data, at)
            case _Await.LENGTH | _Await.CHUNK:
                return self._body(data, at)
            case _Await.CLOSE:
                self._parts.append(data[at:])
                return len(data)
            case _Await.CHUNK_LINE:
                return self._chunk_line(data, at)
            case _Await.CHUNK_END:
                return self._chunk_end(data, at)
            case _Await.TRAILERS:
                return self._trailers(data, at)
            case _Await.NOTHING:
                return at

    def _head(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n\r\n", at)
        if end < 0 or end - at > HEAD_BYTES_MAX:
            if len(data) - at > HEAD_BYTES_MAX or not b"HTTP/1.".startswith(data[at : at + 7]):
                raise MalformedAnswerError("there is no head of an answer")
            return at
        lines = data[at:end].split(b"\r\n")
        found = _STATUS.fullmatch(lines[0])
        if found is None:
            raise MalformedAnswerError("the first line is no status line")
        status = int(found[2])
        if status < 200:
            if status == 101:
                raise MalformedAnswerError("the server switches to another protocol")
            return end + 4
        self.status, self.headers = status, _headers(lines[1:])
        self._frame(is_old=found[1] == b"0")
        return end + 4

    def _frame(self, *, is_old: bool) -> None:
        """Find out how the body ends (RFC 9112, 6.3)."""
        headers = self.headers
        connection = headers.get("connection")
        if connection is not None or is_old:
            options = [option.strip().lower() for option in (connection or "").split(",")]
            self._keeps = "close" not in options and (not is_old or "keep-alive" in options)
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if self.status in (204, 304):
            self._await = _Await.NOTHING
        elif coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise MalformedAnswerError("the end of the body is in doubt")
            self._await = _Await.CHUNK_LINE
        elif length is not None:
            if not (length.isascii() and length.isdigit()) or len(length) > 15:
                raise MalformedAnswerError("the length of the body is no number")
            self._missing = int(length)
            self._await = _Await.LENGTH if self._missing else _Await.NOTHING
        else:
            self._await = _Await.CLOSE

    def _body(self, data: bytes, at: int) -> int:
        part = data[at : at + self._missing] if at or len(data) > self._missing else data
        self._parts.append(part)
        self._missing -= len(part)
        if not self._missing:
            self._await = _Await.NOTHING if self._await is _Await.LENGTH else _Await.CHUNK_END
        return at + len(part)

    def _chunk_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at, at + CHUNK_LINE_BYTES_MAX)
        if end < 0:
            if len(data) - at >= CHUNK_LINE_BYTES_MAX:
                raise MalformedAnswerError("the line of a chunk is too long")
            return at
        found = _CHUNK.fullmatch(data, at, end)
        if found is None:
            raise MalformedAnswerError("a chunk has no size")
        self._missing = int(found[1], 16)
        self._await = _Await.CHUNK if self._missing else _Await.TRAILERS
        return end + 2

    def _chunk_end(self, data: bytes, at: int) -> int:
        if len(data) - at < 2:
            return at
        if data[at : at + 2] != b"\r\n":
            raise MalformedAnswerError("a chunk is longer than it says")
        self._await = _Await.CHUNK_LINE
        return at + 2

    def _trailers(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at)
        self._trailer_bytes += max(end - at, 0)
        if self._trailer_bytes > HEAD_BYTES_MAX or len(data) - at > HEAD_BYTES_MAX:
            raise MalformedAnswerError("the trailers are too long")
        if end < 0:
            return at
        if end == at:
            self._await = _Await.NOTHING
        return end + 2


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or _NAME.fullmatch(name) is None:
            raise MalformedAnswerError("a header has no name")
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        known = headers.get(key)
        if known is None:
            headers[key] = text
        elif key in ("content-length", "transfer-encoding"):
            raise MalformedAnswerError(f"there are two headers {key}")
        else:
            headers[key] = f"{known}, {text}"
    return headers
