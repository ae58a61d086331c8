"""What every handler works with: the store, the kinds on their storages, and a clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pvbinder.model.resources import Resource
from pvbinder.server.api.aside import Aside
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import UserInfo
from pvbinder.server.store import Store


def utc_now() -> datetime:
    """Return the time as the server's default clock has it."""
    return datetime.now(UTC)


def allow_all(_user: UserInfo, _kind: ServedKind, _new: Json, _old: Json | None) -> None:
    """The default guard."""


def permit_all(_user: UserInfo, _attributes: Attributes) -> None:
    """The default permit."""


@dataclass(slots=True)
class Api:
    """The served kinds over one store."""

    store: Store
    registry: Registry
    clock: Callable[[], datetime] = utc_now
    # What the authoriser has to say about an object that is about to be stored (new, stored); raises ApiError.
    guard: Callable[[UserInfo, ServedKind, Json, Json | None], None] = allow_all
    # Asked where a request turns out to do more than its verb says, as an update that creates; raises ApiError 403.
    permit: Callable[[UserInfo, Attributes], None] = permit_all
    # What answers a POST to a subresource that changes nothing (object, what was sent), by resource and subresource.
    posts: dict[tuple[str, str], Callable[[Json, Json], Json]] = field(default_factory=dict)
    aside: Aside = field(default_factory=Aside)  # where heavy work is done
    watches: Counter[str] = field(default_factory=Counter)  # open ones, by resource
    _second: datetime | None = None
    _second_text: str = ""
    _storages: dict[tuple[str, str, str], Storage] = field(default_factory=dict)

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

    # What admission may look at (`server.api.admission.Reader`): an object as the next write sees it, and lists as they
    # are committed.

    def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        """Return the object called `name`, pending writes counted, or None."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        stored = None if storage is None else self.store.head(storage.store_name, storage.key(namespace or "", name))
        return None if storage is None or stored is None else storage.served(stored.data)

    def latest(self, resource: Resource, namespace: str | None = None) -> Iterator[Json]:
        """Give the objects of a kind as the next write sees them, pending writes counted."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        if storage is not None:
            for _, stored in self.store.heads(storage.store_name, storage.prefix(namespace or "")):
                yield storage.served(stored.data)

    def count(self, resource: Resource, namespace: str | None = None) -> int:
        """Return how many objects `latest` would give."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        return 0 if storage is None else self.store.count_heads(storage.store_name, storage.prefix(namespace or ""))

    def list(self, resource: Resource, namespace: str | None = None) -> Iterator[Json]:
        """Give the objects of a kind, in a namespace or in all."""
        storage = self.storage(resource.group, resource.version, resource.plural)
        if storage is not None:
            for _, stored in self.store.objects(storage.store_name, storage.prefix(namespace or "")):
                yield storage.served(stored.data)
