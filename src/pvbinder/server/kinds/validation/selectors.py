"""Label selectors, node selectors and topology terms inside objects (PV-5, VC-3, SCV-5)."""

from __future__ import annotations

from typing import Any

from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required
from pvbinder.server.kinds.validation.metadata import validate_labels
from pvbinder.server.kinds.validation.names import check_label_value, check_object_name, check_qualified_name
from pvbinder.server.objects.kind import Json

_NEEDS_VALUES = "must be specified when `operator` is 'In' or 'NotIn'"
_NO_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
_ONE_VALUE = "must be specified single value when `operator` is 'Lt' or 'Gt'"


def validate_label_selector(selector: Json | None, path: str) -> list[FieldError]:
    """Check a label selector: keys, operators, values (VC-3)."""
    if not selector:
        return []
    errors = validate_labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, requirement in enumerate(selector.get("matchExpressions") or ()):
        errors += _validate_label_requirement(requirement, f"{path}.matchExpressions[{index}]")
    return errors


def shown_selector(selector: Json | None) -> Json | None:
    """A label selector as messages show it: its parts in the order of the reference, labels by name."""
    if selector is None:
        return None
    shown: Json = {"matchLabels": dict(sorted((selector.get("matchLabels") or {}).items()))}
    shown["matchExpressions"] = selector.get("matchExpressions") or []
    return {name: part for name, part in shown.items() if part}


def _validate_label_requirement(requirement: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", _NEEDS_VALUES))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.append(forbidden(f"{path}.values", _NO_VALUES))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return errors + _validate_key_and_values(requirement, path)


def _validate_key_and_values(requirement: Json, path: str) -> list[FieldError]:
    key = requirement.get("key", "")
    errors = [invalid(f"{path}.key", key, reason) for reason in check_qualified_name(key)]
    for index, value in enumerate(requirement.get("values") or ()):
        errors += (invalid(f"{path}.values[{index}]", value, reason) for reason in check_label_value(value))
    return errors


def validate_asked_selector(selector: Json, path: str) -> list[FieldError]:
    """Check the selector that an access review asks about: a text, or requirements of which the reference looks at."""
    raw, requirements = selector.get("rawSelector"), selector.get("requirements") or []
    errors: list[FieldError] = []
    if raw and requirements:
        errors.append(invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements"))
    elif not raw and not requirements:
        why = f"when {path} is specified, requirements or rawSelector is required"
        errors.append(required(f"{path}.requirements", why))
    of_labels = path.endswith("labelSelector")
    for index, requirement in enumerate(requirements if not raw else ()):
        at = f"{path}.requirements[{index}]"
        operator, values = requirement.get("operator", ""), requirement.get("values") or []
        if operator in ("In", "NotIn") and not values:
            errors.append(required(f"{at}.values", _NEEDS_VALUES))
        if operator in ("Exists", "DoesNotExist") and values:
            errors.append(forbidden(f"{at}.values", _NO_VALUES))
        if of_labels:
            errors += _validate_key_and_values(requirement, at)
        elif not requirement.get("key"):
            errors.append(required(f"{at}.key", "must be specified"))
    return errors


def validate_node_selector(selector: Json, path: str) -> list[FieldError]:
    """Check the terms of a required node selector (PV-5)."""
    terms = selector.get("nodeSelectorTerms") or []
    if not terms:
        return [required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    errors: list[FieldError] = []
    for index, term in enumerate(terms):
        errors += validate_node_selector_term(term, f"{path}.nodeSelectorTerms[{index}]")
    return errors


def validate_node_selector_term(term: Json, path: str, *, any_values: bool = False) -> list[FieldError]:
    """Check what one term asks of a node; with `any_values`, also for values that no label can have."""
    errors: list[FieldError] = []
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        errors += _validate_node_requirement(requirement, f"{path}.matchExpressions[{index}]", any_values)
    for index, requirement in enumerate(term.get("matchFields") or ()):
        errors += _validate_field_requirement(requirement, f"{path}.matchFields[{index}]")
    return errors


def _validate_node_requirement(requirement: Json, path: str, any_values: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    match operator:
        case "In" | "NotIn":
            if not values:
                errors.append(required(f"{path}.values", _NEEDS_VALUES))
        case "Exists" | "DoesNotExist":
            if values:
                errors.append(forbidden(f"{path}.values", _NO_VALUES))
        case "Gt" | "Lt":
            if len(values) != 1:
                errors.append(required(f"{path}.values", _ONE_VALUE))
        case _:
            errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return errors + _validate_key_and_values({**requirement, "values": []} if any_values else requirement, path)


def _validate_field_requirement(requirement: Json, path: str) -> list[FieldError]:
    """Check a requirement on a field of the node; only the name can be asked for."""
    errors: list[FieldError] = []
    key, operator = requirement.get("key", ""), requirement.get("operator", "")
    values: list[Any] = requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if len(values) != 1:
            why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            errors.append(required(f"{path}.values", why))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    if key != "metadata.name":
        errors.append(invalid(f"{path}.key", key, "not a valid field selector key"))
        return errors
    for index, value in enumerate(values):
        reasons = check_object_name("subdomain", value)
        errors += (invalid(f"{path}.values[{index}]", value, reason) for reason in reasons)
    return errors


def validate_topology_terms(terms: list[Json], path: str) -> list[FieldError]:
    """Check the allowed topologies of a storage class (SCV-5)."""
    errors: list[FieldError] = []
    seen = [frozenset[tuple[str, frozenset[str]]]()] * len(terms)  # sic: a term that says nothing is one too many
    for index, term in enumerate(terms):
        keys, term_errors = _validate_topology_term(term, f"{path}[{index}].matchLabelExpressions")
        errors += term_errors
        term_as_value = frozenset((key, frozenset(values)) for key, values in keys.items())
        errors += [duplicate(f"{path}[{index}].matchLabelExpressions", "")] * seen.count(term_as_value)
        seen.append(term_as_value)
    return errors


def _validate_topology_term(term: Json, path: str) -> tuple[dict[str, set[str]], list[FieldError]]:
    errors: list[FieldError] = []
    keys: dict[str, set[str]] = {}
    for index, requirement in enumerate(term.get("matchLabelExpressions") or ()):
        at = f"{path}[{index}]"
        key, values = requirement.get("key", ""), requirement.get("values") or []
        if not values:
            errors.append(required(f"{at}.values"))
        distinct: set[str] = set()
        for position, value in enumerate(values):
            if value in distinct:
                errors.append(duplicate(f"{at}.values[{position}]", value))
            distinct.add(value)
        errors += (invalid(f"{at}.key", key, reason) for reason in check_qualified_name(key))
        if key in keys:
            errors.append(duplicate(f"{at}.key", key))
        keys[key] = distinct
    return keys, errors
