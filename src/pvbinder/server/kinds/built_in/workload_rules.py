"""What a workload may ask for: its selector and template, how it is updated, and the counts of its status.

Each kind has its own order and its own words, as in the reference.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pvbinder.model.selectors import LabelSelector
from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.built_in.pod_templates import validate_template
from pvbinder.server.kinds.validation.claim_specs import validate_claim_spec
from pvbinder.server.kinds.validation.metadata import IMMUTABLE, validate_annotations, validate_labels
from pvbinder.server.kinds.validation.names import check_dns_label
from pvbinder.server.kinds.validation.numbers import (
    is_zero,
    validate_at_most_100_percent,
    validate_count_or_percent,
    validate_not_negative,
)
from pvbinder.server.kinds.validation.selectors import shown_selector, validate_label_selector
from pvbinder.server.objects.kind import Json

_RESTARTS = ("Always", "Never", "OnFailure")
_RETENTION = ("Retain", "Delete")
_FREE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def validate_deployment(obj: Json) -> list[FieldError]:
    """Check a deployment."""
    spec = obj["spec"]
    errors = validate_not_negative(spec, "spec", "replicas")
    errors += _validate_selected(spec, "deployment", "ReplicaSet")
    errors += _validate_deployment_strategy(spec.get("strategy") or {}, "spec.strategy")
    errors += validate_not_negative(spec, "spec", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        errors.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return errors


def validate_replica_set(obj: Json) -> list[FieldError]:
    """Check a replica set."""
    spec = obj["spec"]
    errors = validate_not_negative(spec, "spec", "replicas", "minReadySeconds")
    return errors + _validate_selected(spec, "deployment", "ReplicaSet")


def validate_daemon_set(obj: Json) -> list[FieldError]:
    """Check a daemon set."""
    spec = obj["spec"]
    selector = spec.get("selector")
    errors = validate_label_selector(selector, "spec.selector")
    template: Json = spec.get("template") or {}
    if not errors and not _selects(selector, _labels_of(template)):
        errors.append(_mismatch(template))
    if selector is not None and _is_empty(selector):
        errors.append(invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    errors += validate_template(template, "spec.template", _RESTARTS) + _validate_ends(template, "DaemonSet")
    errors += validate_not_negative(spec, "spec", "minReadySeconds")
    errors += _validate_daemon_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    return errors + validate_not_negative(spec, "spec", "revisionHistoryLimit")


def validate_replication_controller(obj: Json) -> list[FieldError]:
    """Check a replication controller."""
    spec = obj["spec"]
    errors = validate_not_negative(spec, "spec", "minReadySeconds")
    selector: Json = spec.get("selector") or {}
    if not selector:
        errors.append(required("spec.selector"))
    errors += validate_not_negative(spec, "spec", "replicas")
    template = spec.get("template")
    if template is None:
        return [*errors, required("spec.template")]
    labels = _labels_of(template)
    if any(labels.get(name) != value for name, value in selector.items()):
        errors.append(_mismatch(template))
    return (
        errors
        + validate_template(template, "spec.template", _RESTARTS)
        + _validate_ends(template, "ReplicationController")
    )


def validate_stateful_set(obj: Json) -> list[FieldError]:
    """Check a new stateful set."""
    return _validate_stateful_spec(obj["spec"], "spec", is_new=True)


def validate_stateful_set_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed stateful set; only some of its fields are free. A template that was wrong may stay so."""
    spec, before = new["spec"], old["spec"]
    was_wrong = bool(_validate_stateful_spec(before, "spec", is_new=False))
    errors = _validate_stateful_spec(spec, "spec", is_new=False, skips_template=was_wrong)
    if any(spec.get(field) != before.get(field) for field in (spec.keys() | before.keys()) - set(_FREE)):
        errors.append(forbidden("spec", _FIXED))
    return errors


def update_of(
    validate: Callable[[Json], list[FieldError]], *, selector_first: bool = False
) -> Callable[[Json, Json], list[FieldError]]:
    """Make the check of a change: as a whole, and that the selector stays."""

    def validate_update(new: Json, old: Json) -> list[FieldError]:
        now, before = new["spec"].get("selector"), old["spec"].get("selector")
        wrong = [] if now == before else [invalid("spec.selector", shown_selector(now), IMMUTABLE)]
        return wrong + validate(new) if selector_first else validate(new) + wrong

    return validate_update


def _validate_selected(spec: Json, kind: str, template_of: str) -> list[FieldError]:
    """Check a selector, and that it selects what the template makes."""
    selector = spec.get("selector")
    errors = _validate_selector(selector, kind)
    if validate_label_selector(selector, "spec.selector"):
        return [*errors, invalid("spec.selector", shown_selector(selector), "invalid label selector")]
    template: Json = spec.get("template") or {}
    if not _selects(selector, _labels_of(template)):
        errors.append(_mismatch(template))
    return errors + validate_template(template, "spec.template", _RESTARTS) + _validate_ends(template, template_of)


def _validate_selector(selector: Json | None, kind: str) -> list[FieldError]:
    if selector is None:
        return [required("spec.selector")]
    errors = validate_label_selector(selector, "spec.selector")
    if _is_empty(selector):
        errors.append(invalid("spec.selector", selector, f"empty selector is invalid for {kind}"))
    return errors


def _validate_ends(template: Json, kind: str) -> list[FieldError]:
    """Check that pods run for good."""
    spec: Json = template.get("spec") or {}
    errors: list[FieldError] = []
    policy = spec.get("restartPolicy") or ""
    if policy != "Always":
        errors.append(unsupported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.append(forbidden("spec.template.spec.activeDeadlineSeconds", why))
    return errors


def _is_empty(selector: Json) -> bool:
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def _labels_of(template: Json) -> Json:
    return (template.get("metadata") or {}).get("labels") or {}


def _mismatch(template: Json) -> FieldError:
    why = "`selector` does not match template `labels`"
    return invalid("spec.template.metadata.labels", dict(sorted(_labels_of(template).items())) or None, why)


def _selects(selector: Json | None, labels: Json) -> bool:
    """Say whether a valid selector selects; none selects nothing, an empty one all."""
    return selector is not None and msgspec.convert(selector, LabelSelector).matches(labels)


def _validate_deployment_strategy(strategy: Json, path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    where = f"{path}.rollingUpdate"
    if kind == "Recreate":
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [] if rolling is None else [forbidden(where, why)]
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": _internal(rolling, "maxUnavailable", "maxSurge")}
        return [unsupported(path, shown, ("Recreate", "RollingUpdate"))]
    if rolling is None:
        return [required(where, "this should be defaulted and never be nil")]
    missing, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    errors = validate_count_or_percent(missing, f"{where}.maxUnavailable")
    errors += validate_count_or_percent(surge, f"{where}.maxSurge")
    if is_zero(missing) and is_zero(surge):
        errors.append(invalid(f"{where}.maxUnavailable", missing, "may not be 0 when `maxSurge` is 0"))
    return errors + validate_at_most_100_percent(missing, f"{where}.maxUnavailable")


def _validate_daemon_strategy(strategy: Json, path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    where = f"{path}.rollingUpdate"
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": _internal(rolling, "maxUnavailable", "maxSurge")}
        return [unsupported(path, shown, ("RollingUpdate", "OnDelete"))]
    if rolling is None:
        return [required(where)]
    missing, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    errors = validate_count_or_percent(missing, f"{where}.maxUnavailable")
    errors += validate_count_or_percent(surge, f"{where}.maxSurge")
    errors += validate_at_most_100_percent(missing, f"{where}.maxUnavailable")
    errors += validate_at_most_100_percent(surge, f"{where}.maxSurge")
    if not is_zero(missing) and not is_zero(surge):
        errors.append(invalid(f"{where}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif is_zero(missing) and is_zero(surge):
        errors.append(required(f"{where}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors


def _validate_stateful_spec(spec: Json, path: str, *, is_new: bool, skips_template: bool = False) -> list[FieldError]:
    errors: list[FieldError] = []
    policy = spec.get("podManagementPolicy") or ""
    if not policy:
        errors.append(required(f"{path}.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        errors.append(invalid(f"{path}.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    errors += _validate_stateful_strategy(spec.get("updateStrategy") or {}, f"{path}.updateStrategy")
    retention: Json = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled") if retention else ():
        if retention.get(field) not in _RETENTION:
            where = f"{path}.persistentVolumeClaimRetentionPolicy.{field}"
            errors.append(unsupported(where, retention.get(field) or "", _RETENTION))
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or () if is_new else ()):
        errors += validate_claim_spec(claim.get("spec") or {}, f"{path}.volumeClaimTemplates[{index}].spec")
    errors += validate_not_negative(spec, path, "replicas", "minReadySeconds")
    errors += validate_not_negative(spec.get("ordinals") or {}, f"{path}.ordinals", "start")
    if is_new and (name := spec.get("serviceName")):
        errors += (invalid(f"{path}.serviceName", name, why) for why in check_dns_label(name))
    selector = spec.get("selector")
    errors += _validate_selector(selector, "statefulset")
    template: Json = spec.get("template") or {}
    if selector is not None and validate_label_selector(selector, ""):
        wrong = invalid(f"{path}.selector", selector, "")
        errors.append(FieldError(wrong.reason, wrong.field, wrong.body.removesuffix(": ")))
    else:
        if not _selects(selector, _labels_of(template)):
            errors.append(_mismatch(template))
        if not skips_template:
            errors += validate_template(_with_claims(template, spec), f"{path}.template", _RESTARTS)
        metadata: Json = template.get("metadata") or {}
        errors += validate_labels(metadata.get("labels"), f"{path}.template.labels")
        errors += validate_annotations(metadata.get("annotations"), f"{path}.template.annotations")
    return errors + _validate_ends(template, "StatefulSet")


def _with_claims(template: Json, spec: Json) -> Json:
    """Return the template with the volumes that come of templates of claims, and without what the controller sets."""
    names = [(claim.get("metadata") or {}).get("name") or "" for claim in spec.get("volumeClaimTemplates") or ()]
    pod: Json = template.get("spec") or {}
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in dict.fromkeys(names)]
    volumes += [volume for volume in pod.get("volumes") or () if volume.get("name") not in names]
    changed = {name: value for name, value in pod.items() if name not in ("subdomain", "hostname", "volumes")}
    return {**template, "spec": {**changed, "volumes": volumes}}


def _validate_stateful_strategy(strategy: Json, path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    where = f"{path}.rollingUpdate"
    shown = _internal(rolling, "partition", "maxUnavailable")
    if shown is not None:
        shown["Partition"] = shown["Partition"] or 0
    if not kind:
        return [required(path)]
    if kind == "OnDelete":
        why = "only allowed for updateStrategy 'RollingUpdate'"
        return [] if rolling is None else [invalid(where, shown, why)]
    if kind != "RollingUpdate":
        return [invalid(path, {"Type": kind, "RollingUpdate": shown}, "must be 'RollingUpdate' or 'OnDelete'")]
    errors = validate_not_negative(rolling or {}, where, "partition")
    missing, where = (rolling or {}).get("maxUnavailable"), f"{where}.maxUnavailable"
    if missing is not None:
        errors += validate_count_or_percent(missing, where)
        if is_zero(missing):
            errors.append(invalid(where, missing, "cannot be 0"))
        errors += validate_at_most_100_percent(missing, where)
    return errors


def _internal(obj: Json | None, *fields: str) -> Json | None:
    """Show an object as the reference has it inside: all fields, their names beginning with a capital."""
    return None if obj is None else {field[0].upper() + field[1:]: obj.get(field) for field in fields}


def status_of(
    *counts: str, at_most_replicas: tuple[str, ...] = (), ready: str = "", collides: bool = False
) -> Callable[[Json, Json], list[FieldError]]:
    """Make the check of a status: `counts` aren't negative, some are at most all replicas, available ones are ready.

    `ready` is what the ready ones are called where there must be as many as available ones; "" if nothing says so.
    `collides`: a count of collisions never goes down.
    """

    def validate_status(new: Json, old: Json) -> list[FieldError]:
        status: Json = new.get("status") or {}
        errors = validate_not_negative(status, "status", *counts)
        replicas = status.get("replicas") or 0
        errors += (
            invalid(f"status.{field}", status.get(field) or 0, "cannot be greater than status.replicas")
            for field in at_most_replicas
            if (status.get(field) or 0) > replicas
        )
        available = status.get("availableReplicas") or 0
        if ready and available > (status.get("readyReplicas") or 0):
            errors.append(invalid("status.availableReplicas", available, f"cannot be greater than {ready}"))
        now, before = status.get("collisionCount"), (old.get("status") or {}).get("collisionCount")
        if collides and before is not None and (now is None or now < before):
            errors.append(invalid("status.collisionCount", now or 0, "cannot be decremented"))
        return errors

    return validate_status


validate_deployment_status = status_of(
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
    at_most_replicas=("updatedReplicas", "readyReplicas", "availableReplicas"),
    ready="readyReplicas",
    collides=True,
)
validate_replica_set_status = status_of(
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
    at_most_replicas=("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    ready="readyReplicas",
)
validate_stateful_set_status = status_of(
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
    at_most_replicas=("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
    ready="status.readyReplicas",
    collides=True,
)
validate_daemon_set_status = status_of(
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
    collides=True,
)
