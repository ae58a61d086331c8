"""The objects that decisions may look at, as their keeper knows them: read only.

WORLD-1  There is one way to look objects up, wherever they are kept: the binder's caches and the snapshot that
         `explain` reads are both a `World`, so that the same objects give the same answers. The scheduler's knowledge
         (`rules.scheduling.Cluster`) shares the lookups, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pvbinder.model.objects import Claim, ClaimKey, Node, Pod, StorageClass, Volume
from pvbinder.rules.plugins import Plugins
from pvbinder.rules.volume_index import VolumeIndex

T_co = TypeVar("T_co", covariant=True)


class Keyed(Protocol):
    """An object with a key: a view."""

    @property
    def key(self) -> str:
        """The name of the object, after its namespace if it is in one."""
        ...


T = TypeVar("T", bound=Keyed)


class Objects(Protocol[T_co]):
    """The objects of one kind, as an informer or an `ObjectsByKey` keeps them."""

    def get(self, key: str, /) -> T_co | None:
        """Return the object with `key`."""
        ...

    def __iter__(self) -> Iterator[T_co]:
        """Go through all of them."""
        ...


class ObjectsByKey(Generic[T]):
    """Objects that don't change; of two with the same key the later one counts."""

    def __init__(self, objects: Iterable[T] = ()) -> None:
        self._objects: dict[str, T] = {each.key: each for each in objects}

    def add(self, new: T) -> None:
        """Take in `new`."""
        self._objects[new.key] = new

    def get(self, key: str, /) -> T | None:
        """Return the object with `key`."""
        return self._objects.get(key)

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where things are looked up; their maker keeps them current."""

    volumes: Objects[Volume]
    claims: Objects[Claim]
    classes: Objects[StorageClass]
    pods_of: Callable[[ClaimKey], Iterable[Pod]]  # those that refer to a claim


class Lookups:
    """The objects as we know them, which may be older than what the API server has.

    A decision that can't live with that returns an action that asks the server and is made again with the answer.
    """

    def __init__(self, sources: Sources) -> None:
        """Look up objects in `sources`."""
        self._sources = sources

    def volume(self, name: str) -> Volume | None:
        """Return the volume called `name`."""
        return self._sources.volumes.get(name)

    def claim(self, key: ClaimKey) -> Claim | None:
        """Return the claim with `key`."""
        return self._sources.claims.get(key)

    def storage_class(self, name: str) -> StorageClass | None:
        """Return the storage class called `name`."""
        return self._sources.classes.get(name)

    def pods_of(self, key: ClaimKey) -> Iterable[Pod]:
        """Return the pods that refer to the claim with `key` (PC-6)."""
        return self._sources.pods_of(key)


class World(Lookups):
    """The facts for decisions about claims and volumes."""

    def __init__(self, sources: Sources, *, nodes: Objects[Node], index: VolumeIndex, plugins: Plugins) -> None:
        """Choose from `index`, which holds the volumes of `sources`; `plugins` count as loaded."""
        super().__init__(sources)
        self._nodes_by_name = nodes
        self._index = index
        self.plugins = plugins

    def storage_classes(self) -> Iterable[StorageClass]:
        """Return all storage classes."""
        return self._sources.classes

    def node(self, name: str) -> Node | None:
        """Return the node called `name`."""
        return self._nodes_by_name.get(name)

    def choose_volume(self, claim: Claim, *, is_delayed: bool) -> Volume | None:
        """Return the best volume for `claim` (FM-2 to FM-14); raise `SelectorError` for a malformed selector."""
        return self._index.choose(claim, is_delayed=is_delayed)
