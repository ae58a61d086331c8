"""The mutable fields of a pod: the deadline, the fields of a gated pod, tolerations."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.built_in.test_pods import pod
from tests.server.kinds.writes import change_refusals, changed, stored

from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.objects.kind import Json

PREVIOUS = "spec.activeDeadlineSeconds: Invalid value: {}: must be less than or equal to previous value"
GONE = "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"
DEADLINES = {  # before, after: why it is refused
    "it comes nearer": (10, 9, None),
    "it stays": (10, 10, None),
    "it goes away further": (10, 11, PREVIOUS.format(11)),
    "it is new": (None, 5, None),
    "it is taken away": (10, None, GONE),
    "it was never there": (None, None, None),
}


@pytest.mark.parametrize(("before", "after", "refusal"), DEADLINES.values(), ids=DEADLINES.keys())
def test_a_deadline_only_comes_nearer(before: int | None, after: int | None, refusal: str | None) -> None:
    old = stored(POD, pod(**({} if before is None else {"activeDeadlineSeconds": before})))
    tolerations = [*old["spec"]["tolerations"], {"key": "new", "operator": "Exists"}]  # so that something changes
    patch = {"spec": {"activeDeadlineSeconds": after, "tolerations": tolerations}}
    found = [error for error in change_refusals(POD, old, patch) if error.startswith("spec.activeDeadlineSeconds")]
    assert found == ([refusal] if refusal else [])


NARROWER: dict[str, Json] = {
    "a node selector": {"nodeSelector": {"disk": "ssd"}},
    "an affinity": {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]
                }
            }
        }
    },
}


@pytest.mark.parametrize("change", NARROWER.values(), ids=NARROWER.keys())
def test_a_pod_behind_a_gate_can_be_narrowed_down_and_no_other(change: Json) -> None:
    gated = stored(POD, pod(schedulingGates=[{"name": "example.com/wait"}]))
    assert change_refusals(POD, gated, {"spec": change}) == []
    (error,) = change_refusals(POD, stored(POD, pod()), {"spec": change})
    assert error.startswith("spec: Forbidden: pod updates may not change fields other than")


GATES = {
    "one is taken away": (["a.example/x", "b.example/x"], ["b.example/x"], False),
    "all are taken away": (["a.example/x"], [], False),
    "one is added": (["a.example/x"], ["a.example/x", "b.example/x"], True),
    "one is put in another's place": (["a.example/x"], ["b.example/x"], True),
}


@pytest.mark.parametrize(("before", "after", "is_refused"), GATES.values(), ids=GATES.keys())
def test_gates_are_only_taken_away(before: list[str], after: list[str], is_refused: bool) -> None:
    def gates(names: list[str]) -> list[Json]:
        return [{"name": name} for name in names]

    old = stored(POD, pod(schedulingGates=gates(before)))
    errors = change_refusals(POD, old, {"spec": {"schedulingGates": gates(after)}})
    refused = "spec.schedulingGates: Forbidden: only deletion is allowed, but found new scheduling gates"
    assert (refused in errors) == is_refused
    assert bool(errors) == is_refused


TOLERATION = {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}


@pytest.mark.parametrize(
    ("change", "is_refused"),
    {
        "only for how long": ({"tolerationSeconds": 5}, False),
        "another key": ({"key": "other"}, True),
        "another effect": ({"effect": "NoSchedule", "tolerationSeconds": None}, True),
    }.values(),
)
def test_a_toleration_that_is_there_changes_only_its_seconds(change: dict[str, Any], is_refused: bool) -> None:
    old = stored(POD, pod(tolerations=[TOLERATION]))
    others = [one for one in old["spec"]["tolerations"] if one.get("key") != "k"]
    sent = {field: value for field, value in {**TOLERATION, **change}.items() if value is not None}
    errors = change_refusals(POD, old, {"spec": {"tolerations": [sent, *others]}})
    refused = "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    assert (refused in errors) == is_refused


def test_a_negative_grace_period_can_become_one_second_and_no_other() -> None:
    old = stored(POD, pod(terminationGracePeriodSeconds=30))
    assert change_refusals(POD, old, {"spec": {"terminationGracePeriodSeconds": 1}})
    old["spec"]["terminationGracePeriodSeconds"] = -1
    result = changed(POD, old, {"spec": {"terminationGracePeriodSeconds": 1}})
    assert result["spec"]["terminationGracePeriodSeconds"] == 1
