"""The frames of one HTTP/2 connection, counted and bounded before anything reads them.

FRAME-1  A frame over `FRAME_BYTES_MAX`, and a head over `HEAD_BYTES_MAX` before it is unpacked, end the connection;
         they aren't taken in.
FRAME-2  Frames that bring no work are counted against it: who sends `IDLE_FRAMES_MAX` more of them than its requests,
         their bodies and the answers to them account for, and than `IDLE_FRAMES_PER_SECOND`, is put out.
FRAME-3  A head that begins with more changes of the size of its table than are of use (RFC 7541, 4.2) ends the
         connection before they are carried out: there could be one for each byte.
"""

from __future__ import annotations

import time

from h2.errors import ErrorCodes

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_BYTES_MAX = 16 << 10  # as RFC 9113 has it where nothing else is agreed upon
HEAD_BYTES_MAX = 64 << 10  # of one request, in the frames that carry it
IDLE_FRAMES_MAX = 2000
IDLE_FRAMES_PER_SECOND = 20
TABLE_SIZES_MAX = 2  # in one head: a smallest one on the way, and the last
_FRAME_HEAD_BYTES = 9  # of a frame
_DATA, _HEADERS, _SETTINGS, _CONTINUATION = 0, 1, 4, 9
_END_STREAM, _END_HEADERS, _PADDED, _PRIORITY = 1, 4, 8, 0x20
_PRIORITY_BYTES = 5
_FRAME_EVEN_BYTES = 256  # of a body: a frame with as many bytes doesn't count as idle
_FRAMES_OF_AN_ANSWER = 8  # which a request, its answer and the windows for it may need beside
_FRAMES_OF_SETTINGS = 20  # as each changes every stream's window
_FRAMES_OF_A_PIECE = 3  # window updates for a piece of an answer


class Flood(Exception):  # noqa: N818  (says what it is)
    """The frames aren't worth reading: the connection ends with `code`."""

    def __init__(self, code: ErrorCodes, why: str) -> None:
        super().__init__(why)
        self.code = code


class Frames:
    """Cuts what comes into whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._preface = len(PREFACE)  # of which so much is yet to come
        self._head_bytes = 0
        self._idle = 0
        self._since = time.monotonic()

    def take(self, data: bytes) -> bytes:
        """Return the whole frames that `data` completes; Flood if they are not to be read (FRAME-1, FRAME-2)."""
        buffer = self._buffer
        if buffer:
            buffer += data
            data = bytes(buffer)
            buffer.clear()
        at = 0
        if self._preface:
            at = min(self._preface, len(data))
            if data[:at] != PREFACE[-self._preface :][:at]:
                raise Flood(ErrorCodes.PROTOCOL_ERROR, "this is no HTTP/2")
            self._preface -= at
        end = len(data)
        while at + _FRAME_HEAD_BYTES <= end:
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            if length > FRAME_BYTES_MAX:
                raise Flood(ErrorCodes.FRAME_SIZE_ERROR, "a frame is too large")
            following = at + _FRAME_HEAD_BYTES + length
            if following > end:
                break
            if data[at + 3] == _HEADERS:
                _check_head(data[at + _FRAME_HEAD_BYTES : following], data[at + 4])
            self._count(data[at + 3], data[at + 4], length, data[at + _FRAME_HEAD_BYTES] if length else 0)
            at = following
        if at < end:
            buffer += data[at:] if at else data
        return data if at == end else data[:at]

    def answered(self) -> None:
        """Count an answer: it makes up for frames that came without work."""
        self._idle = max(0, self._idle - _FRAMES_OF_AN_ANSWER)

    def sent(self) -> None:
        """Count a piece of an answer, for which the peer updates windows."""
        self._idle = max(0, self._idle - _FRAMES_OF_A_PIECE)

    def _count(self, kind: int, flags: int, length: int, first: int) -> None:
        if kind == _DATA:
            content = max(0, length - 1 - first) if flags & _PADDED else length
            self._idle = max(0, self._idle + 1 - content // _FRAME_EVEN_BYTES)
            if flags & _END_STREAM:
                return
        elif kind in (_HEADERS, _CONTINUATION):
            self._head_bytes = length if kind == _HEADERS else self._head_bytes + length + _FRAME_HEAD_BYTES
            if self._head_bytes > HEAD_BYTES_MAX:
                raise Flood(ErrorCodes.ENHANCE_YOUR_CALM, "the head of a request is too large")
            if flags & _END_HEADERS:
                self._head_bytes = 0
            self._idle += 1
        elif kind == _SETTINGS:
            self._idle += _FRAMES_OF_SETTINGS
        else:
            self._idle += 1
        if self._idle > IDLE_FRAMES_MAX:
            now = time.monotonic()
            self._idle = max(0, self._idle - int((now - self._since) * IDLE_FRAMES_PER_SECOND))
            self._since = now
            if self._idle > IDLE_FRAMES_MAX:
                raise Flood(ErrorCodes.ENHANCE_YOUR_CALM, "too many frames without work")


def _check_head(content: bytes, flags: int) -> None:
    """Refuse a HEADERS frame that begins with too many changes of the table's size (FRAME-3)."""
    at = (1 if flags & _PADDED else 0) + (_PRIORITY_BYTES if flags & _PRIORITY else 0)
    sizes = 0
    while at < len(content) and content[at] & 0xE0 == 0x20:  # RFC 7541, 6.3: 001 and an integer of a prefix of 5 bits
        sizes += 1
        if sizes > TABLE_SIZES_MAX:
            raise Flood(ErrorCodes.COMPRESSION_ERROR, "a head changes the size of its table too often")
        is_long = content[at] & 0x1F == 0x1F
        at += 1
        while is_long and at < len(content):
            is_long = bool(content[at] & 0x80)
            at += 1
