"""What the status of a content and of a snapshot says.

Rules: docs/rules/snapshotter.md
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.quantity import Quantity, quantity_of
from pvbinder.model.snapshots import SnapshotContent, VolumeSnapshot

_YEAR_10000_NS: Final = 253402300800 * 10**9


class TakenSnapshot(Struct, frozen=True):
    """A snapshot as its driver describes it; `created_ns` are nanoseconds since 1970, a size of 0 isn't known."""

    handle: str
    created_ns: int
    size_bytes: int
    is_ready: bool


def content_status(content: SnapshotContent, stored: TakenSnapshot) -> Json | None:
    """Return the content's status with what the driver says (SK-8); None if it says so already."""
    old: Json = content.document().get("status") or {}
    new = dict(old)
    if not new.get("snapshotHandle"):
        new["snapshotHandle"] = stored.handle
    if new.get("readyToUse") is not stored.is_ready:
        new["readyToUse"] = stored.is_ready
    if stored.is_ready:
        new.pop("error", None)
    if new.get("creationTime") is None:
        new["creationTime"] = stored.created_ns
    if new.get("restoreSize") is None and stored.size_bytes > 0:
        new["restoreSize"] = stored.size_bytes
    return new if new != old else None


def cleared_status(content: SnapshotContent) -> Json:
    """Return the status of a content whose snapshot is deleted in the storage (SK-4)."""
    status: Json = dict(content.document().get("status") or {})
    for key in ("snapshotHandle", "readyToUse", "creationTime", "restoreSize"):
        status.pop(key, None)
    return status


def snapshot_status(snapshot: VolumeSnapshot, content: SnapshotContent) -> Json | None:
    """Return the snapshot's status with what its content says (SN-13); None if it says so already."""
    old: Json = snapshot.document().get("status") or {}
    theirs: Json = content.document().get("status") or {}
    new = dict(old)
    if not new.get("boundVolumeSnapshotContentName"):
        new["boundVolumeSnapshotContentName"] = content.name
    if new.get("creationTime") is None and (created := _stamp(theirs.get("creationTime"))) is not None:
        new["creationTime"] = created
    new["readyToUse"] = bool(theirs.get("readyToUse"))
    size = theirs.get("restoreSize")
    if size is not None and (
        new.get("restoreSize") is None or (size > 0 and quantity_of(new["restoreSize"]).whole_units() == 0)
    ):
        new["restoreSize"] = str(Quantity(int(size) * 10**9, "BinarySI"))
    if theirs.get("error"):
        new["error"] = theirs["error"]
    else:
        new.pop("error", None)
    return new if new != old else None


def with_error(status: Json | None, message: str, now: datetime, *, keeps_ready: bool) -> Json:
    """Return a status that says what went wrong (SN-14, SK-10)."""
    new = {**(status or {}), "error": {"message": message, "time": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}}
    return new if keeps_ready else {**new, "readyToUse": False}


def _stamp(nanoseconds: int | None) -> str | None:
    """Return a time since 1970 as objects have it; None if there is none, or no calendar has it."""
    if nanoseconds is None or not 0 <= nanoseconds < _YEAR_10000_NS:
        return None
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
