"""How much room there is, by place and class: which CSIStorageCapacity objects there should be, and what is in them.

Rules: docs/rules/provisioner.md#10-csistoragecapacity---enable-capacity
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import StorageClass
from pvbinder.model.quantity import Quantity, parse_quantity
from pvbinder.rules.csi.topology import Segments, fnv32, term_of

DRIVER_LABEL: Final = "csi.storage.k8s.io/drivername"
MANAGER_LABEL: Final = "csi.storage.k8s.io/managed-by"
MANAGER: Final = "external-provisioner"
GENERATE_NAME: Final = "csisc-"
LABEL_CHARACTERS_MAX: Final = 63


class Pair(Struct, frozen=True, order=True):
    """A class, and a place of the driver's topology; the place of a driver without topology is empty."""

    storage_class: str
    segment: Segments

    @property
    def key(self) -> str:
        """One text for it."""
        return " ".join((self.storage_class, *(f"{key}={value}" for key, value in self.segment)))


class FreeSpace(Struct, frozen=True):
    """How much room a driver says there is; `largest_bytes` is what one volume may have, None where nothing is said."""

    available_bytes: int
    largest_bytes: int | None = None


def segments(nodes: Iterable[tuple[Mapping[str, str], Iterable[str]]]) -> set[Segments]:
    """Return the places of nodes, given as labels and the driver's topology keys there (CA-2).

    A node that lacks a label, or on which the driver has no keys, has no place.
    """
    found = (term_of(labels, keys) for labels, keys in nodes)
    return {segment for segment in found if segment}


def pairs(
    classes: Iterable[StorageClass], places: Iterable[Segments], driver: str, *, for_immediate: bool
) -> set[Pair]:
    """Return the pairs that there should be objects for (CA-2)."""
    kept = [one.name for one in classes if one.provisioner == driver and (for_immediate or not _is_immediate(one))]
    everywhere = list(places)
    return {Pair(name, segment) for name in kept for segment in everywhere}


def _is_immediate(storage_class: StorageClass) -> bool:
    return storage_class.volume_binding_mode != "WaitForFirstConsumer"


def manager_label(node: str = "") -> str:
    """Return who manages the objects, as their label says: one of a node, or the only one (CA-1)."""
    if not node:
        return MANAGER
    label = f"{MANAGER}-{node}"
    if len(label) <= LABEL_CHARACTERS_MAX:
        return label
    tail = f"-{fnv32(node):08x}"
    return label[: LABEL_CHARACTERS_MAX - len(tail)] + tail


def pair_of(document: Json) -> Pair:
    """Return what an object is about."""
    labels = (document.get("nodeTopology") or {}).get("matchLabels") or {}
    return Pair(document.get("storageClassName") or "", tuple(sorted(labels.items())))


def new_object(pair: Pair, room: FreeSpace, driver: str, manager: str, namespace: str, owner: Json | None) -> Json:
    """Return the object for a pair (CA-1, CA-3)."""
    metadata: Json = {
        "generateName": GENERATE_NAME,
        "namespace": namespace,
        "labels": {DRIVER_LABEL: driver, MANAGER_LABEL: manager},
    }
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    topology: Json = {"matchLabels": dict(pair.segment)} if pair.segment else {}
    return {"metadata": metadata, "storageClassName": pair.storage_class, "nodeTopology": topology, **_values(room)}


def changed_object(document: Json, room: FreeSpace, owner: Json | None) -> Json | None:
    """Return the object as it should be; None if it is (CA-5)."""
    values = _values(room)
    owners = [owner] if owner is not None else []
    metadata = document["metadata"]
    known = {field: document.get(field) for field in ("capacity", "maximumVolumeSize")}
    if (_same(known, values)) and (metadata.get("ownerReferences") or []) == owners:
        return None
    changed = {key: value for key, value in document.items() if key not in known}
    return {**changed, **values, "metadata": {**metadata, "ownerReferences": owners}}


def _same(known: Mapping[str, str | None], values: Mapping[str, str]) -> bool:
    return all(
        (parse_quantity(said) if said is not None else None)
        == (parse_quantity(values[field]) if field in values else None)
        for field, said in known.items()
    )


def _values(room: FreeSpace) -> dict[str, str]:
    values = {"capacity": _quantity(room.available_bytes)}
    if room.largest_bytes is not None:
        values["maximumVolumeSize"] = _quantity(room.largest_bytes)
    return values


def _quantity(count: int) -> str:
    return str(Quantity(count * 10**9, "BinarySI"))


def is_reached(segment: Segments, terms: Iterable[Json]) -> bool:
    """Return whether a volume with these terms of node affinity is at the place (CA-4)."""
    labels = dict(segment)
    return any(
        all(labels.get(one.get("key", "")) in (one.get("values") or []) for one in term.get("matchExpressions") or [])
        for term in terms
    )
