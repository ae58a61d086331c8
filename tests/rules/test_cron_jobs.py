"""A CronJob's next steps, all of each plan (CRON-1 to CRON-3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.cron_jobs import CronPlan, decide_cron_job, with_started, without_active

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NEXT = datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
TEMPLATE: Json = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {"parallelism": 2}}


def cron(status: Json | None = None, *, meta: Json | None = None, **spec: Any) -> Workload:
    metadata = {"name": "tick", "namespace": "shop", "uid": "c", "creationTimestamp": "2026-03-01T11:59:30Z"}
    wanted = {"schedule": "* * * * *", "jobTemplate": TEMPLATE, **spec}
    return parse_workload(encode({"metadata": metadata | (meta or {}), "spec": wanted, "status": status or {}}))


def job(name: str, ended: str = "", at: str | None = "2026-03-01T11:00:00Z", *, is_deleting: bool = False) -> Workload:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "7"}
    metadata |= {"deletionTimestamp": "2026-03-01T11:00:00Z"} if is_deleting else {}
    status: Json = {"startTime": at}
    if ended:
        status |= {"conditions": [{"type": ended, "status": "True"}], "completionTime": at}
    return parse_workload(encode({"metadata": metadata, "status": status}))


def document(name: str = "tick-29539440", at: str = "2026-03-01T12:00:00Z", **more: Any) -> Json:
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": "c"}
    metadata = {
        "name": name,
        "namespace": "shop",
        "labels": {"a": "b"},
        "annotations": {"c": "d", "batch.kubernetes.io/cronjob-scheduled-timestamp": at},
        "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"parallelism": 2}, **more}


def made(**fields: Any) -> CronPlan:
    return CronPlan(**{"status": {}, "create": document(), "scheduled": NOON, "look_again_at": NEXT, **fields})


def waits(**fields: Any) -> CronPlan:
    return CronPlan(**{"status": {}, "look_again_at": NEXT, **fields})


RUNS = job("runs")
GOING = job("going", is_deleting=True)
LISTED: Json = {"active": [{"uid": "uid-runs", "name": "runs"}]}
DONE = {"lastScheduleTime": "2026-03-01T12:00:00Z"}
BUSY = (
    "Normal",
    "JobAlreadyActive",
    "Not starting job because prior execution is running and concurrency policy is Forbid",
)
OLD, NEW = job("old", "Complete"), job("new", "Complete", "2026-03-01T11:30:00Z")
BAD, WORSE = job("bad", "Failed"), job("worse", "Failed", None)
LAST = {"lastSuccessfulTime": "2026-03-01T11:30:00Z"}
PLANS: dict[str, tuple[Workload, list[Workload], CronPlan]] = {
    "it is due": (cron(), [], made()),
    "its time was taken care of": (cron(DONE), [], waits(status=DONE)),
    "it was made after that time": (cron(meta={"creationTimestamp": "2026-03-01T12:00:01Z"}), [], waits()),
    "nobody knows when it was made": (cron(meta={"creationTimestamp": None}), [], waits()),
    "of missed times only the last": (cron(meta={"creationTimestamp": "2026-02-01T12:00:01Z"}), [], made()),
    "in time": (cron(startingDeadlineSeconds=31), [], made()),
    "too late": (cron(startingDeadlineSeconds=30), [], waits()),
    "suspended": (cron(suspend=True), [], CronPlan({})),
    "going": (cron(meta={"deletionTimestamp": "2026-03-01T11:00:00Z"}), [], CronPlan({})),
    "no schedule": (
        cron(schedule=None),
        [],
        CronPlan({}, (("Warning", "UnparseableSchedule", 'unparseable schedule: "" : empty spec string'),)),
    ),
    "an unknown zone": (
        cron(timeZone="Zoë", suspend=False, successfulJobsHistoryLimit=0),
        [OLD],
        CronPlan(
            {"lastSuccessfulTime": "2026-03-01T11:00:00Z"},
            (("Warning", "UnknownTimeZone", 'invalid timeZone: "Zoë": unknown time zone Zoë'),),
            history=(OLD,),
        ),
    ),
    "in its zone": (
        cron(timeZone="Europe/Berlin", schedule="0 13 * * *"),
        [],
        made(
            create=document(at="2026-03-01T13:00:00+01:00"),
            look_again_at=datetime(2026, 3, 2, 12, 0, tzinfo=UTC),
        ),
    ),
    "others run beside it": (cron(LISTED), [RUNS], made(status=LISTED)),
    "and are ended": (
        cron(LISTED, concurrencyPolicy="Replace"),
        [RUNS, GOING, OLD],
        made(status=LISTED | {"lastSuccessfulTime": "2026-03-01T11:00:00Z"}, replace=(RUNS,)),
    ),
    "or forbid it": (cron(LISTED, concurrencyPolicy="Forbid"), [RUNS], waits(status=LISTED, notes=(BUSY,))),
    "also those that aren't listed": (cron(concurrencyPolicy="Forbid"), [RUNS], waits(notes=(BUSY,))),
    "those that are going forbid nothing": (cron(concurrencyPolicy="Forbid"), [GOING, BAD], made()),
    "jobs that are gone or over aren't active": (
        cron({"active": [{"uid": "uid-runs", "name": "runs"}, {"uid": "x", "name": "lost"}, {"uid": "uid-bad"}]}),
        [RUNS, BAD],
        made(
            status=LISTED,
            notes=(
                ("Normal", "MissingJob", "Active job went missing: lost"),
                ("Normal", "SawCompletedJob", "Saw completed job: bad, condition: Failed"),
            ),
        ),
    ),
    "the last success is noted": (cron(), [NEW, OLD, BAD], made(status=LAST)),
    "and stays": (cron(LAST), [OLD], made(status=LAST)),
    "the oldest go, beyond the limits": (
        cron(successfulJobsHistoryLimit=1, failedJobsHistoryLimit=1),
        [OLD, NEW, BAD, WORSE, RUNS],
        made(status=LAST, history=(OLD, WORSE)),
    ),
    "fewer than the limits": (
        cron(successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1),
        [OLD, NEW, BAD],
        made(status=LAST),
    ),
    "those that are going already don't count": (
        cron(successfulJobsHistoryLimit=1),
        [OLD, job("past", "Complete", is_deleting=True)],
        made(status={"lastSuccessfulTime": "2026-03-01T11:00:00Z"}),
    ),
    "without limits all stay": (cron(), [OLD, BAD, WORSE], made(status={"lastSuccessfulTime": "2026-03-01T11:00:00Z"})),
}


@pytest.mark.parametrize(("one", "jobs", "plan"), PLANS.values(), ids=PLANS.keys())
def test_the_next_steps_of_a_cron_job(one: Workload, jobs: list[Workload], plan: CronPlan) -> None:
    assert decide_cron_job(one, jobs, NOW) == plan


def test_a_long_name_leaves_room_for_the_minute() -> None:
    plan = decide_cron_job(cron(meta={"name": "n" * 60}, jobTemplate={}), [], NOW)

    assert plan.create is not None
    assert plan.create["metadata"]["name"] == "n" * 52 + "-29539440"
    assert "labels" not in plan.create["metadata"]
    assert plan.create["spec"] == {}


def test_a_job_that_was_made_is_active() -> None:
    before = {"active": [{"uid": "uid-runs", "name": "old entry"}, {"uid": "other"}], "kept": 1}

    assert with_started(cron(), before, RUNS, NOON) == {
        "kept": 1,
        "active": [
            {"uid": "other"},
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": "runs",
                "namespace": "shop",
                "uid": "uid-runs",
                "resourceVersion": "7",
            },
        ],
        "lastScheduleTime": "2026-03-01T12:00:00Z",
    }
    assert without_active(before, {"other"}) == {"active": [{"uid": "uid-runs", "name": "old entry"}], "kept": 1}
    assert without_active(before, {"other", "uid-runs"}) == {"kept": 1}
