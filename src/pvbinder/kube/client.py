"""Typed requests to an API server: the same few verbs for every kind, because a kind is described by data.

CLIENT-1  A refusal is an `ApiFailure`, no answer is a `ConnectionFailed`; nothing else is raised by a request.
CLIENT-2  Reads are repeated when the failure is transient; a write is repeated only when it surely was not carried out:
          the server said 429, or the request never left. After a write whose outcome is unknown, the caller decides.
CLIENT-3  Every repetition is bounded (`Retries.attempts`), jittered, and not earlier than `Retry-After` asks for.
CLIENT-4  Each request that is sent is counted, repetitions too (`statistics()`), so that tests can count writes.
CLIENT-5  A list of any length is read page by page; an expired continue token ends with the `ApiFailure` 410.
CLIENT-6  An object that makes no view, or is too large for a line of a watch (LINES-2), hides no other: it comes as
          `Unreadable`, and the list or watch goes on.
CLIENT-7  Success isn't believed blindly: an answer, a list or an event of another kind, and a read that brings another
          object, is a failure like any other (DOCUMENTS-1, DOCUMENTS-2).

Not promised: an object in an answer may be older than the one in a cache (`Informer.put` compares them). Call it from
the loop's thread, from as many tasks as you like.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

import msgspec

from pvbinder.chance import CHANCE
from pvbinder.kube import documents
from pvbinder.kube.answers import check_is_object
from pvbinder.kube.documents import ForeignDocument
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.retries import Retries as Retries
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.kube.views import UNREADABLE as UNREADABLE
from pvbinder.kube.views import Kind as Kind
from pvbinder.kube.views import KubernetesObject as KubernetesObject
from pvbinder.kube.views import Page as Page
from pvbinder.kube.views import T, unreadable
from pvbinder.kube.views import Unreadable as Unreadable
from pvbinder.kube.views import WatchEvent as WatchEvent
from pvbinder.kube.watch_lines import events_in
from pvbinder.model.histogram import Durations, Histogram
from pvbinder.model.json import Json, encode
from pvbinder.model.resources import Resource

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
PatchType = Literal["json", "merge", "strategic", "apply"]

PATCH_CONTENT_TYPES: Mapping[PatchType, str] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
PAGE_OBJECTS_MAX = 500


@dataclass(frozen=True, slots=True)
class ClientStatistics:
    """Requests sent so far, by (verb, resource or resource/subresource), and how they ended."""

    requests: Mapping[tuple[str, str], int]
    statuses: Mapping[int, int]  # 0: no answer
    repetitions: int
    in_flight: int
    writes_in_flight: int
    durations: Mapping[str, Durations]  # by verb; of answered requests, watches left out

    @property
    def total(self) -> int:
        """All requests sent, watches too."""
        return sum(self.requests.values())

    @property
    def writes(self) -> int:
        """Requests that ask for a change."""
        return sum(count for (verb, _), count in self.requests.items() if verb not in ("get", "list", "watch"))


@dataclass(slots=True)
class _Counts:
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    repetitions: int = 0
    in_flight: int = 0
    writes_in_flight: int = 0
    durations: dict[str, Histogram] = field(default_factory=dict)


class Client:
    """One user's line to one API server."""

    def __init__(
        self,
        transport: Transport,
        *,
        retries: Retries | None = None,
        chance: Callable[[], float] = CHANCE.random,
    ) -> None:
        self._transport = transport
        self._retries = retries or Retries()
        self._chance = chance
        self._counts = _Counts()

    def statistics(self) -> ClientStatistics:
        """The number of requests sent so far (CLIENT-4)."""
        counts = self._counts
        return ClientStatistics(
            requests=dict(counts.requests),
            statuses=dict(counts.statuses),
            repetitions=counts.repetitions,
            in_flight=counts.in_flight,
            writes_in_flight=counts.writes_in_flight,
            durations={verb: histogram.value() for verb, histogram in counts.durations.items()},
        )

    async def get(self, kind: Kind[T], name: str, namespace: str = "") -> T:
        """Read one object, live."""
        request = Request("GET", kind.resource.path(namespace or None, name), accept=kind.accept_one)
        view = _view(kind, await self.request("get", kind.resource, request))
        if (view.name, view.namespace) != (name, namespace if kind.resource.namespaced else ""):
            raise ApiFailure(200, "", f'a read of {kind.resource.qualified} "{name}" was answered with "{view.key}"')
        return view

    async def pages(
        self,
        kind: Kind[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = PAGE_OBJECTS_MAX,
    ) -> AsyncIterator[Page[T]]:
        """Read a list page by page (CLIENT-5); the loop gets a turn after each `limit` objects."""
        query = _selection(label_selector, field_selector)
        if limit:
            query["limit"] = str(limit)
        while True:
            body = await self._list(kind, namespace, query)
            found = body.items or []
            size = limit or PAGE_OBJECTS_MAX
            for start in range(0, max(len(found), 1), size):
                items, unreadable = _parse_all(kind, found[start : start + size])
                yield Page(items, body.metadata.resource_version, unreadable)
                await asyncio.sleep(0)
            if not body.metadata.continue_:
                return
            query = query | {"continue": body.metadata.continue_}

    async def peek(
        self,
        kind: Kind[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        not_older_than: str = "",
    ) -> Page[T]:
        """Read the beginning of a list: whether there is anything, and of which revision the server is.

        It is read live, or, with `not_older_than`, from a server that has reached that revision: one that hasn't
        refuses (`is_revision_too_large`).
        """
        query = _selection(label_selector, field_selector) | {"limit": "1"}
        if not_older_than:
            query |= {"resourceVersion": not_older_than, "resourceVersionMatch": "NotOlderThan"}
        body = await self._list(kind, namespace, query)
        items, unreadable = _parse_all(kind, (body.items or [])[:1])
        return Page(items, body.metadata.resource_version, unreadable)

    async def _list(self, kind: Kind[T], namespace: str, query: Mapping[str, str]) -> documents.ListBody:
        request = Request("GET", kind.resource.path(namespace or None), query, accept=kind.accept_list)
        answer = await self.request("list", kind.resource, request)
        try:
            return documents.read_list(kind.resource, answer.body, as_metadata=kind.only_metadata)
        except ForeignDocument as error:
            raise ApiFailure(answer.status, "", error.message) from error

    async def list_all(
        self, kind: Kind[T], namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> list[T]:
        """Read a whole list, live."""
        found: list[T] = []
        pages = self.pages(kind, namespace, label_selector=label_selector, field_selector=field_selector)
        async for page in pages:
            found += page.items
        return found

    async def create(self, kind: Kind[T], obj: Json, *, subresource: str | None = None) -> T:
        """Create `obj` in the namespace that its metadata names; a subresource (``eviction``) needs its name too."""
        metadata = obj["metadata"]
        name = metadata["name"] if subresource else None
        path = kind.resource.path(metadata.get("namespace"), name, subresource)
        request = Request("POST", path, body=encode(_typed(obj, kind.resource)))
        answer = await self.request("create", kind.resource, request, subresource)
        return _view(kind, answer, any_kind=subresource is not None)  # a subresource may answer with a kind of its own

    async def replace(self, kind: Kind[T], obj: Json, *, subresource: str | None = None) -> T:
        """PUT `obj`, with the revision in its metadata; a Conflict says that somebody else wrote first."""
        metadata = obj["metadata"]
        path = kind.resource.path(metadata.get("namespace"), metadata["name"], subresource)
        request = Request("PUT", path, body=encode(_typed(obj, kind.resource)))
        return _view(kind, await self.request("update", kind.resource, request, subresource))

    async def patch(
        self,
        kind: Kind[T],
        name: str,
        namespace: str,
        change: Json | list[Json],
        *,
        patch_type: PatchType,
        subresource: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> T:
        """PATCH an object."""
        path = kind.resource.path(namespace or None, name, subresource)
        request = Request("PATCH", path, query or {}, encode(change), PATCH_CONTENT_TYPES[patch_type])
        return _view(kind, await self.request("patch", kind.resource, request, subresource))

    async def delete(
        self,
        kind: Kind[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: Literal["", "Background", "Foreground", "Orphan"] = "",
        grace_seconds: int | None = None,
    ) -> None:
        """Delete one object; with `uid` or `resource_version` only if it still is that one, else a Conflict."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        preconditions = {"uid": uid} if uid else {}
        if resource_version:
            preconditions["resourceVersion"] = resource_version
        if preconditions:
            options["preconditions"] = preconditions
        if propagation:
            options["propagationPolicy"] = propagation
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        body = encode(options) if len(options) > 2 else None
        request = Request("DELETE", kind.resource.path(namespace or None, name), body=body)
        check_is_object(await self.request("delete", kind.resource, request), "a delete")  # ANSWERS-1

    @asynccontextmanager
    async def watch(
        self,
        kind: Kind[T],
        resource_version: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int | None = None,
        sends_initial: bool = False,
    ) -> AsyncGenerator[AsyncIterator[WatchEvent[T]]]:
        """Open a watch from `resource_version` on: inside the context, iterate until the server ends it.

        Never repeated here: how to go on is `Informer`'s to know. An ERROR line is raised as `ApiFailure`. With
        `sends_initial` it begins with all objects, of `resource_version` or newer, and a bookmark that says so.
        """
        query = _selection(label_selector, field_selector)
        query |= {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        if sends_initial:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        if timeout_seconds is not None:
            query["timeoutSeconds"] = str(timeout_seconds)
        counts = self._counts
        counts.requests["watch", kind.resource.qualified] += 1
        request = Request("GET", kind.resource.path(namespace or None), query, accept=kind.accept_one)
        try:
            async with self._transport.watch(request) as lines:
                counts.statuses[200] += 1
                events = events_in(kind, lines)
                try:
                    yield events
                finally:
                    await events.aclose()
        except ApiFailure as failure:
            counts.statuses[failure.status] += 1
            raise
        except ConnectionFailed:
            counts.statuses[0] += 1
            raise

    async def request(self, verb: Verb, resource: Resource, request: Request, subresource: str | None = None) -> Answer:
        """Send `request`, repeat it where that is safe (CLIENT-2), and return the answer if it is a success.

        It serves the requests that have no typed verb: discovery, other subresources, answers that are no object.
        """
        counted = (verb, f"{resource.qualified}/{subresource}" if subresource else resource.qualified)
        is_read = request.method == "GET"
        attempt = 1
        while True:
            asked_seconds: float | None = None
            try:
                answer = await self._send(counted, request)
            except ConnectionFailed as failed:
                if attempt >= self._retries.attempts or not (is_read or not failed.request_sent):
                    raise
            else:
                if 200 <= answer.status < 300:
                    return answer
                failure = ApiFailure.from_answer(answer)
                again = failure.is_too_many_requests or (is_read and failure.is_transient)
                if attempt >= self._retries.attempts or not again:
                    raise failure
                asked_seconds = failure.retry_after_seconds
            self._counts.repetitions += 1
            await asyncio.sleep(self._retries.delay(attempt, asked_seconds, self._chance()))
            attempt += 1

    async def _send(self, counted: tuple[str, str], request: Request) -> Answer:
        counts = self._counts
        verb, is_write = counted[0], request.method != "GET"
        counts.requests[counted] += 1
        counts.in_flight += 1
        counts.writes_in_flight += is_write
        started = perf_counter()
        try:
            answer = await self._transport.send(request)
        except ConnectionFailed:
            counts.statuses[0] += 1
            raise
        finally:
            counts.in_flight -= 1
            counts.writes_in_flight -= is_write
        counts.statuses[answer.status] += 1
        histogram = counts.durations.get(verb)
        if histogram is None:
            histogram = counts.durations[verb] = Histogram()
        histogram.observe(perf_counter() - started)
        return answer


def _selection(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {"labelSelector": label_selector} if label_selector else {}
    if field_selector:
        query["fieldSelector"] = field_selector
    return query


def _typed(obj: Json, resource: Resource) -> Json:
    """`obj` with its kind and version, which objects inside a list don't carry."""
    if "kind" in obj and "apiVersion" in obj:
        return obj
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}


def _view(kind: Kind[T], answer: Answer, *, any_kind: bool = False) -> T:
    try:
        if not any_kind:
            documents.check_object(kind.resource, answer.body, as_metadata=kind.only_metadata)
        return kind.parse(answer.body)
    except UNREADABLE as error:
        raise ApiFailure(answer.status, "", f"the answer is no {kind.resource.kind}: {error}") from error


def _parse_all(kind: Kind[T], found: list[msgspec.Raw]) -> tuple[tuple[T, ...], tuple[Unreadable, ...]]:
    """Return the views of all documents that can be read, and the broken ones apart: one hides no other."""
    views: list[T] = []
    broken: list[Unreadable] = []
    for document in found:
        raw = bytes(document)
        try:
            documents.check_object(kind.resource, raw, as_metadata=kind.only_metadata)
        except ForeignDocument as error:
            raise ApiFailure(200, "", f"the list of {kind.resource.qualified}: {error.message}") from error
        try:
            views.append(kind.parse(raw))
        except UNREADABLE as error:
            broken.append(unreadable(raw, error))
    return tuple(views), tuple(broken)
