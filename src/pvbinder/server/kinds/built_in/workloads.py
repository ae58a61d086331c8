"""The workloads of ``apps/v1``: stored, completed and checked; their controllers, if any, run the pods."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError, invalid, required
from pvbinder.server.kinds.built_in.pod_templates import (
    CURRENT,
    DESIRED,
    READY,
    SELECTOR,
    container_columns,
    default_template,
)
from pvbinder.server.kinds.built_in.workload_rules import (
    update_of,
    validate_daemon_set,
    validate_daemon_set_status,
    validate_deployment,
    validate_deployment_status,
    validate_replica_set,
    validate_replica_set_status,
    validate_stateful_set,
    validate_stateful_set_status,
    validate_stateful_set_update,
)
from pvbinder.server.kinds.parts.columns import AGE, NAME, NONE, field_cell, labels_shown, selector_text
from pvbinder.server.kinds.parts.scale import scale_of
from pvbinder.server.kinds.parts.status import (
    STATUS,
    keep_all_but_status,
    keep_metadata,
    keep_status,
    start_with_empty_status,
)
from pvbinder.server.kinds.validation.claim_specs import complete_claim_spec
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.numbers import NEGATIVE
from pvbinder.server.kinds.validation.pod_warnings import warn_of_claim_spec, warner_of_template
from pvbinder.server.objects.kind import Column, Json, ServedKind

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", True)
REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets", True)
STATEFUL_SETS = Resource("apps", "v1", "StatefulSet", "statefulsets", True)
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets", True)
CONTROLLER_REVISIONS = Resource("apps", "v1", "ControllerRevision", "controllerrevisions", True)

_CONTAINERS = ("spec", "template", "spec", "containers")
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _set(obj: Json, **values: object) -> None:
    """Fill in the fields that are missing."""
    for field, value in values.items():
        if obj.get(field) is None:
            obj[field] = value


def default_deployment(obj: Json) -> None:
    """Fill in replicas, strategy and the template."""
    spec = obj.setdefault("spec", {})
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy, rollingUpdate={})
        _set(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    default_template(spec.setdefault("template", {}))
    obj.setdefault("status", {})


def default_replica_set(obj: Json) -> None:
    """Fill in replicas and the template."""
    spec = obj.setdefault("spec", {})
    _set(spec, replicas=1)
    default_template(spec.setdefault("template", {}))
    obj.setdefault("status", {}).setdefault("replicas", 0)


def default_daemon_set(obj: Json) -> None:
    """Fill in the update strategy and the template."""
    annotations = obj.setdefault("metadata", {}).setdefault("annotations", {})
    annotations.setdefault(_TEMPLATE_GENERATION, "0")  # stands for a field of the spec
    spec = obj.setdefault("spec", {})
    _set(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy, rollingUpdate={})
        _set(strategy["rollingUpdate"], maxUnavailable=1, maxSurge=0)
    default_template(spec.setdefault("template", {}))
    numbers = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    _set(obj.setdefault("status", {}), **dict.fromkeys(numbers, 0))


def default_stateful_set(obj: Json) -> None:
    """Fill in replicas, policies, the template and the templates of claims."""
    spec = obj.setdefault("spec", {})
    _set(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady", serviceName="")
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy, rollingUpdate={})
        _set(strategy["rollingUpdate"], partition=0)
    _set(spec, persistentVolumeClaimRetentionPolicy={})
    _set(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")
    default_template(spec.setdefault("template", {}))
    for claim in spec.get("volumeClaimTemplates") or ():
        claim["kind"], claim["apiVersion"] = "PersistentVolumeClaim", "v1"
        claim.setdefault("metadata", {})
        complete_claim_spec(claim.setdefault("spec", {}))
        claim.setdefault("status", {}).setdefault("phase", "Pending")
    _set(obj.setdefault("status", {}), replicas=0, availableReplicas=0)


def validate_revision(obj: Json) -> list[FieldError]:
    """Check a new controller revision, whose data is an object."""
    errors = _validate_number(obj)
    data = obj.get("data")
    if data is None:
        errors.append(required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        errors.append(required("data", "data must be a valid JSON object"))
    return errors


def validate_revision_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed revision; what it records can't change."""
    errors = _validate_number(new)
    if new.get("data") != old.get("data"):
        errors.append(invalid("data", new.get("data"), IMMUTABLE))
    return errors


def _validate_number(obj: Json) -> list[FieldError]:
    number = obj.get("revision") or 0
    return [] if number >= 0 else [invalid("revision", number, NEGATIVE)]


def _ready_cell(obj: Json, _now: datetime) -> object:
    return f"{(obj.get('status') or {}).get('readyReplicas', 0)}/{(obj.get('spec') or {}).get('replicas', 0)}"


def _node_selector_cell(obj: Json, _now: datetime) -> object:
    template = (obj.get("spec") or {}).get("template") or {}
    return labels_shown((template.get("spec") or {}).get("nodeSelector"))


def _controller_cell(obj: Json, _now: datetime) -> object:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            group = owner.get("apiVersion", "").rpartition("/")[0]
            kind = owner.get("kind", "").lower()
            return f"{kind}.{group}/{owner.get('name', '')}" if group else f"{kind}/{owner.get('name', '')}"
    return NONE


def _status_number(field: str) -> Column:
    names = {
        "updatedReplicas": "Up-to-date",
        "availableReplicas": "Available",
        "desiredNumberScheduled": "Desired",
        "currentNumberScheduled": "Current",
        "numberReady": "Ready",
        "updatedNumberScheduled": "Up-to-date",
        "numberAvailable": "Available",
    }
    return Column(names[field], field_cell("status", field, default=0), "integer", description="How many pods.")


def _selector_cell(obj: Json, _now: datetime) -> object:
    return selector_text((obj.get("spec") or {}).get("selector"))


_READY = Column("Ready", _ready_cell, description="How many pods are ready, of how many.")


def warn_of_claims(new: Json, old: Json | None) -> list[str]:
    """Warn of what templates of claims ask for, and of a history that is never cut."""
    spec = new["spec"]
    part = "" if old is None else ".Spec"
    found = [
        warning
        for index, claim in enumerate(spec.get("volumeClaimTemplates") or ())
        for warning in warn_of_claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}]{part}")
    ]
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        why = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {why}")
    return found


def _keep_labels(new: Json, old: Json, now: str) -> None:
    """Take all but the status from the stored deployment, its labels too."""
    keep_all_but_status(new, old, now)
    keep_metadata(new, old, "labels")


DEPLOYMENT = ServedKind(
    warnings=warner_of_template("spec", "template"),
    resource=DEPLOYMENTS,
    singular="deployment",
    schema="io.k8s.api.apps.v1.Deployment",
    short_names=("deploy",),
    categories=("all",),
    delete_returns_object=False,
    default=default_deployment,
    prepare_create=start_with_empty_status,
    prepare_update=keep_status,
    validate_create=validate_deployment,
    validate_update=update_of(validate_deployment),
    subresources=(
        scale_of(),
        replace(STATUS, prepare_update=_keep_labels, validate_update=validate_deployment_status),
    ),
    columns=(
        NAME,
        _READY,
        replace(_status_number("updatedReplicas"), type="string"),
        replace(_status_number("availableReplicas"), type="string"),
        AGE,
        *container_columns(*_CONTAINERS),
        Column("Selector", _selector_cell, description=SELECTOR.description, priority=1),
    ),
    generation_at_create=1,
    generation_follows=("spec", "metadata.annotations"),
)

REPLICA_SET = ServedKind(
    warnings=warner_of_template("spec", "template"),
    resource=REPLICA_SETS,
    singular="replicaset",
    schema="io.k8s.api.apps.v1.ReplicaSet",
    short_names=("rs",),
    categories=("all",),
    delete_returns_object=False,
    default=default_replica_set,
    prepare_create=lambda obj, _now: obj.__setitem__("status", {"replicas": 0}),
    prepare_update=keep_status,
    validate_create=validate_replica_set,
    validate_update=update_of(validate_replica_set),
    subresources=(
        scale_of(),
        replace(STATUS, validate_update=validate_replica_set_status),
    ),
    columns=(NAME, DESIRED, CURRENT, READY, AGE, *container_columns(*_CONTAINERS), SELECTOR),
    generation_at_create=1,
    generation_follows=("spec",),
)

STATEFUL_SET = ServedKind(
    warnings=warner_of_template("spec", "template", names_pods=False, also=warn_of_claims),
    resource=STATEFUL_SETS,
    singular="statefulset",
    schema="io.k8s.api.apps.v1.StatefulSet",
    name_rule="label",
    short_names=("sts",),
    categories=("all",),
    delete_returns_object=False,
    default=default_stateful_set,
    prepare_create=lambda obj, _now: obj.__setitem__("status", {"replicas": 0, "availableReplicas": 0}),
    prepare_update=keep_status,
    validate_create=validate_stateful_set,
    validate_update=validate_stateful_set_update,
    subresources=(scale_of(), replace(STATUS, validate_update=validate_stateful_set_status)),
    columns=(NAME, _READY, AGE, *container_columns(*_CONTAINERS)),
    generation_at_create=1,
    generation_follows=("spec",),
)


def _start_daemon_set(obj: Json, _now: str) -> None:
    """Start with a status of zeros, and as the first generation of its template."""
    obj["status"] = {}
    default_daemon_set(obj)
    obj["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = "1"


def _keep_daemon_set(new: Json, old: Json, now: str) -> None:
    """Take the status from the stored object, and count the generation of the template."""
    keep_status(new, old, now)
    before = (old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "0")
    generation = int(before) + (new["spec"].get("template") != old["spec"].get("template"))
    new["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = str(generation)


def _keep_generation(new: Json, old: Json, now: str) -> None:
    """Take all but the status from the stored daemon set, the generation of its template too."""
    keep_all_but_status(new, old, now)
    before = (old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "0")
    new["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = before


DAEMON_SET = ServedKind(
    warnings=warner_of_template("spec", "template", names_pods=False),
    resource=DAEMON_SETS,
    singular="daemonset",
    schema="io.k8s.api.apps.v1.DaemonSet",
    short_names=("ds",),
    categories=("all",),
    delete_returns_object=False,
    default=default_daemon_set,
    metadata_hides=(_TEMPLATE_GENERATION,),
    prepare_create=_start_daemon_set,
    prepare_update=_keep_daemon_set,
    validate_create=validate_daemon_set,
    validate_update=update_of(validate_daemon_set, selector_first=True),
    subresources=(replace(STATUS, prepare_update=_keep_generation, validate_update=validate_daemon_set_status),),
    columns=(
        NAME,
        _status_number("desiredNumberScheduled"),
        _status_number("currentNumberScheduled"),
        _status_number("numberReady"),
        _status_number("updatedNumberScheduled"),
        _status_number("numberAvailable"),
        Column("Node Selector", _node_selector_cell, description="Nodes on which it runs."),
        AGE,
        *container_columns(*_CONTAINERS),
        SELECTOR,
    ),
    generation_at_create=1,
    generation_follows=("spec",),
)

CONTROLLER_REVISION = ServedKind(
    resource=CONTROLLER_REVISIONS,
    singular="controllerrevision",
    schema="io.k8s.api.apps.v1.ControllerRevision",
    delete_returns_object=False,
    default=lambda obj: _set(obj, revision=0),
    validate_create=validate_revision,
    validate_update=validate_revision_update,
    metadata_checks=("change", "whole"),
    columns=(
        NAME,
        Column("Controller", _controller_cell, description="Whose revision it is."),
        Column("Revision", field_cell("revision", default=0), description="Its number."),
        AGE,
    ),
)

WORKLOADS = (CONTROLLER_REVISION, DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET)
