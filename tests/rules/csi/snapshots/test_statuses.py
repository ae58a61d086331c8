"""What the status of a content and of a snapshot says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.snapshots import SnapshotContent, VolumeSnapshot, parse_snapshot, parse_snapshot_content
from pvbinder.rules.csi.snapshots.statuses import (
    TakenSnapshot,
    cleared_status,
    content_status,
    snapshot_status,
    with_error,
)

ERROR = {"message": "no", "time": "2020-01-01T00:00:00Z"}
STORED = TakenSnapshot("h", 5 * 10**9, 1 << 20, is_ready=True)
FULL = {"snapshotHandle": "h", "readyToUse": True, "creationTime": 5 * 10**9, "restoreSize": 1 << 20}


def content(status: Json | None = None) -> SnapshotContent:
    return parse_snapshot_content(
        encode({"metadata": {"name": "c"}, **({"status": status} if status is not None else {})})
    )


def snapshot(status: Json | None = None) -> VolumeSnapshot:
    return parse_snapshot(encode({"metadata": {"name": "s"}, **({"status": status} if status is not None else {})}))


CONTENTS: dict[str, tuple[Json | None, TakenSnapshot, Json | None]] = {
    "new": (None, STORED, FULL),
    "known": (FULL, STORED, None),
    "ready now: the error goes": ({**FULL, "readyToUse": False, "error": ERROR}, STORED, FULL),
    "not ready: the error stays": (
        {"error": ERROR, "readyToUse": False},
        TakenSnapshot("h", 5, 0, is_ready=False),
        {"error": ERROR, "readyToUse": False, "snapshotHandle": "h", "creationTime": 5},
    ),
    "size and time only once": (
        {**FULL, "readyToUse": False},
        TakenSnapshot("h", 7, 7, is_ready=True),
        FULL,
    ),
    "no size": (
        None,
        TakenSnapshot("h", 5, 0, is_ready=True),
        {"snapshotHandle": "h", "readyToUse": True, "creationTime": 5},
    ),
}


@pytest.mark.parametrize(("old", "stored", "new"), CONTENTS.values(), ids=CONTENTS.keys())
def test_content_status(old: Json | None, stored: TakenSnapshot, new: Json | None) -> None:  # SK-8
    assert content_status(content(old), stored) == new


def test_a_deleted_snapshot_leaves_no_handle() -> None:  # SK-4
    assert cleared_status(content({**FULL, "error": ERROR})) == {"error": ERROR}


SHOWN = {
    "boundVolumeSnapshotContentName": "c",
    "readyToUse": True,
    "creationTime": "1970-01-01T00:00:05Z",
    "restoreSize": "1Mi",
}
SNAPSHOTS: dict[str, tuple[Json | None, Json | None, Json | None]] = {
    "bound": (None, None, {"boundVolumeSnapshotContentName": "c", "readyToUse": False}),
    "ready": (None, FULL, SHOWN),
    "known": (SHOWN, FULL, None),
    "failed": (
        {"boundVolumeSnapshotContentName": "c", "readyToUse": False},
        {"error": ERROR},
        {"boundVolumeSnapshotContentName": "c", "readyToUse": False, "error": ERROR},
    ),
    "no error any more": ({**SHOWN, "readyToUse": False, "error": ERROR}, FULL, SHOWN),
    "a size of 0 is replaced": ({**SHOWN, "restoreSize": "0"}, FULL, SHOWN),
    "a size isn't": ({**SHOWN, "restoreSize": "2Mi"}, FULL, None),
    "a time that no calendar has": (
        None,
        {"creationTime": 1 << 62, "readyToUse": True},
        {"boundVolumeSnapshotContentName": "c", "readyToUse": True, "creationTime": "2116-02-20T23:53:38Z"},
    ),
    "a time before 1970": (
        None,
        {"creationTime": -1, "readyToUse": True},
        {"boundVolumeSnapshotContentName": "c", "readyToUse": True},
    ),
}


@pytest.mark.parametrize(("old", "theirs", "new"), SNAPSHOTS.values(), ids=SNAPSHOTS.keys())
def test_snapshot_status(old: Json | None, theirs: Json | None, new: Json | None) -> None:  # SN-13
    assert snapshot_status(snapshot(old), content(theirs)) == new


def test_an_error_has_its_time() -> None:  # SN-14
    now = datetime(2020, 1, 1, tzinfo=UTC)
    assert with_error(None, "no", now, keeps_ready=False) == {"error": ERROR, "readyToUse": False}
    assert with_error({"readyToUse": True}, "no", now, keeps_ready=True) == {"error": ERROR, "readyToUse": True}
