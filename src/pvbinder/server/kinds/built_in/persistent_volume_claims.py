"""PersistentVolumeClaim: defaults, data sources, validation, columns.

Claims are written on every bind, so what equals the stored object is not looked at again: it was valid then.

Rules: docs/rules/apiserver.md#4-persistentvolumeclaim
"""

from __future__ import annotations

from datetime import datetime

from pvbinder.model.names import BETA_STORAGE_CLASS
from pvbinder.model.quantity import quantity_of
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS
from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.parts.columns import AGE, NAME, UNSET, field_cell
from pvbinder.server.kinds.parts.status import keep_status
from pvbinder.server.kinds.validation.access_modes import shown_access_modes
from pvbinder.server.kinds.validation.claim_specs import complete_claim_spec, validate_claim_spec
from pvbinder.server.kinds.validation.deprecated import warn_of_beta_class
from pvbinder.server.kinds.validation.internal_form import PERSISTENT_VOLUME_CLAIM_SPEC, diff_of
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_qualified_name
from pvbinder.server.kinds.validation.quantities import canonical_quantities, check_not_negative
from pvbinder.server.objects.kind import Column, Json, ServedKind, Subresource, drop_empty

_IMMUTABLE_SPEC = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
_RESIZE_STATUSES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)
_VALUES_OF_STATUS = (
    "phase",
    "accessModes",
    "conditions",
    "allocatedResourceStatuses",
)
_MODIFY = "volumeAttributesClassName"


def default_claim(claim: Json) -> None:
    """Fill in volume mode, phase and the fields that conditions always show (CD-1)."""
    spec = claim.get("spec")
    if spec is None:
        spec = claim["spec"] = {}
    complete_claim_spec(spec)
    status = claim.get("status")
    if status is None:
        status = claim["status"] = {}
    drop_empty(status, *_VALUES_OF_STATUS)
    if "phase" not in status:
        status["phase"] = "Pending"
    if "capacity" in status:
        canonical_quantities(status, "capacity")
    if "allocatedResources" in status:
        canonical_quantities(status, "allocatedResources")
    for condition in status.get("conditions") or ():
        condition.setdefault("lastProbeTime", None)
        condition.setdefault("lastTransitionTime", None)
        drop_empty(condition, "reason", "message")


def prepare_new_claim(claim: Json, _now: str) -> None:
    """Start with a status of the server's own, and with the data sources that are kept (CD-2, CD-3, CD-4)."""
    claim["status"] = {"phase": "Pending"}
    settle_data_sources(claim["spec"])


def prepare_claim(new: Json, old: Json, now: str) -> None:
    """Take the status from the stored object; settle data sources if it had none (CD-2, CD-3)."""
    keep_status(new, old, now)
    if old["spec"].get("dataSource") is None and old["spec"].get("dataSourceRef") is None:
        settle_data_sources(new["spec"])
    else:
        _complete_data_sources(new["spec"])  # older clients leave out the one that was copied


def prepare_claim_status(new: Json, old: Json, _now: str) -> None:
    """Reset the spec only: resizers write annotations through the status (CD-2)."""
    new["spec"] = old["spec"]


def settle_data_sources(spec: Json) -> None:
    """Drop sources that nothing serves, then copy the one to the other (CD-3, CD-4)."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if reference is not None and reference.get("namespace"):  # CrossNamespaceVolumeDataSource is off
        reference = None
        del spec["dataSourceRef"]
    if source is not None and reference is None and not _is_served_source(source):
        del spec["dataSource"]
    _complete_data_sources(spec)


def validate_claim(claim: Json) -> list[FieldError]:
    """Check a new claim (VC-1 to VC-6)."""
    return validate_claim_spec(claim["spec"], "spec")


def validate_claim_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed claim: like a new one, and what must not change (VU-1 to VU-8)."""
    spec: Json = new["spec"]
    before: Json = old["spec"]
    annotation = (new["metadata"].get("annotations") or {}).get(BETA_STORAGE_CLASS)
    annotation_before = (old["metadata"].get("annotations") or {}).get(BETA_STORAGE_CLASS)
    if spec == before and annotation == annotation_before:
        return []
    errors = validate_claim(new)
    bound = (old.get("status") or {}).get("phase") == "Bound"
    allowed = _with_allowed_changes(spec, before, bound=bound)
    class_now, class_before = spec.get("storageClassName"), before.get("storageClassName")
    if (
        class_before is None
        and class_now is not None
        and class_now == annotation_before
        and annotation in (None, class_now)
    ):
        allowed["storageClassName"] = None  # moved from the annotation to the field (VU-3)
    else:
        if annotation != annotation_before:
            path = f"metadata.annotations.{BETA_STORAGE_CLASS}"
            errors.append(invalid(path, annotation or "", IMMUTABLE))
        if class_before is None and class_now is not None and annotation_before in (None, class_now):
            allowed["storageClassName"] = None  # assigned after the fact (VU-3)
    if allowed.get("storageClassName") is None:
        allowed.pop("storageClassName", None)
    if allowed != before:
        diff = diff_of(PERSISTENT_VOLUME_CLAIM_SPEC, before, allowed)
        errors.append(forbidden("spec", f"{_IMMUTABLE_SPEC}\n{diff}"))
    errors += _refuse_shrinking(spec, before, old["status"])
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(invalid("volumeMode", spec.get("volumeMode"), IMMUTABLE))
    return errors + _refuse_losing_attributes_class(spec, before, old.get("status") or {})


def validate_claim_status(new: Json, _old: Json) -> list[FieldError]:
    """Check the status of a claim."""
    status: Json = new.get("status") or {}
    errors: list[FieldError] = []
    if not new["metadata"].get("resourceVersion"):
        errors.append(required("resourceVersion"))
    if not new["spec"].get("accessModes"):
        errors.append(required("Spec.accessModes"))
    for name, amount in (status.get("capacity") or {}).items():
        errors += check_not_negative(amount, f"status.capacity[{name}]")
    for name, state in (status.get("allocatedResourceStatuses") or {}).items():
        path = "status.allocatedResourceStatuses"
        errors += _validate_resource_key(name, path)
        if state not in _RESIZE_STATUSES:
            errors.append(unsupported(path, name, _RESIZE_STATUSES))
    for name, amount in (status.get("allocatedResources") or {}).items():
        if key_errors := _validate_resource_key(name, "status.allocatedResources"):
            errors += key_errors
            continue
        path = f"status.allocatedResources[{name}]"
        errors += check_not_negative(amount, path)
        if name == "storage" and not quantity_of(amount).is_whole():
            errors.append(invalid(path, amount, "must be an integer"))
    return errors


def warn_of_claim(new: Json, _old: Json | None) -> list[str]:
    """Warn of the beta annotation and of fractions of bytes."""
    annotations = new["metadata"].get("annotations")
    texts = warn_of_beta_class(annotations) if annotations else []
    return texts + warn_of_fractions(new["spec"], "spec")


def warn_of_fractions(spec: Json, path: str) -> list[str]:
    """Warn of a size that is no whole number of bytes."""
    resources: Json = spec.get("resources") or {}
    texts = []
    for field in ("requests", "limits"):
        amount = (resources.get(field) or {}).get("storage")
        if amount is not None and not quantity_of(amount).is_whole():
            at = f"{path}.resources.{field}[storage]"
            texts.append(f'{at}: fractional byte value "{amount}" is invalid, must be an integer')
    return texts


def _is_served_source(source: Json) -> bool:
    served = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))
    return (source.get("apiGroup") or "", source.get("kind")) in served


def _complete_data_sources(spec: Json) -> None:
    """Copy the one of the two data sources that is there to the other (CD-3)."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is None:
        if reference is not None and not reference.get("namespace"):
            spec["dataSource"] = {key: value for key, value in reference.items() if key != "namespace"}
    elif reference is None:
        spec["dataSourceRef"] = dict(source)
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            spec[field].setdefault("apiGroup", None)  # shown as null, as the reference does


def _with_allowed_changes(spec: Json, before: Json, *, bound: bool) -> Json:
    """Return the new spec with the changes that are allowed taken back (VU-2, VU-4, VU-5)."""
    allowed = dict(spec)
    if not before.get("volumeName"):
        allowed["volumeName"] = before.get("volumeName", "")
    if not bound:
        return _without_empty_volume_name(allowed)
    resources_before: Json = before.get("resources") or {}
    requests_before = resources_before.get("requests") or {}
    resources = dict(spec.get("resources") or {})
    requests = resources.get("requests")
    if requests is not None and "storage" in requests_before:  # of one without any, only that is told
        resources["requests"] = {**requests, "storage": requests_before["storage"]}
    allowed["resources"] = resources
    if _MODIFY in before:
        allowed[_MODIFY] = before[_MODIFY]
    else:
        allowed.pop(_MODIFY, None)
    return _without_empty_volume_name(allowed)


def _without_empty_volume_name(spec: Json) -> Json:
    if not spec.get("volumeName"):
        spec.pop("volumeName", None)
    return spec


def _refuse_shrinking(spec: Json, before: Json, status_before: Json) -> list[FieldError]:
    """Refuse a request for less than before, unless it is still above the capacity in the status (VU-4)."""
    new, old = (quantity_of(_request(each)) for each in (spec, before))
    if new >= old:
        return []
    if new > quantity_of((status_before.get("capacity") or {}).get("storage")):
        return []
    return [forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")]


def _request(spec: Json) -> object:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage")


def _refuse_losing_attributes_class(spec: Json, before: Json, status_before: Json) -> list[FieldError]:
    """Refuse to take the attributes class away once the volume has one (VU-5)."""
    if status_before.get("currentVolumeAttributesClassName") is None or not before.get(_MODIFY):
        return []
    why = "is forbidden when status.currentVolumeAttributesClassName is not nil"
    if spec.get(_MODIFY) is None:
        return [forbidden(f"spec.{_MODIFY}", f"update to nil {why}")]
    if not spec[_MODIFY]:
        return [forbidden(f"spec.{_MODIFY}", f"update to empty string {why}")]
    return []


def _validate_resource_key(name: str, path: str) -> list[FieldError]:
    """Check the name of a resource; what is Kubernetes' own can only be ``storage``."""
    errors = [invalid(path, name, reason) for reason in check_qualified_name(name)]
    prefix = name.rpartition("/")[0]
    is_own = not prefix or prefix == "kubernetes.io" or prefix.endswith(".kubernetes.io")
    if not errors and is_own and name != "storage":
        errors.append(unsupported(path, name, ("storage",)))
    return errors


def _status_cell(claim: Json, _now: datetime) -> object:
    if claim["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return (claim.get("status") or {}).get("phase", "")


def _capacity_cell(claim: Json, _now: datetime) -> object:
    if not claim["spec"].get("volumeName"):
        return ""
    return ((claim.get("status") or {}).get("capacity") or {}).get("storage", "0")


def _modes_cell(claim: Json, _now: datetime) -> object:
    if not claim["spec"].get("volumeName"):
        return ""
    return shown_access_modes((claim.get("status") or {}).get("accessModes") or [])


def _class_cell(claim: Json, _now: datetime) -> object:
    annotations = claim["metadata"].get("annotations") or {}
    return annotations.get(BETA_STORAGE_CLASS, claim["spec"].get("storageClassName", ""))


PERSISTENT_VOLUME_CLAIM = ServedKind(
    resource=PERSISTENT_VOLUME_CLAIMS,
    singular="persistentvolumeclaim",
    schema="io.k8s.api.core.v1.PersistentVolumeClaim",
    short_names=("pvc",),
    default=default_claim,
    prepare_create=prepare_new_claim,
    prepare_update=prepare_claim,
    validate_create=validate_claim,
    validate_update=validate_claim_update,
    metadata_checks=("change", "whole"),
    warnings=warn_of_claim,
    subresources=(Subresource("status", prepare_update=prepare_claim_status, validate_update=validate_claim_status),),
    columns=(
        NAME,
        Column("Status", _status_cell, description="Whether it is pending, bound or lost."),
        Column("Volume", field_cell("spec", "volumeName"), description="The volume behind it."),
        Column("Capacity", _capacity_cell, description="How much the volume holds."),
        Column("Access Modes", _modes_cell, description="The ways in which the volume can be mounted."),
        Column("StorageClass", _class_cell, description="The class it asks for."),
        Column(
            "VolumeAttributesClass",
            field_cell("spec", _MODIFY, default=UNSET),
            description="The class of its attributes.",
        ),
        AGE,
        Column(
            "VolumeMode",
            field_cell("spec", "volumeMode", default=UNSET),
            description="Block or file system.",
            priority=1,
        ),
    ),
)
