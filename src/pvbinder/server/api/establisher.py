"""Keeps the registry in line with the definitions that are stored, and their status in line with the registry.

ESTABLISHER-1  A definition whose names are free is accepted, served, and then says so (`NamesAccepted`, `Established`).
ESTABLISHER-2  One whose names are taken by another in its group isn't served and says why.
ESTABLISHER-3  A definition that is being deleted takes its objects with it; when they are gone, its finalizer goes.
ESTABLISHER-4  At the start everything that was established is served before the first request is.
ESTABLISHER-5  A kind of Kubernetes' own is never served by a definition, in no version and whatever its status says:
               its objects would be stored without its rules, and go with the definition.
ESTABLISHER-7  Names that a definition gives up are free for the others of its group at once.
ESTABLISHER-8  What was stored before the schema or the stored version changed is read in the form that holds now.
ESTABLISHER-6  A large definition doesn't hold up the loop: its schemas are read in another thread, and the earlier ones
               are in force until then.

One task runs it; it follows a watch of the store and writes through the dispatcher like any client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

import msgspec

from pvbinder import logs
from pvbinder.server.kinds.definitions.conditions import IN_PROGRESS, NEVER, REMOVED, settled_status, with_condition
from pvbinder.server.kinds.definitions.custom_kinds import custom_kinds, custom_schemas
from pvbinder.server.kinds.definitions.custom_schema import CustomSchema
from pvbinder.server.kinds.definitions.definition import CLEANUP, DEFINITIONS
from pvbinder.server.kinds.definitions.definition_rules import is_condition_true
from pvbinder.server.kinds.definitions.names import Naming, UsedNames, accept_names
from pvbinder.server.kinds.definitions.webhook_conversion import calls_webhook, without_loss
from pvbinder.server.kinds.registry import BUILT_IN, OWN_KINDS, Registry
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo
from pvbinder.server.store import Stored, WatchableView
from pvbinder.server.store.history import Cursor, HistoryLost

log = logs.get(__name__)

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
        self._accepted: dict[str, tuple[str, Json]] = {}  # group and names, by the definition's name
        self._removing: set[str] = set()

    def load(self) -> None:
        """Serve what was established before (ESTABLISHER-4)."""
        for _, stored in self._store.objects(_STORE_NAME):
            definition = msgspec.json.decode(stored.data)
            self._note_names(definition)
            if is_condition_true(definition, "Established"):
                self._serve(definition, _serving(definition))

    def accept(self, definition: Json) -> None:
        """Serve a definition that is about to be stored, and let its status say so; not if its names are taken."""
        if "deletionTimestamp" not in definition["metadata"]:
            naming = self._naming(definition)
            if naming.is_whole:
                definition["status"] = settled_status(definition, naming, self._now())
        self._note_names(definition)
        if is_condition_true(definition, "Established"):
            self._serve(definition, _serving(definition))

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
                    group, _ = self._accepted.pop(change.key, ("", {}))
                    await self._settle_group(group, change.key, removals)
                else:
                    await self._settle(change.now, removals)

    async def _settle_group(self, group: str, but: str, removals: asyncio.TaskGroup) -> None:
        """Look again at the other definitions of a group: a name may have become free (ESTABLISHER-7)."""
        others = {name for name, (of, _) in self._accepted.items() if of == group and name != but}
        for stored in [one for name, one in self._store.objects(_STORE_NAME) if name in others]:
            await self._settle(stored, removals)

    async def _settle(self, stored: Stored, removals: asyncio.TaskGroup) -> None:
        """Bring one definition to where it belongs."""
        definition: Json = msgspec.json.decode(stored.data)
        name = definition["metadata"]["name"]
        if "deletionTimestamp" in definition["metadata"]:
            if is_condition_true(definition, "Established"):
                self._serve(definition, _serving(definition))
            if name not in self._removing:
                self._removing.add(name)
                removals.create_task(self._remove(definition))
            return
        naming = self._naming(definition)
        before = self._accepted.get(name, ("", {}))[1]
        if naming.is_whole or is_condition_true(definition, "Established"):
            served = _serving(definition, naming.accepted)
            if not self._serves(served):
                is_large = len(stored.data) > _LIGHT_BYTES_MAX
                self._serve(served, served, await asyncio.to_thread(custom_schemas, served) if is_large else None)
                await asyncio.sleep(0)  # to write its status is another turn's work
        status = settled_status(definition, naming, self._now())
        self._accepted[name] = (definition["spec"]["group"], naming.accepted)
        if status != definition.get("status"):
            await self._patch(f"{DEFINITIONS.path(name=name)}/status", {"status": status})
        if before and before != naming.accepted:
            await self._settle_group(definition["spec"]["group"], name, removals)

    def _note_names(self, definition: Json) -> None:
        accepted = (definition.get("status") or {}).get("acceptedNames") or {}
        self._accepted[definition["metadata"]["name"]] = (definition["spec"]["group"], accepted)

    def _naming(self, definition: Json) -> Naming:
        """Which names a definition gets (ESTABLISHER-2)."""
        spec, name = definition["spec"], definition["metadata"]["name"]
        accepted = (definition.get("status") or {}).get("acceptedNames") or {}
        if name in OWN_KINDS:
            return Naming(
                accepted, "PluralConflict", f'"{spec["names"]["plural"]}" is already in use', is_reserved=True
            )
        used = UsedNames()
        for other, (group, names) in self._accepted.items():
            if group == spec["group"] and other != name:
                used.take(names)
        for kind in self._registry:
            qualified = f"{kind.resource.plural}.{kind.resource.group}"
            if kind.resource.group == spec["group"] and qualified not in self._accepted and qualified != name:
                used.resources |= {kind.resource.plural, kind.singular, *kind.short_names}
                used.kinds |= {kind.resource.kind, f"{kind.resource.kind}List"}
        used.resources.discard("")
        used.kinds.discard("")
        return accept_names(spec["names"], accepted, used)

    def _serves(self, definition: Json) -> bool:
        known = self._served.get(definition["metadata"]["name"])
        return known is not None and known[0] == _key(definition)

    def _serve(self, definition: Json, served: Json, schemas: list[CustomSchema] | None = None) -> None:
        """Serve a definition under the names it has; `schemas` are its `custom_schemas` if they have been read."""
        name = definition["metadata"]["name"]
        if name in OWN_KINDS or self._serves(served):
            return
        if schemas is None:
            schemas = custom_schemas(served)
        self._withdraw(name)
        for schema in schemas:
            schema.register()
        kinds = [self._rereading(kind, definition, schemas) for kind in custom_kinds(served, schemas)]
        for kind in self._built_in(name):
            self._registry.remove(kind.resource)
        for kind in kinds:
            self._registry.add(kind)
        self._served[name] = _key(served), schemas, kinds
        log.info("custom kind served", crd=name, versions=",".join(kind.resource.version for kind in kinds))

    def _rereading(self, kind: ServedKind, definition: Json, schemas: list[CustomSchema]) -> ServedKind:
        """Return the kind so that it reads what was stored in another form than the one that holds (ESTABLISHER-8)."""
        if kind.storage_version_of is not None or definition["metadata"].get("generation", 1) == 1:
            return kind
        schema = next(each for each in schemas if each.name == kind.schema)
        for _, stored in self._store.objects(kind.resource.qualified):
            obj = msgspec.json.decode(stored.data)
            if schema.reread(obj) != obj:
                return replace(kind, reread=self._reread(kind, definition, schema))
        return kind

    @staticmethod
    def _reread(kind: ServedKind, definition: Json, schema: CustomSchema) -> Callable[[Json], Json]:
        """How stored objects are read: those of another version aren't pruned where a webhook would convert them."""
        if not calls_webhook(definition) or kind.refuses_new:
            return schema.reread
        guarded, version = without_loss(schema.reread, definition), kind.resource.api_version
        return lambda obj: (schema.reread if obj.get("apiVersion") == version else guarded)(obj)

    def _built_in(self, name: str) -> list[ServedKind]:
        """The kinds that are served without a definition, where this one takes their place."""
        return [kind for kind in BUILT_IN if kind.resource.qualified == name and name not in OWN_KINDS]

    def _withdraw(self, name: str) -> None:
        """Serve a definition no longer; a kind that it took the place of is served again."""
        if name not in self._served:
            return
        _, schemas, kinds = self._served.pop(name)
        for kind in kinds:
            self._registry.remove(kind.resource)
        for schema in schemas:
            schema.forget()
        for kind in self._built_in(name):
            self._registry.add(kind)

    async def _remove(self, definition: Json) -> None:
        """Delete the objects of a definition, then let it go (ESTABLISHER-3)."""
        metadata = definition["metadata"]
        path = DEFINITIONS.path(name=metadata["name"])
        try:
            if CLEANUP not in metadata.get("finalizers", ()):
                return
            status = with_condition(definition.get("status") or {}, "Terminating", IN_PROGRESS, self._now())
            await self._patch(f"{path}/status", {"status": status})
            _, _, kinds = self._served.get(metadata["name"], ({}, [], []))
            for kind in kinds:
                if kind.storage_version_of is None:
                    await self._empty(kind)
            done = REMOVED if is_condition_true(definition, "Established") else NEVER
            await self._patch(f"{path}/status", {"status": with_condition(status, "Terminating", done, self._now())})
            rest = [finalizer for finalizer in metadata["finalizers"] if finalizer != CLEANUP]
            await self._patch(path, {"metadata": {"finalizers": rest or None}})
        finally:
            self._removing.discard(metadata["name"])

    async def _empty(self, kind: ServedKind) -> None:
        """Delete all objects of a kind, and wait until the held ones are gone, too."""
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
            log.warning("custom kind not settled", path=path, err=answer.body.decode(errors="replace").strip())


def _serving(definition: Json, accepted: Json | None = None) -> Json:
    """Return a definition under the names that it has been given."""
    spec = definition["spec"]
    if accepted is None:
        accepted = (definition.get("status") or {}).get("acceptedNames") or {}
    names = {**spec["names"], **{key: value for key, value in accepted.items() if value}}
    return {**definition, "spec": {**spec, "names": names}}


def _key(definition: Json) -> Json:
    return {"spec": definition["spec"], "going": "deletionTimestamp" in definition["metadata"]}
