"""How many pods a ReplicaSet still needs or must end, which ones, and what its status says.

REPLICAS-RANK  Pods are ended in this order: without a node first, then Pending before Running, not ready before ready,
               the cheaper to delete, from the node with more of them, ready for a shorter time, with more restarts,
               the younger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import Pod
from pvbinder.model.pod_details import DELETION_COST, details_of, is_available, seconds_to_available
from pvbinder.model.workloads import Workload, number
from pvbinder.rules.pod_status import parse_time, stamp

CREATED_AT_ONCE_MAX: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PHASES: Final = {"Pending": 0, "": 0, "Unknown": 1, "Running": 2}


class Replicas(Struct, frozen=True):
    """The next step: make so many pods, or end these."""

    create: int = 0
    delete: tuple[Pod, ...] = ()


def decide_replicas(replica_set: Workload, active: Sequence[Pod]) -> Replicas:
    """Say what brings the `active` pods of the set to the number that it wants."""
    if replica_set.is_deleting:
        return Replicas()
    excess = len(active) - replica_set.replicas
    if excess < 0:
        return Replicas(create=min(-excess, CREATED_AT_ONCE_MAX))
    return Replicas(delete=tuple(ranked_for_deletion(active)[: min(excess, CREATED_AT_ONCE_MAX)]))


def ranked_for_deletion(pods: Sequence[Pod]) -> list[Pod]:
    """Return `pods`, those to be ended first in front (REPLICAS-RANK)."""
    on_node = Counter(pod.node_name for pod in pods if pod.phase not in ("Succeeded", "Failed"))

    def rank(pod: Pod) -> tuple[object, ...]:
        details = details_of(pod)
        since = details.ready_since or _EPOCH
        created = parse_time(pod.created) or _EPOCH
        return (
            pod.is_scheduled,
            _PHASES.get(pod.phase, 2),
            details.is_ready,
            _deletion_cost(pod),
            -on_node[pod.node_name],
            -since.timestamp() if details.is_ready else 0.0,
            -details.restarts,
            -created.timestamp(),
            pod.name,
        )

    return sorted(pods, key=rank)


def _deletion_cost(pod: Pod) -> int:
    try:
        return int(pod.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0


def replica_set_status(
    replica_set: Workload,
    active: Sequence[Pod],
    terminating: int,
    now: datetime,
    failure: tuple[str, str] | None = None,
) -> Json:
    """Return the status of the set; `failure` is the reason and message of pods that couldn't be made or ended."""
    labels = ((replica_set.spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    ready_seconds_min = number(replica_set.spec, "minReadySeconds")
    counts = {
        "fullyLabeledReplicas": sum(labels.items() <= pod.labels.items() for pod in active),
        "readyReplicas": sum(details_of(pod).is_ready for pod in active),
        "availableReplicas": sum(is_available(pod, ready_seconds_min, now) for pod in active),
    }
    status: Json = {"replicas": len(active), **{field: count for field, count in counts.items() if count}}
    status["terminatingReplicas"] = terminating
    status["observedGeneration"] = replica_set.generation
    conditions = [one for one in replica_set.status.get("conditions") or [] if one.get("type") != "ReplicaFailure"]
    if failure is not None:
        known = [one for one in replica_set.status.get("conditions") or [] if one.get("type") == "ReplicaFailure"]
        reason, message = failure
        new = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": stamp(now)}
        conditions += known or [{**new, "reason": reason, "message": message}]
    if conditions:
        status["conditions"] = conditions
    return status


def seconds_to_look_again(pods: Sequence[Pod], ready_seconds_min: int, now: datetime) -> float | None:
    """Return when the next ready pod becomes available, None if none will."""
    left = [seconds_to_available(pod, ready_seconds_min, now) for pod in pods]
    return min((seconds for seconds in left if seconds), default=None)
