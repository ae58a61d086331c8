"""The state of a pod in one word.

Rules: docs/rules/apiserver.md#8-tables
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pvbinder.server.kinds.built_in.pod_columns import POD_COLUMNS, pod_row_conditions
from pvbinder.server.objects.kind import Json

NOW = datetime(2026, 1, 31, 12, 10, tzinfo=UTC)
TIME = "2026-01-31T12:00:00Z"


def running(name: str = "c", **fields: object) -> Json:
    return {"name": name, "ready": True, "state": {"running": {}}, **fields}


def ended(code: int, name: str = "c", **fields: object) -> Json:
    return {"name": name, "state": {"terminated": {"exitCode": code, **fields}}}


def waiting(reason: str, name: str = "c") -> Json:
    return {"name": name, "state": {"waiting": {"reason": reason}}}


ONE = {"containers": [{"name": "c"}]}
TWO = {"containers": [{"name": "c"}, {"name": "d"}]}
INIT = {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}, {"name": "j"}]}
SIDECAR = {"containers": [{"name": "c"}], "initContainers": [{"name": "i", "restartPolicy": "Always"}]}
READY = [{"type": "Ready", "status": "True"}]
ROWS = {  # spec, status, ready, status in one word, restarts
    "new": (ONE, {"phase": "Pending"}, "0/1", "Pending", "0"),
    "running": (ONE, {"phase": "Running", "containerStatuses": [running(restartCount=2)]}, "1/1", "Running", "2"),
    "restarted a while ago": (
        ONE,
        {
            "phase": "Running",
            "containerStatuses": [running(restartCount=1, lastState={"terminated": {"finishedAt": TIME}})],
        },
        "1/1",
        "Running",
        "1 (10m ago)",
    ),
    "waiting": (
        ONE,
        {"phase": "Pending", "containerStatuses": [waiting("ImagePullBackOff")]},
        "0/1",
        "ImagePullBackOff",
        "0",
    ),
    "done": (ONE, {"phase": "Succeeded", "containerStatuses": [ended(0, reason="Completed")]}, "0/1", "Completed", "0"),
    "one done, one running": (
        TWO,
        {"phase": "Running", "conditions": READY, "containerStatuses": [ended(0, reason="Completed"), running("d")]},
        "1/2",
        "Running",
        "0",
    ),
    "one done, one running but not ready": (
        TWO,
        {"phase": "Running", "containerStatuses": [ended(0, reason="Completed"), running("d")]},
        "1/2",
        "NotReady",
        "0",
    ),
    "killed": (ONE, {"phase": "Failed", "containerStatuses": [ended(137, signal=9)]}, "0/1", "Signal:9", "0"),
    "failed": (ONE, {"phase": "Failed", "containerStatuses": [ended(3)]}, "0/1", "ExitCode:3", "0"),
    "evicted": (ONE, {"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted", "0"),
    "gated": (
        ONE,
        {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
        "0/1",
        "SchedulingGated",
        "0",
    ),
    "initialising": (
        INIT,
        {"phase": "Pending", "initContainerStatuses": [ended(0, "i"), running("j")]},
        "0/1",
        "Init:1/2",
        "0",
    ),
    "initialising failed": (
        INIT,
        {"phase": "Pending", "initContainerStatuses": [ended(1, "i", reason="Error")]},
        "0/1",
        "Init:Error",
        "0",
    ),
    "initialising waits": (
        INIT,
        {"phase": "Pending", "initContainerStatuses": [waiting("ErrImagePull", "i")]},
        "0/1",
        "Init:ErrImagePull",
        "0",
    ),
    "initialising begins": (
        INIT,
        {"phase": "Pending", "initContainerStatuses": [waiting("PodInitializing", "i")]},
        "0/1",
        "Init:0/2",
        "0",
    ),
    "initialising was killed": (
        INIT,
        {"phase": "Pending", "initContainerStatuses": [ended(137, "i", signal=9)]},
        "0/1",
        "Init:Signal:9",
        "0",
    ),
    "initialising restarts": (
        INIT,
        {
            "phase": "Pending",
            "initContainerStatuses": [{"name": "i", "restartCount": 2}, {"name": "j", "restartCount": 4}],
            "containerStatuses": [running(restartCount=8)],
        },
        "0/1",
        "Init:0/2",
        "2",
    ),
    "initialised once, and again": (
        INIT,
        {
            "phase": "Running",
            "conditions": [{"type": "Initialized", "status": "True"}],
            "initContainerStatuses": [{"name": "i", "restartCount": 2}],
            "containerStatuses": [running(restartCount=8)],
        },
        "1/1",
        "Init:0/2",
        "8",
    ),
    "not initialised says the first condition": (
        INIT,
        {
            "phase": "Running",
            "conditions": [{"type": "Initialized", "status": "False"}, {"type": "Initialized", "status": "True"}],
            "initContainerStatuses": [{"name": "i"}],
            "containerStatuses": [running(restartCount=8)],
        },
        "0/1",
        "Init:0/2",
        "0",
    ),
    "a sidecar that hasn't started": (
        SIDECAR,
        {"phase": "Pending", "initContainerStatuses": [{"name": "i", "ready": True, "restartCount": 3}]},
        "0/2",
        "Init:0/1",
        "3",
    ),
    "a sidecar that isn't ready": (
        SIDECAR,
        {
            "phase": "Running",
            "initContainerStatuses": [{"name": "i", "started": True, "ready": False}],
            "containerStatuses": [running()],
        },
        "1/2",
        "Running",
        "0",
    ),
    "a sidecar that has ended": (
        SIDECAR,
        {
            "phase": "Succeeded",
            "initContainerStatuses": [ended(0, "i", reason="Completed")],
            "containerStatuses": [ended(0, reason="Completed")],
        },
        "0/2",
        "Completed",
        "0",
    ),
    "one failed, the other has ended": (
        TWO,
        {"phase": "Failed", "containerStatuses": [ended(0, reason="Completed"), ended(1, "d", reason="Error")]},
        "0/2",
        "Error",
        "0",
    ),
    "one failed, one runs": (
        TWO,
        {
            "phase": "Running",
            "conditions": READY,
            "containerStatuses": [running(), ended(1, "d", reason="Error")],
        },
        "1/2",
        "Error",
        "0",
    ),
    "the first that waits": (
        TWO,
        {"phase": "Pending", "containerStatuses": [waiting("A"), waiting("B", "d")]},
        "0/2",
        "A",
        "0",
    ),
    "it runs, and isn't ready": (
        ONE,
        {"phase": "Running", "containerStatuses": [{"name": "c", "ready": False, "state": {"running": {}}}]},
        "0/1",
        "Running",
        "0",
    ),
    "it is ready, and nobody says that it runs": (
        ONE,
        {"phase": "Running", "containerStatuses": [{"name": "c", "ready": True}]},
        "0/1",
        "Running",
        "0",
    ),
    "the last restart of all": (
        TWO,
        {
            "phase": "Running",
            "containerStatuses": [
                running(restartCount=1, lastState={"terminated": {"finishedAt": "2026-01-31T12:05:00Z"}}),
                running("d", restartCount=2, lastState={"terminated": {"finishedAt": TIME}}),
            ],
        },
        "2/2",
        "Running",
        "3 (5m ago)",
    ),
    "scheduled, for another reason": (
        ONE,
        {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "reason": "Other"}, {"type": "Other", "reason": "SchedulingGated"}],
        },
        "0/1",
        "Pending",
        "0",
    ),
    "sidecar": (
        SIDECAR,
        {
            "phase": "Running",
            "initContainerStatuses": [running("i", started=True, restartCount=1)],
            "containerStatuses": [running()],
        },
        "2/2",
        "Running",
        "1",
    ),
}


@pytest.mark.parametrize(("spec", "status", "ready", "word", "restarts"), ROWS.values(), ids=ROWS.keys())
def test_cells(spec: Json, status: Json, ready: str, word: str, restarts: str) -> None:
    pod: Json = {"metadata": {"name": "p", "creationTimestamp": TIME}, "spec": spec, "status": status}
    cells = [column.cell(pod, NOW) for column in POD_COLUMNS]
    assert cells == ["p", ready, word, restarts, "10m", "<none>", "<none>", "<none>", "<none>"]


def test_a_deleted_pod_is_terminating_unless_it_has_ended() -> None:
    pod: Json = {"metadata": {"name": "p", "deletionTimestamp": TIME}, "spec": ONE, "status": {"phase": "Running"}}
    word = POD_COLUMNS[2].cell
    assert word(pod, NOW) == "Terminating"
    assert word({**pod, "status": {"phase": "Running", "reason": "NodeLost"}}, NOW) == "Unknown"
    assert word({**pod, "status": {"phase": "Succeeded"}}, NOW) == "Succeeded"


def test_a_row_says_that_its_pod_has_ended() -> None:
    def said(phase: str) -> list[Json]:
        return pod_row_conditions({"status": {"phase": phase}})

    completed = {"type": "Completed", "status": "True"}
    assert said("Running") == []
    assert pod_row_conditions({}) == []
    assert said("Succeeded") == [{**completed, "reason": "Succeeded", "message": "The pod has completed successfully."}]
    assert said("Failed") == [{**completed, "reason": "Failed", "message": "The pod failed."}]


def test_wide_cells() -> None:
    gates = {"readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}], "nodeName": "n1", **ONE}
    status = {
        "podIPs": [{"ip": "10.0.0.1"}],
        "conditions": [{"type": "a", "status": "True"}],
        "nominatedNodeName": "n2",
    }
    pod: Json = {"metadata": {"name": "p"}, "spec": gates, "status": status}
    assert [column.cell(pod, NOW) for column in POD_COLUMNS[5:]] == ["10.0.0.1", "n1", "n2", "1/2"]
