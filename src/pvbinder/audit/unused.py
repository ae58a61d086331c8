"""Claims that nobody uses (PVB107), and workloads whose claims don't exist (PVB118)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pvbinder.audit.finding import Evidence, Finding, FindingLevel, of_claim
from pvbinder.audit.survey import Survey, kept_on_purpose
from pvbinder.audit.users import TEMPLATED, part
from pvbinder.insight.instants import how_long
from pvbinder.insight.remedies import Kubectl, Remedy, merge
from pvbinder.model.objects import Claim, claim_key

_DAY_SECONDS: Final = 86_400
_WORKLOADS: Final = (*TEMPLATED, "StatefulSet")


def unused_findings(survey: Survey) -> Iterator[Finding]:
    """Yield the bound claims that nobody uses; nothing where pods aren't known."""
    if not survey.snapshot.knows("Pod"):
        return
    for claim in survey.snapshot.claims():
        if not claim.volume_name or claim.is_deleting or claim.phase == "Lost":
            continue
        if not survey.users.user_of(claim):
            yield _unused(claim, survey)


def _unused(claim: Claim, survey: Survey) -> Finding:
    since, is_exact = _unused_since(claim)
    age = survey.age_seconds(since)
    kept = kept_on_purpose(claim.labels, claim.annotations)
    knows_workloads = any(survey.snapshot.knows(kind) for kind in _WORKLOADS)
    is_old = age is not None and age >= survey.options.unused_days_min * _DAY_SECONDS
    level: FindingLevel = "warning" if is_old and knows_workloads and not kept else "information"
    volume = survey.snapshot.volume(claim.volume_name)
    policy = volume.reclaim_policy if volume is not None else "unknown"
    evidence = [Evidence("size", str(claim.request)), Evidence("reclaim policy of its volume", policy)]
    if age is not None:
        evidence.insert(0, Evidence("unused since" if is_exact else "created", f"{since} ({how_long(age)} ago)"))
    if kept:
        evidence.append(Evidence("kept on purpose", kept))
    if not knows_workloads:
        evidence.append(Evidence("not known", "workloads: one that doesn't run now may use it"))
    remedies: list[Remedy] = []
    if volume is not None and policy == "Delete":
        change = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
        remedies.append(merge("pv", volume, change, "keep its data when the claim goes"))
    why = "delete it, if its data isn't needed" + (": that deletes the data, too" if policy == "Delete" else "")
    remedies.append(Kubectl(why, ("delete", "pvc", claim.name, "-n", claim.namespace)))
    return Finding(
        code="PVB107",
        level=level,
        subject=of_claim(claim),
        summary="no pod, workload, owner or other claim uses it",
        evidence=tuple(evidence),
        rules=("PC-6",),
        way_out=tuple(remedies),
    )


def _unused_since(claim: Claim) -> tuple[str, bool]:
    """The time since when `claim` is unused: of its condition `Unused` (Kubernetes 1.37), else its creation."""
    for condition in part(claim.document(), "status").get("conditions") or ():
        if isinstance(condition, dict) and condition.get("type") == "Unused" and condition.get("status") == "True":
            return str(condition.get("lastTransitionTime") or ""), True
    return claim.created, False


def workload_claim_findings(survey: Survey) -> Iterator[Finding]:
    """Yield the workloads that name claims which don't exist (PVB118)."""
    snapshot = survey.snapshot
    for workload in survey.users.workloads:
        namespace = workload.subject.namespace
        if workload.is_owned or workload.replicas == 0 or not snapshot.knows("PersistentVolumeClaim"):
            continue
        for name in workload.claims:
            if snapshot.claim(claim_key(namespace, name)) is not None:
                continue
            near = survey.nearest_claim(namespace, name)
            is_live = snapshot.knows("Pod") and survey.knows_claims_of(namespace)
            yield Finding(
                code="PVB118",
                level="error" if is_live else "warning" if near else "information",
                subject=workload.subject,
                summary=f"its pods need claim {name}, which doesn't exist"
                + (f" (did you mean {near}?)" if near else ""),
                evidence=(Evidence("claimName", name, near),),
                rules=("PC-6",),
                about=name,
            )
