"""PersistentVolume: defaults, status rules, validation, columns.

Volumes are written on every bind, so what equals the stored object is not looked at again: it was valid then.

Rules: docs/rules/apiserver.md#3-persistentvolume
"""

from __future__ import annotations

from datetime import datetime

from pvbinder.model.names import BETA_STORAGE_CLASS
from pvbinder.model.resources import PERSISTENT_VOLUMES
from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.parts.columns import AGE, NAME, UNSET, field_cell
from pvbinder.server.kinds.parts.status import keep_status
from pvbinder.server.kinds.validation.access_modes import shown_access_modes, validate_access_modes
from pvbinder.server.kinds.validation.deprecated import (
    BETA_MOUNT_OPTIONS,
    warn_of_beta_class,
    warn_of_node_selector,
)
from pvbinder.server.kinds.validation.internal_form import (
    LEFT_OUT_OF_SOURCES,
    OBJECT_REFERENCE_FIELDS,
    PERSISTENT_VOLUME_SOURCE,
    VOLUME_NODE_AFFINITY,
    VOLUME_SOURCE_FIELDS,
    diff_of,
    inner_form,
)
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_dns_subdomain
from pvbinder.server.kinds.validation.quantities import canonical_quantities, check_not_negative, check_positive
from pvbinder.server.kinds.validation.selectors import validate_node_selector
from pvbinder.server.kinds.validation.volume_sources import is_root, validate_source
from pvbinder.server.objects.kind import Column, Json, ServedKind, Subresource, drop_empty

VOLUME_MODES = ("Block", "Filesystem")

_POLICIES = ("Delete", "Recycle", "Retain")
_TAKE_MOUNT_OPTIONS = frozenset(
    {
        "gcePersistentDisk",
        "awsElasticBlockStore",
        "glusterfs",
        "nfs",
        "rbd",
        "quobyte",
        "iscsi",
        "cinder",
        "cephfs",
        "azureFile",
        "vsphereVolume",
        "azureDisk",
        "photonPersistentDisk",
    }
)
_BETA_TO_GA = {
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
_REQUIREMENTS = ("matchExpressions", "matchFields")
_REMOVED_PLUGINS = {
    "cephfs": "spec.cephfs: deprecated in v1.28, non-functional in v1.31+",
    "photonPersistentDisk": "spec.photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "spec.scaleIO: deprecated in v1.16, non-functional in v1.22+",
    "storageos": "spec.storageOS: deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "spec.glusterfs: deprecated in v1.25, non-functional in v1.26+",
    "rbd": "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
}
_RECYCLE_DEPRECATED = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
    "Instead, the recommended approach is to use dynamic provisioning."
)
_SOURCE_DEFAULTS: dict[str, Json] = {  # PD-1: what is filled into a source that lacks it
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
_VALUES_OF_SPEC = (
    "accessModes",
    "mountOptions",
    "storageClassName",
    "persistentVolumeReclaimPolicy",
)


def default_persistent_volume(volume: Json) -> None:
    """Fill in policy, mode, phase and the source's defaults (PD-1)."""
    spec = volume.get("spec")
    if spec is None:
        spec = volume["spec"] = {}
    drop_empty(spec, *_VALUES_OF_SPEC)
    if spec.get("capacity"):  # an empty one is refused, in its own words
        canonical_quantities(spec, "capacity")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"
    for name, value in spec.items():
        if name in LEFT_OUT_OF_SOURCES and value is not None:
            drop_empty(value, *LEFT_OUT_OF_SOURCES[name])
            for field, default in _SOURCE_DEFAULTS.get(name, {}).items():
                if value.get(field) is None:
                    value[field] = default
        elif name == "claimRef":
            drop_empty(value, *OBJECT_REFERENCE_FIELDS)
    status = volume.get("status")
    if status is None:
        status = volume["status"] = {}
    drop_empty(status, "phase", "message", "reason")
    status.setdefault("phase", "Pending")


def prepare_new_volume(volume: Json, now: str) -> None:
    """Start with a status of the server's own (PD-2)."""
    volume["status"] = {"phase": "Pending", "lastPhaseTransitionTime": now}


def prepare_volume_status(new: Json, old: Json, now: str) -> None:
    """Reset the spec only, and keep the time of the last phase change (PD-4, PD-5)."""
    new["spec"] = old["spec"]
    before: Json = old.get("status") or {}
    status: Json = new.setdefault("status", {})
    time, time_before = status.get("lastPhaseTransitionTime"), before.get("lastPhaseTransitionTime")
    if status.get("phase") == before.get("phase"):
        if time is None and time_before is not None:
            status["lastPhaseTransitionTime"] = time_before
    elif time is None or time == time_before:
        status["lastPhaseTransitionTime"] = now


def validate_persistent_volume(volume: Json) -> list[FieldError]:
    """Check a new volume (PV-1 to PV-15)."""
    spec: Json = volume["spec"]
    errors: list[FieldError] = []
    modes = spec.get("accessModes")
    if not modes:
        errors.append(required("spec.accessModes"))
    else:
        errors += validate_access_modes(modes, "spec.accessModes")
    errors += _validate_capacity(spec)
    policy = spec["persistentVolumeReclaimPolicy"]
    if policy not in _POLICIES:
        errors.append(unsupported("spec.persistentVolumeReclaimPolicy", policy, _POLICIES))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if affinity.get("required") is None:
            errors.append(required("spec.nodeAffinity.required", "must specify required node constraints"))
        else:
            errors += validate_node_selector(affinity["required"], "spec.nodeAffinity.required")
    errors += validate_source(spec, "spec", volume["metadata"].get("name", ""))
    if spec.get("local") is not None and affinity is None:
        errors.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    host_path = spec.get("hostPath")
    if host_path is not None and host_path.get("path") and policy == "Recycle" and is_root(host_path):
        why = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden("spec.persistentVolumeReclaimPolicy", why))
    errors += _validate_classes(spec)
    return errors + _validate_mount_options_annotation(volume)


def validate_persistent_volume_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed volume: like a new one, and what must not change (PU-1 to PU-5)."""
    spec: Json = new["spec"]
    before: Json = old["spec"]
    annotations = new["metadata"].get("annotations") or {}
    if spec == before and BETA_MOUNT_OPTIONS not in annotations:
        return []
    errors = 2 * validate_persistent_volume(new)  # as the reference, whose causes name each of these twice
    if any(spec.get(name) != before.get(name) for name in VOLUME_SOURCE_FIELDS):
        errors += _refuse_source_change(spec, before)
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(invalid("volumeMode", spec.get("volumeMode"), IMMUTABLE))
    affinity = before.get("nodeAffinity")
    if affinity is not None and not _only_renames_labels(spec.get("nodeAffinity"), affinity):
        why = "field is immutable, except for updating from beta label to GA"
        changed = spec.get("nodeAffinity")
        shown = None if changed is None else inner_form(VOLUME_NODE_AFFINITY, changed)
        errors.append(invalid("nodeAffinity", shown, why))
    attributes_class = "volumeAttributesClassName"
    if before.get(attributes_class) is not None and spec.get(attributes_class) is None:
        errors.append(forbidden(f"spec.{attributes_class}", "update from non-nil value to nil is forbidden"))
    return errors


def validate_volume_status(new: Json, _old: Json) -> list[FieldError]:
    """Check nothing of the status itself, as the reference does (PU-6)."""
    return [] if new["metadata"].get("resourceVersion") else [required("resourceVersion")]


def warn_of_volume(new: Json, _old: Json | None) -> list[str]:
    """Warn of deprecated annotations, policies, labels and plugins."""
    spec, annotations = new["spec"], new["metadata"].get("annotations") or {}
    texts: list[str] = []
    if annotations:
        texts += warn_of_beta_class(annotations)
        if BETA_MOUNT_OPTIONS in annotations:
            attribute = 'deprecated since v1.31; use "mountOptions" attribute instead'
            texts.append(f"metadata.annotations[{BETA_MOUNT_OPTIONS}]: {attribute}")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        texts.append(_RECYCLE_DEPRECATED)
    affinity = spec.get("nodeAffinity")
    if affinity:
        texts += warn_of_node_selector(affinity.get("required"), "spec.nodeAffinity.required")
    return texts + [text for name, text in _REMOVED_PLUGINS.items() if name in spec]


def _validate_capacity(spec: Json) -> list[FieldError]:
    """Check that the capacity names `storage` only, and more than zero of it (PV-2, PV-3)."""
    capacity: Json | None = spec.get("capacity")
    errors: list[FieldError] = []
    if not capacity:
        errors.append(required("spec.capacity"))
    if capacity is None or capacity.keys() != {"storage"}:
        shown = {key: capacity[key] for key in sorted(capacity)} if capacity is not None else None
        errors.append(unsupported("spec.capacity", shown, ("storage",)))
    for name, amount in (capacity or {}).items():
        errors += check_not_negative(amount, f"spec.capacity[{name}]")
        errors += check_positive(amount, f"spec.capacity[{name}]")
    return errors


def _validate_classes(spec: Json) -> list[FieldError]:
    """Check the names of both classes, and the volume mode (PV-14)."""
    errors: list[FieldError] = []
    storage_class = spec.get("storageClassName")
    if storage_class:
        reasons = check_dns_subdomain(storage_class)
        errors += (invalid("spec.storageClassName", storage_class, reason) for reason in reasons)
    if spec["volumeMode"] not in VOLUME_MODES:
        errors.append(unsupported("spec.volumeMode", spec["volumeMode"], VOLUME_MODES))
    attributes_class = spec.get("volumeAttributesClassName")
    if attributes_class is not None:
        path = "spec.volumeAttributesClassName"
        if not attributes_class:
            errors.append(required(path, "an empty string is disallowed"))
        else:
            errors += (invalid(path, attributes_class, reason) for reason in check_dns_subdomain(attributes_class))
        if spec.get("csi") is None:
            errors.append(required("spec.csi", "has to be specified when using volumeAttributesClassName"))
    return errors


def _validate_mount_options_annotation(volume: Json) -> list[FieldError]:
    """Refuse the annotation for mount options where the source takes none (PV-15)."""
    annotations = volume["metadata"].get("annotations")
    if not annotations or BETA_MOUNT_OPTIONS not in annotations:
        return []
    if any(name in _TAKE_MOUNT_OPTIONS for name in VOLUME_SOURCE_FIELDS if volume["spec"].get(name) is not None):
        return []
    path = f"metadata.annotations.{BETA_MOUNT_OPTIONS}"
    return [forbidden(path, "may not specify mount options for this volume type")]


def _refuse_source_change(spec: Json, before: Json) -> list[FieldError]:
    """PU-1; only the secret for growing a CSI volume may come later."""
    csi, csi_before = spec.get("csi"), before.get("csi")
    if csi and csi_before and csi_before.get("controllerExpandSecretRef") is None:
        allowed = {key: value for key, value in csi.items() if key != "controllerExpandSecretRef"}
        others = (name for name in VOLUME_SOURCE_FIELDS if name != "csi")
        if allowed == csi_before and all(spec.get(name) == before.get(name) for name in others):
            return []
    path = "spec.persistentvolumesource"
    diff = diff_of(PERSISTENT_VOLUME_SOURCE, before, spec)
    return [forbidden(path, f"{path} is immutable after creation\n{diff}")]


def _only_renames_labels(new: Json | None, old: Json) -> bool:
    """Say whether the new node affinity is the old one with beta labels replaced by their successors (PU-3)."""
    if new == old:
        return True
    terms = ((new or {}).get("required") or {}).get("nodeSelectorTerms") or []
    terms_before = (old.get("required") or {}).get("nodeSelectorTerms") or []
    return len(terms) == len(terms_before) and all(
        _term_only_renames(term, before) for term, before in zip(terms, terms_before, strict=True)
    )


def _term_only_renames(term: Json, before: Json) -> bool:
    return all(_only_renames_keys(term.get(name) or [], before.get(name) or []) for name in _REQUIREMENTS)


def _only_renames_keys(requirements: list[Json], before: list[Json]) -> bool:
    """Say whether the keys are the same, or a beta label's successor; "" is one of the others (sic)."""
    return len(requirements) == len(before) and all(
        new["key"] in (old["key"], _BETA_TO_GA.get(old["key"], "")) and {**old, "key": new["key"]} == new
        for new, old in zip(requirements, before, strict=True)
    )


def _status_cell(volume: Json, _now: datetime) -> object:
    if volume["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return (volume.get("status") or {}).get("phase", "")


def _claim_cell(volume: Json, _now: datetime) -> object:
    claim = volume["spec"].get("claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


def _class_cell(volume: Json, _now: datetime) -> object:
    annotations = volume["metadata"].get("annotations") or {}
    return annotations.get(BETA_STORAGE_CLASS, volume["spec"].get("storageClassName", ""))


def _modes_cell(volume: Json, _now: datetime) -> object:
    return shown_access_modes(volume["spec"].get("accessModes") or [])


PERSISTENT_VOLUME = ServedKind(
    resource=PERSISTENT_VOLUMES,
    singular="persistentvolume",
    schema="io.k8s.api.core.v1.PersistentVolume",
    short_names=("pv",),
    default=default_persistent_volume,
    prepare_create=prepare_new_volume,
    prepare_update=keep_status,
    validate_create=validate_persistent_volume,
    validate_update=validate_persistent_volume_update,
    metadata_checks=("whole", "whole"),
    warnings=warn_of_volume,
    subresources=(Subresource("status", prepare_update=prepare_volume_status, validate_update=validate_volume_status),),
    columns=(
        NAME,
        Column("Capacity", field_cell("spec", "capacity", "storage"), description="How much it holds."),
        Column("Access Modes", _modes_cell, description="The ways in which it can be mounted."),
        Column(
            "Reclaim Policy", field_cell("spec", "persistentVolumeReclaimPolicy"), description="What follows release."
        ),
        Column("Status", _status_cell, description="Whether it is available, bound or released."),
        Column("Claim", _claim_cell, description="The claim that it is bound to."),
        Column("StorageClass", _class_cell, description="The class it belongs to."),
        Column(
            "VolumeAttributesClass",
            field_cell("spec", "volumeAttributesClassName", default=UNSET),
            description="The class of its attributes.",
        ),
        Column("Reason", field_cell("status", "reason"), description="Why it failed."),
        AGE,
        Column(
            "VolumeMode",
            field_cell("spec", "volumeMode", default=UNSET),
            description="Block or file system.",
            priority=1,
        ),
    ),
)
