"""The types of the Kubernetes API as data that can be walked: fields, their names, and how they merge.

`TypeCatalogue` reads `data/types.json` (made by tools/schema/generate.py) when a type is first asked for, and decodes
only that type: a server that serves claims never builds the types of pods. Types are values and shared: nobody changes
them. Custom resources bring their own `ObjectType`s under names of their own (`TypeCatalogue.add`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import resources
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

Scalar: TypeAlias = Literal[
    "string", "int32", "int64", "bool", "double", "bytes", "time", "microtime", "quantity", "intorstring", "any"
]
ListType: TypeAlias = Literal["atomic", "set", "map", "unmarked"]  # unmarked: atomic, but OpenAPI doesn't say so
WhenEmpty: TypeAlias = Literal["drop", "pointer", "write", "null"]


class Field(msgspec.Struct, frozen=True, rename={
    "type": "t", "required": "r", "zero": "z", "list_type": "l", "list_keys": "k", "merge_key": "m", "strategy": "s",
    "enum": "e", "go_type": "g", "map_type": "x", "default": "d", "nullable": "n",
    "description": "o", "go_whole": "w", "via": "v",
}):  # fmt: skip
    """A field of an object, or what the elements of a list or map are.

    `type` is a scalar, ``#NAME`` for an object, or one of these behind ``[]`` (list) or ``{}`` (map). `zero` says what
    the reference writes when the field is unset or empty: nothing if it's empty (drop), nothing only if it's unset
    (pointer), its zero value (write), null (null).

    Three names are for the decoder's messages: Go's type of the value or of the elements (`go_type`; of ``v1`` when it
    names no package), that of a list or map with a name of its own (`go_whole`), and the embedded structs that Go finds
    the field in (`via`).
    """

    type: str
    required: bool = False
    zero: WhenEmpty = "drop"
    list_type: ListType = "atomic"
    list_keys: tuple[str, ...] = ()
    merge_key: str = ""
    strategy: str = ""
    enum: tuple[str, ...] = ()
    go_type: str = ""
    map_type: str = ""
    default: str | int | bool | float | None = None
    nullable: bool = False
    description: str = ""
    go_whole: str = ""
    via: str = ""

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return self.type.startswith("[]")

    @property
    def is_map(self) -> bool:
        """Whether the value is a map with arbitrary keys."""
        return self.type.startswith("{}")

    @property
    def reference(self) -> str:
        """The name of the object type that is the value, or that is in the list or map; "" for scalars."""
        return self.type.lstrip("[]{}").removeprefix("#") if "#" in self.type else ""

    @property
    def element(self) -> Field:
        """The element of the list or map."""
        return Field(self.type[2:], go_type=self.go_type, enum=self.enum, zero="write")


class ObjectType(msgspec.Struct, frozen=True, rename={"fields": "f", "map_type": "x", "required": "r"}):
    """A type with fields. `gvk` names the kind if it is one: group, version, kind.

    `required` has the required fields in the order of the reference where that isn't the order of their names.

    `open` objects keep fields that aren't declared (custom resources may say so).
    """

    fields: Mapping[str, Field]
    gvk: tuple[str, str, str] | None = None
    map_type: str = ""
    open: bool = False
    description: str = ""
    required: tuple[str, ...] = ()


class Custom(Protocol):
    """The work that a custom kind does itself: its rules are richer than types."""

    is_costly: bool  # whether to check even a small object may take long

    def conform(self, value: Any, note: Callable[[str, str], None]) -> dict[str, Any]:
        """The object without what its schema doesn't know; `note` is told what ("unknown", "duplicate") and where."""
        ...

    def published(self, reference: str) -> dict[str, Any]:
        """Its schema for OpenAPI; `reference` is where the one of metadata stands."""
        ...


class TypeCatalogue:
    """All types by the name of their OpenAPI schema; `customs` are kinds that conform their objects themselves."""

    def __init__(self) -> None:
        self._types: dict[str, ObjectType] = {}
        self.customs: dict[str, Custom] = {}

    def __getitem__(self, name: str) -> ObjectType:
        """The type, decoded on first use; KeyError when there is none."""
        known = self._types.get(name)
        if known is None:
            known = self._types[name] = msgspec.json.decode(self._raw[name], type=ObjectType)
        return known

    def __contains__(self, name: str) -> bool:
        return name in self._types or name in self._raw

    def __iter__(self) -> Iterator[str]:
        """The names of all types."""
        yield from self._raw
        yield from [name for name in list(self._types) if name not in self._raw]  # others may add types meanwhile

    def get(self, name: str) -> ObjectType | None:
        """The type, or None."""
        try:
            return self[name]
        except KeyError:
            return None

    def add(self, name: str, type_: ObjectType) -> None:
        """Make known, or replace, a type that isn't built in."""
        self._types[name] = type_

    def remove(self, name: str) -> None:
        """Forget a type that was added."""
        self._types.pop(name, None)

    @cached_property
    def kinds(self) -> Mapping[tuple[str, str, str], str]:
        """The names of all built-in types that are kinds, by group, version and kind."""
        return {gvk: name for name in self._raw if b'"gvk"' in bytes(self._raw[name]) and (gvk := self[name].gvk)}

    @cached_property
    def _raw(self) -> dict[str, msgspec.Raw]:
        return msgspec.json.decode(
            resources.files(__package__).joinpath("data/types.json").read_bytes(), type=dict[str, msgspec.Raw]
        )


CATALOGUE = TypeCatalogue()


def go_package(schema: str) -> str:
    """The last part of the Go package of a type: ``v1`` for io.k8s.api.core.v1.Pod."""
    return schema.rpartition(".")[0].rpartition(".")[2]


def go_name(schema: str) -> str:
    """The name of a type in the reference's messages about types: ``v1.PodSpec``."""
    return f"{go_package(schema)}.{schema.rpartition('.')[2]}"
