"""HorizontalPodAutoscaler of both versions, over one storage in the form of ``v2``; nothing scales by them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pvbinder.server.kinds.built_in.autoscaler_targets import targets_cell
from pvbinder.server.kinds.built_in.autoscaler_versions import AUTOSCALERS, AUTOSCALERS_V1, from_v2, to_v2
from pvbinder.server.kinds.parts.columns import AGE, NAME, UNSET, field_cell, text_cell
from pvbinder.server.kinds.parts.status import STATUS, keep_status
from pvbinder.server.kinds.validation.autoscalers import (
    validate_autoscaler,
    validate_autoscaler_status,
    validate_autoscaler_update,
)
from pvbinder.server.objects.kind import Column, Convertor, Json, ServedKind

_V1_SCHEMA = "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler"
_V2_SCHEMA = "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler"


def default_autoscaler(obj: Json) -> None:
    """Fill in one replica, the CPU at 80 %, and the rest of a behaviour that says something."""
    spec = obj.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        policies = [_policy("Pods", 4), _policy("Percent", 100)]
        up: Json = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": policies}
        down: Json = {"selectPolicy": "Max", "policies": [_policy("Percent", 100)]}
        for field, rules in (("scaleUp", up), ("scaleDown", down)):
            said = {name: value for name, value in (behavior.get(field) or {}).items() if value is not None}
            behavior[field] = {**rules, **said}
    status = obj.setdefault("status", {})
    if status.get("desiredReplicas") is None:
        status["desiredReplicas"] = 0
    status.setdefault("currentMetrics", None)


def _policy(type_: str, value: int) -> Json:
    return {"type": type_, "value": value, "periodSeconds": 15}


def _start(obj: Json, _now: str) -> None:
    obj["status"] = {}
    default_autoscaler(obj)


def _reference_cell(obj: Json, _now: datetime) -> object:
    target = (obj.get("spec") or {}).get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


_COLUMNS = (
    NAME,
    Column("Reference", _reference_cell),
    Column("Targets", targets_cell),
    Column("MinPods", text_cell("spec", "minReplicas", default=UNSET)),
    Column("MaxPods", field_cell("spec", "maxReplicas", default=0)),
    Column("Replicas", field_cell("status", "currentReplicas", default=0)),
    AGE,
)

AUTOSCALER = ServedKind(
    resource=AUTOSCALERS,
    singular="horizontalpodautoscaler",
    schema=_V2_SCHEMA,
    short_names=("hpa",),
    categories=("all",),
    delete_returns_object=False,
    default=default_autoscaler,
    prepare_create=_start,
    prepare_update=keep_status,
    validate_create=validate_autoscaler,
    validate_update=validate_autoscaler_update,
    subresources=(replace(STATUS, validate_update=validate_autoscaler_status),),
    columns=_COLUMNS,
    convertors={AUTOSCALERS_V1.api_version: Convertor(_V1_SCHEMA, from_v2, to_v2)},
)

AUTOSCALER_V1 = replace(
    AUTOSCALER,
    resource=AUTOSCALERS_V1,
    schema=_V1_SCHEMA,
    storage_version_of=AUTOSCALERS,
    to_storage=to_v2,
    from_storage=from_v2,
    convertors={AUTOSCALERS.api_version: Convertor(_V2_SCHEMA, to_v2, from_v2)},
)
