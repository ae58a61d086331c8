"""The fields of a pod that workloads' controllers read beside `model.objects.Pod`, from the same JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from pvbinder.model.objects import Pod

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_KEPT_MAX: Final = 4096


class Condition(Struct, frozen=True, rename="camel"):
    """One condition of a pod."""

    type: str = ""
    status: str = ""
    reason: str | None = None
    last_transition_time: str | None = None


class PodDetails(Struct, frozen=True):
    """Facts of one pod."""

    is_ready: bool
    ready_since: datetime | None
    conditions: tuple[Condition, ...]
    restarts: int
    exit_codes: tuple[int, ...]  # of the containers that have ended
    finished_at: datetime | None  # the last of them
    ip: str


class _Terminated(Struct, frozen=True, rename="camel"):
    exit_code: int = 0
    finished_at: str | None = None


class _State(Struct, frozen=True):
    terminated: _Terminated | None = None


class _Container(Struct, frozen=True, rename="camel"):
    restart_count: int = 0
    state: _State | None = None


class _Status(Struct, frozen=True, rename="camel"):
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[_Container, ...] | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")


class _Object(Struct, frozen=True):
    status: _Status | None = None


_pods = msgspec.json.Decoder(_Object)


def details_of(pod: Pod) -> PodDetails:
    """Return the details of `pod`; what can't be read isn't there."""
    return _details(pod.raw)


def is_active(pod: Pod) -> bool:
    """Tell whether `pod` counts for a workload: not over, and not being deleted."""
    return pod.phase not in ("Succeeded", "Failed") and not pod.is_deleting


def is_available(pod: Pod, ready_seconds_min: int, now: datetime) -> bool:
    """Tell whether `pod` is ready, and has been for that long."""
    return seconds_to_available(pod, ready_seconds_min, now) == 0


def seconds_to_available(pod: Pod, ready_seconds_min: int, now: datetime) -> float | None:
    """Return how long a ready pod still has to be ready, 0 if long enough; None if it isn't ready."""
    details = details_of(pod)
    if not details.is_ready:
        return None
    if ready_seconds_min <= 0:
        return 0
    if details.ready_since is None:
        return None
    left = (details.ready_since + timedelta(seconds=ready_seconds_min) - now).total_seconds()
    return max(left, 0)


@lru_cache(_KEPT_MAX)
def _details(raw: bytes) -> PodDetails:
    try:
        status = _pods.decode(raw).status or _Status()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        status = _Status()
    ready = next((one for one in status.conditions or () if one.type == "Ready"), None)
    ended = [
        one.state.terminated
        for one in status.container_statuses or ()
        if one.state is not None and one.state.terminated is not None
    ]
    times = [time for time in (_time(one.finished_at) for one in ended) if time is not None]
    is_ready = ready is not None and ready.status == "True"
    return PodDetails(
        is_ready=is_ready,
        ready_since=_time(ready.last_transition_time) if ready is not None and is_ready else None,
        conditions=status.conditions or (),
        restarts=max((one.restart_count for one in status.container_statuses or ()), default=0),
        exit_codes=tuple(one.exit_code for one in ended),
        finished_at=max(times, default=None),
        ip=status.pod_ip or "",
    )


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
