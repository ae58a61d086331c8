"""StorageClass and VolumeAttributesClass.

Rules: docs/rules/apiserver.md#5-storagek8sio
"""

from __future__ import annotations

from datetime import datetime

from pvbinder.model.names import BETA_DEFAULT_CLASS, DEFAULT_CLASS
from pvbinder.model.resources import STORAGE_CLASSES, VOLUME_ATTRIBUTES_CLASSES
from pvbinder.server.errors import FieldError, forbidden, invalid, required, too_long, unsupported
from pvbinder.server.kinds.parts.columns import AGE, NAME, UNSET, field_cell
from pvbinder.server.kinds.validation.deprecated import warn_of_node_labels
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_qualified_name
from pvbinder.server.kinds.validation.selectors import validate_topology_terms
from pvbinder.server.objects.kind import Column, Json, ServedKind, drop_empty

_DEFAULT_CLASS = (DEFAULT_CLASS, BETA_DEFAULT_CLASS)
_PARAMETERS_MAX = 512
_PARAMETERS_BYTES_MAX = 256 * 1024


def default_storage_class(obj: Json) -> None:
    """Fill in reclaim policy and binding mode."""
    drop_empty(obj, "parameters", "mountOptions", "allowedTopologies")
    obj.setdefault("provisioner", "")
    if obj.get("reclaimPolicy") is None:
        obj["reclaimPolicy"] = "Delete"
    if obj.get("volumeBindingMode") is None:
        obj["volumeBindingMode"] = "Immediate"


def validate_storage_class(obj: Json) -> list[FieldError]:
    """Check a new storage class (SCV-1 to SCV-5)."""
    errors = _validate_provisioner(obj.get("provisioner", ""), "provisioner")
    errors += _validate_parameters(obj.get("parameters") or {}, allow_empty=True)
    if (policy := obj.get("reclaimPolicy")) not in ("", "Delete", "Retain"):
        errors.append(unsupported("reclaimPolicy", policy, ("Delete", "Retain")))
    if (mode := obj.get("volumeBindingMode")) not in ("Immediate", "WaitForFirstConsumer"):
        errors.append(unsupported("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer")))
    errors += validate_topology_terms(obj.get("allowedTopologies") or [], "allowedTopologies")
    return errors


def validate_storage_class_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed class like a new one, and refuse changes of what provisioning has relied on (SCV-6)."""
    errors = validate_storage_class(new)
    errors += [
        invalid(field, _sorted(new.get(field)), IMMUTABLE)
        for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
        if new.get(field) != old.get(field)
    ]
    return errors


def _sorted(value: object) -> object:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def validate_volume_attributes_class(obj: Json) -> list[FieldError]:
    """Check a new class."""
    errors = _validate_provisioner(obj.get("driverName", ""), "driverName")
    return errors + _validate_parameters(obj.get("parameters") or {}, allow_empty=False)


def validate_volume_attributes_class_update(new: Json, old: Json) -> list[FieldError]:
    """Refuse any change but of metadata."""
    errors: list[FieldError] = []
    if new.get("driverName") != old.get("driverName"):
        errors.append(forbidden("driverName", "updates to driverName are forbidden."))
    if new.get("parameters") != old.get("parameters"):
        errors.append(forbidden("parameters", "updates to parameters are forbidden."))
    return errors + validate_volume_attributes_class(new)


def default_volume_attributes_class(obj: Json) -> None:
    """Show what the reference always shows."""
    obj.setdefault("driverName", "")
    drop_empty(obj, "parameters")


def warn_of_storage_class(new: Json, _old: Json | None) -> list[str]:
    """Warn of deprecated node labels in the topologies."""
    texts: list[str] = []
    for index, term in enumerate(new.get("allowedTopologies") or ()):
        for position, requirement in enumerate(term.get("matchLabelExpressions") or ()):
            path = f"allowedTopologies[{index}].matchLabelExpressions[{position}].key"
            texts += warn_of_node_labels(requirement.get("key", ""), path)
    return texts


def _validate_provisioner(name: str, path: str) -> list[FieldError]:
    """SCV-1: an empty name is missing, everything else a qualified name, checked in lower case."""
    if not name:
        return [required(path)]
    lower = name.lower()
    return [invalid(path, lower, reason) for reason in check_qualified_name(lower)]


def _validate_parameters(parameters: Json, *, allow_empty: bool) -> list[FieldError]:
    """Check the number of the parameters, their size, and that each has a name (SCV-2)."""
    errors: list[FieldError] = []
    if len(parameters) > _PARAMETERS_MAX:
        errors.append(too_long("parameters", _PARAMETERS_MAX))
        return errors
    size = 0
    for key, value in parameters.items():
        if not key:
            errors.append(invalid("parameters", key, "field can not be empty."))
        size += len(key.encode()) + len(value.encode())
    if size > _PARAMETERS_BYTES_MAX:
        errors.append(too_long("parameters", _PARAMETERS_BYTES_MAX))
    if not allow_empty and not parameters:
        errors.append(required("parameters", "must contain at least one key/value pair"))
    return errors


def _name_cell(obj: Json, _now: datetime) -> object:
    annotations = obj["metadata"].get("annotations") or {}
    is_default = any(annotations.get(key) == "true" for key in _DEFAULT_CLASS)
    return obj["metadata"]["name"] + (" (default)" if is_default else "")


def _expansion_cell(obj: Json, _now: datetime) -> object:
    return bool(obj.get("allowVolumeExpansion"))


STORAGE_CLASS = ServedKind(
    resource=STORAGE_CLASSES,
    singular="storageclass",
    schema="io.k8s.api.storage.v1.StorageClass",
    short_names=("sc",),
    default=default_storage_class,
    validate_create=validate_storage_class,
    validate_update=validate_storage_class_update,
    metadata_checks=("whole", "change"),
    warnings=warn_of_storage_class,
    columns=(
        Column("Name", _name_cell, format="name", description="The class's name, and whether it is the default."),
        Column("Provisioner", field_cell("provisioner"), description="Who makes the volumes of this class."),
        Column("ReclaimPolicy", field_cell("reclaimPolicy", default="Delete"), description="What becomes of volumes."),
        Column("VolumeBindingMode", field_cell("volumeBindingMode", default="Immediate"), description="When to bind."),
        Column("AllowVolumeExpansion", _expansion_cell, description="Whether claims of this class can grow."),
        AGE,
    ),
)

VOLUME_ATTRIBUTES_CLASS = ServedKind(
    resource=VOLUME_ATTRIBUTES_CLASSES,
    singular="volumeattributesclass",
    schema="io.k8s.api.storage.v1.VolumeAttributesClass",
    short_names=("vac",),
    default=default_volume_attributes_class,
    validate_create=validate_volume_attributes_class,
    validate_update=validate_volume_attributes_class_update,
    metadata_checks=("change", "whole"),
    columns=(
        NAME,
        Column("DriverName", field_cell("driverName", default=UNSET), description="Whose volumes the class is for."),
        AGE,
    ),
)
