"""Snapshots of volumes: what external-snapshotter's controller and its sidecar do, for one driver, in one role.

- `role` is the whole: it has the queues and the caches, and is what a sidecar runs.
- `snapshots` sees to VolumeSnapshots: class, source, content, status; `going` to those that are deleted.
- `contents` sees to VolumeSnapshotContents, by what `rules.csi.snapshots` decides: `taking` asks the driver for
  snapshots and leaves none behind, `removal` has it delete them.
- `claims` protects the claims that snapshots are taken of; `told` writes failures into status and events.
"""
