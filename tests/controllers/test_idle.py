"""A settled cluster costs no request: all controllers on the embedded server, for virtual hours.

A claim that nothing fits is not settled: it is told so at every resync, as the reference does.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from tests.controllers.cluster import claim, cluster, pod, using, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS
from pvbinder.kube.kinds import CLAIMS, VOLUMES

HOURS_SECONDS = 3 * 3600.0
ALL = ControllerOptions(controllers=",".join(declaration.name for declaration in CONTROLLERS))


@pytest.mark.slow
@on_virtual_time
async def test_hours_of_nothing_are_hours_without_requests() -> None:
    async with cluster(ALL) as c:
        await c.create(
            volume("bound", storageClassName="x"),
            claim("orders", storageClassName="x"),
            pod("shop", using("orders"), node="n1"),
            volume("retained", storageClassName="y"),
            claim("old", storageClassName="y"),
            volume("free", storageClassName="y"),
        )
        await c.until(lambda: Counter(v.phase for v in c.of(CLAIMS))["Bound"] == 2)
        await c.client.delete(CLAIMS, "old", "default")
        await c.client.delete(CLAIMS, "orders", "default")  # stays: a pod uses it
        await c.until(lambda: "Released" in {v.phase for v in c.of(VOLUMES)})
        await asyncio.sleep(600)  # the last events are told; pods of missing nodes are gone

        before = Counter(r.method for r in c.line.seen)
        lists = {name: statistics.lists for name, statistics in c.manager.informers.statistics().items()}
        await asyncio.sleep(HOURS_SECONDS)

        assert Counter(r.method for r in c.line.seen) == before
        assert {name: statistics.lists for name, statistics in c.manager.informers.statistics().items()} == lists
