"""The life of a pod on a node whose kubelet we play: it waits for its volumes, runs, ends, and goes.

No container is ever started: the pod's status says what a kubelet would say. A pod with `restartPolicy` Always runs
until it is deleted. Another one runs as long as its commands look like (`rules.expected_runs`), and ends with exit code
0, unless its annotations tell otherwise. Each is Running for a moment that can be seen, however soon it ends:

- ``pvbinder.io/finish-after``: ``90s``, ``1m30s``, ``500ms``: the time that it runs; ``never``: until it is deleted;
- ``pvbinder.io/exit-code``: the exit code of its containers. Other than 0 the pod becomes `Failed`, or with
  `restartPolicy` OnFailure stays in ``CrashLoopBackOff``;
- ``pvbinder.io/termination-message``: the termination message of the containers, and the pod's message if it fails.

``activeDeadlineSeconds`` holds: a pod that is not over by then fails, waiting for its volumes or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, ClaimKey, Pod, Volume
from pvbinder.rules.expected_runs import SOON, expected_run
from pvbinder.rules.matching import is_usable_on
from pvbinder.rules.pod_status import (
    Address,
    Course,
    Phase,
    crashing_status,
    ended_status,
    has_run,
    is_crashing,
    overdue_status,
    parse_time,
    run_start,
    running_status,
    waiting_status,
)
from pvbinder.rules.protection import owns_claim

FINISH_AFTER: Final = "pvbinder.io/finish-after"
EXIT_CODE: Final = "pvbinder.io/exit-code"
TERMINATED_EXIT_CODE: Final = "143"  # of a script that SIGTERM ends
TERMINATION_MESSAGE: Final = "pvbinder.io/termination-message"

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_SECONDS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class AnnotationError(PvbinderError):
    """An annotation that steers a pod means nothing."""


class Report(Struct, frozen=True):
    """Write this status; look again after that many seconds, if nothing else happens."""

    status: Json
    phase: Phase
    look_again_after: float | None = None


class Stay(Struct, frozen=True):
    """Nothing to write; `problem` is why the pod can't start, `look_again_after` when time changes something."""

    problem: str | None = None
    look_again_after: float | None = None


class Remove(Struct, frozen=True):
    """The containers have ended: delete the pod for good."""


PodAction: TypeAlias = Report | Stay | Remove


class Mounts(Protocol):
    """The questions of a kubelet about a pod's volumes."""

    def claim(self, key: ClaimKey) -> Claim | None:
        """Return the claim with `key`."""
        ...

    def volume(self, name: str) -> Volume | None:
        """Return the volume called `name`."""
        ...


# ------------------------------------------------------------------------------------------------ volumes


def mount_problem(pod: Pod, node_labels: Mapping[str, str], mounts: Mounts) -> str | None:
    """Return why the volumes of `pod` can't be mounted on its node, in a kubelet's words, or None if they can."""
    for volume, key in zip(pod.volumes, pod.claim_keys, strict=True):
        why = _why_not(pod, volume.is_ephemeral, key, node_labels, mounts)
        if why is not None:
            return (
                f"Unable to attach or mount volumes: unmounted volumes=[{volume.name}], unattached volumes=[], "
                f"failed to process volumes=[{volume.name}]: error processing PVC {key}: {why}"
            )
    return None


def _why_not(pod: Pod, is_ephemeral: bool, key: ClaimKey, node_labels: Mapping[str, str], mounts: Mounts) -> str | None:
    claim = mounts.claim(key)
    if claim is None:
        name = key.partition("/")[2]
        return f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
    if is_ephemeral and not owns_claim(pod, claim):
        return f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)"
    if claim.is_deleting:
        return "PVC is being deleted"
    if claim.phase != "Bound" or not claim.volume_name:
        return "PVC is not bound"
    volume = mounts.volume(claim.volume_name)
    if volume is None:
        return (
            f'failed to fetch PV {claim.volume_name} from API server: persistentvolumes "{claim.volume_name}" not found'
        )
    if volume.claim_ref is None or volume.claim_uid != claim.uid:
        return f"PV {volume.name} is not bound to the PVC: its claimRef has uid {volume.claim_uid!r}"
    if not is_usable_on(volume, dict(node_labels), pod.node_name):
        return f'NodeAffinity check failed for volume "{volume.name}": no matching NodeSelectorTerms'
    return None


# ------------------------------------------------------------------------------------------------ annotations


def parse_finish_after(text: str) -> timedelta | None:
    """Return the time that `text` (``1m30s``, ``500ms``) means, None for ``never``; or raise `AnnotationError`."""
    if text == "never":
        return None
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text or len(text) > 40:
        raise AnnotationError(f"{FINISH_AFTER}: {text!r} is no time such as 90s, 1m30s or never")
    return timedelta(seconds=min(sum(float(number) * _SECONDS[unit] for number, unit in parts), 1e9))


def course_of(pod: Pod, restart_policy: str) -> Course:
    """Return how the containers of `pod` will fare; raise `AnnotationError` if its annotations don't say it clearly."""
    if restart_policy == "Always":
        return Course(None)
    code = pod.annotations.get(EXIT_CODE, "0")
    if not (code.isascii() and code.isdigit() and len(code) <= 3 and int(code) <= 255):
        raise AnnotationError(f"{EXIT_CODE}: {code!r} is no number from 0 to 255")
    told = pod.annotations.get(FINISH_AFTER)
    if told is not None:
        runs_for = parse_finish_after(told)
    elif EXIT_CODE in pod.annotations:
        runs_for = SOON  # a user who says how it ends wants it to end
    else:
        runs_for = expected_run(pod.document())
    return Course(
        max(runs_for, SOON) if runs_for is not None else None,
        int(code),
        pod.annotations.get(TERMINATION_MESSAGE, ""),
    )


# ------------------------------------------------------------------------------------------------ the decision


def decide_lifecycle(
    pod: Pod, problem: str | None, address: Address, now: datetime, running_since: datetime | None = None
) -> PodAction:
    """Say what the kubelet does with `pod` now.

    `problem` is why its volumes can't be mounted. `running_since` is when we started it, if we remember; its status
    knows that to the second only.
    """
    document = pod.document()
    spec, status = document.get("spec") or {}, document.get("status") or {}
    is_over = pod.phase in ("Succeeded", "Failed")
    if pod.is_deleting:
        if pod.has_running_container and has_run(status) and not is_over:
            return _stopped(pod, spec, status, now)
        return Stay() if pod.is_shut_down else Remove()
    if is_over:
        return Stay()
    restart_policy = spec.get("restartPolicy") or "Always"
    try:
        course = course_of(pod, restart_policy)
    except AnnotationError as error:
        return Stay(error.message)
    started = parse_time(status.get("startTime"))
    deadline = spec.get("activeDeadlineSeconds")
    until_deadline = None
    if deadline is not None:
        until_deadline = deadline - ((now - started).total_seconds() if started else 0.0)
        if until_deadline <= 0:
            return Report(overdue_status(spec, status, now), "Failed")
    if not has_run(status):
        if problem is not None:
            if started is not None:
                return Stay(problem, until_deadline)
            return Report(waiting_status(spec, status, address, now), "Pending", until_deadline)
        return Report(running_status(spec, status, address, now), "Running", _sooner(course.runs_for, until_deadline))
    if course.runs_for is None or is_crashing(status):
        return Stay(look_again_after=until_deadline)
    left = (running_since or run_start(status) or now) + course.runs_for - now
    if left <= timedelta(0):
        return _finished(spec, status, course, restart_policy, now)
    return Stay(look_again_after=_sooner(left, until_deadline))


def _stopped(pod: Pod, spec: Json, status: Json, now: datetime) -> Report:
    """A pod whose containers were asked to end: they do, with the exit code that the annotation names.

    Servers end well; what was to run to its end didn't get there.
    """
    usual = "0" if (spec.get("restartPolicy") or "Always") == "Always" else TERMINATED_EXIT_CODE
    code = pod.annotations.get(EXIT_CODE, usual)
    exit_code = int(code) if code.isascii() and code.isdigit() and len(code) <= 3 else 0
    phase: Phase = "Succeeded" if exit_code == 0 else "Failed"
    return Report(ended_status(spec, status, Course(None, exit_code), phase, now), phase)


def _sooner(left: timedelta | None, seconds: float | None) -> float | None:
    times = [time for time in (left.total_seconds() if left is not None else None, seconds) if time is not None]
    return min(times, default=None)


def _finished(spec: Json, status: Json, course: Course, restart_policy: str, now: datetime) -> Report:
    """A pod whose containers have ended by themselves."""
    if course.exit_code == 0:
        return Report(ended_status(spec, status, course, "Succeeded", now), "Succeeded")
    if restart_policy == "OnFailure":
        return Report(crashing_status(spec, status, course, now), "Running")
    return Report(ended_status(spec, status, course, "Failed", now), "Failed")
