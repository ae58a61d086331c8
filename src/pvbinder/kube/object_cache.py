"""The objects of an informer, with their indexes, and those who hear of changes.

CACHE-1  Views are kept without the owners of fields (KEPT-2), and those of a long list packed (KEPT-1): each but the
         first `PACKED_FROM` of them. What changes afterwards is kept as it came: it may change again.

It belongs to the loop's thread; `kube.informer` says what is taken in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar, cast

from msgspec import structs

from pvbinder.kube.changes import Added, Deleted, Updated
from pvbinder.kube.client import KubernetesObject
from pvbinder.kube.index import Index
from pvbinder.kube.informer_statistics import Counts
from pvbinder.kube.listeners import Listeners
from pvbinder.kube.revisions import revision_of
from pvbinder.model.objects.kept import Packer, without_managed_fields
from pvbinder.model.objects.view import View

T = TypeVar("T", bound=KubernetesObject)

PACKED_FROM: Final = 500  # smaller caches aren't worth the time
SAMPLES: Final = 5  # that others are packed against


class ObjectCache(Generic[T]):
    """Objects by key."""

    def __init__(self, counts: Counts) -> None:
        self.objects: dict[str, T] = {}
        self.listeners: Listeners[T] = Listeners()
        self._indexes: dict[str, Index[T]] = {}
        self._counts = counts
        self._packer: Packer | None = None

    def add_index(self, name: str, values_of: Callable[[T], Iterable[str]]) -> Index[T]:
        """Return the index of that name; it is made if there is none."""
        known = self._indexes.get(name)
        if known is not None:
            return known
        index = Index(self.objects, values_of)
        for key, view in self.objects.items():
            index.replace(key, None, view)
        self._indexes[name] = index
        return index

    def take(self, seen: T, *, anew: bool = False, is_listed: bool = False) -> bool:
        """Take in a state, and tell of it; False if a newer one is here, unless history began `anew`.

        With `is_listed` it is one of many that come together (CACHE-1).
        """
        key = seen.key
        known = self.objects.get(key)
        if known is not None and not anew:
            known_revision, seen_revision = revision_of(known), revision_of(seen)
            if known_revision > seen_revision:
                self._counts.stale += 1
                return False
            if known_revision == seen_revision and known.uid == seen.uid:
                self._counts.echoes += 1
                return True
        seen = self._kept(seen, is_listed=is_listed)
        self.objects[key] = seen
        for index in self._indexes.values():
            index.replace(key, known, seen)
        if known is None:
            self.listeners.tell(Added(seen))
        elif known.uid == seen.uid:
            self.listeners.tell(Updated(known, seen))
        else:
            self.listeners.tell(Deleted(known))
            self.listeners.tell(Added(seen))
        return True

    def remove(self, key: str) -> None:
        """Forget an object, and tell of it."""
        known = self.objects.pop(key, None)
        if known is None:
            return
        for index in self._indexes.values():
            index.replace(key, known, None)
        self.listeners.tell(Deleted(known))

    def _kept(self, seen: T, *, is_listed: bool) -> T:
        """The view in the form in which it is kept (CACHE-1)."""
        view: object = seen
        if not isinstance(view, View):
            return seen
        document = without_managed_fields(view.raw)
        if is_listed and len(self.objects) >= PACKED_FROM:
            if self._packer is None:
                here = list(self.objects.values())
                self._packer = Packer([one.raw for one in here[:: max(1, len(here) // SAMPLES)]])
            document = self._packer.pack(document)
        return seen if document is view.kept else cast("T", structs.replace(view, kept=document))
