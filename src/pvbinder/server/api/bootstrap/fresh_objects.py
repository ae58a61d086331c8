"""Objects of the server's own, written in bulk.

FRESH-1  What is there is never touched; an object that was deleted comes back with the next start.
FRESH-2  They share a commit, and are stored as a POST of each would store them: defaults, UID, time, managed fields.

Nothing is validated and admission has no say: give only objects that a test has validated.
"""

from __future__ import annotations

import uuid
from asyncio import Future
from typing import Final

from pvbinder.model.resources import Resource
from pvbinder.server.kinds.storage import Storage, encoder_of
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.managed_fields import record_update

MANAGER: Final = "kube-apiserver"


class FreshObjects:
    """Writes of one start; `settle` waits until they are on disk."""

    def __init__(self, objects: StoredObjects) -> None:
        self._objects = objects
        self._now = objects.now()
        self._pending: list[Future[None]] = []

    def add(self, resource: Resource, obj: Json) -> None:
        """Create `obj` unless an object of its name is there (FRESH-1)."""
        storage, key = self._place(resource, obj)
        if self._objects.store.head(storage.store_name, key) is None:
            self._write(storage, key, self._completed(storage, obj))

    def replace(self, resource: Resource, obj: Json) -> None:
        """Write `obj` in the place of the stored object that it was made from."""
        storage, key = self._place(resource, obj)
        self._write(storage, key, obj)

    async def settle(self) -> None:
        """Wait until all that was written is durable (STORE-1)."""
        for durable in self._pending:
            await durable
        self._pending.clear()

    def _place(self, resource: Resource, obj: Json) -> tuple[Storage, str]:
        storage = self._objects.storage(resource.group, resource.version, resource.plural)
        assert storage is not None, f"{resource.qualified} is served"
        metadata = obj["metadata"]
        return storage, storage.key(metadata.get("namespace", ""), metadata["name"])

    def _write(self, storage: Storage, key: str, obj: Json) -> None:
        _, durable = self._objects.store.put(storage.store_name, key, encoder_of(storage.arrange(obj)))
        self._pending.append(durable)

    def _completed(self, storage: Storage, obj: Json) -> Json:
        """Return `obj` as a POST would store it (FRESH-2)."""
        kind = storage.kind
        metadata = obj["metadata"]
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self._now
        if kind.generation_at_create is not None:
            metadata["generation"] = kind.generation_at_create
        kind.complete(obj)
        record_update(obj, None, manager=MANAGER, subresource="", time=self._now, kind=kind)
        return obj
