"""HorizontalPodAutoscaler: defaults, and v1 beside v2."""

from __future__ import annotations

import json

import pytest

from pvbinder.server.kinds.built_in.autoscaler_versions import (
    BEHAVIOR,
    CONDITIONS,
    CURRENT_METRICS,
    METRICS,
    from_v2,
    to_v2,
)
from pvbinder.server.kinds.built_in.autoscalers import AUTOSCALER
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.convert import Conversion

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}
HALF = {"type": "Utilization", "averageUtilization": 50}


def of_resource(name: str, target: Json) -> Json:
    return {"type": "Resource", "resource": {"name": name, "target": target}}


CPU_AT_HALF = of_resource("cpu", HALF)
IDENTIFIER = {"name": "queue", "selector": {"matchLabels": {"a": "b"}}}
METRICS_OF_BOTH = [  # as v2 has them, and as the annotation has them
    (
        of_resource("memory", HALF),
        {"type": "Resource", "resource": {"name": "memory", "targetAverageUtilization": 50}},
    ),
    (
        of_resource("cpu", {"type": "AverageValue", "averageValue": "500m"}),
        {"type": "Resource", "resource": {"name": "cpu", "targetAverageValue": "500m"}},
    ),
    (
        {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": HALF}},
        {"type": "ContainerResource", "containerResource": {
            "name": "cpu", "targetAverageUtilization": 50, "container": "c",
        }},
    ),
    (
        {"type": "Pods", "pods": {"metric": IDENTIFIER, "target": {"type": "AverageValue", "averageValue": "1k"}}},
        {"type": "Pods", "pods": {
            "metricName": "queue", "targetAverageValue": "1k", "selector": {"matchLabels": {"a": "b"}},
        }},
    ),
    (
        {"type": "Object", "object": {
            "describedObject": TARGET, "metric": {"name": "hits"}, "target": {"type": "Value", "value": "2k"},
        }},
        {"type": "Object", "object": {"target": TARGET, "metricName": "hits", "targetValue": "2k"}},
    ),
    (
        {"type": "Object", "object": {
            "describedObject": TARGET,
            "metric": {"name": "hits"},
            "target": {"type": "AverageValue", "averageValue": "3"},
        }},
        {"type": "Object", "object": {
            "target": TARGET, "metricName": "hits", "targetValue": "0", "averageValue": "3",
        }},
    ),
    (
        {"type": "External", "external": {"metric": IDENTIFIER, "target": {"type": "Value", "value": "30"}}},
        {"type": "External", "external": {
            "metricName": "queue", "metricSelector": {"matchLabels": {"a": "b"}}, "targetValue": "30",
        }},
    ),
    (
        {"type": "External", "external": {
            "metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "30"},
        }},
        {"type": "External", "external": {"metricName": "queue", "targetAverageValue": "30"}},
    ),
]  # fmt: skip


def stored(*metrics: Json, **spec: object) -> Json:
    """An autoscaler as it is stored."""
    obj = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "w", "creationTimestamp": None},
        "spec": {"scaleTargetRef": TARGET, "maxReplicas": 3, "metrics": list(metrics), **spec},
    }
    converted = Conversion().object(obj, AUTOSCALER.schema)
    AUTOSCALER.complete(converted)
    return converted


def annotations_of(obj: Json) -> Json:
    return {name: json.loads(text) for name, text in (obj["metadata"].get("annotations") or {}).items()}


def test_one_replica_and_the_cpu_at_80_percent_are_the_default() -> None:
    spec = stored()["spec"]
    assert spec["minReplicas"] == 1
    assert spec["metrics"] == [of_resource("cpu", {"type": "Utilization", "averageUtilization": 80})]


def test_a_behavior_is_completed_on_both_sides() -> None:
    behavior = stored(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}})["spec"]["behavior"]
    percent, pods = ({"type": t, "value": v, "periodSeconds": 15} for t, v in (("Percent", 100), ("Pods", 4)))
    assert behavior == {
        "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent]},
        "scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Max", "policies": [percent]},
    }


def test_v1_shows_the_cpu_as_a_field() -> None:
    shown = from_v2(stored(CPU_AT_HALF))
    assert shown["apiVersion"] == "autoscaling/v1"
    assert shown["spec"] == {
        "scaleTargetRef": TARGET,
        "minReplicas": 1,
        "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 50,
    }
    assert shown["status"] == {"currentReplicas": 0, "desiredReplicas": 0}
    assert "annotations" not in shown["metadata"]


@pytest.mark.parametrize(("newer", "older"), METRICS_OF_BOTH, ids=lambda metric: json.dumps(metric)[:40])
def test_other_metrics_are_an_annotation_of_v1(newer: Json, older: Json) -> None:
    obj = stored(newer)
    shown = from_v2(obj)
    assert annotations_of(shown) == {METRICS: [older]}
    assert to_v2(shown) == obj


def test_the_first_of_the_cpus_metrics_decides_what_v1_shows() -> None:
    average = of_resource("cpu", {"type": "AverageValue", "averageValue": "500m"})
    assert "targetCPUUtilizationPercentage" not in from_v2(stored(average, CPU_AT_HALF))["spec"]


def test_the_behavior_is_an_annotation_with_the_names_of_the_internal_type() -> None:
    obj = stored(CPU_AT_HALF, behavior={"scaleUp": {"policies": [], "tolerance": "50m"}})
    obj["spec"]["behavior"].pop("scaleDown")
    shown = from_v2(obj)
    rules = {"StabilizationWindowSeconds": 0, "SelectPolicy": "Max", "Policies": None, "Tolerance": "50m"}
    annotation = annotations_of(shown)[BEHAVIOR]
    assert annotation["ScaleDown"] is None
    assert {**annotation["ScaleUp"], "Policies": None} == rules
    assert to_v2(shown)["spec"]["behavior"] == obj["spec"]["behavior"]


def test_field_names_of_a_behavior_may_begin_with_small_letters() -> None:
    text = '{"scaleDown": {"selectPolicy": "Disabled"}}'
    obj = {"metadata": {"annotations": {BEHAVIOR: text}}, "spec": {}}
    assert to_v2(obj)["spec"]["behavior"] == {"scaleDown": {"selectPolicy": "Disabled"}}


def test_the_status_is_in_fields_and_in_annotations() -> None:
    obj = stored(CPU_AT_HALF)
    condition = {"type": "AbleToScale", "status": "True", "lastTransitionTime": "2026-01-31T12:00:00Z", "reason": "r"}
    current = {"averageUtilization": 40, "averageValue": "400m"}
    obj["status"] = {
        "currentReplicas": 2,
        "desiredReplicas": 3,
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": current}}],
        "conditions": [condition],
    }
    shown = from_v2(obj)
    assert shown["status"] == {"currentReplicas": 2, "desiredReplicas": 3, "currentCPUUtilizationPercentage": 40}
    of_v1 = {"name": "cpu", "currentAverageUtilization": 40, "currentAverageValue": "400m"}
    assert annotations_of(shown) == {
        CURRENT_METRICS: [{"type": "Resource", "resource": of_v1}],
        CONDITIONS: [condition],
    }
    assert to_v2(shown)["status"] == obj["status"]


@pytest.mark.parametrize("name", [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR])
@pytest.mark.parametrize("text", ["", "{", "[[]]", '"x"', "7", "null", '[{"type": 7}]', '{"ScaleUp": []}'])
def test_an_annotation_that_cannot_be_read_counts_for_nothing(name: str, text: str) -> None:
    obj = {"metadata": {"annotations": {name: text, "mine": "kept"}}, "spec": {"maxReplicas": 3}}
    converted = to_v2(obj)
    assert converted["metadata"]["annotations"] == {"mine": "kept"}
    assert converted["spec"] == {"maxReplicas": 3}
    assert converted["status"] == {"currentMetrics": None}


def test_quantities_in_annotations_are_checked_and_get_their_one_form() -> None:
    metric = {"type": "Pods", "pods": {"metricName": "hits", "targetAverageValue": "1000"}}
    good = {"metadata": {"annotations": {METRICS: json.dumps([metric])}}, "spec": {}}
    assert to_v2(good)["spec"]["metrics"][0]["pods"]["target"]["averageValue"] == "1k"
    metric["pods"]["targetAverageValue"] = "much"  # type: ignore[index]
    bad = {"metadata": {"annotations": {METRICS: json.dumps([metric])}}, "spec": {}}
    assert "metrics" not in to_v2(bad)["spec"]
