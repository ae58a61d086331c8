"""The audit of `pvbinder controller`: its samples, and what a failed one costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.insight.builders import claim, storage_class, volume

from pvbinder.cli.auditing import Auditing
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import metadata_of
from pvbinder.metrics.metrics import Metrics
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

ADMIN = UserInfo("admin", groups=("system:masters", "system:authenticated"))
DOCUMENTS = (claim(), storage_class(name="slow"), volume("disk", "5Gi"))


@asynccontextmanager
async def served() -> AsyncIterator[Client]:
    load = [("the test", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})]
    load += [("the test", each) for each in DOCUMENTS]
    async with EmbeddedServer(listen=False, load=load) as server:
        yield Client(InProcessTransport(server.dispatcher, ADMIN), retries=Retries(attempts=1))


async def text(auditing: Auditing) -> str:
    return (await Metrics([auditing]).text()).decode()


async def test_auditing_1_the_cluster_is_read_anew_each_time() -> None:
    async with served() as client:
        auditing = Auditing(client, 3600)
        await auditing.look()
        await client.delete(metadata_of(PERSISTENT_VOLUME_CLAIMS), "orders", "shop")
        await auditing.look()
        shown = await text(auditing)
    assert 'pvbinder_finding{code="PVB102",level="error"} 0' in shown


async def test_auditing_3_a_code_has_a_sample_once_the_cluster_was_audited() -> None:
    async with served() as client:
        auditing = Auditing(client, 3600)
        assert "pvbinder_finding" not in await text(auditing)
        await auditing.look()
        shown = await text(auditing)
    assert 'pvbinder_finding{code="PVB102",level="error"} 1' in shown
    assert 'pvbinder_finding{code="PVB203",level="error"} 0' in shown


class Refusing(Auditing):
    """Audits of which the second fails."""

    looks = 0

    async def look(self) -> None:
        self.looks += 1
        if self.looks == 2:
            self.failed.set()
            raise PvbinderError("the cluster doesn't answer")
        await super().look()

    failed: asyncio.Event


async def test_auditing_2_a_failed_audit_leaves_the_samples_of_the_last_one() -> None:
    async with served() as client:
        auditing = Refusing(client, 0.001)
        auditing.failed = asyncio.Event()
        task = asyncio.create_task(auditing.run())
        await asyncio.wait_for(auditing.failed.wait(), 30)
        shown = await text(auditing)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert 'pvbinder_finding{code="PVB102",level="error"} 1' in shown
