"""Our own connections to an API server (CONNECTION-1, CONNECTION-2, DIRECT-1 to DIRECT-3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pvbinder.kube import connection, direct
from pvbinder.kube.direct import DirectLine, Origin
from pvbinder.kube.errors import ConfigError
from pvbinder.kube.transport import Answer, Request

GET = Request("GET", "/a")
SLOW = Request("GET", "/slow")
SECONDS = 5.0


class Server:
    """Answers each request with its path and the number of its connection; ``/slow`` when it is told to."""

    def __init__(self) -> None:
        self.connections = 0
        self.go_on = asyncio.Event()
        self.sent = 0
        self.asked = 0
        self.tasks: set[asyncio.Task[object]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
                self.asked += 1
                if path == b"/endless":
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    while True:
                        writer.write(b"x" * 65536)
                        await writer.drain()
                        self.sent += 65536
                if path == b"/slow":
                    await self.go_on.wait()
                body = b"%s %d" % (path, number)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def line(server: Server) -> AsyncIterator[DirectLine]:
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listener:
        origin = Origin.of(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        line = DirectLine(origin, (), connect_seconds=SECONDS)
        yield line
        line.close()
        server.go_on.set()
        if server.tasks:
            await asyncio.wait(server.tasks, timeout=SECONDS)


async def ask(line: DirectLine, request: Request, seconds: float = SECONDS) -> Answer:
    return await line.send(request, "", None, seconds)


async def test_connection_1_an_answer_never_reaches_another_request(line: DirectLine, server: Server) -> None:
    task = asyncio.create_task(ask(line, SLOW))
    while not server.connections:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.go_on.set()

    assert (await ask(line, GET)).body == b"/a 2"
    assert (await ask(line, GET)).body == b"/a 2"


async def test_connection_1_a_late_answer_is_nobodys(line: DirectLine, server: Server) -> None:
    with pytest.raises(TimeoutError):
        await ask(line, SLOW, seconds=0.01)
    server.go_on.set()

    assert (await ask(line, GET)).body == b"/a 2"


async def test_connection_2_who_reads_slowly_holds_up_the_sender(line: DirectLine, server: Server) -> None:
    async with line.open(Request("GET", "/endless"), "", None, head_seconds=SECONDS, seconds=SECONDS) as (_, _, body):
        await anext(body)
        before = -1
        while server.sent != before:  # until what lies between the two is full
            before = server.sent
            for _ in range(200):
                await asyncio.sleep(0)
        taken = len(await anext(body))
    assert 0 < taken <= 2 * connection.BUFFER_BYTES_MAX + 256 * 1024


async def test_direct_1_a_request_is_sent_once(line: DirectLine, server: Server) -> None:
    await ask(line, GET)
    line._idle[0].data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")  # said into an idle connection
    assert (await ask(line, GET)).body == b"/a 2"
    assert server.asked == 2


async def test_direct_2_at_most_so_many_connections(
    line: DirectLine, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "CONNECTIONS_MAX", 3)
    few = DirectLine(line._origin, (), connect_seconds=SECONDS)
    server.go_on.set()
    await asyncio.gather(*(ask(few, SLOW) for _ in range(20)))
    few.close()

    assert server.connections == 3


async def test_direct_3_no_header_is_smuggled_in(line: DirectLine, server: Server) -> None:
    with pytest.raises(ConfigError, match="Authorization has a control character"):
        await line.send(GET, "token\r\nImpersonate-User: root", None, SECONDS)
    assert server.connections == 0
    answer = await ask(line, Request("GET", "/a\r\nX: y"))
    assert answer.body == b"/a%0D%0AX%3A%20y 1".replace(b"%3A", b":")


async def test_a_connection_that_was_idle_for_long_is_not_used_again(
    line: DirectLine, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(line, GET)
    monkeypatch.setattr(direct, "KEEP_ALIVE_SECONDS", -1.0)

    assert (await ask(line, GET)).body == b"/a 2"


ADDRESSES = {
    "https://k8s.example:6443/prefix/": ("k8s.example", 6443, "/prefix", "k8s.example:6443", "k8s.example"),
    "http://[::1]": ("::1", 80, "", "[::1]", None),
    "https://user:secret@h": ("h", 443, "", "h", "h"),
}


@pytest.mark.parametrize(("server_url", "parts"), ADDRESSES.items())
def test_the_address_of_a_server(server_url: str, parts: tuple[object, ...]) -> None:
    assert Origin.of(server_url) == Origin(*parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("server_url", ["https://:6443", "https://h:99999", "https://"])
def test_an_address_that_leads_nowhere(server_url: str) -> None:
    with pytest.raises(ConfigError, match="no host and port"):
        Origin.of(server_url)
