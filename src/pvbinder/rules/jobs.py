"""The next steps of a Job: pods to make or end, what is counted, and when it is over.

JOBS-COUNT   A pod that is over is counted once: first its uid is noted in the status, then its finalizer is taken, then
             the number grows and the uid goes. Whoever stops in between goes on from what the status says.
JOBS-END     A Job is complete with enough successes, failed with too many failures or past its deadline. It first says
             so (``SuccessCriteriaMet``, ``FailureTarget``), ends what still runs, and is over when nothing runs.
JOBS-WAIT    After failures the next pod waits 10 s, 20 s, 40 s and so on, 10 minutes at most.

`decide_job` looks at the job and its pods and returns everything that is to be done now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import Pod
from pvbinder.model.pod_details import details_of
from pvbinder.model.workloads import Workload, number
from pvbinder.rules.job_indexes import TRACKING_FINALIZER, index_of, parse_indexes, write_indexes
from pvbinder.rules.pod_status import parse_time, stamp
from pvbinder.rules.replica_sets import ranked_for_deletion

BACKOFF_SECONDS: Final = 10.0
BACKOFF_SECONDS_MAX: Final = 600.0
CREATED_AT_ONCE_MAX: Final = 500

JobNote = tuple[Literal["Normal", "Warning"], str, str]  # type, reason and message of an event


class JobPlan(Struct, frozen=True):
    """The steps to take: in this order, the status first."""

    status: Json
    untrack: tuple[Pod, ...] = ()  # counted: their finalizer goes
    delete: tuple[Pod, ...] = ()  # end these; they count as failed
    withdraw: tuple[Pod, ...] = ()  # end these, too many or suspended: they don't count
    create: tuple[int | None, ...] = ()  # make these: an index each, or None
    notes: tuple[JobNote, ...] = ()
    look_again_after: float | None = None


class _Pods(Struct, frozen=True):
    """The pods of a job, and what is known of those that are over."""

    active: tuple[Pod, ...]
    terminating: tuple[Pod, ...]
    over: tuple[Pod, ...]  # with their finalizer
    succeeded: int
    failed: int
    uncounted_succeeded: tuple[str, ...]
    uncounted_failed: tuple[str, ...]
    new_succeeded: tuple[str, ...]
    new_failed: tuple[str, ...]
    done_indexes: frozenset[int]


def is_finished(job: Workload) -> bool:
    """Tell whether the job is complete or failed."""
    return finish_of(job) is not None


def finish_of(job: Workload) -> Json | None:
    """Return the condition that says how the job ended."""
    return _condition(job.status, "Complete") or _condition(job.status, "Failed")


def is_tracked(pod: Pod) -> bool:
    """Tell whether `pod` waits to be counted."""
    return TRACKING_FINALIZER in pod.finalizers


def is_indexed(job: Workload) -> bool:
    """Tell whether each pod has a number."""
    return job.spec.get("completionMode") == "Indexed"


def decide_job(job: Workload, pods: Sequence[Pod], now: datetime, leaving: frozenset[str] = frozenset()) -> JobPlan:
    """Say what `job` needs; `leaving` are the uids of pods that we have just deleted."""
    if is_finished(job) or job.is_deleting:
        over = [pod for pod in pods if is_finished(job) or pod.is_deleting or pod.phase in ("Succeeded", "Failed")]
        return JobPlan(job.status, untrack=tuple(pod for pod in over if is_tracked(pod)))
    target = _condition(job.status, "FailureTarget") or _condition(job.status, "SuccessCriteriaMet")
    found = _look(job, pods, leaving)
    status, notes = _begun(job, now)
    suspended = bool(job.spec.get("suspend"))
    if target is None:
        target = _target(job, found, status, now)
        if target is not None:
            status["conditions"] = [*(status.get("conditions") or []), target]
    _count(job, status, found, pods)
    untrack = tuple(pod for pod in found.over if _is_counted(job, pod, found))
    if target is not None:
        nothing_runs = not (found.active or found.terminating or found.new_succeeded or found.new_failed)
        if nothing_runs:
            notes += _finish(status, target, now)
        return JobPlan(status, untrack, delete=found.active, notes=notes)
    until_deadline = _seconds_to_deadline(job, status, now)
    if suspended:
        return JobPlan(status, untrack, withdraw=found.active, notes=notes)
    create, withdraw = _wanted(job, found)
    wait = _backoff(pods, now) if create else 0.0
    if wait > 0:
        return JobPlan(status, untrack, withdraw=withdraw, notes=notes, look_again_after=_sooner(wait, until_deadline))
    return JobPlan(status, untrack, withdraw=withdraw, create=create, notes=notes, look_again_after=until_deadline)


def seconds_to_removal(job: Workload, now: datetime) -> float | None:
    """Return when a finished job is to be removed (``ttlSecondsAfterFinished``), None if never."""
    ttl, finish = job.spec.get("ttlSecondsAfterFinished"), finish_of(job)
    if not isinstance(ttl, int) or finish is None:
        return None
    ended = parse_time(finish.get("lastTransitionTime"))
    return (ended + timedelta(seconds=ttl) - now).total_seconds() if ended is not None else None


# ------------------------------------------------------------------------------------------------ looking


def _look(job: Workload, pods: Sequence[Pod], leaving: frozenset[str]) -> _Pods:
    uncounted = job.status.get("uncountedTerminatedPods") or {}
    noted_succeeded = tuple(uncounted.get("succeeded") or ())
    noted_failed = tuple(uncounted.get("failed") or ())
    noted = {*noted_succeeded, *noted_failed}
    tracked = [pod for pod in pods if is_tracked(pod)]
    succeeded = [pod for pod in tracked if pod.phase == "Succeeded"]
    failed = [pod for pod in tracked if pod not in succeeded and _has_failed(pod)]
    only_failed = job.spec.get("podReplacementPolicy") == "Failed"
    terminating = tuple(
        pod for pod in pods if (pod.is_deleting or pod.uid in leaving) and pod.phase not in ("Succeeded", "Failed")
    )
    if only_failed:
        failed = [pod for pod in failed if pod.phase == "Failed"]
    active = tuple(
        pod
        for pod in pods
        if pod.phase not in ("Succeeded", "Failed") and not pod.is_deleting and pod.uid not in leaving
    )
    indexes = parse_indexes(job.status.get("completedIndexes") or "") if is_indexed(job) else set()
    if is_indexed(job):
        completions = number(job.spec, "completions")
        new = [pod for pod in succeeded if pod.uid not in noted and index_of(pod) not in indexes]
        fresh = {index: pod.uid for pod in new if (index := index_of(pod)) is not None and index < completions}
        new_succeeded = tuple(fresh.values())
        indexes |= fresh.keys()
        counted = len(indexes)
    else:
        new_succeeded = tuple(pod.uid for pod in succeeded if pod.uid not in noted)
        counted = number(job.status, "succeeded") + len(noted_succeeded) + len(new_succeeded)
    new_failed = tuple(pod.uid for pod in failed if pod.uid not in noted)
    return _Pods(
        active=active,
        terminating=terminating,
        over=(*succeeded, *failed),
        succeeded=counted,
        failed=number(job.status, "failed") + len(noted_failed) + len(new_failed),
        uncounted_succeeded=noted_succeeded,
        uncounted_failed=noted_failed,
        new_succeeded=new_succeeded,
        new_failed=new_failed,
        done_indexes=frozenset(indexes),
    )


def _has_failed(pod: Pod) -> bool:
    """Whether it failed, or is being deleted without having succeeded."""
    return pod.phase == "Failed" or (pod.is_deleting and pod.phase != "Succeeded")


def _is_counted(job: Workload, pod: Pod, found: _Pods) -> bool:
    """Whether the stored status has taken note of the pod's end."""
    if pod.uid in found.uncounted_succeeded or pod.uid in found.uncounted_failed:
        return True
    if not is_indexed(job) or pod.phase != "Succeeded":
        return False
    index = index_of(pod)
    is_valid = index is not None and index < number(job.spec, "completions")
    return not is_valid or index in parse_indexes(job.status.get("completedIndexes") or "")


# ------------------------------------------------------------------------------------------------ the status


def _begun(job: Workload, now: datetime) -> tuple[Json, tuple[JobNote, ...]]:
    """The status with start time and suspension as they are now."""
    status: Json = {**job.status, "conditions": [dict(one) for one in job.status.get("conditions") or []]}
    suspended = bool(job.spec.get("suspend"))
    known = next((one for one in status["conditions"] if one.get("type") == "Suspended"), None)
    was_suspended = known is not None and known.get("status") == "True"
    notes: tuple[JobNote, ...] = ()
    if suspended and not was_suspended:
        _set_condition(status, "Suspended", "True", "JobSuspended", "Job suspended", now)
        status.pop("startTime", None)
        notes = (("Normal", "Suspended", "Job suspended"),)
    elif not suspended and was_suspended:
        _set_condition(status, "Suspended", "False", "JobResumed", "Job resumed", now)
        status["startTime"] = stamp(now)
        notes = (("Normal", "Resumed", "Job resumed"),)
    elif not suspended and not status.get("startTime"):
        status["startTime"] = stamp(now)
    return status, notes


def _target(job: Workload, found: _Pods, status: Json, now: datetime) -> Json | None:
    """The condition that says what the job comes to, if it does (JOBS-END)."""
    completions = job.spec.get("completions")
    limit = number(job.spec, "backoffLimit", 6)
    left = _seconds_to_deadline(job, status, now)
    if found.failed > limit or _restarts_too_often(job, found.active, limit):
        why = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        return _new_condition("FailureTarget", "True", *why, now)
    if left is not None and left <= 0:
        return _new_condition(
            "FailureTarget", "True", "DeadlineExceeded", "Job was active longer than specified deadline", now
        )
    if isinstance(completions, int):
        is_done = found.succeeded >= completions
    else:
        is_done = found.succeeded > 0 and not found.active and not found.terminating
    if is_done:
        why = ("CompletionsReached", "Reached expected number of succeeded pods")
        return _new_condition("SuccessCriteriaMet", "True", *why, now)
    return None


def _restarts_too_often(job: Workload, active: Iterable[Pod], limit: int) -> bool:
    spec = (job.spec.get("template") or {}).get("spec") or {}
    if spec.get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(details_of(pod).restarts for pod in active if pod.phase in ("Running", "Pending"))
    return restarts > 0 if limit == 0 else restarts >= limit


def _count(job: Workload, status: Json, found: _Pods, pods: Sequence[Pod]) -> None:
    """Note what is over, and count what was noted and has lost its finalizer (JOBS-COUNT)."""
    tracked = {pod.uid for pod in pods if is_tracked(pod)}
    waiting_succeeded = [uid for uid in found.uncounted_succeeded if uid in tracked]
    waiting_failed = [uid for uid in found.uncounted_failed if uid in tracked]
    done = len(found.uncounted_succeeded) - len(waiting_succeeded)
    lost = len(found.uncounted_failed) - len(waiting_failed)
    if is_indexed(job):
        done_before = parse_indexes(job.status.get("completedIndexes") or "")
        if found.done_indexes != done_before:
            status["completedIndexes"] = write_indexes(found.done_indexes)
        succeeded = len(found.done_indexes)
    else:
        succeeded = number(job.status, "succeeded") + done
        waiting_succeeded += found.new_succeeded
    waiting_failed += found.new_failed
    counts = {
        "active": len(found.active),
        "succeeded": succeeded,
        "failed": number(job.status, "failed") + lost,
    }
    for field, count in counts.items():
        status.pop(field, None)
        if count:
            status[field] = count
    status["ready"] = sum(details_of(pod).is_ready for pod in found.active)
    status["terminating"] = len(found.terminating)
    noted: Json = {}
    if waiting_succeeded:
        noted["succeeded"] = waiting_succeeded
    if waiting_failed:
        noted["failed"] = waiting_failed
    status["uncountedTerminatedPods"] = noted
    if not status["conditions"]:
        del status["conditions"]


def _finish(status: Json, target: Json, now: datetime) -> tuple[JobNote, ...]:
    """Say that the job is over, once everything is counted."""
    if status.get("uncountedTerminatedPods"):
        return ()
    reason, message = target.get("reason", ""), target.get("message", "")
    if target.get("type") == "SuccessCriteriaMet":
        _set_condition(status, "Complete", "True", reason, message, now)
        status["completionTime"] = stamp(now)
        return (("Normal", "Completed", "Job completed"),)
    _set_condition(status, "Failed", "True", reason, message, now)
    return (("Warning", reason, message),)


def _seconds_to_deadline(job: Workload, status: Json, now: datetime) -> float | None:
    deadline, started = job.spec.get("activeDeadlineSeconds"), parse_time(status.get("startTime"))
    if not isinstance(deadline, int) or started is None or job.spec.get("suspend"):
        return None
    return (started + timedelta(seconds=deadline) - now).total_seconds()


# ------------------------------------------------------------------------------------------------ pods


def _wanted(job: Workload, found: _Pods) -> tuple[tuple[int | None, ...], tuple[Pod, ...]]:
    """Which pods are to be made, and which are too many."""
    parallelism, completions = number(job.spec, "parallelism", 1), job.spec.get("completions")
    active = len(found.active)
    if is_indexed(job):
        duplicates = _duplicates(found)
        active -= len(duplicates)
    else:
        duplicates = ()
    if isinstance(completions, int):
        wanted = min(max(completions - found.succeeded, 0), parallelism)
    else:
        wanted = active if found.succeeded > 0 else parallelism
    if job.spec.get("podReplacementPolicy") == "Failed":
        wanted -= len(found.terminating)
    if active > wanted:
        others = [pod for pod in found.active if pod not in duplicates]
        return (), (*duplicates, *ranked_for_deletion(others)[: active - max(wanted, 0)])
    count = min(wanted - active, CREATED_AT_ONCE_MAX)
    if not is_indexed(job):
        return (None,) * count, duplicates
    taken = found.done_indexes | {index_of(pod) for pod in found.active}
    free = (index for index in range(number(job.spec, "completions")) if index not in taken)
    return tuple(index for index, _ in zip(free, range(count), strict=False)), duplicates


def _duplicates(found: _Pods) -> tuple[Pod, ...]:
    """Active pods whose index another one has, or is done, or that have none."""
    seen: set[int | None] = set(found.done_indexes) | {None}
    extra = []
    for pod in sorted(found.active, key=lambda pod: (pod.created, pod.name)):
        if index_of(pod) in seen:
            extra.append(pod)
        seen.add(index_of(pod))
    return tuple(extra)


def _backoff(pods: Sequence[Pod], now: datetime) -> float:
    """How long the next pod still waits after failures (JOBS-WAIT)."""
    ends = [(details_of(pod).finished_at or parse_time(pod.deletion_timestamp) or now, pod) for pod in pods]
    successes = [time for time, pod in ends if pod.phase == "Succeeded"]
    since = max(successes, default=None)
    failures = [time for time, pod in ends if pod.phase == "Failed" and (since is None or time > since)]
    if not failures:
        return 0.0
    delay = min(BACKOFF_SECONDS * (1 << min(len(failures) - 1, 10)), BACKOFF_SECONDS_MAX)
    return max(delay - (now - max(failures)).total_seconds(), 0.0)


# ------------------------------------------------------------------------------------------------ conditions


def _condition(status: Json, type_: str) -> Json | None:
    conditions = status.get("conditions") or []
    return next((one for one in conditions if one.get("type") == type_ and one.get("status") == "True"), None)


def _new_condition(type_: str, status: str, reason: str, message: str, now: datetime) -> Json:
    times = {"lastProbeTime": stamp(now), "lastTransitionTime": stamp(now)}
    return {"type": type_, "status": status, **times, "reason": reason, "message": message}


def _set_condition(status: Json, type_: str, value: str, reason: str, message: str, now: datetime) -> None:
    others = [one for one in status.get("conditions") or [] if one.get("type") != type_]
    status["conditions"] = [*others, _new_condition(type_, value, reason, message, now)]


def _sooner(seconds: float, other: float | None) -> float:
    return seconds if other is None else min(seconds, other)
