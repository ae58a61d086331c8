"""A line to an API server that gives false answers, in process and on virtual time.

Whoever stands between a controller and its server - a load balancer, a proxy, a server that is starting, an aggregated
API that is unplugged - may answer in the server's place. `FAULTS` are such answers, each made from the request, the
honest answer and an earlier one. A `FalseLine` gives one of them to a single request, by its number, or to all requests
for one resource during some seconds; a write that meets a fault does not reach the server, unless the fault says so.

Before a write reaches the server, `look` sees it, with the truth at hand (`tests.adversary.judge`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.transport import Answer, Request, Transport

PERIOD_SECONDS: Final = 20.0
NOBODY: Final = "the server could not find the requested resource"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is about; discovery documents have no plural."""

    method: str
    group: str
    plural: str
    namespace: str
    name: str
    subresource: str
    is_watch: bool

    @property
    def is_list(self) -> bool:
        """Whether a collection is read at once."""
        return self.method == "GET" and not self.name and not self.is_watch and bool(self.plural)

    @property
    def resource(self) -> str:
        """The plural; ``discovery`` for documents that tell of kinds."""
        return self.plural or "discovery"


def asked_by(request: Request) -> Asked:
    """Return what `request` is about."""
    parts = request.path.strip("/").split("/")
    group = parts[1] if parts[0] == "apis" and len(parts) > 1 else ""
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = [*rest, "", "", ""][:3]
    watch = request.query.get("watch") in ("true", "1")
    return Asked(request.method, group, plural, namespace, name, subresource, watch)


Fault: TypeAlias = Callable[[Asked, Answer | None, Answer | None], Answer | None]
"""From what is asked, the honest answer (None for a write) and an earlier one make another, or None: let be."""


def status(code: int, reason: str, message: str, **details: Any) -> Answer:
    """Return a refusal as Kubernetes makes it."""
    said = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return Answer(code, json.dumps({**said, "reason": reason, "details": details, "code": code}).encode())


def text(code: int, words: str) -> Answer:
    """Return an answer that no API server makes."""
    return Answer(code, words.encode(), {"content-type": "text/plain"})


def _of_another_kind(asked: Asked, _honest: Answer | None, _earlier: Answer | None) -> Answer:
    kind = "secrets" if asked.plural != "secrets" else "configmaps"
    return status(404, "NotFound", f'{kind} "{asked.name}" not found', name=asked.name, kind=kind)


def _of_another_name(asked: Asked, _honest: Answer | None, _earlier: Answer | None) -> Answer:
    details = {"name": "nobody", "kind": asked.plural} | ({"group": asked.group} if asked.group else {})
    return status(404, "NotFound", f'{asked.plural} "nobody" not found', **details)


def _document(answer: Answer | None) -> dict[str, Any] | None:
    """The list in an honest answer, if it is one."""
    if answer is None or answer.status != 200:
        return None
    document = json.loads(answer.body)
    is_list = isinstance(document, dict) and isinstance(document.get("items"), list)
    return document if is_list else None


def _with_items(choose: Callable[[list[Any]], list[Any]]) -> Fault:
    """An honest list with other items: the hardest to see through, because revision and kind are right."""

    def fault(_asked: Asked, honest: Answer | None, _earlier: Answer | None) -> Answer | None:
        document = _document(honest)
        if document is None or not document["items"]:
            return None
        document["items"] = choose(document["items"])
        document.get("metadata", {}).pop("continue", None)
        return Answer(200, json.dumps(document).encode())

    return fault


def _empty_of_nothing(asked: Asked, _honest: Answer | None, _earlier: Answer | None) -> Answer | None:
    if not asked.is_list:
        return None
    return Answer(200, b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":""},"items":[]}')


def _list_of_another_kind(asked: Asked, _honest: Answer | None, _earlier: Answer | None) -> Answer | None:
    if asked.method != "GET" or asked.is_watch:
        return None
    item = {"metadata": {"name": "other", "namespace": "default", "uid": "0-0", "resourceVersion": "1"}}
    document = {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "999999"}, "items": [item]}
    if asked.plural == "configmaps":
        document["kind"] = "SecretList"
    return Answer(200, json.dumps(document).encode())


def _truncated(asked: Asked, honest: Answer | None, _earlier: Answer | None) -> Answer | None:
    if honest is None or asked.is_watch:
        return None
    return Answer(honest.status, honest.body[: len(honest.body) // 2])


def _old(_asked: Asked, _honest: Answer | None, earlier: Answer | None) -> Answer | None:
    return earlier


def _always(answer: Answer) -> Fault:
    return lambda _asked, _honest, _earlier: answer


FAULTS: Final[Mapping[str, Fault]] = {
    "404 text": _always(text(404, "404 page not found\n")),
    "404 of another kind": _of_another_kind,
    "404 of another name": _of_another_name,
    "404 of an aggregated API": _always(status(404, "NotFound", NOBODY)),
    "403": _always(status(403, "Forbidden", "nobody may do anything")),
    "empty list": _with_items(lambda _: []),
    "empty list of nothing": _empty_of_nothing,
    "half of the list": _with_items(lambda items: items[: len(items) // 2]),
    "list of another kind": _list_of_another_kind,
    "truncated list": _truncated,
    "old list": _old,
    "500 text": _always(text(500, "Internal Server Error")),
    "200 with a page": _always(text(200, "<html><body>It works!</body></html>")),
}
LOST: Final = "lost answer"  # the request is carried out, and nobody hears of it


@dataclass(frozen=True, slots=True)
class Once:
    """The request with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class During:
    """All requests for this resource, for `PERIOD_SECONDS` from the start of the controllers or of the story."""

    resource: str
    from_start: bool


When: TypeAlias = Once | During


async def sees_nothing(_user: str, _request: Request) -> None:
    """Look at no write."""


@dataclass
class FalseLine:
    """The lines of all controllers of one run: counts their requests, and answers some of them falsely."""

    fault: str = ""
    when: When | None = None
    look: Callable[[str, Request], Awaitable[None]] = sees_nothing
    seen: list[Request] = field(default_factory=list)
    given: list[Request] = field(default_factory=list)  # the requests that met the fault
    _earlier: dict[str, Answer] = field(default_factory=dict)
    _since: float | None = None

    def begin(self) -> None:
        """Begin the story: periods of the story count from here."""
        if isinstance(self.when, During) and not self.when.from_start:
            self._since = asyncio.get_running_loop().time()

    def _is_meant(self, asked: Asked, number: int) -> bool:
        match self.when:
            case Once(number=meant):
                return number == meant
            case During(resource=resource, from_start=from_start):
                now = asyncio.get_running_loop().time()
                if from_start and self._since is None:
                    self._since = now
                during = self._since is not None and now - self._since < PERIOD_SECONDS
                return during and asked.resource == resource
            case None:
                return False

    def line(self, user: str, honest: Transport) -> Transport:
        """Return the line of the controller that writes as `user`."""
        return _Line(self, user, honest)

    async def send(self, user: str, honest: Transport, request: Request) -> Answer:
        """Answer `request`."""
        asked = asked_by(request)
        number = len(self.seen)
        self.seen.append(request)
        is_meant = self._is_meant(asked, number)
        if asked.method != "GET":
            instead = None
            if is_meant and self.fault != LOST:
                instead = FAULTS[self.fault](asked, None, None)
            if instead is not None:
                self.given.append(request)
                return instead
            await self.look(user, request)
        answer = await honest.send(request)
        if is_meant and self.fault == LOST:
            self.given.append(request)
            raise ConnectionFailed("the answer got lost")
        if asked.method != "GET":
            return answer
        earlier = self._earlier.setdefault(request.path, answer)
        instead = FAULTS[self.fault](asked, answer, earlier) if is_meant else None
        if instead is None:
            return answer
        self.given.append(request)
        return instead

    async def instead_of_watch(self, honest: Transport, request: Request) -> Answer | None:
        """Return the false answer to a watch, if there is one."""
        asked = asked_by(request)
        number = len(self.seen)
        self.seen.append(request)
        if not self._is_meant(asked, number):
            return None
        if self.fault == LOST:
            self.given.append(request)
            raise ConnectionFailed("the answer got lost")
        instead = FAULTS[self.fault](replace(asked, is_watch=True), None, None)
        if instead is not None:
            self.given.append(request)
        return instead


@dataclass(frozen=True, slots=True)
class _Line:
    shared: FalseLine
    user: str
    honest: Transport

    async def send(self, request: Request) -> Answer:
        return await self.shared.send(self.user, self.honest, request)

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        instead = await self.shared.instead_of_watch(self.honest, request)
        if instead is None:
            async with self.honest.watch(request) as lines:
                yield lines
        elif instead.status != 200:
            raise ApiFailure.from_answer(instead)
        else:
            yield _lines_of(instead.body)


async def _lines_of(body: bytes) -> AsyncIterator[bytes]:
    for line in body.splitlines():
        yield line
