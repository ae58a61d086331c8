"""The CronJob controller in small on a real API server (CRONJOBS-1 to CRONJOBS-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.controllers.cluster import Cluster, fails
from tests.controllers.workloads.small import change, read, told, workloads
from tests.controllers.workloads.test_jobs import RUNS_ON, job
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.workloads.cron_jobs import CRON_JOBS
from pvbinder.controllers.workloads.jobs import JOBS
from pvbinder.model.json import Json, encode
from pvbinder.model.workloads import Workload

ALL = ControllerOptions(controllers="cronjob,job,scheduler,kubelet,garbagecollector")
ALONE = ControllerOptions(controllers="cronjob")


def cron_job(command: str = "echo", schedule: str = "@every 60s", **spec: Any) -> Json:
    template = {"spec": job(command=command)["spec"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": template, **spec},
    }


async def start(c: Cluster, manifest: Json) -> None:
    """Make a cron job that was scheduled last at the beginning of virtual time."""
    made = (await c.client.create(CRON_JOBS, {**manifest, "spec": {**manifest["spec"], "suspend": True}})).document()
    made["status"] = {"lastScheduleTime": "2026-03-01T12:00:00Z"}
    await c.client.replace(CRON_JOBS, made, subresource="status")
    await change(c, CRON_JOBS, "tick", {"spec": {"suspend": False}})


async def jobs(c: Cluster) -> list[Workload]:
    return sorted(await c.client.list_all(JOBS, "default"), key=lambda one: one.name)


async def until_jobs(c: Cluster, question: Callable[[list[Workload]], bool]) -> list[Workload]:
    async with asyncio.timeout(1000):
        while not question(found := await jobs(c)):
            await asyncio.sleep(1)
        return found


@on_virtual_time
async def test_cronjobs_1_a_job_is_made_each_time() -> None:
    async with workloads(ALL) as c:
        c.line.after = fails(1, "POST", "/jobs")
        await start(c, cron_job())
        two = await until_jobs(c, lambda found: len(found) == 2)

        assert two[0].controller is not None
        assert two[0].controller.name == "tick"
        assert int(two[1].name.removeprefix("tick-")) - int(two[0].name.removeprefix("tick-")) == 1
        async with asyncio.timeout(100):
            while "lastSuccessfulTime" not in (status := (await read(c, CRON_JOBS, "tick")).status):
                await asyncio.sleep(1)
        assert status["lastScheduleTime"] >= "2026-03-01T12:02:00Z"


@on_virtual_time
async def test_cronjobs_1_forbid_makes_no_second_job() -> None:
    async with workloads(ALL) as c:
        await start(c, cron_job(RUNS_ON, concurrencyPolicy="Forbid"))
        [first] = await until_jobs(c, lambda found: len(found) == 1)
        await asyncio.sleep(200)

        assert [one.name for one in await jobs(c)] == [first.name]
        assert [one["name"] for one in (await read(c, CRON_JOBS, "tick")).status["active"]] == [first.name]
        assert "JobAlreadyActive" in {reason for reason, _ in told(c, "CronJob")}


@on_virtual_time
async def test_cronjobs_2_replace_ends_the_job_that_runs() -> None:
    async with workloads(ALL) as c:
        await start(c, cron_job(RUNS_ON, concurrencyPolicy="Replace"))
        [first] = await until_jobs(c, lambda found: len(found) == 1)
        await until_jobs(c, lambda found: len(found) == 1 and found[0].name != first.name)

        assert ("SuccessfulDelete", f"Deleted job {first.name}") in told(c, "CronJob")


@on_virtual_time
async def test_cronjobs_2_old_jobs_go() -> None:
    async with workloads(ALL) as c:
        await start(c, cron_job(successfulJobsHistoryLimit=1))
        await asyncio.sleep(400)

        assert len(await jobs(c)) <= 2


@on_virtual_time
async def test_cronjobs_2_an_old_cron_job_deletes_no_job_of_the_new_one() -> None:
    async with workloads(ALL) as c:
        await start(c, cron_job())
        await until_jobs(c, lambda found: bool(found) and bool(found[0].status.get("completionTime")))
        await change(c, CRON_JOBS, "tick", {"spec": {"suspend": True}})
        await asyncio.sleep(5)
        controller = c.manager.controllers["cronjob-controller"]
        document = (await read(c, CRON_JOBS, "tick")).document()
        document["spec"]["successfulJobsHistoryLimit"] = 0
        document["metadata"] |= {"generation": 1, "resourceVersion": "1"}
        stale = CRON_JOBS.parse(encode(document))
        controller._cron_jobs._objects["default/tick"] = stale  # type: ignore[attr-defined]
        controller._queue.add("default/tick")  # type: ignore[attr-defined]
        await asyncio.sleep(30)

        assert len(await jobs(c)) == 1
        assert c.line.asked("DELETE") == 0


@on_virtual_time
async def test_cronjobs_3_nothing_is_asked_until_the_next_time() -> None:
    async with workloads(ALONE) as c:
        await start(c, cron_job(schedule="@every 1h"))
        await asyncio.sleep(10)
        before = len(c.line.seen)
        await asyncio.sleep(3000)
        assert len(c.line.seen) == before

        await until_jobs(c, lambda found: len(found) == 1)
