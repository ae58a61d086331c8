"""The objects of all kinds that are served, as they are stored, and the clock that goes with them: what may be read.

Whoever only reads is given this: admission, roles, tokens. Who writes has the whole `server.api.rest.api.Api`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from pvbinder.model.resources import Resource
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.kinds.totals import Amounts, Measure, Totals
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.store import StoreView


def utc_now() -> datetime:
    """Return the time as the server's default clock has it."""
    return datetime.now(UTC)


@dataclass(slots=True)
class StoredObjects:
    """The served kinds over one store."""

    store: Final[StoreView]
    registry: Final[Registry]
    clock: Final[Callable[[], datetime]] = utc_now
    _totals: Totals = field(init=False)
    _second: datetime | None = field(default=None, init=False)
    _second_text: str = field(default="", init=False)
    _storages: Final[dict[tuple[str, str, str], Storage]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._totals = Totals(self.store)

    def storage(self, group: str, version: str, plural: str) -> Storage | None:
        """Return the storage of a kind, or None if it isn't served."""
        kind = self.registry.find(group, version, plural)
        if kind is None:
            return None
        where = (group, version, plural)
        storage = self._storages.get(where)
        if storage is None or storage.kind is not kind:
            storage = self._storages[where] = Storage(kind, self._base(kind))
        return storage

    def _base(self, kind: ServedKind) -> ServedKind:
        other = kind.storage_version_of
        if other is None:
            return kind
        base = self.registry.find(other.group, other.version, other.plural)
        assert base is not None, f"{kind.resource.qualified} is stored as {other.qualified}, which isn't served"
        return base

    def now(self) -> str:
        """Return the time as metadata shows it, in whole seconds."""
        second = self.clock().replace(microsecond=0)
        if second != self._second:
            self._second, self._second_text = second, second.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._second_text

    def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        """Return the object called `name`, pending writes counted, or None."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        stored = None if storage is None else self.store.head(storage.store_name, storage.key(namespace or "", name))
        return None if storage is None or stored is None else storage.served(stored.data)

    def latest(self, resource: Resource, namespace: str | None = None) -> Iterator[Json]:
        """Give the objects of a kind as the next write sees them, writes under way counted."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        if storage is not None:
            for _, stored in self.store.heads(storage.store_name, storage.prefix(namespace or "")):
                yield storage.served(stored.data)

    def count(self, resource: Resource, namespace: str | None = None) -> int:
        """Return how many objects of a kind there are, writes under way counted."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        return 0 if storage is None else self.store.count_heads(storage.store_name, storage.prefix(namespace or ""))

    def total(self, resource: Resource, namespace: str, measure: Measure) -> Amounts:
        """Return what the objects of a kind amount to together, writes under way counted."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        return {} if storage is None else self._totals.of(storage, namespace, measure)

    async def prepare_total(self, resource: Resource, namespace: str, measure: Measure) -> None:
        """See that `total` has little to do (TOTALS-2)."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        if storage is not None:
            await self._totals.prepare(storage, namespace, measure)

    def list(self, resource: Resource, namespace: str | None = None) -> Iterator[Json]:
        """Give the objects of a kind, in a namespace or in all."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        if storage is not None:
            for _, stored in self.store.objects(storage.store_name, storage.prefix(namespace or "")):
                yield storage.served(stored.data)
