"""The small API store that the vectors ask for (README, "API store"), as a transport for the real client.

It is not an API server: no defaulting, no validation, an update replaces the whole object, a delete removes it at once.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json, decode, encode

PLURALS = {
    "PersistentVolume": "persistentvolumes",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "StorageClass": "storageclasses",
    "VolumeAttributesClass": "volumeattributesclasses",
    "Pod": "pods",
    "Node": "nodes",
}
Key = tuple[str, str, str]  # plural, namespace, name


@dataclass
class SeenRequest:
    """A request as it came, whether it succeeded or not."""

    verb: str
    resource: str
    namespace: str
    name: str
    subresource: str
    object: Json | None = None

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"{self.verb} {self.resource}{'/' + self.subresource if self.subresource else ''}{name}"


@dataclass
class Injected:
    """An error to answer with, and how often."""

    verb: str
    resource: str
    error: str
    times: int | None  # None: always


@dataclass
class Store:
    """Objects by kind, namespace and name; what was asked and written, in order."""

    objects: dict[Key, Json] = field(default_factory=dict)
    errors: list[Injected] = field(default_factory=list)
    requests: list[SeenRequest] = field(default_factory=list)
    written: deque[Json] = field(default_factory=deque)
    changes: int = 0
    revision: int = 1
    _history: list[tuple[int, str, str, Json]] = field(default_factory=list)  # revision, plural, event type, object
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    # -- filling, without requests

    def put(self, obj: Json) -> None:
        """Have `obj` as it is; one without a resource version gets the first."""
        obj = copy.deepcopy(obj)
        obj["metadata"].setdefault("resourceVersion", "1")
        if obj["kind"] == "Pod":  # no API server has one without, so no list of them would be believed
            obj["metadata"].setdefault("uid", f"uid of {obj['metadata']['name']}")
        revision = obj["metadata"]["resourceVersion"]
        self.revision = max(self.revision, int(revision) if str(revision).isdecimal() else 0)
        self.objects[key_of(obj)] = obj

    def inject(self, errors: list[Json]) -> None:
        for error in errors:
            times = error.get("times", 1)
            self.errors.append(
                Injected(error["verb"], error["resource"], error["error"], None if times == "always" else int(times))
            )

    def all_of(self, plural: str) -> list[Json]:
        return [obj for (kind, _, _), obj in self.objects.items() if kind == plural]

    def announce(self, event_type: str, obj: Json) -> None:
        """Store or remove `obj` with a watch event, as somebody else's doing."""
        self.revision += 1
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(self.revision)
        if event_type == "DELETED":
            del self.objects[key_of(obj)]
        else:
            self.objects[key_of(obj)] = obj
        self._record(event_type, obj)

    # -- the transport

    async def send(self, request: Request) -> Answer:
        """Answer `request`."""
        try:
            return self._answer(request)
        except ApiFailure as failure:
            status = {"kind": "Status", "reason": failure.reason, "message": failure.message, "code": failure.status}
            status["details"] = dict(failure.details)
            return Answer(failure.status, encode(status))

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Stream the changes after the revision that is asked for."""
        plural = _seen(request).resource
        yield self._follow(plural, int(request.query["resourceVersion"]))

    async def _follow(self, plural: str, revision: int) -> AsyncIterator[bytes]:
        place = 0
        while True:
            while place < len(self._history):
                at, kind, event_type, obj = self._history[place]
                place += 1
                if kind == plural and at > revision:
                    yield encode({"type": event_type, "object": obj})
            self._news.clear()
            await self._news.wait()

    def _answer(self, request: Request) -> Answer:
        seen = _seen(request)
        if request.body is not None:
            seen.object = decode(request.body)
            if seen.verb == "create":
                seen.name = seen.object["metadata"]["name"]
        self.requests.append(seen)
        self._fail_if_injected(seen)
        key = (seen.resource, seen.namespace, seen.name)
        match seen.verb:
            case "list":
                items = [obj for obj in self.all_of(seen.resource) if seen.namespace in ("", _namespace_of(obj))]
                selected = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
                items = [obj for obj in items if selected in ("", obj["metadata"]["name"])]
                head = {"kind": f"{_kind_of(seen.resource)}List", "apiVersion": _version_of(seen.resource)}
                return _ok(head | {"metadata": {"resourceVersion": str(self.revision)}, "items": items})
            case "get":
                return _ok({"apiVersion": _version_of(seen.resource)} | self._existing(key))
            case "create":
                assert seen.object is not None
                return _ok(self._create(key, seen.object), 201)
            case "update":
                assert seen.object is not None
                return _ok(self._update(key, seen.object))
            case "patch":
                assert seen.object is not None
                return _ok(self._update(key, _merged(self._existing(key), seen.object)))
            case "delete":
                self._record("DELETED", self._existing(key), bump=True)
                del self.objects[key]
                self.changes += 1
                return _ok({"kind": "Status", "status": "Success"})
            case _:
                raise ApiFailure(405, "MethodNotAllowed", f"the store does not know {seen.verb}")

    def _fail_if_injected(self, seen: SeenRequest) -> None:
        for place, injected in enumerate(self.errors):
            if (injected.verb, injected.resource) != (seen.verb, seen.resource):
                continue
            if injected.times is not None:
                injected.times -= 1
                if injected.times == 0:
                    del self.errors[place]
            status = {"Forbidden": 403, "Conflict": 409, "AlreadyExists": 409}.get(injected.error)
            if status is None:
                raise ApiFailure(400, "", injected.error)
            raise ApiFailure(status, injected.error, f"{seen} fails: {injected.error}")

    def _existing(self, key: Key) -> Json:
        found = self.objects.get(key)
        if found is None:
            plural, _, name = key
            details = {"name": name, "kind": plural}
            if "/" in _version_of(plural):
                details["group"] = _version_of(plural).partition("/")[0]
            raise ApiFailure(404, "NotFound", f'{plural} "{name}" not found', details=details)
        return found

    def _create(self, key: Key, obj: Json) -> Json:
        plural, _, name = key
        if key in self.objects:
            raise ApiFailure(409, "AlreadyExists", f'{plural} "{name}" already exists')
        if plural == "persistentvolumes":
            obj["spec"].setdefault("volumeMode", "Filesystem")
        return self._write(key, obj, "ADDED")

    def _update(self, key: Key, obj: Json) -> Json:
        plural, _, name = key
        known = self._existing(key)
        if obj["metadata"].get("resourceVersion") != known["metadata"]["resourceVersion"]:
            text = f'Operation cannot be fulfilled on {plural} "{name}": the object has been modified'
            raise ApiFailure(409, "Conflict", text)
        return known if obj == known else self._write(key, obj, "MODIFIED")

    def _write(self, key: Key, obj: Json, event_type: str) -> Json:
        self.revision = max(self.revision, int(obj["metadata"].get("resourceVersion", "0"))) + 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.objects[key] = obj
        self.changes += 1
        self.written.append(copy.deepcopy(obj))
        self._record(event_type, obj)
        return obj

    def _record(self, event_type: str, obj: Json, *, bump: bool = False) -> None:
        obj = copy.deepcopy(obj)
        if bump:
            self.revision += 1
            obj["metadata"]["resourceVersion"] = str(self.revision)
        self._history.append((self.revision, key_of(obj)[0], event_type, obj))
        self._news.set()


def key_of(obj: Json) -> Key:
    """Where an object is found."""
    return (PLURALS[obj["kind"]], _namespace_of(obj), obj["metadata"]["name"])


def _kind_of(plural: str) -> str:
    return next(kind for kind, name in PLURALS.items() if name == plural)


def _version_of(plural: str) -> str:
    return "storage.k8s.io/v1" if plural in ("storageclasses", "volumeattributesclasses") else "v1"


def _merged(known: Any, change: Any) -> Any:
    """JSON merge patch; the vectors patch nothing but maps."""
    if not isinstance(known, dict) or not isinstance(change, dict):
        return change
    merged = {field: value for field, value in known.items() if field not in change}
    return merged | {field: _merged(known.get(field), value) for field, value in change.items() if value is not None}


def _namespace_of(obj: Json) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _ok(body: Any, status: int = 200) -> Answer:
    return Answer(status, encode(body))


def _seen(request: Request) -> SeenRequest:
    """What a request asks for, from its path."""
    parts = request.path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    resource, name, subresource = (*parts, "", "")[:3]
    verbs = {"GET": "get" if name else "list", "POST": "create", "PUT": "update", "DELETE": "delete", "PATCH": "patch"}
    return SeenRequest(verbs[request.method], resource, namespace, name, subresource)
