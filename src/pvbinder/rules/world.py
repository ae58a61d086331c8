"""What decisions may look at: the caches, read only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pvbinder.model.objects import Claim, ClaimKey, Node, Pod, StorageClass, Volume
from pvbinder.rules.plugins import Plugins


class World(Protocol):
    """The objects as we know them, which may be older than what the API server has.

    A decision that can't live with that returns an action that asks the server and is made again with the answer.
    """

    @property
    def plugins(self) -> Plugins:
        """The in-tree plugins that are loaded."""
        ...

    def volume(self, name: str) -> Volume | None:
        """Return the volume called `name`."""
        ...

    def claim(self, key: ClaimKey) -> Claim | None:
        """Return the claim with `key`."""
        ...

    def storage_class(self, name: str) -> StorageClass | None:
        """Return the storage class called `name`."""
        ...

    def storage_classes(self) -> Iterable[StorageClass]:
        """Return all storage classes."""
        ...

    def node(self, name: str) -> Node | None:
        """Return the node called `name`."""
        ...

    def pods_of(self, key: ClaimKey) -> Iterable[Pod]:
        """Return the pods that refer to the claim with `key` (PC-6)."""
        ...

    def choose_volume(self, claim: Claim, *, is_delayed: bool) -> Volume | None:
        """Return the best volume for `claim` (FM-2 to FM-14); raise `SelectorError` for a malformed selector."""
        ...
