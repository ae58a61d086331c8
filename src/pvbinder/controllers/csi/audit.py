"""The volumes and snapshots of a driver, compared with the objects of the cluster.

AUDIT-1  What is made, saved or deleted meanwhile is no difference: the driver is asked first, then which requests are
         open, then the cluster, and about what seems to be left over the driver once more.
AUDIT-2  A list is whole or the audit fails: all pages, and a page that repeats itself or a token that leads back is an
         error.
AUDIT-3  It writes nothing; `delete` removes one orphan from the driver, and does so only after a new look at
         everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from msgspec import Struct

from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.intents import LABEL
from pvbinder.controllers.csi.preparing import CONTENTS
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.csi.wire.methods import Method
from pvbinder.kube.client import Client
from pvbinder.kube.discovery import discover
from pvbinder.kube.kinds import VOLUMES, metadata_of
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS
from pvbinder.rules.csi.audit import Audit, DriverEntry, Named, compare, confirmed

PAGE_ENTRIES_MAX: Final = 500
RESTARTS_MAX: Final = 3  # of a list whose token the driver doesn't know any more
_SNAPSHOTS: Final = re.compile("^pvbinder-csi-snapshots-")

R = TypeVar("R", bound=Message)


class AuditError(PvbinderError):
    """No comparison can be made."""


class AuditFindings(Struct, frozen=True):
    """Both comparisons; None where the driver can't list them, or the cluster doesn't know the kind, and `why` not."""

    driver: str
    volumes: Audit | None
    snapshots: Audit | None
    requests_open: int
    why: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether driver and cluster agree, as far as was looked."""
        return all(one is None or one.is_clean for one in (self.volumes, self.snapshots))


class Auditor:
    """Compares one driver with one cluster."""

    def __init__(self, client: Client, driver: Driver, info: DriverInfo, lists: frozenset[str]) -> None:
        """`lists` are the driver's capabilities of its controller, by name."""
        self._client = client
        self._driver = driver
        self._info = info
        self._lists = lists

    async def look(self) -> AuditFindings:
        """Compare (AUDIT-1); raise AuditError, CallFailed, ApiFailure, ConnectionFailed."""
        why: list[str] = []
        volumes = snapshots = None
        if "LIST_VOLUMES" in self._lists:
            volumes = await self._stored_volumes()
        else:
            why.append("the driver can't list its volumes (LIST_VOLUMES)")
        if "LIST_SNAPSHOTS" in self._lists:
            snapshots = await self._stored_snapshots()
        else:
            why.append("the driver can't list its snapshots (LIST_SNAPSHOTS)")
        open_volumes, open_snapshots = await self._requests_open()
        found_volumes = found_snapshots = None
        if volumes is not None:
            found_volumes = compare(volumes.values(), await self._named_volumes(), open_volumes)
            if found_volumes.orphans:
                found_volumes = confirmed(found_volumes, await self._stored_volumes())
        if snapshots is not None:
            contents = await self._named_snapshots()
            if contents is None:
                why.append("the API server has no snapshots (VolumeSnapshotContent)")
            else:
                found_snapshots = compare(snapshots.values(), contents, open_snapshots)
                if found_snapshots.orphans:
                    found_snapshots = confirmed(found_snapshots, await self._stored_snapshots())
        if found_volumes is None and found_snapshots is None:
            raise AuditError(f"driver {self._info.name} can't be compared: {'; '.join(why)}")
        return AuditFindings(self._info.name, found_volumes, found_snapshots, open_volumes + open_snapshots, tuple(why))

    async def delete_volume(self, volume_id: str) -> None:
        """Have the driver delete a volume that nothing names; raise CallFailed."""
        await self._driver.call(methods.DELETE_VOLUME, csi.DeleteVolumeRequest(volume_id=volume_id))

    async def delete_snapshot(self, snapshot_id: str) -> None:
        """Have the driver delete a snapshot that nothing names; raise CallFailed."""
        await self._driver.call(methods.DELETE_SNAPSHOT, csi.DeleteSnapshotRequest(snapshot_id=snapshot_id))

    # -- the driver

    async def _stored_volumes(self) -> dict[str, DriverEntry]:
        def read(answer: csi.ListVolumesResponse) -> list[DriverEntry]:
            return [
                DriverEntry(
                    one.volume.volume_id,
                    one.volume.capacity_bytes,
                    one.status.volume_condition.message if one.status.volume_condition.abnormal else "",
                )
                for one in answer.entries
            ]

        return await self._whole_list(methods.LIST_VOLUMES, csi.ListVolumesRequest, read)

    async def _stored_snapshots(self) -> dict[str, DriverEntry]:
        def read(answer: csi.ListSnapshotsResponse) -> list[DriverEntry]:
            return [DriverEntry(one.snapshot.snapshot_id, one.snapshot.size_bytes) for one in answer.entries]

        return await self._whole_list(methods.LIST_SNAPSHOTS, csi.ListSnapshotsRequest, read)

    async def _whole_list(
        self, method: Method[Any, R], request: Callable[..., Any], read: Callable[[R], list[DriverEntry]]
    ) -> dict[str, DriverEntry]:
        """Return what a list has, by id, from all of its pages (AUDIT-2)."""
        for _ in range(RESTARTS_MAX):
            try:
                return await self._pages(method, request, read)
            except CallFailed as failed:  # Aborted: the token is too old, so the list begins anew
                if failed.code is not Code.ABORTED:
                    raise
        raise AuditError(f"{method.name}: the list changes while it is read, {RESTARTS_MAX} times in a row")

    async def _pages(
        self, method: Method[Any, R], request: Callable[..., Any], read: Callable[[R], list[DriverEntry]]
    ) -> dict[str, DriverEntry]:
        found: dict[str, DriverEntry] = {}
        tokens: set[str] = set()
        token = ""
        while True:
            answer = await self._driver.call(method, request(max_entries=PAGE_ENTRIES_MAX, starting_token=token))
            for one in read(answer):
                if not one.id:
                    raise AuditError(f"{method.name}: the driver lists one without an id")
                found[one.id] = one
            token = str(getattr(answer, "next_token", ""))
            if not token:
                return found
            if token in tokens:
                raise AuditError(f"{method.name}: the driver's pages lead in a circle: token {token!r} came twice")
            tokens.add(token)

    # -- the cluster

    async def _requests_open(self) -> tuple[int, int]:
        """How many requests for volumes and for snapshots are written down, and not settled."""
        label = re.sub(r"[^A-Za-z0-9_.-]", "-", self._info.name)[:63]
        volumes = snapshots = 0
        async for page in self._client.pages(metadata_of(CONFIG_MAPS), label_selector=f"{LABEL}={label}"):
            for one in page.items:
                count = len(one.document().get("data") or {})
                if _SNAPSHOTS.match(one.name):
                    snapshots += count
                else:
                    volumes += count
        return volumes, snapshots

    async def _named_volumes(self) -> list[Named]:
        found: list[Named] = []
        async for page in self._client.pages(VOLUMES):
            for one in page.items:
                if one.csi is not None and one.csi.driver == self._info.name:
                    going = one.is_deleting or (one.phase == "Released" and one.reclaim_policy == "Delete")
                    found.append(Named(one.name, one.csi.volume_handle or "", going))
            if page.unreadable:
                raise AuditError(f"{len(page.unreadable)} PersistentVolumes can't be read: what they name isn't known")
        return found

    async def _named_snapshots(self) -> list[Named] | None:
        if (await discover(self._client)).find(CONTENTS.resource.group, CONTENTS.resource.kind) is None:
            return None
        found: list[Named] = []
        async for page in self._client.pages(CONTENTS):
            for one in page.items:
                document = one.document()
                spec: Json = document.get("spec") or {}
                handle = (document.get("status") or {}).get("snapshotHandle")
                handle = handle or (spec.get("source") or {}).get("snapshotHandle")
                if spec.get("driver") == self._info.name and handle:
                    found.append(Named(one.name, handle, one.is_deleting))
            if page.unreadable:
                raise AuditError(f"{len(page.unreadable)} VolumeSnapshotContents can't be read")
        return found
