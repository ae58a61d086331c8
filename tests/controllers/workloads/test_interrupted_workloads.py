"""Every write of the workloads' controllers loses its answer, or is the last one of a life: the end is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.controllers.cluster import Cluster
from tests.controllers.test_interrupted import FailingOnce, tell_with_a_death
from tests.controllers.workloads.small import (
    DEPLOYMENTS,
    REPLICA_SETS,
    change,
    deployment,
    images,
    template,
    until_rolled_out,
    until_status,
    workloads,
)
from tests.controllers.workloads.test_daemon_sets import daemon_set
from tests.controllers.workloads.test_jobs import is_over, job
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.workloads.daemon_sets import DAEMON_SETS
from pvbinder.controllers.workloads.jobs import JOBS
from pvbinder.controllers.workloads.revisions import REVISIONS
from pvbinder.kube.client import Kind
from pvbinder.kube.kinds import PODS
from pvbinder.model.json import Json
from pvbinder.model.workloads import Workload

Story = Callable[[Cluster], Coroutine[Any, Any, None]]
HERE = {"nodeName": "node-1"}
COUNTED = [
    *("replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "succeeded", "failed", "active"),
    *("desiredNumberScheduled", "numberReady", "updatedNumberScheduled", "uncountedTerminatedPods"),
]


async def a_deployment_rolls(c: Cluster) -> None:
    """A new template comes, and the old replica set is one too many."""
    await c.client.create(
        DEPLOYMENTS, deployment("web", 1, template=template("web", "web:1", **HERE), revisionHistoryLimit=0)
    )
    await until_rolled_out(c, "web", 1)
    await change(c, DEPLOYMENTS, "web", {"spec": {"template": template("web", "web:2", **HERE)}})
    await c.until(lambda: images(c, "web") == {"web:2"} and len(c.of(PODS)) == 1)
    await until_rolled_out(c, "web", 1)


async def a_job_runs(c: Cluster) -> None:
    """Two pods, one after the other."""
    manifest = job(completions=2, parallelism=1)
    manifest["spec"]["template"]["spec"] |= HERE
    await c.client.create(JOBS, manifest)
    await until_status(c, JOBS, "sums", is_over)
    await c.until(lambda: not any(pod.finalizers for pod in c.of(PODS)))


async def a_daemon_set_rolls(c: Cluster) -> None:
    """A new template replaces the pod of a node; the old revision is one too many."""
    await c.client.create(DAEMON_SETS, daemon_set(revisionHistoryLimit=0))
    await c.until(lambda: images(c, "agent") == {"agent:1"})
    await until_status(c, DAEMON_SETS, "agent", lambda status: status.get("numberAvailable") == 1)
    await change(c, DAEMON_SETS, "agent", {"spec": {"template": template("agent", "agent:2")}})
    await c.until(lambda: images(c, "agent") == {"agent:2"} and len(c.of(PODS)) == 1)
    await until_status(c, DAEMON_SETS, "agent", lambda status: status.get("updatedNumberScheduled") == 1)
    await until_status(c, DAEMON_SETS, "agent", lambda status: status.get("numberAvailable") == 1)


STORIES: dict[str, tuple[Story, str, int]] = {  # the controllers in it, and how many writes at least they make
    "a deployment rolls": (a_deployment_rolls, "deployment,replicaset,kubelet", 16),
    "a job runs": (a_job_runs, "job,kubelet", 12),
    "a daemon set rolls": (a_daemon_set_rolls, "daemonset,scheduler,kubelet", 12),
}
TURNS = [(name, number) for name, (_, _, writes) in STORIES.items() for number in range(writes)]
IDS = [f"{name}, write {number}" for name, number in TURNS]
_ends: dict[str, Json] = {}


async def end_of(name: str, number: int | None = None, *, dies: bool = False) -> Json:
    story, controllers, _ = STORIES[name]
    async with workloads(ControllerOptions(controllers=controllers)) as c:
        await c.settle()
        if number is None:
            await story(c)
        elif dies:
            await tell_with_a_death(c, story, number)
        else:
            fault = FailingOnce(number, "answer lost")
            c.line.before, c.line.after = fault.before, fault.after
            await story(c)
            assert fault.left < 0, "the write was reached"
        await c.settle()
        return await state_of(c)


def undisturbed(name: str) -> Json:
    """The end of a story, told once for all tests."""
    if name not in _ends:

        @on_virtual_time
        async def tell() -> None:
            _ends[name] = await end_of(name)

        tell()
    return _ends[name]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), TURNS, ids=IDS)
def test_a_lost_answer_changes_nothing_in_the_end(name: str, number: int) -> None:
    expected = undisturbed(name)

    @on_virtual_time
    async def tell() -> None:
        assert await end_of(name, number) == expected

    tell()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), TURNS, ids=IDS)
def test_controllers_that_die_after_a_write_are_made_good_by_the_next(name: str, number: int) -> None:
    expected = undisturbed(name)

    @on_virtual_time
    async def tell() -> None:
        assert await end_of(name, number, dies=True) == expected

    tell()


async def state_of(c: Cluster) -> Json:
    """Pods and workloads without names and times: the running pods, and the statuses."""
    pods = Counter(
        f"{pod.document()['spec']['containers'][0]['image']} {pod.phase} {'going' if pod.is_deleting else ''}"
        for pod in await c.client.list_all(PODS)
    )
    return {
        "pods": dict(pods),
        **{kind.resource.kind: await _told(c, kind) for kind in (DEPLOYMENTS, REPLICA_SETS, JOBS, DAEMON_SETS)},
        "revisions": len(await c.client.list_all(REVISIONS)),
    }


async def _told(c: Cluster, kind: Kind[Workload]) -> list[Json]:
    found = []
    for one in await c.client.list_all(kind):
        counts = {field: one.status[field] for field in COUNTED if one.status.get(field)}
        conditions = sorted((each["type"], each["status"]) for each in one.status.get("conditions") or [])
        found.append({"counts": counts, "conditions": conditions, "wants": one.spec.get("replicas")})
    return sorted(found, key=str)
