"""Requests and answers as they are on the wire, for both versions of HTTP.

MESSAGE-1  Input is bounded: a body has at most `BODY_BYTES_MAX` bytes (413), a field of the head and its target
           `LINE_BYTES_MAX`, a query `QUERY_FIELDS_MAX` parameters.
MESSAGE-2  Large answers are compressed for clients that take gzip, and none blocks the loop for it.
MESSAGE-3  Warnings are cut as the reference cuts them: over `WARNINGS_RUNES_MAX` in all, each keeps
           `WARNING_RUNES_MAX`, and what then comes after as many is left out.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qs, unquote

from pvbinder.server.errors import ApiError, bad_request
from pvbinder.server.requests import ApiRequest, ApiResponse

BODY_BYTES_MAX = 3 << 20
LINE_BYTES_MAX = 64 << 10
QUERY_FIELDS_MAX = 200
GZIP_BYTES_MIN = 128 << 10
GZIP_PIECE_BYTES = 512 << 10  # of a long answer, compressed at once
WARNINGS_RUNES_MAX = 4096
WARNING_RUNES_MAX = 256
CACHE_CONTROL = "no-cache, private"
_FIRST_COUNTS = frozenset({"authorization", "impersonate-user", "impersonate-uid"})  # as in the reference


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The times that a listener waits for a peer."""

    read_seconds: float = 60.0  # for the body of a request
    idle_seconds: float = 90.0  # for the next request, its headers included
    write_seconds: float = 60.0  # for a reader to take a chunk
    handshake_seconds: float = 10.0


def read_target(target: str) -> tuple[str, dict[str, list[str]]]:
    """Split the target of a request into its path, decoded once, and the parameters of its query.

    Raises:
        ApiError: 400, the query has too many parameters.
    """
    path, _, query = target.partition("?")
    try:
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX) if query else {}
    except ValueError as error:
        raise bad_request(f"the query of the request can't be read: {error}") from error
    return unquote(path) if "%" in path else path, fields


def join_fields(fields: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the fields of a head by lower-case name, and all values of the repeated ones.

    The values of a repeated field are joined (RFC 9110, 5.3); of credentials only the first counts.
    """
    values: dict[str, list[str]] = {}
    for name, text in fields:
        values.setdefault(name.lower(), []).append(text)
    joined = {name: several[0] if name in _FIRST_COUNTS else ", ".join(several) for name, several in values.items()}
    return joined, {name: tuple(several) for name, several in values.items() if len(several) > 1}


def header_fields(response: ApiResponse) -> Iterator[tuple[str, str]]:
    """Give the header fields that the answer has whichever version of HTTP it is sent by."""
    yield from response.headers.items()
    if "Cache-Control" not in response.headers:
        yield "Cache-Control", CACHE_CONTROL
    for warning in _cut(response.warnings) if response.warnings else ():
        yield "Warning", _warning(warning)


async def compress_if_large(request: ApiRequest, response: ApiResponse) -> None:
    """Compress the body in place if it is large and the client takes gzip (MESSAGE-2)."""
    if response.stream is not None:
        if response.is_document and _takes_gzip(request):
            response.stream, response.length = _gzip_stream(response.stream), None
            _say_gzip(response)
        return
    if len(response.body) <= GZIP_BYTES_MIN or not _takes_gzip(request):
        return
    response.body = await asyncio.get_running_loop().run_in_executor(None, _gzip, response.body)
    _say_gzip(response)


def body_too_large() -> ApiError:
    """Return the refusal of a body that is over the limit."""
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_BYTES_MAX}")


def too_slow() -> ApiError:
    """Return the refusal of a body that didn't arrive in time."""
    return ApiError(408, "Timeout", "the body of the request did not arrive in time")


def _warning(text: str) -> str:
    """Return a ``Warning`` header's value; control characters would end the header."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def _cut(warnings: Iterable[str]) -> list[str]:
    """Return the warnings without repetitions, cut if they are too long together (MESSAGE-3)."""
    told = [text for text in dict.fromkeys(warnings) if text]
    if sum(map(len, told)) <= WARNINGS_RUNES_MAX:
        return told
    cut: list[str] = []
    written = 0
    for text in told:
        if written >= WARNINGS_RUNES_MAX:
            break
        cut.append(text[:WARNING_RUNES_MAX])
        written += len(cut[-1])
    return cut


def _takes_gzip(request: ApiRequest) -> bool:
    """Tell whether the client takes gzip, as the reference reads it: only when it stands there without a quality."""
    return any(token.strip() == "gzip" for token in request.headers.get("accept-encoding", "").split(","))


def _say_gzip(response: ApiResponse) -> None:
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"


async def _gzip_stream(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Compress a long answer piece by piece, in a thread."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    run = asyncio.get_running_loop().run_in_executor
    parts: list[bytes] = []
    size = 0
    async with aclosing(cast("Closable", stream)):
        async for chunk in stream:
            parts.append(chunk)
            size += len(chunk)
            if size >= GZIP_PIECE_BYTES:
                packed = await run(None, compressor.compress, b"".join(parts))
                parts.clear()
                size = 0
                if packed:
                    yield packed
    yield compressor.compress(b"".join(parts)) + compressor.flush()


class Closable(AsyncIterator[bytes]):
    """The stream of an answer; its reader must close it."""

    async def aclose(self) -> None:
        """Stop."""


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()
