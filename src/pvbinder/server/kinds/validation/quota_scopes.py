"""Scopes of a quota: which there are, what they may be about, and which exclude each other.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pvbinder.server.errors import FieldError, invalid, required
from pvbinder.server.kinds.validation.internal_form import Inner, InternalFields, inner_form
from pvbinder.server.kinds.validation.resource_names import is_counted_by_quotas
from pvbinder.server.objects.kind import Json

_PODS: Final = frozenset({"pods"})
_COMPUTE: Final = frozenset({"pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_CLAIMS: Final = frozenset({"persistentvolumeclaims", "requests.storage"})
_APPLIES_TO: Final = {
    "Terminating": _COMPUTE,
    "NotTerminating": _COMPUTE,
    "BestEffort": _PODS,
    "NotBestEffort": _COMPUTE,
    "PriorityClass": _COMPUTE,
    "CrossNamespacePodAffinity": _COMPUTE,
    "VolumeAttributesClass": _CLAIMS,
}
_EXCLUSIVE: Final = (frozenset({"BestEffort", "NotBestEffort"}), frozenset({"Terminating", "NotTerminating"}))
_EXPRESSION: Final[InternalFields] = {
    "ScopeName": ("scopeName", ""),
    "Operator": ("operator", ""),
    "Values": ("values", None),
}
_SELECTOR: Final[InternalFields] = {"MatchExpressions": ("matchExpressions", Inner(_EXPRESSION, many=True))}
_BY_NAME: Final = ("PriorityClass", "VolumeAttributesClass")
_EXISTS_ONLY = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def validate_scopes(spec: Json) -> list[FieldError]:
    """Check the scopes and the scope selector of a quota."""
    errors: list[FieldError] = []
    hard = sorted(spec.get("hard") or ())
    scopes: list[str] = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _APPLIES_TO:
            errors.append(invalid("spec.scopes", scopes, "unsupported scope"))
        errors += (
            invalid("spec.scopes", scopes, "unsupported scope applied to resource") for _ in _unsupported(scope, hard)
        )
    errors += (invalid("spec.scopes", scopes, "conflicting scopes") for pair in _EXCLUSIVE if pair.issubset(scopes))
    if spec.get("scopeSelector") is not None:
        errors += _validate_selector(spec["scopeSelector"], spec.get("scopes"), hard)
    return errors


def _validate_selector(selector: Json, scopes: list[str] | None, hard: list[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    path = "spec.scopeSelector.matchExpressions"
    expressions = selector.get("matchExpressions") or ()
    for expression in expressions:
        scope, operator = expression.get("scopeName", ""), expression.get("operator", "")
        if scope not in _APPLIES_TO:
            errors.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        shown = inner_form(_SELECTOR, selector)
        errors += (invalid(path, shown, "unsupported scope applied to resource") for _ in _unsupported(scope, hard))
        if scope in _APPLIES_TO and scope not in _BY_NAME and operator != "Exists":
            errors.append(invalid(f"{path}.operator", operator, _EXISTS_ONLY))
        errors += _validate_operator(operator, expression.get("values") or [], path)
    named = {expression.get("scopeName", "") for expression in expressions}
    errors += (invalid(path, scopes, "conflicting scopes") for pair in _EXCLUSIVE if pair.issubset(named))
    return errors


def _validate_operator(operator: str, values: list[str], path: str) -> list[FieldError]:
    match operator:
        case "In" | "NotIn":
            why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            return [] if values else [required(f"{path}.values", why)]
        case "Exists" | "DoesNotExist":
            why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            return [invalid(f"{path}.values", values, why)] if values else []
        case _:
            return [invalid(f"{path}.operator", operator, "not a valid selector operator")]


def _unsupported(scope: str, hard: Iterable[str]) -> list[str]:
    """Return the amounts that a scope can't be about."""
    applies_to = _APPLIES_TO.get(scope)
    if applies_to is None:
        return []
    return [name for name in hard if is_counted_by_quotas(name) and name not in applies_to]
