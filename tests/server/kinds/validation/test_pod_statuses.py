"""A container that has ended for good stays ended; one that may restart can run again."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.kinds.validation.pod_statuses import check_container_states, validate_pod_status
from pvbinder.server.objects.kind import Json

RUNNING: Json = {"running": {"startedAt": "2024-01-01T00:00:00Z"}}
REFUSED = "Forbidden: may not be transitioned to non-terminated state"


def ended(exit_code: int) -> Json:
    return {"terminated": {"exitCode": exit_code}}


def refusals(
    before: Json, after: Json, field: str = "containerStatuses", pod_policy: str = "Never", **container: Any
) -> list[str]:
    containers = field.removesuffix("Statuses") + "s"
    spec = {"restartPolicy": pod_policy, containers: [{"name": "a"}, {"name": "c", **container}]}
    statuses = [{"name": "a", "state": RUNNING}, {"name": "c", "state": before}]
    new = {field: [{"name": "c", "state": after}]}
    return [str(error) for error in check_container_states(new, {field: statuses}, spec)]


TRANSITIONS = {  # (before, after, restart policy of the pod, more of the container): whether it is refused
    "it ran and runs": (RUNNING, RUNNING, "Never", {}, False),
    "it ran and ends": (RUNNING, ended(1), "Never", {}, False),
    "it ended and stays so": (ended(0), ended(0), "Never", {}, False),
    "it ended and runs": (ended(0), RUNNING, "Never", {}, True),
    "it failed and runs": (ended(1), RUNNING, "Never", {}, True),
    "it ended and waits": (ended(0), {"waiting": {}}, "Never", {}, True),
    "it ended and has no state": (ended(0), {}, "Never", {}, True),
    "always, ended": (ended(0), RUNNING, "Always", {}, False),
    "on failure, failed": (ended(2), RUNNING, "OnFailure", {}, False),
    "on failure, ended well": (ended(0), RUNNING, "OnFailure", {}, True),
    "the container's own policy counts first": (ended(0), RUNNING, "Never", {"restartPolicy": "Always"}, False),
    "the container's own policy is stricter": (ended(1), RUNNING, "Always", {"restartPolicy": "Never"}, True),
    "a rule for its exit code": (
        ended(42), RUNNING, "Never",
        {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]}, False,
    ),
    "a rule for other exit codes": (
        ended(41), RUNNING, "Never",
        {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]}, True,
    ),
    "a rule for all exit codes but some": (
        ended(41), RUNNING, "Never",
        {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [42]}}]}, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "policy", "container", "is_refused"), TRANSITIONS.values(), ids=TRANSITIONS.keys()
)
def test_transitions(before: Json, after: Json, policy: str, container: Json, is_refused: bool) -> None:
    found = refusals(before, after, pod_policy=policy, **container)
    assert found == ([f"status.containerStatuses[1].state: {REFUSED}"] if is_refused else [])


@pytest.mark.parametrize("field", ["initContainerStatuses", "ephemeralContainerStatuses"])
def test_other_containers_stay_ended_too(field: str) -> None:
    assert refusals(ended(0), RUNNING, field) == [f"status.{field}[1].state: {REFUSED}"]


def test_a_debug_container_never_restarts() -> None:
    assert refusals(ended(1), RUNNING, "ephemeralContainerStatuses", "Always")


def test_an_init_container_that_always_restarts_may_run_again() -> None:
    assert not refusals(ended(0), RUNNING, "initContainerStatuses", restartPolicy="Always")


def test_a_status_that_leaves_the_container_out_is_taken() -> None:
    old = {"containerStatuses": [{"name": "c", "state": ended(0)}]}
    assert check_container_states({}, old, {"restartPolicy": "Never"}) == []


def test_an_update_of_the_status_is_checked() -> None:
    spec = {"restartPolicy": "Never", "containers": [{"name": "c"}]}
    old = {"spec": spec, "status": {"containerStatuses": [{"name": "c", "state": ended(0)}]}}
    new = {"spec": spec, "status": {"containerStatuses": [{"name": "c", "state": RUNNING}]}}
    assert [error.field for error in validate_pod_status(new, old)] == ["status.containerStatuses[0].state"]
