"""A driver without a socket that also takes snapshots, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from tests.controllers.csi.fake_driver import ABILITIES, NAME, FakeDriver

from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.csi.wire.methods import Method

LISTS: Final = DriverInfo(NAME, msgspec.structs.replace(ABILITIES, list_snapshots=True))
CUT_SECONDS: Final = 1_600_000_000


class SnapshotDriver(FakeDriver):
    """Snapshots by name; `before` and `after` as for volumes, `shape` changes a snapshot before it is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshots: dict[str, csi.Snapshot] = {}
        self.shape: Callable[[csi.Snapshot], None] = lambda _: None
        self.needs_volume = False

    def has(self, name: str) -> bool:
        return name in self.snapshots or super().has(name)

    async def call(self, method: Method[Any, Any], request: Any, *, timeout_seconds: float | None = None) -> Any:
        answers: dict[Method[Any, Any], Callable[[Any], Any]] = {
            methods.CREATE_SNAPSHOT: self._take,
            methods.DELETE_SNAPSHOT: self._drop,
            methods.LIST_SNAPSHOTS: self._list,
        }
        answer = answers.get(method)
        if answer is None:
            return await super().call(method, request, timeout_seconds=timeout_seconds)
        self.seen.append((method.name, request))
        await asyncio.sleep(self.seconds)
        self.before(request)
        made = answer(request)
        self.after(request)
        return made

    def _take(self, request: csi.CreateSnapshotRequest) -> csi.CreateSnapshotResponse:
        if request.name not in self.snapshots:
            if self.needs_volume and all(one.volume_id != request.source_volume_id for one in self.volumes.values()):
                raise CallFailed(Code.NOT_FOUND, "no such volume")
            snapshot = csi.Snapshot(
                snapshot_id=f"id-of-{request.name}",
                source_volume_id=request.source_volume_id,
                size_bytes=1 << 30,
                creation_time=Timestamp(seconds=CUT_SECONDS),
                ready_to_use=True,
            )
            self.shape(snapshot)
            self.snapshots[request.name] = snapshot
        return csi.CreateSnapshotResponse(snapshot=self.snapshots[request.name])

    def _drop(self, request: csi.DeleteSnapshotRequest) -> csi.DeleteSnapshotResponse:
        kept = {name: one for name, one in self.snapshots.items() if one.snapshot_id != request.snapshot_id}
        self.snapshots = kept
        return csi.DeleteSnapshotResponse()

    def _list(self, request: csi.ListSnapshotsRequest) -> csi.ListSnapshotsResponse:
        found = [one for one in self.snapshots.values() if request.snapshot_id in ("", one.snapshot_id)]
        return csi.ListSnapshotsResponse(entries=[csi.ListSnapshotsResponse.Entry(snapshot=one) for one in found])

    def handles(self) -> set[str]:
        return {one.snapshot_id for one in self.snapshots.values()}
