"""Whose turn it is: a claim that a pod waits for comes before others, in the queue and at the gate (BINDER-6)."""

from __future__ import annotations

import asyncio

from tests.controllers.binder.test_histories import NAMESPACE, Running
from tests.controllers.binder.test_settling import Slow, bring, claims, volumes
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.binder.controller import CONCURRENT_SYNCS_MAX
from pvbinder.kube.window import FIRST
from pvbinder.kube.write_gate import WriteGate
from pvbinder.model.json import Json

BACKLOG = 2 * CONCURRENT_SYNCS_MAX


def pod(claim: str) -> Json:
    uses = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    metadata = {"name": "web", "namespace": NAMESPACE, "uid": "web"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"volumes": [uses], "containers": []}}


def bound_in_order(cluster: Slow) -> list[str]:
    """The claims, as their status was written."""
    return [r.path.split("/")[-2] for r in cluster.writes if "claims/" in r.path and r.path.endswith("/status")]


@on_virtual_time
async def test_binder_6_a_claim_that_comes_after_its_pod_needs_not_queue() -> None:
    cluster = Slow()
    awaited = f"claim-{BACKLOG}"
    cluster.announce("ADDED", pod(awaited))  # so no event of the pod's speeds it up
    running = Running(cluster)
    await running.start()
    await asyncio.sleep(1)
    bring(cluster, volumes(*[1] * (BACKLOG + 1)))
    await asyncio.sleep(1)
    bring(cluster, claims(*[1] * (BACKLOG + 1)))
    await asyncio.sleep(10)
    await running.stop()
    order = bound_in_order(cluster)
    assert len(order) == BACKLOG + 1
    assert order.index(awaited) <= CONCURRENT_SYNCS_MAX, "those in work at once come before it, no other does"


@on_virtual_time
async def test_binder_6_a_claim_in_the_queue_is_moved_forward_when_its_pod_comes() -> None:
    cluster = Slow()
    awaited = f"claim-{BACKLOG}"
    bring(cluster, volumes(*[1] * (BACKLOG + 1)))
    running = Running(cluster)
    await running.start()
    await asyncio.sleep(1)
    cluster.seconds_of = lambda _: 0.1
    bring(cluster, claims(*[1] * (BACKLOG + 1)))
    await asyncio.sleep(0.05)  # the first ones are in work, the others wait
    cluster.announce("ADDED", pod(awaited))
    await asyncio.sleep(10)
    await running.stop()
    assert bound_in_order(cluster).index(awaited) <= CONCURRENT_SYNCS_MAX


@on_virtual_time
async def test_binder_6_the_writes_for_a_claim_that_a_pod_waits_for_come_first_at_the_gate() -> None:
    cluster = Slow()
    claimed = CONCURRENT_SYNCS_MAX  # all of them are in work at once, more than the gate lets through
    awaited = f"claim-{claimed - 1}"
    bring(cluster, volumes(*[1] * claimed))
    running = Running(cluster)
    running.cluster = WriteGate().before(cluster)  # type: ignore[assignment]
    await running.start()
    await asyncio.sleep(1)
    cluster.announce("ADDED", pod(awaited))
    await asyncio.sleep(1)
    cluster.seconds_of = lambda _: 0.1
    bring(cluster, claims(*[1] * claimed))
    await asyncio.sleep(10)
    await running.stop()
    written = [r.path for r in cluster.writes]
    assert len(written) == 5 * claimed
    last = written.index(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/{awaited}/status") - claimed
    assert last < 4 * FIRST, "in each of its four rounds it was among those let in, however many waited"
