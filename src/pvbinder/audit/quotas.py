"""Findings about quotas that are full, or will be (PVB701)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pvbinder.audit.finding import AuditSubject, Evidence, Finding
from pvbinder.audit.survey import Survey
from pvbinder.audit.users import name_of, part
from pvbinder.insight.remedies import Do
from pvbinder.model.objects import claim_key
from pvbinder.model.quantity import Quantity, quantity_of
from pvbinder.model.stateful_sets import StatefulSet

_CLAIMS: Final = "persistentvolumeclaims"
_STORAGE: Final = "requests.storage"
_OF_CLASS: Final = ".storageclass.storage.k8s.io/"


def quota_findings(survey: Survey) -> Iterator[Finding]:
    """Yield the quotas that refuse what comes next."""
    for document in survey.snapshot.others("ResourceQuota"):
        metadata = part(document, "metadata")
        namespace = str(metadata.get("namespace") or "default")
        hard = part(part(document, "status"), "hard") or part(part(document, "spec"), "hard")
        used = part(part(document, "status"), "used")
        for resource in sorted(hard):
            if resource in (_CLAIMS, _STORAGE) or _OF_CLASS in resource:
                subject = AuditSubject("ResourceQuota", namespace, name_of(document))
                yield from _quota(subject, resource, quantity_of(hard[resource]), used.get(resource), survey)


# ------------------------------------------------------------------------------------------------ quotas


def _quota(subject: AuditSubject, resource: str, hard: Quantity, told: object, survey: Survey) -> Iterator[Finding]:
    used = quantity_of(told) if told is not None else _used(subject.namespace, resource, survey)
    wanted = _wanted(subject.namespace, resource, survey)
    left = hard.nano - used.nano
    if used.nano * 10 < hard.nano * 9 and wanted.nano <= left:
        return
    refused = wanted.nano > left or left < 0
    what = f"{used} of {hard} are used"
    if wanted.nano > left and wanted.nano:
        what += f", and StatefulSets there want {wanted} more"
    yield Finding(
        code="PVB701",
        level="warning" if refused else "information",
        subject=subject,
        summary=f"{resource}: {what}",
        evidence=(Evidence("used", str(used), f"at most {hard}"),),
        way_out=(Do(f"raise {resource} of the quota, or delete claims that aren't needed"),),
        about=resource,
    )


def _is_counted(resource: str, storage_class: str) -> bool:
    return _OF_CLASS not in resource or resource.partition(_OF_CLASS)[0] == storage_class


def _used(namespace: str, resource: str, survey: Survey) -> Quantity:
    claims = [each for each in survey.snapshot.claims() if each.namespace == namespace]
    counted = [each for each in claims if _is_counted(resource, each.storage_class)]
    if resource.endswith(_CLAIMS):
        return Quantity(len(counted) * 10**9)
    return Quantity(sum(each.request.nano for each in counted), "BinarySI")


def _wanted(namespace: str, resource: str, survey: Survey) -> Quantity:
    """What the StatefulSets of `namespace` want and don't have yet."""
    nano = 0
    for found in survey.snapshot.stateful_sets():
        if found.namespace == namespace:
            nano += sum(size if not resource.endswith(_CLAIMS) else 10**9 for size in _missing(found, resource, survey))
    return Quantity(nano, "DecimalSI" if resource.endswith(_CLAIMS) else "BinarySI")


def _missing(found: StatefulSet, resource: str, survey: Survey) -> Iterator[int]:
    for template in found.claim_templates:
        spec = part(template, "spec")
        if not _is_counted(resource, str(spec.get("storageClassName") or "")):
            continue
        size = quantity_of(part(part(spec, "resources"), "requests").get("storage")).nano
        for ordinal in found.ordinals[:1000]:
            name = f"{name_of(template)}-{found.name}-{ordinal}"
            if survey.snapshot.claim(claim_key(found.namespace, name)) is None:
                yield size
