"""Those who hear of an informer's changes, at once or, while it is held, later (INFORMER-16)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeAlias, TypeVar

from pvbinder.kube.changes import Added, Change
from pvbinder.kube.client import KubernetesObject

T = TypeVar("T", bound=KubernetesObject)
ChangeHandler: TypeAlias = Callable[[Change[T]], None]


class Listeners(Generic[T]):
    """The handlers of one informer, in the order in which they came."""

    def __init__(self) -> None:
        self._told: list[ChangeHandler[T]] = []
        self._held: list[ChangeHandler[T]] | None = None  # those that are to be told later; None if none has to wait

    def add(self, handler: ChangeHandler[T], there: Iterable[T]) -> None:
        """Tell `handler` of each object that is `there`, and of what comes; not yet, while they are held."""
        if self._held is not None:
            self._held.append(handler)
            return
        self._told.append(handler)
        for view in list(there):
            handler(Added(view))

    def tell(self, change: Change[T]) -> None:
        """Tell all of a change, but those that are held."""
        for handler in self._told:
            handler(change)

    def hold(self) -> None:
        """Tell handlers that are added from now on nothing, until `let_go()`."""
        if self._held is None:
            self._held = []

    def let_go(self, there: Iterable[T]) -> None:
        """Begin to tell those that were held: of each object that is `there` first."""
        held, self._held = self._held or [], None
        for handler in held:
            self.add(handler, there)
