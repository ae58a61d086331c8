"""The columns of pods: what state their containers are in, in one word.

Rules: docs/rules/apiserver.md#8-tables
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pvbinder.server.kinds.parts.columns import AGE, NAME, NONE, age_of, field_cell
from pvbinder.server.objects.kind import Column, Json


@dataclass(slots=True)
class PodSummary:
    """The cells of a pod's row."""

    ready: int
    total: int
    reason: str
    restarts: int
    last_restart: str


def summarise(pod: Json) -> PodSummary:
    """Sum up a pod's containers as the reference does: init containers first, then the others."""
    spec: Json = pod.get("spec") or {}
    status: Json = pod.get("status") or {}
    always_on = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    phase = status.get("phase", "")
    summary = PodSummary(0, len(spec.get("containers") or ()) + len(always_on), phase, 0, "")
    if status.get("reason"):
        summary.reason = status["reason"]
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            summary.reason = "SchedulingGated"
    initializing, always_on_restarts = _sum_up_init(summary, spec, status, always_on)
    if not initializing or _is_initialized(status):
        summary.restarts = always_on_restarts
        _sum_up_containers(summary, status)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif phase not in ("Succeeded", "Failed"):
            summary.reason = "Terminating"
    return summary


def _sum_up_init(summary: PodSummary, spec: Json, status: Json, always_on: set[str]) -> tuple[bool, int]:
    """Look at init containers up to the first one that is not done; say whether there is one."""
    always_on_restarts = 0
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        summary.restarts += container.get("restartCount", 0)
        _note_restart(summary, container)
        stays = container.get("name") in always_on
        if stays:
            always_on_restarts += container.get("restartCount", 0)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if stays and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            summary.reason = "Init:" + _ending(terminated)
        elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
            summary.reason = f"Init:{waiting['reason']}"
        else:
            summary.reason = f"Init:{index}/{len(spec.get('initContainers') or ())}"
        return True, always_on_restarts
    return False, always_on_restarts


def _sum_up_containers(summary: PodSummary, status: Json) -> None:
    has_running = False
    failure = ""
    for container in reversed(status.get("containerStatuses") or ()):
        summary.restarts += container.get("restartCount", 0)
        _note_restart(summary, container)
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            summary.reason = waiting["reason"]
        elif terminated is not None:
            summary.reason = _ending(terminated)
            failure = summary.reason if terminated.get("exitCode", 0) else failure
        elif container.get("ready") and state.get("running") is not None:
            has_running = True
            summary.ready += 1
    if summary.reason == "Completed":
        if has_running and _has_condition(status, "Ready"):
            summary.reason = "Running"
        elif failure:
            summary.reason = failure
        elif has_running:
            summary.reason = "NotReady"


def _ending(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _note_restart(summary: PodSummary, container: Json) -> None:
    terminated = (container.get("lastState") or {}).get("terminated") or {}
    summary.last_restart = max(summary.last_restart, terminated.get("finishedAt") or "")


def _has_condition(status: Json, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in status.get("conditions") or ())


def _is_initialized(status: Json) -> bool:
    """Say whether the first condition of that type says so."""
    kinds = (c.get("status") for c in status.get("conditions") or () if c.get("type") == "Initialized")
    return next(kinds, "") == "True"


def _ready_cell(pod: Json, _now: datetime) -> object:
    summary = summarise(pod)
    return f"{summary.ready}/{summary.total}"


def _reason_cell(pod: Json, _now: datetime) -> object:
    return summarise(pod).reason


def _restarts_cell(pod: Json, now: datetime) -> object:
    summary = summarise(pod)
    if summary.restarts and summary.last_restart:
        return f"{summary.restarts} ({age_of(summary.last_restart, now)} ago)"
    return str(summary.restarts)


def _ip_cell(pod: Json, _now: datetime) -> object:
    status = pod.get("status") or {}
    addresses = status.get("podIPs") or []
    return (addresses[0].get("ip") if addresses else "") or NONE


def _gates_cell(pod: Json, _now: datetime) -> object:
    gates = (pod.get("spec") or {}).get("readinessGates") or []
    if not gates:
        return NONE
    conditions: dict[str, str] = {}
    for condition in (pod.get("status") or {}).get("conditions") or ():
        conditions.setdefault(condition.get("type", ""), condition.get("status", ""))
    met = sum(conditions.get(gate.get("conditionType", "")) == "True" for gate in gates)
    return f"{met}/{len(gates)}"


_ENDINGS = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}


def pod_row_conditions(pod: Json) -> list[Json]:
    """Say of a pod's row that the pod has ended."""
    ending = _ENDINGS.get((pod.get("status") or {}).get("phase", ""))
    if ending is None:
        return []
    return [{"type": "Completed", "status": "True", "reason": ending[0], "message": ending[1]}]


POD_COLUMNS = (
    NAME,
    Column("Ready", _ready_cell, description="How many of its containers are ready."),
    Column("Status", _reason_cell, description="The state of its containers, in one word."),
    Column("Restarts", _restarts_cell, description="How often containers were restarted."),
    AGE,
    Column("IP", _ip_cell, description="Its address.", priority=1),
    Column("Node", field_cell("spec", "nodeName", default=NONE), description="Where it runs.", priority=1),
    Column(
        "Nominated Node",
        field_cell("status", "nominatedNodeName", default=NONE),
        description="Where it may run once others have made room.",
        priority=1,
    ),
    Column("Readiness Gates", _gates_cell, description="How many of its gates are open.", priority=1),
)
