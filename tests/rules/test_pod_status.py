"""The statuses that a kubelet gives a pod, whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pvbinder.model.json import Json
from pvbinder.rules.pod_status import (
    Address,
    Course,
    crashing_status,
    ended_status,
    has_run,
    is_crashing,
    overdue_status,
    parse_time,
    run_start,
    running_status,
    stamp,
    waiting_status,
    with_condition,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
AT_NOW, BEFORE = "2026-03-01T12:00:00Z", "2026-03-01T11:00:00Z"
ADDRESS = Address("10.0.0.1", "10.1.0.7")
SPEC: Json = {"containers": [{"name": "a", "image": "i:1"}, {"name": "b"}]}
UNREADY = "containers with unready status: [a b]"


def condition(type_: str, status: str, reason: str = "", message: str = "", since: str = AT_NOW) -> Json:
    found = {"type": type_, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
    return found | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def container(name: str, state: Json, image: str = "", **more: Any) -> Json:
    fixed = {"name": name, "image": image, "imageID": "", "state": state, "lastState": {}, "restartCount": 0}
    return {**fixed, "ready": False, "started": False, **more}


def both(state: Json, **more: Any) -> list[Json]:
    return [container("a", state, "i:1", **more), container("b", state, **more)]


def terminated(code: int, reason: str, began: str = AT_NOW, **more: str) -> Json:
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": AT_NOW, **more}}


SCHEDULED = condition("PodScheduled", "True", since=BEFORE)
GIVEN: Json = {"kept": 1, "conditions": [SCHEDULED]}
RUN_STATE = {"running": {"startedAt": AT_NOW}}
RUNS: Json = {
    "kept": 1,
    "phase": "Running",
    "startTime": BEFORE,
    "conditions": [SCHEDULED],
    "containerStatuses": both({"running": {"startedAt": BEFORE}}),
}
HERE = {"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}]}
INSIDE = {"podIP": "10.1.0.7", "podIPs": [{"ip": "10.1.0.7"}]}
READY = [
    condition("PodReadyToStartContainers", "True"),
    condition("Initialized", "True"),
    condition("Ready", "True"),
    condition("ContainersReady", "True"),
]
BEGUN = {**HERE, **INSIDE, "phase": "Running", "containerStatuses": both(RUN_STATE, ready=True, started=True)}
GATES = {**SPEC, "readinessGates": [{"conditionType": "x/met"}, {"conditionType": "x/one"}, {"conditionType": "x/two"}]}
MET = [{"type": "x/met", "status": "True"}, {"type": "x/one", "status": "False"}, {"type": "x/two"}]
FIRST: Json = {**SPEC, "initContainers": [{"name": "i", "image": "i:2"}, {"name": "s", "restartPolicy": "Always"}]}
SIDECAR = container("s", {"running": {"startedAt": BEFORE}}, ready=True, started=True)
DONE_FIRST = container("i", terminated(0, "Completed"), "i:2", ready=True)


def over(reason: str, initialized: str = "") -> list[Json]:
    return [
        SCHEDULED,
        condition("PodReadyToStartContainers", "False"),
        condition("Initialized", "True", initialized),
        condition("Ready", "False", reason),
        condition("ContainersReady", "False", reason),
    ]


STATUSES: dict[str, tuple[Json, Json]] = {
    "it waits": (
        waiting_status(SPEC, GIVEN, ADDRESS, NOW),
        {
            "kept": 1,
            "phase": "Pending",
            "startTime": AT_NOW,
            **HERE,
            "conditions": [
                SCHEDULED,
                condition("PodReadyToStartContainers", "False"),
                condition("Initialized", "True"),
                condition("Ready", "False", "ContainersNotReady", UNREADY),
                condition("ContainersReady", "False", "ContainersNotReady", UNREADY),
            ],
            "containerStatuses": both({"waiting": {"reason": "ContainerCreating"}}),
        },
    ),
    "it runs": (
        running_status(SPEC, {}, ADDRESS, NOW),
        {**BEGUN, "startTime": AT_NOW, "conditions": [*READY, condition("PodScheduled", "True")]},
    ),
    "it runs, having waited": (
        running_status(SPEC, {**GIVEN, "startTime": BEFORE}, ADDRESS, NOW),
        {**BEGUN, "kept": 1, "startTime": BEFORE, "conditions": [SCHEDULED, *READY]},
    ),
    "it runs on the host's network": (
        running_status({**SPEC, "hostNetwork": True}, GIVEN, ADDRESS, NOW),
        {
            **BEGUN,
            "kept": 1,
            "startTime": AT_NOW,
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}],
            "conditions": [SCHEDULED, *READY],
        },
    ),
    "it runs, and a gate isn't met": (
        running_status(GATES, {"conditions": [SCHEDULED, *MET]}, ADDRESS, NOW),
        {
            **BEGUN,
            "startTime": AT_NOW,
            "conditions": [
                SCHEDULED,
                *MET,
                *READY[:2],
                condition(
                    "Ready",
                    "False",
                    "ReadinessGatesNotReady",
                    "the status of pod readiness gate 'x/one' is not True",
                ),
                READY[3],
            ],
        },
    ),
    "it runs after its first containers": (
        running_status(FIRST, GIVEN, ADDRESS, NOW),
        {
            **BEGUN,
            "kept": 1,
            "startTime": AT_NOW,
            "conditions": [SCHEDULED, *READY],
            "initContainerStatuses": [DONE_FIRST, container("s", RUN_STATE, ready=True, started=True)],
        },
    ),
    "it has succeeded": (
        ended_status(SPEC, RUNS, Course(None, message="well"), "Succeeded", NOW),
        {
            **RUNS,
            "phase": "Succeeded",
            "conditions": over("PodCompleted", "PodCompleted"),
            "containerStatuses": both(terminated(0, "Completed", BEFORE, message="well")),
        },
    ),
    "it has failed": (
        ended_status(SPEC, RUNS, Course(None, 3, "badly"), "Failed", NOW),
        {
            **RUNS,
            "phase": "Failed",
            "message": "badly",
            "conditions": over("PodFailed"),
            "containerStatuses": both(terminated(3, "Error", BEFORE, message="badly")),
        },
    ),
    "it has failed without a word": (
        ended_status(SPEC, GIVEN, Course(None, 3), "Failed", NOW),
        {
            "kept": 1,
            "phase": "Failed",
            "conditions": over("PodFailed"),
            "containerStatuses": both(terminated(3, "Error")),
        },
    ),
    "its sidecar ends with it": (
        ended_status(SPEC, {**RUNS, "initContainerStatuses": [DONE_FIRST, SIDECAR]}, Course(None), "Succeeded", NOW),
        {
            **RUNS,
            "phase": "Succeeded",
            "conditions": over("PodCompleted", "PodCompleted"),
            "containerStatuses": both(terminated(0, "Completed", BEFORE)),
            "initContainerStatuses": [DONE_FIRST, container("s", terminated(0, "Completed", BEFORE))],
        },
    ),
    "it fails again and again": (
        crashing_status(SPEC, RUNS, Course(None, 3, "badly"), NOW),
        {
            **RUNS,
            "phase": "Running",
            "conditions": [
                SCHEDULED,
                condition("Ready", "False", "ContainersNotReady", UNREADY),
                condition("ContainersReady", "False", "ContainersNotReady", UNREADY),
            ],
            "containerStatuses": both(
                {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}},
                restartCount=1,
                lastState=terminated(3, "Error", BEFORE, message="badly"),
            ),
        },
    ),
    "it is overdue": (
        overdue_status(SPEC, RUNS, NOW),
        {
            **RUNS,
            "phase": "Failed",
            "reason": "DeadlineExceeded",
            "message": "Pod was active on the node longer than the specified deadline",
            "conditions": [
                SCHEDULED,
                condition("Ready", "False", "PodFailed"),
                condition("ContainersReady", "False", "PodFailed"),
            ],
            "containerStatuses": both(terminated(137, "Error")),
        },
    ),
}


@pytest.mark.parametrize(("found", "expected"), STATUSES.values(), ids=STATUSES.keys())
def test_a_status(found: Json, expected: Json) -> None:
    assert found == expected


def test_a_pod_without_containers_has_statuses_too() -> None:
    for status in (
        waiting_status({}, {}, ADDRESS, NOW),
        running_status({}, {}, ADDRESS, NOW),
        ended_status({}, {}, Course(None), "Succeeded", NOW),
        overdue_status({}, {}, NOW),
    ):
        assert status["containerStatuses"] == []


def test_a_condition_keeps_its_time_as_long_as_its_status() -> None:
    known = [condition("A", "True", "Old", "m", BEFORE), {"type": "B"}]

    assert with_condition(known, "A", "True", NOW, "New") == [
        {"type": "B"},
        condition("A", "True", "New", since=BEFORE),
    ]
    assert with_condition(known, "A", "False", NOW, "", "m") == [{"type": "B"}, condition("A", "False", "", "m")]


def test_what_a_status_says_of_its_containers() -> None:
    waits = {"containerStatuses": [{"state": {"running": {"startedAt": BEFORE}}}, {}, {"state": {"waiting": {"a": 1}}}]}

    assert has_run({"phase": "Running"})
    assert not has_run({"phase": "Pending"})
    assert run_start({"containerStatuses": [{}, {"state": {}}, *waits["containerStatuses"]]}) == datetime(
        2026, 3, 1, 11, tzinfo=UTC
    )
    assert run_start({"containerStatuses": [{"state": {"waiting": {}}}]}) is None
    assert run_start({}) is None
    assert is_crashing({"containerStatuses": [{}, {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]})
    assert not is_crashing({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]})
    assert not is_crashing({"containerStatuses": [{"state": {"running": {}}}, {}]})
    assert not is_crashing({})


def test_times_are_utc_to_the_second() -> None:
    assert stamp(datetime.fromisoformat("2026-03-01T13:00:00.9+01:00")) == AT_NOW
    assert parse_time(AT_NOW) == NOW
    assert parse_time("soon") is None
    assert parse_time(5) is None
