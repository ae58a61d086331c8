"""The rules of HorizontalPodAutoscaler, in the form of v2: what it scales, how far, by which metrics and how fast.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from typing import Final

from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.autoscaler_metrics import is_valid_described_object, validate_metrics
from pvbinder.server.kinds.validation.numbers import NOT_POSITIVE, validate_not_negative
from pvbinder.server.kinds.validation.object_references import validate_scaled_object
from pvbinder.server.kinds.validation.resource_names import validate_amount_not_negative
from pvbinder.server.objects.kind import Json

_PERIOD_SECONDS_MAX: Final = 1800
_WINDOW_SECONDS_MAX: Final = 3600
_SELECT_POLICIES: Final = ("Disabled", "Max", "Min")
_POLICY_TYPES: Final = ("Percent", "Pods")


def validate_autoscaler(obj: Json) -> list[FieldError]:
    """Check a new autoscaler."""
    return _validate_spec(obj["spec"], None)


def validate_autoscaler_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed autoscaler: zero replicas and API versions without a group may stay where they were."""
    return _validate_spec(new["spec"], old["spec"])


def validate_autoscaler_status(new: Json, _old: Json) -> list[FieldError]:
    """Check the numbers of replicas that a status shows."""
    return validate_not_negative(new.get("status") or {}, "status", "currentReplicas", "desiredReplicas")


def _validate_spec(spec: Json, before: Json | None) -> list[FieldError]:
    errors: list[FieldError] = []
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    least_min = 0 if before is not None and before.get("minReplicas") == 0 else 1
    if least is not None and least < least_min:
        errors.append(invalid("spec.minReplicas", least, f"must be greater than or equal to {least_min}"))
    if not most:
        errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    errors += _validate_target(spec.get("scaleTargetRef") or {}, before)
    metrics: list[Json] = spec.get("metrics") or []
    any_version = before is not None and not all(map(is_valid_described_object, before.get("metrics") or ()))
    errors += validate_metrics(metrics, "spec.metrics", any_version=any_version)
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(forbidden("spec.metrics", why))
    for field in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(field)
        if rules is not None:
            errors += _validate_rules(rules, f"spec.behavior.{field}")
    return errors


def _validate_target(target: Json, before: Json | None) -> list[FieldError]:
    known = None if before is None else before.get("scaleTargetRef") or {}
    fields = ("apiVersion", "kind")
    same = known is not None and all(known.get(field, "") == target.get(field, "") for field in fields)
    return validate_scaled_object(
        target, "spec.scaleTargetRef", any_version=same, any_group=target.get("kind") == "ReplicationController"
    )


def _validate_rules(rules: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        errors.append(invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero"))
    if window is not None and window > _WINDOW_SECONDS_MAX:
        why = f"must be less than or equal to {_WINDOW_SECONDS_MAX}"
        errors.append(invalid(f"{path}.stabilizationWindowSeconds", window, why))
    select = rules.get("selectPolicy")
    if select is not None and select not in _SELECT_POLICIES:
        errors.append(unsupported(f"{path}.selectPolicy", select, _SELECT_POLICIES))
    policies: list[Json] = rules.get("policies") or []
    if not policies:
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        errors += _validate_policy(policy, f"{path}.policies[{index}]")
    if rules.get("tolerance") is not None:
        errors += validate_amount_not_negative(rules["tolerance"], f"{path}.tolerance")
    return errors


def _validate_policy(policy: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    kind = policy.get("type", "")
    if kind not in _POLICY_TYPES:
        errors.append(unsupported(f"{path}.type", kind, _POLICY_TYPES))
    for field in ("value", "periodSeconds"):
        number = policy.get(field) or 0
        if number <= 0:
            errors.append(invalid(f"{path}.{field}", number, NOT_POSITIVE))
        if field == "periodSeconds" and number > _PERIOD_SECONDS_MAX:
            errors.append(invalid(f"{path}.{field}", number, f"must be less than or equal to {_PERIOD_SECONDS_MAX}"))
    return errors
