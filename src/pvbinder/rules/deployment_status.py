"""The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure.

A condition's times: ``lastTransitionTime`` changes with its status, ``lastUpdateTime`` with status or reason.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pvbinder.model.json import Json
from pvbinder.model.workloads import Workload, number
from pvbinder.rules.deployment_scaling import max_unavailable, sum_replicas
from pvbinder.rules.deployments import ReplicaSetsOf, is_complete
from pvbinder.rules.pod_status import parse_time, stamp

NO_DEADLINE: Final = 2**31 - 1
COMPLETE: Final = "NewReplicaSetAvailable"
TIMED_OUT: Final = "ProgressDeadlineExceeded"
PAUSED: Final = "DeploymentPaused"
RESUMED: Final = "DeploymentResumed"
_COUNTS: Final = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def deployment_status(
    deployment: Workload,
    sets: ReplicaSetsOf,
    now: datetime,
    *,
    created: str = "",
    failure: str = "",
    is_scaled_only: bool = False,
) -> Json:
    """Return the status; `created` is the name of the replica set just made, `failure` why it could not be made.

    `is_scaled_only`: pausing and scaling leave the progress of the rollout as it was.
    """
    status = _counts(deployment, sets)
    conditions = [dict(one) for one in deployment.status.get("conditions") or []]
    minimum = deployment.replicas - max_unavailable(deployment)
    if number(status, "availableReplicas") >= minimum:
        available = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        available = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    conditions = with_condition(conditions, "Available", *available, now)
    conditions = _with_pause(deployment, conditions, now)
    if not has_deadline(deployment):
        conditions = [one for one in conditions if one.get("type") != "Progressing"]
    elif not deployment.spec.get("paused"):
        conditions = _with_progress(deployment, sets, status, conditions, now, created, failure, is_scaled_only)
    failures = [
        one for rs in sets.all for one in rs.status.get("conditions") or [] if one.get("type") == "ReplicaFailure"
    ]
    conditions = [one for one in conditions if one.get("type") != "ReplicaFailure"]
    if failures:
        first = failures[0]
        known = [one for one in deployment.status.get("conditions") or [] if one.get("type") == "ReplicaFailure"]
        conditions = with_condition(
            [*conditions, *known],
            "ReplicaFailure",
            first.get("status", "True"),
            first.get("reason", ""),
            first.get("message", ""),
            now,
        )
    status["conditions"] = conditions
    return status


def has_deadline(deployment: Workload) -> bool:
    """Tell whether the progress of a rollout is watched."""
    return number(deployment.spec, "progressDeadlineSeconds", NO_DEADLINE) != NO_DEADLINE


def seconds_to_deadline(deployment: Workload, status: Json, now: datetime) -> float | None:
    """Return when a rollout that stands still will be called late, None if it won't be."""
    progress = condition_of(status, "Progressing")
    if progress is None or not has_deadline(deployment) or deployment.spec.get("paused"):
        return None
    if is_complete(deployment, status) or progress.get("reason") in (COMPLETE, TIMED_OUT):
        return None
    since = parse_time(progress.get("lastUpdateTime")) or now
    left = number(deployment.spec, "progressDeadlineSeconds") - (now - since).total_seconds()
    return max(left, 0) + 1  # times are written to the second


def condition_of(status: Json, type_: str) -> Json | None:
    """Return the condition of that type."""
    return next((one for one in status.get("conditions") or [] if one.get("type") == type_), None)


def with_condition(
    conditions: list[Json], type_: str, status: str, reason: str, message: str, now: datetime
) -> list[Json]:
    """Return `conditions` with this one, unless it has that status and reason already."""
    known = next((one for one in conditions if one.get("type") == type_), None)
    if known is not None and (known.get("status"), known.get("reason")) == (status, reason):
        return conditions
    since = known.get("lastTransitionTime") if known is not None and known.get("status") == status else stamp(now)
    condition: Json = {"type": type_, "status": status, "lastUpdateTime": stamp(now), "lastTransitionTime": since}
    return [
        *(one for one in conditions if one.get("type") != type_),
        {**condition, "reason": reason, "message": message},
    ]


def _counts(deployment: Workload, sets: ReplicaSetsOf) -> Json:
    available = sum(one.counted("availableReplicas") for one in sets.all)
    counts = {
        "replicas": sum(one.counted("replicas") for one in sets.all),
        "updatedReplicas": sets.new.counted("replicas") if sets.new is not None else 0,
        "readyReplicas": sum(one.counted("readyReplicas") for one in sets.all),
        "availableReplicas": available,
        "unavailableReplicas": max(sum_replicas(sets.all) - available, 0),
    }
    status: Json = {field: count for field, count in counts.items() if count}
    status["terminatingReplicas"] = sum(one.counted("terminatingReplicas") for one in sets.all)
    status["observedGeneration"] = deployment.generation
    if "collisionCount" in deployment.status:
        status["collisionCount"] = deployment.status["collisionCount"]
    return status


def _with_pause(deployment: Workload, conditions: list[Json], now: datetime) -> list[Json]:
    progress = next((one for one in conditions if one.get("type") == "Progressing"), None)
    reason = progress.get("reason") if progress is not None else None
    if not has_deadline(deployment) or reason == TIMED_OUT:
        return conditions
    if deployment.spec.get("paused"):
        return with_condition(conditions, "Progressing", "Unknown", PAUSED, "Deployment is paused", now)
    if reason == PAUSED:
        return with_condition(conditions, "Progressing", "Unknown", RESUMED, "Deployment is resumed", now)
    return conditions


def _with_progress(
    deployment: Workload,
    sets: ReplicaSetsOf,
    status: Json,
    conditions: list[Json],
    now: datetime,
    created: str,
    failure: str,
    is_scaled_only: bool,
) -> list[Json]:
    if failure:
        return with_condition(conditions, "Progressing", "False", "ReplicaSetCreateError", failure, now)
    if created:
        message = f'Created new replica set "{created}"'
        return with_condition(conditions, "Progressing", "True", "NewReplicaSetCreated", message, now)
    progress = next((one for one in conditions if one.get("type") == "Progressing"), None)
    if progress is None and sets.new is not None:
        message = f'Found new replica set "{sets.new.name}"'
        conditions = with_condition(conditions, "Progressing", "True", "FoundNewReplicaSet", message, now)
        progress = conditions[-1]
    if is_scaled_only:
        return conditions
    is_settled = number(status, "replicas") == number(status, "updatedReplicas")
    if is_settled and progress is not None and progress.get("reason") == COMPLETE:
        return conditions
    what = f'ReplicaSet "{sets.new.name}"' if sets.new is not None else f'Deployment "{deployment.name}"'
    if is_complete(deployment, status):
        return with_condition(conditions, "Progressing", "True", COMPLETE, f"{what} has successfully progressed.", now)
    if _has_progressed(deployment.status, status):
        return _progressing(conditions, progress, f"{what} is progressing.", now)
    if _is_late(deployment, status, progress, now):
        return with_condition(conditions, "Progressing", "False", TIMED_OUT, f"{what} has timed out progressing.", now)
    return conditions


def _progressing(conditions: list[Json], progress: Json | None, message: str, now: datetime) -> list[Json]:
    """Note that there was progress just now, under the same reason, too: the deadline counts from here."""
    others = [one for one in conditions if one.get("type") != "Progressing"]
    since = stamp(now)
    if progress is not None and progress.get("status") == "True":
        since = progress.get("lastTransitionTime") or since
    condition = {"type": "Progressing", "status": "True", "lastUpdateTime": stamp(now), "lastTransitionTime": since}
    return [*others, {**condition, "reason": "ReplicaSetUpdated", "message": message}]


def _has_progressed(before: Json, after: Json) -> bool:
    def old_pods(status: Json) -> int:
        return number(status, "replicas") - number(status, "updatedReplicas")

    grown = any(
        number(after, field) > number(before, field)
        for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grown or old_pods(after) < old_pods(before)


def _is_late(deployment: Workload, status: Json, progress: Json | None, now: datetime) -> bool:
    if progress is None or progress.get("reason") == COMPLETE:
        return False
    if progress.get("reason") == TIMED_OUT:
        return True
    since = parse_time(progress.get("lastUpdateTime")) or now
    return (now - since).total_seconds() > number(deployment.spec, "progressDeadlineSeconds", NO_DEADLINE)
