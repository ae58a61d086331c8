"""Keeps the registry in line with the definitions that are stored, and their status in line with the registry.

ESTABLISHER-1  A definition whose names are free is accepted, served, and then says so (`NamesAccepted`, `Established`).
ESTABLISHER-2  One whose names are taken by another in its group isn't served and says why.
ESTABLISHER-3  A definition that is being deleted takes its objects with it; when they are gone, its finalizer goes.
ESTABLISHER-4  At the start everything that was established is served before the first request is.
ESTABLISHER-5  A kind of Kubernetes' own is never served by a definition, in no version and whatever its status says:
               its objects would be stored without its rules, and go with the definition.
ESTABLISHER-6  A large definition doesn't hold up the loop: its schemas are read in another thread, and what was served
               before is served until they are.

One task runs it; it follows a watch of the store and writes through the dispatcher like any client.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from pvbinder.server.kinds.definitions.custom_kinds import custom_kinds, custom_schemas
from pvbinder.server.kinds.definitions.custom_schema import CustomSchema
from pvbinder.server.kinds.definitions.definition import CLEANUP, DEFINITIONS
from pvbinder.server.kinds.registry import OWN_KINDS, Registry
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo
from pvbinder.server.store import Stored, WatchableView
from pvbinder.server.store.history import Cursor, HistoryLost

log = logging.getLogger(__name__)

USER: Final = UserInfo("system:apiserver", groups=("system:masters",))
_STORE_NAME: Final = DEFINITIONS.qualified
_WAIT_SECONDS_MAX: Final = 300.0  # seconds; only so that a wait is never for ever
_OBJECTS_PER_TURN: Final = 100
_LIGHT_BYTES_MAX: Final = 64 << 10


class RequestHandler(Protocol):
    """Answers requests: the dispatcher."""

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer one request."""
        ...


class Establisher:
    """Serves what is defined. Construct, `load`, then `run` in a task of its own."""

    def __init__(
        self, store: WatchableView, registry: Registry, handler: RequestHandler, now: Callable[[], str]
    ) -> None:
        self._store = store
        self._registry = registry
        self._handler = handler
        self._now = now
        self._served: dict[str, tuple[Json, list[CustomSchema], list[ServedKind]]] = {}  # by the definition's name
        self._removing: set[str] = set()

    def load(self) -> None:
        """Serve what was established before (ESTABLISHER-4)."""
        for _, stored in self._store.objects(_STORE_NAME):
            definition = msgspec.json.decode(stored.data)
            if _is_true(definition, "Established"):
                self._serve(definition)

    def accept(self, definition: Json) -> None:
        """Serve a definition that is about to be stored, and let its status say so; not if its names are taken."""
        if "deletionTimestamp" not in definition["metadata"] and not self._taken(definition):
            definition["status"] = _status(definition, "", self._now())
        if _is_true(definition, "Established"):
            self._serve(definition)

    def close(self) -> None:
        """Serve nothing any more: the types are the process's, not the server's."""
        for name in list(self._served):
            self._withdraw(name)

    async def run(self) -> None:
        """Follow the definitions until the store closes or this is cancelled."""
        try:
            async with asyncio.TaskGroup() as removals:
                while not self._store.closed:
                    cursor = self._store.watch(_STORE_NAME, self._store.revision)
                    for _, stored in list(self._store.objects(_STORE_NAME)):
                        await self._settle(stored, removals)
                    with contextlib.closing(cursor), contextlib.suppress(HistoryLost):  # all is looked at anew then
                        await self._follow(cursor, removals)
        finally:
            self.close()

    async def _follow(self, cursor: Cursor, removals: asyncio.TaskGroup) -> None:
        while not self._store.closed:
            await cursor.wait(asyncio.get_running_loop().time() + _WAIT_SECONDS_MAX)
            for change in cursor.take(_OBJECTS_PER_TURN):
                if change.deleted:
                    self._withdraw(change.key)
                else:
                    await self._settle(change.now, removals)

    async def _settle(self, stored: Stored, removals: asyncio.TaskGroup) -> None:
        """Bring one definition to where it belongs."""
        definition: Json = msgspec.json.decode(stored.data)
        name = definition["metadata"]["name"]
        if "deletionTimestamp" in definition["metadata"]:
            if name not in self._removing:
                self._removing.add(name)
                removals.create_task(self._remove(definition))
            return
        taken = self._taken(definition)
        if not taken and not self._serves(definition):
            is_large = len(stored.data) > _LIGHT_BYTES_MAX
            self._serve(definition, await asyncio.to_thread(custom_schemas, definition) if is_large else None)
            await asyncio.sleep(0)  # to write its status is another turn's work
        status = _status(definition, taken, self._now())
        if status != definition.get("status"):
            await self._patch(f"{DEFINITIONS.path(name=name)}/status", {"status": status})

    def _taken(self, definition: Json) -> str:
        """Why the names of a definition aren't free; "" when they are (ESTABLISHER-2)."""
        spec, name = definition["spec"], definition["metadata"]["name"]
        names = spec["names"]
        if name in OWN_KINDS:
            return f'"{names["plural"]}" is already in use'
        for kind in self._registry:
            if kind.resource.group != spec["group"] or f"{kind.resource.plural}.{kind.resource.group}" == name:
                continue
            theirs = {kind.resource.plural, kind.singular, *kind.short_names}
            for mine in (names["plural"], names.get("singular"), *(names.get("shortNames") or ())):
                if mine in theirs:
                    return f'"{mine}" is already in use'
            if names["kind"] in (kind.resource.kind, f"{kind.resource.kind}List"):
                return f'"{names["kind"]}" is already in use'
        return ""

    def _serves(self, definition: Json) -> bool:
        known = self._served.get(definition["metadata"]["name"])
        return known is not None and known[0] == definition["spec"]

    def _serve(self, definition: Json, schemas: list[CustomSchema] | None = None) -> None:
        """Serve a definition; `schemas` are its `custom_schemas` where they have been read already."""
        if definition["metadata"]["name"] in OWN_KINDS or self._serves(definition):
            return
        name = definition["metadata"]["name"]
        if schemas is None:
            schemas = custom_schemas(definition)
        if name in self._served:
            self._withdraw(name)
        for schema in schemas:
            schema.register()
        kinds = custom_kinds(definition, schemas)
        for kind in kinds:
            self._registry.add(kind)
        self._served[name] = definition["spec"], schemas, kinds
        log.info("custom kind served crd=%s versions=%s", name, ",".join(kind.resource.version for kind in kinds))

    def _withdraw(self, name: str) -> None:
        _, schemas, kinds = self._served.pop(name, ({}, [], []))
        for kind in kinds:
            self._registry.remove(kind.resource)
        for schema in schemas:
            schema.forget()

    async def _remove(self, definition: Json) -> None:
        """Delete the objects of a definition, then let it go (ESTABLISHER-3)."""
        metadata = definition["metadata"]
        try:
            if CLEANUP not in metadata.get("finalizers", ()):
                return
            _, _, kinds = self._served.get(metadata["name"], ({}, [], []))
            for kind in kinds:
                if kind.storage_version_of is None:
                    await self._empty(kind)
            rest = [finalizer for finalizer in metadata["finalizers"] if finalizer != CLEANUP]
            await self._patch(DEFINITIONS.path(name=metadata["name"]), {"metadata": {"finalizers": rest or None}})
        finally:
            self._removing.discard(metadata["name"])

    async def _empty(self, kind: ServedKind) -> None:
        """Delete all objects of a kind, and wait until those that are held are gone too."""
        where = kind.resource.qualified
        cursor = self._store.watch(where, self._store.revision)
        for key, _ in list(self._store.objects(where)):
            namespace, _, name = key.rpartition("/")
            await self._send("DELETE", kind.resource.path(namespace or None, name))
        with contextlib.closing(cursor):
            while not self._store.closed and any(True for _ in self._store.objects(where)):
                await cursor.wait(asyncio.get_running_loop().time() + _WAIT_SECONDS_MAX)
                with contextlib.suppress(HistoryLost):
                    cursor.take(_OBJECTS_PER_TURN)

    async def _patch(self, path: str, patch: Json) -> None:
        await self._send("PATCH", path, msgspec.json.encode(patch))

    async def _send(self, method: str, path: str, body: bytes = b"") -> None:
        headers = {"content-type": "application/merge-patch+json", "user-agent": "pvbinder"}
        answer = await self._handler.handle(ApiRequest(method, path, headers=headers, body=body, user=USER))
        if answer.status >= 300 and answer.status not in (404, 409):
            log.warning("custom kind not settled path=%s err=%s", path, answer.body.decode(errors="replace").strip())


def _status(definition: Json, taken: str, now: str) -> Json:
    """The status that says whether the names are accepted and the kind is served."""
    status = definition.get("status") or {}
    names = definition["spec"]["names"]
    if taken:
        wanted = [
            ("NamesAccepted", "False", "NameConflict", taken),
            ("Established", "False", "NotAccepted", "not all names are accepted"),
        ]
    else:
        wanted = [
            ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
            ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
        ]
    known = {condition["type"]: condition for condition in status.get("conditions") or ()}
    conditions = []
    for type_, value, reason, message in wanted:
        old = known.pop(type_, None)
        if old is not None and old["status"] == value:
            conditions.append(old)
        else:
            condition = {
                "lastTransitionTime": now,
                "message": message,
                "reason": reason,
                "status": value,
                "type": type_,
            }
            conditions.append(condition)
    accepted = {"plural": "", "kind": ""} if taken else names
    return {**status, "conditions": [*conditions, *known.values()], "acceptedNames": accepted}


def _is_true(definition: Json, type_: str) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == type_ and condition["status"] == "True" for condition in conditions)
