"""The Controller service's part about snapshots."""

from __future__ import annotations

from functools import partial

from google.protobuf.timestamp_pb2 import Timestamp

from pvbinder.csi.local import arguments
from pvbinder.csi.local.pages import page_of
from pvbinder.csi.local.records import Shelf, StoredSnapshot
from pvbinder.csi.local.snapshots import Snapshots
from pvbinder.csi.local.work import Work
from pvbinder.csi.serving import Handlers
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods


class SnapshotService:
    """The handlers of this part."""

    def __init__(self, shelf: Shelf[StoredSnapshot], snapshots: Snapshots, work: Work) -> None:
        self._shelf = shelf
        self._snapshots = snapshots
        self._work = work

    def handlers(self) -> Handlers:
        """Return the methods and what answers them."""
        return {
            methods.CREATE_SNAPSHOT: self.create_snapshot,
            methods.DELETE_SNAPSHOT: self.delete_snapshot,
            methods.LIST_SNAPSHOTS: self.list_snapshots,
            methods.GET_SNAPSHOT: self.get_snapshot,
        }

    async def create_snapshot(self, request: csi.CreateSnapshotRequest) -> csi.CreateSnapshotResponse:
        """Copy a volume; return the snapshot that has the name already."""
        source = arguments.required(request.source_volume_id, "source_volume_id")
        name = arguments.name_of(request.name)
        arguments.check_unknown(request.parameters, "parameters")
        keys = [f"snapshot name {name}", source]
        snapshot = await self._work.run(keys, partial(self._snapshots.create, name, source), is_long=True)
        return csi.CreateSnapshotResponse(snapshot=_shown(snapshot))

    async def delete_snapshot(self, request: csi.DeleteSnapshotRequest) -> csi.DeleteSnapshotResponse:
        """Remove a snapshot, if there is one."""
        identity = arguments.required(request.snapshot_id, "snapshot_id")
        await self._work.run([identity], partial(self._snapshots.delete, identity), is_long=True)
        return csi.DeleteSnapshotResponse()

    async def list_snapshots(self, request: csi.ListSnapshotsRequest) -> csi.ListSnapshotsResponse:
        """List the snapshots: all of them, those of a volume, or one."""
        entries_max = arguments.max_entries_of(request.max_entries)
        found = [
            snapshot
            for snapshot in self._shelf.all()
            if request.snapshot_id in ("", snapshot.id) and request.source_volume_id in ("", snapshot.volume)
        ]
        page, token = page_of(
            found,
            lambda snapshot: snapshot.id,
            noun="snapshots",
            token=request.starting_token,
            entries_max=entries_max,
        )
        entries = [csi.ListSnapshotsResponse.Entry(snapshot=_shown(snapshot)) for snapshot in page]
        return csi.ListSnapshotsResponse(entries=entries, next_token=token)

    async def get_snapshot(self, request: csi.GetSnapshotRequest) -> csi.GetSnapshotResponse:
        """Show one snapshot."""
        identity = arguments.required(request.snapshot_id, "snapshot_id")
        return csi.GetSnapshotResponse(snapshot=_shown(self._shelf.get(identity)))


def _shown(snapshot: StoredSnapshot) -> csi.Snapshot:
    seconds, nanos = divmod(snapshot.created_ns, 10**9)
    return csi.Snapshot(
        size_bytes=snapshot.size_bytes,
        snapshot_id=snapshot.id,
        source_volume_id=snapshot.volume,
        creation_time=Timestamp(seconds=seconds, nanos=nanos),
        ready_to_use=True,
    )
