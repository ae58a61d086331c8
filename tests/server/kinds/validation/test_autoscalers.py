"""What HorizontalPodAutoscalers refuse, in the reference's words and at the paths of v2."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import change_refusals, merged, new, refusals, stored

from pvbinder.server.kinds.built_in.autoscalers import AUTOSCALER
from pvbinder.server.objects.kind import Json

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
HALF = {"type": "Utilization", "averageUtilization": 50}
VALUE = {"type": "Value", "value": "5"}
AVERAGE = {"type": "AverageValue", "averageValue": "5"}
QUEUE = {"name": "queue"}
SPEC = {"scaleTargetRef": TARGET, "maxReplicas": 3}
WITHOUT_GROUP = {**TARGET, "apiVersion": "v1"}


def spec(**fields: Any) -> Json:
    return merged(SPEC, fields)


def metric(kind: str, **sources: Any) -> Json:
    return spec(metrics=[{"type": kind, **sources}])


def about(described: Json, target: Json = VALUE) -> Json:
    return metric("Object", object={"describedObject": described, "metric": QUEUE, "target": target})


def of_container(**fields: Any) -> Json:
    return metric("ContainerResource", containerResource={"name": "cpu", "container": "c", "target": HALF, **fields})


def behaves(**rules: Any) -> Json:
    return spec(behavior={"scaleDown": rules})


POLICY = {"type": "Pods", "value": 1, "periodSeconds": 60}
SOURCES = '"ContainerResource", "External", "Object", "Pods", "Resource"'
AT = "spec.metrics[0]"
DOWN = "spec.behavior.scaleDown"
REFUSED: dict[str, tuple[Json, list[str]]] = {
    "the least": (spec(), []),
    "nothing": (
        {},
        [
            "spec.maxReplicas: Required value: must be set and greater than 0",
            "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
            "spec.scaleTargetRef.kind: Required value",
            "spec.scaleTargetRef.name: Required value",
            'spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group',
        ],
    ),
    "no replicas": (
        spec(minReplicas=0),
        [
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
            (
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to "
                "zero replicas"
            ),
        ],
    ),
    "fewer than none": (
        spec(maxReplicas=-1),
        [
            "spec.maxReplicas: Invalid value: -1: must be greater than or equal to 1",
            "spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
        ],
    ),
    "more at least than at most": (
        spec(minReplicas=4),
        ["spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"],
    ),
    "a target with a path": (
        spec(scaleTargetRef={"kind": "a/b", "name": ".."}),
        [
            "spec.scaleTargetRef.kind: Invalid value: \"a/b\": may not contain '/'",
            "spec.scaleTargetRef.name: Invalid value: \"..\": may not be '..'",
        ],
    ),
    "a target of the core group": (
        spec(scaleTargetRef={"apiVersion": "v1", "kind": "Pod"}),
        ['spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group'],
    ),
    "the one target of the core group": (
        spec(scaleTargetRef={"apiVersion": "v1", "kind": "ReplicationController"}),
        [],
    ),
    "a version that is none": (
        spec(scaleTargetRef={"apiVersion": "a/b/c"}),
        ['spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'],
    ),
    "a resource": (metric("Resource", resource={"name": "memory", "target": AVERAGE}), []),
    "a resource without a name and target": (
        metric("Resource", resource={}),
        [
            f"{AT}.resource.name: Required value: must specify a resource name",
            f"{AT}.resource.target.type: Required value: must specify a metric target type",
            (
                f'{AT}.resource.target.type: Invalid value: "": '
                "must be either Utilization, Value, or AverageValue"
            ),
            (
                f"{AT}.resource.target.averageUtilization: Required value: "
                "must set either a target raw value or a target utilization"
            ),
        ],
    ),
    "a resource with two targets": (
        metric("Resource", resource={"name": "cpu", "target": {**HALF, "averageValue": "1"}}),
        [
            (
                f"{AT}.resource.target.averageValue: Forbidden: "
                "may not set both a target raw value and a target utilization"
            )
        ],
    ),
    "targets of nothing": (
        metric("Resource", resource={"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}}),
        [f"{AT}.resource.target.averageUtilization: Invalid value: 0: must be greater than 0"],
    ),
    "a container": (of_container(), []),
    "a container without a name": (
        of_container(container="", name=""),
        [
            f"{AT}.containerResource.name: Required value: must specify a resource name",
            f"{AT}.containerResource.container: Required value: must specify a container",
        ],
    ),
    "a container with wrong names": (
        of_container(container="a.b", name="storage"),
        [
            f'{AT}.containerResource.name: Invalid value: "storage": must be a standard resource for containers',
            f'{AT}.containerResource.container: Invalid value: "a.b": must not contain dots',
        ],
    ),
    "an object": (about(WITHOUT_GROUP), []),
    "an object without a target": (
        about({}, {"type": "Value"}),
        [
            f"{AT}.object.describedObject.kind: Required value",
            f"{AT}.object.describedObject.name: Required value",
            f"{AT}.object.target.averageValue: Required value: must set either a target value or averageValue",
        ],
    ),
    "an object of no version": (
        about({**TARGET, "apiVersion": "a/b/c"}),
        [
            (
                f'{AT}.object.describedObject.apiVersion: Invalid value: "a/b/c": '
                "unexpected GroupVersion string: a/b/c"
            )
        ],
    ),
    "pods": (metric("Pods", pods={"metric": QUEUE, "target": AVERAGE}), []),
    "pods without an average": (
        metric("Pods", pods={"metric": {"name": "a%b"}, "target": {"type": "Value", "value": "-1"}}),
        [
            f"{AT}.pods.metric.name: Invalid value: \"a%b\": may not contain '%'",
            f'{AT}.pods.target.value: Invalid value: "-1": must be positive',
            f"{AT}.pods.target.averageValue: Required value: must specify a positive target averageValue",
        ],
    ),
    "something outside": (metric("External", external={"metric": QUEUE, "target": VALUE}), []),
    "something outside without a target": (
        metric("External", external={"target": {"type": "Value"}}),
        [
            f"{AT}.external.metric.name: Required value: must specify a metric name",
            (
                f"{AT}.external.target.averageValue: Required value: "
                "must set either a target value for metric or a per-pod target"
            ),
        ],
    ),
    "something outside with two targets": (
        metric("External", external={"metric": QUEUE, "target": {**VALUE, "averageValue": "1"}}),
        [
            (
                f"{AT}.external.target.value: Forbidden: "
                "may not set both a target value for metric and a per-pod target"
            )
        ],
    ),
    "no type": (
        metric(""),
        [
            f"{AT}.type: Required value: must specify a metric source type",
            *[f'{AT}.type: Unsupported value: "": supported values: {SOURCES}'] * 2,
        ],
    ),
    "another source than the type": (
        metric("Pods", resource={"name": "cpu", "target": HALF}),
        [f"{AT}.pods: Required value: must populate information for the given metric source"],
    ),
    "two sources": (
        metric("Resource", resource={"name": "cpu", "target": HALF}, pods={"metric": QUEUE, "target": AVERAGE}),
        [f"{AT}.pods: Forbidden: must populate the given metric source only"],
    ),
    "behaviour": (behaves(policies=[POLICY], stabilizationWindowSeconds=3600, tolerance="50m"), []),
    "no policies": (behaves(policies=[]), [f"{DOWN}.policies: Required value: must specify at least one Policy"]),
    "windows, choice and tolerance that can't be": (
        behaves(stabilizationWindowSeconds=-1, selectPolicy="Best", tolerance="-1"),
        [
            f"{DOWN}.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero",
            f'{DOWN}.selectPolicy: Unsupported value: "Best": supported values: "Disabled", "Max", "Min"',
            f'{DOWN}.tolerance: Invalid value: "-1": must be greater than or equal to 0',
        ],
    ),
    "too long a window": (
        behaves(stabilizationWindowSeconds=3601),
        [f"{DOWN}.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600"],
    ),
    "policies that can't be": (
        behaves(policies=[{"type": "Few"}, {**POLICY, "periodSeconds": 1801}]),
        [
            f'{DOWN}.policies[0].type: Unsupported value: "Few": supported values: "Percent", "Pods"',
            f"{DOWN}.policies[0].value: Invalid value: 0: must be greater than zero",
            f"{DOWN}.policies[0].periodSeconds: Invalid value: 0: must be greater than zero",
            f"{DOWN}.policies[1].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "errors"), REFUSED.values(), ids=REFUSED.keys())
def test_autoscalers(given: Json, errors: list[str]) -> None:
    assert refusals(AUTOSCALER, new(spec=given)) == errors


def test_what_was_there_may_stay() -> None:
    made = stored(AUTOSCALER, new(spec=spec()))
    wrong = {"minReplicas": 0, "scaleTargetRef": {"apiVersion": "v1"}, **about({**TARGET, "apiVersion": "a/b/c"})}
    older = merged(made, {"spec": {**wrong, "scaleTargetRef": WITHOUT_GROUP}})
    assert change_refusals(AUTOSCALER, older, {"spec": {"maxReplicas": 5}}) == []
    assert change_refusals(AUTOSCALER, older, {"spec": {"scaleTargetRef": {"kind": "Pod"}}}) == [
        'spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group'
    ]


def test_statuses_of_autoscalers() -> None:
    made = stored(AUTOSCALER, new(spec=spec()))
    status = {"currentReplicas": -1, "desiredReplicas": -2}
    assert change_refusals(AUTOSCALER, made, {"status": status}, "status") == [
        "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0",
        "status.desiredReplicas: Invalid value: -2: must be greater than or equal to 0",
    ]
    assert change_refusals(AUTOSCALER, made, {"status": {"currentReplicas": 1, "desiredReplicas": 2}}, "status") == []
