"""How long snapshots take, from the first look at them on, as snapshot-controller measures it.

SNAPSHOT_OPERATIONS-1  Each operation of a snapshot is begun once, and counted once when it ends; until then it is in
                       flight. What ends that was never begun isn't counted.
SNAPSHOT_OPERATIONS-2  A snapshot that goes before it was taken, or was ready, has these operations cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final, Literal, TypeAlias

from pvbinder.model.histogram import Durations, Histogram
from pvbinder.model.snapshots import VolumeSnapshot

OPERATION_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)

SnapshotOperation: TypeAlias = Literal["CreateSnapshot", "CreateSnapshotAndReady", "DeleteSnapshot"]
OperationOutcome: TypeAlias = Literal["success", "cancel"]
SnapshotType: TypeAlias = Literal["dynamic", "pre-provisioned"]


class SnapshotOperations:
    """The operations on the snapshots of one driver; belongs to the loop's thread."""

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._begun: dict[tuple[str, SnapshotOperation], float] = {}  # by the snapshot's uid
        self._ended: dict[tuple[SnapshotOperation, SnapshotType, OperationOutcome], Histogram] = {}

    @property
    def in_flight(self) -> int:
        """How many have begun and not ended."""
        return len(self._begun)

    @property
    def ended(self) -> dict[tuple[SnapshotOperation, SnapshotType, OperationOutcome], Durations]:
        """By operation, type of the snapshot, and outcome."""
        return {key: one.value() for key, one in self._ended.items()}

    def look(self, snapshot: VolumeSnapshot) -> None:
        """Begin what a snapshot is about to go through."""
        if snapshot.is_deleting:
            self._begin(snapshot, "DeleteSnapshot")
            return
        if not snapshot.is_cut:
            self._begin(snapshot, "CreateSnapshot")
        if not snapshot.is_ready:
            self._begin(snapshot, "CreateSnapshotAndReady")

    def changed(self, snapshot: VolumeSnapshot) -> None:
        """End what the snapshot has behind it."""
        if snapshot.is_cut:
            self._end(snapshot, "CreateSnapshot", "success")
        if snapshot.is_ready:
            self._end(snapshot, "CreateSnapshotAndReady", "success")

    def gone(self, snapshot: VolumeSnapshot) -> None:
        """End all of a snapshot that is no longer there (SNAPSHOT_OPERATIONS-2)."""
        self._end(snapshot, "DeleteSnapshot", "success")
        self._end(snapshot, "CreateSnapshot", "cancel")
        self._end(snapshot, "CreateSnapshotAndReady", "cancel")

    def _begin(self, snapshot: VolumeSnapshot, operation: SnapshotOperation) -> None:
        self._begun.setdefault((snapshot.uid, operation), self._now())

    def _end(self, snapshot: VolumeSnapshot, operation: SnapshotOperation, outcome: OperationOutcome) -> None:
        begun = self._begun.pop((snapshot.uid, operation), None)
        if begun is not None:
            kind: SnapshotType = "dynamic" if snapshot.source_content is None else "pre-provisioned"
            one = self._ended.setdefault((operation, kind, outcome), Histogram(OPERATION_BOUNDS))
            one.observe(self._now() - begun)
