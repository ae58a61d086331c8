"""The line to an API server over HTTP(S): one pool of connections, TLS, credentials with each request.

WIRE-1  Every failure of a connection becomes a `ConnectionFailed`; `request_sent` is False only when no connection
        could be made, so that no write is ever repeated by chance.
WIRE-2  Every wait is bounded: connecting by 10 s, an answer by a minute, a watch by its own timeout.
WIRE-3  A 401 is tried once more with fresh credentials, where they can change.
WIRE-4  Lines of a watch may be as long as objects are; memory stays bounded (LINES-2).
WIRE-5  Server names and certificates are verified unless the configuration turns that off by name.
WIRE-6  A proxy is taken from the kubeconfig, else from the environment (``HTTPS_PROXY``, ``NO_PROXY``) as kubectl does,
        but never for this machine itself.
WIRE-7  A connection whose peer has vanished breaks within about a minute: TCP asks every 10 s.
WIRE-8  A 401 says which credential has expired, if one has.

Without a proxy, or through a SOCKS one (`socks`), requests go over connections of our own (`direct`), through an HTTP
one over the library's (`proxied`).

Construct it, then `async with` it: certificates that can't be used are a `ConfigError` then, and the pool is closed at
the end.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit

import msgspec

from pvbinder import __version__
from pvbinder.kube import socks
from pvbinder.kube.certificates import load_certificate
from pvbinder.kube.config import ConnectionConfig, is_proxy, without_password
from pvbinder.kube.connection import BrokenConnectionError
from pvbinder.kube.credentials import Credentials, CredentialSource
from pvbinder.kube.direct import DirectLine, NoConnectionError, Origin
from pvbinder.kube.errors import ApiFailure, ConfigError, ConnectionFailed
from pvbinder.kube.expiry import why_unknown
from pvbinder.kube.lines import split_lines
from pvbinder.kube.transport import Answer, Request

if TYPE_CHECKING:
    from pvbinder.kube.proxied import ProxiedLine

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
GRACE_SECONDS = 30.0  # how long after its own end a watch may still be open

_FAILURES = (NoConnectionError, BrokenConnectionError, OSError, ValueError)  # TimeoutError is an OSError


class _Line(Protocol):
    """What carries requests: `DirectLine`, or `ProxiedLine`."""

    async def send(self, request: Request, token: str, context: ssl.SSLContext | None, seconds: float) -> Answer: ...

    def open(
        self, request: Request, token: str, context: ssl.SSLContext | None, *, head_seconds: float, seconds: float
    ) -> AbstractAsyncContextManager[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]: ...


class HttpTransport:
    """A `Transport` over HTTP(S)."""

    def __init__(self, config: ConnectionConfig, *, user_agent: str = f"pvbinder/{__version__}") -> None:
        self._config = config
        self._source = CredentialSource(config)
        self._fixed_headers = _fixed_headers(config, user_agent)
        self._is_tls = config.server.startswith("https:")
        self._proxy = config.proxy or proxy_from_environment(config.server)
        self._contexts: dict[bytes | None, ssl.SSLContext] = {}
        self._direct: DirectLine | None = None
        self._proxied: ProxiedLine | None = None

    async def __aenter__(self) -> Self:
        config = self._config
        if config.exec_plugin is None and self._is_tls:
            self._context_for(self._source.fixed)  # CONFIG-3: refused before anything is tried
        is_socks = urlsplit(self._proxy).scheme in socks.SCHEMES
        if self._proxy and not is_socks:
            from pvbinder.kube.proxied import ProxiedLine  # the library takes long to import, and few need it

            self._proxied = ProxiedLine(
                config.server,
                self._proxy,
                self._fixed_headers,
                server_name=config.tls_server_name,
                connect_seconds=CONNECT_SECONDS,
            )
        else:
            origin = Origin.of(config.server, config.tls_server_name)
            way = socks.SocksProxy.of(self._proxy) if is_socks else None
            self._direct = DirectLine(origin, self._fixed_headers, connect_seconds=CONNECT_SECONDS, socks=way)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        direct, self._direct = self._direct, None
        proxied, self._proxied = self._proxied, None
        if direct is not None:
            direct.close()
        if proxied is not None:
            await proxied.close()

    async def send(self, request: Request) -> Answer:
        """Send `request` and read the whole answer (WIRE-1 to WIRE-3)."""
        credentials = await self._credentials(request)
        answer = await self._send(request, credentials)
        if answer.status == 401 and self._source.can_change:
            self._source.reject(credentials)
            credentials = await self._credentials(request)
            answer = await self._send(request, credentials)
        return _explained(answer, credentials)

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Open a watch (WIRE-2 to WIRE-4)."""
        credentials = await self._credentials(request)
        async with self._open(request, credentials) as (answer, lines):
            if answer is None:
                yield lines
                return
            if answer.status != 401 or not self._source.can_change:
                raise ApiFailure.from_answer(_explained(answer, credentials))
            self._source.reject(credentials)
        credentials = await self._credentials(request)
        async with self._open(request, credentials) as (answer, lines):
            if answer is not None:
                raise ApiFailure.from_answer(_explained(answer, credentials))
            yield lines

    async def _credentials(self, request: Request) -> Credentials:
        """Return credentials for `request`; a plugin that fails now may work later, so that is a failed connection."""
        try:
            return await self._source.get()
        except ConfigError as error:
            message = f"no credentials for {request.method} {request.path}: {error.message}"
            raise ConnectionFailed(message, request_sent=False, hint=error.hint) from error

    async def _send(self, request: Request, credentials: Credentials) -> Answer:
        try:
            return await self._line.send(request, credentials.token, self._context_for(credentials), ANSWER_SECONDS)
        except _FAILURES as error:
            raise self._failed(request, error) from error

    @asynccontextmanager
    async def _open(
        self, request: Request, credentials: Credentials
    ) -> AsyncGenerator[tuple[Answer | None, AsyncIterator[bytes]]]:
        """Give the lines of a stream, or the answer of a server that has none for us."""
        seconds = float(request.query.get("timeoutSeconds", "3600")) + GRACE_SECONDS
        opened = self._line.open(
            request, credentials.token, self._context_for(credentials), head_seconds=ANSWER_SECONDS, seconds=seconds
        )
        try:
            status, headers, body = await opened.__aenter__()
        except _FAILURES as error:
            raise self._failed(request, error) from error
        try:
            async with (
                aclosing(self._told(request, body)) as chunks,
                aclosing(split_lines(chunks)) as lines,
            ):
                answer = None
                if status != 200:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        answer = Answer(status, b"".join([chunk async for chunk in chunks]), headers)
                yield answer, lines
        finally:
            await opened.__aexit__(None, None, None)

    async def _told(self, request: Request, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        try:
            async for chunk in body:
                yield chunk
        except _FAILURES as error:
            raise self._failed(request, error) from error

    @property
    def _line(self) -> _Line:
        line = self._direct or self._proxied
        if line is None:
            raise RuntimeError("the transport is not open: use it inside `async with`")
        return line

    def _context_for(self, credentials: Credentials) -> ssl.SSLContext | None:
        if not self._is_tls:
            return None
        context = self._contexts.get(credentials.certificate)
        if context is None:
            context = tls_context(self._config, credentials)
            self._contexts = {credentials.certificate: context}  # an older certificate is not needed again
        return context

    def _failed(self, request: Request, error: Exception) -> ConnectionFailed:
        return connection_failed(self._config.server, request, error)


def _explained(answer: Answer, credentials: Credentials) -> Answer:
    """Add to a 401 which of our credentials is over, if they tell (WIRE-8)."""
    if answer.status != 401:
        return answer
    hint = why_unknown(credentials.token, credentials.certificate, datetime.now(UTC))
    return msgspec.structs.replace(answer, hint=hint)


def _fixed_headers(config: ConnectionConfig, user_agent: str) -> tuple[tuple[str, str], ...]:
    headers = [("Accept-Encoding", "identity"), ("User-Agent", user_agent)]
    if config.impersonate_user:
        headers.append(("Impersonate-User", config.impersonate_user))
    return (*headers, *(("Impersonate-Group", group) for group in config.impersonate_groups))


def connection_failed(server: str, request: Request, error: Exception) -> ConnectionFailed:
    """Return the failure that the caller of `request` sees for the `error` of a line (WIRE-1)."""
    tried = f"{request.method} {request.path} at {server}"
    match error:
        case NoConnectionError(error=ssl.SSLError() as refused):
            text = getattr(refused, "verify_message", "") or getattr(refused, "reason", "") or str(refused)
            hint = "is the kubeconfig of this server, and of this start of it? Its certificate authority must match"
            return ConnectionFailed(f"no trusted connection for {tried}: {text}", request_sent=False, hint=hint)
        case NoConnectionError(error=TimeoutError()):
            return ConnectionFailed(f"no connection for {tried} in {CONNECT_SECONDS:.0f} s", request_sent=False)
        case NoConnectionError(error=OSError(errno=int(number), strerror=str())):
            text = os.strerror(number) if number > 0 else str(error)
            return ConnectionFailed(
                f"no connection for {tried}: {text}", request_sent=False, hint="is the API server running there?"
            )
        case NoConnectionError():
            return ConnectionFailed(
                f"no connection for {tried}: {error}", request_sent=False, hint="is the API server running there?"
            )
        case TimeoutError():
            return ConnectionFailed(f"no answer to {tried} in time")
        case BrokenConnectionError(is_silent=True):
            return ConnectionFailed(f"the server closed the connection before it answered {tried}")
        case BrokenConnectionError():
            return ConnectionFailed(f"the answer to {tried} broke off: {error}")
        case _:
            return ConnectionFailed(f"the connection broke during {tried}: {error or type(error).__name__}")


def proxy_from_environment(server: str) -> str:
    """Return the proxy that the environment names for `server`; ``""`` is none (WIRE-6)."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    if is_this_machine(host):
        return ""
    from urllib.request import getproxies, proxy_bypass  # it takes long to import

    if proxy_bypass(host):
        return ""
    proxy = getproxies().get(parts.scheme, "")
    if proxy and not is_proxy(proxy):
        raise ConfigError(
            f"the environment's proxy for {parts.scheme} is {without_password(proxy)!r}, which can't be used",
            hint=f"it may be an http://, https:// or socks5:// one; or leave the API server out of it: NO_PROXY={host}",
        )
    return proxy


def is_this_machine(host: str) -> bool:
    """Whether `host` can only be this machine itself."""
    if host == "localhost":
        return True
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
        load_certificate(context, credentials.certificate, credentials.key)
    return context
