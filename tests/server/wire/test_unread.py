"""Answers that nobody reads, and endless bodies: their memory together is bounded, and others are served."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.server.attackers import (
    HELLO,
    MEMORY_MIB_MAX,
    PATIENCE_SECONDS,
    Witness,
    connected,
    frame,
    head,
    witness,
)
from tests.server.child import ServerProcess, running_server

pytestmark = pytest.mark.slow

MAPS = "/api/v1/namespaces/default/configmaps"
ROOM = (2**31 - 1 - 65535).to_bytes(4)
WIDE = HELLO.replace(bytes(9), b"") + frame(4, 0, 0, b"\x00\x04" + (2**31 - 1).to_bytes(4)) + frame(8, 0, 0, ROOM)


async def fill(server: ServerProcess, count: int, size: int) -> None:
    """Store `count` objects of `size` bytes."""
    async with connected(server.port, "http/1.1") as (reader, writer):
        for number in range(count):
            raw = json.dumps({"metadata": {"name": f"m{number}"}, "data": {"k": "x" * size}}).encode()
            lines = [f"POST {MAPS} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.token}"]
            lines += ["Content-Type: application/json", f"Content-Length: {len(raw)}", "", ""]
            writer.write("\r\n".join(lines).encode() + raw)
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await reader.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 201"), answer
                left = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                while left:
                    left -= len(await reader.read(min(left, 1 << 16)))


@asynccontextmanager
async def unread(server: ServerProcess, target: str, count: int, version: str) -> AsyncGenerator[None]:
    """Ask for something `count` times, each on a connection of its own, and read nothing."""
    bearer = f"Bearer {server.token}"
    async with AsyncExitStack() as stack:
        for _ in range(count):
            _, writer = await stack.enter_async_context(connected(server.port, version, limit=1))
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            if version == "h2":
                writer.write(WIDE + frame(1, 5, 1, head("GET", target, authorization=bearer)))
            else:
                writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\n\r\n".encode())
        yield


async def asked(seen: Witness, times: int = 5) -> None:
    for _ in range(times):
        await seen.ask()


@pytest.mark.parametrize("version", ["http/1.1", "h2"])
async def test_listener_2_watches_from_long_ago_that_nobody_reads(tmp_path: Path, version: str) -> None:
    with running_server(tmp_path) as server:
        await fill(server, 40, 900_000)
        async with witness(server) as seen:
            server.longest()
            target = f"{MAPS}?watch=true&resourceVersion=0"
            async with unread(server, target, 30, version):
                await asked(seen)
            async with unread(
                server,
                f"{MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
                30,
                version,
            ):
                await asked(seen)
            seen.check()
        server.check_longest()


@pytest.mark.parametrize("version", ["http/1.1", "h2"])
async def test_listener_2_five_hundred_watches_and_large_writes(tmp_path: Path, version: str) -> None:
    with running_server(tmp_path) as server:
        async with unread(server, f"{MAPS}?watch=true", 500, version):
            await fill(server, 40, 900_000)
            async with witness(server) as seen:
                await asked(seen)
            seen.check()
            assert server.peak_mib < MEMORY_MIB_MAX


@pytest.mark.parametrize("version", ["http/1.1", "h2"])
@pytest.mark.parametrize("query", ["", "?pretty=true"])
async def test_listener_2_long_lists_that_nobody_reads(tmp_path: Path, version: str, query: str) -> None:
    with running_server(tmp_path) as server:
        await fill(server, 40, 900_000)
        async with witness(server) as seen:
            server.longest()
            async with unread(server, MAPS + query, 100, version):
                await asked(seen)
            seen.check()
        server.check_longest()


HEADS = {
    "anonymous": "",
    "a wrong token": "Authorization: Bearer nobody\r\n",
}


@pytest.mark.parametrize("credentials", HEADS.values(), ids=HEADS.keys())
async def test_listener_6_bodies_of_strangers_are_not_taken(tmp_path: Path, credentials: str) -> None:
    with running_server(tmp_path) as server:
        async with witness(server) as seen, AsyncExitStack() as stack:
            before = server.memory_mib
            for _ in range(50):
                reader, writer = await stack.enter_async_context(connected(server.port, "http/1.1"))
                writer.write(
                    f"POST {MAPS} HTTP/1.1\r\nHost: x\r\n{credentials}Content-Length: 3000000\r\n\r\n".encode()
                )
                async with asyncio.timeout(PATIENCE_SECONDS):
                    assert (await reader.readline())[9:12] in (b"401", b"403")  # before any of it was sent
                writer.write(bytes(2_900_000))
            await asked(seen)
            seen.check()
            assert server.peak_mib < before + 100


async def test_http2_4_streams_of_strangers_hold_no_bodies(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        async with witness(server) as seen, AsyncExitStack() as stack:
            before = server.memory_mib
            for _ in range(12):
                _, writer = await stack.enter_async_context(connected(server.port))
                writer.write(HELLO)
                for number in range(1, 500, 2):
                    writer.write(frame(1, 4, number, head("POST", MAPS)) + frame(0, 0, number, bytes(16000)))
            await asked(seen)
            seen.check()
            assert server.peak_mib < before + 100


async def is_refused(heads: list[asyncio.Task[bytes]]) -> bool:
    """Whether one of the answers says that it is too much, as soon as one of them does."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for head in asyncio.as_completed(heads):
                with suppress(OSError, EOFError):
                    if b"429" in await head:
                        return True
        return False
    finally:
        for task in heads:
            task.cancel()
        await asyncio.wait(heads)


async def test_ledger_1_bodies_without_end_are_bounded_together(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        async with witness(server) as seen, AsyncExitStack() as stack:
            heads = []
            for _ in range(60):
                reader, writer = await stack.enter_async_context(connected(server.port, "http/1.1"))
                writer.write(
                    f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
                    "Content-Length: 3000000\r\n\r\n".encode()
                    + bytes(2_900_000)
                )
                await writer.drain()
                await seen.ask()
                heads.append(asyncio.create_task(reader.readuntil(b"\r\n")))
            assert await is_refused(heads)
            seen.check()
            assert server.peak_mib < MEMORY_MIB_MAX
