"""An awake local driver that has nothing to do costs nothing: for virtual hours, with all that is done for it.

The driver and its sidecar are those of `pvbinder up`; only the process and the socket between
them are left out, on which no virtual time would pass.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
from tests.controllers.cluster import Cluster, claim, cluster
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.built_in import BuiltInDriver, LocalPlace
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.csi.sidecar import CsiSidecar
from pvbinder.controllers.csi.snapshotter.kinds import SNAPSHOT_CLASSES, SNAPSHOTS
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.csi.driver import Driver
from pvbinder.csi.local.driver import local_driver
from pvbinder.csi.local.options import LocalDriver
from pvbinder.kube.client import Kind
from pvbinder.kube.kinds import CLAIMS
from pvbinder.model.json import Json
from pvbinder.plane.control_plane import SIDECAR

HOURS_SECONDS = 3 * 3600.0
NAME = "local.csi.pvbinder.io"
SETTINGS = ControllerOptions(controllers="*,local-csi-driver")
CLASS: Json = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "local-immediate"},
    "provisioner": NAME,
}
WATCHED: tuple[Kind[Any], ...] = (SNAPSHOTS, SNAPSHOT_CLASSES)
SNAPSHOT: Json = {
    "metadata": {"name": "monday", "namespace": "default"},
    "spec": {"volumeSnapshotClassName": "snapshots", "source": {"persistentVolumeClaimName": "orders"}},
}


class Wire:
    """What the driver answers with, and the calls that came."""

    def __init__(self) -> None:
        self.handlers: Any = {}
        self.calls: Counter[str] = Counter()

    @asynccontextmanager
    async def serving(self, _address: str, handlers: Any) -> AsyncGenerator[None]:
        self.handlers = handlers
        yield


class Direct(Driver):
    """Calls without a socket."""

    def __init__(self, wire: Wire, address: str, **_: Any) -> None:
        super().__init__(address)
        self._wire = wire

    async def __aenter__(self) -> Self:
        return self

    async def call(self, method: Any, request: Any, *, timeout_seconds: float | None = None) -> Any:
        self._wire.calls[method.name] += 1
        return await self._wire.handlers[method](request)


class Endless:
    """A process that doesn't end."""

    async def ended(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError


@asynccontextmanager
async def in_this_process(options: LocalDriver) -> AsyncGenerator[Endless]:
    async with local_driver(options):
        yield Endless()


def is_bound(c: Cluster, name: str) -> bool:
    return f"default/{name}" in c.of(CLAIMS) and c.of(CLAIMS)[f"default/{name}"].phase == "Bound"


@pytest.mark.slow
def test_hours_of_nothing_with_an_awake_driver_are_hours_without_requests_and_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, drivers = Wire(), NodeDrivers()
    monkeypatch.setattr("pvbinder.csi.local.driver.serving", wire.serving)
    monkeypatch.setattr("pvbinder.controllers.csi.served_driver.Driver", partial(Direct, wire))
    place = LocalPlace(tmp_path / "csi" / "local", tmp_path / "csi" / "local.sock", "node-1")

    def sidecar(context: ControllerContext) -> Controller:
        return CsiSidecar(context, place.address, SIDECAR, open_driver=partial(Direct, wire))

    def built_in(context: ControllerContext) -> Controller:
        return BuiltInDriver(context, place, sidecar, drivers, open_driver=in_this_process)

    known = (
        *(one for one in CONTROLLERS if one.name != "local-csi-driver"),
        ControllerDeclaration("local-csi-driver", user="", make=built_in),
    )

    @on_virtual_time
    async def story() -> None:
        async with cluster(SETTINGS, known, watched=WATCHED) as c:
            drivers.open()
            await c.create(CLASS, claim("orders", storageClassName="local-immediate"))
            snapshots = {"metadata": {"name": "snapshots"}, "driver": NAME, "deletionPolicy": "Delete"}
            await c.client.create(SNAPSHOT_CLASSES, snapshots)
            await c.until(lambda: is_bound(c, "orders"))
            await c.client.create(SNAPSHOTS, SNAPSHOT)
            await c.until(lambda: any(one.is_ready for one in c.of(SNAPSHOTS)))
            source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "monday"}
            await c.create(claim("restored", storageClassName="local-immediate", dataSource=source))
            await c.until(lambda: is_bound(c, "restored"))
            await asyncio.sleep(600)  # the last events are told, the last intents settled

            before, calls = Counter(r.method for r in c.line.seen), wire.calls.copy()
            lists = {name: one.lists for name, one in c.manager.informers.statistics().items()}
            await asyncio.sleep(HOURS_SECONDS)
            assert Counter(r.method for r in c.line.seen) == before
            assert {name: one.lists for name, one in c.manager.informers.statistics().items()} == lists
            assert wire.calls == calls
            assert {"CreateVolume", "CreateSnapshot"} <= calls.keys()

    story()
