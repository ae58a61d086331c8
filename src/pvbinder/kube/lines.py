"""Chunks of a stream put together to lines, bounded.

LINES-1  Each line comes once and whole, however the chunks are cut; a last line without an end is a broken stream.
LINES-2  Of a line longer than `LINE_BYTES_MAX` bytes only the beginning comes, as a `CutLine`: memory stays bounded,
         and the lines after it come as usual. The caller decides about a `CutLine`.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from typing import Literal, cast

from pvbinder.kube.errors import ConnectionFailed

LINE_BYTES_MAX = 16 * 1024 * 1024  # etcd allows objects of 1.5 MB; a JSON text of one is not ten times that
CUT_LINE_BYTES_MAX = 1024 * 1024  # an object's metadata is in it: annotations have at most 256 KiB


_EVENT = re.compile(
    r'\{"type":"(?P<type>ADDED|MODIFIED|DELETED)","object":\{(?:"(?:kind|apiVersion)":"[^"\\]*",)*"metadata":'
)
_decoder = json.JSONDecoder()


class CutLine(bytes):
    """The beginning of a line that is too long (LINES-2)."""


@dataclass(frozen=True, slots=True)
class CutEvent:
    """The event that the beginning of a watch's line tells; a `key` of "" means that the name was cut off."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    key: str
    resource_version: str


def event_of(line: CutLine) -> CutEvent | None:
    """Read what has happened to which object; None if that is no event of an object."""
    text = line.decode(errors="replace")
    head = _EVENT.match(text)
    if head is None:
        return None
    type_ = cast('Literal["ADDED", "MODIFIED", "DELETED"]', head["type"])
    try:
        metadata, _ = _decoder.raw_decode(text, head.end())
    except (ValueError, RecursionError):  # cut off in the middle of the metadata
        return CutEvent(type_, "", "")
    namespace, name, revision = (_text(metadata, field) for field in ("namespace", "name", "resourceVersion"))
    return CutEvent(type_, f"{namespace}/{name}" if namespace else name, revision)


def _text(metadata: object, field: str) -> str:
    found = metadata.get(field) if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""


async def split_lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the lines in `chunks`, without their ends; empty ones are left out (LINES-1, LINES-2)."""
    pending: list[bytes] = []  # parts of a line that has not ended; joined once, so that long lines stay linear
    length = 0
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            line = _ended(pending, length, part)
            pending.clear()
            length = 0
            if line:
                yield line
        if rest:
            length += len(rest)
            if length <= LINE_BYTES_MAX:
                pending.append(rest)
            elif len(pending) != 1 or len(pending[0]) != CUT_LINE_BYTES_MAX:
                pending[:] = [b"".join((*pending, rest))[:CUT_LINE_BYTES_MAX]]
    if length > LINE_BYTES_MAX:
        raise ConnectionFailed(f"the stream ended in the middle of a line that is longer than {LINE_BYTES_MAX} bytes")
    if length:
        raise ConnectionFailed("the stream ended in the middle of a line")


def _ended(pending: list[bytes], length: int, part: bytes) -> bytes:
    """The line that `part` ends."""
    if length + len(part) > LINE_BYTES_MAX:
        return CutLine(b"".join((*pending, part))[:CUT_LINE_BYTES_MAX])
    return b"".join((*pending, part)) if pending else part
