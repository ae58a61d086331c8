"""What a PodDisruptionBudget allows: how many of its pods are healthy, and how many must be.

BUDGET-1  Healthy pods are ready and not going; one that was just evicted counts as gone for two minutes, until it is.
BUDGET-2  ``minAvailable`` as a number counts the pods that there are; as a percentage, and ``maxUnavailable`` always,
          it counts the pods that their controllers want.
BUDGET-3  A budget that can't be reckoned allows nothing, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import OwnerReference, Pod
from pvbinder.model.pod_details import details_of
from pvbinder.model.workloads import Workload, controller_of
from pvbinder.rules.deployment_scaling import scaled_value
from pvbinder.rules.pod_status import parse_time, stamp

EVICTED_SECONDS: Final = 120.0  # as long a pod that was evicted may take to go


class Unreckonable(Struct, frozen=True):
    """Why nobody can say how many pods there should be."""

    why: str


class Expected(Struct, frozen=True):
    """How many pods there should be, and how many must be healthy."""

    pods: int
    healthy: int


FindScale = Callable[[str, OwnerReference], "tuple[str, int] | None"]  # of a pod's controller: its uid and replicas


def expected_of(budget: Workload, pods: Sequence[Pod], find_scale: FindScale) -> Expected | Unreckonable:
    """Return what `budget` asks of `pods` (BUDGET-2)."""
    spec = budget.spec
    if spec.get("maxUnavailable") is not None:
        scale = _scale_of(pods, find_scale)
        if isinstance(scale, Unreckonable):
            return scale
        unavailable = scaled_value(spec["maxUnavailable"], scale, round_up=True)
        return Expected(scale, max(scale - unavailable, 0))
    wanted = spec.get("minAvailable")
    if isinstance(wanted, str):
        scale = _scale_of(pods, find_scale)
        if isinstance(scale, Unreckonable):
            return scale
        return Expected(scale, scaled_value(wanted, scale, round_up=True))
    return Expected(len(pods), wanted if isinstance(wanted, int) else 1)


def _scale_of(pods: Sequence[Pod], find_scale: FindScale) -> int | Unreckonable:
    """How many pods the controllers of `pods` want; pods without one don't count."""
    scales: dict[str, int] = {}
    for pod in pods:
        controller = controller_of(pod.owner_references)
        if controller is None:
            continue
        found = find_scale(pod.namespace, controller)
        if found is None:
            kind = f"{controller.kind.lower()}s.{(controller.api_version or '').rpartition('/')[0]}".rstrip(".")
            return Unreckonable(f"{kind} does not implement the scale subresource")
        scales[found[0]] = found[1]
    return sum(scales.values())


def evicted_pods(budget: Workload, pods: Sequence[Pod], now: datetime) -> dict[str, str]:
    """Return the pods that were evicted and still have time to go, with the time of their eviction (BUDGET-1)."""
    noted = budget.status.get("disruptedPods") or {}
    kept = {}
    for pod in pods:
        time = parse_time(noted.get(pod.name))
        if time is not None and not pod.is_deleting and now < time + timedelta(seconds=EVICTED_SECONDS):
            kept[pod.name] = noted[pod.name]
    return kept


def budget_status(budget: Workload, pods: Sequence[Pod], expected: Expected | Unreckonable, now: datetime) -> Json:
    """Return the status of `budget`."""
    if isinstance(expected, Unreckonable):
        status = {**budget.status, "disruptionsAllowed": 0, "observedGeneration": budget.generation}
        status["conditions"] = _with_condition(budget, "False", "SyncFailed", expected.why, now)
        return status
    evicted = evicted_pods(budget, pods, now)
    healthy = sum(
        details_of(pod).is_ready and not pod.is_deleting and pod.name not in evicted and pod.phase == "Running"
        for pod in pods
    )
    allowed = max(healthy - expected.healthy, 0) if expected.pods > 0 else 0
    status = {
        "observedGeneration": budget.generation,
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": expected.healthy,
        "expectedPods": expected.pods,
    }
    if evicted:
        status["disruptedPods"] = evicted
    reason = "SufficientPods" if allowed else "InsufficientPods"
    status["conditions"] = _with_condition(budget, "True" if allowed else "False", reason, "", now)
    return status


def seconds_to_next_look(budget: Workload, now: datetime) -> float | None:
    """Return when the next evicted pod has had its time, None if there is none."""
    times = [parse_time(time) for time in (budget.status.get("disruptedPods") or {}).values()]
    left = [(time + timedelta(seconds=EVICTED_SECONDS) - now).total_seconds() for time in times if time is not None]
    return max(min(left), 0.0) + 1 if left else None


def _with_condition(budget: Workload, value: str, reason: str, message: str, now: datetime) -> list[Json]:
    conditions = list(budget.status.get("conditions") or [])
    known = next((one for one in conditions if one.get("type") == "DisruptionAllowed"), None)
    since = known.get("lastTransitionTime") if known is not None and known.get("status") == value else stamp(now)
    condition = {
        "type": "DisruptionAllowed",
        "status": value,
        "observedGeneration": budget.generation,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    return [*(one for one in conditions if one.get("type") != "DisruptionAllowed"), condition]
