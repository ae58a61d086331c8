"""The line over HTTP(S), against real sockets (WIRE-1 to WIRE-5)."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp import web

from pvbinder.kube import http
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.config import ConnectionConfig, ExecPlugin, load_kubeconfig
from pvbinder.kube.direct import probe
from pvbinder.kube.errors import ApiFailure, ConfigError, ConnectionFailed
from pvbinder.kube.http import HttpTransport
from pvbinder.kube.kinds import VOLUMES
from pvbinder.kube.transport import Request
from pvbinder.server.identity.certificates import Identity

GET = Request("GET", "/api/v1/persistentvolumes/disk-1")
WATCH = Request("GET", "/api/v1/persistentvolumes", {"watch": "true", "timeoutSeconds": "60"})
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Wire:
    """A listener whose answers the test writes."""

    url: str
    seen: list[web.BaseRequest] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)


@asynccontextmanager
async def listening(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Wire]:
    wire = Wire("")

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        wire.seen.append(request)
        wire.connections.add(request.transport)
        return await handler(request)

    server = web.Server(serve, handler_cancellation=True)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=tls)
    wire.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        listener.close()
        await server.shutdown(0.1)


@asynccontextmanager
async def raw_listener(answer: bytes) -> AsyncGenerator[str]:
    """A listener that sends `answer` to whatever comes and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def empty_object(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b'{"metadata":{"name":"disk-1"}}', content_type="application/json")


def streaming(chunks: Sequence[bytes], *, then: asyncio.Event | None = None) -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if then is not None:
            await then.wait()
        return response

    return handler


async def test_a_request_goes_there_and_an_answer_comes_back() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert await request.read() == b"{}"
        return web.Response(status=201, body=b'{"a":1}', headers={"Retry-After": "3"})

    async with listening(handler) as wire, HttpTransport(ConnectionConfig(wire.url + "/k8s", token="t")) as transport:
        answer = await transport.send(
            Request("PATCH", "/api/v1/x y/é:z", {"fieldManager": "me & you"}, b"{}", "application/merge-patch+json")
        )

    [request] = wire.seen
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (201, b'{"a":1}', "3")
    assert request.path_qs == "/k8s/api/v1/x%20y/%C3%A9:z?fieldManager=me+%26+you"
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert request.headers["Authorization"] == "Bearer t"
    assert request.headers["User-Agent"].startswith("pvbinder/")


async def test_someone_else_can_be_played() -> None:
    config = ConnectionConfig("", impersonate_user="bob", impersonate_groups=("devs", "ops"))
    async with listening(empty_object) as wire, HttpTransport(replace(config, server=wire.url)) as transport:
        await transport.send(GET)

    [request] = wire.seen
    assert request.headers["Impersonate-User"] == "bob"
    assert request.headers.getall("Impersonate-Group") == ["devs", "ops"]


async def test_connections_are_used_again() -> None:
    async with listening(empty_object) as wire, HttpTransport(ConnectionConfig(wire.url)) as transport:
        for _ in range(10):
            await transport.send(GET)

    assert len(wire.connections) == 1


async def test_wire_1_nobody_listens() -> None:
    async with HttpTransport(ConnectionConfig("http://127.0.0.1:1")) as transport:
        with pytest.raises(ConnectionFailed, match=r"no connection for GET .*refused") as caught:
            await transport.send(GET)
        assert not caught.value.request_sent
        with pytest.raises(ConnectionFailed, match="refused"):
            async with transport.watch(WATCH):
                pass


BREAKS = {  # what the server does instead of answering: the bytes it sends, and what is said
    "closes": (b"", "closed the connection before it answered"),
    "answers no HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", "the connection broke"),
    "answers half": (b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"', "broke off"),
}


@pytest.mark.parametrize(("answer", "message"), BREAKS.values(), ids=BREAKS.keys())
async def test_wire_1_no_answer_came(answer: bytes, message: str) -> None:
    async with raw_listener(answer) as url, HttpTransport(ConnectionConfig(url)) as transport:
        with pytest.raises(ConnectionFailed, match=message) as caught:
            await transport.send(Request("PUT", "/api/v1/persistentvolumes/disk-1", body=b"{}"))
        assert caught.value.request_sent


async def test_wire_1_a_write_is_sent_once_even_when_a_used_connection_closes() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "PUT":
            assert request.transport is not None
            request.transport.abort()
        return await empty_object(request)

    async with listening(handler) as wire, HttpTransport(ConnectionConfig(wire.url)) as transport:
        await transport.send(GET)
        with pytest.raises(ConnectionFailed):
            await transport.send(Request("PUT", "/api/v1/persistentvolumes/disk-1", body=b"{}"))

    assert [request.method for request in wire.seen] == ["GET", "PUT"]


async def test_wire_2_an_answer_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.05)

    async def never(_request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with listening(never) as wire, HttpTransport(ConnectionConfig(wire.url)) as transport:
        with pytest.raises(ConnectionFailed, match=r"no answer to GET .* in time"):
            await transport.send(GET)
        with pytest.raises(ConnectionFailed, match=r"no answer to GET .* in time"):
            async with transport.watch(WATCH):
                pass


async def test_wire_2_a_watch_that_outlives_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "GRACE_SECONDS", 0.05)
    request = Request("GET", WATCH.path, {"watch": "true", "timeoutSeconds": "0"})

    async with (
        listening(streaming([b'{"n":1}\n'], then=asyncio.Event())) as wire,
        HttpTransport(ConnectionConfig(wire.url)) as transport,
        transport.watch(request) as lines,
    ):
        assert await anext(lines) == b'{"n":1}'
        with pytest.raises(ConnectionFailed):
            await anext(lines)


async def test_wire_8_a_refusal_says_what_has_expired() -> None:
    token = "e30." + base64.urlsafe_b64encode(b'{"exp":1000000000}').decode().rstrip("=") + ".x"

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=401, body=b'{"kind":"Status","reason":"Unauthorized","message":"who?"}')

    async with listening(handler) as wire, HttpTransport(ConnectionConfig(wire.url, token=token)) as transport:
        assert "the token expired at 2001-09-09" in (await transport.send(GET)).hint
        with pytest.raises(ApiFailure) as refused:
            async with transport.watch(WATCH):
                pass
        assert "the token expired at 2001-09-09" in (refused.value.hint or "")


async def test_wire_3_a_refused_token_is_renewed_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers["Authorization"] != "Bearer new":
            return web.Response(status=401, body=b'{"kind":"Status","reason":"Unauthorized","message":"who?"}')
        return await (streaming([b"{}\n"])(request) if "watch" in request.query else empty_object(request))

    async with (
        listening(handler) as wire,
        HttpTransport(ConnectionConfig(wire.url, token_file=file)) as transport,
    ):
        assert (await transport.send(GET)).status == 401
        file.write_text("new")
        assert (await transport.send(GET)).status == 200
        file.write_text("newer")
        async with transport.watch(WATCH) as lines:
            assert [line async for line in lines] == [b"{}"]

    assert len(wire.seen) == 5


async def test_wire_3_a_fixed_token_is_not_tried_again() -> None:
    async def refuse(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=401, body=b"{}")

    async with listening(refuse) as wire, HttpTransport(ConnectionConfig(wire.url, token="t")) as transport:
        assert (await transport.send(GET)).status == 401
        with pytest.raises(ApiFailure) as caught:
            async with transport.watch(WATCH):
                pass

    assert caught.value.is_unauthorized
    assert len(wire.seen) == 2


async def test_wire_4_a_line_may_be_as_long_as_an_object() -> None:
    long = b'{"text":"' + b"x" * 3_000_000 + b'"}'
    async with (
        listening(streaming([b'{"n":1}\n{"n"', b":2}\n", long, b"\n"])) as wire,
        HttpTransport(ConnectionConfig(wire.url)) as transport,
        transport.watch(WATCH) as lines,
    ):
        assert [line async for line in lines] == [b'{"n":1}', b'{"n":2}', long]


async def test_a_watch_is_closed_when_its_context_is_left() -> None:
    gone = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await streaming([b"{}\n"], then=asyncio.Event())(request)
        finally:
            gone.set()

    async with listening(handler) as wire, HttpTransport(ConnectionConfig(wire.url)) as transport:
        async with transport.watch(WATCH) as lines:
            await anext(lines)
        await asyncio.wait_for(gone.wait(), 5)
        assert len(wire.seen) == 1


async def test_a_watch_that_is_refused() -> None:
    async def expired(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=410, body=b'{"kind":"Status","reason":"Expired","message":"too old"}')

    async with listening(expired) as wire, HttpTransport(ConnectionConfig(wire.url)) as transport:
        with pytest.raises(ApiFailure, match="too old") as caught:
            async with transport.watch(WATCH):
                pass
    assert caught.value.is_expired


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity.load_or_make(tmp_path / "pki", ["127.0.0.1"])


def trusted(identity: Identity, url: str, tmp_path: Path) -> ConnectionConfig:
    """As a kubeconfig has it, but with the administrator's certificate in place of the token."""
    identity.write_kubeconfig(tmp_path / "config", url)
    return replace(
        load_kubeconfig([tmp_path / "config"]),
        token="",
        client_certificate=identity.path("admin.crt").read_bytes(),
        client_key=identity.path("admin.key").read_bytes(),
    )


async def test_wire_5_both_sides_show_their_certificates(identity: Identity, tmp_path: Path) -> None:
    shown: list[object] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        shown.append(request.transport.get_extra_info("peercert"))
        return await empty_object(request)

    async with (
        listening(handler, identity.server_context()) as wire,
        HttpTransport(trusted(identity, wire.url, tmp_path)) as transport,
    ):
        volume = await Client(transport).get(VOLUMES, "disk-1")

    assert volume.name == "disk-1"
    assert "system:masters" in str(shown)


async def test_wire_5_a_server_of_another_authority_is_not_trusted(identity: Identity, tmp_path: Path) -> None:
    stranger = Identity.load_or_make(tmp_path / "other", ["127.0.0.1"])

    async with listening(empty_object, stranger.server_context()) as wire:
        config = trusted(identity, wire.url, tmp_path)
        async with HttpTransport(config) as transport:
            with pytest.raises(ConnectionFailed, match="no trusted connection") as caught:
                await transport.send(GET)
        assert not caught.value.request_sent
        assert "certificate authority" in (caught.value.hint or "")
        async with HttpTransport(
            replace(config, ca=None, insecure=True, client_certificate=None, client_key=None)
        ) as t:
            assert (await t.send(GET)).status == 200


async def test_wire_5_a_server_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    identity = Identity.load_or_make(tmp_path / "pki", ["disks.example"])
    async with listening(empty_object, identity.server_context()) as wire:
        config = replace(trusted(identity, wire.url, tmp_path), tls_server_name="other.example")
        async with HttpTransport(config) as transport:
            with pytest.raises(ConnectionFailed, match="no trusted connection"):
                await transport.send(GET)
        async with HttpTransport(replace(config, tls_server_name="disks.example")) as transport:
            assert (await transport.send(GET)).status == 200


BAD_TLS = {
    "an authority that is none": ({"ca": b"hello"}, "no PEM certificate"),
    "an authority that isn't text": ({"ca": b"\xff"}, "no PEM certificate"),
    "a certificate that is none": ({"client_certificate": b"a", "client_key": b"b"}, "are no PEM"),
}


@pytest.mark.parametrize(("fields", "message"), BAD_TLS.values(), ids=BAD_TLS.keys())
async def test_wire_5_bad_certificates_are_explained(fields: dict[str, bytes], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        async with HttpTransport(ConnectionConfig("https://127.0.0.1:1", **fields)):  # type: ignore[arg-type]
            pass


async def test_a_plugin_that_fails_is_a_failed_connection() -> None:
    plugin = ExecPlugin("no-such-program", install_hint="brew install it")
    async with HttpTransport(ConnectionConfig("https://127.0.0.1:1", exec_plugin=plugin)) as transport:
        with pytest.raises(ConnectionFailed, match=r"no credentials for GET .*no-such-program can't be run") as caught:
            await transport.send(GET)
        with pytest.raises(ConnectionFailed, match="no-such-program can't be run"):
            async with transport.watch(WATCH):
                pass
    assert not caught.value.request_sent
    assert caught.value.hint == "brew install it"


PROXIES = {  # server: the proxy that is used when the environment names one for both schemes
    "https://k8s.example:6443": "http://proxy:3128",
    "http://k8s.example": "http://plain:3128",
    "https://inside.corp:6443": "",
    "https://127.0.0.1:6443": "",
    "https://[::1]:6443": "",
    "https://localhost:6443": "",
}


@pytest.mark.parametrize(("server", "proxy"), PROXIES.items())
def test_wire_6_a_proxy_comes_from_the_environment(server: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "https_proxy": "http://proxy:3128",
        "http_proxy": "http://plain:3128",
        "no_proxy": ".corp",
    }.items():
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(name.upper(), raising=False)

    assert http.proxy_from_environment(server) == proxy


async def test_wire_6_a_request_goes_through_the_proxy_of_the_kubeconfig() -> None:
    async with (
        listening(empty_object) as proxy,
        HttpTransport(ConnectionConfig("http://k8s.example:8080", proxy=proxy.url)) as transport,
    ):
        answer = await transport.send(GET)

    assert answer.status == 200
    assert proxy.seen[0].headers["Host"] == "k8s.example:8080"


async def test_proxied_1_a_write_is_sent_once_even_when_a_used_connection_closes() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "PUT":
            assert request.transport is not None
            request.transport.abort()
        return await empty_object(request)

    async with (
        listening(handler) as proxy,
        HttpTransport(ConnectionConfig("http://k8s.example:8080", proxy=proxy.url)) as transport,
    ):
        await transport.send(GET)
        with pytest.raises(ConnectionFailed) as caught:
            await transport.send(Request("PUT", "/api/v1/persistentvolumes/disk-1", body=b"{}"))

    assert caught.value.request_sent
    assert [request.method for request in proxy.seen] == ["GET", "PUT"]


async def test_a_client_over_http_repeats_what_never_left() -> None:
    async with HttpTransport(ConnectionConfig("http://127.0.0.1:1")) as transport:
        client = Client(transport, retries=Retries(attempts=3, first_seconds=0.0))
        with pytest.raises(ConnectionFailed):
            await client.create(VOLUMES, {"metadata": {"name": "disk-1"}})

    assert client.statistics().requests == {("create", "persistentvolumes"): 3}


async def test_a_closed_transport_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await HttpTransport(ConnectionConfig("http://127.0.0.1:1")).send(GET)


def test_wire_7_a_connection_asks_whether_the_other_side_is_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        probe(made)
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3


def test_wire_6_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "socks4://user:secret@proxy:1080"})

    with pytest.raises(ConfigError, match="environment's proxy for https is 'socks4://proxy:1080'"):
        http.proxy_from_environment("https://k8s.example:6443")
