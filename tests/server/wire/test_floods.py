"""Floods of peers without credentials, which cost these nothing; others are served beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest
from tests.server.attackers import HELLO, beside, connected, frame, head, pour, witness
from tests.server.child import ServerProcess, running_server

from pvbinder.server.wire.door import STRANGERS_MAX

pytestmark = pytest.mark.slow

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION, UNKNOWN = range(11)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
POST = frame(HEADERS, END_HEADERS, 1, head("POST", "/api/v1/namespaces/default/configmaps"))
ASKS = 10  # of the witness, when the others are at it
LOG_LINES_MAX = 20
REPEATED = 40  # of a flood on one connection, for as long as it is let


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all of them: it goes on."""
    with running_server(tmp_path_factory.mktemp("flooded")) as running:
        yield running


async def stand(
    server: ServerProcess, attack: Callable[[], Awaitable[None]], count: int = 4, *, waits: bool = True
) -> None:
    """Ask beside `count` attackers, once all have begun if this `waits`, and look how the server took it."""
    lines = len(server.log().splitlines())
    async with witness(server) as seen:
        server.longest()
        async with beside(attack, count) as attackers:
            while waits and not attackers.all_began.is_set():
                await seen.ask()
            for _ in range(ASKS):
                await seen.ask()
        seen.check()
    server.check_longest()
    assert len(server.log().splitlines()) - lines <= LOG_LINES_MAX, server.log()[-2000:]


FLOODS = {
    "empty data": POST + frame(DATA, 0, 1) * 7000,
    "data of one byte": POST + frame(DATA, 0, 1, b"{") * 7000,
    "data that is all padding": POST + frame(DATA, PADDED, 1, b"\xff" + bytes(255)) * 2000,
    "priorities": frame(PRIORITY, 0, 1, bytes(5)) * 7000,
    "priorities of many streams": b"".join(frame(PRIORITY, 0, 2 * n + 1, bytes(5)) for n in range(7000)),
    "window updates": frame(WINDOW, 0, 0, bytes([0, 0, 0, 1])) * 7000,
    "window updates of a stream": POST + frame(WINDOW, 0, 1, bytes([0, 0, 0, 1])) * 7000,
    "pings": frame(PING, 0, 0, bytes(8)) * 7000,
    "answers to no ping": frame(PING, 1, 0, bytes(8)) * 7000,
    "settings": frame(SETTINGS, 0, 0, bytes([0, 4, 0, 1, 0, 0])) * 7000,
    "empty settings": frame(SETTINGS) * 7000,
    "resets of one stream": POST + frame(RESET, 0, 1, bytes(4)) * 7000,
    "unknown frames": frame(UNKNOWN, 0, 1, b"x") * 7000,
    "large unknown frames": frame(0x42, 0, 0, bytes(16384)) * 100,
    "empty continuations": frame(HEADERS, 0, 1, head("GET", "/")) + frame(CONTINUATION, 0, 1) * 7000,
    "continuations without end": frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1, b"\x20" * 16384) * 60,
    "a head of table sizes": frame(HEADERS, 0, 1, b"\x20" * 16384) + frame(CONTINUATION, 4, 1, b"\x20" * 16384) * 2,
    "a head that unpacks to much": frame(
        HEADERS, END_HEADERS | END_STREAM, 1, b"\x40\x01a\x7f\xe0\x1f" + b"\xbe" * 16000
    ),
    "heads of long codes": b"".join(
        frame(HEADERS, 5, 2 * n + 1, head("GET", "/") + b"\x00\x01a\xff\x81\x7b" + b"\xff" * 16000) for n in range(20)
    ),
    "streams opened and reset": b"".join(
        frame(HEADERS, 5, 2 * n + 1, head("GET", "/healthz")) + frame(RESET, 0, 2 * n + 1, bytes(4))
        for n in range(3000)
    ),
    "streams opened and left": b"".join(
        frame(HEADERS, END_HEADERS, 2 * n + 1, head("GET", "/healthz", x_long="y" * 8000)) for n in range(250)
    ),
    "requests without rights": b"".join(frame(HEADERS, 5, 2 * n + 1, head("GET", "/api/v1/pods")) for n in range(2000)),
}


def pouring(port: int, version: str, pieces: list[bytes]) -> Callable[[], Awaitable[None]]:
    async def attack() -> None:
        async with connected(port, version) as (reader, writer):
            reading = asyncio.create_task(reader.read(-1))
            try:
                await pour(writer, pieces)
                await reading
            finally:
                reading.cancel()

    return attack


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
async def test_listener_7_a_flood_of_frames_keeps_nobody_waiting(server: ServerProcess, flood: bytes) -> None:
    await stand(server, pouring(server.port, "h2", [HELLO + flood] + [flood.removeprefix(POST)] * REPEATED))


CHUNKED = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
TEXTS = {
    "requests without a pause": (GET + b"\r\n") * 5000,
    "requests that are refused": b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\n\r\n" * 5000,
    "chunks of one byte": CHUNKED + b"1\r\nx\r\n" * 100_000,
    "chunks with long extensions": CHUNKED + (b"1;" + b"e" * 60_000 + b"\r\nx\r\n") * 20,
    "an extension without end": CHUNKED + b"1;" + b"e" * 2_000_000,
    "trailers without end": CHUNKED + b"1\r\nx\r\n0\r\n" + b"T: railer\r\n" * 100_000,
    "a head without end": GET + b"X: y\r\n" * 100_000,
    "a head of long fields": GET + b"".join(b"X%d: " % n + b"y" * 60_000 + b"\r\n" for n in range(100)),
    "a line without end": b"GET /" + b"a" * 2_000_000,
    "a body without end": b"POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + bytes(4 << 20),
    "a body with a GET": b"GET /version HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + bytes(4 << 20),
    "blank lines": b"\r\n" * 500_000,
    "noise": bytes(range(256)) * 4000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_listener_7_a_flood_of_http_1_keeps_nobody_waiting(server: ServerProcess, text: bytes) -> None:
    await stand(server, pouring(server.port, "http/1.1", [text]))


async def test_turn_2_two_hundred_who_flood_keep_nobody_waiting(server: ServerProcess) -> None:
    # The witness asks while they come, fifty a second. When all two hundred are at work, a GET waits for more than
    # a second of processor: the bound doesn't hold then.
    flood = FLOODS["pings"]
    await stand(server, pouring(server.port, "h2", [HELLO] + [flood] * REPEATED), 200, waits=False)


async def test_door_1_handshakes_that_begin_and_never_end_keep_nobody_waiting(server: ServerProcess) -> None:
    async def attack() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(b"\x16\x03\x01")  # a record begins
            await reader.read()
        finally:
            writer.transport.abort()

    await stand(server, attack, 300)


async def test_door_1_handshakes_of_noise_keep_nobody_waiting(server: ServerProcess) -> None:
    async def attack() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(b"\x16\x03\x01\x40\x00\x01" + bytes(range(256)) * 64)
            await reader.read()
        finally:
            writer.transport.abort()

    await stand(server, attack, 100)


async def test_door_2_strangers_who_stay_make_room_for_others(server: ServerProcess) -> None:
    async def attack() -> None:
        async with connected(server.port) as (reader, writer):
            writer.write(HELLO)
            while await reader.read(1 << 16):
                pass

    async with beside(attack, STRANGERS_MAX + 50) as strangers:
        await strangers.all_began.wait()
        for _ in range(20):  # as a client does: whoever is turned away comes again
            with suppress(OSError, EOFError):
                async with witness(server) as seen:
                    await seen.ask()
                    seen.check()
                    return
    pytest.fail("nobody got in beside strangers who stay")
