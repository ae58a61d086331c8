"""The kinds of ``resource.k8s.io``: nobody allocates devices, and slices are only stored."""

from __future__ import annotations

from datetime import datetime

from pvbinder.server.kinds.parts.columns import AGE, NAME, field_cell
from pvbinder.server.kinds.parts.plain import Plain
from pvbinder.server.kinds.validation.device_claims import (
    validate_claim_template,
    validate_claim_template_update,
    validate_device_class,
    validate_resource_claim,
    validate_resource_claim_update,
)
from pvbinder.server.objects.kind import Column, Json, metadata_name

_DEVICES = ("api.resource", "resource.k8s.io")


def default_resource_claim(obj: Json) -> None:
    """Let a request be for one device, and show a status."""
    _default_devices(obj.setdefault("spec", {}))
    obj.setdefault("status", {})


def default_claim_template(obj: Json) -> None:
    """Let the requests of a template's claims be for one device."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("metadata", {})
    _default_devices(spec.setdefault("spec", {}))


def _default_devices(spec: Json) -> None:
    for request in spec.setdefault("devices", {}).get("requests") or ():
        exactly = request.get("exactly")
        for asked in (*([] if exactly is None else [exactly]), *(request.get("firstAvailable") or ())):
            if not asked.get("allocationMode"):
                asked["allocationMode"] = "ExactCount"
            if asked["allocationMode"] == "ExactCount" and not asked.get("count"):
                asked["count"] = 1


def _state_cell(obj: Json, _now: datetime) -> object:
    status = obj.get("status") or {}
    states = ["deleted"] if obj["metadata"].get("deletionTimestamp") else []
    if status.get("allocation") is None:
        states = states or ["pending"]
    else:
        states += ["allocated", "reserved"] if status.get("reservedFor") else ["allocated"]
    return ",".join(states)


DEVICE_KINDS = tuple(
    row.declare()
    for row in (
        Plain(
            *_DEVICES,
            "DeviceClass",
            "deviceclasses",
            validate_create=validate_device_class,
            validate_update=lambda new, _old: validate_device_class(new),
            counts=("spec",),
            returns_object=True,
            metadata_checks=("whole", "change"),
        ),
        Plain(
            *_DEVICES,
            "ResourceClaim",
            "resourceclaims",
            default=default_resource_claim,
            validate_create=validate_resource_claim,
            validate_update=validate_resource_claim_update,
            namespaced=True,
            has_status=True,
            keeps_metadata=True,
            returns_object=True,
            metadata_checks=("whole", "change"),
            columns=(NAME, Column("State", _state_cell), AGE),
        ),
        Plain(
            *_DEVICES,
            "ResourceClaimTemplate",
            "resourceclaimtemplates",
            default=default_claim_template,
            validate_create=validate_claim_template,
            validate_update=validate_claim_template_update,
            namespaced=True,
            returns_object=True,
            metadata_checks=("whole", "change"),
        ),
        Plain(
            *_DEVICES,
            "ResourceSlice",
            "resourceslices",
            counts=("spec",),
            returns_object=True,
            selectable_fields={
                "metadata.name": metadata_name,
                "spec.nodeName": lambda obj: str((obj.get("spec") or {}).get("nodeName") or ""),
                "spec.driver": lambda obj: str((obj.get("spec") or {}).get("driver") or ""),
            },
            not_selectable="field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {label}",
            columns=(
                NAME,
                Column("Node", field_cell("spec", "nodeName")),
                Column("Driver", field_cell("spec", "driver")),
                Column("Pool", field_cell("spec", "pool", "name")),
                AGE,
            ),
        ),
    )
)
