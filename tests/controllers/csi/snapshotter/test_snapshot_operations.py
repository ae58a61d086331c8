"""How long snapshots take, as snapshot-controller measures it."""

from __future__ import annotations

import json
from typing import Any

from tests.controllers.csi.snapshotter.snapshot_stage import snapshot_stage
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.snapshot_operations import SnapshotOperations
from pvbinder.model.snapshots import VolumeSnapshot, parse_snapshot


def snapshot(uid: str = "1", *, deleted: bool = False, given: bool = False, **status: Any) -> VolumeSnapshot:
    metadata = {"name": uid, "namespace": "default", "uid": uid}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    source = {"volumeSnapshotContentName": "c"} if given else {"persistentVolumeClaimName": "orders"}
    document = {"metadata": metadata, "spec": {"source": source}, "status": status}
    return parse_snapshot(json.dumps(document).encode())


CUT: dict[str, Any] = {"creationTime": "2026-01-01T00:00:00Z"}


class Watch:
    """A time that is set, and the operations measured by it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.operations = SnapshotOperations(now=lambda: self.now)

    def seen(self) -> dict[tuple[str, ...], tuple[int, float]]:
        return {key: (found.count, found.seconds) for key, found in self.operations.ended.items()}


def test_snapshot_operations_1_each_is_counted_once_from_the_first_look_on() -> None:
    watch = Watch()
    watch.operations.look(snapshot())
    watch.now = 2
    watch.operations.look(snapshot())
    assert watch.operations.in_flight == 2
    watch.now = 3
    watch.operations.changed(snapshot(**CUT))
    assert watch.operations.in_flight == 1
    watch.now = 10
    for _ in range(2):
        watch.operations.changed(snapshot(**CUT, readyToUse=True))
    assert watch.seen() == {
        ("CreateSnapshot", "dynamic", "success"): (1, 3.0),
        ("CreateSnapshotAndReady", "dynamic", "success"): (1, 10.0),
    }
    watch.operations.look(snapshot(deleted=True, **CUT, readyToUse=True))
    watch.now = 14
    watch.operations.gone(snapshot(deleted=True, **CUT, readyToUse=True))
    assert watch.seen()["DeleteSnapshot", "dynamic", "success"] == (1, 4.0)
    assert watch.operations.in_flight == 0


def test_snapshot_operations_1_what_was_never_begun_is_not_counted() -> None:
    watch = Watch()
    watch.operations.changed(snapshot(**CUT, readyToUse=True))
    watch.operations.gone(snapshot())
    assert watch.seen() == {}
    watch.operations.look(snapshot(given=True, **CUT))
    watch.operations.changed(snapshot(given=True, **CUT, readyToUse=True))
    assert watch.seen() == {("CreateSnapshotAndReady", "pre-provisioned", "success"): (1, 0.0)}


def test_snapshot_operations_2_what_goes_before_it_was_ready_is_cancelled() -> None:
    watch = Watch()
    watch.operations.look(snapshot())
    watch.now = 5
    watch.operations.look(snapshot(deleted=True))
    watch.now = 6
    watch.operations.gone(snapshot(deleted=True))
    assert watch.seen() == {
        ("DeleteSnapshot", "dynamic", "success"): (1, 1.0),
        ("CreateSnapshot", "dynamic", "cancel"): (1, 6.0),
        ("CreateSnapshotAndReady", "dynamic", "cancel"): (1, 6.0),
    }


@on_virtual_time
async def test_a_snapshots_life_is_measured() -> None:
    async with snapshot_stage() as s:
        measures = s.snapshotter.measures
        await s.take()
        await s.until_ready()
        await s.cluster.settle()
        assert {key: found.count for key, found in measures.ended.items()} == {
            ("CreateSnapshot", "dynamic", "success"): 1,
            ("CreateSnapshotAndReady", "dynamic", "success"): 1,
        }
        await s.delete()
        await s.until_gone()
        await s.cluster.settle()
        assert measures.ended["DeleteSnapshot", "dynamic", "success"].count == 1
        assert measures.in_flight == 0
