"""The kinds of snapshots, with the functions that make their views."""

from __future__ import annotations

from typing import Final

from pvbinder.kube.client import Kind
from pvbinder.model.resources import VOLUME_SNAPSHOT_CLASSES, VOLUME_SNAPSHOT_CONTENTS, VOLUME_SNAPSHOTS
from pvbinder.model.snapshots import (
    SnapshotClass,
    SnapshotContent,
    VolumeSnapshot,
    parse_snapshot,
    parse_snapshot_class,
    parse_snapshot_content,
)

SNAPSHOTS: Final[Kind[VolumeSnapshot]] = Kind(VOLUME_SNAPSHOTS, parse_snapshot)
CONTENTS: Final[Kind[SnapshotContent]] = Kind(VOLUME_SNAPSHOT_CONTENTS, parse_snapshot_content)
SNAPSHOT_CLASSES: Final[Kind[SnapshotClass]] = Kind(VOLUME_SNAPSHOT_CLASSES, parse_snapshot_class)
