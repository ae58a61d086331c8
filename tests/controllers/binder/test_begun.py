"""A volume whose claim is gone in the middle of the bind is given back with its data (BEGUN-1, BEGUN-2)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.controllers.binder.test_controller import binder_of, until_volume
from tests.controllers.binder.test_provisioner import operations_done, options
from tests.controllers.binder.test_recycler_pods import delete_claim
from tests.controllers.cluster import Cluster, claim, cluster, volume
from tests.virtual_time import on_virtual_time

from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import VOLUMES
from pvbinder.kube.transport import Request

DISK = "disk-1"


async def offer(c: Cluster, root: Path, name: str = "orders") -> Path:
    """A volume that would be deleted with its storage, and a claim that fits."""
    directory = root / DISK
    directory.mkdir()
    await c.create(volume(DISK, hostPath={"path": str(directory)}, persistentVolumeReclaimPolicy="Delete"))
    await until_volume(c, DISK, "Available")
    await c.create(claim(name))
    return directory


def is_put(request: Request, ending: str) -> bool:
    return request.method == "PUT" and request.path.endswith(ending)


@pytest.mark.parametrize("write", [f"/persistentvolumes/{DISK}", f"/persistentvolumes/{DISK}/status"])
@on_virtual_time
async def test_begun_1_a_claim_deleted_in_the_middle_of_its_bind_costs_no_volume(tmp_path: Path, write: str) -> None:
    async with cluster(options(tmp_path)) as c:
        deleted: list[str] = []

        async def delete(request: Request) -> None:
            reserved = c.of(VOLUMES)[DISK].claim_ref is not None or write.endswith(DISK)
            if is_put(request, write) and reserved and not deleted:
                deleted.append(write)
                await delete_claim(c)

        c.line.after_waiting = delete
        directory = await offer(c, tmp_path)
        await c.until(lambda: bool(deleted) and c.of(VOLUMES)[DISK].claim_ref is None)
        await c.settle()

        assert c.of(VOLUMES)[DISK].phase == "Available"
        assert directory.is_dir()
        assert len(binder_of(c).binder.begun) == 0


@on_virtual_time
async def test_begun_1_a_lost_answer_to_the_reservation_costs_no_volume(tmp_path: Path) -> None:
    async with cluster(options(tmp_path)) as c:
        lost: list[str] = []

        async def lose(request: Request) -> None:
            if is_put(request, DISK) and not lost:
                lost.append(request.path)
                await delete_claim(c)
                raise ConnectionFailed("the answer was lost")

        c.line.after_waiting = lose
        directory = await offer(c, tmp_path)
        await c.until(lambda: bool(lost) and c.of(VOLUMES)[DISK].claim_ref is None)
        await c.settle()

        assert c.of(VOLUMES)[DISK].phase == "Available"
        assert directory.is_dir()


@on_virtual_time
async def test_begun_2_a_claim_that_may_have_named_the_volume_is_released_as_ever(tmp_path: Path) -> None:
    async with cluster(options(tmp_path)) as c:
        lost: list[str] = []

        async def lose(request: Request) -> None:
            if is_put(request, "/persistentvolumeclaims/orders") and not lost:
                lost.append(request.path)
                await delete_claim(c)
                raise ConnectionFailed("the answer was lost")

        c.line.after_waiting = lose
        directory = await offer(c, tmp_path)
        await c.until(lambda: bool(lost) and c.of(VOLUMES)[DISK].phase == "Released")
        await operations_done(c)

        assert not directory.exists()


@on_virtual_time
async def test_begun_2_a_claim_that_was_bound_is_released_as_ever(tmp_path: Path) -> None:
    async with cluster(options(tmp_path)) as c:
        directory = await offer(c, tmp_path)
        await until_volume(c, DISK, "Bound")
        await c.settle()
        assert len(binder_of(c).binder.begun) == 0
        await delete_claim(c)
        await c.until(lambda: c.of(VOLUMES)[DISK].phase == "Released")
        await operations_done(c)

        assert not directory.exists()
