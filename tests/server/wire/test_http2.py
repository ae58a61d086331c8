"""HTTP/2 on real sockets with TLS: requests side by side, windows, and peers that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.attackers import trusting_all
from tests.server.serving import MAPS, Serving, config_map, serving
from tests.server.wire.test_http import PATIENCE_SECONDS, Gate

from pvbinder.server.identity.certificates import Identity
from pvbinder.server.identity.impersonation import Impersonation, read_impersonation
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.wire import http2
from pvbinder.server.wire.http import Listener
from pvbinder.server.wire.messages import BODY_BYTES_MAX, Timeouts

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELLO = PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # and no settings


@dataclass(slots=True)
class Answer:
    """What has come of the answer to one request."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers[":status"])

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A client's end of one connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, window: int, acknowledges: bool
    ) -> None:
        self.reader, self.writer = reader, writer
        self.http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.http.initiate_connection()
        self.http.update_settings({SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.answers: defaultdict[int, Answer] = defaultdict(Answer)
        self.events: list[Event] = []
        self.is_closed = False
        self.acknowledges = acknowledges
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.http.data_to_send())

    def ask(self, method: str, target: str, body: bytes | None = None, *, ends: bool = True, **headers: str) -> int:
        """Send a request; return the number of its stream."""
        number = self.http.get_next_available_stream_id()
        fields = [(":method", method), (":path", target), (":scheme", "https"), (":authority", "here:1")]
        fields += [(name.replace("_", "-"), text) for name, text in headers.items()]
        self.http.send_headers(number, fields, end_stream=body is None and ends)
        if body is not None:
            for start in range(0, len(body), 16_000):
                self.http.send_data(number, body[start : start + 16_000])
            if ends:
                self.http.end_stream(number)
        self.flush()
        return number

    async def read(self) -> None:
        """Take in what comes next."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                data = await self.reader.read(65536)
            except ConnectionError:
                data = b""
        if not data:
            self.is_closed = True
            return
        for event in self.http.receive_data(data):
            self.events.append(event)
            match event:
                case ResponseReceived():
                    self.answers[event.stream_id].headers = {str(k): str(v) for k, v in event.headers}
                case DataReceived():
                    self.answers[event.stream_id].body += event.data
                    if self.acknowledges:
                        self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case StreamEnded():
                    self.answers[event.stream_id].is_ended = True
                case StreamReset():
                    self.answers[event.stream_id].reset = int(event.error_code)
                case _:
                    pass
        self.flush()

    async def answer(self, number: int) -> Answer:
        """Read until the answer on a stream has come whole, or its stream was reset."""
        while not (self.answers[number].is_ended or self.answers[number].reset is not None or self.is_closed):
            await self.read()
        return self.answers[number]

    async def fetch(self, method: str, target: str, body: object = None, **headers: str) -> Answer:
        raw = None if body is None else json.dumps(body).encode()
        return await self.answer(self.ask(method, target, raw, ends=True, **headers))

    async def event(self, kind: type[Event]) -> Event:
        """Read until such an event has come."""
        while not (seen := [event for event in self.events if isinstance(event, kind)]):
            assert not self.is_closed, self.events
            await self.read()
        return seen[0]

    async def closed(self) -> bool:
        """Read until the server closes."""
        while not self.is_closed:
            await self.read()
        return True

    async def lines(self, number: int, count: int) -> list[dict[str, Any]]:
        """Read a watch until `count` events have come."""
        while self.answers[number].body.count(b"\n") < count:
            assert not self.is_closed
            await self.read()
        return [json.loads(line) for line in self.answers[number].body.splitlines()]


@dataclass(slots=True)
class Listening:
    """A server that listens with TLS."""

    serving: Serving
    gate: Gate
    listener: Listener

    @asynccontextmanager
    async def raw(self, *versions: str) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        tls = trusting_all(*(versions or ("h2",)))
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port, ssl=tls)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def client(self, *, window: int = 65535, acknowledges: bool = True) -> AsyncGenerator[Client]:
        async with self.raw() as (reader, writer):
            yield Client(reader, writer, window=window, acknowledges=acknowledges)


@asynccontextmanager
async def listening(directory: Path, timeouts: Timeouts | None = None) -> AsyncGenerator[Listening]:
    identity = Identity.load_or_make(directory / "pki")
    async with serving(directory / "data") as server:
        gate = Gate(server.dispatcher.handle)
        async with Listener(gate, tls=identity.server_context(), timeouts=timeouts) as listener:
            yield Listening(server, gate, listener)
            server.store.end_watches()


async def test_requests_and_errors_share_a_connection(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        answers = [
            await client.fetch("POST", MAPS, config_map(), content_type="application/json"),
            await client.fetch("POST", MAPS, [], content_type="application/json"),
            await client.fetch("GET", f"{MAPS}/none"),
            await client.fetch("GET", f"{MAPS}/a"),
            await client.fetch("DELETE", f"{MAPS}/a"),
        ]
        assert [answer.status for answer in answers] == [201, 400, 404, 200, 200]
        assert answers[3].json["metadata"]["name"] == "a"
        assert int(answers[3].headers["content-length"]) == len(answers[3].body)


async def test_who_asks_for_http_1_gets_it_on_the_same_port(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.raw("http/1.1") as (reader, writer):
        writer.write(f"GET {MAPS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_headers_and_query_reach_the_handler_as_by_http_1(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        answer = await client.fetch("GET", f"{MAPS}/a%2Db?labelSelector=a%3Db&pretty&x=1&x=2", accept="*/*", x_y="1")
        assert (answer.status, answer.headers["cache-control"]) == (404, "no-cache, private")
        seen = server.gate.seen[-1]
        assert seen.path == f"{MAPS}/a-b"
        assert seen.query == {"labelSelector": ["a=b"], "pretty": [""], "x": ["1", "2"]}
        assert (seen.headers["accept"], seen.headers["x-y"], seen.headers["host"]) == ("*/*", "1", "here:1")


async def test_warnings_are_headers_of_their_own(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        sent = {"metadata": {"name": "a"}, "odd": 1}
        answer = await client.fetch("POST", MAPS, sent, content_type="application/json")
        assert answer.headers["warning"] == '299 - "unknown field \\"odd\\""'


async def test_streams_are_answered_side_by_side_and_a_watch_holds_up_nobody(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        watch = client.ask("GET", f"{MAPS}?watch=true")
        posts = [
            client.ask("POST", MAPS, json.dumps(config_map(f"k{n}")).encode(), content_type="application/json")
            for n in range(100)
        ]
        assert {(await client.answer(number)).status for number in posts} == {201}
        events = await client.lines(watch, 100)
        assert {event["object"]["metadata"]["name"] for event in events} == {f"k{n}" for n in range(100)}


@pytest.mark.parametrize("window", [1, 100, 65535], ids="window {}".format)
async def test_a_large_answer_comes_whole_through_any_window(tmp_path: Path, window: int) -> None:
    size = 300 if window == 1 else 400_000
    async with listening(tmp_path) as server, server.client(window=window) as client:
        await server.serving.send("POST", MAPS, config_map("big", k="x" * size))
        assert len((await client.fetch("GET", f"{MAPS}/big")).json["data"]["k"]) == size


async def test_a_head_has_the_headers_alone(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        answer = await client.fetch("HEAD", "/healthz")
        assert (answer.body, answer.is_ended) == (b"", True)


async def test_pings_are_answered(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        client.http.ping(b"12345678")
        client.flush()
        assert await client.event(PingAckReceived)


# ------------------------------------------------------------------------------------- what a peer may do to itself


async def test_http2_1_a_watch_whose_stream_is_reset_ends_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        watch = client.ask("GET", f"{MAPS}?watch=true")
        await server.serving.send("POST", MAPS, config_map())
        await client.lines(watch, 1)
        client.http.reset_stream(watch)
        client.flush()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await server.gate.closed.wait()
        assert (await client.fetch("GET", MAPS)).status == 200


async def test_http2_1_a_client_that_goes_away_takes_its_watches_with_it(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        async with server.client() as client:
            watch = client.ask("GET", f"{MAPS}?watch=true")
            await server.serving.send("POST", MAPS, config_map())
            await client.lines(watch, 1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await server.gate.closed.wait()


async def test_http2_1_a_write_that_has_begun_goes_on_without_its_client(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        async with server.client() as client:
            client.ask("POST", MAPS, json.dumps(config_map()).encode(), content_type="application/json")
            async with asyncio.timeout(PATIENCE_SECONDS):
                await server.gate.entered.wait()
        async with server.client() as other:
            while (await other.fetch("GET", f"{MAPS}/a")).status == 404:
                pass


async def test_http2_1_a_body_that_is_too_large_is_refused_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        number = client.ask("POST", MAPS, ends=False)
        for _ in range(BODY_BYTES_MAX // 16_000 + 2):
            while client.http.local_flow_control_window(number) < 16_000:
                await client.read()
            client.http.send_data(number, bytes(16_000))
            client.flush()
        answer = await client.answer(number)
        assert (answer.status, answer.json["reason"]) == (413, "RequestEntityTooLarge")
        assert (await client.fetch("GET", MAPS)).status == 200


async def test_http2_1_a_compressed_body_is_not_unpacked(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        packed = gzip.compress(json.dumps(config_map()).encode())
        number = client.ask("POST", MAPS, packed, content_type="application/json", content_encoding="gzip")
        assert (await client.answer(number)).status == 400
        assert server.gate.seen[-1].body == packed


async def test_of_several_credentials_the_first_counts_and_values_stay_apart(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        number = client.http.get_next_available_stream_id()
        fields = [(":method", "GET"), (":path", MAPS), (":scheme", "https"), (":authority", "here:1")]
        fields += [("authorization", "Bearer one"), ("authorization", "Bearer two")]
        fields += [("impersonate-user", "ana"), ("impersonate-user", "root")]
        fields += [("impersonate-group", "a, b"), ("impersonate-group", "c")]
        client.http.send_headers(number, fields, end_stream=True)
        client.flush()
        await client.answer(number)
        seen = server.gate.seen[-1]
        assert seen.headers["authorization"] == "Bearer one"
        assert read_impersonation(seen.headers, seen.repeated) == Impersonation("ana", ("a, b", "c"), {}, "")


async def test_http2_1_only_so_much_of_unfinished_bodies_is_held_for_one_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "HELD_BYTES_MAX", 50_000)
    async with listening(tmp_path) as server, server.client() as client:
        first, second = (client.ask("POST", MAPS, b'"' * 30_000, ends=False) for _ in range(2))
        answer = await client.answer(second)
        assert (answer.status, answer.json["reason"]) == (429, "TooManyRequests")
        client.http.end_stream(first)
        client.flush()
        assert (await client.answer(first)).status == 400
        assert (await client.fetch("POST", MAPS, config_map(k="x" * 40_000))).status == 201


async def test_http2_1_a_half_sent_body_is_given_up(tmp_path: Path) -> None:
    async with listening(tmp_path, Timeouts(read_seconds=0.1)) as server, server.client() as client:
        answer = await client.answer(client.ask("POST", MAPS, b"{", ends=False))
        assert answer.status == 408
        assert (await client.fetch("GET", MAPS)).status == 200


async def test_http2_2_more_streams_than_allowed_are_refused(tmp_path: Path) -> None:
    async with listening(tmp_path) as server, server.client() as client:
        await client.fetch("GET", MAPS)  # the settings have come
        assert client.http.remote_settings.max_concurrent_streams == http2.STREAMS_MAX
        client.http.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 10 * http2.STREAMS_MAX
        client.http.remote_settings.acknowledge()
        for _ in range(http2.STREAMS_MAX + 10):
            client.ask("GET", f"{MAPS}?watch=true")
        await client.event(ConnectionTerminated)
        assert await client.closed()


async def test_http2_2_who_opens_streams_only_to_reset_them_is_put_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "RESETS_MAX", 50)
    async with listening(tmp_path) as server, server.client() as client, server.client() as other:
        for _ in range(60):
            client.http.reset_stream(client.ask("GET", MAPS))
        client.flush()
        await client.event(ConnectionTerminated)
        assert await client.closed()
        assert (await other.fetch("GET", MAPS)).status == 200


MALFORMED = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a frame too large": PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(3 << 20),
    "data on no stream": HELLO + b"\x00\x00\x01\x00\x00\x00\x00\x00\x01a",
    "headers on stream 2": HELLO + b"\x00\x00\x01\x01\x05\x00\x00\x00\x02\x82",
    "a broken header block": HELLO + b"\x00\x00\x03\x01\x05\x00\x00\x00\x01\xff\xff\xff",
    "a header that is not UTF-8": HELLO + b"\x00\x00\x06\x01\x05\x00\x00\x00\x01\x40\x01\xff\x01\xff\x00",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
async def test_http2_2_what_is_no_http_2_ends_that_connection_only(
    tmp_path: Path, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tmp_path) as server, server.client() as other:
        assert (await other.fetch("GET", MAPS)).status == 200
        async with server.raw() as (reader, writer):
            writer.write(raw)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await reader.read()
        assert (await other.fetch("GET", MAPS)).status == 200
    assert "Traceback" not in caplog.text


@pytest.mark.slow
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=64))))
def test_http2_2_frames_at_random_harm_nobody_else(
    tmp_path_factory: pytest.TempPathFactory,
    noise: list[tuple[int, int, int, bytes]],
) -> None:
    async def play() -> None:
        async with listening(directory) as server, server.raw() as (_, writer), server.client() as other:
            writer.write(HELLO)
            for kind, flags, stream, payload in noise:
                frame = len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4)
                writer.write(frame + payload)
            assert (await other.fetch("GET", MAPS)).status == 200

    directory = tmp_path_factory.mktemp("noise")
    asyncio.run(play())


async def test_http2_3_a_connection_without_a_stream_is_closed_after_a_time(tmp_path: Path) -> None:
    async with listening(tmp_path, Timeouts(idle_seconds=0.1)) as server, server.client() as client:
        assert (await client.fetch("GET", MAPS)).status == 200
        await client.event(ConnectionTerminated)
        assert await client.closed()


async def test_http2_3_a_stream_that_is_given_no_room_is_reset_and_the_others_go_on(tmp_path: Path) -> None:
    async with listening(tmp_path, Timeouts(write_seconds=0.1)) as server:
        await server.serving.send("POST", MAPS, config_map("big", k="x" * 10_000))
        async with server.client(window=100, acknowledges=False) as client:
            assert (await client.fetch("GET", f"{MAPS}/big")).reset is not None
            client.acknowledges = True
            assert (await client.fetch("GET", f"{MAPS}/big")).status == 200


async def test_http2_3_a_client_that_takes_nothing_is_disconnected(tmp_path: Path) -> None:
    async with listening(tmp_path, Timeouts(write_seconds=0.1)) as server:
        for number in range(40):
            await server.serving.send("POST", MAPS, config_map(f"big{number}", k="x" * 500_000))
        async with server.client(window=2**31 - 1) as client:
            client.http.increment_flow_control_window(2**31 - 1 - 65535)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # so that the buffers fill
            client.ask("GET", f"{MAPS}?watch=true&resourceVersion=0")
            async with asyncio.timeout(PATIENCE_SECONDS):
                await server.gate.closed.wait()


async def test_a_server_that_stops_answers_what_is_under_way_and_takes_nothing_more(tmp_path: Path) -> None:
    held = asyncio.Event()
    async with listening(tmp_path) as server:
        handle = server.gate.handle

        async def slowly(request: ApiRequest) -> ApiResponse:
            await held.wait()
            return await handle(request)

        server.gate.handle = slowly
        connection = server.client()
        client = await connection.__aenter__()
        first = client.ask("POST", MAPS, json.dumps(config_map()).encode(), content_type="application/json")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await server.gate.entered.wait()
        stopping = asyncio.create_task(server.listener.__aexit__(None, None, None))
        await asyncio.sleep(0)
        late = client.ask("GET", MAPS)
        assert (await client.answer(late)).reset == 7, "REFUSED_STREAM: it may be asked again elsewhere"
        held.set()
        assert (await client.answer(first)).status == 201
        await client.event(ConnectionTerminated)
        await stopping
        await connection.__aexit__(None, None, None)


async def test_a_server_that_stops_says_goodbye(tmp_path: Path) -> None:
    async with listening(tmp_path) as server:
        connection = server.client()
        client = await connection.__aenter__()
        client.ask("GET", f"{MAPS}?watch=true")
        await server.serving.send("POST", MAPS, config_map())
        await client.lines(1, 1)
    await client.event(ConnectionTerminated)
    await connection.__aexit__(None, None, None)
