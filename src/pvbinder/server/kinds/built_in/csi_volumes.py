"""CSIStorageCapacity and VolumeAttachment: how much there is, and what is attached where.

Rules: docs/rules/apiserver.md#5-storagek8sio
"""

from __future__ import annotations

from pvbinder.model.quantity import quantity_of
from pvbinder.model.resources import CSI_STORAGE_CAPACITIES, VOLUME_ATTACHMENTS
from pvbinder.server.errors import FieldError, forbidden, invalid, required, too_long
from pvbinder.server.kinds.parts.columns import AGE, NAME, NAME_AND_TIME, field_cell
from pvbinder.server.kinds.validation.inline_volumes import validate_inline_volume
from pvbinder.server.kinds.validation.internal_form import VOLUME_ATTACHMENT_SPEC, inner_form
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_dns_subdomain
from pvbinder.server.kinds.validation.quantities import canonical_quantity
from pvbinder.server.kinds.validation.selectors import validate_label_selector
from pvbinder.server.kinds.validation.volume_sources import validate_csi_driver_name
from pvbinder.server.objects.kind import Column, Json, ServedKind, Subresource

_ERROR_BYTES_MAX = 1024
_METADATA_BYTES_MAX = 256 * 1024
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
_AMOUNTS = ("capacity", "maximumVolumeSize")


def default_capacity(obj: Json) -> None:
    """Bring the amounts into their canonical form."""
    for field in _AMOUNTS:
        if obj.get(field) is not None:
            obj[field] = canonical_quantity(obj[field])
    obj.setdefault("storageClassName", "")


def validate_capacity(obj: Json) -> list[FieldError]:
    """Check a capacity."""
    errors: list[FieldError] = []
    topology = obj.get("nodeTopology")
    if topology is not None:
        errors += validate_label_selector(topology, "nodeTopology")
    name = obj.get("storageClassName", "")
    errors += (invalid("storageClassName", name, reason) for reason in check_dns_subdomain(name))
    if obj.get("capacity") is not None and quantity_of(obj["capacity"]).nano < 0:
        errors.append(invalid("capacity", obj["capacity"], "must be greater than or equal to 0"))
    return errors


def validate_capacity_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed capacity; what it is the capacity of can't change."""
    errors = validate_capacity(new)
    for field in ("nodeTopology", "storageClassName"):
        if new.get(field) != old.get(field):
            errors.append(invalid(field, new.get(field), IMMUTABLE))
    return errors


def default_attachment(obj: Json) -> None:
    """Show a status even when nothing is attached yet."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("attacher", "")
    spec.setdefault("nodeName", "")
    spec.setdefault("source", {})
    obj.setdefault("status", {}).setdefault("attached", False)
    for field in ("attachError", "detachError"):
        if obj["status"].get(field) == {}:
            del obj["status"][field]


def prepare_new_attachment(obj: Json, _now: str) -> None:
    """Start with nothing attached."""
    obj["status"] = {"attached": False}


def prepare_attachment(new: Json, old: Json, _now: str) -> None:
    """Take the status from the stored object."""
    new["status"] = old["status"]


def prepare_attachment_status(new: Json, old: Json, _now: str) -> None:
    """Reset spec and metadata."""
    new["spec"] = old["spec"]
    revision = new["metadata"].get("resourceVersion")
    new["metadata"] = dict(old["metadata"])
    if revision is not None:
        new["metadata"]["resourceVersion"] = revision


def validate_attachment(obj: Json) -> list[FieldError]:
    """Check an attachment."""
    spec = obj["spec"]
    errors = validate_csi_driver_name(spec.get("attacher", ""), "spec.attacher")
    source = spec.get("source") or {}
    volume: str | None = source.get("persistentVolumeName")
    inline: Json | None = source.get("inlineVolumeSpec")
    path = "spec.source.persistentVolumeName"
    if volume is not None and inline is not None:
        errors.append(forbidden("spec.source", _ONE_SOURCE))
    elif inline is not None:
        errors += validate_inline_volume(inline, "spec.source.inlineVolumeSpec")
    elif volume is None:
        errors.append(required("spec.source", _ONE_SOURCE))
    elif not volume:
        errors.append(required(path, "must specify non empty persistentVolumeName"))
    node = spec.get("nodeName", "")
    errors += (invalid("spec.nodeName", node, reason) for reason in check_dns_subdomain(node))
    errors += _validate_attachment_status(obj.get("status") or {})
    if volume is not None:
        errors += (invalid(path, volume, reason) for reason in check_dns_subdomain(volume))
    return errors


def _validate_attachment_status(status: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    metadata = status.get("attachmentMetadata") or {}
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > _METADATA_BYTES_MAX:
        errors.append(too_long("status.attachmentMetadata", _METADATA_BYTES_MAX))
    for field in ("attachError", "detachError"):
        error: Json = status.get(field) or {}
        if len(error.get("message", "").encode()) > _ERROR_BYTES_MAX:
            errors.append(too_long(f"status.{field}.message", _METADATA_BYTES_MAX))  # sic: it names the other limit
        code = error.get("errorCode")
        if code is not None and code < 0:
            errors.append(invalid(f"status.{field}.errorCode", code, "must be between 0 and 2147483647, inclusive"))
    return errors


def validate_attachment_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed attachment; its spec can't change."""
    errors = validate_attachment(new)
    if new["spec"] != old["spec"]:
        errors.append(invalid("spec", inner_form(VOLUME_ATTACHMENT_SPEC, new["spec"]), IMMUTABLE))
    return errors


CSI_STORAGE_CAPACITY = ServedKind(
    resource=CSI_STORAGE_CAPACITIES,
    singular="csistoragecapacity",
    schema="io.k8s.api.storage.v1.CSIStorageCapacity",
    put_needs_revision=True,
    delete_returns_object=False,
    default=default_capacity,
    validate_create=validate_capacity,
    validate_update=validate_capacity_update,
    metadata_checks=("whole", "change"),
    columns=NAME_AND_TIME,
)

VOLUME_ATTACHMENT = ServedKind(
    resource=VOLUME_ATTACHMENTS,
    singular="volumeattachment",
    schema="io.k8s.api.storage.v1.VolumeAttachment",
    put_needs_revision=True,
    default=default_attachment,
    prepare_create=prepare_new_attachment,
    prepare_update=prepare_attachment,
    validate_create=validate_attachment,
    validate_update=validate_attachment_update,
    metadata_checks=("whole",),
    subresources=(
        Subresource(
            "status",
            prepare_update=prepare_attachment_status,
            validate_update=validate_attachment_update,
            metadata_checks=("whole",),
        ),
    ),
    columns=(
        NAME,
        Column("Attacher", field_cell("spec", "attacher"), format="name"),
        Column("PV", field_cell("spec", "source", "persistentVolumeName")),
        Column("Node", field_cell("spec", "nodeName")),
        Column("Attached", field_cell("status", "attached", default=False), "boolean"),
        AGE,
    ),
)
