"""Chunks of a stream put together to lines, bounded.

LINES-1  Each line comes once and whole, whatever the chunks; a last line without an end is a broken stream.
LINES-2  A line longer than `MOST_OF_A_LINE` bytes ends the stream with `ConnectionFailed`: memory stays bounded.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

from pvbinder.kube.errors import ConnectionFailed

MOST_OF_A_LINE = 16 * 1024 * 1024  # etcd allows objects of 1.5 MB; a JSON text of one is not ten times that


async def split_lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the lines in `chunks`, without their ends; empty ones are left out (LINES-1, LINES-2)."""
    pending: list[bytes] = []  # parts of a line that has not ended; joined once, so that long lines stay linear
    length = 0
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            line = b"".join((*pending, part)) if pending else part
            pending.clear()
            length = 0
            if line:
                yield line
        if rest:
            pending.append(rest)
            length += len(rest)
            if length > MOST_OF_A_LINE:
                raise ConnectionFailed(f"a line of the stream is longer than {MOST_OF_A_LINE} bytes")
    if pending:
        raise ConnectionFailed("the stream ended in the middle of a line")
