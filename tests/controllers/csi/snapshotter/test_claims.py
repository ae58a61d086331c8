"""Claims that snapshots are taken of."""

from __future__ import annotations

import asyncio

from tests.controllers.csi.snapshotter.snapshot_driver import SnapshotDriver
from tests.controllers.csi.snapshotter.snapshot_stage import snapshot_stage
from tests.controllers.csi.snapshotter.test_taking import fails
from tests.virtual_time import on_virtual_time

from pvbinder.csi.errors import Code
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.objects import ClaimKey
from pvbinder.rules.csi.snapshots.names import CLAIM_FINALIZER


@on_virtual_time
async def test_snapshot_claims_1_a_claim_stays_until_its_snapshot_is_ready() -> None:  # SN-10, SN-19
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        driver.before = fails(Code.INTERNAL)
        await s.take()
        await s.until_failed("code = Internal")
        await s.cluster.client.delete(CLAIMS, "orders", "default")
        await asyncio.sleep(60)
        assert CLAIM_FINALIZER in s.claim_finalizers()
        assert driver.volumes
        driver.before = lambda _: None
        await asyncio.sleep(300)
        await s.until_ready()
        await s.cluster.until(lambda: "default/orders" not in s.cluster.of(CLAIMS))


@on_virtual_time
async def test_snapshot_claims_1_a_false_list_lets_no_claim_go() -> None:  # SN-19
    driver = SnapshotDriver()
    async with snapshot_stage(driver) as s:
        await s.take("done")
        await s.until_ready("done")
        driver.before = fails(Code.INTERNAL)
        await s.take()
        await s.until_failed("code = Internal")

        def false_list(request: Request) -> Answer | None:
            if request.method == "GET" and request.path.endswith("/default/volumesnapshots"):
                body = (
                    b'{"kind":"VolumeSnapshotList","apiVersion":"snapshot.storage.k8s.io/v1","metadata":{},"items":[]}'
                )
                return Answer(200, body)
            return None

        s.cluster.line.before = false_list
        s.snapshotter.source_claims.look_at(ClaimKey("default/orders"))
        await s.delete("done")
        await asyncio.sleep(60)
        assert CLAIM_FINALIZER in s.claim_finalizers()


@on_virtual_time
async def test_snapshot_claims_2_a_claim_is_let_go_whose_snapshot_went_while_nobody_looked() -> None:  # SN-19
    async with snapshot_stage() as s:
        await s.cluster.stop()

        def protect(document: dict[str, object]) -> None:
            metadata = document["metadata"]
            assert isinstance(metadata, dict)
            metadata["finalizers"].append(CLAIM_FINALIZER)

        await s.change(CLAIMS, "orders", protect, "default")
        await s.cluster.start()
        await s.cluster.until(lambda: CLAIM_FINALIZER not in s.claim_finalizers())
