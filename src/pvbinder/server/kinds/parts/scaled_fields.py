"""The owners of the number of replicas, as managed fields of a Scale and of the object that it scales.

SCALED-1  A Scale has the entries of those who own the object's replicas, each with ``spec.replicas`` alone.
SCALED-2  What happens to them comes back: who still owns ``spec.replicas`` of the Scale keeps the object's replicas,
          who lost it loses just that field, and who is new gets an entry of the subresource.

A Scale that is answered shows no managed fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pvbinder.model.json import Json
from pvbinder.server.kinds.parts.scale import SCALE
from pvbinder.server.objects.field_sets import FieldSet, difference, intersection, of_paths
from pvbinder.server.objects.managed_fields import Entry, read_entries, write_entries

REPLICAS: Final[FieldSet] = {"f:spec": {"f:replicas": {}}}


def entries_of_scale(stored: Any, replicas_path: Sequence[str]) -> list[Json] | None:
    """Return the ``managedFields`` of the Scale of an object with `stored` ones (SCALED-1); None without any."""
    path = _set_of(replicas_path)
    owners = (entry for entry in read_entries(stored).values() if intersection(entry.fields, path))
    metadata: Json = {}
    write_entries(metadata, [Entry(one.manager, SCALE.api_version, one.time, REPLICAS) for one in owners])
    return metadata.get("managedFields")


def bring_back(metadata: Json, of_scale: Any, replicas_path: Sequence[str], api_version: str) -> None:
    """Put what has become of the Scale's entries into the object's (SCALED-2); `api_version` is the object's."""
    path = _set_of(replicas_path)
    scale = {_identity(entry): entry for entry in read_entries(of_scale).values()}
    entries = []
    for entry in read_entries(metadata.get("managedFields")).values():
        if not intersection(entry.fields, path) or scale.pop(_identity(entry), None) is not None:
            entries.append(entry)
        elif rest := difference(entry.fields, path):
            entries.append(Entry(entry.manager, entry.api_version, entry.time, rest))
    entries += (
        Entry(one.manager, api_version, one.time, path) for one in scale.values() if intersection(one.fields, REPLICAS)
    )
    write_entries(metadata, entries)


def _identity(entry: Entry) -> tuple[str, str, str]:
    """Return the key by which entries of the Scale and of the object, whose versions differ, are the same."""
    return entry.manager.name, entry.manager.operation, entry.manager.subresource


def _set_of(replicas_path: Sequence[str]) -> FieldSet:
    return of_paths([tuple(f"f:{name}" for name in replicas_path)])
