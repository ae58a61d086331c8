"""What tokens and roles must read of the objects that are stored; the API gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

from pvbinder.model.resources import Resource
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Json
from pvbinder.server.store import Store


class Objects(Protocol):
    """The objects over one store, and the clock that goes with them."""

    @property
    def store(self) -> Store:
        """Where they are."""
        ...

    @property
    def clock(self) -> Callable[[], datetime]:
        """The time now."""
        ...

    def storage(self, group: str, version: str, plural: str) -> Storage | None:
        """Return the storage of a kind, or None if it isn't served."""
        ...

    def now(self) -> str:
        """Return the time as metadata shows it."""
        ...

    def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        """Return the object called `name`, pending writes counted, or None."""
        ...

    def list(self, resource: Resource, namespace: str | None = None) -> Iterator[Json]:
        """Give the objects of a kind, in a namespace or in all."""
        ...
