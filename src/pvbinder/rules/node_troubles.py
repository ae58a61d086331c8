"""The effects of a node's state on its pods: taints by condition, eviction by taint, pods that nobody will end.

NODES-1  A node that isn't Ready has the taint ``not-ready``, one that nothing is known of ``unreachable``, both
         NoSchedule and NoExecute; pressure and cordons have NoSchedule taints. Other taints are nobody's business here.
NODES-2  A NoExecute taint that a pod doesn't tolerate ends it at once; tolerated ones end it after the shortest
         ``tolerationSeconds``, or never.
NODES-3  Pods are garbage when their node is gone, when they are to be deleted and have no node, when they are to be
         deleted on a node that is ``out-of-service``, and when more than the threshold are over: the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from pvbinder.model.json import Json
from pvbinder.model.objects import Node, Pod
from pvbinder.model.scheduling import Taint, Toleration, demands_of, state_of
from pvbinder.rules.pod_status import stamp

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
PRESSURES: Final = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS: Final = frozenset({NOT_READY, UNREACHABLE, UNSCHEDULABLE, *PRESSURES.values()})


def condition_status(document: Json, type_: str) -> str | None:
    """Return the status of the condition of that type, None if there is none."""
    conditions = (document.get("status") or {}).get("conditions") or []
    return next((one.get("status") for one in conditions if one.get("type") == type_), None)


def wanted_taints(document: Json) -> set[tuple[str, str]]:
    """Return the taints, key and effect, that a node's conditions and its cordon give it (NODES-1)."""
    wanted = {
        (taint, "NoSchedule") for type_, taint in PRESSURES.items() if condition_status(document, type_) == "True"
    }
    if (document.get("spec") or {}).get("unschedulable"):
        wanted.add((UNSCHEDULABLE, "NoSchedule"))
    match condition_status(document, "Ready"):
        case "True":
            pass
        case "Unknown":
            wanted |= {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
        case "False":
            wanted |= {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")}
        case _:  # a node that has said nothing yet
            wanted |= {(NOT_READY, "NoSchedule")}
    return wanted


def with_wanted_taints(document: Json, now: datetime) -> Json | None:
    """Return the node with the taints that its conditions give it, or None if it has them."""
    spec = document.get("spec") or {}
    taints: list[Json] = list(spec.get("taints") or [])
    wanted = wanted_taints(document)
    kept = [
        one for one in taints if one.get("key") not in _OURS or (one.get("key", ""), one.get("effect", "")) in wanted
    ]
    there = {(one.get("key", ""), one.get("effect", "")) for one in kept}
    for key, effect in sorted(wanted - there):
        taint: Json = {"key": key, "effect": effect}
        if effect == "NoExecute":
            taint["timeAdded"] = stamp(now)
        kept.append(taint)
    if kept == taints:
        return None
    after = {**document, "spec": {**spec, "taints": kept}}
    if not kept:
        del after["spec"]["taints"]
    return after


def seconds_until_eviction(pod: Pod, taints: Iterable[Taint]) -> float | None:
    """Return how long `pod` may stay on a node with `taints`, None for as long as it likes (NODES-2)."""
    tolerations = demands_of(pod).tolerations
    seconds: list[float] = []
    for taint in taints:
        if taint.effect != "NoExecute":
            continue
        used = [one for one in tolerations if one.tolerates(taint)]
        if not used:
            return 0.0
        seconds += _limits(used)
    return min(seconds, default=None)


def _limits(tolerations: Sequence[Toleration]) -> list[float]:
    """The limit of the first toleration that fits, as the reference takes it; an endless one gives none."""
    first = tolerations[0]
    return [max(float(first.toleration_seconds), 0.0)] if first.toleration_seconds is not None else []


def executing_taints(node: Node) -> tuple[Taint, ...]:
    """Return the taints of `node` that end pods."""
    return tuple(taint for taint in state_of(node).taints if taint.effect == "NoExecute")


def over_threshold(pods: Iterable[Pod], threshold: int) -> list[Pod]:
    """Return the pods that are over and too many, the oldest first (NODES-3); a threshold of 0 keeps all."""
    over = sorted(
        (pod for pod in pods if pod.phase in ("Succeeded", "Failed")), key=lambda pod: (pod.created, pod.name)
    )
    return over[: max(len(over) - threshold, 0)] if threshold > 0 else []


def is_out_of_service(node: Node) -> bool:
    """Tell whether somebody said that `node` is out of service, and it isn't ready."""
    is_ready = condition_status(node.document(), "Ready") == "True"
    return not is_ready and any(taint.key == OUT_OF_SERVICE for taint in state_of(node).taints)


def failed_by(pod: Pod, reason: str, message: str, now: datetime) -> Json:
    """Return the patch of a status: the pod was ended from outside (condition ``DisruptionTarget``)."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": stamp(now),
    }
    return {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
