"""A server without a socket for the tests of handlers, and requests to it in one line."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from pvbinder.server.api.admission import SERVICE_ACCOUNT_PLUGIN
from pvbinder.server.api.dispatch import Dispatcher
from pvbinder.server.api.health import Health
from pvbinder.server.api.rest.api import Api
from pvbinder.server.identity.authentication import MASTERS, Authenticator
from pvbinder.server.identity.authorization import AlwaysAllow
from pvbinder.server.identity.authorization.rbac import Rbac
from pvbinder.server.identity.service_account_tokens import ServiceAccountTokens
from pvbinder.server.identity.token_keys import TokenKeys
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo
from pvbinder.server.store import Store

ADMIN = UserInfo("admin", groups=(MASTERS, "system:authenticated"))
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
MAPS = "/api/v1/namespaces/shop/configmaps"
VOLUMES = "/api/v1/persistentvolumes"
JSON = "application/json"


@dataclass(slots=True)
class Reply:
    """An answer with its body decoded."""

    status: int
    body: Any
    headers: dict[str, str]
    warnings: tuple[str, ...]
    stream: AsyncIterator[bytes] | None

    @property
    def revision(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])

    @property
    def message(self) -> str:
        return str(self.body["message"])


@dataclass(slots=True)
class Clock:
    """A clock that the test owns."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Serving:
    """The parts of a server, and how to ask it."""

    store: Store
    api: Api
    dispatcher: Dispatcher
    clock: Clock
    tokens: ServiceAccountTokens
    user: UserInfo = ADMIN
    headers: dict[str, str] = field(default_factory=lambda: {"accept": JSON, "user-agent": "tester/1.0"})

    async def send(self, method: str, target: str, body: object = None, **options: Any) -> Reply:
        """Send a request as `answer` does, and decode the answer."""
        return reply_of(await self.answer(method, target, body, **options))

    async def answer(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        user: UserInfo | None = None,
    ) -> ApiResponse:
        """Send a request; the answer isn't decoded, so that only the server works."""
        path, _, query = target.partition("?")
        sent = dict(self.headers)
        if body is not None:
            patch = "application/merge-patch+json" if method == "PATCH" else JSON
            sent["content-type"] = content_type or patch
        sent.update(headers or {})
        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        fields = parse_qs(query, keep_blank_values=True)
        return await self.dispatcher.handle(ApiRequest(method, path, fields, sent, raw, user or self.user))

    async def events(self, target: str, **options: Any) -> Watch:
        reply = await self.send("GET", target, **options)
        assert reply.stream is not None, reply.body
        return Watch(reply.stream)


class Watch:
    """The events of a watch, one at a time."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self.stream = stream
        self._lines: list[bytes] = []

    async def next(self) -> tuple[str, Any]:
        while not self._lines:
            chunk = await anext(self.stream)
            self._lines = chunk.splitlines()
        event = msgspec.json.decode(self._lines.pop(0))
        return event["type"], event["object"]

    async def names(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(kind, obj["metadata"]["name"]) for kind, obj in events]

    async def ended(self) -> bool:
        return not self._lines and await anext(self.stream, None) is None

    async def close(self) -> None:
        await self.stream.aclose()  # type: ignore[attr-defined]  # the streams of the server are generators


@asynccontextmanager
async def serving(
    directory: Path,
    *,
    rbac: bool = False,
    history_bytes: int = 64 << 20,
    history_changes: int = 100_000,
    static_tokens: Mapping[str, UserInfo] | None = None,
    secret: bytes | None = b"k" * 32,
    real_clock: Callable[[], float] = time.time,
    health: Health | None = None,
    service_accounts: bool = False,
) -> AsyncGenerator[Serving]:
    """A server with the namespaces ``shop`` and ``default``; certificates, made by others, go by the real clock."""
    clock = Clock()
    async with Store(directory, history_bytes=history_bytes, history_changes=history_changes) as store:
        objects = StoredObjects(store, Registry(), clock)
        tokens = ServiceAccountTokens(objects, TokenKeys(directory, secret))
        posts = {("serviceaccounts", "token"): tokens.request}
        disabled = frozenset() if service_accounts else frozenset({SERVICE_ACCOUNT_PLUGIN})
        api = Api(objects, Rbac(objects) if rbac else AlwaysAllow(), posts, disabled)
        authenticator = Authenticator(static_tokens or {}, (tokens.judge,), real_clock)
        server = Serving(store, api, Dispatcher(api, authenticator, health=health), clock, tokens)
        for name in ("default", "shop"):
            assert (await server.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})).status in (201, 409)
        yield server


def volume(name: str = "disk", **spec: object) -> dict[str, Any]:
    """A volume as a user writes it."""
    whole = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}, **spec}
    return {"metadata": {"name": name}, "spec": whole}


def config_map(name: str = "a", **data: str) -> dict[str, Any]:
    """A config map as a user writes it."""
    return {"metadata": {"name": name}, "data": data or {"k": "v"}}


def reply_of(response: ApiResponse) -> Reply:
    body: Any = None
    if response.stream is None:
        is_json = response.headers.get("Content-Type") == JSON
        body = msgspec.json.decode(response.body) if is_json else response.body.decode()
    return Reply(response.status, body, response.headers, response.warnings, response.stream)
