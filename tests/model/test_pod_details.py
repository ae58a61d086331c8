"""The details of a pod that workloads' controllers read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pvbinder.model.json import encode
from pvbinder.model.objects import Pod, parse_pod
from pvbinder.model.pod_details import Condition, PodDetails, details_of, is_active, is_available, seconds_to_available

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOTHING = PodDetails(False, None, (), 0, (), None, "")


def pod(**status: Any) -> Pod:
    return parse_pod(encode({"metadata": {"name": "p", "namespace": "shop"}, "status": status}))


def ready(status: str = "True", since: object = "2026-01-01T11:59:50Z") -> dict[str, Any]:
    return {
        "conditions": [
            {"type": "Other", "status": "True"},
            {"type": "Ready", "status": status, "lastTransitionTime": since},
        ]
    }


def ended(code: int | None, at: object) -> dict[str, Any]:
    return {"state": {"terminated": {"finishedAt": at, **({} if code is None else {"exitCode": code})}}}


def test_each_field_has_what_belongs_there() -> None:
    containers = [
        {"restartCount": 2, **ended(3, "2026-01-01T11:00:00Z")},
        {"restartCount": 1, **ended(None, "2026-01-01T11:30:00Z")},
        ended(5, "never"),
        {"state": {"running": {}}},
        {},
    ]
    condition = {"type": "Ready", "status": "True", "reason": "Because", "lastTransitionTime": "2026-01-01T11:00:00Z"}

    assert details_of(pod(podIP="10.0.0.1", containerStatuses=containers, conditions=[condition, {}])) == PodDetails(
        is_ready=True,
        ready_since=NOW - timedelta(hours=1),
        conditions=(Condition("Ready", "True", "Because", "2026-01-01T11:00:00Z"), Condition("", "", None, None)),
        restarts=2,
        exit_codes=(3, 0, 5),
        finished_at=NOW - timedelta(minutes=30),
        ip="10.0.0.1",
    )


@pytest.mark.parametrize("status", [{}, {"conditions": "none"}, {"containerStatuses": []}], ids=str)
def test_what_cannot_be_read_is_not_there(status: dict[str, Any]) -> None:
    assert details_of(pod(**status)) == NOTHING


def test_when_a_pod_that_is_not_ready_changed_does_not_count() -> None:
    assert details_of(pod(**ready("False"))).ready_since is None


LEFT = {  # the status, how many seconds it must be ready: seconds left
    "not ready": (ready("False"), 0, None),
    "no condition": ({}, 0, None),
    "ready is enough": (ready(since=None), 0, 0),
    "ready since nobody knows when": (ready(since=None), 1, None),
    "a time that is none": (ready(since="soon"), 1, None),
    "some of it": (ready(), 30, 20),
    "long enough": (ready(), 10, 0),
    "much longer": (ready(), 1, 0),
}


@pytest.mark.parametrize(("status", "least", "left"), LEFT.values(), ids=LEFT.keys())
def test_how_long_a_pod_still_has_to_be_ready(status: dict[str, Any], least: int, left: int | None) -> None:
    assert seconds_to_available(pod(**status), least, NOW) == left
    assert is_available(pod(**status), least, NOW) is (left == 0)


@pytest.mark.parametrize(
    ("phase", "is_so"), [("Pending", True), ("Running", True), ("Succeeded", False), ("Failed", False)]
)
def test_a_pod_that_is_over_does_not_count(phase: str, is_so: bool) -> None:
    assert is_active(pod(phase=phase)) is is_so


def test_a_pod_that_is_being_deleted_does_not_count() -> None:
    assert not is_active(parse_pod(encode({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})))
