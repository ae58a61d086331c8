"""Watches: the changes of a kind as a stream of lines, one event each.

WATCH-1  Complete: after the events of the start, every change after the revision of the start is shown, in order, once;
         with selectors a change into or out of the selection is ADDED or DELETED (GW-12).
WATCH-2  Cheap for many: an event without selectors or conversion is encoded once, whoever watches.
WATCH-3  Bounded: the stream holds at most `TAKE` events at a time. A reader that is so slow that the history has
         forgotten what comes next finds its stream ended, and learns from the next watch that it must list again.
WATCH-4  A watch ends at its timeout, or when the server stops; shortly before its timeout, and once a minute, a
         bookmark tells the newest revision to those who allow it.
WATCH-5  Those who allow bookmarks are shown something within their first second, a bookmark if there is nothing else:
         client-go takes a watch that it left within a second and without an event for a broken one and says so on
         stderr, as in ``kubectl delete --timeout=1s``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator

from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.kind import Json
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.rest.api import Api
from pvbinder.server.rest.attributes import Attributes
from pvbinder.server.rest.negotiation import JSON_TYPE, negotiate
from pvbinder.server.rest.options import ListOptions, read_list_options
from pvbinder.server.rest.read import read_revision, too_large
from pvbinder.server.rest.selection import Selection, read_selection
from pvbinder.server.rest.shelf import Shelf, encode
from pvbinder.server.rest.shown import Shown
from pvbinder.server.store import Change, Cursor, HistoryLost, RevisionExpired, RevisionFromTheFuture, Stored
from pvbinder.server.store.store import with_revision

TAKE = 500
BOOKMARK_SECONDS = 60.0
FIRST_BOOKMARK_SECONDS = 0.5  # after the start, if nothing was shown by then
LAST_BOOKMARK_SECONDS = 2.0  # before the timeout
LEAST_TIMEOUT_SECONDS = 1800.0  # without one asked for: between this and twice as long, as in the reference
INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


def watch(api: Api, request: ApiRequest, attributes: Attributes, shelf: Shelf) -> ApiResponse:
    """Answer a watch of a collection or, by the old ``/watch/`` paths, of one object."""
    form = negotiate(request.headers.get("accept", ""))
    options = read_list_options(request.query, is_watch=True)
    selection = read_selection(shelf, options, attributes.name)
    revision = read_revision(options.resource_version)
    show = _plain_lines(shelf, selection) if form.shape == "object" else None
    events = _Events(shelf, shelf.prefix(attributes.namespace), selection, Shown.of(api, request, shelf, form), show)
    headers = {"Content-Type": JSON_TYPE}
    starts_with_all = options.send_initial_events or (options.send_initial_events is None and revision == 0)
    if revision > api.store.revision:
        raise too_large(revision, api.store.revision)
    if starts_with_all:
        present = [stored for _, stored in api.store.objects(shelf.store_name, events.prefix)]
        since = api.store.revision
    else:
        present, since = [], revision or api.store.revision
    try:
        cursor = api.store.watch(shelf.store_name, since)
    except RevisionExpired:
        message = f"too old resource version: {revision} ({api.store.revision})"
        return ApiResponse(200, headers=headers, stream=_one(_error_line(ApiError(410, "Expired", message))))
    except RevisionFromTheFuture as error:
        raise too_large(since, api.store.revision) from error
    return ApiResponse(200, headers=headers, stream=_stream(api, events, options, present, cursor))


class _Events:
    """Turns changes into the lines of one watch."""

    def __init__(
        self,
        shelf: Shelf,
        prefix: str,
        selection: Selection,
        shown: Shown,
        plain: Callable[[Change], bytes] | None,
    ) -> None:
        self.prefix = prefix
        self.resource = shelf.kind.resource.qualified
        self._shelf = shelf
        self._selection = selection
        self._shown = shown
        self._plain = plain
        self._has_shown_columns = False
        self._only_key = f"{prefix}{selection.name}" if selection.name and (prefix or not shelf.prefix("x")) else ""

    def lines(self, changes: list[Change]) -> bytes:
        """Return the lines of those `changes` that this watch is to see."""
        if self._only_key:
            changes = [change for change in changes if change.key == self._only_key]
        elif self.prefix:
            changes = [change for change in changes if change.key.startswith(self.prefix)]
        if self._plain is not None:
            return b"".join([self._plain(change) for change in changes])
        lines = []
        for change in changes:
            event = _event_of(change, self._selection)
            if event is not None:
                lines.append(self._shown_line(*event))
        return b"".join(lines)

    def present(self, stored: list[Stored]) -> Iterator[bytes]:
        """Give the lines, in chunks, that show the objects that are there as ADDED."""
        for start in range(0, len(stored), TAKE):
            lines = [
                self._line("ADDED", one.data)
                for one in stored[start : start + TAKE]
                if self._selection.everything or self._selection.takes(one.data)
            ]
            if lines:
                yield b"".join(lines)

    def bookmark(self, revision: int, *, ends_initial: bool = False) -> bytes:
        """Return the line that says that everything up to `revision` has been shown."""
        resource = self._shelf.kind.resource
        metadata: Json = {"resourceVersion": str(revision)}
        if ends_initial:
            metadata["annotations"] = INITIAL_EVENTS_END
        obj: Json = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        if self._plain is None:
            obj = self._transformed(obj)
        return encode({"type": "BOOKMARK", "object": obj}) + b"\n"

    def _line(self, kind: str, data: bytes) -> bytes:
        if self._plain is None:
            return self._shown_line(kind, data)
        return _line(kind, self._shelf.answer(data))

    def _shown_line(self, kind: str, data: bytes) -> bytes:
        return encode({"type": kind, "object": self._transformed(self._shelf.decode(data))}) + b"\n"

    def _transformed(self, obj: Json) -> Json:
        shown = self._shown.object(obj, with_columns=not self._has_shown_columns)
        self._has_shown_columns = True
        return shown


def _plain_lines(shelf: Shelf, selection: Selection) -> Callable[[Change], bytes]:
    """Return what makes the line of a change (b"" if it isn't selected) when objects are shown as they are."""
    if selection.everything and not shelf.converts:
        return _shared_line

    def line(change: Change) -> bytes:
        event = _event_of(change, selection)
        if event is None:
            return b""
        kind, data = event
        return _line(kind, shelf.answer(data))

    return line


def _shared_line(change: Change) -> bytes:
    """WATCH-2."""
    if change.line is None:
        kind = "DELETED" if change.deleted else "ADDED" if change.previous is None else "MODIFIED"
        change.line = _line(kind, change.now.data)
    return change.line


def _event_of(change: Change, selection: Selection) -> tuple[str, bytes] | None:
    """Return what a change is to a watch with this selection, and the object to show (GW-12)."""
    previous = change.previous
    is_in = not change.deleted and (selection.everything or selection.takes(change.now.data))
    was_in = previous is not None and (selection.everything or selection.takes(previous.data))
    if is_in:
        return ("MODIFIED" if was_in else "ADDED"), change.now.data
    if was_in and previous is not None:
        return "DELETED", with_revision(previous, change.revision)
    return None


def _line(kind: str, data: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), data)


def _error_line(error: ApiError) -> bytes:
    return encode({"type": "ERROR", "object": error.status()}) + b"\n"


async def _one(line: bytes) -> AsyncIterator[bytes]:
    yield line


async def _stream(
    api: Api, events: _Events, options: ListOptions, present: list[Stored], cursor: Cursor
) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    started = clock()
    end = started + (options.timeout_seconds or LEAST_TIMEOUT_SECONDS * random.uniform(1, 2))  # noqa: S311
    first_revision = cursor.revision
    bookmark_at = end
    is_silent = True  # nothing was shown yet (WATCH-5)
    api.watches[events.resource] += 1
    try:
        for chunk in events.present(present):
            is_silent = False
            yield chunk
        if options.send_initial_events and options.allow_bookmarks:
            is_silent = False
            yield events.bookmark(first_revision, ends_initial=True)
        if options.allow_bookmarks:
            bookmark_at = min(started + FIRST_BOOKMARK_SECONDS, end) if is_silent else _next_bookmark(clock(), end)
        while not api.store.closed:
            try:
                changes = cursor.take(TAKE)
            except HistoryLost:
                return  # WATCH-3
            if changes:
                lines = events.lines(changes)
                if lines:
                    yield lines
                    if is_silent:
                        is_silent = False
                        bookmark_at = _next_bookmark(started, end) if options.allow_bookmarks else end
            else:
                await cursor.wait(min(end, bookmark_at))
            now = clock()
            if now >= bookmark_at and options.allow_bookmarks and now < end:
                yield events.bookmark(cursor.catch_up())
                bookmark_at = _next_bookmark(started if is_silent else now, end)
                is_silent = False
            if now >= end:
                return
    finally:
        cursor.close()
        api.watches[events.resource] -= 1


def _next_bookmark(now: float, end: float) -> float:
    last = end - LAST_BOOKMARK_SECONDS
    return min(now + BOOKMARK_SECONDS, last) if now < last else end
