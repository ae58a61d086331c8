"""A store that begins with objects from elsewhere: those of a dump, as they were there.

LOAD-1  Everything or nothing: all objects are checked before the first is stored, and they are stored in one batch. Who
        can do with a part (`on_unfit`) is told why each of the others is left out.
LOAD-2  An object comes back as it was: status, UID, times, owner references, finalizers, deletion under way and managed
        fields. Only its resourceVersion is new; the order of the old ones is kept.
LOAD-3  What an object has to have and the dump leaves out is filled in: UID, time of creation, defaults, and the
        namespace that it is in.
LOAD-4  An object that isn't of its kind's schema, breaks a rule of validation, or is of a kind that nothing serves is
        refused, by the name of its source and its own. A field that the schema doesn't know is left out with a warning.
LOAD-5  Only an empty store is loaded into. Stored objects are never changed by a load, or mixed with it.
LOAD-6  An object that is in the dump twice, resourceVersions aside, is loaded once; twice and different is refused.

Admission has no say: quotas, limits and rights are those of where the objects come from. Definitions of custom kinds
come first and are in force for the objects that follow, wherever in the dump they are.

Call it before anybody else uses the store, from the loop's thread.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from pvbinder import logs
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import NAMESPACES
from pvbinder.server.api.rest.api import Api
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.definitions.definition import DEFINITIONS
from pvbinder.server.kinds.storage import Storage, encode, encode_object, encoder_of
from pvbinder.server.kinds.validation.metadata import validate_metadata_create
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.managed_fields import is_readable
from pvbinder.server.objects.schema import decode_body
from pvbinder.server.store.database import DataDirectoryError

log = logs.get(__name__)

_PROBLEMS_SHOWN_MAX: Final = 10
_OBJECTS_PER_TURN: Final = 200  # objects between two turns of the loop
_LAST: Final = 2**63  # where objects without a resourceVersion are in the order


class LoadRefused(PvbinderError):  # noqa: N818  (says what happened)
    """A dump has objects that can't be loaded; nothing of it is."""


@dataclass(frozen=True, slots=True)
class _Ready:
    source: str
    storage: Storage
    key: str
    obj: Json
    order: int

    @property
    def name(self) -> str:
        return f"{self.obj['kind']} {self.key}"


@dataclass(slots=True)
class _Load:
    api: Api
    accept: Callable[[Json], None]
    now: str
    ready: dict[tuple[str, str], _Ready] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, source: str, document: Json) -> None:
        """Check one object and keep it for later, or the reason why it can't be loaded."""
        try:
            found = self._read(source, document)
        except _UnfitError as unfit:
            self.problems.append(f"{source}: {_named(document)}: {unfit.message}")
            return
        there = self.ready.setdefault((found.storage.store_name, found.key), found)
        if there is not found and _without_revision(there.obj) != _without_revision(found.obj):
            self.problems.append(f"{source}: {found.name}: {there.source} has it, too, and differently (LOAD-6)")
        elif there is found and found.storage.store_name == DEFINITIONS.qualified:
            self.accept(found.obj)

    def _read(self, source: str, document: Json) -> _Ready:
        storage = self._storage(document)
        try:
            obj, unknown = decode_body(encode(document), "application/json", storage.kind, "Warn")
            obj = storage.kind.to_storage(obj)
        except ApiError as refused:
            raise _UnfitError(refused.message) from refused
        for warning in unknown:
            log.warning("field left out", source=source, object=_named(document), err=warning)
        revision = str((obj.get("metadata") or {}).get("resourceVersion", ""))
        namespace = self._complete(storage, obj)
        metadata = obj["metadata"]
        errors = validate_metadata_create(storage.base, obj) + storage.kind.validate_create(obj)
        if errors:
            raise _UnfitError("; ".join(dict.fromkeys(map(str, errors))))
        if metadata.get("managedFields") and not is_readable(metadata["managedFields"]):
            raise _UnfitError("its metadata.managedFields are damaged; it can be loaded without them")
        key = storage.key(namespace, metadata["name"])
        order = int(revision) if revision.isdecimal() and revision.isascii() and len(revision) < 19 else _LAST
        arranged = storage.arrange(obj)
        try:
            encode_object(arranged)
        except ApiError as refused:
            raise _UnfitError(refused.message) from refused
        return _Ready(source, storage, key, arranged, order)

    def _storage(self, document: Json) -> Storage:
        api_version, kind = document.get("apiVersion"), document.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str):
            raise _UnfitError("it has no apiVersion and kind")
        group, _, version = api_version.rpartition("/")
        served = self.api.objects.registry.of_kind(group, version, kind)
        if served is None or "list" not in served.verbs:
            raise _UnfitError(f"{api_version} {kind} isn't served here, and no CustomResourceDefinition brings it")
        storage = self.api.objects.storage(group, version, served.resource.plural)
        assert storage is not None
        return storage

    def _complete(self, storage: Storage, obj: Json) -> str:
        """Fill in missing fields (LOAD-3) and return the namespace."""
        metadata = obj.setdefault("metadata", {})
        namespace = metadata.get("namespace") or ""
        if storage.kind.resource.namespaced:
            namespace = metadata["namespace"] = namespace or "default"
        elif namespace:
            raise _UnfitError(f"it is in namespace {namespace}, and its kind in none")
        if not metadata.get("name"):
            raise _UnfitError("it has no name")
        metadata.pop("resourceVersion", None)
        metadata.pop("selfLink", None)
        metadata["creationTimestamp"] = metadata.get("creationTimestamp") or self.now
        storage.base.complete(obj)
        if "uid" not in metadata:  # a manifest: nobody has created it yet
            metadata["uid"] = str(uuid.uuid4())
            if storage.base.generation_at_create is not None:
                metadata.setdefault("generation", storage.base.generation_at_create)
            status = obj.get("status")
            storage.base.prepare_create(obj, self.now)
            if status:
                obj["status"] = status
        return namespace

    def add_namespaces(self) -> None:
        """Make the namespaces that objects are in and the dump doesn't have (LOAD-3)."""
        wanted = {one.obj["metadata"].get("namespace", "") for one in self.ready.values()}
        there = {key for kind, key in self.ready if kind == NAMESPACES.qualified}
        for name in sorted(wanted - there - {""}):
            self.take("a missing namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def warn_of_missing_owners(self) -> None:
        """Say which objects are going to be collected as garbage, because the dump lacks what owns them."""
        uids = {one.obj["metadata"]["uid"] for one in self.ready.values()}
        for one in self.ready.values():
            owners = one.obj["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in uids for owner in owners):
                missing = f"{owners[0]['kind']} {owners[0]['name']}"
                log.warning("object's owner is not loaded, it will be collected", object=one.name, owner=missing)


async def load(
    api: Api,
    accept: Callable[[Json], None],
    found: Iterable[tuple[str, Json]],
    on_unfit: Callable[[str], None] | None = None,
) -> int:
    """Store the objects that `found` gives with the names of their sources; return their number (LOAD-1 to 6).

    `accept` makes a definition be in force. Raises LoadRefused, or DataDirectoryError if the store isn't empty.
    """
    if not api.objects.store.is_empty:
        raise DataDirectoryError(
            "objects can't be loaded where there are some: the data directory was in use before",
            hint="load into a new --data-dir, or with --ephemeral; or go on with what is there, without --load",
        )
    load = _Load(api, accept, api.objects.now())
    await _take_all(load, found)
    load.add_namespaces()
    if load.problems and on_unfit is None:
        raise _refused(load.problems)
    for problem in load.problems:
        assert on_unfit is not None
        on_unfit(problem)
    load.warn_of_missing_owners()
    durable = None
    for one in sorted(load.ready.values(), key=lambda one: one.order):
        _, durable = api.objects.store.put(one.storage.store_name, one.key, encoder_of(one.obj))
    if durable is not None:
        await durable
    log.info("objects loaded", objects=len(load.ready))
    return len(load.ready)


async def _take_all(load: _Load, found: Iterable[tuple[str, Json]]) -> None:
    """Check every object, definitions first; each is let go when it was looked at."""
    documents = sorted(found, key=lambda one: one[1].get("kind") != "CustomResourceDefinition")
    documents.reverse()  # so that the first is the cheapest to take away
    number = 0
    while documents:
        load.take(*documents.pop())
        number += 1
        if number % _OBJECTS_PER_TURN == 0:
            await asyncio.sleep(0)


class _UnfitError(PvbinderError):
    """Why one object can't be loaded."""


def _refused(problems: list[str]) -> LoadRefused:
    if len(problems) == 1:
        return LoadRefused(problems[0], hint="nothing was loaded")
    shown = problems[:_PROBLEMS_SHOWN_MAX]
    more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
    return LoadRefused(f"{len(problems)} objects can't be loaded, so nothing was", hint="\n".join(shown + more))


def _named(document: Json) -> str:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    where = "/".join(str(metadata[part]) for part in ("namespace", "name") if metadata.get(part))
    return f"{document.get('kind') or 'an object'} {where}".rstrip()


def _without_revision(obj: Json) -> Json:
    metadata = {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}
    return {**obj, "metadata": metadata}
