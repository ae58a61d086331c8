"""The page as a whole: its listener on loopback, its paths, and its readers.

PAGE-1  Nothing but the door itself (``/enter``) is answered to anybody without a session; how to get a link is said.
PAGE-2  It listens on 127.0.0.1 only, and is gone at once when the context is left, its readers with it.
PAGE-3  It can't write: of what it is given it only reads.
PAGE-4  At most `STREAMS_MAX` readers are told of changes at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, cast

from pvbinder import __version__
from pvbinder.insight.rulebook import UnknownRuleError, find_rules, shown
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.model.json import Json
from pvbinder.model.selectors import NodeSelector
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo
from pvbinder.server.wire.http import Listener, ListenError
from pvbinder.server.wire.messages import Closable
from pvbinder.web.answers import HEADERS, INDEX, document, problem, static_files, text
from pvbinder.web.asking import Questions, TooBusyError, parse_kind
from pvbinder.web.feed import Feed
from pvbinder.web.journal import Journal, NotedChange, NotedEvent
from pvbinder.web.judging import Judgements
from pvbinder.web.objects import ShownObjects
from pvbinder.web.planning import PlanRefusedError, Plans
from pvbinder.web.rows import RowKind, RowView, ShownRow, is_shown, row_of
from pvbinder.web.screening import refusal
from pvbinder.web.sessions import Sessions

PlanState: TypeAlias = Callable[[], Awaitable[tuple[list[tuple[str, Json]], list[str], str | None]]]
HOST: Final = "127.0.0.1"
COOKIE: Final = "pvbinder-page"
STREAMS_MAX: Final = 16
RULE_COLUMNS: Final = 100
HISTORY_MAX: Final = 500  # decisions in one answer
FOLD_SECONDS: Final = 0.1
VISITOR: Final = UserInfo("pvbinder:page")  # for the listener: a connection of somebody who is known

SourceKind = Literal["up", "cluster", "dump"]
DecisionsKind = Literal["own", "watched", "none"]  # what our controllers decided, what was seen to change, nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSource:
    """What a page shows, and what is said of it; `missing` are notes about what couldn't be read."""

    kind: SourceKind
    name: str
    objects: ShownObjects
    questions: Questions
    may_write: bool = False
    missing: Sequence[str] = ()
    decisions: DecisionsKind = "none"
    plan_state: PlanState | None = None  # reads what a plan is made against
    events: Callable[[Callable[[NotedEvent], None]], None] | None = None  # has somebody hear of events of others


class LivePage:
    """Serves one source. Construct, then ``async with``."""

    def __init__(self, source: PageSource, *, port: int = 0) -> None:
        self._source = source
        self._plans = Plans()
        self._sessions = Sessions(asyncio.get_running_loop().time)
        self._files = static_files()
        self._listener = Listener(self._answer, host=HOST, port=port, screen=self._screen)
        self._feeds: set[Feed] = set()
        self._nodes: dict[NodeSelector, list[str]] = {}  # by affinity, until a node changes
        self.journal = Journal(self._nodes_of)
        self._judgements = Judgements(source.objects, source.questions, self._tell)
        self._somebody_looks = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            await self._listener.__aenter__()
        except ListenError as error:
            raise ListenError(
                error.message.replace("can't listen", "the page can't listen"),
                hint="choose another port for the page, or 0 for any that is free",
            ) from error
        self._source.objects.listen(self._changed)
        if self._source.events is not None:
            self._source.events(self.journal.note)
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._judgements.run(self._somebody_looks), name="page: judgements"),
            loop.create_task(self._fold(), name="page: decisions"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for feed in self._feeds:
            feed.close()
        self._judgements.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.__aexit__(kind, error, trace)
        self._source.questions.close()

    @property
    def url(self) -> str:
        """Where it is; without a session there is nothing to see."""
        return f"http://{HOST}:{self._listener.port}/"

    def link(self) -> str:
        """Return a new link, which works once."""
        return f"{self.url}enter?token={self._sessions.invite()}"

    # ---- requests

    def _screen(self, request: ApiRequest) -> ApiResponse | None:
        """Refuse what needn't come any further, before a body is taken."""
        found = refusal(request, self._listener.port)
        if found is not None or request.path == "/enter":
            return found
        if not self._sessions.knows(self._cookie(request)):
            message = (
                "This page is shown to those who come by a link that works once. Press Enter where pvbinder runs, "
                "and it prints a new one."
            )
            return text(401, message) if not request.path.startswith("/api/") else problem(401, message)
        request.user, request.is_admitted = VISITOR, True
        return None

    def _cookie(self, request: ApiRequest) -> str:
        try:
            found = SimpleCookie(request.headers.get("cookie", "")).get(self._cookie_name)
        except CookieError:
            return ""
        return found.value if found is not None else ""

    @property
    def _cookie_name(self) -> str:
        """A cookie is sent to every port of a host: two pages must not take each other's."""
        return f"{COOKIE}-{self._listener.port}"

    async def _answer(self, request: ApiRequest) -> ApiResponse:
        refused = self._screen(request)
        if refused is not None:
            return refused
        if request.path == "/api/plan" and request.method == "POST":
            return await self._plan(request)
        if request.method == "POST":
            return problem(404, "there is nothing to post to here")
        match request.path:
            case "/enter":
                return self._enter(request)
            case "/":
                return self._files[INDEX].answer(request)
            case "/api/info":
                return document(200, self._info())
            case "/api/stream":
                return self._stream()
            case "/api/decisions":
                return self._decisions(request)
            case "/api/explain":
                return await self._explain(request)
            case "/api/rule":
                return _rule(request)
            case path if path.startswith("/static/"):
                found = self._files.get(path.removeprefix("/static/"))
                return found.answer(request) if found is not None else text(404, "there is no such file")
            case _:
                return text(404, "there is nothing here")

    def _enter(self, request: ApiRequest) -> ApiResponse:
        if request.method != "GET":
            return text(405, "a link is opened with GET", Allow="GET")
        secret = self._sessions.enter(_one(request, "token"))
        if secret is None:
            return text(
                401,
                "This link was used already, or is too old. Press Enter where pvbinder runs, and it prints a new one.",
            )
        cookie = f"{self._cookie_name}={secret}; HttpOnly; SameSite=Strict; Path=/"
        return ApiResponse(303, b"", {**HEADERS, "Location": "/", "Set-Cookie": cookie})

    def _info(self) -> dict[str, object]:
        source = self._source
        return {
            "version": __version__,
            "source": {"kind": source.kind, "name": source.name},
            "mayWrite": source.may_write,
            "live": source.objects.is_live,
            "plan": source.plan_state is not None,
            "decisions": source.decisions,
            "missing": list(source.missing),
        }

    def _decisions(self, request: ApiRequest) -> ApiResponse:
        """Answer with decisions from before those that a reader was told."""
        before, limit = _number(request, "before", self.journal.last + 1), _number(request, "limit", HISTORY_MAX)
        if before is None or limit is None:
            return problem(400, "before and limit are numbers")
        found = self.journal.before(before, min(limit, HISTORY_MAX))
        return document(200, {"decisions": found, "oldest": self.journal.oldest})

    async def _explain(self, request: ApiRequest) -> ApiResponse:
        kind, namespace, name = (_one(request, field) for field in ("kind", "namespace", "name"))
        row_kind = parse_kind(kind)
        if row_kind is None:
            return problem(400, f"{kind!r} is no kind: class, volume, claim, pod or node")
        key = f"{namespace}/{name}" if namespace else name
        try:
            found = await self._source.questions.explain(row_kind, key)
        except TooBusyError as error:
            return problem(503, error.message)
        except (ApiFailure, ConnectionFailed) as error:
            return problem(502, f"the API server doesn't answer: {error.message}")
        return document(200, found) if found is not None else problem(404, f"there is no {kind} {key}")

    async def _plan(self, request: ApiRequest) -> ApiResponse:
        if self._source.plan_state is None:
            return problem(404, "plans aren't made here")
        if self._plans.is_busy:
            return problem(503, "another plan is being made: ask again in a moment")
        try:
            documents, notes, written_at = await self._source.plan_state()
            made = await self._plans.plan(request.body, documents, notes=notes, written_at=written_at)
        except PlanRefusedError as error:
            return problem(400, error.message)
        except (ApiFailure, ConnectionFailed) as error:
            return problem(502, f"the cluster can't be copied: {error.message}")
        return document(200, {"text": made.text, "report": made.report})

    # ---- readers

    def _stream(self) -> ApiResponse:
        if len(self._feeds) >= STREAMS_MAX:
            return problem(503, f"{STREAMS_MAX} pages are open already: close one")
        headers = {**HEADERS, "Content-Type": "text/event-stream"}
        return ApiResponse(200, headers=headers, stream=self._read_feed())

    async def _read_feed(self) -> AsyncIterator[bytes]:
        feed = Feed(self._source.objects.keys, self._row, self.journal)
        self._feeds.add(feed)
        self._somebody_looks.set()
        try:
            async with aclosing(cast("Closable", feed.events())) as events:
                async for each in events:
                    yield each
        finally:
            self._feeds.discard(feed)
            if not self._feeds:
                self._somebody_looks.clear()

    async def _fold(self) -> None:
        """Make decisions of what was noted, while somebody looks (JOURNAL-1)."""
        while True:
            await self._somebody_looks.wait()
            if self.journal.has_news or self.journal.waits:
                known = self.journal.last
                for _ in self.journal.fold(time.time()):
                    await asyncio.sleep(0)
                if self.journal.last > known:
                    for feed in self._feeds:
                        feed.decided()
            await asyncio.sleep(FOLD_SECONDS)

    def _row(self, kind: RowKind, key: str) -> ShownRow | None:
        view = self._source.objects.get(kind, key)
        if view is None or not is_shown(view):
            return None
        return row_of(view, self._nodes_of, self._judgements.of(view))

    def _nodes_of(self, affinity: NodeSelector) -> Sequence[str]:
        found = self._nodes.get(affinity)
        if found is None:
            objects = self._source.objects
            nodes = (objects.get("node", key) for key in objects.keys("node"))
            found = [node.name for node in nodes if node is not None and affinity.matches(node.labels, node.name)]
            self._nodes[affinity] = found
        return found

    def _changed(self, kind: RowKind, before: RowView | None, after: RowView | None) -> None:
        seen = after if after is not None else before
        if seen is None:
            return
        self.journal.note(NotedChange(time.time(), kind, before, after))
        if kind == "node" and (before is None or after is None or before.labels != after.labels):
            self._nodes.clear()
            for feed in self._feeds:
                feed.begin_anew()
        if self._feeds:
            self._judgements.note()
            self._tell(kind, seen.key)

    def _tell(self, kind: RowKind, key: str) -> None:
        for feed in self._feeds:
            feed.changed(kind, key)


def _one(request: ApiRequest, name: str) -> str:
    """Return the parameter `name`, ``""`` unless it is there once."""
    found = request.query.get(name, ())
    return found[0] if len(found) == 1 else ""


def _number(request: ApiRequest, name: str, otherwise: int) -> int | None:
    """Return the parameter `name` as a number, None if it is none."""
    text = _one(request, name)
    if not text:
        return otherwise
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _rule(request: ApiRequest) -> ApiResponse:
    try:
        found = find_rules(_one(request, "id"))
    except UnknownRuleError as error:
        return problem(404, error.message)
    return document(200, {"text": "\n".join(shown(rule, RULE_COLUMNS) for rule in found).rstrip()})
