"""Objects from files as an API server would store them: with the defaults and the warnings of ``up --load``.

MANIFESTS-1  Defaults are filled in, so that a manifest is explained as the object that it becomes.
MANIFESTS-2  A field that the schema doesn't know is warned of, and so is a kind that isn't served; the rest is used.
MANIFESTS-3  A volume of a manifest, which isn't created yet, counts as Available.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from pvbinder.model.json import Json, encode
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import ServedKind
from pvbinder.server.objects.schema import decode_body

NOTES_MAX: Final = 10
USED: Final = frozenset(
    {
        "CSIDriver",
        "CSINode",
        "CSIStorageCapacity",
        "Event",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "StatefulSet",
        "StorageClass",
        "VolumeAttachment",
        "VolumeAttributesClass",
        "VolumeSnapshot",
    }
)


def as_served(found: Iterable[tuple[str, Json]]) -> tuple[list[Json], list[str]]:
    """Return the objects of files as a server would store them, each with the name of its file, and the warnings."""
    registry = Registry()
    documents: list[Json] = []
    notes: list[str] = []
    strangers: Counter[tuple[str, str, str]] = Counter()
    for source, document in found:
        kind = _served(registry, document)
        if kind is None:
            strangers[source, str(document.get("apiVersion", "")), str(document["kind"])] += 1
        elif document["kind"] in USED:
            documents.append(_completed(source, document, kind, notes))
    notes += _of_strangers(strangers)
    if len(notes) > NOTES_MAX:
        notes[NOTES_MAX:] = [f"and {len(notes) - NOTES_MAX} more notes like these"]
    return documents, notes


def _served(registry: Registry, document: Json) -> ServedKind | None:
    group, _, version = str(document.get("apiVersion") or "").rpartition("/")
    kind = str(document["kind"])
    if not version:  # kubectl always writes it; a person may forget it
        return next((each for each in registry if each.resource.kind == kind and kind in USED), None)
    return registry.of_kind(group, version, kind)


def _completed(source: str, document: Json, kind: ServedKind, notes: list[str]) -> Json:
    api_version = kind.resource.api_version
    try:
        obj, unknown = decode_body(encode({"apiVersion": api_version, **document}), "application/json", kind, "Warn")
    except ApiError as refused:
        notes.append(f"{source}: {_named(document)}: {refused.message}")
        return document
    notes += (f"{source}: {_named(document)}: {warning}" for warning in unknown)
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        return document
    if kind.resource.namespaced:
        metadata["namespace"] = metadata.get("namespace") or "default"
    kind.complete(obj)
    status = document.get("status")
    if document["kind"] == "PersistentVolume" and not (isinstance(status, dict) and status.get("phase")):
        obj["status"] = {**(obj.get("status") or {}), "phase": "Available"}  # MANIFESTS-3
    return {**obj, "kind": document["kind"], "apiVersion": api_version}


def _of_strangers(strangers: Counter[tuple[str, str, str]]) -> Iterator[str]:
    for (source, api_version, kind), count in strangers.items():
        what = f"{count} objects" if count > 1 else "an object"
        yield f"{source}: {what} of {api_version or 'no apiVersion'} {kind} passed over: it isn't known here"


def _named(document: Json) -> str:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    where = "/".join(str(metadata[part]) for part in ("namespace", "name") if metadata.get(part))
    return f"{document.get('kind')} {where}".rstrip()
