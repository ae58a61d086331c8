"""Where a pod may run: affinity to nodes and pods, even spread, and what it waits for before.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.names import check_dns_label, check_qualified_name
from pvbinder.server.kinds.validation.numbers import NOT_POSITIVE, validate_positive
from pvbinder.server.kinds.validation.selectors import (
    validate_label_selector,
    validate_node_selector,
    validate_node_selector_term,
)
from pvbinder.server.objects.kind import Json

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
_NODE_POLICIES = ("Honor", "Ignore")


def validate_affinity(affinity: Json, path: str) -> list[FieldError]:
    """Check which nodes a pod looks for, and which pods it stays near to or away from."""
    errors: list[FieldError] = []
    nodes, at = affinity.get("nodeAffinity") or {}, f"{path}.nodeAffinity"
    if nodes.get(_REQUIRED) is not None:
        errors += validate_node_selector(nodes[_REQUIRED], f"{at}.{_REQUIRED}")
    for index, term in enumerate(nodes.get(_PREFERRED) or ()):
        errors += _validate_weight(term, f"{at}.{_PREFERRED}[{index}]")
        preference: Json = term.get("preference") or {}
        in_term = f"{at}.{_PREFERRED}[{index}].preference"
        errors += validate_node_selector_term(preference, in_term, any_values=True)
    for field in ("podAffinity", "podAntiAffinity"):
        pods, at = affinity.get(field) or {}, f"{path}.{field}"
        for index, term in enumerate(pods.get(_REQUIRED) or ()):
            errors += _validate_pod_term(term, f"{at}.{_REQUIRED}[{index}]")
        for index, term in enumerate(pods.get(_PREFERRED) or ()):
            errors += _validate_weight(term, f"{at}.{_PREFERRED}[{index}]")
            errors += _validate_pod_term(
                term.get("podAffinityTerm") or {}, f"{at}.{_PREFERRED}[{index}].podAffinityTerm"
            )
    return errors


def validate_gates(spec: Json, path: str) -> list[FieldError]:
    """Check the conditions that make a pod ready, and what it waits for before it is scheduled."""
    errors: list[FieldError] = []
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        at = f"{path}.readinessGates[{index}].conditionType"
        errors += (invalid(at, kind, reason) for reason in check_qualified_name(kind))
    names: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        at, name = f"{path}.schedulingGates[{index}]", gate.get("name", "")
        errors += (invalid(at, name, reason) for reason in check_qualified_name(name))
        if name in names:
            errors.append(duplicate(at, name))
        names.add(name)
    return errors


def validate_spread(constraints: list[Json], path: str) -> list[FieldError]:
    """Check how evenly pods are spread."""
    errors: list[FieldError] = []
    kinds = [(each.get("topologyKey", ""), each.get("whenUnsatisfiable", "")) for each in constraints]
    for index, constraint in enumerate(constraints):
        at = f"{path}[{index}]"
        key, action = kinds[index]
        errors += validate_positive({"maxSkew": 0, **constraint}, at, "maxSkew")
        if not key:
            errors.append(required(f"{at}.topologyKey", "can not be empty"))
        if action not in _ACTIONS:
            errors.append(unsupported(f"{at}.whenUnsatisfiable", action, _ACTIONS))
        if (key, action) in kinds[index + 1 :]:
            errors.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                errors.append(invalid(f"{at}.minDomains", domains, NOT_POSITIVE))
            if action != "DoNotSchedule":
                why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                errors.append(invalid(f"{at}.minDomains", domains, why))
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if constraint.get(field) not in (None, *_NODE_POLICIES):
                errors.append(unsupported(f"{at}.{field}", constraint[field], _NODE_POLICIES))
        errors += _validate_label_keys(constraint, at)
        errors += validate_label_selector(constraint.get("labelSelector"), f"{at}.labelSelector")
    return errors


def merge_label_keys(spec: Json, labels: dict[str, str]) -> None:
    """Let selectors also ask for the pod's own values of the labels that they name."""
    for constraint in spec.get("topologySpreadConstraints") or ():
        _merge(constraint, labels)
    affinity: Json = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        pods: Json = affinity.get(field) or {}
        for term in pods.get(_PREFERRED) or ():
            _merge(term.get("podAffinityTerm") or {}, labels)
        for term in pods.get(_REQUIRED) or ():
            _merge(term, labels)


def _merge(term: Json, labels: dict[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in term.get(field) or ():
            if key in labels:
                requirement = {"key": key, "operator": operator, "values": [labels[key]]}
                selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), requirement]


def _validate_weight(term: Json, path: str) -> list[FieldError]:
    weight = term.get("weight", 0)
    return [] if 1 <= weight <= 100 else [invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def _validate_pod_term(term: Json, path: str) -> list[FieldError]:
    errors = validate_label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    errors += validate_label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces") or ():
        errors += (invalid(f"{path}.namespace", name, reason) for reason in check_dns_label(name))
    errors += _validate_label_keys(term, path)
    key = term.get("topologyKey", "")
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    return errors + [invalid(f"{path}.topologyKey", key, reason) for reason in check_qualified_name(key)]


def _validate_label_keys(term: Json, path: str) -> list[FieldError]:
    """Check the labels whose values are the pod's own."""
    same, other = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    selector: Json | None = term.get("labelSelector")
    errors: list[FieldError] = []
    for field, keys in (("matchLabelKeys", same), ("mismatchLabelKeys", other)):
        if keys and selector is None:
            errors.append(forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set"))
            continue
        for index, key in enumerate(keys):
            errors += (invalid(f"{path}.{field}[{index}]", key, reason) for reason in check_qualified_name(key))
    asked = set((selector or {}).get("matchLabels") or ())
    for requirement in (selector or {}).get("matchExpressions") or ():
        key = requirement.get("key", "")
        if key in same and key in asked:
            at = f"{path}[{len(same) - 1 - same[::-1].index(key)}]"  # sic: of the term, not of the keys
            errors.append(invalid(at, key, "exists in both matchLabelKeys and labelSelector"))
        asked.add(key)
    for index, key in enumerate(same):
        if key in other:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid(f"{path}.matchLabelKeys[{index}]", key, why))
    return errors
