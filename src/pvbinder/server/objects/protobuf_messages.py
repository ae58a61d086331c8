"""The protobuf messages of the built-in kinds: field names, types and numbers, by message.

`schema/data/messages.json` has a line for each message, ``field:type=number …``. Types are ``string``, ``int``,
``bool``, ``float``, ``bytes``, ``time``, ``microtime``, ``quantity``, ``intorstring``, ``fields`` (of managedFields),
``json`` (any JSON value, as text), ``items`` (a list as a message of its own), the name of a message, ``[]`` of one,
``{}`` a map from strings, ``<`` a message whose fields JSON shows in place. ``schemaorbool`` and its like are what a
custom resource definition's schema has in places where JSON takes either of two types.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import msgspec


class MessageField(NamedTuple):
    """One field of a message."""

    name: str
    type: str


Table = dict[int, MessageField]


class Messages:
    """All messages by name, each read when it is first asked for, and the kinds among them."""

    def __init__(self, kinds: dict[str, str], lines: dict[str, str]) -> None:
        self.kinds: dict[tuple[str, str], str] = {}
        for text, name in kinds.items():
            api_version, _, kind = text.partition(" ")
            self.kinds[api_version, kind] = name
        self._lines = lines | _ENVELOPE
        self._tables: dict[str, Table] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __getitem__(self, name: str) -> Table:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = _table(self._lines[name])
        return table


@cache
def messages() -> Messages:
    """Read the data, once."""
    text = resources.files("pvbinder.server.objects.schema").joinpath("data/messages.json").read_bytes()
    data = msgspec.json.decode(text, type=dict[str, dict[str, str]])
    return Messages(data["kinds"], data["messages"])


def _table(line: str) -> Table:
    table: Table = {}
    for word in line.split():
        field, _, number = word.rpartition("=")
        name, _, type_ = field.partition(":")
        table[int(number)] = MessageField(name, type_)
    return table


# What the envelope and the types with a JSON form of their own consist of.
_ENVELOPE: Final = {
    "Unknown": "typeMeta:TypeMeta=1 raw:raw=2 contentEncoding:string=3 contentType:string=4",
    "TypeMeta": "apiVersion:string=1 kind:string=2",
    "Timestamp": "seconds:int=1 nanos:int=2",
    "Raw": "raw:raw=1",
    "Quantity": "string:string=1",
    "IntOrString": "type:int=1 intVal:int=2 strVal:string=3",
    "Items": "items:[]string=1",
    "JSONSchemaPropsOrBool": "allows:bool=1 schema:JSONSchemaProps=2",
    "JSONSchemaPropsOrArray": "schema:JSONSchemaProps=1 schemas:[]JSONSchemaProps=2",
    "JSONSchemaPropsOrStringArray": "schema:JSONSchemaProps=1 strings:[]string=2",
}
