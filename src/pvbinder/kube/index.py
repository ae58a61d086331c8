"""The objects of a cache by some value of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Index(Generic[T]):
    """The objects of an informer by some value of theirs; made by `Informer.add_index`."""

    def __init__(self, objects: dict[str, T], values_of: Callable[[T], Iterable[str]]) -> None:
        self._objects = objects
        self._values_of = values_of
        self._keys: dict[str, dict[str, None]] = {}  # value -> keys, in the order they came

    def __getitem__(self, value: str) -> list[T]:
        """All objects that have `value`; none is an empty list."""
        return [self._objects[key] for key in self._keys.get(value, ())]

    def __contains__(self, value: str) -> bool:
        return value in self._keys

    def replace(self, key: str, before: T | None, after: T | None) -> None:
        """Follow the change of the object with `key` from `before` to `after`; None is absent."""
        old = set(self._values_of(before)) if before is not None else set()
        new = set(self._values_of(after)) if after is not None else set()
        for value in old - new:
            keys = self._keys[value]
            del keys[key]
            if not keys:
                del self._keys[value]
        for value in new - old:
            self._keys.setdefault(value, {})[key] = None
