"""Snapshots of volumes, their contents and classes: custom kinds that are always served."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.server.kinds.writes import NOW, changed, new, refusals, stored
from tests.server.serving import serving

from pvbinder.server.api.tables import render_table
from pvbinder.server.kinds.built_in.snapshots import SNAPSHOT_KINDS
from pvbinder.server.objects.kind import Json, ServedKind

CLOCK = datetime(2026, 1, 31, 12, 0, 7, tzinfo=UTC)
KINDS = {kind.resource.kind: kind for kind in SNAPSHOT_KINDS}
SOURCE = {"persistentVolumeClaimName": "data"}
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1/namespaces/shop/volumesnapshots"


def test_names() -> None:
    assert {kind.resource.qualified: kind.short_names for kind in SNAPSHOT_KINDS} == {
        "volumesnapshots.snapshot.storage.k8s.io": ("vs",),
        "volumesnapshotclasses.snapshot.storage.k8s.io": ("vsclass", "vsclasses"),
        "volumesnapshotcontents.snapshot.storage.k8s.io": ("vsc", "vscs"),
    }


def test_a_snapshot_has_one_source() -> None:
    kind = KINDS["VolumeSnapshot"]
    assert refusals(kind, new(spec={"source": SOURCE})) == []
    both = {**SOURCE, "volumeSnapshotContentName": "c"}
    assert refusals(kind, new(spec={"source": both})) == [
        (
            '<nil>: Invalid value: "": "spec.source" must validate one and only one schema (oneOf). '
            "Found 2 valid alternatives"
        )
    ]
    assert refusals(kind, new()) == ["spec: Required value"]


def test_a_class_says_what_becomes_of_contents() -> None:
    assert refusals(KINDS["VolumeSnapshotClass"], new(driver="d", deletionPolicy="Keep")) == [
        'deletionPolicy: Unsupported value: "Keep": supported values: "Delete", "Retain"'
    ]


def test_a_status_is_written_apart() -> None:
    kind = KINDS["VolumeSnapshot"]
    old = stored(kind, new(spec={"source": SOURCE}) | {"status": {"readyToUse": True}})
    assert "status" not in old
    patch = {"spec": {"source": {"persistentVolumeClaimName": "other"}}, "status": {"readyToUse": True}}
    result = changed(kind, old, patch, subresource="status")
    assert (result["spec"], result["status"]) == (old["spec"], {"readyToUse": True})


ROWS: list[tuple[str, Json, list[object]]] = [
    (
        "VolumeSnapshot",
        {"spec": {"source": SOURCE}, "status": {"readyToUse": True, "restoreSize": "1Gi", "creationTime": NOW}},
        ["a", True, "data", None, "1Gi", None, None, "7s", "7s"],
    ),
    ("VolumeSnapshotClass", {"driver": "d", "deletionPolicy": "Delete"}, ["a", "d", "Delete", "7s"]),
]


@pytest.mark.parametrize(("name", "fields", "cells"), ROWS, ids=[row[0] for row in ROWS])
def test_cells(name: str, fields: Json, cells: list[object]) -> None:
    kind: ServedKind = KINDS[name]
    obj = {**fields, "metadata": {"name": "a", "creationTimestamp": NOW}}
    assert [row["cells"] for row in render_table(kind, [obj], {}, "None", CLOCK)["rows"]] == [cells]


async def test_what_a_snapshot_does_not_know_is_left_out(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        sent = {"metadata": {"name": "s"}, "spec": {"source": SOURCE, "odd": 1}}
        made = await server.send("POST", SNAPSHOTS, sent)
        assert (made.status, made.body["spec"]) == (201, {"source": SOURCE})
        assert made.body["metadata"]["generation"] == 1
        assert (await server.send("GET", SNAPSHOTS)).body["kind"] == "VolumeSnapshotList"
