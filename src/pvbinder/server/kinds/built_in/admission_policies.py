"""Webhooks and policies of admission.

ValidatingAdmissionPolicies and their bindings are followed (`server.api.admission.policies`); webhooks and
MutatingAdmissionPolicies are stored, and nobody is asked by them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pvbinder.server.kinds.built_in.admission_expressions import (
    validate_binding,
    validate_binding_update,
    validate_policy,
    validate_policy_status,
    validate_policy_update,
    validate_webhooks,
    validate_webhooks_update,
)
from pvbinder.server.kinds.built_in.mutating_policies import (
    validate_mutating_binding,
    validate_mutating_binding_update,
    validate_mutating_policy,
    validate_mutating_policy_update,
)
from pvbinder.server.kinds.parts.columns import AGE, NAME, UNSET, count_cell, field_cell
from pvbinder.server.kinds.parts.plain import Plain, fill_in
from pvbinder.server.kinds.validation.admission_rules import warn_of_reserved_name
from pvbinder.server.objects.kind import Column, Json

_ADMISSION = ("api.admissionregistration", "admissionregistration.k8s.io")


def _parameter_kind_cell(obj: Json, _now: datetime) -> object:
    kind = (obj.get("spec") or {}).get("paramKind")
    return UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def _parameter_cell(obj: Json, _now: datetime) -> object:
    reference = (obj.get("spec") or {}).get("paramRef") or {}
    if reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{reference['name']}"
    selector = reference.get("selector")
    return UNSET if selector is None else _go_selector(selector)


def _go_selector(selector: Json) -> str:
    """Write a selector as the reference's own type writes itself."""
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    requirements = "".join(
        f"LabelSelectorRequirement{{Key:{one.get('key', '')},Operator:{one.get('operator', '')},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{requirements}}},}}"
    )


def default_policy(obj: Json) -> None:
    """Fill in what a policy matches where it doesn't say, and that it denies what it can't judge."""
    spec = obj.setdefault("spec", {})
    fill_in(spec, failurePolicy="Fail")
    _default_match(spec.get("matchConstraints"))


def default_validating_policy(obj: Json) -> None:
    """Show a status, too."""
    default_policy(obj)
    obj.setdefault("status", {})


def default_binding(obj: Json) -> None:
    """Fill in what a binding matches where it doesn't say."""
    _default_match(obj.setdefault("spec", {}).get("matchResources"))


def default_validating_webhooks(obj: Json) -> None:
    """Fill in how webhooks are called."""
    for hook in obj.get("webhooks") or ():
        fill_in(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
        fill_in(hook, namespaceSelector={}, objectSelector={})
        _default_rules(hook.get("rules"))
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None:
            fill_in(service, port=443)


def default_mutating_webhooks(obj: Json) -> None:
    """Fill in how webhooks are called, and that none is called again."""
    default_validating_webhooks(obj)
    for hook in obj.get("webhooks") or ():
        fill_in(hook, reinvocationPolicy="Never")


def _default_match(constraints: Json | None) -> None:
    if constraints is not None:
        fill_in(constraints, namespaceSelector={}, objectSelector={}, matchPolicy="Equivalent")
        _default_rules(constraints.get("resourceRules"))
        _default_rules(constraints.get("excludeResourceRules"))


def _default_rules(rules: list[Json] | None) -> None:
    for rule in rules or ():
        fill_in(rule, scope="*")


_BINDING_COLUMNS = (
    NAME,
    Column("PolicyName", field_cell("spec", "policyName")),
    Column("ParamRef", _parameter_cell),
    AGE,
)
_WEBHOOK_COLUMNS = (NAME, Column("Webhooks", count_cell("webhooks"), "integer"), AGE)


def _policy_columns(name: str, field: str) -> tuple[Column, ...]:
    return NAME, Column(name, count_cell("spec", field), "integer"), Column("ParamKind", _parameter_kind_cell), AGE


_ROWS = (
    Plain(
        *_ADMISSION,
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        default=default_mutating_webhooks,
        validate_create=validate_webhooks,
        validate_update=validate_webhooks_update,
        counts=("webhooks",),
        columns=_WEBHOOK_COLUMNS,
    ),
    Plain(
        *_ADMISSION,
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        default=default_validating_webhooks,
        validate_create=validate_webhooks,
        validate_update=validate_webhooks_update,
        counts=("webhooks",),
        columns=_WEBHOOK_COLUMNS,
    ),
    Plain(
        *_ADMISSION,
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        has_status=True,
        keeps_metadata=True,
        status_metadata_checks=(),
        default=default_validating_policy,
        validate_create=validate_policy,
        validate_update=validate_policy_update,
        validate_status=validate_policy_status,
        counts=("spec",),
        columns=_policy_columns("Validations", "validations"),
    ),
    Plain(
        *_ADMISSION,
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        default=default_binding,
        validate_create=validate_binding,
        validate_update=validate_binding_update,
        counts=("spec",),
        columns=_BINDING_COLUMNS,
    ),
    Plain(
        *_ADMISSION,
        "MutatingAdmissionPolicy",
        "mutatingadmissionpolicies",
        default=default_policy,
        validate_create=validate_mutating_policy,
        validate_update=validate_mutating_policy_update,
        counts=("spec",),
        columns=_policy_columns("Mutations", "mutations"),
    ),
    Plain(
        *_ADMISSION,
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
        default=default_binding,
        validate_create=validate_mutating_binding,
        validate_update=validate_mutating_binding_update,
        counts=("spec",),
        columns=_BINDING_COLUMNS,
    ),
)

ADMISSION_KINDS = tuple(
    replace(
        row,
        categories=("api-extensions",),
        needs_revision=True,
        metadata_checks=("whole",),
        warnings=warn_of_reserved_name,
    ).declare()
    for row in _ROWS
)
