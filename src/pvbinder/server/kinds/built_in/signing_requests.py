"""CertificateSigningRequest: stored, approved and denied; who signs it is a program of the user's own.

Who asks is written in by the server (`server.api.admission.certificates`), which also says who may approve and sign.
"""

from __future__ import annotations

from datetime import datetime

from pvbinder.model.resources import Resource
from pvbinder.server.kinds.parts.columns import AGE, NAME, NONE, field_cell, human_duration
from pvbinder.server.kinds.validation.signing_requests import (
    APPROVED,
    DENIED,
    FAILED,
    conditions_of,
    validate_approval,
    validate_signing_request,
    validate_signing_request_status,
    validate_signing_request_update,
)
from pvbinder.server.objects.kind import Column, Json, ServedKind, Subresource, drop_empty, metadata_name

SIGNING_REQUESTS = Resource(
    "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", False
)


def default_signing_request(obj: Json) -> None:
    """Show spec and status."""
    obj.setdefault("spec", {})
    drop_empty(obj.setdefault("status", {}), "conditions", "certificate")
    for condition in obj["status"].get("conditions") or ():
        condition.setdefault("lastUpdateTime", None)
        condition.setdefault("lastTransitionTime", None)


def prepare_new(obj: Json, _now: str) -> None:
    """Start undecided."""
    obj["status"] = {}


def prepare_update(new: Json, old: Json, _now: str) -> None:
    """Take spec and status from the stored request: only subresources change them."""
    new["spec"], new["status"] = old["spec"], old["status"]


def prepare_status(new: Json, old: Json, now: str) -> None:
    """Take the spec and what was decided from the stored request, and fill in when its conditions changed."""
    new["spec"] = old["spec"]
    for kind in (APPROVED, DENIED):
        before, after = conditions_of(old, kind), conditions_of(new, kind)
        if len(before) == len(after):
            for condition, known in zip(after, before, strict=True):
                condition.clear()
                condition.update(known)
    _fill_in_times(new, old, now)


def prepare_approval(new: Json, old: Json, now: str) -> None:
    """Take all but the conditions from the stored request, and fill in when they changed."""
    _fill_in_times(new, old, now)
    new["spec"] = old["spec"]
    conditions = new["status"].get("conditions")
    new["status"] = {field: value for field, value in old["status"].items() if field != "conditions"}
    if conditions:
        new["status"]["conditions"] = conditions


def _fill_in_times(new: Json, old: Json, now: str) -> None:
    for condition in new["status"].get("conditions") or ():
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = now
        if not condition.get("lastTransitionTime"):
            known = (
                one["lastTransitionTime"]
                for one in conditions_of(old, condition.get("type", ""))
                if one.get("status") == condition.get("status") and one.get("lastTransitionTime")
            )
            condition["lastTransitionTime"] = next(known, now)


def _duration_cell(obj: Json, _now: datetime) -> object:
    seconds = (obj.get("spec") or {}).get("expirationSeconds")
    return NONE if seconds is None else human_duration(seconds)


def _condition_cell(obj: Json, _now: datetime) -> object:
    decided = next((kind for kind in (DENIED, APPROVED) if conditions_of(obj, kind)), "Pending")
    failed = f",{FAILED}" if conditions_of(obj, FAILED) else ""
    issued = ",Issued" if (obj.get("status") or {}).get("certificate") else ""
    return f"{decided}{failed}{issued}"


def _signer(obj: Json) -> str:
    return str((obj.get("spec") or {}).get("signerName", ""))


SIGNING_REQUEST = ServedKind(
    resource=SIGNING_REQUESTS,
    singular="certificatesigningrequest",
    schema="io.k8s.api.certificates.v1.CertificateSigningRequest",
    short_names=("csr",),
    delete_returns_object=False,
    name_rule="path-segment",
    default=default_signing_request,
    prepare_create=prepare_new,
    prepare_update=prepare_update,
    validate_create=validate_signing_request,
    validate_update=validate_signing_request_update,
    metadata_checks=("whole", "change"),
    subresources=(
        Subresource(
            "approval",
            prepare_update=prepare_approval,
            validate_update=validate_approval,
            metadata_checks=("whole", "change"),
        ),
        Subresource(
            "status",
            prepare_update=prepare_status,
            validate_update=validate_signing_request_status,
            metadata_checks=("whole", "change"),
        ),
    ),
    columns=(
        NAME,
        AGE,
        Column("SignerName", field_cell("spec", "signerName", default=NONE)),
        Column("Requestor", field_cell("spec", "username")),
        Column("RequestedDuration", _duration_cell),
        Column("Condition", _condition_cell),
    ),
    selectable_fields={"metadata.name": metadata_name, "spec.signerName": _signer},
)
