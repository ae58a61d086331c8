"""Snapshots, and claims restored from them, through the local driver, with all controllers and their own rights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.controllers.cluster import claim
from tests.controllers.csi.snapshotter.snapshot_stage import snapshot_class
from tests.controllers.csi.test_preparing import RESTORE
from tests.plane.test_control_plane import options

from pvbinder.controllers.csi.declaration import LOCAL
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOT_CLASSES, SNAPSHOTS
from pvbinder.csi.local.driver import local_driver
from pvbinder.csi.local.options import LocalDriver
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES
from pvbinder.plane.control_plane import control_plane

DEADLINE_SECONDS = 40
NAME = "local.csi.pvbinder.io"
GI = 1 << 30


async def until(client: Client, kind: Any, name: str, question: Callable[[Any], bool]) -> Any:
    while not question(found := await client.get(kind, name, "default")):
        await asyncio.sleep(0.05)
    return found


async def until_none(client: Client, kind: Any) -> None:
    while await client.list_all(kind):
        await asyncio.sleep(0.05)


def kept_in(root: Path) -> set[str]:
    """What is in the folders of volumes and snapshots."""
    return {entry.name for folder in ("volumes", "snapshots") for entry in (root / folder).iterdir()}


@pytest.mark.slow
async def test_what_is_in_a_claim_is_in_the_claim_that_is_restored_from_its_snapshot(tmp_path: Path) -> None:
    """SN-12, SN-13, SN-17, SK-5, SK-8, DS-8, DS-11; ROLE-3"""
    address, root = f"unix://{tmp_path}/csi.sock", tmp_path / "root"
    local = LocalDriver(address, root, "here", capacity_bytes=10 * GI, how="link")
    chosen = replace(options(tmp_path / "data", controllers=f"*,-{LOCAL}"), csi_drivers=(address,))
    async with asyncio.timeout(DEADLINE_SECONDS), local_driver(local), control_plane(chosen) as plane:
        client = Client(plane.transport)
        await client.create(STORAGE_CLASSES, {"metadata": {"name": "fast"}, "provisioner": NAME})
        await client.create(SNAPSHOT_CLASSES, snapshot_class(driver=NAME, is_default=True))
        await client.create(CLAIMS, claim("orders", storageClassName="fast"))
        await until(client, CLAIMS, "orders", lambda found: found.phase == "Bound")
        (folder,) = (root / "volumes").iterdir()
        (folder / "data" / "orders.txt").write_text("42 pears")

        spec = {"source": {"persistentVolumeClaimName": "orders"}}
        await client.create(SNAPSHOTS, {"metadata": {"name": "s", "namespace": "default"}, "spec": spec})
        ready = await until(client, SNAPSHOTS, "s", lambda found: found.is_ready)
        assert ready.status.restore_size == "1Gi"
        (folder / "data" / "orders.txt").write_text("nothing left")
        before = kept_in(root)

        await client.create(CLAIMS, claim("copy", storageClassName="fast", dataSource=RESTORE))
        await until(client, CLAIMS, "copy", lambda found: found.phase == "Bound")
        (made,) = kept_in(root) - before
        assert (root / "volumes" / made / "data" / "orders.txt").read_text() == "42 pears"

        await client.delete(CLAIMS, "orders", "default")
        await client.delete(SNAPSHOTS, "s", "default")
        await client.delete(CLAIMS, "copy", "default")
        for kind in (SNAPSHOTS, CONTENTS, CLAIMS, VOLUMES):
            await until_none(client, kind)
        assert kept_in(root) == set()
