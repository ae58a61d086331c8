"""The objects that the page shows: from the informers of a process, or from files.

OBJECTS_SHOWN-1  Whoever listens hears of a change after the object can be read here.
OBJECTS_SHOWN-2  What is there when somebody begins to listen is no change.
OBJECTS_SHOWN-3  An informer that others share may read a kind in its own way: the view is then made from its JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeAlias

from pvbinder import logs
from pvbinder.kube import kinds
from pvbinder.kube.changes import Added, Change, Deleted, Updated
from pvbinder.kube.informer import Informer
from pvbinder.model.errors import PvbinderError
from pvbinder.web.rows import KINDS, RowKind, RowView, kind_of

ShownListener: TypeAlias = Callable[[RowKind, RowView | None, RowView | None], None]  # kind, before, after
READ: Final[Mapping[RowKind, Any]] = {
    "class": kinds.STORAGE_CLASSES,
    "node": kinds.NODES,
    "volume": kinds.VOLUMES,
    "claim": kinds.CLAIMS,
    "pod": kinds.PODS,
}

log = logs.get(__name__)


class ShownObjects(Protocol):
    """The objects by kind and key, current when they are asked for."""

    @property
    def is_live(self) -> bool:
        """Whether they can change."""
        ...

    def keys(self, kind: RowKind) -> list[str]:
        """Return the keys of a kind, as a list that stays what it is."""
        ...

    def get(self, kind: RowKind, key: str) -> RowView | None:
        """Return an object."""
        ...

    def views(self) -> list[RowView]:
        """Return all objects, as a list that stays what it is."""
        ...

    def known(self) -> tuple[str, ...]:
        """Return the kinds of which everything is here, by Kubernetes' name."""
        ...

    def listen(self, listener: ShownListener) -> None:
        """Tell `listener` of each change from now on."""
        ...


class InformedObjects:
    """The objects of informers, which somebody else runs."""

    is_live = True

    def __init__(self, informers: Mapping[RowKind, Informer[Any]]) -> None:
        self._informers = informers

    def keys(self, kind: RowKind) -> list[str]:
        """Return the keys of a kind."""
        informer = self._informers.get(kind)
        return informer.keys() if informer is not None else []

    def get(self, kind: RowKind, key: str) -> RowView | None:
        """Return an object."""
        informer = self._informers.get(kind)
        found = informer.get(key) if informer is not None else None
        return self._view(kind, found) if found is not None else None

    def views(self) -> list[RowView]:
        """Return all objects."""
        return [view for kind in KINDS for view in self._views(kind)]

    def _views(self, kind: RowKind) -> Iterator[RowView]:
        for found in list(self._informers.get(kind, ())):
            view = self._view(kind, found)
            if view is not None:
                yield view

    def known(self) -> tuple[str, ...]:
        """Return the kinds that have informers."""
        return tuple(informer.kind.resource.kind for informer in self._informers.values())

    def listen(self, listener: ShownListener) -> None:
        """Tell `listener` of each change from now on (OBJECTS_SHOWN-2)."""
        for kind, informer in self._informers.items():
            telling = _Telling(kind, self._view, listener)
            informer.add_handler(telling.hear)
            telling.has_begun = True

    def _view(self, kind: RowKind, found: Any) -> RowView | None:
        """Return the view that rows are made of (OBJECTS_SHOWN-3)."""
        wanted = READ[kind]
        if self._informers[kind].kind == wanted:
            return found  # type: ignore[no-any-return]
        try:
            return wanted.parse(found.raw)  # type: ignore[no-any-return]
        except PvbinderError as error:
            log.debug("object isn't shown", kind=kind, object=found.key, err=error.message)
            return None


class _Telling:
    """What tells a listener of the changes of one kind, once it has begun (OBJECTS_SHOWN-2)."""

    def __init__(self, kind: RowKind, view: Callable[[RowKind, Any], RowView | None], listener: ShownListener) -> None:
        self._kind: RowKind = kind
        self._view = view
        self._listener = listener
        self.has_begun = False

    def hear(self, change: Change[Any]) -> None:
        """Take a change."""
        if not self.has_begun:
            return
        match change:
            case Added(object=after):
                self._listener(self._kind, None, self._view(self._kind, after))
            case Updated(before=before, object=after):
                self._listener(self._kind, self._view(self._kind, before), self._view(self._kind, after))
            case Deleted(object=before):
                self._listener(self._kind, self._view(self._kind, before), None)


class FixedObjects:
    """Objects that were read from files and don't change."""

    is_live = False

    def __init__(self, views: Iterable[RowView], known: Iterable[str]) -> None:
        self._views: dict[RowKind, dict[str, RowView]] = {kind: {} for kind in KINDS}
        for view in views:
            self._views[kind_of(view)][view.key] = view
        self._known = tuple(known)

    def keys(self, kind: RowKind) -> list[str]:
        """Return the keys of a kind."""
        return list(self._views[kind])

    def get(self, kind: RowKind, key: str) -> RowView | None:
        """Return an object."""
        return self._views[kind].get(key)

    def views(self) -> list[RowView]:
        """Return all objects."""
        return [view for kind in KINDS for view in self._views[kind].values()]

    def known(self) -> tuple[str, ...]:
        """Return the kinds that the files have."""
        return self._known

    def listen(self, listener: ShownListener) -> None:
        """Tell nothing: nothing changes."""
