"""The kinds of ``resource.k8s.io``: stored; nobody allocates devices."""

from __future__ import annotations

from datetime import datetime

from pvbinder.server.kinds.parts.columns import AGE, NAME, field_cell
from pvbinder.server.kinds.parts.plain import Plain
from pvbinder.server.objects.kind import Column, Json, metadata_name

_DEVICES = ("api.resource", "resource.k8s.io")


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
            counts=("spec",),
            returns_object=True,
            metadata_checks=("whole", "change"),
        ),
        Plain(
            *_DEVICES,
            "ResourceClaim",
            "resourceclaims",
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
