"""The statuses that a kubelet gives a pod: waiting for its volumes, running, ended, crashing, overdue.

Each function takes the pod's spec and status and returns the whole new status; nothing given is changed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from msgspec import Struct

from pvbinder.model.json import Json

CRASHING: Final = "CrashLoopBackOff"
DEADLINE_MESSAGE: Final = "Pod was active on the node longer than the specified deadline"

Phase = Literal["Pending", "Running", "Succeeded", "Failed"]


class Course(Struct, frozen=True):
    """How a pod's containers will fare: `runs_for` of None is until the pod is deleted."""

    runs_for: timedelta | None
    exit_code: int = 0
    message: str = ""


class Address(Struct, frozen=True):
    """Where a pod is, as its status tells."""

    host_ip: str
    pod_ip: str


def stamp(at: datetime) -> str:
    """Return a time as Kubernetes writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: object) -> datetime | None:
    """Return the time that Kubernetes wrote, None if there is none or it can't be read."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def with_condition(
    conditions: list[Json], type_: str, status: str, now: datetime, reason: str = "", message: str = ""
) -> list[Json]:
    """Return `conditions` with this one set; its time of transition changes only with its status."""
    known = next((one for one in conditions if one.get("type") == type_), None)
    condition: Json = {"type": type_, "status": status, "lastProbeTime": None, "lastTransitionTime": stamp(now)}
    if known is not None and known.get("status") == status:
        condition["lastTransitionTime"] = known.get("lastTransitionTime")
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return [*(one for one in conditions if one.get("type") != type_), condition]


def with_conditions(status: Json, now: datetime, *conditions: tuple[str, str, str, str]) -> list[Json]:
    """Return the conditions of `status` with these (type, status, reason, message) and `PodScheduled` set."""
    known: list[Json] = list(status.get("conditions") or [])
    for type_, value, reason, message in conditions:
        known = with_condition(known, type_, value, now, reason, message)
    if not any(one.get("type") == "PodScheduled" for one in known):
        known = with_condition(known, "PodScheduled", "True", now)
    return known


def _containers(spec: Json) -> list[Json]:
    return list(spec.get("containers") or [])


def _names(spec: Json) -> str:
    return " ".join(container["name"] for container in _containers(spec))


def _container_status(container: Json, state: Json, *, ready: bool, started: bool, restarts: int = 0) -> Json:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "state": state,
        "lastState": {},
        "ready": ready,
        "started": started,
        "restartCount": restarts,
    }


def _terminated(code: int, reason: str, message: str, started: str | None, now: datetime) -> Json:
    state: Json = {"exitCode": code, "reason": reason, "startedAt": started or stamp(now), "finishedAt": stamp(now)}
    if message:
        state["message"] = message
    return {"terminated": state}


def waiting_status(spec: Json, status: Json, address: Address, now: datetime) -> Json:
    """A pod that has come to its node and waits for its volumes."""
    creating = {"waiting": {"reason": "ContainerCreating"}}
    not_ready = f"containers with unready status: [{_names(spec)}]"
    return {
        **status,
        "phase": "Pending",
        "startTime": stamp(now),
        "hostIP": address.host_ip,
        "hostIPs": [{"ip": address.host_ip}],
        "conditions": with_conditions(
            status,
            now,
            ("PodReadyToStartContainers", "False", "", ""),
            ("Initialized", "True", "", ""),
            ("Ready", "False", "ContainersNotReady", not_ready),
            ("ContainersReady", "False", "ContainersNotReady", not_ready),
        ),
        "containerStatuses": [
            _container_status(container, creating, ready=False, started=False) for container in _containers(spec)
        ],
    }


def running_status(spec: Json, status: Json, address: Address, now: datetime) -> Json:
    """A pod whose containers all run."""
    unmet = [
        gate["conditionType"]
        for gate in spec.get("readinessGates") or []
        if not any(
            one.get("type") == gate["conditionType"] and one.get("status") == "True"
            for one in status.get("conditions") or []
        )
    ]
    is_ready = ("Ready", "True", "", "")
    if unmet:
        is_ready = (
            "Ready",
            "False",
            "ReadinessGatesNotReady",
            f"the status of pod readiness gate {unmet[0]!r} is not True",
        )
    pod_ip = address.host_ip if spec.get("hostNetwork") else address.pod_ip
    running = {"running": {"startedAt": stamp(now)}}
    after: Json = {
        **status,
        "phase": "Running",
        "startTime": status.get("startTime") or stamp(now),
        "hostIP": address.host_ip,
        "hostIPs": [{"ip": address.host_ip}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "conditions": with_conditions(
            status,
            now,
            ("PodReadyToStartContainers", "True", "", ""),
            ("Initialized", "True", "", ""),
            is_ready,
            ("ContainersReady", "True", "", ""),
        ),
        "containerStatuses": [
            _container_status(container, running, ready=True, started=True) for container in _containers(spec)
        ],
    }
    first = list(spec.get("initContainers") or [])
    if first:
        done = _terminated(0, "Completed", "", None, now)
        after["initContainerStatuses"] = [
            _container_status(container, running, ready=True, started=True)
            if container.get("restartPolicy") == "Always"
            else _container_status(container, done, ready=True, started=False)
            for container in first
        ]
    return after


def has_run(status: Json) -> bool:
    """Tell whether its containers have been started."""
    return status.get("phase") == "Running"


def run_start(status: Json) -> datetime | None:
    """Return since when its containers run, as far as the status tells."""
    for container in status.get("containerStatuses") or []:
        running = (container.get("state") or {}).get("running")
        if running:
            return parse_time(running.get("startedAt"))
    return None


def is_crashing(status: Json) -> bool:
    """Tell whether its containers fail again and again; those of a pod that starts wait for other reasons."""
    states = [one.get("state") or {} for one in status.get("containerStatuses") or []]
    return any((state.get("waiting") or {}).get("reason") == CRASHING for state in states)


def ended_status(spec: Json, status: Json, course: Course, phase: Phase, now: datetime) -> Json:
    """A pod whose containers have ended."""
    reason = "Completed" if course.exit_code == 0 else "Error"
    pod_reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
    initialized = ("Initialized", "True", "PodCompleted" if phase == "Succeeded" else "", "")
    began = run_start(status)
    ended = _terminated(course.exit_code, reason, course.message, stamp(began) if began else None, now)
    after: Json = {
        **status,
        "phase": phase,
        "conditions": with_conditions(
            status,
            now,
            ("PodReadyToStartContainers", "False", "", ""),
            initialized,
            ("Ready", "False", pod_reason, ""),
            ("ContainersReady", "False", pod_reason, ""),
        ),
        "containerStatuses": [
            _container_status(container, ended, ready=False, started=False) for container in _containers(spec)
        ],
    }
    sidecars = [one for one in status.get("initContainerStatuses") or [] if (one.get("state") or {}).get("running")]
    if sidecars:
        after["initContainerStatuses"] = [
            {**one, "state": ended, "ready": False, "started": False} if one in sidecars else one
            for one in status["initContainerStatuses"]
        ]
    if phase == "Failed" and course.message:
        after["message"] = course.message
    return after


def crashing_status(spec: Json, status: Json, course: Course, now: datetime) -> Json:
    """A pod whose containers fail and would be started again and again."""
    began = run_start(status)
    last = _terminated(course.exit_code, "Error", course.message, stamp(began) if began else None, now)
    waiting = {"waiting": {"reason": CRASHING, "message": "back-off restarting failed container"}}
    not_ready = f"containers with unready status: [{_names(spec)}]"
    containers = []
    for container in _containers(spec):
        one = _container_status(container, waiting, ready=False, started=False, restarts=1)
        one["lastState"] = last
        containers.append(one)
    return {
        **status,
        "phase": "Running",
        "conditions": with_conditions(
            status,
            now,
            ("Ready", "False", "ContainersNotReady", not_ready),
            ("ContainersReady", "False", "ContainersNotReady", not_ready),
        ),
        "containerStatuses": containers,
    }


def overdue_status(spec: Json, status: Json, now: datetime) -> Json:
    """A pod that was not over at its deadline."""
    after: Json = {
        **status,
        "phase": "Failed",
        "reason": "DeadlineExceeded",
        "message": DEADLINE_MESSAGE,
        "conditions": with_conditions(
            status, now, ("Ready", "False", "PodFailed", ""), ("ContainersReady", "False", "PodFailed", "")
        ),
    }
    killed: Any = _terminated(137, "Error", "", None, now)
    after["containerStatuses"] = [
        _container_status(container, killed, ready=False, started=False) for container in _containers(spec)
    ]
    return after
