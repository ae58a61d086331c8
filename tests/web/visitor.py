"""A visitor of the page who writes requests byte by byte, and objects that change when a test says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.insight.builders import Document

from pvbinder.model.json import encode
from pvbinder.model.objects import parse_claim, parse_node, parse_pod, parse_storage_class, parse_volume
from pvbinder.rules.plugins import NoPlugins
from pvbinder.web.asking import Questions
from pvbinder.web.objects import FixedObjects, ShownListener
from pvbinder.web.page import LivePage, PageSource
from pvbinder.web.rows import RowKind, RowView, kind_of

_PARSE = {
    "PersistentVolumeClaim": parse_claim,
    "PersistentVolume": parse_volume,
    "StorageClass": parse_storage_class,
    "Pod": parse_pod,
    "Node": parse_node,
}
KNOWN = (*_PARSE, "Event")


def view_of(document: Document) -> Any:
    return _PARSE[document["kind"]](encode(document))


class Changing(FixedObjects):
    """Objects that a test changes."""

    is_live = True

    def __init__(self, views: Iterable[RowView] = ()) -> None:
        super().__init__(views, KNOWN)
        self.listeners: list[ShownListener] = []

    def listen(self, listener: ShownListener) -> None:
        self.listeners.append(listener)

    def put(self, view: RowView) -> None:
        kind = kind_of(view)
        before = self._views[kind].get(view.key)
        self._views[kind][view.key] = view
        self._tell(kind, before, view)

    def remove(self, kind: RowKind, key: str) -> None:
        self._tell(kind, self._views[kind].pop(key), None)

    def _tell(self, kind: RowKind, before: RowView | None, after: RowView | None) -> None:
        for listener in self.listeners:
            listener(kind, before, after)


@dataclass
class Answered:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Visitor:
    """Somebody who talks to the page of `port`; with a `cookie` once let in."""

    port: int
    cookie: str = ""
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def ask(
        self,
        target: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        without: str = "",
        **headers: str,
    ) -> Answered:
        """Send one request; `headers` take the place of the usual ones, ``x_y`` is ``x-y``."""
        reader, writer = await self._begin(target, method, body, without, headers)
        try:
            status, fields = await _head(reader)
            answer = await reader.readexactly(int(fields.get("content-length", "0"))) if method != "HEAD" else b""
        finally:
            writer.close()
        return Answered(status, fields, answer)

    async def stream(self) -> EventReader:
        """Begin to read the stream."""
        reader, writer = await self._begin("/api/stream", "GET", None, "", {})
        self.open.append(writer)
        status, _ = await _head(reader)
        assert status == 200
        return EventReader(reader)

    async def come_in(self, link: str) -> Answered:
        """Open `link`, and keep the cookie."""
        answer = await self.ask("/" + link.split("/", 3)[3])
        self.cookie = answer.headers.get("set-cookie", "").split(";")[0]
        return answer

    async def _begin(
        self, target: str, method: str, body: bytes | None, without: str, headers: dict[str, str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        fields = {"host": f"127.0.0.1:{self.port}", "connection": "close"}
        if self.cookie:
            fields["cookie"] = self.cookie
        if body is not None:
            fields |= {"content-length": str(len(body)), "content-type": "application/yaml", "x-pvbinder": "1"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        fields.pop(without, None)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + (body or b""))
        return reader, writer


class EventReader:
    """The server-sent events of a chunked answer."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._text = b""

    async def next(self) -> tuple[str, Any]:
        """Return the name and the document of the next event; of a comment ``":"``."""
        while b"\n\n" not in self._text:
            size = int(await self._reader.readline(), 16)
            if not size:
                return "end", None
            self._text += await self._reader.readexactly(size)
            await self._reader.readline()
        event, _, self._text = self._text.partition(b"\n\n")
        if event == b":":
            return ":", None
        name, data = event.split(b"\n")
        return name.removeprefix(b"event: ").decode(), json.loads(data.removeprefix(b"data: "))

    async def until(self, name: str) -> Any:
        """Return the document of the next event called `name`."""
        while True:
            found, document = await self.next()
            assert found != "end"
            if found == name:
                return document


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value for name, value in fields.items()}


def source_of(objects: FixedObjects, beside: Iterable[Document] = (), **fields: Any) -> PageSource:
    questions = Questions(objects, plugins=NoPlugins(), beside=list(beside))
    return PageSource(kind="dump", name="test", objects=objects, questions=questions, **fields)


@asynccontextmanager
async def visiting(source: PageSource) -> AsyncIterator[tuple[Visitor, LivePage]]:
    """A page, and somebody who has come in."""
    async with LivePage(source) as page:
        visitor = Visitor(int(page.url.rstrip("/").rpartition(":")[2]))
        await visitor.come_in(page.link())
        try:
            yield visitor, page
        finally:
            for writer in visitor.open:
                writer.close()
