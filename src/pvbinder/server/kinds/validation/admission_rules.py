"""The resources that policies and webhooks of admission are about: rules, selectors, parameters, validation actions."""

from __future__ import annotations

from typing import Any, Final

from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.names import (
    check_dns_label_1035,
    check_dns_subdomain,
    check_path_segment,
)
from pvbinder.server.kinds.validation.selectors import validate_label_selector
from pvbinder.server.objects.kind import Json

FAILURE_POLICIES: Final = ("Fail", "Ignore")
MATCH_POLICIES: Final = ("Equivalent", "Exact")
_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES: Final = ("*", "Cluster", "Namespaced")
_ACTIONS: Final = ("Audit", "Deny", "Warn")
_REPEATED_TALK: Final = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the API response and "
    "headers serves no purpose)"
)
_RESERVED_NAMES: Final = ".static.k8s.io"
_EITHER: Final = "name and selector are mutually exclusive"


def validate_choice(value: Any, path: str, supported: tuple[str, ...], *, is_required: bool = True) -> list[FieldError]:
    """Check a value that is one of a few."""
    if value is None:
        return [required(path)] if is_required else []
    return [] if value in supported else [unsupported(path, value, supported)]


def validate_match_resources(constraints: Json | None, path: str) -> list[FieldError]:
    """Check what a policy or a binding matches."""
    if constraints is None:
        return []
    errors = validate_choice(constraints.get("matchPolicy"), f"{path}.matchPolicy", MATCH_POLICIES)
    for field in ("namespaceSelector", "objectSelector"):
        selector = constraints.get(field)
        if selector is None:
            errors.append(required(f"{path}.{field}"))
        errors += validate_label_selector(selector, f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(constraints.get(field) or ()):
            at = f"{path}.{field}[{index}]"
            errors += _validate_resource_names(rule.get("resourceNames") or [], f"{at}.resourceNames")
            errors += validate_rule(rule, at)
    return errors


def validate_webhook_name(name: str, path: str) -> list[FieldError]:
    """Check that a webhook's name is one in a domain of at least two parts."""
    if not name:
        return [required(path)]
    if reasons := check_dns_subdomain(name):
        return [invalid(path, name, ",".join(reasons))]
    if name.count(".") < 2:
        return [invalid(path, name, "should be a domain with at least three segments separated by dots")]
    return []


def warn_of_reserved_name(new: Json, _old: Json | None) -> list[str]:
    """Warn of a name that only configurations in files may have."""
    if not new["metadata"].get("name", "").endswith(_RESERVED_NAMES):
        return []
    why = "are reserved for static manifest-based configurations and cannot be managed via the API"
    return [f'metadata.name: names ending with "{_RESERVED_NAMES}" {why}']


def validate_rule(rule: Json, path: str) -> list[FieldError]:
    """Check the operations, groups, versions, resources and the scope of a rule."""
    errors: list[FieldError] = []
    operations: list[str] = rule.get("operations") or []
    if not operations:
        errors.append(required(f"{path}.operations"))
    errors += _alone(operations, f"{path}.operations", "operations")
    for index, operation in enumerate(operations):
        errors += validate_choice(operation, f"{path}.operations[{index}]", _OPERATIONS)
    groups: list[str] = rule.get("apiGroups") or []
    if not groups:
        errors.append(required(f"{path}.apiGroups"))
    errors += _alone(groups, f"{path}.apiGroups", "API groups")
    versions: list[str] = rule.get("apiVersions") or []
    if not versions:
        errors.append(required(f"{path}.apiVersions"))
    errors += _alone(versions, f"{path}.apiVersions", "API versions")
    errors += (required(f"{path}.apiVersions[{index}]") for index, version in enumerate(versions) if not version)
    errors += _validate_resources(rule.get("resources") or [], f"{path}.resources")
    return errors + validate_choice(rule.get("scope"), f"{path}.scope", _SCOPES, is_required=False)


def validate_param_kind(param_kind: Json, path: str) -> list[FieldError]:
    """Check the kind of which a policy takes parameters."""
    errors: list[FieldError] = []
    at, version = f"{path}.apiVersion", param_kind.get("apiVersion", "")
    parts = version.split("/")
    if not version:
        errors.append(required(at))
    elif len(parts) > 2:
        errors.append(invalid(at, version, f"unexpected GroupVersion string: {version}"))
    else:
        group, number = ("", "") if version == "/" else (parts[0] if len(parts) == 2 else "", parts[-1])
        if group and (reasons := check_dns_subdomain(group)):
            errors.append(invalid(at, group, ",".join(reasons)))
        if not number:
            errors.append(invalid(at, version, "version must be specified"))
        elif reasons := check_dns_label_1035(number):
            errors.append(invalid(at, number, ",".join(reasons)))
    kind = param_kind.get("kind", "")
    if not kind:
        errors.append(required(f"{path}.kind"))
    elif reasons := check_dns_label_1035(kind.lower()):
        why = f"may have mixed case, but should otherwise match: {','.join(reasons)}"
        errors.append(invalid(f"{path}.kind", kind, why))
    return errors


def validate_param_ref(reference: Json | None, path: str) -> list[FieldError]:
    """Check how a binding names its parameters."""
    if reference is None:
        return []
    name, selector = reference.get("name", ""), reference.get("selector")
    errors: list[FieldError] = []
    if name:
        errors += (invalid(f"{path}.name", name, reason) for reason in check_path_segment(name))
        if selector is not None:
            errors.append(forbidden(f"{path}.name", _EITHER))
    if selector is not None:
        errors += validate_label_selector(selector, f"{path}.selector")
        if name:
            errors.append(forbidden(f"{path}.selector", _EITHER))
    elif not name:
        errors.append(required(path, "one of name or selector must be specified"))
    action = reference.get("parameterNotFoundAction")
    return errors + validate_choice(action or None, f"{path}.parameterNotFoundAction", ("Deny", "Allow"))


def validate_actions(actions: list[str], path: str) -> list[FieldError]:
    """Check what is done when a validation fails."""
    errors: list[FieldError] = []
    for index, action in enumerate(actions):
        errors += validate_choice(action, f"{path}[{index}]", _ACTIONS)
        if action in actions[:index]:
            errors.append(duplicate(f"{path}[{index}]", action))
    if {"Deny", "Warn"} <= set(actions):
        errors.append(invalid(path, actions, _REPEATED_TALK))
    if not actions:
        errors.append(required(path, "at least one validation action is required"))
    return errors


def _validate_resource_names(names: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, name in enumerate(names):
        errors += (invalid(f"{path}[{index}]", name, reason) for reason in check_path_segment(name))
        if name in names[:index]:
            errors.append(duplicate(f"{path}[{index}]", name))
    return errors


def _alone(items: list[str], path: str, what: str) -> list[FieldError]:
    if len(items) > 1 and "*" in items:
        return [invalid(path, items, f"if '*' is present, must not specify other {what}")]
    return []


def _validate_resources(resources: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = [] if resources else [required(path)]
    whole: set[str] = set()  # resources of which all subresources are named
    everywhere: set[str] = set()  # subresources that are named of all resources
    has_plain = False
    for index, text in enumerate(resources):
        at = f"{path}[{index}]"
        resource, slash, sub = text.partition("/")
        if not text:
            errors.append(required(at))
        elif not slash:
            has_plain = text != "*"
        else:
            if resource in whole:
                errors.append(invalid(at, text, f"if '{resource}/*' is present, must not specify {text}"))
            if sub in everywhere:
                errors.append(invalid(at, text, f"if '*/{sub}' is present, must not specify {text}"))
            if sub == "*":
                whole.add(resource)
            if resource == "*":
                everywhere.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        errors.append(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and has_plain:
        why = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid(path, resources, why))
    return errors
