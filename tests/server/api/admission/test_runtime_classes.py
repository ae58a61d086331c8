"""The runtime class of a pod: its overhead, its nodes and its tolerations."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import Objects, create, new, stored

from pvbinder.server.api.admission.runtime_classes import RUNTIME_CLASSES, merge_tolerations
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.objects.kind import Json

ANYTHING = {"operator": "Exists"}
OF_CLASS = {"key": "sandbox", "operator": "Exists"}
CLASS = {
    "metadata": {"name": "sandboxed"},
    "handler": "runsc",
    "overhead": {"podFixed": {"cpu": "250m", "memory": "1Gi"}},
    "scheduling": {"nodeSelector": {"sandbox": "yes"}, "tolerations": [OF_CLASS]},
}
PLAIN = {"metadata": {"name": "plain"}, "handler": "runc"}
OBJECTS = Objects((RUNTIME_CLASSES, CLASS), (RUNTIME_CLASSES, PLAIN))


def pod(**spec: Any) -> Json:
    return new("p", spec={"containers": [{"name": "c", "image": "i"}], **spec})


def test_a_pod_gets_what_its_class_says() -> None:
    made = stored(POD, pod(runtimeClassName="sandboxed", nodeSelector={"disk": "ssd"}), OBJECTS)["spec"]
    assert made["overhead"] == {"cpu": "250m", "memory": "1Gi"}
    assert made["nodeSelector"] == {"disk": "ssd", "sandbox": "yes"}
    assert OF_CLASS in made["tolerations"]
    plain = stored(POD, pod(runtimeClassName="plain"), OBJECTS)["spec"]
    assert "overhead" not in plain
    assert "nodeSelector" not in plain


def test_the_same_overhead_in_other_units_is_the_same() -> None:
    amounts = {"cpu": "0.25", "memory": "1024Mi"}
    made = stored(POD, pod(runtimeClassName="sandboxed", overhead=amounts), OBJECTS)["spec"]
    assert made["overhead"] == {"cpu": "250m", "memory": "1Gi"}


REFUSED: dict[str, tuple[Json, str]] = {
    "a class that isn't there": (
        {"runtimeClassName": "gone"},
        'pod rejected: RuntimeClass "gone" not found',
    ),
    "another overhead": (
        {"runtimeClassName": "sandboxed", "overhead": {"cpu": "1"}},
        "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
    ),
    "an overhead of no class": (
        {"overhead": {"cpu": "1"}},
        "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
    ),
    "an overhead of a class without one": (
        {"runtimeClassName": "plain", "overhead": {"cpu": "1"}},
        "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
    ),
    "other nodes": (
        {"runtimeClassName": "sandboxed", "nodeSelector": {"sandbox": "no"}},
        "conflict: runtimeClass.scheduling.nodeSelector[sandbox] = yes; pod.spec.nodeSelector[sandbox] = no",
    ),
}


@pytest.mark.parametrize(("spec", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(spec: Json, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        create(POD, pod(**spec), OBJECTS)
    assert (refused.value.code, refused.value.message) == (403, f'pods "p" is forbidden: {why}')


def equal(value: str, **more: Any) -> Json:
    return {"key": "k", "operator": "Equal", "value": value, **more}


SHORT = {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
LONG = {**SHORT, "tolerationSeconds": 9}
MERGED: dict[str, tuple[list[Json], list[Json], list[Json]]] = {
    "the same": ([equal("a")], [equal("a")], [equal("a")]),
    "others": ([equal("a")], [equal("b")], [equal("a"), equal("b")]),
    "all that there is": ([equal("a")], [ANYTHING], [ANYTHING]),
    "one effect of all": ([equal("a")], [equal("a", effect="NoSchedule")], [equal("a")]),
    "for longer": ([SHORT], [LONG], [LONG]),
    "for ever": ([LONG], [{"key": "k", "operator": "Exists"}], [{"key": "k", "operator": "Exists"}]),
}


@pytest.mark.parametrize(("first", "second", "merged"), MERGED.values(), ids=MERGED.keys())
def test_tolerations_that_others_include_are_left_out(
    first: list[Json], second: list[Json], merged: list[Json]
) -> None:
    assert merge_tolerations(first, second) == merged
