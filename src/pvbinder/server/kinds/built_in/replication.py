"""ReplicationController and PodTemplate."""

from __future__ import annotations

from datetime import datetime

from pvbinder.server.errors import FieldError
from pvbinder.server.kinds.built_in.pod_templates import container_columns, default_template, validate_template
from pvbinder.server.kinds.built_in.workload_rules import validate_replica_set_status, validate_replication_controller
from pvbinder.server.kinds.parts.columns import AGE, NAME, field_cell, labels_shown
from pvbinder.server.kinds.parts.plain import Plain, fill_in
from pvbinder.server.kinds.validation.pod_warnings import warner_of_template
from pvbinder.server.objects.kind import METADATA_FIELDS, Column, Json

_CONTAINERS = ("spec", "template", "spec", "containers")


def default_replication_controller(obj: Json) -> None:
    """Fill in how many, and that it selects what it makes."""
    spec = obj.setdefault("spec", {})
    fill_in(spec, replicas=1)
    if spec.get("template") is not None:
        default_template(spec["template"])
        labels = spec["template"]["metadata"].get("labels")
        if labels and not spec.get("selector"):
            spec["selector"] = dict(labels)
        if labels and not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)
    fill_in(obj.setdefault("status", {}), replicas=0)


def default_pod_template(obj: Json) -> None:
    """Fill in the pods' spec."""
    default_template(obj.setdefault("template", {}))


def validate_pod_template(obj: Json) -> list[FieldError]:
    """Check the template of a pod."""
    return validate_template(obj["template"], "template", ("Always", "Never", "OnFailure"))


def _selector_cell(obj: Json, _now: datetime) -> object:
    return labels_shown((obj.get("spec") or {}).get("selector"))


def _labels_cell(obj: Json, _now: datetime) -> object:
    return labels_shown(((obj.get("template") or {}).get("metadata") or {}).get("labels"))


def _replicas(obj: Json) -> str:
    return str((obj.get("status") or {}).get("replicas", 0))


REPLICATION_KINDS = tuple(
    row.declare()
    for row in (
        Plain(
            "api.core",
            "",
            "ReplicationController",
            "replicationcontrollers",
            namespaced=True,
            short_names=("rc",),
            categories=("all",),
            has_status=True,
            has_scale=True,
            dependents="orphaned",
            counts=("spec",),
            default=default_replication_controller,
            validate_create=validate_replication_controller,
            validate_update=lambda new, _old: validate_replication_controller(new),
            validate_status=validate_replica_set_status,
            selectable_fields={**METADATA_FIELDS, "status.replicas": _replicas},
            warnings=warner_of_template("spec", "template"),
            columns=(
                NAME,
                Column("Desired", field_cell("spec", "replicas", default=0), "integer"),
                Column("Current", field_cell("status", "replicas", default=0), "integer"),
                Column("Ready", field_cell("status", "readyReplicas", default=0), "integer"),
                AGE,
                *container_columns(*_CONTAINERS),
                Column("Selector", _selector_cell, priority=1),
            ),
        ),
        Plain(
            "api.core",
            "",
            "PodTemplate",
            "podtemplates",
            namespaced=True,
            returns_object=True,
            counts=("template",),
            default=default_pod_template,
            validate_create=validate_pod_template,
            validate_update=lambda new, _old: validate_pod_template(new),
            warnings=warner_of_template("template", names_pods=False),
            columns=(
                NAME,
                *(
                    Column(c.name, c.cell, description=c.description)
                    for c in container_columns("template", "spec", "containers")
                ),
                Column("Pod Labels", _labels_cell),
            ),
        ),
    )
)
