"""HorizontalPodAutoscaler as ``autoscaling/v1`` shows it, and back to ``v2``, the form in which it is stored.

v1 has one target, the CPU utilisation. What else v2 has stands in annotations of v1, which no stored object has:

- ``…/metrics``: the other metrics, in the form that metrics had before v2;
- ``…/current-metrics``, ``…/conditions``: of the status, whether or not v1 has a field for them;
- ``…/behavior``: with field names as Go's internal type has them, a wart that old clients know.

An annotation that can't be read counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pvbinder.model.resources import Resource
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.convert import Conversion, ConversionError

AUTOSCALERS: Final = Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True)
AUTOSCALERS_V1: Final = Resource("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True)

_SCHEMAS = "io.k8s.api.autoscaling.v2"
_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS: Final = f"{_PREFIX}metrics"
CURRENT_METRICS: Final = f"{_PREFIX}current-metrics"
CONDITIONS: Final = f"{_PREFIX}conditions"
BEHAVIOR: Final = f"{_PREFIX}behavior"
ANNOTATIONS: Final = (METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR)


class _Rename(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The fields that the structs of the annotations share."""


class _Reference(msgspec.Struct, rename="camel", kw_only=True):
    kind: str = ""
    name: str = ""
    api_version: str | msgspec.UnsetType = msgspec.UNSET


class _Object(_Rename):
    target: _Reference
    metric_name: str
    target_value: str = "0"
    current_value: str = "0"
    selector: Json | None = None
    average_value: str | None = None


class _Pods(_Rename):
    metric_name: str
    target_average_value: str = "0"
    current_average_value: str = "0"
    selector: Json | None = None


class _Resource(_Rename):
    name: str
    target_average_utilization: int | None = None
    target_average_value: str | None = None
    current_average_utilization: int | None = None
    current_average_value: str | None = None
    container: str | None = None


class _External(_Rename):
    metric_name: str
    metric_selector: Json | None = None
    target_value: str | None = None
    target_average_value: str | None = None
    current_value: str | None = None
    current_average_value: str | None = None


class _Metric(_Rename):
    """A metric, or what is seen of one, as it was before v2."""

    type: str
    object: _Object | None = None
    pods: _Pods | None = None
    resource: _Resource | None = None
    container_resource: _Resource | None = None
    external: _External | None = None


class _Condition(_Rename):
    type: str
    status: str
    last_transition_time: str | None = None
    reason: str = ""
    message: str = ""


class _Policy(msgspec.Struct, rename="pascal"):
    type: str
    value: int
    period_seconds: int


class _Rules(msgspec.Struct, rename="pascal", kw_only=True):
    stabilization_window_seconds: int | None = None
    select_policy: str | None = None
    policies: list[_Policy] | None = None
    tolerance: str | None = None


class _Behavior(msgspec.Struct, rename="pascal", kw_only=True):
    scale_up: _Rules | None = None
    scale_down: _Rules | None = None


def to_v2(obj: Json) -> Json:
    """Return an autoscaler of v1 in the form in which it is stored; reads and takes away the annotations."""
    metadata = dict(obj.get("metadata") or {})
    annotations: Json = dict(metadata.pop("annotations", None) or {})
    found = {name: annotations.pop(name, "") for name in ANNOTATIONS}
    if annotations:
        metadata["annotations"] = annotations
    spec: Json = dict(obj.get("spec") or {})
    metrics = _read_metrics(found[METRICS], "target")
    percentage = spec.pop("targetCPUUtilizationPercentage", None)
    if percentage is not None:
        metrics.append(_of_cpu("target", {"type": "Utilization", "averageUtilization": percentage}))
    if metrics:
        spec["metrics"] = metrics
    if behavior := _read_behavior(found[BEHAVIOR]):
        spec["behavior"] = behavior
    status: Json = dict(obj.get("status") or {})
    percentage = status.pop("currentCPUUtilizationPercentage", None)
    current = _read_metrics(found[CURRENT_METRICS], "current")
    if not current and percentage is not None:
        current = [_of_cpu("current", {"averageUtilization": percentage})]
    status["currentMetrics"] = current or None
    if conditions := _read_conditions(found[CONDITIONS]):
        status["conditions"] = conditions
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)
    return {**obj, "apiVersion": AUTOSCALERS.api_version, "metadata": metadata, "spec": spec, "status": status}


def from_v2(obj: Json) -> Json:
    """Return a stored autoscaler as v1 shows it."""
    metadata = dict(obj.get("metadata") or {})
    annotations: Json = {
        name: text for name, text in (metadata.pop("annotations", None) or {}).items() if name not in ANNOTATIONS
    }
    spec: Json = dict(obj.get("spec") or {})
    status: Json = dict(obj.get("status") or {})
    metrics, current = spec.pop("metrics", None) or [], status.pop("currentMetrics", None) or []
    behavior, conditions = spec.pop("behavior", None), status.pop("conditions", None) or []
    of_cpu = next((metric for metric in metrics if _is_cpu(metric)), None)
    if of_cpu is not None and (percentage := _utilization(of_cpu, "target")) is not None:
        spec["targetCPUUtilizationPercentage"] = percentage
    for metric in current:
        if _is_cpu(metric) and (percentage := _utilization(metric, "current")) is not None:
            status["currentCPUUtilizationPercentage"] = percentage
    others = [metric for metric in metrics if not (_is_cpu(metric) and _utilization(metric, "target") is not None)]
    if others:
        annotations[METRICS] = _text([_older(metric, "target") for metric in others])
    if current:
        annotations[CURRENT_METRICS] = _text([_older(metric, "current") for metric in current])
    if behavior is not None:
        annotations[BEHAVIOR] = _text(
            {"ScaleUp": _go_rules(behavior.get("scaleUp")), "ScaleDown": _go_rules(behavior.get("scaleDown"))}
        )
    if conditions:
        annotations[CONDITIONS] = _text([_go_condition(condition) for condition in conditions])
    if annotations:
        metadata["annotations"] = annotations
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    return {**obj, "apiVersion": AUTOSCALERS_V1.api_version, "metadata": metadata, "spec": spec, "status": status}


# -- from what v1 says to v2


def _read(text: object, type_: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=type_) if isinstance(text, str) and text else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _read_metrics(text: object, which: str) -> list[Json]:
    metrics: list[_Metric] = _read(text, list[_Metric]) or []
    return _fitting(
        [_newer(metric, which) for metric in metrics], "MetricSpec" if which == "target" else "MetricStatus"
    )


def _fitting(found: list[Json], type_: str) -> list[Json]:
    """Return what was read as the schema of v2 has it: quantities and times in their one form; else nothing of it."""
    try:
        return [Conversion().object(one, f"{_SCHEMAS}.{type_}") for one in found]
    except ConversionError:
        return []


def _newer(metric: _Metric, which: str) -> Json:
    """Return a metric in the form of v2; `which` is "target", or "current" for what is seen of it."""
    newer: Json = {"type": metric.type}
    is_target = which == "target"
    if (one := metric.object) is not None:
        value = one.target_value if is_target else one.current_value
        value_of: Json = {"averageValue": one.average_value} if one.average_value is not None else {"value": value}
        if one.average_value is not None and value != "0":
            value_of["value"] = value
        newer["object"] = {
            "describedObject": msgspec.to_builtins(one.target),
            "metric": _named(one.metric_name, one.selector),
            which: _typed(value_of, "Value" if one.average_value is None else "AverageValue", is_target=is_target),
        }
    if (pods := metric.pods) is not None:
        value = pods.target_average_value if is_target else pods.current_average_value
        newer["pods"] = {
            "metric": _named(pods.metric_name, pods.selector),
            which: _typed({"averageValue": value}, "AverageValue", is_target=is_target),
        }
    for field, resource in (("resource", metric.resource), ("containerResource", metric.container_resource)):
        if resource is not None:
            newer[field] = _newer_resource(resource, which, has_container=field == "containerResource")
    if (external := metric.external) is not None:
        value_of = _set(
            value=external.target_value if is_target else external.current_value,
            averageValue=external.target_average_value if is_target else external.current_average_value,
        )
        newer["external"] = {
            "metric": _named(external.metric_name, external.metric_selector),
            which: _typed(value_of, "Value" if "value" in value_of else "AverageValue", is_target=is_target),
        }
    return newer


def _newer_resource(resource: _Resource, which: str, *, has_container: bool) -> Json:
    is_target = which == "target"
    utilization = resource.target_average_utilization if is_target else resource.current_average_utilization
    value = resource.target_average_value if is_target else resource.current_average_value
    amounts = _set(averageUtilization=utilization, averageValue=value)
    newer: Json = {
        "name": resource.name,
        which: _typed(amounts, "AverageValue" if utilization is None else "Utilization", is_target=is_target),
    }
    if has_container:
        newer["container"] = resource.container or ""
    return newer


def _typed(amounts: Json, type_: str, *, is_target: bool) -> Json:
    return {"type": type_, **amounts} if is_target else amounts


def _named(name: str, selector: Json | None) -> Json:
    return {"name": name} if selector is None else {"name": name, "selector": selector}


def _set(**values: object) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _of_cpu(which: str, amounts: Json) -> Json:
    return {"type": "Resource", "resource": {"name": "cpu", which: amounts}}


def _read_behavior(text: object) -> Json | None:
    """Read a behaviour, whose field names may be written in either case."""
    document = _read(text, dict[str, Any])
    found: _Behavior | None = None
    if document is not None:
        try:
            found = msgspec.convert(_capitalised(document), _Behavior)
        except (msgspec.ValidationError, RecursionError):
            return None
    if found is None:
        return None
    behavior = _set(scaleUp=_rules(found.scale_up), scaleDown=_rules(found.scale_down))
    return next(iter(_fitting([behavior], "HorizontalPodAutoscalerBehavior")), None)


def _capitalised(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: _capitalised(inner) for name, inner in value.items()}
    return [_capitalised(inner) for inner in value] if isinstance(value, list) else value


def _rules(rules: _Rules | None) -> Json | None:
    if rules is None:
        return None
    policies = None
    if rules.policies is not None:
        policies = [{"type": p.type, "value": p.value, "periodSeconds": p.period_seconds} for p in rules.policies]
    return _set(
        stabilizationWindowSeconds=rules.stabilization_window_seconds,
        selectPolicy=rules.select_policy,
        policies=policies,
        tolerance=rules.tolerance,
    )


def _read_conditions(text: object) -> list[Json]:
    found: list[_Condition] = _read(text, list[_Condition]) or []
    return _fitting([msgspec.to_builtins(one) for one in found], "HorizontalPodAutoscalerCondition")


# -- from v2 to what v1 says


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _is_cpu(metric: Json) -> bool:
    return metric.get("type") == "Resource" and (metric.get("resource") or {}).get("name") == "cpu"


def _utilization(metric: Json, which: str) -> Any:
    return ((metric.get("resource") or {}).get(which) or {}).get("averageUtilization")


def _older(metric: Json, which: str) -> Json:
    """Return a metric of v2 as it was before."""
    older: Json = {"type": metric.get("type", "")}
    for field, convert in _OLDER.items():
        if metric.get(field) is not None:
            older[field] = convert(metric[field], which)
    return older


def _older_object(source: Json, which: str) -> Json:
    amounts, metric = source.get(which) or {}, source.get("metric") or {}
    return {
        "target": source.get("describedObject") or {"kind": "", "name": ""},
        "metricName": metric.get("name", ""),
        f"{which}Value": amounts.get("value") or "0",
        **_set(selector=metric.get("selector"), averageValue=amounts.get("averageValue")),
    }


def _older_pods(source: Json, which: str) -> Json:
    amounts, metric = source.get(which) or {}, source.get("metric") or {}
    average = amounts.get("averageValue") or "0"
    older = {"metricName": metric.get("name", ""), f"{which}AverageValue": average}
    return {**older, **_set(selector=metric.get("selector"))}


def _older_resource(source: Json, which: str) -> Json:
    amounts = source.get(which) or {}
    average = amounts.get("averageValue")
    if which == "current" and average is None:
        average = "0"
    return {
        "name": source.get("name", ""),
        **_set(
            **{f"{which}AverageUtilization": amounts.get("averageUtilization"), f"{which}AverageValue": average},
            container=source.get("container"),
        ),
    }


def _older_external(source: Json, which: str) -> Json:
    amounts, metric = source.get(which) or {}, source.get("metric") or {}
    value = amounts.get("value")
    if which == "current" and value is None:
        value = "0"
    older = _set(metricSelector=metric.get("selector"))
    average = amounts.get("averageValue")
    return {
        "metricName": metric.get("name", ""),
        **older,
        **_set(**{f"{which}Value": value, f"{which}AverageValue": average}),
    }


_OLDER: Mapping[str, Callable[[Json, str], Json]] = {
    "object": _older_object,
    "pods": _older_pods,
    "resource": _older_resource,
    "containerResource": _older_resource,
    "external": _older_external,
}


def _go_rules(rules: Json | None) -> Json | None:
    if rules is None:
        return None
    policies = rules.get("policies")
    if policies is not None:
        policies = [
            {"Type": p.get("type", ""), "Value": p.get("value", 0), "PeriodSeconds": p.get("periodSeconds", 0)}
            for p in policies
        ]
    return {
        "StabilizationWindowSeconds": rules.get("stabilizationWindowSeconds"),
        "SelectPolicy": rules.get("selectPolicy"),
        "Policies": policies,
        "Tolerance": rules.get("tolerance"),
    }


def _go_condition(condition: Json) -> Json:
    older = {"type": condition.get("type", ""), "status": condition.get("status", "")}
    texts = {name: condition[name] for name in ("reason", "message") if condition.get(name)}
    return {**older, "lastTransitionTime": condition.get("lastTransitionTime"), **texts}
