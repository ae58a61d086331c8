"""The Job controller in small on a real API server (JOB-1 to JOB-5, TTL-1)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.adversary.answers import text
from tests.controllers.cluster import Cluster, fails
from tests.controllers.test_proofs import falsify
from tests.controllers.workloads.small import change, read, told, until_gone, until_status, workloads
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.workloads.jobs import JOBS
from pvbinder.kube.kinds import PODS
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Pod
from pvbinder.rules.job_indexes import parse_indexes, write_indexes

ALL = ControllerOptions(controllers="job,ttl-after-finished,scheduler,kubelet,garbagecollector")
ALONE = ControllerOptions(controllers="job")


def job(name: str = "sums", *, annotations: dict[str, str] | None = None, command: str = "echo", **spec: Any) -> Json:
    container = {"name": "c", "image": "i", "command": ["sh", "-c", command]}
    pod: Json = {"restartPolicy": "Never", "containers": [container]}
    template: Json = {"metadata": {"annotations": annotations or {}}, "spec": pod}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, **spec}}


FAILING = {"pvbinder.io/exit-code": "1"}
RUNS_ON = "sleep 100000"


def conditions(status: Json) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status.get("conditions") or []}


def is_over(status: Json) -> bool:
    return bool({"Complete", "Failed"} & conditions(status).keys())


def active(c: Cluster) -> list[Pod]:
    return [pod for pod in c.of(PODS) if pod.phase not in ("Succeeded", "Failed") and not pod.is_deleting]


@on_virtual_time
async def test_job_1_a_job_runs_until_enough_pods_have_succeeded() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(completions=5, parallelism=2))
        most = 0

        def count(_: object) -> None:
            nonlocal most
            most = max(most, len(active(c)))

        c.of(PODS).add_handler(count)
        status = await until_status(c, JOBS, "sums", is_over)

        assert most == 2
        assert conditions(status) == {
            "SuccessCriteriaMet": ("True", "CompletionsReached"),
            "Complete": ("True", "CompletionsReached"),
        }
        assert {field: status.get(field) for field in ("succeeded", "failed", "active", "ready", "terminating")} == {
            "succeeded": 5,
            "failed": None,
            "active": None,
            "ready": 0,
            "terminating": 0,
        }
        assert status["uncountedTerminatedPods"] == {}
        assert status["completionTime"] >= status["startTime"]
        await c.until(lambda: not any(pod.finalizers for pod in c.of(PODS)))
        assert len(c.of(PODS)) == 5
        await c.until(lambda: ("Completed", "Job completed") in told(c, "Job"))
        assert sum(reason == "SuccessfulCreate" for reason, _ in told(c, "Job")) == 5


@on_virtual_time
async def test_job_1_each_pod_is_counted_once_when_every_write_fails_once() -> None:
    async with workloads(ALL) as c:
        c.line.after = fails(2, "PUT", "/jobs/sums/status")
        c.line.before = fails(1, "PATCH")
        await c.client.create(JOBS, job(completions=3, parallelism=3))
        status = await until_status(c, JOBS, "sums", is_over)

        assert status["succeeded"] == 3


@on_virtual_time
async def test_job_1_a_pod_that_somebody_deletes_counts_as_failed_and_is_made_anew() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(command=RUNS_ON))
        await c.until(lambda: any(pod.phase == "Running" for pod in c.of(PODS)))
        first = active(c)[0].name
        await c.client.delete(PODS, first, "default")

        status = await until_status(c, JOBS, "sums", lambda status: status.get("failed") == 1)
        await c.until(lambda: f"default/{first}" not in c.of(PODS) and len(active(c)) == 1)
        assert not is_over(status)


@on_virtual_time
async def test_job_2_too_many_failures_fail_the_job() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(annotations=FAILING, backoffLimit=2))
        began = asyncio.get_running_loop().time()
        status = await until_status(c, JOBS, "sums", is_over)

        assert conditions(status) == {
            "FailureTarget": ("True", "BackoffLimitExceeded"),
            "Failed": ("True", "BackoffLimitExceeded"),
        }
        assert status["conditions"][0]["message"] == "Job has reached the specified backoff limit"
        assert status["failed"] == 3
        assert "completionTime" not in status
        assert asyncio.get_running_loop().time() - began >= 28, "10 s, then 20 s between the pods"
        reached = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        await c.until(lambda: reached in told(c, "Job"))


@on_virtual_time
async def test_job_2_a_deadline_ends_what_still_runs() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(command=RUNS_ON, parallelism=2, completions=2, activeDeadlineSeconds=30))
        status = await until_status(c, JOBS, "sums", is_over)

        assert conditions(status)["Failed"] == ("True", "DeadlineExceeded")
        assert status["failed"] == 2
        await c.until(lambda: not active(c))


@on_virtual_time
async def test_job_2_a_suspended_job_has_no_pods_and_counts_no_failures() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(command=RUNS_ON, suspend=True))
        status = await until_status(c, JOBS, "sums", lambda status: "Suspended" in conditions(status))
        assert "startTime" not in status
        assert not c.of(PODS).keys()

        await change(c, JOBS, "sums", {"spec": {"suspend": False}})
        await c.until(lambda: len(active(c)) == 1)
        status = await until_status(c, JOBS, "sums", lambda status: "startTime" in status)
        assert conditions(status)["Suspended"] == ("False", "JobResumed")

        await change(c, JOBS, "sums", {"spec": {"suspend": True}})
        await c.until(lambda: not c.of(PODS).keys())
        status = await until_status(c, JOBS, "sums", lambda status: conditions(status)["Suspended"][0] == "True")
        assert "failed" not in status
        await c.until(lambda: {"Suspended", "Resumed"} <= {reason for reason, _ in told(c, "Job")})


@on_virtual_time
async def test_job_2_the_pods_of_an_indexed_job_have_their_numbers() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(completions=3, parallelism=3, completionMode="Indexed"))
        status = await until_status(c, JOBS, "sums", is_over)

        assert (status["completedIndexes"], status["succeeded"]) == ("0-2", 3)
        index = "batch.kubernetes.io/job-completion-index"
        pods = sorted(c.of(PODS), key=lambda pod: pod.name)
        assert [pod.annotations[index] for pod in pods] == [pod.labels[index] for pod in pods] == ["0", "1", "2"]
        assert [pod.name.rsplit("-", 1)[0] for pod in pods] == ["sums-0", "sums-1", "sums-2"]
        first = pods[0].document()["spec"]
        assert first["hostname"] == "sums-0"
        assert first["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"


@on_virtual_time
async def test_job_2_less_parallelism_ends_pods_that_do_not_count() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(command=RUNS_ON, completions=4, parallelism=3))
        await c.until(lambda: len(active(c)) == 3)
        await change(c, JOBS, "sums", {"spec": {"parallelism": 1}})
        await c.until(lambda: len(c.of(PODS)) == 1)
        await asyncio.sleep(10)

        assert "failed" not in (await read(c, JOBS, "sums")).status


@on_virtual_time
async def test_job_2_without_completions_one_success_is_enough() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(parallelism=2))
        status = await until_status(c, JOBS, "sums", is_over)

        assert conditions(status)["Complete"][0] == "True"
        assert 1 <= status["succeeded"] <= 2


@on_virtual_time
async def test_job_3_an_old_job_ends_no_pod_of_the_new_one() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(JOBS, job(parallelism=2, completions=2))
        await c.until(lambda: len(active(c)) == 2)
        await c.settle()
        controller = c.manager.controllers["job-controller"]
        document = (await read(c, JOBS, "sums")).document()
        document["spec"]["parallelism"] = 0
        document["metadata"] |= {"generation": 0, "resourceVersion": "1"}
        controller._jobs._objects["default/sums"] = JOBS.parse(encode(document))  # type: ignore[attr-defined]
        controller._queue.add("default/sums")  # type: ignore[attr-defined]
        await c.settle()

        assert len(active(c)) == 2
        assert c.line.asked("DELETE") == 0


@on_virtual_time
async def test_job_4_pods_of_a_job_that_is_gone_are_let_go() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(command=RUNS_ON))
        await c.until(lambda: len(active(c)) == 1)
        await c.client.delete(JOBS, "sums", "default", propagation="Background")

        await c.until(lambda: not c.of(PODS).keys())


@on_virtual_time
async def test_job_4_a_false_answer_about_a_job_lets_no_pod_go() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(JOBS, job())
        await c.until(lambda: len(active(c)) == 1)
        await c.settle()
        controller = c.manager.controllers["job-controller"]
        del controller._jobs._objects["default/sums"]  # type: ignore[attr-defined]  # the cache has missed it
        given = falsify(c, text(404, "404 page not found"), method="GET", ending="/jobs/sums", times=3)
        controller._orphan_queue.add(active(c)[0].key)  # type: ignore[attr-defined]
        async with asyncio.timeout(300):
            while len(given) < 3:
                await asyncio.sleep(1)

        assert active(c)[0].finalizers


@on_virtual_time
async def test_job_5_nothing_is_asked_while_nothing_happens() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job())
        await until_status(c, JOBS, "sums", is_over)
        await c.until(lambda: ("Completed", "Job completed") in told(c, "Job"))
        await c.settle()
        await asyncio.sleep(10)
        before = len(c.line.seen)
        await asyncio.sleep(1000)

        assert len(c.line.seen) == before


@on_virtual_time
async def test_ttl_1_a_finished_job_goes_after_its_time_with_its_pods() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(ttlSecondsAfterFinished=60))
        await until_status(c, JOBS, "sums", is_over)
        began = asyncio.get_running_loop().time()
        await until_gone(c, JOBS, "sums")

        assert asyncio.get_running_loop().time() - began >= 58
        assert not await c.client.list_all(PODS)


@on_virtual_time
async def test_ttl_1_a_job_that_is_not_over_stays() -> None:
    async with workloads(ALL) as c:
        await c.client.create(JOBS, job(command=RUNS_ON, ttlSecondsAfterFinished=1))
        await c.until(lambda: len(active(c)) == 1)
        await asyncio.sleep(10)
        controller = c.manager.controllers["ttl-after-finished-controller"]
        document = (await read(c, JOBS, "sums")).document()
        over = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        document["status"]["conditions"] = [over]
        document["metadata"]["resourceVersion"] = "1"
        controller._jobs._objects["default/sums"] = JOBS.parse(encode(document))  # type: ignore[attr-defined]
        controller._queue.add("default/sums")  # type: ignore[attr-defined]
        await asyncio.sleep(10)

        assert await read(c, JOBS, "sums")
        assert c.line.asked("DELETE") == 0


INDEXES = {"": set(), "3": {3}, "0,2": {0, 2}, "0,1": {0, 1}, "0-2": {0, 1, 2}, "0,2-4,9": {0, 2, 3, 4, 9}}


@pytest.mark.parametrize(("text_", "numbers"), INDEXES.items())
def test_indexes_are_written_as_ranges(text_: str, numbers: set[int]) -> None:
    assert write_indexes(numbers) == text_
    assert parse_indexes(text_) == numbers


def test_indexes_that_mean_nothing_are_none() -> None:
    assert parse_indexes("x,-1,2-,5") == {5}
