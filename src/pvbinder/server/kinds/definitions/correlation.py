"""The correspondence of a new object's parts with the old object's, where it can be told (KEP-4008).

CORRELATION-1  Fields and keys of maps correspond by name, items of lists with keys by their keys; other items don't.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pvbinder.server.kinds.definitions.structure import Structure


@dataclass(slots=True)
class Correlation:
    """A new value, the old value that it replaces, and the schema of both."""

    value: Any
    old: Any
    structure: Structure
    _same: bool | None = None
    _children: dict[str | int, Correlation | None] = field(default_factory=dict)
    _by_keys: OldItems | None = None

    def key(self, name: str) -> Correlation | None:
        """The correlation of a field or key; None where it is new, or unknown to the schema."""
        if name in self._children:
            return self._children[name]
        child = None
        if isinstance(self.value, dict) and isinstance(self.old, dict) and name in self.value and name in self.old:
            structure = self.structure.properties.get(name) or self.structure.additional
            if structure is not None:
                child = Correlation(self.value[name], self.old[name], structure)
        self._children[name] = child
        return child

    def index(self, at: int) -> Correlation | None:
        """The correlation of an item in a list with keys; None in other lists, and for a new item."""
        if at in self._children:
            return self._children[at]
        child = None
        items = self.structure.items
        if isinstance(self.value, list) and isinstance(self.old, list) and items is not None:
            if self._by_keys is None:
                self._by_keys = OldItems(self.structure, self.old)
            old = self._by_keys.get(self.value[at])
            if old is not None:
                child = Correlation(self.value[at], old, items)
        self._children[at] = child
        return child

    def is_same(self) -> bool:
        """Whether the values are equal; items of a list with keys may have changed places."""
        if self._same is None:
            self._same = self._compare()
        return self._same

    def _compare(self) -> bool:
        value, old = self.value, self.old
        if value is None or old is None:
            return value is old
        if isinstance(value, list) and isinstance(old, list):
            if len(value) != len(old):
                return False
            if self.structure.list_type != "map":
                return equal(value, old)
            children = [self.index(at) for at in range(len(value))]
            return all(child is not None and child.is_same() for child in children)
        if isinstance(value, dict) and isinstance(old, dict):
            if len(value) != len(old):
                return False
            named = [self.key(name) for name in value]
            return all(child is not None and child.is_same() for child in named)
        return equal(value, old)


def equal(one: Any, other: Any) -> bool:
    """Whether two values of JSON are the same; true isn't 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and bool(one == other)


class OldItems:
    """The items of an old list by the keys that its schema names."""

    def __init__(self, structure: Structure, old: Any) -> None:
        self._names = sorted(structure.list_keys)
        self._by_key: dict[tuple[Any, ...], Any] = {}
        if structure.list_type == "map" and isinstance(old, list):
            for item in old:
                if isinstance(item, dict):
                    self._by_key.setdefault(self._key(item), item)

    def get(self, item: Any) -> Any:
        """The old item with the keys of `item`; None where there is none."""
        return self._by_key.get(self._key(item)) if isinstance(item, dict) else None

    def _key(self, item: dict[str, Any]) -> tuple[Any, ...]:
        found = [item.get(name) for name in self._names]
        return tuple((type(value), value) if isinstance(value, str | int | float | bool) else None for value in found)
