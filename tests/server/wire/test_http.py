"""The listener on real sockets: good requests, bad ones, slow ones, and clients that go away."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import ADMIN, MAPS, Serving, config_map, serving

from pvbinder.server.identity.impersonation import Impersonation, read_impersonation
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.wire.http import Listener, ListenError
from pvbinder.server.wire.messages import BODY_BYTES_MAX, Timeouts

PATIENCE_SECONDS = 20.0  # for what must happen; nothing here takes a second


@dataclass(slots=True)
class Gate:
    """Between listener and dispatcher: makes every request the administrator's, and tells when a stream is closed."""

    handle: Callable[[ApiRequest], Awaitable[ApiResponse]]
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[ApiRequest] = field(default_factory=list)

    async def __call__(self, request: ApiRequest) -> ApiResponse:
        request.user = ADMIN
        self.seen.append(request)
        self.entered.set()
        response = await self.handle(request)
        if response.stream is not None:
            response.stream = self._told(response.stream)
        return response

    async def _told(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in stream:
                yield chunk
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # a generator
            self.closed.set()


@dataclass(slots=True)
class Listening:
    """A server that listens on a socket without TLS."""

    serving: Serving
    gate: Gate
    port: int
    lost: asyncio.Event = field(default_factory=asyncio.Event)  # a connection has ended

    def tell(self, ended: Callable[..., None]) -> Callable[..., None]:
        """Wrap the callback for the end of a connection."""

        def told(*arguments: object) -> None:
            ended(*arguments)
            self.lost.set()

        return told

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port))

    async def once(self, raw: bytes) -> Answer:
        """Send `raw` on a connection of its own and read one answer."""
        async with await self.connect() as connection:
            return await connection.send(raw)


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Connection:
    """A client's end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def send(self, raw: bytes) -> Answer:
        self.writer.write(raw)
        return await self.answer()

    async def answer(self) -> Answer:
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(lines[0].split()[1]), headers, body)

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def listening(directory: Path, timeouts: Timeouts | None = None) -> AsyncGenerator[Listening]:
    async with serving(directory) as server:
        gate = Gate(server.dispatcher.handle)
        async with Listener(gate, timeouts=timeouts) as listener:
            listening_server = Listening(server, gate, listener.port)
            listener._web.connection_lost = listening_server.tell(listener._web.connection_lost)  # type: ignore[method-assign]
            yield listening_server
            server.store.end_watches()


async def test_a_connection_is_kept_over_requests_and_errors(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, await server.connect() as connection:
        statuses = [
            (await connection.send(request("POST", MAPS, json.dumps(config_map()).encode()))).status,
            (await connection.send(request("POST", MAPS, b"{bad"))).status,
            (await connection.send(request("GET", f"{MAPS}/none"))).status,
            (await connection.send(request("GET", f"{MAPS}/a"))).status,
        ]
        assert statuses == [201, 400, 404, 200]


async def test_headers_and_query_reach_the_handler_decoded(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        path = f"{MAPS}/a%2Db?labelSelector=a%3Db&pretty&x=1&x=2"
        answer = await server.once(request("GET", path, Accept="*/*", X_Y="1"))
        assert (answer.status, answer.headers["cache-control"]) == (404, "no-cache, private")
        seen = server.gate.seen[-1]
        assert seen.path == f"{MAPS}/a-b"
        assert seen.query == {"labelSelector": ["a=b"], "pretty": [""], "x": ["1", "2"]}
        assert (seen.headers["accept"], seen.headers["x-y"]) == ("*/*", "1")


async def test_warnings_are_headers_of_their_own(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        body = json.dumps({"metadata": {"name": "a"}, 'odd"one': 1}).encode()
        answer = await server.once(request("POST", MAPS, body, Content_Type="application/json"))
        assert answer.headers["warning"] == r'299 - "unknown field \"odd\"one\""'


async def test_large_answers_are_compressed_for_those_who_take_it(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        await server.serving.send("POST", MAPS, config_map("big", k="x" * 200_000))
        plain = await server.once(request("GET", f"{MAPS}/big", Accept_Encoding="deflate, gzip;q=1.0"))
        packed = await server.once(request("GET", f"{MAPS}/big", Accept_Encoding="deflate, gzip"))
        assert "content-encoding" not in plain.headers
        assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
        assert gzip.decompress(packed.body) == plain.body


# ------------------------------------------------------------------------------------------------ bounded input


async def test_listener_1_a_body_of_10_mb_is_refused_and_the_server_goes_on(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        answer = await server.once(request("POST", MAPS, b"x" * 10_000_000))
        assert (answer.status, answer.json["message"]) == (413, f"Request entity too large: limit is {BODY_BYTES_MAX}")
        assert (await server.once(request("GET", MAPS))).status == 200


async def test_listener_1_a_body_that_grows_too_large_in_chunks_is_refused(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, await server.connect() as connection:
        connection.writer.write(f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(4):
            connection.writer.write(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
        connection.writer.write(b"0\r\n\r\n")
        assert (await connection.answer()).status == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "nonsense"])
async def test_listener_5_a_compressed_body_is_not_unpacked(tmp_path: Path, encoding: str) -> None:
    async with listening(tmp_path) as server, await server.connect() as connection:
        whole = json.dumps(config_map("packed")).encode()
        for packed in (gzip.compress(whole), zlib.compress(whole), gzip.compress(b" " * 50_000_000)):
            sent = request("POST", MAPS, packed, Content_Type="application/json", Content_Encoding=encoding)
            answer = await connection.send(sent)
            assert server.gate.seen[-1].body == packed
            assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
        plain = request("POST", MAPS, whole, Content_Type="application/json", Content_Encoding=encoding)
        assert (await connection.send(plain)).status == 201, "as in the reference, nobody asks what it is called"


async def test_listener_5_nor_is_one_that_comes_in_chunks(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, await server.connect() as connection:
        packed = gzip.compress(b" " * 50_000_000)
        head = f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.writer.write(head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed))
        assert (await connection.answer()).status == 400
        assert server.gate.seen[-1].body == packed


async def test_of_several_credentials_the_first_counts_and_values_stay_apart(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        fields = (
            "Authorization: Bearer one\r\nAuthorization: Bearer two\r\n"
            "Impersonate-User: ana\r\nImpersonate-User: root\r\nImpersonate-Uid: 1\r\nImpersonate-Uid: 2\r\n"
            "Impersonate-Group: a, b\r\nImpersonate-Group: c\r\nImpersonate-Extra-K: v, w\r\n"
        )
        await server.once(f"GET {MAPS} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
        seen = server.gate.seen[-1]
        assert seen.headers["authorization"] == "Bearer one"
        wanted = read_impersonation(seen.headers, seen.repeated)
        assert wanted == Impersonation("ana", ("a, b", "c"), {"k": ["v, w"]}, "1")


async def test_listener_1_a_half_sent_body_is_given_up(tmp_path: Path) -> None:
    async with listening(tmp_path, Timeouts(read_seconds=0.1)) as server, await server.connect() as connection:
        connection.writer.write(request("POST", MAPS, b"x" * 100)[:-50])
        answer = await connection.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")


@pytest.mark.parametrize("raw", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nAccept: "])
async def test_listener_1_a_half_sent_head_is_given_up(tmp_path: Path, raw: bytes) -> None:
    async with listening(tmp_path, Timeouts(idle_seconds=0.1)) as server, await server.connect() as connection:
        connection.writer.write(raw)
        assert await connection.rest() == b""


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS where none is": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
    "a header too long": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "too many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
    "a wrong length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a NUL in the path": b"GET /api/\0 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
async def test_listener_3_what_cannot_be_parsed_is_a_bad_request_for_that_connection_only(
    tmp_path: Path, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tmp_path) as server, await server.connect() as other:
        assert (await other.send(request("GET", MAPS))).status == 200
        assert (await server.once(raw)).status == 400
        assert (await other.send(request("GET", MAPS))).status == 200
        assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"[]", b'{"metadata":', b"\xff\xfe", b'{"a":"\\ud800"}', b"[" * 100_000, b'{"a":NaN}', b"\0"],
    ids=["open", "empty", "a list", "cut off", "not UTF-8", "half a surrogate", "deep", "NaN", "NUL"],
)
async def test_malformed_json_is_a_bad_request(tmp_path: Path, body: bytes) -> None:
    async with listening(tmp_path) as server:
        answer = await server.once(request("POST", MAPS, body, Content_Type="application/json"))
        assert answer.status in (400, 422), answer.body
        assert answer.json["kind"] == "Status"


@pytest.mark.parametrize("path", ["/api/v1/../../etc/passwd", "/%2e%2e/x", "//api//v1//nosuch", "/%00", "/%ff%fe"])
async def test_odd_paths_are_not_found(tmp_path: Path, path: str) -> None:
    async with listening(tmp_path) as server:
        assert (await server.once(request("GET", path))).status == 404


async def test_too_many_fields_in_a_query_are_a_bad_request(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        answer = await server.once(request("GET", MAPS + "?" + "&".join("a=b" for _ in range(500))))
        assert answer.status == 400


async def test_a_client_that_asks_first_is_told_to_go_on(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, await server.connect() as connection:
        body = json.dumps(config_map()).encode()
        raw = request("POST", MAPS, body, Expect="100-continue", Content_Type="application/json")
        connection.writer.write(raw[: -len(body)])
        assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await connection.send(body)).status == 201


# ------------------------------------------------------------------------------------------------ watches


async def open_watch(connection: Connection, target: str) -> None:
    connection.writer.write(request("GET", target))
    head = await connection.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")


async def test_a_watch_comes_in_chunks_as_things_happen(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, await server.connect() as connection:
        await open_watch(connection, f"{MAPS}?watch=true")
        await server.serving.send("POST", MAPS, config_map())
        length = int(await connection.reader.readline(), 16)
        event = json.loads(await connection.reader.readexactly(length))
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")


async def test_listener_2_a_client_that_never_reads_its_watch_is_disconnected(tmp_path: Path) -> None:
    async with listening(tmp_path, Timeouts(write_seconds=0.1)) as server:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(client, request("GET", f"{MAPS}?watch=true"))
            await loop.sock_recv(client, 10)
            # more than the buffers of two sockets hold
            for number in range(60):
                await server.serving.send("POST", MAPS, config_map(f"big{number}", k="x" * 500_000))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await server.gate.closed.wait()
        assert (await server.once(request("GET", f"{MAPS}?limit=1"))).status == 200


async def test_listener_2_a_client_that_stops_reading_a_large_answer_is_disconnected(tmp_path: Path) -> None:
    async with listening(tmp_path, Timeouts(write_seconds=0.1)) as server:
        for number in range(40):
            await server.serving.send("POST", MAPS, config_map(f"big{number}", k="x" * 500_000))
        async with await server.connect() as connection:
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]  # so that the buffers fill
            connection.writer.write(request("GET", MAPS))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await server.lost.wait()
        assert (await server.once(request("GET", f"{MAPS}?limit=1"))).status == 200


async def test_large_answers_come_whole(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, await server.connect() as connection:
        for number in range(5):
            await server.serving.send("POST", MAPS, config_map(f"big{number}", k="x" * 500_000))
        for _ in range(2):
            answer = await connection.send(request("GET", MAPS))
            assert [len(item["data"]["k"]) for item in answer.json["items"]] == [500_000] * 5


ADDRESSES = {
    "127.0.0.1": "http://127.0.0.1:7",
    "localhost": "http://localhost:7",
    "0.0.0.0": "http://127.0.0.1:7",
    "::": "http://[::1]:7",
    "::1": "http://[::1]:7",
}


@pytest.mark.parametrize(("host", "url"), ADDRESSES.items())
async def test_the_address_is_one_that_a_client_can_use(host: str, url: str) -> None:
    async def handle(_: ApiRequest) -> ApiResponse:
        return ApiResponse(200)

    assert Listener(handle, host=host, port=7).url == url


async def test_listener_4_a_client_that_goes_away_takes_its_watch_with_it(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        async with await server.connect() as connection:
            await open_watch(connection, f"{MAPS}?watch=true")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await server.gate.closed.wait()
        assert server.serving.api.watches["configmaps"] == 0


async def test_listener_4_a_write_that_has_begun_goes_on(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        watch = await server.serving.events(f"{MAPS}?watch=true")
        async with await server.connect() as connection:
            body = json.dumps(config_map()).encode()
            connection.writer.write(request("POST", MAPS, body, Content_Type="application/json"))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await server.gate.entered.wait()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await watch.names(1) == [("ADDED", "a")]
        await watch.close()


async def test_a_busy_port_is_told_with_a_way_out(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        with pytest.raises(ListenError, match=f"can't listen on 127.0.0.1 port {server.port}: .*in use") as failed:
            async with Listener(server.gate, port=server.port):
                pass
        assert failed.value.hint is not None
        assert "--port" in failed.value.hint
