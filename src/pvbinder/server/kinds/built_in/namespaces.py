"""Namespace: its finalizer in the spec, and how it ends (DE-7).

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.model.resources import NAMESPACES
from pvbinder.server.errors import FieldError, invalid
from pvbinder.server.kinds.parts.columns import AGE, NAME, field_cell
from pvbinder.server.kinds.validation.names import check_qualified_name
from pvbinder.server.objects.kind import ALL_VERBS, Column, Json, ServedKind, Subresource, drop_empty, metadata_name

NAME_LABEL = "kubernetes.io/metadata.name"


def default_namespace(namespace: Json) -> None:
    """Label it with its name, and show spec and status."""
    metadata = namespace["metadata"]
    if name := metadata.get("name"):
        labels = metadata.get("labels")
        if labels is None:
            metadata["labels"] = {NAME_LABEL: name}
        elif labels.get(NAME_LABEL) != name:
            labels[NAME_LABEL] = name
    drop_empty(namespace.setdefault("spec", {}), "finalizers")
    status = namespace.setdefault("status", {})
    drop_empty(status, "conditions")
    if not status.get("phase"):
        status["phase"] = "Active"


def prepare_new_namespace(namespace: Json, _now: str) -> None:
    """Start active, held by the finalizer of the namespace controller."""
    namespace["status"] = {"phase": "Active"}
    finalizers = namespace["spec"].setdefault("finalizers", [])
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")


def prepare_namespace(new: Json, old: Json, _now: str) -> None:
    """Take status and finalizers from the stored object."""
    new["spec"]["finalizers"] = old["spec"].get("finalizers", [])
    drop_empty(new["spec"], "finalizers")
    new["status"] = old["status"]


def prepare_namespace_status(new: Json, old: Json, _now: str) -> None:
    """Take the spec from the stored object."""
    new["spec"] = old["spec"]


def prepare_namespace_finalize(new: Json, old: Json, _now: str) -> None:
    """Take the status from the stored object."""
    new["status"] = old["status"]


def validate_namespace(namespace: Json) -> list[FieldError]:
    """Check the finalizers of the spec."""
    errors: list[FieldError] = []
    for index, finalizer in enumerate(namespace["spec"].get("finalizers") or ()):
        path = f"spec.finalizers[{index}]"
        errors += (invalid(path, finalizer, reason) for reason in check_qualified_name(finalizer))
        if "/" not in finalizer and finalizer != "kubernetes":
            why = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(path, finalizer, why))
    return errors


def validate_namespace_finalize(new: Json, _old: Json) -> list[FieldError]:
    """Check the finalizers that are left."""
    return validate_namespace(new)


def validate_namespace_status(new: Json, _old: Json) -> list[FieldError]:
    """Check that the phase fits the deletion."""
    phase = new["status"].get("phase")
    deleted = bool(new["metadata"].get("deletionTimestamp"))
    if deleted and phase != "Terminating":
        return [invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")]
    if not deleted and phase != "Active":
        return [invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


def terminate_namespace(namespace: Json) -> None:
    """Mark it as ending (DE-7)."""
    namespace.setdefault("status", {})["phase"] = "Terminating"


def is_held_by_spec(namespace: Json) -> bool:
    """Say whether finalizers of the spec keep it (DE-7)."""
    return bool((namespace.get("spec") or {}).get("finalizers"))


def _phase(namespace: Json) -> str:
    return str((namespace.get("status") or {}).get("phase", ""))


NAMESPACE = ServedKind(
    resource=NAMESPACES,
    singular="namespace",
    schema="io.k8s.api.core.v1.Namespace",
    short_names=("ns",),
    verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
    name_rule="label",
    default=default_namespace,
    prepare_create=prepare_new_namespace,
    prepare_update=prepare_namespace,
    validate_create=validate_namespace,
    metadata_checks=("whole", "change"),
    subresources=(
        Subresource(
            "finalize",
            verbs=("update",),
            prepare_update=prepare_namespace_finalize,
            validate_update=validate_namespace_finalize,
        ),
        Subresource("status", prepare_update=prepare_namespace_status, validate_update=validate_namespace_status),
    ),
    columns=(NAME, Column("Status", field_cell("status", "phase"), description="Active or terminating."), AGE),
    selectable_fields={"metadata.name": metadata_name, "status.phase": _phase},
    terminate=terminate_namespace,
    is_held=is_held_by_spec,
)
