"""The audit beside a real server, of a driver with pages, requests under way, and nonsense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.controllers.cluster import volume as plain_volume
from tests.controllers.csi.fake_driver import INFO, NAME, FakeDriver
from tests.controllers.csi.stage import CONFIG, Stage, stage
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.audit import AuditError, Auditor
from pvbinder.controllers.csi.intents import LABEL
from pvbinder.controllers.csi.preparing import CONTENTS
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.csi.wire.methods import Method
from pvbinder.kube.kinds import VOLUMES
from pvbinder.model.json import Json

BOTH = frozenset({"LIST_VOLUMES", "LIST_SNAPSHOTS"})


class Listing(FakeDriver):
    """A driver that lists two entries a page."""

    def __init__(self, volumes: list[str], snapshots: list[str]) -> None:
        super().__init__()
        self.ids, self.snapshots = volumes, snapshots
        self.next: Callable[[str], str] = lambda token: token
        self.on_list: Callable[[], None] = lambda: None

    async def call(self, method: Method[Any, Any], request: Any, *, timeout_seconds: float | None = None) -> Any:
        if method is methods.LIST_VOLUMES:
            self.on_list()
            page, token = self._page(self.ids, request.starting_token)
            entry = csi.ListVolumesResponse.Entry
            entries = [entry(volume=csi.Volume(volume_id=one, capacity_bytes=5)) for one in page]
            return csi.ListVolumesResponse(entries=entries, next_token=token)
        if method is methods.LIST_SNAPSHOTS:
            page, token = self._page(self.snapshots, request.starting_token)
            made = [csi.ListSnapshotsResponse.Entry(snapshot=csi.Snapshot(snapshot_id=one)) for one in page]
            return csi.ListSnapshotsResponse(entries=made, next_token=token)
        self.seen.append((method.name, request))
        return method.response()

    def _page(self, ids: list[str], token: str) -> tuple[list[str], str]:
        start = int(token or 0)
        more = str(start + 2) if start + 2 < len(ids) else ""
        return ids[start : start + 2], self.next(more)


async def name_volume(s: Stage, name: str, handle: str, driver: str = NAME) -> None:
    source: Json = {"driver": driver, "volumeHandle": handle}
    document = plain_volume(name, csi=source)
    del document["spec"]["hostPath"]
    await s.cluster.client.create(VOLUMES, document)


async def name_snapshot(s: Stage, name: str, handle: str) -> None:
    spec: Json = {
        "driver": NAME,
        "deletionPolicy": "Retain",
        "source": {"snapshotHandle": handle},
        "volumeSnapshotRef": {"name": "s", "namespace": "default"},
    }
    await s.cluster.client.create(CONTENTS, {"metadata": {"name": name}, "spec": spec})


def auditor(s: Stage, driver: FakeDriver, lists: frozenset[str] = BOTH) -> Auditor:
    return Auditor(s.cluster.client, driver, INFO, lists)


@on_virtual_time
async def test_audit_2_all_pages_are_compared_with_all_objects() -> None:
    driver = Listing([f"v{number}" for number in range(7)], ["s0", "s1", "s2"])
    async with stage(driver, chosen="") as s:
        for number in range(6):
            await name_volume(s, f"pv-{number}", f"v{number}")
        await name_volume(s, "other", "v6", "other.csi.example.com")
        await name_volume(s, "lost", "v99")
        await name_snapshot(s, "content", "s1")
        found = await auditor(s, driver).look()
        assert found.volumes is not None
        assert found.snapshots is not None
        assert [one.id for one in found.volumes.orphans] == ["v6"]
        assert [one.object for one in found.volumes.missing] == ["lost"]
        assert [one.id for one in found.snapshots.orphans] == ["s0", "s2"]
        assert not found.is_clean
        assert driver.seen == []  # nothing but lists


@on_virtual_time
async def test_audit_1_what_is_under_way_is_no_orphan() -> None:
    driver = Listing(["v0", "v1"], ["s0"])
    async with stage(driver, chosen="") as s:
        await name_volume(s, "pv", "v0")
        labels = {LABEL: NAME}
        metadata: Json = {"name": f"pvbinder-csi-volumes-{NAME}-0", "namespace": "default", "labels": labels}
        await s.cluster.client.create(CONFIG, {"metadata": metadata, "data": {"uid": "{}"}})
        found = await auditor(s, driver).look()
        assert found.volumes is not None
        assert found.snapshots is not None
        assert found.volumes.orphans == ()
        assert [one.id for one in found.volumes.unsettled] == ["v1"]
        assert [one.id for one in found.snapshots.orphans] == ["s0"]  # no request for a snapshot is open
        assert found.requests_open == 1


@on_virtual_time
async def test_audit_1_what_the_driver_deletes_meanwhile_is_no_orphan() -> None:
    driver = Listing(["v0"], [])
    lists = 0

    def deleted_meanwhile() -> None:
        nonlocal lists
        lists += 1
        if lists == 2:
            driver.ids = []

    driver.on_list = deleted_meanwhile
    async with stage(driver, chosen="") as s:
        assert (await auditor(s, driver).look()).is_clean


@on_virtual_time
async def test_audit_2_a_list_that_is_not_whole_is_an_error() -> None:
    async with stage(chosen="") as s:
        circle = Listing(["v0", "v1", "v2"], [])
        circle.next = lambda _: "0"
        with pytest.raises(AuditError, match="lead in a circle"):
            await auditor(s, circle).look()
        nameless = Listing([""], [])
        with pytest.raises(AuditError, match="without an id"):
            await auditor(s, nameless).look()
        with pytest.raises(AuditError, match=r"can't list its volumes.*can't list its snapshots"):
            await auditor(s, nameless, frozenset()).look()


@on_virtual_time
async def test_audit_2_a_list_whose_token_is_too_old_begins_anew() -> None:
    driver = Listing(["v0"], [])
    times = 0

    def aborted() -> None:
        nonlocal times
        times += 1
        if times <= 2:
            raise CallFailed(Code.ABORTED, "the token is too old")

    driver.on_list = aborted
    async with stage(driver, chosen="") as s:
        await name_volume(s, "pv", "v0")
        assert (await auditor(s, driver).look()).is_clean
        times = -100
        with pytest.raises(AuditError, match="changes while it is read"):
            await auditor(s, driver).look()


@on_virtual_time
async def test_audit_3_an_orphan_is_deleted_by_its_id() -> None:
    driver = Listing(["v0"], ["s0"])
    async with stage(driver, chosen="") as s:
        here = auditor(s, driver)
        await here.delete_volume("v0")
        await here.delete_snapshot("s0")
        assert [(name, getattr(one, "volume_id", "") or one.snapshot_id) for name, one in driver.seen] == [
            ("DeleteVolume", "v0"),
            ("DeleteSnapshot", "s0"),
        ]
