"""Findings about pairs (3xx): bindings that are one-sided or contradict themselves, and volumes larger than needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pvbinder.audit.finding import Evidence, Finding, FindingLevel, of_claim, of_volume
from pvbinder.audit.survey import Survey
from pvbinder.insight.remedies import Do, Remedy, merge, remove
from pvbinder.model.names import BIND_COMPLETED, BOUND_BY_CONTROLLER
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.matching import is_bound_to

_GIB_NANO: Final = 2**30 * 10**9
_SHARES: Final = ("nfs", "efs", "smb", "cephfs", "azurefile", "file.csi", "filestore", "fsx", "glusterfs")


def pair_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong between claims and volumes."""
    for claim in survey.snapshot.claims():
        yield from _contradictions(claim)
        volume = survey.snapshot.volume(claim.volume_name) if claim.volume_name else None
        if volume is not None:
            yield from _one_sided_claim(claim, volume)
            yield from _waste(claim, volume, survey)
    for volume in survey.snapshot.volumes:
        yield from _one_sided_volume(volume, survey)
        if BOUND_BY_CONTROLLER in volume.annotations and volume.claim_ref is None:
            yield _contradiction(
                volume,
                f"it has the annotation {BOUND_BY_CONTROLLER} and no claimRef",
                (Evidence(BOUND_BY_CONTROLLER, volume.annotations[BOUND_BY_CONTROLLER]), Evidence("claimRef", "none")),
                "warning",
            )


# ------------------------------------------------------------------------------------------------ one-sided


def _one_sided_claim(claim: Claim, volume: Volume) -> Iterator[Finding]:
    if not claim.bind_completed or claim.is_deleting or is_bound_to(volume, claim):
        return
    ref = volume.claim_ref
    if ref is None:
        found = "names no claim"
        change = {"spec": {"claimRef": {"namespace": claim.namespace, "name": claim.name, "uid": claim.uid}}}
        remedies: tuple[Remedy, ...] = (merge("pv", volume, change, "reserve it for the claim again"),)
    else:
        uid = f" (uid {ref.uid})" if ref.key == claim.key else ""
        found = f"names claim {ref.key}{uid}"
        remedies = (Do(f"decide whose volume {volume.name} is, and delete the other claim"),)
    yield Finding(
        code="PVB301",
        level="error",
        subject=of_claim(claim),
        summary=f"it is bound to volume {volume.name}, which {found}",
        evidence=(
            Evidence("spec.volumeName of the claim", claim.volume_name),
            Evidence("spec.claimRef of the volume", found, f"{claim.key} (uid {claim.uid})"),
        ),
        rules=("SC-B3",) if ref is None else ("SC-B5",),
        way_out=remedies,
        others=(of_volume(volume),),
        about=volume.name,
    )


def _one_sided_volume(volume: Volume, survey: Survey) -> Iterator[Finding]:
    ref = volume.claim_ref
    if volume.phase != "Bound" or ref is None or volume.is_deleting:
        return
    if not survey.knows_claims_of(ref.namespace or ""):
        return
    claim = survey.snapshot.claim(ref.key)
    if claim is None:
        found, rule, level = f"claim {ref.key} doesn't exist", "SV-5", "error"
    elif ref.uid and claim.uid and claim.uid != ref.uid:
        if claim.volume_name == volume.name:
            return  # told of the claim
        found, rule, level = f"claim {ref.key} has uid {claim.uid}", "SV-4", "error"
    elif claim.volume_name == volume.name:
        return
    elif claim.volume_name:
        found, rule, level = f"claim {ref.key} has volume {claim.volume_name}", "SV-5", "error"
    else:
        age = survey.age_seconds(claim.created)
        is_old = age is not None and age > survey.options.settling_minutes * 60
        found, rule = f"claim {ref.key} names no volume", "SV-6"
        level = "error" if is_old else "information"
    yield Finding(
        code="PVB301",
        level="error" if level == "error" else "information",
        subject=of_volume(volume),
        summary=f"its phase is Bound, and {found}",
        evidence=(
            Evidence("spec.claimRef of the volume", f"{ref.key} (uid {ref.uid or 'none'})"),
            Evidence("the claim", found, volume.name),
        ),
        rules=(rule,),
        way_out=(Do("see that the binder runs: it puts this right"),)
        if claim is None or level != "error"
        else (remove("pv", volume, "/spec/claimRef", "let the volume go, if that claim doesn't need its data"),),
        others=(of_claim(claim),) if claim is not None else (),
    )


# ------------------------------------------------------------------------------------------------ annotations


def _contradictions(claim: Claim) -> Iterator[Finding]:
    if claim.is_deleting:
        return
    if not claim.volume_name:
        for annotation in (BIND_COMPLETED, BOUND_BY_CONTROLLER):
            if annotation in claim.annotations:
                yield _contradiction(
                    claim,
                    f"it has the annotation {annotation} and names no volume",
                    (Evidence(annotation, claim.annotations[annotation]), Evidence("spec.volumeName", '""')),
                    "error" if annotation == BIND_COMPLETED else "warning",
                )
                return
        if claim.phase == "Bound":
            yield _contradiction(
                claim,
                "its phase is Bound and it names no volume",
                (Evidence("status.phase", "Bound"), Evidence("spec.volumeName", '""')),
                "error",
            )
    elif claim.phase == "Bound" and not claim.bind_completed:
        yield _contradiction(
            claim,
            f"its phase is Bound and it lacks the annotation {BIND_COMPLETED}",
            (Evidence("status.phase", "Bound"), Evidence(BIND_COMPLETED, "missing", "yes")),
            "warning",
        )


def _contradiction(view: Claim | Volume, summary: str, evidence: tuple[Evidence, ...], level: FindingLevel) -> Finding:
    return Finding(
        code="PVB302",
        level=level,
        subject=of_claim(view) if isinstance(view, Claim) else of_volume(view),
        summary=summary,
        evidence=evidence,
        rules=("SC-B1", "BN-1"),
        way_out=(Do("remove the annotation, or restore the field from where it was lost"),),
    )


# ------------------------------------------------------------------------------------------------ waste


def _waste(claim: Claim, volume: Volume, survey: Survey) -> Iterator[Finding]:
    request, size = claim.request.nano, volume.size.nano
    if not claim.bind_completed or request <= 0 or size <= request:
        return
    excess_gib = (size - request) / _GIB_NANO
    options = survey.options
    if size < request * options.waste_factor_min or excess_gib < options.waste_gib_min:
        return
    is_nominal = bool(volume.provisioned_by) or is_share(volume)
    evidence = [
        Evidence("size", str(volume.size), str(claim.request)),
        Evidence("more than asked for", f"{excess_gib:.0f} GiB"),
    ]
    price = options.prices.get(volume.storage_class)
    if price is not None:
        evidence.append(Evidence("cost of that in a month", f"{excess_gib * price:.2f}"))
    if is_nominal:
        why = "the provisioner chose the size" if volume.provisioned_by else "the size of a share is nominal"
        evidence.append(Evidence("why it is only information", why))
    yield Finding(
        code="PVB303",
        level="information" if is_nominal else "warning",
        subject=of_claim(claim),
        summary=f"it asked for {claim.request} and has volume {volume.name} of {volume.size}",
        evidence=tuple(evidence),
        rules=("FM-5",),
        way_out=(
            Do(f"make volumes of about {claim.request} for such claims, and move the data when that is worth it"),
        ),
        others=(of_volume(volume),),
    )


def is_share(volume: Volume) -> bool:
    """Tell whether `volume` is a share of a file server or a directory, whose size is only nominal."""
    if volume.csi is not None:
        return any(word in (volume.csi.driver or "") for word in _SHARES)
    return volume.source in ("nfs", "hostPath", "cephfs", "azureFile", "glusterfs", "local")
