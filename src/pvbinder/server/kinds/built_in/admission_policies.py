"""Webhooks and policies of admission: stored; nobody is asked by them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pvbinder.server.kinds.parts.columns import AGE, NAME, UNSET, count_cell, field_cell
from pvbinder.server.kinds.parts.plain import Plain
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
        counts=("webhooks",),
        columns=_WEBHOOK_COLUMNS,
    ),
    Plain(
        *_ADMISSION,
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
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
        counts=("spec",),
        columns=_policy_columns("Validations", "validations"),
    ),
    Plain(
        *_ADMISSION,
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        counts=("spec",),
        columns=_BINDING_COLUMNS,
    ),
    Plain(
        *_ADMISSION,
        "MutatingAdmissionPolicy",
        "mutatingadmissionpolicies",
        counts=("spec",),
        columns=_policy_columns("Mutations", "mutations"),
    ),
    Plain(
        *_ADMISSION,
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
        counts=("spec",),
        columns=_BINDING_COLUMNS,
    ),
)

ADMISSION_KINDS = tuple(
    replace(row, categories=("api-extensions",), needs_revision=True, metadata_checks=("whole",)).declare()
    for row in _ROWS
)
