"""A connection through a SOCKS5 proxy (RFC 1928), without credentials or by user and password (RFC 1929).

SOCKS-1  The proxy resolves the server's name: nothing is looked up here, as kubectl has it with ``socks5://``.
SOCKS-2  Whatever the proxy answers that isn't a way to the server is a `SocksError`, an `OSError`: nothing was sent.

Who waits bounds the time: `connect` has no limit of its own.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

SCHEMES: Final = ("socks5", "socks5h")  # either leaves names to the proxy
_DEFAULT_PORT: Final = 1080
_VERSION: Final = 5
_NO_CREDENTIALS: Final = 0
_USER_AND_PASSWORD: Final = 2
_CONNECT: Final = 1
_TEXT_BYTES_MAX: Final = 255
_ADDRESS_BYTES: Final = {1: 4, 4: 16}
_REFUSALS: Final = {
    1: "it failed",
    2: "its rules don't allow that",
    3: "the network can't be reached",
    4: "the host can't be reached",
    5: "the connection was refused",
    6: "it took too long",
    7: "it knows no CONNECT",
    8: "it knows no such address",
}


class SocksError(OSError):
    """The proxy lets nothing through."""


@dataclass(frozen=True, slots=True)
class SocksProxy:
    """Where the proxy is, and as whom it is asked."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> SocksProxy:
        """Read ``socks5://[user:password@]host[:port]``; raise ValueError for a port that is none."""
        parts = urlsplit(url)
        return cls(
            parts.hostname or "",
            parts.port or _DEFAULT_PORT,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )

    async def connect(self, host: str, port: int) -> socket.socket:
        """Return a socket whose other end is `host` (SOCKS-1), or raise an OSError (SOCKS-2)."""
        loop = asyncio.get_running_loop()
        made = await _reach(self.host, self.port)

        async def read(count: int) -> bytes:
            found = b""
            while len(found) < count:
                more = await loop.sock_recv(made, count - len(found))
                if not more:
                    raise SocksError(f"the SOCKS proxy {self.host}:{self.port} closed the connection")
                found += more
            return found

        async def write(data: bytes) -> None:
            await loop.sock_sendall(made, data)

        try:
            await self._greet(read, write)
            await write(bytes((_VERSION, _CONNECT, 0)) + _address(host) + port.to_bytes(2, "big"))
            version, reply, _, kind = await read(4)
            if version != _VERSION or reply:
                why = _REFUSALS.get(reply, f"it answers {reply}") if version == _VERSION else "it speaks no SOCKS5"
                raise self._refusal(f"no way to {host}:{port}: {why}")
            length = (await read(1))[0] if kind == 3 else _ADDRESS_BYTES.get(kind)
            if length is None:
                raise self._refusal(f"it answers with an address of kind {kind}")
            await read(length + 2)  # its own address and port, which nobody needs
        except BaseException:
            made.close()
            raise
        return made

    async def _greet(self, read: Callable[[int], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]]) -> None:
        ways = bytes((_NO_CREDENTIALS, _USER_AND_PASSWORD) if self.user else (_NO_CREDENTIALS,))
        await write(bytes((_VERSION, len(ways))) + ways)
        version, way = await read(2)
        if version != _VERSION:
            raise self._refusal("it speaks no SOCKS5")
        if way not in ways:
            wanted = "takes neither none nor user and password" if self.user else "wants credentials"
            raise self._refusal(f"it {wanted}: name them as in socks5://user:password@{self.host}:{self.port}")
        if way == _USER_AND_PASSWORD:
            await write(b"\x01" + _text(self.user, "user") + _text(self.password, "password"))
            _, status = await read(2)
            if status:
                raise self._refusal("it doesn't accept the user and password in its address")

    def _refusal(self, why: str) -> SocksError:
        return SocksError(f"the SOCKS proxy {self.host}:{self.port} lets nothing through: {why}")


async def _reach(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the first address of `host` that answers."""
    loop = asyncio.get_running_loop()
    problem: OSError = SocksError(f"the SOCKS proxy {host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        try:
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            problem = SocksError(f"the SOCKS proxy {host}:{port} can't be reached: {error}")
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise problem


def _address(host: str) -> bytes:
    try:
        found = ip_address(host)
    except ValueError:
        return b"\x03" + _text(host, "name of the server")
    return (b"\x04" if isinstance(found, IPv6Address) else b"\x01") + found.packed


def _text(text: str, what: str) -> bytes:
    encoded = text.encode()
    if not 0 < len(encoded) <= _TEXT_BYTES_MAX:
        raise SocksError(f"the {what} must have 1 to {_TEXT_BYTES_MAX} bytes for a SOCKS proxy")
    return bytes((len(encoded),)) + encoded
