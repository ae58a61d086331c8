"""The rules of FlowSchema and PriorityLevelConfiguration.

Those that every cluster has may be changed here, which the reference allows of few of their fields only.
"""

from __future__ import annotations

import math
from typing import Final

from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain
from pvbinder.server.objects.kind import Json

_EXEMPT: Final = "exempt"
_PRECEDENCE_MAX: Final = 10_000
_QUEUES_MAX: Final = 10_000_000
_ENTROPY_BITS_MAX: Final = 60
_METHODS: Final = ("ByNamespace", "ByUser")
_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS: Final = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_SUBJECTS_IN_ORDER: Final = ("ServiceAccount", "User", "Group")
_LEVELS: Final = ("Exempt", "Limited")
_RESPONSES: Final = ("Queue", "Reject")
_NO_NAMESPACE: Final = "each member of this list must be '*' or a DNS-1123 label; "


def validate_flow_schema(obj: Json) -> list[FieldError]:
    """Check which requests are of a flow, and which level they have."""
    spec: Json = obj["spec"]
    errors: list[FieldError] = []
    precedence = spec.get("matchingPrecedence", 0)
    path = "spec.matchingPrecedence"
    if precedence <= 0:
        errors.append(invalid(path, precedence, "must be a positive value"))
    if precedence > _PRECEDENCE_MAX:
        errors.append(invalid(path, precedence, f"must not be greater than {_PRECEDENCE_MAX}"))
    if precedence == 1 and obj["metadata"].get("name") != _EXEMPT:
        errors.append(invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type", "") not in _METHODS:
        errors.append(unsupported("spec.distinguisherMethod.type", {"Type": method.get("type", "")}, _METHODS))
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    at = "spec.priorityLevelConfiguration.name"
    if level:
        errors += (invalid(at, level, reason) for reason in check_dns_subdomain(level))
    else:
        errors.append(required(at, "must reference a priority level"))
    for index, rule in enumerate(spec.get("rules") or ()):
        errors += _validate_rules(rule, f"spec.rules[{index}]")
    return errors


def validate_priority_level(obj: Json) -> list[FieldError]:
    """Check how many requests of a level are carried out at a time, and which wait."""
    spec: Json = obj["spec"]
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    errors: list[FieldError] = []
    if (obj["metadata"].get("name") == _EXEMPT) != (kind == "Exempt"):
        errors.append(invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'"))
    match kind:
        case "Exempt":
            if limited is not None:
                errors.append(forbidden("spec.limited", "must be nil if the type is not Limited"))
            errors += _validate_shares(exempt or {}, "spec.exempt")
        case "Limited":
            if exempt is not None:
                errors.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
            if limited is None:
                errors.append(required("spec.limited", "must not be empty when type is Limited"))
            else:
                errors += _validate_limits(limited, "spec.limited")
        case "":
            errors.append(required("spec.type"))
        case _:
            errors.append(unsupported("spec.type", kind, _LEVELS))
    return errors


def validate_conditions_of_flow(new: Json, _old: Json) -> list[FieldError]:
    """Check that conditions have types, of each at most one."""
    errors: list[FieldError] = []
    types: set[str] = set()
    for index, condition in enumerate((new.get("status") or {}).get("conditions") or ()):
        path, kind = f"status.conditions[{index}].type", condition.get("type", "")
        if kind in types:
            errors.append(duplicate(path, kind))
        types.add(kind)
        if not kind:
            errors.append(required(path))
    return errors


def _validate_rules(rule: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    subjects: list[Json] = rule.get("subjects") or []
    if not subjects:
        errors.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for index, subject in enumerate(subjects):
        errors += _validate_subject(subject, f"{path}.subjects[{index}]")
    resources: list[Json] = rule.get("resourceRules") or []
    others: list[Json] = rule.get("nonResourceRules") or []
    if not resources and not others:
        errors.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for index, one in enumerate(resources):
        errors += _validate_resource_rule(one, f"{path}.resourceRules[{index}]")
    for index, one in enumerate(others):
        errors += _validate_other_rule(one, f"{path}.nonResourceRules[{index}]")
    return errors


def _validate_subject(subject: Json, path: str) -> list[FieldError]:
    kind = subject.get("kind", "")
    if kind not in _SUBJECTS:
        return [unsupported(f"{path}.kind", kind, _SUBJECTS)]
    field = _SUBJECTS[kind]
    said = subject.get(field)
    errors: list[FieldError] = []
    if said is None:
        errors.append(required(f"{path}.{field}", f"{field} is required when subject kind is '{kind}'"))
    else:
        errors += _validate_subject_name(said, kind, f"{path}.{field}")
    for other in _SUBJECTS_IN_ORDER:
        name = _SUBJECTS[other]
        if other != kind and subject.get(name) is not None:
            errors.append(forbidden(f"{path}.{name}", f"{name} is forbidden when subject kind is not '{other}'"))
    return errors


def _validate_subject_name(said: Json, kind: str, path: str) -> list[FieldError]:
    name = said.get("name", "")
    errors = [] if name else [required(f"{path}.name")]
    if kind != "ServiceAccount":
        return errors
    if name and name != "*":
        errors += (invalid(f"{path}.name", name, reason) for reason in check_dns_subdomain(name))
    namespace = said.get("namespace", "")
    if namespace:
        errors += (invalid(f"{path}.namespace", namespace, reason) for reason in check_dns_label(namespace))
    else:
        errors.append(required(f"{path}.namespace", "must specify namespace for service account"))
    return errors


def _validate_verbs(rule: Json, path: str) -> list[FieldError]:
    verbs: list[str] = rule.get("verbs") or []
    if not verbs:
        return [required(f"{path}.verbs", "verbs must contain at least one value")]
    if "*" in verbs:
        return _validate_alone(verbs, f"{path}.verbs", "verbs")
    return [] if set(verbs) <= set(_VERBS) else [unsupported(f"{path}.verbs", verbs, _VERBS)]


def _validate_alone(values: list[str], path: str, noun: str) -> list[FieldError]:
    if len(values) > 1 and "*" in values:
        return [invalid(path, values, f"if '*' is present, must not specify other {noun}")]
    return []


def _validate_resource_rule(rule: Json, path: str) -> list[FieldError]:
    errors = _validate_verbs(rule, path)
    for field, one, noun in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        values: list[str] = rule.get(field) or []
        if not values:
            errors.append(required(f"{path}.{field}", f"resource rules must supply at least one {one}"))
        errors += _validate_alone(values, f"{path}.{field}", noun)
    namespaces: list[str] = rule.get("namespaces") or []
    at = f"{path}.namespaces"
    if not namespaces and not rule.get("clusterScope"):
        why = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.append(required(at, why))
    elif "*" in namespaces:
        errors += _validate_alone(namespaces, at, "namespaces")
    else:
        for index, name in enumerate(namespaces):
            errors += (invalid(f"{at}[{index}]", name, _NO_NAMESPACE + reason) for reason in check_dns_label(name))
    return errors


def _validate_other_rule(rule: Json, path: str) -> list[FieldError]:
    errors = _validate_verbs(rule, path)
    urls: list[str] = rule.get("nonResourceURLs") or []
    at = f"{path}.nonResourceURLs"
    if not urls:
        errors.append(required(at, "nonResourceURLs must contain at least one value"))
    elif "*" in urls:
        errors += _validate_alone(urls, at, "non-resource URLs")
    else:
        errors += (invalid(f"{at}[{i}]", url, why) for i, url in enumerate(urls) if (why := _why_no_path(url)))
    return errors


def _why_no_path(path: str) -> str:
    if not path:
        return "must not be empty"
    if path == "/":
        return ""
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    stars = path.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars and not path.endswith("/*")) else ""


def _validate_shares(part: Json, path: str) -> list[FieldError]:
    shares = part.get("nominalConcurrencyShares")
    errors = _validate_percent(part, path)
    if shares is not None and shares < 0:
        return [invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer"), *errors]
    return errors


def _validate_percent(part: Json, path: str) -> list[FieldError]:
    percent = part.get("lendablePercent")
    if percent is None or 0 <= percent <= 100:
        return []
    return [invalid(f"{path}.lendablePercent", percent, "must be between 0 and 100, inclusive")]


def _validate_limits(limited: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    shares = limited.get("nominalConcurrencyShares")
    if shares is not None and shares < 0:
        errors.append(invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer"))
    errors += _validate_response(limited.get("limitResponse") or {}, f"{path}.limitResponse")
    errors += _validate_percent(limited, path)
    borrowed = limited.get("borrowingLimitPercent")
    if borrowed is not None and borrowed < 0:
        why = "if specified, must be a non-negative integer"
        errors.append(invalid(f"{path}.borrowingLimitPercent", borrowed, why))
    return errors


def _validate_response(response: Json, path: str) -> list[FieldError]:
    kind, queuing = response.get("type", ""), response.get("queuing")
    match kind:
        case "Reject":
            why = "must be nil if limited.limitResponse.type is not Limited"
            return [] if queuing is None else [forbidden(f"{path}.queuing", why)]
        case "Queue":
            why = "must not be empty if limited.limitResponse.type is Limited"
            return [required(f"{path}.queuing", why)] if queuing is None else _validate_queues(queuing, path)
        case "":
            return [required(f"{path}.type")]
        case _:
            return [unsupported(f"{path}.type", kind, _RESPONSES)]


def _validate_queues(queuing: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    length, queues, hand = (queuing.get(field) or 0 for field in ("queueLengthLimit", "queues", "handSize"))
    at = f"{path}.queuing"
    if length <= 0:
        errors.append(invalid(f"{at}.queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        errors.append(invalid(f"{at}.queues", queues, "must be positive"))
    elif queues > _QUEUES_MAX:
        errors.append(invalid(f"{at}.queues", queues, f"must not be greater than {_QUEUES_MAX}"))
    if hand <= 0:
        errors.append(invalid(f"{at}.handSize", hand, "must be positive"))
    elif hand > queues:
        errors.append(invalid(f"{at}.handSize", hand, f"should not be greater than queues ({queues})"))
    elif math.ceil(math.log2(queues) * hand) > _ENTROPY_BITS_MAX:
        why = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than"
        errors.append(invalid(f"{at}.handSize", hand, f"{why} {_ENTROPY_BITS_MAX}"))
    return errors
