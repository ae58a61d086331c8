"""The snapshot that a claim is to be restored from: is it there, and is it ready?

RESTORES-1  A snapshot that isn't ready is told with the last error of its own, before what a provisioner said of it.
"""

from __future__ import annotations

from pvbinder.insight.explanation import Finding, on_its_way, stuck
from pvbinder.insight.remedies import Do, RecreateClaim
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import nearest
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim
from pvbinder.model.quantity import quantity_of
from pvbinder.model.snapshots import VolumeSnapshot

KIND = "VolumeSnapshot"


def snapshot_source(claim: Json) -> tuple[str, str] | None:
    """Return namespace and name of the snapshot that a claim is to be made from, if it is."""
    metadata: Json = claim.get("metadata") or {}
    spec: Json = claim.get("spec") or {}
    source: Json = spec.get("dataSourceRef") or spec.get("dataSource") or {}
    if source.get("kind") != KIND or not source.get("name"):
        return None
    return str(source.get("namespace") or metadata.get("namespace") or "default"), str(source["name"])


def restore_problem(claim: Claim, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    """Return what keeps `claim` from being restored from its snapshot, if something does (DS-8, DS-9)."""
    source = snapshot_source(claim.document())
    if source is None or source[0] != claim.namespace:
        return None
    key = f"{source[0]}/{source[1]}"
    found = snapshot.volume_snapshot(key)
    if found is None:
        return _missing(key, rules, snapshot) if snapshot.knows(KIND) else None
    if found.is_deleting:
        summary = f"it is to be restored from snapshot {key}, which is being deleted"
        return stuck("DataSourceUnusable", (*rules, "DS-8"), summary, _without_source())
    if not found.is_ready:
        return _not_ready(found, rules)
    size = quantity_of(found.status.restore_size if found.status else None)
    if claim.request < size:
        summary = f"it asks for {claim.request}, and snapshot {key} needs {size}"
        return stuck("DataSourceUnusable", (*rules, "DS-9"), summary, Do(f"create the claim anew with at least {size}"))
    return None


def _missing(key: str, rules: tuple[str, ...], snapshot: Snapshot) -> Finding:
    namespace, name = key.split("/", 1)
    near = nearest(name, (one.name for one in snapshot.volume_snapshots() if one.namespace == namespace))
    summary = f"it is to be restored from snapshot {key}, which doesn't exist"
    return stuck(
        "DataSourceUnusable",
        (*rules, "DS-8"),
        summary + (f" (did you mean {near}?)" if near else ""),
        Do(f"create VolumeSnapshot {key}"),
        _without_source(),
    )


def _not_ready(found: VolumeSnapshot, rules: tuple[str, ...]) -> Finding:
    what = f"it is to be restored from snapshot {found.key}, which isn't ready"
    if found.error:
        return stuck(
            "SnapshotFails",
            (*rules, "DS-8"),
            f"{what}: {found.error}",
            Do(f"put right what the message above says of snapshot {found.key}; it is tried again by itself"),
            _without_source(),
            then="the snapshot is tried again and again, with growing pauses",
        )
    state = "being taken" if found.bound_content else "not begun yet"
    return on_its_way(
        "WaitsForSnapshot",
        (*rules, "DS-8"),
        f"{what} yet: it is {state}",
        "the volume is made when the snapshot is ready; if that never comes, no snapshotter serves its driver",
    )


def _without_source() -> RecreateClaim:
    return RecreateClaim(without=("dataSource", "dataSourceRef"))
