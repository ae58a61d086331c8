"""The spec of a job, in jobs and in the templates of cron jobs.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import json

from pvbinder.server.errors import (
    FieldError,
    duplicate,
    invalid,
    invalid_whole,
    required,
    too_long,
    too_many,
    unsupported,
)
from pvbinder.server.kinds.built_in.pod_templates import validate_template
from pvbinder.server.kinds.validation.indexes import count_indexes
from pvbinder.server.kinds.validation.internal_form import Inner, InternalFields, inner_form
from pvbinder.server.kinds.validation.names import check_qualified_name
from pvbinder.server.kinds.validation.numbers import validate_not_negative
from pvbinder.server.kinds.validation.paths import validate_domain_prefixed_path
from pvbinder.server.objects.kind import Json

_RESTARTS = ("OnFailure", "Never")
_POLICIES = ("Always", "OnFailure", "Never")
_MODES = ("NonIndexed", "Indexed")
_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_MANAGER_BYTES_MAX = 63
_INDEXES_MAX = 100_000
_MANY_COMPLETIONS = 100_000
_WITH_MANY_MAX = 10_000
_RULES_MAX = 20
_EXIT_CODES_MAX = 255
_PATTERNS_MAX = 20
_INDEXES_BYTES_MAX = 64 * 1024
_SUCCESS_POLICY: InternalFields = {
    "Rules": (
        "rules",
        Inner({"SucceededIndexes": ("succeededIndexes", None), "SucceededCount": ("succeededCount", None)}, many=True),
    )
}


def validate_job_spec(spec: Json, path: str) -> list[FieldError]:
    """Check what a job and the template of one have in common."""
    errors = validate_not_negative(spec, path, *_COUNTS)
    mode = spec.get("completionMode")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errors.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    manager = spec.get("managedBy")
    if manager is not None:
        errors += validate_domain_prefixed_path(manager, f"{path}.managedBy")
        if len(manager.encode()) > _MANAGER_BYTES_MAX:
            errors.append(too_long(f"{path}.managedBy", _MANAGER_BYTES_MAX))
    if mode not in (None, *_MODES):
        errors.append(unsupported(f"{path}.completionMode", mode, _MODES))
    if mode == "Indexed":
        errors += _validate_indexed(spec, path)
    elif mode in (None, "NonIndexed"):
        errors += (
            invalid(f"{path}.{field}", spec[field], "requires indexed completion mode")
            for field in ("backoffLimitPerIndex", "maxFailedIndexes")
            if spec.get(field) is not None
        )
    policy = spec.get("podFailurePolicy")
    if policy is not None:
        errors += _validate_failures(policy, spec, f"{path}.podFailurePolicy.rules")
    success = spec.get("successPolicy")
    if success is not None and mode != "Indexed":
        errors.append(
            invalid(f"{path}.successPolicy", inner_form(_SUCCESS_POLICY, success), "requires indexed completion mode")
        )
    elif success is not None:
        errors += _validate_success(success, spec.get("completions") or 0, f"{path}.successPolicy.rules")
    replacements = _REPLACEMENTS if policy is None else ("Failed",)
    if spec.get("podReplacementPolicy") not in (None, *replacements):
        errors.append(unsupported(f"{path}.podReplacementPolicy", spec["podReplacementPolicy"], replacements))
    return errors + _validate_template(spec, path)


def _validate_template(spec: Json, path: str) -> list[FieldError]:
    template: Json = spec.get("template") or {}
    errors = validate_template(template, f"{path}.template", _POLICIES)
    policy, where = (template.get("spec") or {}).get("restartPolicy") or "", f"{path}.template.spec.restartPolicy"
    if policy in ("", "Always"):
        errors.append(required(where, 'valid values: "OnFailure", "Never"'))
    elif policy not in _RESTARTS:
        errors.append(unsupported(where, policy, _RESTARTS))
    elif policy != "Never" and spec.get("podFailurePolicy") is not None:
        errors.append(invalid(where, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return errors


def _validate_indexed(spec: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    completions, parallel = spec.get("completions"), spec.get("parallelism")
    failed, at = spec.get("maxFailedIndexes"), f"{path}.maxFailedIndexes"
    if completions is None:
        errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallel is not None and parallel > _INDEXES_MAX:
        why = f"must be less than or equal to {_INDEXES_MAX} when completion mode is Indexed"
        errors.append(invalid(f"{path}.parallelism", parallel, why))
    if failed is not None and completions is not None and failed > completions:
        errors.append(invalid(at, failed, "must be less than or equal to completions"))
    if failed is not None and failed > _INDEXES_MAX:
        errors.append(invalid(at, failed, f"must be less than or equal to {_INDEXES_MAX}"))
    if (completions or 0) > _MANY_COMPLETIONS and spec.get("backoffLimitPerIndex") is not None:
        if failed is None:
            errors.append(required(at, f"must be specified when completions is above {_MANY_COMPLETIONS}"))
        why = (
            f"must be less than or equal to {_WITH_MANY_MAX} when completions are above {_MANY_COMPLETIONS} "
            "and used with backoff limit per index"
        )
        errors += (
            invalid(f"{path}.{field}", spec[field], why)
            for field in ("parallelism", "maxFailedIndexes")
            if (spec.get(field) or 0) > _WITH_MANY_MAX
        )
    return errors


def _validate_failures(policy: Json, spec: Json, path: str) -> list[FieldError]:
    """Check what follows from the failure of a pod."""
    pod: Json = (spec.get("template") or {}).get("spec") or {}
    names = {container.get("name") for field in ("containers", "initContainers") for container in pod.get(field) or ()}
    rules: list[Json] = policy.get("rules") or []
    errors = [too_many(path, len(rules), _RULES_MAX)] if len(rules) > _RULES_MAX else []
    for index, rule in enumerate(rules):
        at = f"{path}[{index}]"
        action, codes, conditions = rule.get("action", ""), rule.get("onExitCodes"), rule.get("onPodConditions") or []
        errors += _one_of(action, f"{at}.action", _ACTIONS)
        if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            errors.append(invalid(f"{at}.action", action, "requires the backoffLimitPerIndex to be set"))
        if codes is not None:
            errors += _validate_exit_codes(codes, names, f"{at}.onExitCodes")
        errors += _validate_conditions(conditions, f"{at}.onPodConditions")
        if codes is not None and conditions:
            errors.append(invalid_whole(at, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not conditions:
            errors.append(invalid_whole(at, "specifying one of OnExitCodes and OnPodConditions is required"))
    return errors


def _validate_exit_codes(codes: Json, names: set[str], path: str) -> list[FieldError]:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    errors = _one_of(operator, f"{path}.operator", _OPERATORS)
    name = codes.get("containerName")
    if name is not None and name not in names:
        why = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"{path}.containerName", name, why))
    at = f"{path}.values"
    if not values:
        errors.append(invalid(at, codes.get("values"), "at least one value is required"))
    elif len(values) > _EXIT_CODES_MAX:
        errors.append(too_many(at, len(values), _EXIT_CODES_MAX))
    seen: set[int] = set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.append(invalid(f"{at}[{index}]", value, "must not be 0 for the In operator"))
        if value in seen:
            errors.append(duplicate(f"{at}[{index}]", value))
        seen.add(value)
    if values != sorted(values):
        errors.append(invalid(at, values, "must be ordered"))
    return errors


def _validate_conditions(conditions: list[Json], path: str) -> list[FieldError]:
    errors = [too_many(path, len(conditions), _PATTERNS_MAX)] if len(conditions) > _PATTERNS_MAX else []
    for index, pattern in enumerate(conditions):
        kind, status, at = pattern.get("type", ""), pattern.get("status", ""), f"{path}[{index}]"
        errors += (invalid(f"{at}.type", kind, reason) for reason in check_qualified_name(kind))
        errors += _one_of(status, f"{at}.status", _STATUSES)
    return errors


def _validate_success(policy: Json, completions: int, path: str) -> list[FieldError]:
    """Check when a job is done before all its indexes are."""
    rules: list[Json] = policy.get("rules") or []
    errors: list[FieldError] = []
    if not rules:
        errors.append(required(path, "at least one rules must be specified when the successPolicy is specified"))
    if len(rules) > _RULES_MAX:
        errors.append(too_many(path, len(rules), _RULES_MAX))
    for index, rule in enumerate(rules):
        errors += _validate_success_rule(rule, completions, f"{path}[{index}]")
    return errors


def _validate_success_rule(rule: Json, completions: int, path: str) -> list[FieldError]:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        return [required(path, "at least one of succeededCount or succeededIndexes must be specified")]
    errors: list[FieldError] = []
    total = 0
    if indexes is not None:
        at = f"{path}.succeededIndexes"
        if len(indexes.encode()) > _INDEXES_BYTES_MAX:
            errors.append(too_long(at, _INDEXES_BYTES_MAX))
        total, problem = count_indexes(indexes, completions)
        if problem:
            errors.append(invalid(at, indexes, f"error parsing succeededIndexes: {problem}"))
    if count is not None:
        at, at_most = f"{path}.succeededCount", "must be less than or equal to"
        errors += validate_not_negative(rule, path, "succeededCount")
        if count > completions:
            errors.append(invalid(at, count, f"{at_most} {completions} (the number of specified completions)"))
        if indexes is not None and count > total:
            why = f"{at_most} {total} (the number of indexes in the specified succeededIndexes field)"
            errors.append(invalid(at, count, why))
    return errors


def _one_of(value: str, path: str, allowed: tuple[str, ...]) -> list[FieldError]:
    if value in allowed:
        return []
    if value:
        return [unsupported(path, value, allowed)]
    return [required(path, f"valid values: [{' '.join(json.dumps(name) for name in allowed)}]")]
