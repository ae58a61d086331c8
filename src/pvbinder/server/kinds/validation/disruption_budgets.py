"""The rules of PodDisruptionBudget."""

from __future__ import annotations

from pvbinder.server.errors import FieldError, invalid, unsupported
from pvbinder.server.kinds.validation.conditions import validate_conditions
from pvbinder.server.kinds.validation.numbers import (
    validate_at_most_100_percent,
    validate_count_or_percent,
    validate_not_negative,
)
from pvbinder.server.kinds.validation.selectors import validate_label_selector
from pvbinder.server.objects.kind import Json

_EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
_INNER_NAMES = {
    "minAvailable": "MinAvailable",
    "selector": "Selector",
    "maxUnavailable": "MaxUnavailable",
    "unhealthyPodEvictionPolicy": "UnhealthyPodEvictionPolicy",
}


def validate_disruption_budget(obj: Json) -> list[FieldError]:
    """Check a new budget: how many may be missing, or must be there."""
    spec = obj["spec"]
    errors: list[FieldError] = []
    amounts = {field: spec[field] for field in ("minAvailable", "maxUnavailable") if spec.get(field) is not None}
    if len(amounts) == 2:
        inner = {name: spec.get(field) for field, name in _INNER_NAMES.items()}
        errors.append(invalid("spec", inner, "minAvailable and maxUnavailable cannot be both set"))
    for field, amount in amounts.items():
        errors += validate_count_or_percent(amount, f"spec.{field}")
        errors += validate_at_most_100_percent(amount, f"spec.{field}")
    errors += validate_label_selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _EVICTION_POLICIES:
        errors.append(unsupported("spec.unhealthyPodEvictionPolicy", policy, _EVICTION_POLICIES))
    return errors


def validate_disruption_budget_update(new: Json, _old: Json) -> list[FieldError]:
    """Check a changed budget like a new one."""
    return validate_disruption_budget(new)


def validate_disruption_budget_status(new: Json, _old: Json) -> list[FieldError]:
    """Check conditions and counts of a budget's status."""
    status = new.get("status") or {}
    errors = validate_conditions(status.get("conditions"), "status.conditions")
    counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    return errors + validate_not_negative(status, "status", *counts)
