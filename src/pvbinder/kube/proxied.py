"""Requests to an API server through a proxy, by the library: its tunnels and its proxies' own answers are its to know.

PROXIED-1  A request is sent once: the library's own repetition is switched off.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from pvbinder.kube.connection import BrokenConnectionError
from pvbinder.kube.direct import CONNECTIONS_MAX, KEEP_ALIVE_SECONDS, NoConnectionError, probe
from pvbinder.kube.transport import Answer, Request

_CHUNK_BYTES = 64 * 1024


class ProxiedLine:
    """The connections to one server through `proxy`. `close` them at the end."""

    def __init__(
        self, server: str, proxy: str, headers: tuple[tuple[str, str], ...], *, server_name: str, connect_seconds: float
    ) -> None:
        """`headers` go with each request."""
        self._server = server
        self._proxy = proxy
        self._server_name = server_name
        self._fixed = headers
        self._connect_seconds = connect_seconds
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_ALIVE_SECONDS, socket_factory=_probed_socket
        )
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=_CHUNK_BYTES
        )
        self._session._retry_connection = False  # it would send a PUT again that may have been carried out

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def send(self, request: Request, token: str, context: ssl.SSLContext | None, seconds: float) -> Answer:
        """Send `request` and return the whole answer, which may take `seconds`."""
        with _translated():
            async with await self._ask(request, token, context, seconds) as response:
                return Answer(response.status, await response.read(), _lower(response.headers))

    @asynccontextmanager
    async def open(
        self, request: Request, token: str, context: ssl.SSLContext | None, *, head_seconds: float, seconds: float
    ) -> AsyncGenerator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        """Send `request`; give status, headers and body as it comes, for `seconds` at most."""
        with _translated():
            async with asyncio.timeout(head_seconds):
                response = await self._ask(request, token, context, seconds)
        try:
            async with aclosing(_chunks(response)) as chunks:
                yield response.status, _lower(response.headers), chunks
        finally:
            response.close()  # not `release`: the stream has no end that we could read up to

    async def _ask(
        self, request: Request, token: str, context: ssl.SSLContext | None, seconds: float
    ) -> aiohttp.ClientResponse:
        headers = [*self._fixed, ("Accept", request.accept)]
        if token:
            headers.append(("Authorization", f"Bearer {token}"))
        if request.body is not None:
            headers.append(("Content-Type", request.content_type))
        url = self._server + quote(request.path, safe="/:@")
        if request.query:
            url += "?" + urlencode(request.query)
        return await self._session.request(
            request.method,
            URL(url, encoded=True),
            data=request.body,
            headers=headers,
            allow_redirects=False,
            ssl=context if context is not None else True,
            server_hostname=self._server_name or None,
            proxy=self._proxy,
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=self._connect_seconds),
        )


class _translated:  # noqa: N801  (reads as a word in `with`)
    """Raises the errors of the library as those that `direct` has."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
                raise NoConnectionError(OSError(f"the proxy lets nothing through: {error}")) from error
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
                reason = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
                raise NoConnectionError(reason or ssl.SSLError(str(error))) from error
            case aiohttp.ClientConnectorError():
                raise NoConnectionError(error.os_error) from error
            case aiohttp.ConnectionTimeoutError():
                raise NoConnectionError(TimeoutError()) from error
            case aiohttp.ServerDisconnectedError():
                raise BrokenConnectionError("it was closed", is_silent=True) from error
            case aiohttp.ClientPayloadError():
                raise BrokenConnectionError("the answer broke off") from error
            case aiohttp.ClientError():
                raise ValueError(str(error) or type(error).__name__) from error
            case _:
                return


async def _chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    with _translated():
        async for chunk in response.content.iter_any():
            yield chunk


def _probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    probe(made)
    return made


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}
