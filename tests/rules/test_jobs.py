"""A Job's next steps, decided from the job and its pods alone (JOBS-COUNT, JOBS-END, JOBS-WAIT)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Pod, parse_pod
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.jobs import JobPlan, decide_job, finish_of, is_finished, seconds_to_removal

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
AT_NOW = "2026-03-01T12:00:00Z"
STARTED = "2026-03-01T11:59:00Z"


def job(status: Json | None = None, *, meta: Json | None = None, **spec: Any) -> Workload:
    metadata = {"name": "sums", "namespace": "shop", "uid": "u", "generation": 1, **(meta or {})}
    status = {"startTime": STARTED, **(status or {})}
    return parse_workload(encode({"metadata": metadata, "spec": spec, "status": status}))


def pod(
    name: str,
    phase: str = "Running",
    *,
    index: str | None = None,
    is_deleting: bool = False,
    is_tracked: bool = True,
    created: str = STARTED,
    status: Json | None = None,
) -> Pod:
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": name,
        "creationTimestamp": created,
        "finalizers": ["batch.kubernetes.io/job-tracking"] if is_tracked else ["other"],
        "annotations": {} if index is None else {"batch.kubernetes.io/job-completion-index": index},
        "deletionTimestamp": STARTED if is_deleting else None,
    }
    return parse_pod(encode({"metadata": metadata, "status": {"phase": phase, **(status or {})}}))


def ended(at: str) -> Json:
    return {"containerStatuses": [{"state": {"terminated": {"exitCode": 1, "finishedAt": at}}}]}


def restarted(times: int) -> Json:
    return {"containerStatuses": [{"restartCount": times}]}


READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def condition(type_: str, reason: str, message: str, status: str = "True", at: str = AT_NOW) -> Json:
    times = {"lastProbeTime": at, "lastTransitionTime": at}
    return {"type": type_, "status": status, **times, "reason": reason, "message": message}


REACHED = condition("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")
TOO_MANY = condition("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
TOO_LATE = condition("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
COMPLETE = condition("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
FAILED = condition("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
INDEXED: dict[str, Any] = {"completionMode": "Indexed"}


def shown(plan: JobPlan) -> Json:
    """Everything that the plan says, pods by name, without what is empty."""
    found = {
        "untrack": [pod.name for pod in plan.untrack],
        "delete": [pod.name for pod in plan.delete],
        "withdraw": [pod.name for pod in plan.withdraw],
        "create": list(plan.create),
        "notes": list(plan.notes),
        "after": plan.look_again_after,
    }
    return {"status": plan.status} | {name: value for name, value in found.items() if value not in ([], None)}


def counted(**fields: Any) -> Json:
    return {"startTime": STARTED, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}, **fields}


Row = tuple[Workload, list[Pod], Json]
COUNTED: dict[str, Row] = {
    "the first pods are made": (
        job({"startTime": None}, parallelism=2, completions=3),
        [],
        {"status": counted(startTime=AT_NOW), "create": [None, None]},
    ),
    "one pod unless more are wanted": (job(), [], {"status": counted(), "create": [None]}),
    "no more than are missing": (
        job({"succeeded": 2}, parallelism=5, completions=3),
        [],
        {"status": counted(succeeded=2), "create": [None]},
    ),
    "500 at once": (job(parallelism=501, completions=600), [], {"status": counted(), "create": [None] * 500}),
    "what runs is counted": (
        job(parallelism=2, completions=2),
        [pod("a", status=READY), pod("b", "Pending")],
        {"status": counted(active=2, ready=1)},
    ),
    "a success is noted first": (
        job(completions=2),
        [pod("a", "Succeeded")],
        {"status": counted(uncountedTerminatedPods={"succeeded": ["a"]}), "create": [None]},
    ),
    "then its finalizer goes": (
        job({"uncountedTerminatedPods": {"succeeded": ["a"]}}, completions=2),
        [pod("a", "Succeeded")],
        {"status": counted(uncountedTerminatedPods={"succeeded": ["a"]}), "untrack": ["a"], "create": [None]},
    ),
    "then it is counted": (
        job({"uncountedTerminatedPods": {"succeeded": ["a"]}, "succeeded": 1}, completions=3),
        [pod("a", "Succeeded", is_tracked=False)],
        {"status": counted(succeeded=2), "create": [None]},
    ),
    "so is a failure": (
        job({"failed": 1, "uncountedTerminatedPods": {"failed": ["a", "gone"]}}, completions=2),
        [pod("a", "Failed", status=ended("2026-03-01T11:00:00Z")), pod("b", "Failed", status=ended(STARTED))],
        {
            "status": counted(failed=2, uncountedTerminatedPods={"failed": ["a", "b"]}),
            "untrack": ["a"],
            "create": [None],
        },
    ),
    "a pod that nobody tracks is not counted": (
        job(completions=2),
        [pod("a", "Succeeded", is_tracked=False)],
        {"status": counted(), "create": [None]},
    ),
    "a pod that is being deleted has failed": (
        job(completions=2, parallelism=2),
        [pod("a", is_deleting=True), pod("b")],
        {"status": counted(active=1, terminating=1, uncountedTerminatedPods={"failed": ["a"]}), "create": [None]},
    ),
    "one that succeeded before has not": (
        job(completions=2),
        [pod("a", "Succeeded", is_deleting=True)],
        {"status": counted(uncountedTerminatedPods={"succeeded": ["a"]}), "create": [None]},
    ),
    "only pods that have ended are replaced": (
        job(completions=2, parallelism=2, podReplacementPolicy="Failed"),
        [pod("a", is_deleting=True), pod("b")],
        {"status": counted(active=1, terminating=1)},
    ),
    "and counted": (
        job(completions=2, podReplacementPolicy="Failed"),
        [pod("a", "Failed", is_deleting=True, status=ended("2026-03-01T11:00:00Z"))],
        {"status": counted(uncountedTerminatedPods={"failed": ["a"]}), "create": [None]},
    ),
    "too many are withdrawn, the youngest": (
        job(parallelism=1, completions=3),
        [pod("old"), pod("young", created=AT_NOW)],
        {"status": counted(active=2), "withdraw": ["young"]},
    ),
    "all are withdrawn where none is wanted": (
        job(parallelism=0, completions=3),
        [pod("a"), pod("b")],
        {"status": counted(active=2), "withdraw": ["a", "b"]},
    ),
    "more terminate than are wanted": (
        job(parallelism=1, completions=3, podReplacementPolicy="Failed"),
        [pod("a", is_deleting=True), pod("b", is_deleting=True), pod("c")],
        {"status": counted(active=1, terminating=2), "withdraw": ["c"]},
    ),
    "the deadline is when to look again": (
        job(completions=2, activeDeadlineSeconds=90),
        [pod("a")],
        {"status": counted(active=1), "after": 30.0},
    ),
}
ENDED: dict[str, Row] = {
    "enough have succeeded": (
        job({"succeeded": 1}, completions=2),
        [pod("a", "Succeeded"), pod("b")],
        {
            "status": counted(
                active=1, succeeded=1, conditions=[REACHED], uncountedTerminatedPods={"succeeded": ["a"]}
            ),
            "delete": ["b"],
        },
    ),
    "it ends when everything is counted": (
        job({"conditions": [REACHED], "uncountedTerminatedPods": {"succeeded": ["a"]}, "succeeded": 1}, completions=2),
        [pod("a", "Succeeded")],
        {
            "status": counted(succeeded=1, conditions=[REACHED], uncountedTerminatedPods={"succeeded": ["a"]}),
            "untrack": ["a"],
        },
    ),
    "and not before its last pod has ended": (
        job({"conditions": [REACHED], "succeeded": 2}, completions=2),
        [pod("a", is_deleting=True, is_tracked=False)],
        {"status": counted(succeeded=2, terminating=1, conditions=[REACHED])},
    ),
    "it is complete": (
        job({"conditions": [REACHED], "uncountedTerminatedPods": {"succeeded": ["a"]}, "succeeded": 1}, completions=2),
        [pod("a", "Succeeded", is_tracked=False)],
        {
            "status": counted(succeeded=2, conditions=[REACHED, COMPLETE], completionTime=AT_NOW),
            "notes": [("Normal", "Completed", "Job completed")],
        },
    ),
    "nothing was to be done": (
        job(completions=0),
        [],
        {
            "status": counted(conditions=[REACHED, COMPLETE], completionTime=AT_NOW),
            "notes": [("Normal", "Completed", "Job completed")],
        },
    ),
    "as many failures as may be": (
        job({"failed": 6}, completions=2),
        [],
        {"status": counted(failed=6), "create": [None]},
    ),
    "one more, noted": (
        job({"failed": 5, "uncountedTerminatedPods": {"failed": ["a"]}}, completions=2),
        [pod("a", "Failed"), pod("b", "Failed"), pod("c")],
        {
            "status": counted(
                active=1, failed=5, conditions=[TOO_MANY], uncountedTerminatedPods={"failed": ["a", "b"]}
            ),
            "untrack": ["a"],
            "delete": ["c"],
        },
    ),
    "it has failed": (
        job({"failed": 3, "conditions": [TOO_MANY]}, completions=2, backoffLimit=2),
        [],
        {
            "status": counted(failed=3, conditions=[TOO_MANY, FAILED]),
            "notes": [("Warning", "BackoffLimitExceeded", "Job has reached the specified backoff limit")],
        },
    ),
    "its time is over": (
        job(completions=2, activeDeadlineSeconds=60),
        [pod("a")],
        {"status": counted(active=1, conditions=[TOO_LATE]), "delete": ["a"]},
    ),
    "a container that restarts fails a job without patience": (
        job(completions=1, backoffLimit=0, template={"spec": {"restartPolicy": "OnFailure"}}),
        [pod("a", status=restarted(1))],
        {"status": counted(active=1, conditions=[TOO_MANY]), "delete": ["a"]},
    ),
    "one that has not yet": (
        job(completions=1, backoffLimit=0, template={"spec": {"restartPolicy": "OnFailure"}}),
        [pod("a", status=restarted(0))],
        {"status": counted(active=1)},
    ),
    "restarts of all pods count together": (
        job(completions=2, parallelism=2, backoffLimit=3, template={"spec": {"restartPolicy": "OnFailure"}}),
        [pod("a", status=restarted(1)), pod("b", "Pending", status=restarted(2))],
        {"status": counted(active=2, conditions=[TOO_MANY]), "delete": ["a", "b"]},
    ),
    "fewer restarts than may be": (
        job(completions=2, parallelism=2, backoffLimit=3, template={"spec": {"restartPolicy": "OnFailure"}}),
        [pod("a", status=restarted(1)), pod("b", "Unknown", status=restarted(2))],
        {"status": counted(active=2)},
    ),
    "restarts of a pod that never restarts": (
        job(completions=1, backoffLimit=0, template={"spec": {"restartPolicy": "Never"}}),
        [pod("a", status=restarted(1))],
        {"status": counted(active=1)},
    ),
    "without completions one success is enough": (
        job({"succeeded": 1}, parallelism=2),
        [],
        {
            "status": counted(succeeded=1, conditions=[REACHED, COMPLETE], completionTime=AT_NOW),
            "notes": [("Normal", "Completed", "Job completed")],
        },
    ),
    "once the others have ended": (
        job({"succeeded": 1}, parallelism=3),
        [pod("a")],
        {"status": counted(active=1, succeeded=1)},
    ),
    "or have gone": (
        job({"succeeded": 1}, parallelism=3),
        [pod("a", is_deleting=True, is_tracked=False)],
        {"status": counted(terminating=1, succeeded=1)},
    ),
}
OVER: dict[str, Row] = {
    "a job that is over lets its pods go": (
        job({"conditions": [COMPLETE]}),
        [pod("a", "Succeeded"), pod("b"), pod("c", is_tracked=False)],
        {"status": {"startTime": STARTED, "conditions": [COMPLETE]}, "untrack": ["a", "b"]},
    ),
    "a job that is being deleted lets go what has ended": (
        job(meta={"deletionTimestamp": STARTED}, completions=2),
        [
            pod("a", "Succeeded"),
            pod("b"),
            pod("c", "Failed"),
            pod("d", is_deleting=True),
            pod("e", "Failed", is_tracked=False),
        ],
        {"status": {"startTime": STARTED}, "untrack": ["a", "c", "d"]},
    ),
}
SUSPENDED = condition("Suspended", "JobSuspended", "Job suspended")
RESUMED = condition("Suspended", "JobResumed", "Job resumed", "False")
PAUSED: dict[str, Row] = {
    "a job is suspended": (
        job(suspend=True, completions=2, activeDeadlineSeconds=1),
        [pod("a")],
        {
            "status": {
                name: value for name, value in counted(active=1, conditions=[SUSPENDED]).items() if name != "startTime"
            },
            "withdraw": ["a"],
            "notes": [("Normal", "Suspended", "Job suspended")],
        },
    ),
    "it stays so": (
        job({"startTime": None, "conditions": [SUSPENDED]}, suspend=True, completions=2),
        [],
        {"status": counted(startTime=None, conditions=[SUSPENDED])},
    ),
    "it is resumed, and its time begins anew": (
        job({"conditions": [SUSPENDED, {"type": "Other"}]}, completions=1, activeDeadlineSeconds=50),
        [],
        {
            "status": counted(startTime=AT_NOW, conditions=[{"type": "Other"}, RESUMED]),
            "create": [None],
            "notes": [("Normal", "Resumed", "Job resumed")],
            "after": 50.0,
        },
    ),
    "it goes on": (
        job({"conditions": [RESUMED]}, completions=1),
        [],
        {"status": counted(conditions=[RESUMED]), "create": [None]},
    ),
}
WAITS: dict[str, Row] = {
    "10 seconds after the first failure": (
        job({"failed": 1}, completions=1),
        [pod("a", "Failed", is_tracked=False, status=ended("2026-03-01T11:59:56Z"))],
        {"status": counted(failed=1), "after": 6.0},
    ),
    "20 after the second, from the last end on": (
        job({"failed": 2}, completions=1),
        [
            pod("a", "Failed", is_tracked=False, status=ended("2026-03-01T11:59:56Z")),
            pod("b", "Failed", is_tracked=False, status=ended("2026-03-01T11:59:50Z")),
        ],
        {"status": counted(failed=2), "after": 16.0},
    ),
    "10 minutes at most": (
        job({"failed": 12}, completions=1, backoffLimit=20),
        [pod(f"p{n}", "Failed", is_tracked=False, status=ended(AT_NOW)) for n in range(12)],
        {"status": counted(failed=12), "after": 600.0},
    ),
    "failures before a success are forgotten": (
        job({"succeeded": 1, "failed": 2}, completions=2),
        [
            pod("a", "Failed", is_tracked=False, status=ended("2026-03-01T11:59:57Z")),
            pod("b", "Succeeded", is_tracked=False, status=ended("2026-03-01T11:59:58Z")),
            pod("c", "Failed", is_tracked=False, status=ended("2026-03-01T11:59:59Z")),
        ],
        {"status": counted(succeeded=1, failed=2), "after": 9.0},
    ),
    "a deadline comes sooner": (
        job({"failed": 1}, completions=1, activeDeadlineSeconds=62),
        [pod("a", "Failed", is_tracked=False, status=ended("2026-03-01T11:59:56Z"))],
        {"status": counted(failed=1), "after": 2.0},
    ),
    "a deadline comes later": (
        job({"failed": 1}, completions=1, activeDeadlineSeconds=90),
        [pod("a", "Failed", is_tracked=False, status=ended("2026-03-01T11:59:56Z"))],
        {"status": counted(failed=1), "after": 6.0},
    ),
    "nothing is to be made": (
        job({"failed": 1}, completions=1),
        [pod("a", "Failed", is_tracked=False, status=ended(AT_NOW)), pod("b")],
        {"status": counted(failed=1, active=1)},
    ),
    "its end is not known: now": (
        job({"failed": 1}, completions=1),
        [pod("a", "Failed", is_tracked=False)],
        {"status": counted(failed=1), "after": 10.0},
    ),
    "its deletion is known": (
        job({"failed": 1}, completions=1),
        [pod("a", "Failed", is_tracked=False, is_deleting=True)],
        {"status": counted(failed=1), "create": [None]},
    ),
}
NUMBERED: dict[str, Row] = {
    "the first numbers": (
        job(parallelism=2, completions=3, **INDEXED),
        [],
        {"status": counted(), "create": [0, 1]},
    ),
    "those that are free": (
        job({"completedIndexes": "0"}, parallelism=2, completions=4, **INDEXED),
        [pod("b", index="1")],
        {"status": counted(completedIndexes="0", succeeded=1, active=1), "create": [2]},
    ),
    "a success is noted by its number": (
        job({"completedIndexes": "0"}, parallelism=2, completions=4, **INDEXED),
        [pod("b", "Succeeded", index="2")],
        {"status": counted(completedIndexes="0,2", succeeded=2), "create": [1, 3]},
    ),
    "then its finalizer goes, in the status": (
        job({"completedIndexes": "0,2"}, parallelism=1, completions=4, **INDEXED),
        [pod("b", "Succeeded", index="2"), pod("c", "Succeeded", index="9"), pod("d", "Succeeded", index="1")],
        {"status": counted(completedIndexes="0-2", succeeded=3), "untrack": ["b", "c"], "create": [3]},
    ),
    "a number beyond the last does not count": (
        job(parallelism=1, completions=2, **INDEXED),
        [pod("b", "Succeeded", index="2"), pod("c", "Succeeded", index="x")],
        {"status": counted(), "untrack": ["b", "c"], "create": [0]},
    ),
    "a second pod of a number is withdrawn": (
        job(parallelism=3, completions=3, **INDEXED),
        [pod("b", index="1", created=AT_NOW), pod("a", index="1"), pod("c", index="x")],
        {"status": counted(active=3), "create": [0, 2], "withdraw": ["c", "b"]},
    ),
    "a pod of a number that is done": (
        job({"completedIndexes": "1"}, parallelism=3, completions=2, **INDEXED),
        [pod("b", index="1"), pod("a", index="0")],
        {"status": counted(active=2, completedIndexes="1", succeeded=1), "withdraw": ["b"]},
    ),
    "too many, and a second of a number": (
        job(parallelism=1, completions=3, **INDEXED),
        [pod("a", index="0"), pod("b", index="0", created=AT_NOW), pod("c", index="1", created=AT_NOW)],
        {"status": counted(active=3), "withdraw": ["b", "c"]},
    ),
    "all numbers are done": (
        job({"completedIndexes": "0"}, completions=2, **INDEXED),
        [pod("b", "Succeeded", index="1")],
        {"status": counted(completedIndexes="0,1", succeeded=2, conditions=[REACHED])},
    ),
    "its failures are counted as ever": (
        job({"uncountedTerminatedPods": {"failed": ["b"]}}, completions=1, **INDEXED),
        [pod("b", "Failed", index="0", status=ended("2026-03-01T11:00:00Z"))],
        {"status": counted(uncountedTerminatedPods={"failed": ["b"]}), "untrack": ["b"], "create": [0]},
    ),
}
ROWS = COUNTED | ENDED | OVER | PAUSED | WAITS | NUMBERED


@pytest.mark.parametrize(("one", "pods", "expected"), ROWS.values(), ids=ROWS.keys())
def test_the_next_steps_of_a_job(one: Workload, pods: list[Pod], expected: Json) -> None:
    assert shown(decide_job(one, pods, NOW)) == expected


def test_a_pod_that_we_have_just_deleted_is_going() -> None:
    plan = decide_job(job(completions=2, parallelism=2), [pod("a"), pod("b")], NOW, frozenset({"a"}))

    assert shown(plan) == {"status": counted(active=1, terminating=1), "create": [None]}


TTL: dict[str, tuple[Json, Json, float | None]] = {
    "a while": ({"conditions": [COMPLETE]}, {"ttlSecondsAfterFinished": 30}, 30.0),
    "past": ({"conditions": [{**FAILED, "lastTransitionTime": STARTED}]}, {"ttlSecondsAfterFinished": 30}, -30.0),
    "at once": ({"conditions": [COMPLETE]}, {"ttlSecondsAfterFinished": 0}, 0.0),
    "never": ({"conditions": [COMPLETE]}, {}, None),
    "not over": ({"conditions": [REACHED, {**COMPLETE, "status": "False"}]}, {"ttlSecondsAfterFinished": 30}, None),
    "over since nobody knows when": (
        {"conditions": [{"type": "Failed", "status": "True"}]},
        {"ttlSecondsAfterFinished": 30},
        None,
    ),
}


@pytest.mark.parametrize(("status", "spec", "seconds"), TTL.values(), ids=TTL.keys())
def test_when_a_finished_job_is_removed(status: Json, spec: Json, seconds: float | None) -> None:
    assert seconds_to_removal(job(status, **spec), NOW) == seconds


def test_how_a_job_ended() -> None:
    assert finish_of(job({"conditions": [REACHED, COMPLETE]})) == COMPLETE
    assert finish_of(job({"conditions": [TOO_MANY, FAILED]})) == FAILED
    assert finish_of(job()) is None
    assert not is_finished(job())
    assert is_finished(job({"conditions": [FAILED]}))
