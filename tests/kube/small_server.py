"""The guarantees of an API server in 200 lines, behind the `Transport` protocol, with faults on demand.

For what the embedded server can't be made to do at a given moment: compact its history between a list and a watch, send
half a line, lose an answer after the write, go back to a backup. It knows no kinds: whatever has a path has objects.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.transport import Answer, Request

Fault = Callable[[Request], Answer | None]


@dataclass
class Happened:
    """A change in the server's history."""

    revision: int
    type: str
    collection: str
    document: dict[str, Any]


@dataclass
class SmallServer:
    """Objects by path, a history, and watches of it."""

    revision: int = 0
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[Happened] = field(default_factory=list)
    compacted: int = 0
    requests: list[Request] = field(default_factory=list)
    before: list[Fault] = field(default_factory=list)  # asked once each, in order, instead of the next requests
    lose_answers: int = 0  # of the next writes: carried out, but no answer
    lines: list[bytes] = field(default_factory=list)  # sent as they are to the next watch, before anything else
    watching: int = 0
    streaming_lists: Literal["served", "refused", "unknown", "cut"] = "served"
    is_silent: bool = False  # watches that are opened now never tell anything, nor end
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _generation: int = 0
    _snapshots: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=dict)

    # -- what a test does to it ---------------------------------------------------------------------------------------

    def apply(self, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        """Create or replace the object at `path`."""
        collection, name = path.rsplit("/", 1)
        known = self.objects.get(path)
        self.revision += 1
        document = json.loads(json.dumps(document or {}))
        metadata = document.setdefault("metadata", {})
        metadata["name"] = name
        if "/namespaces/" in path and not path.startswith("/api/v1/namespaces/" + name):
            metadata["namespace"] = path.split("/namespaces/")[1].split("/")[0]
        metadata["resourceVersion"] = str(self.revision)
        metadata.setdefault("uid", known["metadata"]["uid"] if known else f"uid-{self.revision}")
        self.objects[path] = document
        self._tell("MODIFIED" if known else "ADDED", collection, document)
        return document

    def go_back_to(self, revision: int) -> None:
        """Forget everything, as a server does that is brought back from an old backup."""
        self.objects.clear()
        self.history.clear()
        self.revision = revision

    def delete(self, path: str) -> None:
        """Remove the object at `path`."""
        document = self.objects.pop(path)
        self.revision += 1
        document["metadata"]["resourceVersion"] = str(self.revision)
        self._tell("DELETED", path.rsplit("/", 1)[0], document)

    def compact(self) -> None:
        """Forget the history: watches from before now are expired."""
        self.compacted = self.revision

    def break_watches(self) -> None:
        """End all open watches."""
        self._generation += 1
        self._wake()

    def send_bookmark(self, collection: str) -> None:
        """Tell the watches of `collection` where the server is."""
        self.history.append(Happened(self.revision, "BOOKMARK", collection, {"metadata": {}}))
        self.history[-1].document["metadata"]["resourceVersion"] = str(self.revision)
        self._wake()

    def count(self, method: str, *, watches: bool = False) -> int:
        """How many requests with `method` came."""
        return sum(r.method == method and ("watch" in r.query) == watches for r in self.requests)

    # -- what a client sees -------------------------------------------------------------------------------------------

    async def send(self, request: Request) -> Answer:
        """Answer `request`."""
        self.requests.append(request)
        await asyncio.sleep(0)
        if self.before:
            answer = self.before.pop(0)(request)
            if answer is not None:
                return answer
        answer = self._answer(request)
        if request.method != "GET" and self.lose_answers:
            self.lose_answers -= 1
            raise ConnectionFailed("the connection broke before the answer came")
        return answer

    def _answer(self, request: Request) -> Answer:
        body = json.loads(request.body) if request.body else {}
        path = request.path.removesuffix("/status")
        match request.method:
            case "GET" if path in self.objects:
                return ok(self.objects[path])
            case "GET" if is_collection(path):
                return self._list(path, request)
            case "GET":
                return not_found(path)
            case "POST":
                target = f"{path}/{body['metadata']['name']}"
                if target in self.objects:
                    return refusal(409, "AlreadyExists", f"{target} already exists")
                return ok(self.apply(target, body), 201)
            case "PUT":
                known = self.objects.get(path)
                if known is None:
                    return not_found(path)
                expected = body["metadata"].get("resourceVersion")
                if expected and expected != known["metadata"]["resourceVersion"]:
                    return refusal(409, "Conflict", f"{path} has been modified")
                return ok(self.apply(path, body))
            case "PATCH":
                if path not in self.objects:
                    return not_found(path)
                return ok(self.apply(path, self.objects[path] | body))
            case "DELETE":
                if path not in self.objects:
                    return not_found(path)
                self.delete(path)
                return ok({"kind": "Status", "status": "Success"})
            case method:
                return refusal(405, "MethodNotAllowed", f"{method} is not allowed")

    def _list(self, path: str, request: Request) -> Answer:
        found = [self.objects[key] for key in sorted(self.objects) if key.rsplit("/", 1)[0] == path]
        asked = int(request.query.get("resourceVersion") or 0)
        if asked > self.revision:
            return too_large(asked, self.revision)
        start, revision = 0, self.revision
        self._snapshots.setdefault((path, revision), found)
        if token := request.query.get("continue"):
            start, revision = map(int, token.split("@"))
            if revision < self.compacted:
                return refusal(410, "Expired", "the continue token is too old")
            found = self._snapshots[path, revision]
        limit = int(request.query.get("limit") or len(found) or 1)
        metadata = {"resourceVersion": str(revision)}
        if start + limit < len(found):
            metadata["continue"] = f"{start + limit}@{revision}"
        return ok({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": found[start : start + limit]})

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Open a watch."""
        self.requests.append(request)
        await asyncio.sleep(0)
        if self.before:
            answer = self.before.pop(0)(request)
            if answer is not None:
                raise ApiFailure.from_answer(answer)
        first: list[bytes] = []
        if "sendInitialEvents" in request.query:
            if self.streaming_lists == "refused":
                raise ApiFailure(422, "Invalid", "sendInitialEvents is forbidden for watch")
            first = self._first_lines(request.path)
        revision = int(request.query["resourceVersion"] or self.revision)
        if revision < self.compacted:
            raise ApiFailure(410, "Expired", "too old resource version")
        self.watching += 1
        seconds = int(request.query.get("timeoutSeconds", "3600"))
        lines = (
            _only(first)
            if self.streaming_lists == "cut" and first
            else self._follow(request.path, revision, seconds, first)
        )
        try:
            yield lines
        finally:
            self.watching -= 1
            await lines.aclose()

    def _first_lines(self, path: str) -> list[bytes]:
        found = [self.objects[key] for key in sorted(self.objects) if key.rsplit("/", 1)[0] == path]
        lines = [json.dumps({"type": "ADDED", "object": one}).encode() for one in found]
        if self.streaming_lists == "served":
            metadata = {"resourceVersion": str(self.revision), "annotations": {"k8s.io/initial-events-end": "true"}}
            lines.append(json.dumps({"type": "BOOKMARK", "object": {"metadata": metadata}}).encode())
        return lines

    async def _follow(self, path: str, revision: int, seconds: int, first: list[bytes]) -> AsyncGenerator[bytes]:
        for line in first:
            yield line
        generation = self._generation
        position = next((i for i, h in enumerate(self.history) if h.revision > revision), len(self.history))
        while self.lines:
            yield self.lines.pop(0)
        while self.is_silent:
            await asyncio.sleep(3600)
        ends = asyncio.get_running_loop().time() + seconds
        while generation == self._generation:
            while position < len(self.history):
                happened = self.history[position]
                position += 1
                if happened.collection == path:
                    yield json.dumps({"type": happened.type, "object": happened.document}).encode()
            self._changed.clear()
            try:
                async with asyncio.timeout_at(ends):
                    await self._changed.wait()
            except TimeoutError:
                return

    def _tell(self, type_: str, collection: str, document: dict[str, Any]) -> None:
        self.history.append(Happened(self.revision, type_, collection, json.loads(json.dumps(document))))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _only(lines: list[bytes]) -> AsyncGenerator[bytes]:
    for line in lines:
        yield line


def is_collection(path: str) -> bool:
    """Whether a path that holds no object may be a list (plural words end in s)."""
    return path.rsplit("/", 1)[1].endswith("s")


def ok(document: dict[str, Any], status: int = 200) -> Answer:
    """A success."""
    return Answer(status, json.dumps(document).encode(), {"content-type": "application/json"})


def refusal(status: int, reason: str, message: str, **headers: str) -> Answer:
    """A Status of failure."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}
    return Answer(status, json.dumps(body).encode(), {k.replace("_", "-"): v for k, v in headers.items()})


def not_found(path: str) -> Answer:
    """The refusal of an object that isn't there, as an API server says it."""
    *_, plural, name = path.split("/")
    group = path.split("/")[2] if path.startswith("/apis/") else ""
    details = {"name": name, "kind": plural} | ({"group": group} if group else {})
    message = f'{plural} "{name}" not found'
    body = {"kind": "Status", "status": "Failure", "reason": "NotFound", "message": message, "details": details}
    return Answer(404, json.dumps(body | {"code": 404}).encode())


def too_large(revision: int, current: int) -> Answer:
    """The refusal of a revision that the server hasn't reached: it is behind, or went back."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    body = {"kind": "Status", "status": "Failure", "reason": "Timeout", "details": {"causes": causes}, "code": 504}
    body["message"] = f"Timeout: Too large resource version: {revision}, current: {current}"
    return Answer(504, json.dumps(body).encode())


def no_connection(_request: Request) -> Answer | None:
    """A fault: the request never left."""
    raise ConnectionFailed("connection refused", request_sent=False)


def lost_connection(_request: Request) -> Answer | None:
    """A fault: the request left, and nothing came back."""
    raise ConnectionFailed("connection reset")
