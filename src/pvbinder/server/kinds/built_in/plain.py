"""The other built-in kinds: stored, watched and checked, with nothing behind them.

One row a kind. Those of groups that can't be of use without their controllers (admission policies and webhooks, API
services, flow control) are stored like the rest: nothing acts on them.
"""

from __future__ import annotations

from pvbinder.server.kinds.built_in.admission_policies import ADMISSION_KINDS
from pvbinder.server.kinds.built_in.api_services import API_SERVICE
from pvbinder.server.kinds.built_in.devices import DEVICE_KINDS
from pvbinder.server.kinds.built_in.flow_control import FLOW_KINDS
from pvbinder.server.kinds.built_in.networking import NETWORK_KINDS
from pvbinder.server.kinds.built_in.replication import REPLICATION_KINDS
from pvbinder.server.kinds.built_in.signing_requests import SIGNING_REQUEST
from pvbinder.server.kinds.parts.columns import AGE, NAME, field_cell, text_cell
from pvbinder.server.kinds.parts.plain import Plain, fill_in
from pvbinder.server.kinds.validation.disruption_budgets import (
    validate_disruption_budget,
    validate_disruption_budget_status,
    validate_disruption_budget_update,
)
from pvbinder.server.kinds.validation.runtime_classes import (
    validate_runtime_class,
    validate_runtime_class_update,
    warn_of_runtime_class,
)
from pvbinder.server.objects.kind import Column, Json, ServedKind


def default_disruption_budget(obj: Json) -> None:
    """Show a status of zeros."""
    obj.setdefault("spec", {})
    zeros = dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0)
    fill_in(obj.setdefault("status", {}), **zeros)


_ROWS = (
    Plain(
        "api.policy",
        "policy",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        namespaced=True,
        short_names=("pdb",),
        has_status=True,
        counts=("spec",),
        default=default_disruption_budget,
        needs_revision=True,
        validate_create=validate_disruption_budget,
        validate_update=validate_disruption_budget_update,
        validate_status=validate_disruption_budget_status,
        metadata_checked_on_create=False,
        metadata_checks=(),
        status_metadata_checks=(),
        columns=(
            NAME,
            Column("Min Available", text_cell("spec", "minAvailable", default="N/A")),
            Column("Max Unavailable", text_cell("spec", "maxUnavailable", default="N/A")),
            Column("Allowed Disruptions", field_cell("status", "disruptionsAllowed", default=0), "integer"),
            AGE,
        ),
    ),
    Plain(
        "api.node",
        "node.k8s.io",
        "RuntimeClass",
        "runtimeclasses",
        put_creates=True,
        needs_revision=True,
        validate_create=validate_runtime_class,
        validate_update=validate_runtime_class_update,
        metadata_checks=("whole", "change"),
        warnings=warn_of_runtime_class,
        columns=(NAME, Column("Handler", field_cell("handler")), AGE),
    ),
)

PLAIN_KINDS: tuple[ServedKind, ...] = (
    *REPLICATION_KINDS,
    *NETWORK_KINDS,
    *ADMISSION_KINDS,
    *FLOW_KINDS,
    *DEVICE_KINDS,
    SIGNING_REQUEST,
    *(row.declare() for row in _ROWS),
    API_SERVICE,
)
