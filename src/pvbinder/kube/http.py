"""The line to an API server over HTTP(S): one pool of connections, TLS, credentials with each request.

WIRE-1  Every failure of the library becomes a `ConnectionFailed`; `request_sent` is False only when no connection could
        be made, so that no write is ever repeated by chance (the library's own repetition is switched off).
WIRE-2  Every wait is bounded: connecting by 10 s, an answer by a minute, a watch by its own timeout.
WIRE-3  A 401 is tried once more with fresh credentials, where they can change.
WIRE-4  Lines of a watch may be as long as objects are; memory stays bounded (LINES-2).
WIRE-5  Server names and certificates are verified unless the configuration turns that off by name.
WIRE-6  A proxy is taken from the kubeconfig, else from the environment (``HTTPS_PROXY``, ``NO_PROXY``) as kubectl does,
        but never for this machine itself.
WIRE-7  A connection whose peer has vanished breaks within about a minute: TCP asks every 10 s.

Construct it, then `async with` it: certificates that can't be used are a `ConfigError` then, and the pool is closed at
the end.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from ipaddress import ip_address
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from pvbinder import __version__
from pvbinder.kube.config import ConnectionConfig
from pvbinder.kube.credentials import Credentials, CredentialSource
from pvbinder.kube.errors import ApiFailure, ConfigError, ConnectionFailed
from pvbinder.kube.lines import split_lines
from pvbinder.kube.transport import Answer, Request

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
GRACE_SECONDS = 30.0  # how long after its own end a watch may still be open
KEEP_ALIVE_SECONDS = 30.0  # less than servers keep idle connections, so that we don't write into one being closed
CONNECTIONS_MAX = 256
PROBES = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
_CHUNK_BYTES = 64 * 1024


class HttpTransport:
    """A `Transport` over HTTP(S)."""

    def __init__(self, config: ConnectionConfig, *, user_agent: str = f"pvbinder/{__version__}") -> None:
        self._config = config
        self._source = CredentialSource(config)
        self._fixed_headers = {"Accept-Encoding": "identity", "User-Agent": user_agent}
        if config.impersonate_user:
            self._fixed_headers["Impersonate-User"] = config.impersonate_user
        self._is_tls = config.server.startswith("https:")
        self._proxy = config.proxy or proxy_from_environment(config.server)
        self._contexts: dict[bytes | None, ssl.SSLContext] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self._config.exec_plugin is None and self._is_tls:
            self._context_for(self._source.fixed)  # CONFIG-3: refused before anything is tried
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_ALIVE_SECONDS, socket_factory=probed_socket
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS),
            read_bufsize=_CHUNK_BYTES,
        )
        self._session._retry_connection = False  # WIRE-1: it would send a PUT again that may have been carried out
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: Request) -> Answer:
        """Send `request` and read the whole answer (WIRE-1 to WIRE-3)."""
        credentials = await self._credentials(request)
        answer = await self._send(request, credentials)
        if answer.status == 401 and self._source.can_change:
            self._source.reject(credentials)
            answer = await self._send(request, await self._credentials(request))
        return answer

    async def _credentials(self, request: Request) -> Credentials:
        """Return credentials for `request`; a plugin that fails now may work later, so that is a failed connection."""
        try:
            return await self._source.get()
        except ConfigError as error:
            message = f"no credentials for {request.method} {request.path}: {error.message}"
            raise ConnectionFailed(message, request_sent=False, hint=error.hint) from error

    async def _send(self, request: Request, credentials: Credentials) -> Answer:
        try:
            async with await self._open(request, credentials) as response:
                body = await response.read()
                return Answer(response.status, body, _lower(response.headers))
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise self._failed(request, error) from error

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Open a watch (WIRE-2 to WIRE-4)."""
        seconds = float(request.query.get("timeoutSeconds", "3600")) + GRACE_SECONDS
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        credentials = await self._credentials(request)
        response = await self._start(request, credentials, timeout)
        if response.status == 401 and self._source.can_change:
            response.close()
            self._source.reject(credentials)
            response = await self._start(request, await self._credentials(request), timeout)
        try:
            if response.status != 200:
                raise ApiFailure.from_answer(await self._whole(request, response))
            async with aclosing(self._chunks(request, response)) as chunks, aclosing(split_lines(chunks)) as lines:
                yield lines
        finally:
            response.close()  # not `release`: the stream has no end that we could read up to

    async def _start(
        self, request: Request, credentials: Credentials, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._open(request, credentials, timeout)
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(request, error) from error

    async def _whole(self, request: Request, response: aiohttp.ClientResponse) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return Answer(response.status, await response.read(), _lower(response.headers))
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(request, error) from error

    async def _chunks(self, request: Request, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(request, error) from error

    async def _open(
        self, request: Request, credentials: Credentials, timeout: aiohttp.ClientTimeout | None = None
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the transport is not open: use it inside `async with`")
        headers = self._fixed_headers | {"Accept": request.accept}
        if credentials.token:
            headers["Authorization"] = f"Bearer {credentials.token}"
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        url = self._config.server + quote(request.path, safe="/:@")
        if request.query:
            url += "?" + urlencode(request.query)
        more: dict[str, aiohttp.ClientTimeout] = {} if timeout is None else {"timeout": timeout}
        return await self._session.request(
            request.method,
            URL(url, encoded=True),
            data=request.body,
            headers=self._with_groups(headers) if self._config.impersonate_groups else headers,
            allow_redirects=False,
            ssl=self._context_for(credentials) if self._is_tls else True,
            server_hostname=self._config.tls_server_name or None,
            proxy=self._proxy or None,
            **more,  # type: ignore[arg-type]
        )

    def _with_groups(self, headers: dict[str, str]) -> list[tuple[str, str]]:
        return [*headers.items(), *(("Impersonate-Group", group) for group in self._config.impersonate_groups)]

    def _context_for(self, credentials: Credentials) -> ssl.SSLContext:
        context = self._contexts.get(credentials.certificate)
        if context is None:
            context = tls_context(self._config, credentials)
            self._contexts = {credentials.certificate: context}  # an older certificate is not needed again
        return context

    def _failed(self, request: Request, error: Exception) -> ConnectionFailed:
        return connection_failed(self._config.server, request, error)


def probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make a socket whose connection breaks within about a minute when the other side is gone (WIRE-7)."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in PROBES:
        if hasattr(socket, option):  # not every system has them; then the silence of a watch tells (INFORMER-13)
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
    return made


def connection_failed(server: str, request: Request, error: Exception) -> ConnectionFailed:
    """Return the failure that the caller of `request` sees for an `error` of the library (WIRE-1)."""
    tried = f"{request.method} {request.path} at {server}"
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            reason = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
            text = getattr(reason, "verify_message", "") or getattr(reason, "reason", "") or str(reason)
            hint = "is the kubeconfig of this server, and of this start of it? Its certificate authority must match"
            return ConnectionFailed(f"no trusted connection for {tried}: {text}", request_sent=False, hint=hint)
        case aiohttp.ClientConnectorError(os_error=os_error):
            text = os.strerror(os_error.errno) if os_error.errno else str(os_error)
            return ConnectionFailed(
                f"no connection for {tried}: {text}", request_sent=False, hint="is the API server running there?"
            )
        case aiohttp.ConnectionTimeoutError():
            return ConnectionFailed(f"no connection for {tried} in {CONNECT_SECONDS:.0f} s", request_sent=False)
        case TimeoutError():
            return ConnectionFailed(f"no answer to {tried} in time")
        case aiohttp.ServerDisconnectedError():
            return ConnectionFailed(f"the server closed the connection before it answered {tried}")
        case aiohttp.ClientPayloadError():
            return ConnectionFailed(f"the answer to {tried} broke off")
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return ConnectionFailed(f"the proxy lets nothing through for {tried}: {error}", request_sent=False)
        case _:
            return ConnectionFailed(f"the connection broke during {tried}: {error or type(error).__name__}")


def proxy_from_environment(server: str) -> str:
    """Return the proxy that the environment names for `server`; ``""`` is none (WIRE-6)."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    if host == "localhost" or _is_loopback(host) or proxy_bypass(host):
        return ""
    return getproxies().get(parts.scheme, "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(config: ConnectionConfig, credentials: Credentials) -> ssl.SSLContext:
    """Return what TLS needs to trust the server and to show our certificate (WIRE-5)."""
    try:
        context = ssl.create_default_context(cadata=config.ca.decode("ascii") if config.ca is not None else None)
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(
            "the certificate authority in the kubeconfig is no PEM certificate",
            hint="certificate-authority-data must be base64 of a file that begins with -----BEGIN CERTIFICATE-----",
        ) from error
    if config.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if credentials.certificate is not None and credentials.key is not None:
        _load_certificate(context, credentials.certificate, credentials.key)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a pair that is only in memory: the library reads files, so one is there for a moment, for us alone."""
    descriptor, path = tempfile.mkstemp()  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(path)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError("the client certificate and its key are no PEM, or don't belong together") from error
    finally:
        os.unlink(path)  # noqa: PTH108


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}
