"""Lease: the holder of a lock, and until when.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.model.resources import LEASES
from pvbinder.server.errors import FieldError, invalid
from pvbinder.server.kinds.parts.columns import AGE, NAME, field_cell
from pvbinder.server.objects.kind import Column, Json, ServedKind


def default_lease(lease: Json) -> None:
    """Show an absent spec as an empty one."""
    lease.setdefault("spec", {})


def drop_coordination(lease: Json) -> None:
    """Drop what belongs to coordinated leader election, which is off in 1.36 unless somebody switches it on."""
    for field in ("strategy", "preferredHolder"):
        lease["spec"].pop(field, None)


def validate_lease(lease: Json) -> list[FieldError]:
    """Check the numbers of a lease."""
    spec = lease["spec"]
    errors = []
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    transitions = spec.get("leaseTransitions")
    if transitions is not None and transitions < 0:
        errors.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    return errors


def validate_lease_update(new: Json, _old: Json) -> list[FieldError]:
    """Check a changed lease like a new one."""
    return validate_lease(new)


LEASE = ServedKind(
    resource=LEASES,
    singular="lease",
    schema="io.k8s.api.coordination.v1.Lease",
    put_creates=True,
    put_needs_revision=True,
    delete_returns_object=False,
    default=default_lease,
    prepare_create=lambda lease, _now: drop_coordination(lease),
    prepare_update=lambda new, _old, _now: drop_coordination(new),
    validate_create=validate_lease,
    validate_update=validate_lease_update,
    columns=(
        NAME,
        Column("Holder", field_cell("spec", "holderIdentity"), description="Who holds the lease."),
        AGE,
    ),
)
