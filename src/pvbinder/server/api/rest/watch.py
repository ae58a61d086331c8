"""Watches: the changes of a kind as a stream of lines, one event each.

WATCH-1  Complete: after the events of the start, every change after the revision of the start is shown, in order, once;
         with selectors a change into or out of the selection is ADDED or DELETED (GW-12).
WATCH-2  Cheap for many: an event without selectors or conversion is encoded once for all watches.
WATCH-3  Bounded: the stream holds at most `CHANGES_TAKEN_MAX` events and `CHUNK_BYTES_MAX` at a time; a larger event
         comes in pieces of what is stored. A reader that is so slow that the history has forgotten what comes next
         finds its stream ended, and learns from the next watch that it must list again.
WATCH-4  A watch ends at its timeout, or when the server stops; shortly before its timeout, and once a minute, a
         bookmark tells the newest revision to those who allow it.
WATCH-5  Those who allow bookmarks are shown something within their first second, a bookmark if there is nothing else:
         client-go takes a watch that it left within a second and without an event for a broken one and says so on
         stderr, as in ``kubectl delete --timeout=1s``.
WATCH-6  A watch from a revision that is still to come shows what comes after that revision, and nothing before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TypeAlias

from pvbinder.chance import CHANCE
from pvbinder.server.api.negotiation import JSON_TYPE, negotiate
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.options import ListOptions, read_list_options
from pvbinder.server.api.rest.read import pieces_of, read_revision, resource_version_too_large
from pvbinder.server.api.rest.selection import Selection, read_selection
from pvbinder.server.api.rest.shown import Shown
from pvbinder.server.errors import ApiError
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.storage import Storage, encode
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.store import Cursor, HistoryLost, RevisionExpired, Stored, StoredChange
from pvbinder.server.store.store import with_revision

CHANGES_TAKEN_MAX = 500
CHUNK_BYTES_MAX = 64 << 10
BOOKMARK_SECONDS = 60.0
FIRST_BOOKMARK_SECONDS = 0.5  # after the start, if nothing was shown by then
LAST_BOOKMARK_SECONDS = 2.0  # before the timeout
LEAST_TIMEOUT_SECONDS = 1800.0  # without one asked for: between this and twice as long, as in the reference
_CHUNKS_PER_TURN = 4  # of the loop
INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


def watch(api: Api, request: ApiRequest, attributes: Attributes, storage: Storage) -> ApiResponse:
    """Answer a watch of a collection or, by the old ``/watch/`` paths, of one object."""
    form = negotiate(request.headers.get("accept", ""), streams=not storage.base.is_custom)
    if form.media_type != JSON_TYPE:
        why = f"only the following media types are accepted: {JSON_TYPE};stream=watch"
        raise ApiError(406, "NotAcceptable", why)
    options = read_list_options(request.query, is_watch=True)
    selection = read_selection(storage, options, attributes.name)
    revision = read_revision(options.resource_version)
    shown = Shown.of(api, request, storage, form) if form.shape in ("table", "metadata") else None
    events = _Events(storage, storage.prefix(attributes.namespace), selection, shown)
    headers = {"Content-Type": JSON_TYPE}
    starts_with_all = options.send_initial_events or (options.send_initial_events is None and revision == 0)
    if revision > api.objects.store.revision and starts_with_all:
        error = resource_version_too_large(revision, api.objects.store.revision)
        return ApiResponse(200, headers=headers, stream=_one(_error_line(error)))
    if starts_with_all:
        present = [stored for _, stored in api.objects.store.objects(storage.store_name, events.prefix)]
        since = api.objects.store.revision
    else:
        # from a revision that is still to come, nothing is shown until it has come
        present, since = [], min(revision or api.objects.store.revision, api.objects.store.revision)
        events.after = revision
    try:
        cursor = api.objects.store.watch(storage.store_name, since)
    except RevisionExpired:
        message = f"too old resource version: {revision} ({api.objects.store.revision})"
        return ApiResponse(200, headers=headers, stream=_one(_error_line(ApiError(410, "Expired", message))))
    return ApiResponse(
        200, headers=headers, stream=_stream(api, events, options, present if starts_with_all else None, cursor)
    )


_Line: TypeAlias = bytes | tuple[bytes, bytes, bytes]  # in parts, the object between, where it is too large to copy


class _Events:
    """Turns changes into the lines of one watch."""

    def __init__(self, storage: Storage, prefix: str, selection: Selection, shown: Shown | None) -> None:
        self.prefix = prefix
        self.resource = storage.kind.resource.qualified
        self._storage = storage
        self._selection = selection
        self._shown = shown  # None: objects are shown as they are
        self.after = 0  # the revision after which changes are shown, where that is still to come
        self._is_shared = shown is None and selection.everything and not storage.converts
        self._has_shown_columns = False
        self._only_key = f"{prefix}{selection.name}" if selection.name and (prefix or not storage.prefix("x")) else ""

    def chunks(self, changes: list[StoredChange], cursor: Cursor) -> Iterator[bytes]:
        """Give the lines of those `changes` that this watch is to see (WATCH-3)."""
        if self.after:
            changes = [change for change in changes if change.revision > self.after]
            self.after = 0 if changes else self.after
        if self._only_key:
            changes = [change for change in changes if change.key == self._only_key]
        elif self.prefix:
            changes = [change for change in changes if change.key.startswith(self.prefix)]
        if self._is_shared:
            if len(changes) == 1 and changes[0].line is not None:
                return iter((changes[0].line,))  # the usual case of many watchers
            lines = (_shared_line(change, cursor) for change in changes)
        else:
            events = (_event_of(change, self._selection) for change in changes)
            lines = (self._line(*event) for event in events if event is not None)
        return _chunks(lines)

    def present(self, stored: list[Stored]) -> Iterator[bytes]:
        """Give the lines, in chunks, that show the objects that are there as ADDED."""
        return _chunks(
            self._line("ADDED", one.data)
            for one in stored
            if self._selection.everything or self._selection.takes(one.data)
        )

    def bookmark(self, revision: int, *, ends_initial: bool = False) -> bytes:
        """Return the line that says that everything up to `revision` has been shown."""
        resource = self._storage.kind.resource
        metadata: Json = {"resourceVersion": str(revision)}
        if ends_initial:
            metadata["annotations"] = INITIAL_EVENTS_END
        obj: Json = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        if self._shown is not None:
            obj = self._transformed(obj, self._shown)
        return encode({"type": "BOOKMARK", "object": obj}) + b"\n"

    def _line(self, kind: str, data: bytes) -> _Line:
        if self._shown is not None:
            return encode({"type": kind, "object": self._transformed(self._storage.decode(data), self._shown)}) + b"\n"
        return _line(kind, self._storage.answer(data))

    def _transformed(self, obj: Json, shown: Shown) -> Json:
        transformed = shown.object(obj, with_columns=not self._has_shown_columns)
        self._has_shown_columns = True
        return transformed


def _chunks(lines: Iterable[_Line]) -> Iterator[bytes]:
    """Put lines together to chunks of at most `CHUNK_BYTES_MAX`; cut longer ones (WATCH-3)."""
    parts: list[bytes] = []
    size = 0
    for line in lines:
        if isinstance(line, tuple) or size + len(line) > CHUNK_BYTES_MAX:
            if parts:
                yield parts[0] if len(parts) == 1 else b"".join(parts)
                parts, size = [], 0
            if isinstance(line, tuple):
                for part in line:
                    yield from pieces_of(part, CHUNK_BYTES_MAX)
                continue
        parts.append(line)
        size += len(line)
    if parts:
        yield parts[0] if len(parts) == 1 else b"".join(parts)


def _shared_line(change: StoredChange, cursor: Cursor) -> _Line:
    """Return the line of a change, encoded once for all watches (WATCH-2)."""
    if change.line is not None:
        return change.line
    kind = "DELETED" if change.deleted else "ADDED" if change.previous is None else "MODIFIED"
    line = _line(kind, change.now.data)
    if isinstance(line, bytes):
        cursor.share(change, line)
    return line


def _event_of(change: StoredChange, selection: Selection) -> tuple[str, bytes] | None:
    """Return what a change is to a watch with this selection, and the object to show (GW-12)."""
    previous = change.previous
    is_in = not change.deleted and (selection.everything or selection.takes(change.now.data))
    was_in = previous is not None and (selection.everything or selection.takes(previous.data))
    if is_in:
        return ("MODIFIED" if was_in else "ADDED"), change.now.data
    if was_in and previous is not None:
        return "DELETED", with_revision(previous, change.revision)
    return None


def _line(kind: str, data: bytes) -> _Line:
    if len(data) > CHUNK_BYTES_MAX:  # as large as it is, nobody makes a copy
        return (b'{"type":"%s","object":' % kind.encode(), data, b"}\n")
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), data)


def _error_line(error: ApiError) -> bytes:
    return encode({"type": "ERROR", "object": error.status()}) + b"\n"


async def _one(line: bytes) -> AsyncIterator[bytes]:
    yield line


async def _stream(
    api: Api, events: _Events, options: ListOptions, present: list[Stored] | None, cursor: Cursor
) -> AsyncIterator[bytes]:
    """Give the lines of a watch: first of what is `present`, unless it is None, and where that ends."""
    clock = asyncio.get_running_loop().time
    started = clock()
    end = started + (options.timeout_seconds or LEAST_TIMEOUT_SECONDS * CHANCE.uniform(1, 2))
    first_revision = cursor.revision
    bookmark_at = end
    taken = 0  # without a wait
    is_silent = True  # nothing was shown yet, and the first bookmark comes early (WATCH-5)
    api.watches[events.resource] += 1
    try:
        for number, chunk in enumerate(events.present(present or [])):
            is_silent = False
            yield chunk
            if number % _CHUNKS_PER_TURN == _CHUNKS_PER_TURN - 1:
                await asyncio.sleep(0)
        if present is not None:
            present.clear()
            if options.allow_bookmarks:
                yield events.bookmark(first_revision, ends_initial=True)
        is_silent = present is None and options.allow_bookmarks and options.send_initial_events is None
        if options.allow_bookmarks:
            bookmark_at = started + FIRST_BOOKMARK_SECONDS if is_silent else _next_bookmark(clock(), end)
        while not api.objects.store.closed:
            try:
                changes = cursor.take(CHANGES_TAKEN_MAX, CHUNK_BYTES_MAX)
            except HistoryLost:
                return  # WATCH-3
            if changes:
                for chunk in events.chunks(changes, cursor):
                    yield chunk
                    if is_silent:
                        is_silent = False
                        bookmark_at = _next_bookmark(started, end)
                taken += 1
                if taken % _CHUNKS_PER_TURN == 0:
                    await asyncio.sleep(0)  # a watch that is far behind must not catch up in one turn of the loop
            else:
                taken = 0
                await cursor.wait(min(end, bookmark_at))
            now = clock()
            if bookmark_at <= now < end:
                reached = cursor.catch_up()
                if reached >= events.after:
                    yield events.bookmark(reached)
                bookmark_at = _next_bookmark(started if is_silent else now, end)
                is_silent = False
            if now >= end:
                return
    except ApiError as error:  # an object that isn't to be had in this version (CONVERSION-1)
        yield _error_line(error)
    finally:
        cursor.close()
        api.watches[events.resource] -= 1


def _next_bookmark(now: float, end: float) -> float:
    last = end - LAST_BOOKMARK_SECONDS
    return min(now + BOOKMARK_SECONDS, last) if now < last else end
