"""The lines of a watch, read one by one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from pvbinder.kube import documents, lines
from pvbinder.kube.documents import ForeignDocument
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.lines import CutLine, event_of
from pvbinder.kube.views import UNREADABLE, Kind, T, Unreadable, WatchEvent, unreadable


class _WatchLine(msgspec.Struct):
    type: str
    object: msgspec.Raw


_line_decoder = msgspec.json.Decoder(_WatchLine)


async def events_in(kind: Kind[T], stream: AsyncIterator[bytes]) -> AsyncGenerator[WatchEvent[T]]:
    """Give the events of a watch; raises what `read_line` raises."""
    async for line in stream:
        event = read_line(kind, line)
        if event is not None:
            yield event


def read_line(kind: Kind[T], line: bytes) -> WatchEvent[T] | None:
    """Read one line of a watch; None for an empty line or a type that we don't know.

    Raises `ApiFailure` for an ERROR line, `ConnectionFailed` for a line that is no watch event at all.
    """
    if isinstance(line, CutLine):
        return _cut_event(kind, line)
    if not line.strip():
        return None
    try:
        frame = _line_decoder.decode(line)
    except UNREADABLE as error:
        raise ConnectionFailed(
            f"the watch of {kind.resource.qualified} sent a line that is no event: {error}"
        ) from error
    document = bytes(frame.object)
    if frame.type != "ERROR":
        try:
            documents.check_object(kind.resource, document, as_metadata=kind.only_metadata)
        except ForeignDocument as error:
            raise ConnectionFailed(f"the watch of {kind.resource.qualified}: {error.message}") from error
    match frame.type:
        case "ADDED" | "MODIFIED" | "DELETED" as change:
            try:
                view = kind.parse(document)
            except UNREADABLE as error:
                broken = unreadable(document, error)
                return WatchEvent(change, broken.resource_version, unreadable=broken)
            return WatchEvent(change, view.resource_version, view)
        case "BOOKMARK":
            found = documents.read_bookmark(document)
            ends_initial = (found.annotations or {}).get(documents.INITIAL_EVENTS_END) == "true"
            return WatchEvent("BOOKMARK", found.resource_version, ends_initial=ends_initial)
        case "ERROR":
            raise ApiFailure.from_status(documents.code_of(document), document)
        case _:
            return None


def _cut_event(kind: Kind[T], line: CutLine) -> WatchEvent[T]:
    """Return the event that the beginning of a too long line tells (CLIENT-6)."""
    event = event_of(line)
    if event is None:
        raise ConnectionFailed(f"the watch of {kind.resource.qualified} sent a long line that is no event of an object")
    broken = Unreadable(event.key, event.resource_version, f"it is larger than {lines.LINE_BYTES_MAX} bytes")
    return WatchEvent(event.type, event.resource_version, unreadable=broken)
