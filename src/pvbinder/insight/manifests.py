"""Objects from files as an API server would store them: with the defaults and the warnings of ``up --load``.

MANIFESTS-1  Defaults are filled in, so that a manifest is explained as the object that it becomes.
MANIFESTS-2  A field that the schema doesn't know is warned of, and so is a kind that isn't served; the rest is used.
MANIFESTS-3  A volume of a manifest, which isn't created yet, counts as Available.
MANIFESTS-4  An object that a server has stored - it has a UID, a revision and a time - is used as it is: it has its
             defaults, and its fields were known to that server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from pvbinder.insight.snapshot import OTHERS
from pvbinder.model.json import Json, encode

if TYPE_CHECKING:  # loaded when a manifest comes: a dump needs none of it
    from pvbinder.server.kinds.registry import Registry
    from pvbinder.server.objects.kind import ServedKind

NOTES_MAX: Final = 10
USED: Final = frozenset(
    {
        *OTHERS,
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


_STORED_AS: Final = (  # group versions and their kinds, as servers write them
    (
        "v1",
        "Event Namespace Node PersistentVolume PersistentVolumeClaim Pod ReplicationController ResourceQuota Secret",
    ),
    ("apps/v1", "DaemonSet Deployment ReplicaSet StatefulSet"),
    ("batch/v1", "CronJob Job"),
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshot VolumeSnapshotClass VolumeSnapshotContent"),
    (
        "storage.k8s.io/v1",
        "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass",
    ),
)
_STORED: Final = frozenset((version, kind) for version, kinds in _STORED_AS for kind in kinds.split())
_WRITTEN_BY_SERVERS: Final = ("uid", "resourceVersion", "creationTimestamp")


def as_served(found: Iterable[tuple[str, Json]]) -> tuple[list[Json], list[str]]:
    """Return the objects of files as a server would store them, each with the name of its file, and the warnings."""
    registry: Registry | None = None
    documents: list[Json] = []
    notes: list[str] = []
    strangers: Counter[tuple[str, str, str]] = Counter()
    for source, document in found:
        if _is_stored(document):
            documents.append(_with_phase(document, document))
            continue
        registry = registry or _registry()
        kind = _served(registry, document)
        if kind is None:
            strangers[source, str(document.get("apiVersion", "")), str(document["kind"])] += 1
        elif document["kind"] in USED:
            documents.append(_completed(source, document, kind, notes))
    notes += _of_strangers(strangers)
    if len(notes) > NOTES_MAX:
        notes[NOTES_MAX:] = [f"and {len(notes) - NOTES_MAX} more notes like these"]
    return documents, notes


def _registry() -> Registry:
    from pvbinder.server.kinds.registry import Registry

    return Registry()


def _is_stored(document: Json) -> bool:
    """Whether a server has stored it (MANIFESTS-4)."""
    metadata = document.get("metadata")
    if (document.get("apiVersion"), document["kind"]) not in _STORED or not isinstance(metadata, dict):
        return False
    return all(isinstance(metadata.get(field), str) and metadata[field] for field in _WRITTEN_BY_SERVERS)


def _with_phase(document: Json, given: Json) -> Json:
    """The volume `document`, `given` without a phase: no binder has looked at it yet (MANIFESTS-3)."""
    status = given.get("status")
    if document["kind"] != "PersistentVolume" or (isinstance(status, dict) and status.get("phase")):
        return document
    return {**document, "status": {**(document.get("status") or {}), "phase": "Available"}}


def _served(registry: Registry, document: Json) -> ServedKind | None:
    group, _, version = str(document.get("apiVersion") or "").rpartition("/")
    kind = str(document["kind"])
    if not version:  # kubectl always writes it; a person may forget it
        return next((each for each in registry if each.resource.kind == kind and kind in USED), None)
    return registry.of_kind(group, version, kind)


def _completed(source: str, document: Json, kind: ServedKind, notes: list[str]) -> Json:
    from pvbinder.server.errors import ApiError
    from pvbinder.server.objects.schema import decode_body

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
    return _with_phase({**obj, "kind": document["kind"], "apiVersion": api_version}, document)


def _of_strangers(strangers: Counter[tuple[str, str, str]]) -> Iterator[str]:
    for (source, api_version, kind), count in strangers.items():
        what = f"{count} objects" if count > 1 else "an object"
        yield f"{source}: {what} of {api_version or 'no apiVersion'} {kind} passed over: it isn't known here"


def _named(document: Json) -> str:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    where = "/".join(str(metadata[part]) for part in ("namespace", "name") if metadata.get(part))
    return f"{document.get('kind')} {where}".rstrip()
