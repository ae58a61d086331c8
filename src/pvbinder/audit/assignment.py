"""Findings about the choice among volumes (PVB304 to PVB306): ambiguous, worse than it could be, another's.

ASSIGNMENT-1  The greedy assignment is the binder's: `VolumeIndex.choose` for each claim that waits and may choose, in
              the order of creation.
ASSIGNMENT-2  A better assignment serves more claims that nobody provisions for, and no such claim loses by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from pvbinder.audit.finding import Evidence, Finding, of_claim, of_volume
from pvbinder.audit.matching import largest_matching
from pvbinder.audit.survey import Survey
from pvbinder.insight.remedies import Do, Kubectl, Remedy, merge
from pvbinder.model.objects import Claim, StorageClass, Volume
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.classes import BindingModeError, is_delayed
from pvbinder.rules.matching import check_fit, selector_of
from pvbinder.rules.provisioning import CannotProvision, decide_provisioning
from pvbinder.rules.volume_index import VolumeIndex

REMEDIES_MAX: Final = 20


class Assignment(Struct, frozen=True):
    """The claims that choose, those that nobody provisions for, and what the binder gives them (ASSIGNMENT-1)."""

    claims: tuple[Claim, ...]
    needy: frozenset[str]  # keys of those that nobody provisions for
    greedy: dict[str, str]  # claim: volume
    fits: dict[str, tuple[str, ...]]  # claim: volumes, smallest first


def assignment_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with the choice among volumes."""
    yield from _named_twice(survey)
    assignment = assign(survey)
    if assignment is None:
        return
    better = larger(assignment)
    yield from _better(assignment, better, survey)
    taken = list(_takes_anothers(assignment, survey))
    yield from taken
    told = {each.subject for each in taken}
    if len(better) <= _served(assignment):
        yield from _contended(assignment, survey)
    yield from (each for each in _ties(assignment, survey) if each.subject not in told)


def assign(survey: Survey) -> Assignment | None:
    """Return what the binder would give each claim; None where there is too much to compare (SURVEY-2)."""
    claims = sorted(
        filter(lambda claim: _chooses(claim, survey), survey.pending), key=lambda each: (each.created, each.key)
    )
    volumes = [each for each in survey.free if each.phase == "Available" and not each.is_deleting]
    by_class: dict[str, list[Volume]] = {}
    for volume in sorted(volumes, key=lambda each: (each.size.nano, each.name)):
        by_class.setdefault(volume.storage_class, []).append(volume)
    claims = [claim for claim in claims if claim.storage_class in by_class]
    if not claims or not survey.may_compare(sum(len(by_class[claim.storage_class]) for claim in claims)):
        return None
    settings = survey.snapshot.settings
    index = VolumeIndex(volumes, settings)
    greedy: dict[str, str] = {}
    fits: dict[str, tuple[str, ...]] = {}
    for claim in claims:
        chosen = index.choose(claim)
        if chosen is not None:
            greedy[claim.key] = chosen.name
            index.reserve(chosen.name, claim.key)
        candidates = by_class[claim.storage_class]
        fits[claim.key] = tuple(each.name for each in candidates if check_fit(each, claim, settings=settings) is None)
    needy = frozenset(claim.key for claim in claims if not _is_provisioned(claim, survey))
    return Assignment(tuple(claims), needy, greedy, fits)


def _chooses(claim: Claim, survey: Survey) -> bool:
    """Whether the binder chooses a volume for `claim` by itself: none is reserved for it, its class doesn't wait."""
    if survey.snapshot.volumes.claimed_by(claim.key):
        return False
    try:
        selector_of(claim)
        return not is_delayed(_class_of(claim, survey))
    except (SelectorError, BindingModeError):
        return False


def _class_of(claim: Claim, survey: Survey) -> StorageClass | None:
    return survey.snapshot.storage_class(claim.storage_class) if claim.storage_class else None


def _is_provisioned(claim: Claim, survey: Survey) -> bool:
    if not claim.storage_class or claim.selector is not None:
        return False
    return not isinstance(decide_provisioning(claim, survey.snapshot, survey.snapshot.settings), CannotProvision)


def larger(assignment: Assignment) -> dict[str, str]:
    """Return an assignment that serves as many needy claims as possible (ASSIGNMENT-2)."""
    edges: dict[str, tuple[str, ...]] = {
        claim.key: assignment.fits[claim.key] for claim in assignment.claims if claim.key in assignment.needy
    }
    begun = {key: volume for key, volume in assignment.greedy.items() if key in assignment.needy}
    return largest_matching(edges, begun)


def _served(assignment: Assignment) -> int:
    return sum(key in assignment.needy for key in assignment.greedy)


def _better(assignment: Assignment, better: dict[str, str], survey: Survey) -> Iterator[Finding]:
    more = len(better) - _served(assignment)
    if more <= 0:
        return
    left = [claim for claim in assignment.claims if claim.key in better and claim.key not in assignment.greedy]
    changed = [
        claim for claim in assignment.claims if better.get(claim.key) not in (None, assignment.greedy.get(claim.key))
    ]
    remedies: list[Remedy] = []
    for claim in changed[:REMEDIES_MAX]:
        volume = survey.snapshot.volume(better[claim.key])
        assert volume is not None, "what is assigned is there"
        reference = {"namespace": claim.namespace, "name": claim.name}
        remedies.append(
            merge("pv", volume, {"spec": {"claimRef": reference}}, f"reserve {volume.name} for {claim.key}")
        )
    yield Finding(
        code="PVB305",
        level="warning",
        subject=of_claim(left[0]),
        summary=f"{more} more {'claim' if more == 1 else 'claims'} could be bound with another assignment",
        evidence=(
            Evidence("the binder serves", str(_served(assignment)), str(len(better))),
            *(
                Evidence(f"claim {claim.key}", assignment.greedy.get(claim.key, "none"), better[claim.key])
                for claim in changed[:REMEDIES_MAX]
            ),
        ),
        rules=("FM-5", "SC-U3"),
        way_out=tuple(remedies),
        others=tuple(of_claim(claim) for claim in changed[1:]),
    )


def _contended(assignment: Assignment, survey: Survey) -> Iterator[Finding]:
    """The claims that get nothing because another one comes first."""
    holders = {volume: key for key, volume in assignment.greedy.items()}
    by_key: dict[str, Claim] = {claim.key: claim for claim in assignment.claims}
    for claim in assignment.claims:
        if claim.key in assignment.greedy or claim.key not in assignment.needy or not assignment.fits[claim.key]:
            continue
        wanted = assignment.fits[claim.key][0]
        first = by_key[holders[wanted]] if wanted in holders else None
        volume = survey.snapshot.volume(wanted)
        if first is None or volume is None:
            continue
        reference = {"namespace": claim.namespace, "name": claim.name}
        yield Finding(
            code="PVB304",
            level="warning",
            subject=of_claim(claim),
            summary=f"volume {wanted} fits it, and claim {first.key} gets that because it came first",
            evidence=(
                Evidence("created", claim.created or "unknown"),
                Evidence(f"claim {first.key} created", first.created or "unknown"),
            ),
            rules=("FM-5",),
            way_out=(merge("pv", volume, {"spec": {"claimRef": reference}}, "reserve it for this claim instead"),),
            others=(of_claim(first), of_volume(volume)),
            about="contended",
        )


def _named_twice(survey: Survey) -> Iterator[Finding]:
    """The claims that name a free volume which an earlier claim names, too."""
    first_of: dict[str, Claim] = {}
    for claim in sorted(survey.snapshot.claims(), key=lambda each: (each.created, each.key)):
        volume = survey.snapshot.volume(claim.volume_name) if claim.volume_name else None
        if volume is None or volume.claim_ref is not None or claim.bind_completed or claim.is_deleting:
            continue
        first = first_of.setdefault(volume.name, claim)
        if first is not claim:
            yield Finding(
                code="PVB304",
                level="warning",
                subject=of_claim(claim),
                summary=f"it names volume {volume.name}, and so does claim {first.key}, which came first",
                evidence=(
                    Evidence("spec.volumeName", volume.name),
                    Evidence(f"spec.volumeName of {first.key}", volume.name),
                ),
                rules=("SC-P3", "SC-P5"),
                way_out=(Do("create one of them anew with another volumeName"),),
                others=(of_claim(first), of_volume(volume)),
                about="named",
            )


def _ties(assignment: Assignment, survey: Survey) -> Iterator[Finding]:
    """The claims for which two volumes of one size fit that aren't alike."""
    for claim in assignment.claims:
        chosen = survey.snapshot.volume(assignment.greedy.get(claim.key, ""))
        if chosen is None:
            continue
        for name in assignment.fits[claim.key]:
            other = survey.snapshot.volume(name)
            if other is None or other.name == chosen.name or other.size != chosen.size:
                continue
            if set(other.access_modes) != set(chosen.access_modes):
                continue
            difference = _difference(chosen, other)
            if difference is not None:
                yield _tie(claim, chosen, other, difference)
                break


def _difference(one: Volume, other: Volume) -> tuple[str, str, str] | None:
    """The first thing in which two volumes differ that somebody may care for: its name and both values."""
    for what, mine, its in (
        ("labels", _shown(one.labels), _shown(other.labels)),
        ("persistentVolumeReclaimPolicy", one.reclaim_policy, other.reclaim_policy),
        ("source", one.source, other.source),
    ):
        if mine != its:
            return what, mine, its
    return None


def _shown(labels: dict[str, str]) -> str:
    ignored = ("kubernetes.io/", "topology.", "failure-domain.")
    pairs = [f"{key}={value}" for key, value in sorted(labels.items()) if not key.startswith(ignored)]
    return ", ".join(each for each in pairs if "kubernetes.io/" not in each) or "none"


def _tie(claim: Claim, chosen: Volume, other: Volume, difference: tuple[str, str, str]) -> Finding:
    what, mine, its = difference
    patch = '{"spec":{"volumeName":"%s"}}'
    return Finding(
        code="PVB304",
        level="warning",
        subject=of_claim(claim),
        summary=f"volumes {chosen.name} and {other.name} fit it equally well and differ in {what}",
        evidence=(
            Evidence("size of both", str(chosen.size), str(claim.request)),
            Evidence(f"{what} of {chosen.name}", mine),
            Evidence(f"{what} of {other.name}", its),
        ),
        rules=("FM-5",),
        way_out=tuple(
            Kubectl(
                f"choose {each.name}",
                ("patch", "pvc", claim.name, "-n", claim.namespace, "--type=merge", "-p", patch % each.name),
            )
            for each in (chosen, other)
        ),
        others=(of_volume(chosen), of_volume(other)),
        about="tie",
    )


# ------------------------------------------------------------------------------------------------ another's


def _takes_anothers(assignment: Assignment, survey: Survey) -> Iterator[Finding]:
    meant = dict(_meant_for(assignment, survey))
    for claim in assignment.claims:
        volume = survey.snapshot.volume(assignment.greedy.get(claim.key, ""))
        other = meant.get(volume.name) if volume is not None else None
        if volume is not None and other is not None and other.key != claim.key and claim.selector is None:
            yield _anothers(claim, volume, other, "gets")
    for volume_name, other in meant.items():
        volume = survey.snapshot.volume(volume_name)
        holder = survey.snapshot.claim(volume.claim_key) if volume is not None and volume.claim_key else None
        if volume is not None and holder is not None and holder.key != other.key and holder.selector is None:
            yield _anothers(holder, volume, other, "has")


def _meant_for(assignment: Assignment, survey: Survey) -> Iterator[tuple[str, Claim]]:
    """The volumes that are the only one for a claim that names or selects it, and that claim."""
    for claim in assignment.claims:
        if claim.selector is not None and len(assignment.fits[claim.key]) == 1:
            yield assignment.fits[claim.key][0], claim
    for claim in survey.snapshot.claims():
        if claim.volume_name and not claim.bind_completed and not claim.is_deleting:
            volume = survey.snapshot.volume(claim.volume_name)
            if volume is not None and volume.claim_ref is None:
                yield volume.name, claim


def _anothers(claim: Claim, volume: Volume, other: Claim, verb: str) -> Finding:
    how = "names it in spec.volumeName" if other.volume_name else "selects it by its labels"
    reference = {"namespace": other.namespace, "name": other.name}
    remedies = (merge("pv", volume, {"spec": {"claimRef": reference}}, f"reserve it for {other.key}"),)
    return Finding(
        code="PVB306",
        level="warning",
        subject=of_claim(claim),
        summary=f"it {verb} volume {volume.name}, the only one for claim {other.key}, which {how}",
        evidence=(
            Evidence(f"labels of {volume.name}", _shown(volume.labels)),
            Evidence("selector of this claim", "none"),
        ),
        rules=("FM-13", "FM-5"),
        way_out=remedies if verb == "gets" else (),
        others=(of_claim(other), of_volume(volume)),
        about=volume.name,
    )
