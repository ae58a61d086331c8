"""What policies and webhooks of admission may say: their expressions compile, their parts fit together.

ADMISSION_KINDS-1  An expression that doesn't compile is refused when it is written, with its place and the reference's
                   words. Match conditions that an update leaves as they were aren't looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pvbinder.server.errors import FieldError, duplicate, invalid, required, too_many
from pvbinder.server.kinds.cel.lexer import KEYWORDS
from pvbinder.server.kinds.policies.policy import Composer
from pvbinder.server.kinds.validation.admission_rules import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    validate_actions,
    validate_choice,
    validate_match_resources,
    validate_param_kind,
    validate_param_ref,
    validate_rule,
    validate_webhook_name,
)
from pvbinder.server.kinds.validation.conditions import validate_conditions
from pvbinder.server.kinds.validation.names import check_dns_label_1035, check_dns_subdomain, check_qualified_name
from pvbinder.server.kinds.validation.selectors import validate_label_selector
from pvbinder.server.kinds.validation.webhook_clients import check_webhook_service, check_webhook_url
from pvbinder.server.objects.kind import Json

_CONDITIONS_MAX: Final = 64
_ANNOTATIONS_MAX: Final = 20
_ANNOTATION_BYTES_MAX: Final = 5 * 1024
_REASONS: Final = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_REVIEWS: Final = ("v1", "v1beta1")
_NO_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun")
_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun", "Some", "Unknown")
_ONE_ITEM: Final = "validations or auditAnnotations must contain at least one item"
_IS_NAME: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*").fullmatch


def validate_policy(policy: Json, old: Json | None = None) -> list[FieldError]:
    """Check a ValidatingAdmissionPolicy (ADMISSION_KINDS-1)."""
    spec: Json = policy.get("spec") or {}
    params, variables = spec.get("paramKind"), spec.get("variables") or []
    errors = validate_scope_of_policy(spec) + validate_conditions_of_policy(spec, old)
    composer = Composer(has_params=params is not None, has_variables=bool(variables))
    for index, variable in enumerate(variables):
        errors += validate_variable(composer, variable, f"spec.variables[{index}]")
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        return [*errors, required("spec.validations", _ONE_ITEM), required("spec.auditAnnotations", _ONE_ITEM)]
    for index, validation in enumerate(validations):
        errors += _validate_validation(composer, validation, f"spec.validations[{index}]")
    return errors + _validate_annotations(composer, policy["metadata"].get("name", ""), annotations)


def validate_scope_of_policy(spec: Json) -> list[FieldError]:
    """Check what a policy is about, of which kind its parameters are, and what follows where it fails."""
    errors = validate_choice(spec.get("failurePolicy"), "spec.failurePolicy", FAILURE_POLICIES)
    params, constraints = spec.get("paramKind"), spec.get("matchConstraints")
    if params is not None:
        errors += validate_param_kind(params, "spec.paramKind")
    if constraints is None:
        return [*errors, required("spec.matchConstraints")]
    errors += validate_match_resources(constraints, "spec.matchConstraints")
    return errors if constraints.get("resourceRules") else [*errors, required("spec.matchConstraints.resourceRules")]


def validate_conditions_of_policy(spec: Json, old: Json | None) -> list[FieldError]:
    """Check the conditions of a policy, unless they are as they were."""
    if old is not None and _same(spec, old.get("spec") or {}, "paramKind", "matchConditions"):
        return []
    return validate_match_conditions(spec, "spec.matchConditions", has_params=spec.get("paramKind") is not None)


def validate_policy_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed ValidatingAdmissionPolicy."""
    return validate_policy(new, old)


def validate_policy_status(new: Json, _old: Json) -> list[FieldError]:
    """Check the status of a policy."""
    status = new.get("status") or {}
    errors: list[FieldError] = []
    for index, warning in enumerate((status.get("typeChecking") or {}).get("expressionWarnings") or ()):
        path = f"status.typeChecking.expressionWarnings[{index}]"
        if not warning.get("warning"):
            errors.append(required(f"{path}.warning"))
        if not warning.get("fieldRef", "").strip():
            errors.append(required(f"{path}.fieldRef"))
    return errors + validate_conditions(status.get("conditions"), "status.conditions")


def validate_bound(spec: Json) -> list[FieldError]:
    """Check which policy a binding is of, with which parameters, and what it is about."""
    name = spec.get("policyName", "")
    errors = [invalid("spec.policyName", name, reason) for reason in check_dns_subdomain(name)] if name else []
    if not name:
        errors.append(required("spec.policyName"))
    errors += validate_param_ref(spec.get("paramRef"), "spec.paramRef")
    return errors + validate_match_resources(spec.get("matchResources"), "spec.matchResources")


def validate_binding(binding: Json) -> list[FieldError]:
    """Check a ValidatingAdmissionPolicyBinding."""
    spec: Json = binding.get("spec") or {}
    return validate_bound(spec) + validate_actions(spec.get("validationActions") or [], "spec.validationActions")


def validate_binding_update(new: Json, _old: Json) -> list[FieldError]:
    """Check a changed binding."""
    return validate_binding(new)


def validate_webhooks(configuration: Json, old: Json | None = None) -> list[FieldError]:
    """Check the webhooks of a configuration; an update may keep what was allowed once."""
    hooks = configuration.get("webhooks") or []
    before = None if old is None else old.get("webhooks") or []
    keeps_conditions = (
        before is not None
        and len(before) == len(hooks)
        and all(_same(one, other, "matchConditions") for one, other in zip(hooks, before, strict=True))
    )
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, hook in enumerate(hooks):
        path = f"webhooks[{index}]"
        errors += _validate_webhook(hook, path, before)
        if not keeps_conditions:
            errors += validate_match_conditions(hook, f"{path}.matchConditions", has_params=False)
        errors += _validate_reviews(
            hook.get("admissionReviewVersions") or [], f"{path}.admissionReviewVersions", before
        )
        name = hook.get("name", "")
        if name and name in names and (before is None or _names_differ(before)):
            errors.append(duplicate(f"{path}.name", name))
        names.add(name)
    return errors


def validate_webhooks_update(new: Json, old: Json) -> list[FieldError]:
    """Check changed webhooks."""
    return validate_webhooks(new, old)


def _same(one: Json, other: Json, *fields: str) -> bool:
    return all((one.get(field) or None) == (other.get(field) or None) for field in fields)


def validate_match_conditions(holder: Json, path: str, *, has_params: bool) -> list[FieldError]:
    """Check the conditions under which a policy or a webhook is asked."""
    conditions = holder.get("matchConditions") or []
    errors: list[FieldError] = []
    if len(conditions) > _CONDITIONS_MAX:
        errors.append(too_many(path, len(conditions), _CONDITIONS_MAX))
    composer = Composer(has_params=has_params, has_variables=False)
    names: set[str] = set()
    for index, condition in enumerate(conditions):
        at = f"{path}[{index}]"
        source, name = condition.get("expression", "").strip(), condition.get("name", "")
        if source:
            errors += composer.match_condition(source).error(f"{at}.expression")
        else:
            errors.append(required(f"{at}.expression"))
        if not name:
            errors.append(required(f"{at}.name"))
            continue
        errors += (invalid(f"{at}.name", name, reason) for reason in check_qualified_name(name))
        if name in names:
            errors.append(duplicate(f"{at}.name", name))
        names.add(name)
    return errors


def validate_variable(composer: Composer, variable: Json, path: str) -> list[FieldError]:
    """Check a variable of a policy."""
    name, source = variable.get("name", ""), variable.get("expression", "")
    errors: list[FieldError] = []
    if not name.strip():
        errors.append(required(f"{path}.name", "name is not specified"))
    elif not _IS_NAME(name) or name in KEYWORDS:
        errors.append(invalid(f"{path}.name", name, "must be a valid CEL identifier"))
    if not source.strip():
        return [*errors, required(f"{path}.expression", "expression is not specified")]
    return errors + composer.variable(name, source).error(f"{path}.expression")


def _validate_validation(composer: Composer, validation: Json, path: str) -> list[FieldError]:
    source, message = validation.get("expression", ""), validation.get("message", "")
    talk, reason = validation.get("messageExpression", ""), validation.get("reason")
    errors: list[FieldError] = []
    if source.strip():
        errors += composer.validation(source).error(f"{path}.expression")
    else:
        errors.append(required(f"{path}.expression", "expression is not specified"))
    if talk.strip():
        errors += composer.message(talk).error(f"{path}.messageExpression")
    elif talk:
        errors.append(invalid(f"{path}.messageExpression", talk, "must be non-empty if specified"))
    if message and not message.strip():
        errors.append(invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif "\n" in message.strip() or "\r" in message.strip():
        errors.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    return errors + validate_choice(reason, f"{path}.reason", _REASONS, is_required=False)


def _validate_annotations(composer: Composer, name: str, annotations: list[Json]) -> list[FieldError]:
    path = "spec.auditAnnotations"
    errors: list[FieldError] = []
    if len(annotations) > _ANNOTATIONS_MAX:
        errors.append(invalid(path, annotations, f"must not have more than {_ANNOTATIONS_MAX} auditAnnotations"))
    keys: set[str] = set()
    for index, annotation in enumerate(annotations):
        at, key = f"{path}[{index}]", annotation.get("key", "")
        if name:
            whole = f"{name}/{key}"
            errors += (invalid(f"{at}.key", whole, reason) for reason in check_qualified_name(whole))
        else:
            errors.append(invalid(f"{at}.key", key, "requires metadata.name be non-empty"))
        source = annotation.get("valueExpression", "")
        trimmed = source.strip()
        if not trimmed:
            errors.append(required(f"{at}.valueExpression", "valueExpression is not specified"))
        elif len(trimmed.encode()) > _ANNOTATION_BYTES_MAX:
            why = f"must not exceed {_ANNOTATION_BYTES_MAX} bytes in length"
            errors.append(required(f"{at}.valueExpression", why))
        else:
            errors += composer.annotation(trimmed).error(f"{at}.valueExpression", source)
        if key in keys:
            errors.append(duplicate(f"{at}.key", key))
        keys.add(key)
    return errors


def _validate_webhook(hook: Json, path: str, before: list[Json] | None) -> list[FieldError]:
    errors = validate_webhook_name(hook.get("name", ""), f"{path}.name")
    for index, rule in enumerate(hook.get("rules") or ()):
        errors += validate_rule(rule, f"{path}.rules[{index}]")
    errors += validate_choice(hook.get("failurePolicy"), f"{path}.failurePolicy", FAILURE_POLICIES, is_required=False)
    errors += validate_choice(hook.get("matchPolicy"), f"{path}.matchPolicy", MATCH_POLICIES, is_required=False)
    errors += _validate_side_effects(hook.get("sideEffects"), f"{path}.sideEffects", before)
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        errors.append(invalid(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds"))
    for field in ("namespaceSelector", "objectSelector"):
        errors += validate_label_selector(hook.get(field), f"{path}.{field}")
    again = hook.get("reinvocationPolicy")
    errors += validate_choice(again, f"{path}.reinvocationPolicy", ("IfNeeded", "Never"), is_required=False)
    return [*errors, *_check_client(hook.get("clientConfig") or {}, f"{path}.clientConfig")]


def _validate_side_effects(value: str | None, path: str, before: list[Json] | None) -> list[FieldError]:
    is_strict = before is None or all(hook.get("sideEffects") in _NO_SIDE_EFFECTS for hook in before)
    allowed = _NO_SIDE_EFFECTS if is_strict else _SIDE_EFFECTS
    if value is None:
        return [required(path, f"must specify one of {', '.join(allowed)}")]
    return validate_choice(value, path, allowed)


def _check_client(client: Json, path: str) -> Iterator[FieldError]:
    url, service = client.get("url"), client.get("service")
    if url is not None and service is None:
        yield from check_webhook_url(url, f"{path}.url")
    elif service is not None and url is None:
        yield from check_webhook_service(service, f"{path}.service")
    else:
        yield required(path, "exactly one of url or service is required")


def _validate_reviews(versions: list[str], path: str, before: list[Json] | None) -> list[FieldError]:
    if not versions:
        return [required(path, f"must specify one of {', '.join(_REVIEWS)}")]
    errors: list[FieldError] = []
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.append(invalid(f"{path}[{index}]", version, "duplicate version"))
            continue
        errors += (invalid(f"{path}[{index}]", version, reason) for reason in check_dns_label_1035(version))
    is_strict = before is None or all(_are_known(hook.get("admissionReviewVersions") or []) for hook in before)
    if is_strict and not _are_known(versions):
        errors.append(invalid(path, versions, f"must include at least one of {', '.join(_REVIEWS)}"))
    return errors


def _are_known(versions: list[str]) -> bool:
    return not versions or not set(versions).isdisjoint(_REVIEWS)


def _names_differ(hooks: list[Json]) -> bool:
    names = [hook.get("name", "") for hook in hooks]
    return len(set(names)) == len(names)
