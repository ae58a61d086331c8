"""A large cluster, reduced to what can matter: what is settled and touched by nobody stays out.

REDUCTION-1  A part stays out only as a whole: claims with their volumes, the pods that use them, and the pods' owners.
REDUCTION-2  It stays out only if every object of it is settled: the controllers would do nothing about it.
REDUCTION-3  It stays in if a step or a manifest names one of its objects, its node or its namespace, or if its
             namespace has a quota or a disruption budget, which count it. Nothing is left out where policies of
             admission could see it.
REDUCTION-4  Pods that stay out still count where the scheduler counts pods (`Prepared.crowd`).
REDUCTION-5  A cluster of up to `WHOLE_MAX` objects isn't reduced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from pvbinder.foresight.acting import ReadFiles
from pvbinder.foresight.preparing import Prepared
from pvbinder.foresight.steps import (
    ApplyStep,
    DeleteStep,
    DrainStep,
    LoseStep,
    RehearsalStep,
    RestoreStep,
    ScaleStep,
    WaitStep,
)
from pvbinder.model.json import Json
from pvbinder.model.quantity import QuantityError, parse_quantity

WHOLE_MAX: Final = 2_000  # objects
_COUNTERS: Final = frozenset({"ResourceQuota", "PodDisruptionBudget"})
_PARTS: Final = frozenset(
    {
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "StatefulSet",
        "Deployment",
        "ReplicaSet",
        "ControllerRevision",
    }
)
_UNSEEN: Final = frozenset({"ConfigMap"})  # of large clusters: no rule looks at them
_NAMING: Final = frozenset({"claimName", "volumeName", "persistentVolumeName", "persistentVolumeClaimName"})
_REFERRING: Final = frozenset({"claimRef", "dataSource", "dataSourceRef"})
_COMPLETED: Final = "pv.kubernetes.io/bind-completed"


@dataclass(frozen=True, slots=True)
class Touched:
    """What steps and manifests name: names of objects and of nodes, and whole namespaces."""

    names: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    all_nodes: bool = False


@dataclass(slots=True)
class _Parts:
    """Which objects belong together: a forest in which each names another of its part."""

    above: list[int]

    def root(self, one: int) -> int:
        while self.above[one] != one:
            self.above[one] = self.above[self.above[one]]
            one = self.above[one]
        return one

    def join(self, one: int, other: int) -> None:
        self.above[self.root(one)] = self.root(other)


@dataclass(slots=True)
class _World:
    documents: list[tuple[str, Json]]
    by_uid: dict[str, int] = field(default_factory=dict)
    claims: dict[tuple[str, str], int] = field(default_factory=dict)
    volumes: dict[str, int] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    healthy_nodes: set[str] = field(default_factory=set)

    def note_all(self) -> None:
        for place, (_, one) in enumerate(self.documents):
            metadata = _map(one, "metadata")
            self.by_uid[str(metadata.get("uid"))] = place
            match one.get("kind"):
                case "PersistentVolumeClaim":
                    self.claims[_namespace(metadata), str(metadata.get("name"))] = place
                case "PersistentVolume":
                    self.volumes[str(metadata.get("name"))] = place
                case "Node" if _is_healthy(one):
                    self.healthy_nodes.add(str(metadata.get("name")))
                case kind if kind in _COUNTERS:
                    self.counted.add(_namespace(metadata))


def reduce(prepared: Prepared, touched: Touched) -> Prepared:
    """Return `prepared` without what can't matter to what touches it."""
    documents = prepared.documents
    if len(documents) <= WHOLE_MAX or any("AdmissionPolicy" in str(one.get("kind")) for _, one in documents):
        return prepared
    world = _World(documents)
    world.note_all()
    parts = _Parts(list(range(len(documents))))
    for place, (_, one) in enumerate(documents):
        for other in _partners(world, one):
            parts.join(place, other)
    kept = {parts.root(place) for place, (_, one) in enumerate(documents) if _matters(world, one, touched)}
    stays = [parts.root(place) in kept for place in range(len(documents))]
    crowd = Counter(
        str(_map(one, "spec").get("nodeName"))
        for is_in, (_, one) in zip(stays, documents, strict=True)
        if not is_in and one.get("kind") == "Pod" and _map(one, "status").get("phase") not in ("Succeeded", "Failed")
    )
    left = stays.count(False)
    note = f"{left} of {len(documents)} objects are settled and touched by nothing: they were left out of the copy"
    return replace(
        prepared,
        documents=[one for one, is_in in zip(documents, stays, strict=True) if is_in],
        notes=[*prepared.notes, note] if left else prepared.notes,
        crowd=dict(crowd),
    )


def touched_by(new: Iterable[Json], namespace: str = "default") -> Touched:
    """Return what manifests touch: the objects that they are or name, and the namespaces that they count in."""
    names: set[str] = set()
    nodes: set[str] = set()
    namespaces: set[str] = set()
    for document in new:
        metadata = _map(document, "metadata")
        names.add(str(metadata.get("name")))
        names |= set(_named_in(document))
        if document.get("kind") == "Node":
            nodes.add(str(metadata.get("name")))
        if document.get("kind") in _COUNTERS:
            namespaces.add(str(metadata.get("namespace") or namespace))
    return Touched(frozenset(names), frozenset(nodes), frozenset(namespaces))


def _named_in(part: object) -> Iterator[str]:
    """Give the names of claims, volumes and sources that are anywhere in `part`, a manifest or a part of one."""
    if isinstance(part, list):
        for one in part:
            yield from _named_in(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in _NAMING and isinstance(value, str):
                yield value
            elif key in _REFERRING and isinstance(value, dict):
                yield str(value.get("name"))
            else:
                yield from _named_in(value)


def touched_by_steps(steps: Iterable[RehearsalStep], documents: Iterable[tuple[str, Json]], read: ReadFiles) -> Touched:
    """Return what steps touch; a label of nodes is looked up in `documents`."""
    found = Touched()
    for step in steps:
        match step:
            case DrainStep(node=node) | LoseStep(node=node) if node:
                found = _together(found, Touched(nodes=frozenset({node})))
            case DrainStep() | LoseStep():
                found = _together(found, replace(found, all_nodes=True))
            case DeleteStep(name=name):
                one = frozenset({name})
                found = _together(found, Touched(one, one, one))
            case ScaleStep(name=name):
                found = _together(found, Touched(names=frozenset({name})))
            case ApplyStep(files=files, namespace=namespace):
                found = _together(found, touched_by((one for _, one in read(files)), namespace))
            case RestoreStep(files=files):
                found = _together(found, touched_by(one for _, one in read(files)))
            case WaitStep():
                pass
            case _:
                assert_never(step)
    return found


def _together(one: Touched, other: Touched) -> Touched:
    return Touched(
        one.names | other.names,
        one.nodes | other.nodes,
        one.namespaces | other.namespaces,
        one.all_nodes or other.all_nodes,
    )


def _partners(world: _World, one: Json) -> Iterator[int]:
    """Give the places of the objects that `one` belongs to."""
    metadata, spec = _map(one, "metadata"), _map(one, "spec")
    for owner in metadata.get("ownerReferences") or ():
        found = world.by_uid.get(str(owner.get("uid")))
        if found is not None:
            yield found
    match one.get("kind"):
        case "PersistentVolumeClaim":
            found = world.volumes.get(str(spec.get("volumeName")))
            if found is not None:
                yield found
        case "PersistentVolume":
            reference = _map(spec, "claimRef")
            found = world.claims.get((str(reference.get("namespace")), str(reference.get("name"))))
            if found is not None:
                yield found
        case "Pod":
            for volume in spec.get("volumes") or ():
                name = _map(volume, "persistentVolumeClaim").get("claimName")
                found = world.claims.get((_namespace(metadata), str(name))) if name else None
                if found is not None:
                    yield found
        case _:
            pass


def _matters(world: _World, one: Json, touched: Touched) -> bool:
    """Tell whether `one` keeps its part in (REDUCTION-2, REDUCTION-3)."""
    kind, metadata = str(one.get("kind")), _map(one, "metadata")
    if kind in _UNSEEN:
        return False
    if kind not in _PARTS:
        return True
    namespace, name = metadata.get("namespace"), str(metadata.get("name"))
    if _map(one, "spec").get("volumeAttributesClassName") in touched.names:
        return True
    if namespace in world.counted or namespace in touched.namespaces or _is_named(name, touched):
        return True
    return metadata.get("deletionTimestamp") is not None or not _is_settled(world, one, touched)


def _is_named(name: str, touched: Touched) -> bool:
    """Tell whether an object of that name, or one that made it, is touched: ``data-db-0`` is of ``db``."""
    if name in touched.names:
        return True
    if not touched.names:
        return False
    parts = name.split("-")
    ends = range(1, len(parts) + 1)
    return any("-".join(parts[first:last]) in touched.names for last in ends for first in range(last))


def _is_settled(world: _World, one: Json, touched: Touched) -> bool:
    spec, status = _map(one, "spec"), _map(one, "status")
    match one.get("kind"):
        case "PersistentVolumeClaim":
            found = world.volumes.get(str(spec.get("volumeName")))
            return found is not None and _is_pair(one, world.documents[found][1])
        case "PersistentVolume":
            reference = _map(spec, "claimRef")
            found = world.claims.get((str(reference.get("namespace")), str(reference.get("name"))))
            return found is not None and _is_pair(world.documents[found][1], one)
        case "Pod":
            return _is_settled_pod(world, one, touched)
        case "StatefulSet" | "Deployment" | "ReplicaSet":
            wanted = spec.get("replicas", 1)
            is_seen = status.get("observedGeneration") == _map(one, "metadata").get("generation")
            has = status.get("replicas", 0), status.get("readyReplicas", 0)
            return is_seen and has == (wanted, wanted) and status.get("updatedReplicas", wanted) == wanted
        case _:
            return True


def _is_settled_pod(world: _World, one: Json, touched: Touched) -> bool:
    node = _map(one, "spec").get("nodeName")
    if _map(one, "status").get("phase") != "Running" or node not in world.healthy_nodes:
        return False
    if touched.all_nodes or node in touched.nodes:
        return False
    volumes = _map(one, "spec").get("volumes") or ()
    named = [_map(volume, "persistentVolumeClaim").get("claimName") for volume in volumes]
    where = _namespace(_map(one, "metadata"))
    is_there = all((where, str(name)) in world.claims for name in named if name)
    return is_there and not any("ephemeral" in volume for volume in volumes)


def _is_pair(claim: Json, volume: Json) -> bool:
    """Tell whether both are bound to each other, whole, and nothing is under way (BN-1 to BN-4 are done)."""
    asked, given = _map(claim, "spec"), _map(volume, "spec")
    reference, status = _map(given, "claimRef"), _map(claim, "status")
    has = _map(status, "capacity").get("storage")
    wanted = _map(_map(asked, "resources"), "requests").get("storage")
    annotations = _map(_map(claim, "metadata"), "annotations")
    return (
        _map(volume, "status").get("phase") == "Bound"
        and status.get("phase") == "Bound"
        and reference.get("uid") == _map(claim, "metadata").get("uid") is not None
        and asked.get("volumeName") == _map(volume, "metadata").get("name")
        and _COMPLETED in annotations
        and _is_enough(has, wanted)
        and asked.get("volumeAttributesClassName") == given.get("volumeAttributesClassName")
        and not status.get("conditions")
    )


def _is_enough(has: object, wanted: object) -> bool:
    if has == wanted:
        return has is not None
    try:
        return parse_quantity(str(has)) >= parse_quantity(str(wanted))
    except QuantityError:
        return False


def _is_healthy(node: Json) -> bool:
    conditions = _map(node, "status").get("conditions") or ()
    is_ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
    taints = _map(node, "spec").get("taints") or ()
    return is_ready and not any(one.get("effect") == "NoExecute" for one in taints)


def _namespace(metadata: Json) -> str:
    return str(metadata.get("namespace") or "default")


def _map(document: Json, name: str) -> Json:
    found = document.get(name)
    return found if isinstance(found, dict) else {}
