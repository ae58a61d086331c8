"""Requests through a SOCKS5 proxy, a small one on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.kube.test_http import GET, WATCH, empty_object, listening, trusted

from pvbinder.kube.config import ConnectionConfig
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.http import HttpTransport
from pvbinder.kube.socks import SocksError, SocksProxy
from pvbinder.server.identity.certificates import Identity

NOWHERE = "api.nowhere.example"


@dataclass
class SmallProxy:
    """A proxy that knows one way: whatever it is asked for, it goes to `target`."""

    target: int
    credentials: bytes = b""
    reply: bytes = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    greeting: bytes | None = None
    asked: list[bytes] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        ways = await reader.readexactly(count)
        way = 2 if self.credentials else 0
        writer.write(self.greeting or bytes((5, way if way in ways else 255)))
        if way not in ways or self.greeting:
            return
        if way == 2:
            _, length = await reader.readexactly(2)
            user = await reader.readexactly(length)
            (length,) = await reader.readexactly(1)
            is_known = user + b":" + await reader.readexactly(length) == self.credentials
            writer.write(bytes((1, not is_known)))
            if not is_known:
                return
        _, _, _, kind = await reader.readexactly(4)
        length = (await reader.readexactly(1))[0] if kind == 3 else {1: 4, 4: 16}[kind]
        self.asked.append(bytes((kind,)) + await reader.readexactly(length + 2))
        writer.write(self.reply)
        if not self.reply.startswith(b"\x05\x00"):
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, back))
            group.create_task(pump(there, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def proxying(target: int, **how: bytes) -> AsyncGenerator[SmallProxy]:
    proxy = SmallProxy(target, **how)  # type: ignore[arg-type]
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


HOSTS = {
    NOWHERE: b"\x03" + NOWHERE.encode(),
    "192.0.2.1": b"\x01\xc0\x00\x02\x01",
    "[2001:db8::1]": b"\x04\x20\x01\x0d\xb8" + b"\x00" * 11 + b"\x01",
}


@pytest.mark.parametrize(("host", "address"), HOSTS.items())
async def test_socks_1_the_proxy_gets_the_address_as_it_stands(host: str, address: bytes) -> None:
    async with listening(empty_object) as wire, proxying(port_of(wire.url)) as proxy:
        config = ConnectionConfig(f"http://{host}:8080", proxy=f"socks5://127.0.0.1:{proxy.port}")
        async with HttpTransport(config) as transport:
            assert (await transport.send(GET)).status == 200
            assert (await transport.send(GET)).status == 200
        assert proxy.asked == [address + (8080).to_bytes(2, "big")]  # one connection for both
        assert wire.seen[0].headers["Host"] == f"{host}:8080"


async def test_socks_1_tls_is_spoken_with_the_server_behind_it(tmp_path: Path) -> None:
    identity = Identity.load_or_make(tmp_path / "pki", [NOWHERE])
    async with (
        listening(empty_object, identity.server_context()) as wire,
        proxying(port_of(wire.url), credentials=b"us er:s:cret") as proxy,
    ):
        url = f"socks5h://us%20er:s%3Acret@127.0.0.1:{proxy.port}"
        config = trusted(identity, f"https://{NOWHERE}:6443", tmp_path)
        async with HttpTransport(ConnectionConfig(config.server, ca=config.ca, proxy=url)) as transport:
            assert (await transport.send(GET)).status == 200


NO_WAY = {
    "a rule against it": ({"reply": b"\x05\x02\x00\x01" + bytes(6)}, "", "its rules don't allow that"),
    "a reply that nobody knows": ({"reply": b"\x05\x63\x00\x01" + bytes(6)}, "", "it answers 99"),
    "an address that nobody knows": ({"reply": b"\x05\x00\x00\x09" + bytes(6)}, "", "an address of kind 9"),
    "a web server": ({"greeting": b"HTTP/1.1 400 Bad Request"}, "", "it speaks no SOCKS5"),
    "credentials that are missing": ({"credentials": b"u:p"}, "", "wants credentials: name them as in socks5://user"),
    "credentials that are wrong": ({"credentials": b"u:p"}, "u:q@", "doesn't accept the user and password"),
    "an end": ({"reply": b"\x05"}, "", "closed the connection"),
}


@pytest.mark.parametrize(("how", "login", "says"), NO_WAY.values(), ids=NO_WAY)
async def test_socks_2_no_way_is_explained_and_nothing_was_sent(how: dict[str, bytes], login: str, says: str) -> None:
    async with proxying(1, **how) as proxy:
        config = ConnectionConfig(f"http://{NOWHERE}:80", proxy=f"socks5://{login}127.0.0.1:{proxy.port}")
        async with HttpTransport(config) as transport:
            with pytest.raises(ConnectionFailed, match=says) as caught:
                await transport.send(GET)
            assert not caught.value.request_sent
            with pytest.raises(ConnectionFailed, match=says):
                async with transport.watch(WATCH):
                    pass


async def test_socks_2_a_proxy_that_is_not_there_is_named() -> None:
    with pytest.raises(SocksError, match=r"the SOCKS proxy 127.0.0.1:1 can't be reached"):
        await SocksProxy.of("socks5://127.0.0.1:1").connect(NOWHERE, 443)


async def test_socks_2_a_name_that_is_too_long_is_refused() -> None:
    async with proxying(1) as proxy:
        with pytest.raises(SocksError, match="1 to 255 bytes"):
            await SocksProxy("127.0.0.1", proxy.port).connect("a" * 256, 443)
