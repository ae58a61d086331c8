"""Findings about capacity (7xx): quotas and storage that are full, and how many more claims fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import median_low
from typing import Final

from pvbinder.audit.finding import AuditSubject, Evidence, Finding, of_class
from pvbinder.audit.survey import Survey
from pvbinder.audit.users import name_of, part
from pvbinder.insight.remedies import Do
from pvbinder.model.objects import StorageClass, claim_key
from pvbinder.model.quantity import Quantity, quantity_of
from pvbinder.model.scheduling import CsiStorageCapacity
from pvbinder.model.stateful_sets import StatefulSet

_CLAIMS: Final = "persistentvolumeclaims"
_STORAGE: Final = "requests.storage"
_OF_CLASS: Final = ".storageclass.storage.k8s.io/"


def capacity_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is full, and how much room there is."""
    for document in survey.snapshot.others("ResourceQuota"):
        metadata = part(document, "metadata")
        namespace = str(metadata.get("namespace") or "default")
        hard = part(part(document, "status"), "hard") or part(part(document, "spec"), "hard")
        used = part(part(document, "status"), "used")
        for resource in sorted(hard):
            if resource in (_CLAIMS, _STORAGE) or _OF_CLASS in resource:
                subject = AuditSubject("ResourceQuota", namespace, name_of(document))
                yield from _quota(subject, resource, quantity_of(hard[resource]), used.get(resource), survey)
    for storage_class in sorted(survey.snapshot.storage_classes(), key=lambda each: each.name):
        yield from _room(storage_class, survey)
        yield from _free_volumes(storage_class, survey)


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


# ------------------------------------------------------------------------------------------------ storage


def _room(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    """What the driver of `storage_class` still has, in claims of the usual size."""
    parts = [each for each in survey.capacities.get(storage_class.name, ()) if _is_reachable(each, survey)]
    usual = _usual_size(storage_class, survey)
    if not parts or usual is None:
        return
    largest = max((_largest(each) for each in parts), default=Quantity(0), key=lambda each: each.nano)
    count = sum(
        (each.capacity.nano if each.capacity is not None else 0) // usual.nano for each in parts if each.holds(usual)
    )
    waiting = [claim for claim in survey.pending if claim.storage_class == storage_class.name]
    evidence = (
        Evidence("usual size of a claim", str(usual)),
        Evidence("largest room", str(largest)),
        Evidence("parts of the cluster with room", str(sum(each.holds(usual) for each in parts)), f"of {len(parts)}"),
    )
    if count == 0:
        yield Finding(
            code="PVB701",
            level="warning" if waiting else "information",
            subject=of_class(storage_class),
            summary=f"no part of the cluster has room for another claim of {usual}; the largest room is {largest}",
            evidence=evidence,
            rules=("CA-3",),
            way_out=(Do(f"give {storage_class.provisioner} more storage"),),
        )
        return
    yield _head_room(storage_class, f"about {count} more claims of {usual} fit", evidence)


def _is_reachable(capacity: CsiStorageCapacity, survey: Survey) -> bool:
    return not survey.nodes or any(capacity.is_reachable_from(node.labels) for node in survey.nodes)


def _largest(capacity: CsiStorageCapacity) -> Quantity:
    found = capacity.maximum_volume_size if capacity.maximum_volume_size is not None else capacity.capacity
    return found if found is not None else Quantity(0)


def _usual_size(storage_class: StorageClass, survey: Survey) -> Quantity | None:
    sizes = survey.sizes_by_class.get(storage_class.name)
    return Quantity(median_low(sizes), "BinarySI") if sizes and median_low(sizes) > 0 else None


def _free_volumes(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    """How many pre-made volumes are free, by size."""
    free = [each for each in survey.free if each.storage_class == storage_class.name and each.phase == "Available"]
    if not free:
        return
    sizes = Counter(str(each.size) for each in free)
    shown = ", ".join(f"{count} of {size}" for size, count in sorted(sizes.items())[:5])
    yield _head_room(
        storage_class, f"{len(free)} volumes are free: {shown}", (Evidence("free volumes", str(len(free))),)
    )


def _head_room(storage_class: StorageClass, summary: str, evidence: tuple[Evidence, ...]) -> Finding:
    about = "volumes" if evidence[0].what == "free volumes" else "storage"
    return Finding(
        code="PVB702",
        level="information",
        subject=of_class(storage_class),
        summary=summary,
        evidence=evidence,
        rules=("CA-3",),
        about=about,
    )
