"""The rules of CertificateSigningRequest: the request itself, its usages and signer, and who may say what of it.

What was wrong with a stored request may stay as it is: older servers took more.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import base64
import json
from typing import Final

from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required, too_long, unsupported
from pvbinder.server.kinds.validation.internal_form import InternalFields, diff_of_json, inner_form
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain
from pvbinder.server.kinds.validation.pem import why_no_certificates, why_no_request
from pvbinder.server.objects.kind import Json

APPROVED: Final = "Approved"
DENIED: Final = "Denied"
FAILED: Final = "Failed"
LEGACY_SIGNER: Final = "kubernetes.io/legacy-unknown"
_LEAST_SECONDS: Final = 600
_DOMAIN_CHARACTERS_MAX: Final = 253
_SIGNER_CHARACTERS_MAX: Final = 571
_USAGES: Final = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
_STATUSES: Final = ("False", "True", "Unknown")
_CONDITION: Final[InternalFields] = {
    "Type": ("type", ""),
    "Status": ("status", ""),
    "Reason": ("reason", ""),
    "Message": ("message", ""),
    "LastUpdateTime": ("lastUpdateTime", None),
    "LastTransitionTime": ("lastTransitionTime", None),
}
_CONDITIONS: Final = "status.conditions"


def validate_signing_request(obj: Json) -> list[FieldError]:
    """Check a new request."""
    return _validate(obj, None)


def validate_signing_request_update(new: Json, old: Json) -> list[FieldError]:
    """Check a request that was changed as such: what was decided stays."""
    return _validate(new, old) + _validate_decisions(new, old, decides=False) + _validate_issued(new, old, issues=False)


def validate_signing_request_status(new: Json, old: Json) -> list[FieldError]:
    """Check the status that a signer wrote: it may issue, and not decide."""
    return _validate(new, old) + _validate_decisions(new, old, decides=False) + _validate_issued(new, old, issues=True)


def validate_approval(new: Json, old: Json) -> list[FieldError]:
    """Check what an approver wrote: it may decide, and not issue."""
    return _validate(new, old) + _validate_decisions(new, old, decides=True) + _validate_issued(new, old, issues=False)


def conditions_of(obj: Json, *types: str) -> list[Json]:
    """Return the conditions of an object that have one of these types."""
    conditions: list[Json] = (obj.get("status") or {}).get("conditions") or []
    return [one for one in conditions if one.get("type") in types]


def _certificate(obj: Json) -> str:
    return (obj.get("status") or {}).get("certificate") or ""


def _validate(obj: Json, old: Json | None) -> list[FieldError]:
    spec: Json = obj["spec"]
    errors: list[FieldError] = []
    if why := why_no_request(_bytes(spec.get("request"))):
        errors.append(invalid("spec.request", spec.get("request"), why))
    errors += _validate_usages(spec, None if old is None else old["spec"])
    signer = spec.get("signerName", "")
    if signer == LEGACY_SIGNER:
        if old is None or old["spec"].get("signerName") != LEGACY_SIGNER:
            errors.append(
                invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version")
            )
    else:
        errors += validate_signer_name(signer, "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _LEAST_SECONDS:
        why = f"may not specify a duration less than {_LEAST_SECONDS} seconds (10 minutes)"
        errors.append(invalid("spec.expirationSeconds", seconds, why))
    errors += _validate_conditions(obj, old)
    is_known = old is not None and _certificate(old) == _certificate(obj)
    was_wrong = old is not None and why_no_certificates(_bytes(_certificate(old)))
    if not is_known and not was_wrong and (why := why_no_certificates(_bytes(_certificate(obj)))):
        errors.append(invalid("status.certificate", "<certificate data>", why))
    return errors


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def _validate_usages(spec: Json, before: Json | None) -> list[FieldError]:
    usages: list[str] = spec.get("usages") or []
    known: list[str] = (before or {}).get("usages") or []
    errors = [] if usages else [required("spec.usages")]
    if all(usage in _USAGES for usage in known):
        errors += (
            unsupported(f"spec.usages[{index}]", usage, _USAGES)
            for index, usage in enumerate(usages)
            if usage not in _USAGES
        )
    if len(set(known)) == len(known):
        errors += (
            duplicate(f"spec.usages[{index}]", usage) for index, usage in enumerate(usages) if usage in usages[:index]
        )
    return errors


def validate_signer_name(name: str, path: str) -> list[FieldError]:
    """Check the name of a signer: a domain, and a path of one segment."""
    if not name:
        return [required(path)]
    if name.count("/") != 1:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, why)]
    errors: list[FieldError] = []
    domain, _, segment = name.partition("/")
    if len(domain.encode()) > _DOMAIN_CHARACTERS_MAX:
        errors.append(too_long(path, _DOMAIN_CHARACTERS_MAX))
    for label in domain.split("."):
        if reasons := check_dns_label(label):
            errors += (invalid(path, domain, f"validating label {json.dumps(label)}: {reason}") for reason in reasons)
            break
    if "." not in domain:
        errors.append(invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    for label in segment.split("."):
        if reasons := check_dns_subdomain(label):
            errors += (invalid(path, segment, f"validating label {json.dumps(label)}: {reason}") for reason in reasons)
            break
    if len(name.encode()) > _SIGNER_CHARACTERS_MAX:
        errors.append(too_long(path, _SIGNER_CHARACTERS_MAX))
    return errors


def _validate_conditions(obj: Json, old: Json | None) -> list[FieldError]:
    conditions: list[Json] = (obj.get("status") or {}).get("conditions") or []
    known = [one.get("type", "") for one in ((old or {}).get("status") or {}).get("conditions") or ()]
    types = [one.get("type", "") for one in conditions]
    both_known = {APPROVED, DENIED} <= set(known)
    errors: list[FieldError] = []
    for index, condition in enumerate(conditions):
        at, kind, status = f"{_CONDITIONS}[{index}]", types[index], condition.get("status", "")
        if not kind and "" not in known:
            errors.append(required(f"{at}.type"))
        allowed = ("True",) if kind in (APPROVED, DENIED, FAILED) else _STATUSES
        if not status:
            errors.append(required(f"{at}.status"))
        elif status not in allowed:
            errors.append(unsupported(f"{at}.status", status, allowed))
        other = {APPROVED: DENIED, DENIED: APPROVED}.get(kind)
        if other in types[:index] and not both_known:
            errors.append(invalid(_CONDITIONS, kind, "Approved and Denied conditions are mutually exclusive"))
        if kind in types[:index] and len(set(known)) == len(known):
            errors.append(duplicate(f"{at}.type", kind))
    return errors


def _validate_decisions(new: Json, old: Json, *, decides: bool) -> list[FieldError]:
    """Check that no decision is taken back, and that none is made or changed by who may not."""
    errors = [
        forbidden(_CONDITIONS, f'updates may not remove a condition of type "{kind}"')
        for kind in (APPROVED, DENIED, FAILED)
        if len(conditions_of(new, kind)) < len(conditions_of(old, kind))
    ]
    for kind in () if decides else (APPROVED, DENIED):
        before, after = conditions_of(old, kind), conditions_of(new, kind)
        if len(after) > len(before):
            errors.append(forbidden(_CONDITIONS, f'updates may not add a condition of type "{kind}"'))
        elif len(after) == len(before) and after != before:
            shown = diff_of_json(*([inner_form(_CONDITION, one) for one in side] for side in (before, after)))
            errors.append(forbidden(_CONDITIONS, f'updates may not modify a condition of type "{kind}"\n{shown}'))
    return errors


def _validate_issued(new: Json, old: Json, *, issues: bool) -> list[FieldError]:
    """Check that a certificate is issued once, and by who may."""
    if _certificate(new) == _certificate(old):
        return []
    if not issues:
        return [forbidden("status.certificate", "updates may not set certificate content")]
    if _certificate(old):
        return [forbidden("status.certificate", "updates may not modify existing certificate content")]
    return []
