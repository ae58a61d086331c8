"""What new manifests would do to a cluster, before they are applied: the answer of the controllers themselves.

PLAN-1  The manifests are applied to a copy whose controllers run; what the plan says is what they did there.
PLAN-2  A refusal is the API server's own, of the object that it was given.
PLAN-3  A claim whose class in the cluster isn't the one of the manifests keeps it, and that is said: neither a claim
        nor a StatefulSet's templates can change it.
PLAN-4  The answer is no (`is_well` False) if something is refused, if a claim gets nothing, if an object that is there
        gets worse, if a claim keeps another class, or if another order of arrival changes the outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from pvbinder.controllers.options import ControllerOptions
from pvbinder.foresight.applying import RefusedObject, apply, in_order
from pvbinder.foresight.differences import (
    AuditNote,
    Concern,
    Difference,
    audit_changes,
    differences,
    new_findings,
    picture_of,
)
from pvbinder.foresight.orders import Orders
from pvbinder.foresight.outcomes import ClaimOutcome, outcomes
from pvbinder.foresight.preparing import Prepared, Sourced
from pvbinder.foresight.rehearsal import rehearsal, run_rehearsal
from pvbinder.foresight.rehearse import TimelineEntry, entries, notes_of, stand_ins
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.json import Json
from pvbinder.model.objects import OwnerReference


class Kept(Struct, frozen=True, rename="camel"):
    """A claim that keeps its class although the manifests name another (PLAN-3)."""

    claim: str
    storage_class: str
    asked: str
    asked_by: str


class ManifestPlan(Struct, frozen=True, rename="camel", tag_field="kind", tag="Plan", kw_only=True):
    """What manifests would do; `version` grows when a field goes or changes its meaning."""

    moment: str  # the time of the copy, RFC 3339
    applied: dict[str, str]  # by object: created, changed or unchanged
    refused: tuple[RefusedObject, ...]
    claims: tuple[ClaimOutcome, ...]
    kept: tuple[Kept, ...]
    others: tuple[Difference, ...]  # objects that aren't the manifests' own
    new_findings: tuple[Concern, ...]
    new_audit: tuple[AuditNote, ...]  # findings of `pvbinder audit`, warnings and errors, that came
    mended_audit: tuple[AuditNote, ...]
    timeline: tuple[TimelineEntry, ...]
    stand_ins: tuple[str, ...]
    notes: tuple[str, ...]
    has_settled: bool
    orders: Orders | UnsetType = UNSET
    version: Literal[1] = 1

    @property
    def is_well(self) -> bool:
        """Tell whether the answer is yes (PLAN-4)."""
        return not (
            self.refused
            or self.kept
            or self.new_findings
            or any(not one.is_well for one in self.claims)
            or (self.orders is not UNSET and self.orders.differs)
        )


def plan(
    prepared: Prepared, new: Sourced, *, namespace: str = "default", options: ControllerOptions | None = None
) -> ManifestPlan:
    """Return what the objects of `new`, each with the name of its source, would do to the copy."""
    return run_rehearsal(lambda: _plan(prepared, in_order(new), namespace, options))


async def _plan(prepared: Prepared, new: Sourced, namespace: str, options: ControllerOptions | None) -> ManifestPlan:
    async with rehearsal(prepared, options) as copy:
        await copy.settle()
        before = copy.snapshot()
        picture_before = picture_of(before)
        began, told = copy.now, len(copy.occurrences)
        applied = await apply(copy, new, namespace=namespace)
        await copy.settle()
        after = copy.snapshot()
        picture_after = picture_of(after)
        claims = _claims_of(new, namespace, before, after)
        found = outcomes(before, after, claims)
        came, went = audit_changes(picture_before, picture_after)
        changed = differences(picture_before, picture_after)
        own = claims | {one.volume for one in found} | _pods_of(new, namespace, before, after)
        findings = new_findings(picture_before, picture_after)
        return ManifestPlan(
            moment=prepared.moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            applied={**applied.done},
            refused=tuple(applied.refused),
            claims=found,
            kept=tuple(_kept(new, namespace, before)),
            others=tuple(one for one in changed if one.name not in own),
            new_findings=tuple(one for one in findings if one.object.partition(" ")[2] not in claims),
            new_audit=came,
            mended_audit=went,
            timeline=entries(copy.occurrences[told:], began),
            stand_ins=stand_ins(copy.occurrences[told:]),
            notes=(*notes_of(copy, prepared), *applied.notes),
            has_settled=copy.has_settled,
        )


def _claims_of(new: Sourced, namespace: str, before: Snapshot, after: Snapshot) -> set[str]:
    """Return the claims that the manifests are about: their own, and those that came with them."""
    known = {str(claim.key) for claim in before.claims()}
    came = {str(claim.key) for claim in after.claims()} - known
    named = {
        f"{_namespace_of(document, namespace)}/{_name_of(document)}"
        for _, document in new
        if document.get("kind") == "PersistentVolumeClaim"
    }
    of_sets = {str(key) for document, _ in _sets(new) for key in _claims_of_set(document, namespace, before)}
    return came | named | of_sets


def _pods_of(new: Sourced, namespace: str, before: Snapshot, after: Snapshot) -> set[str]:
    """Return the new pods of the manifests: their own, and those of their workloads, but no other workload's."""
    named = {(str(one.get("kind")), _namespace_of(one, namespace), _name_of(one)) for _, one in new}
    known = {str(pod.key) for pod in before.pods()}
    came = [pod for pod in after.pods() if str(pod.key) not in known]
    return {str(pod.key) for pod in came if _is_made_by(pod.owner_references, pod.namespace, named, after)}


def _is_made_by(
    owners: Sequence[OwnerReference], namespace: str, named: set[tuple[str, str, str]], after: Snapshot
) -> bool:
    """Whether what has these owners is of the manifests: one of its owners is, or it has none."""
    if not owners or any((one.kind, namespace, one.name) in named for one in owners):
        return True
    above = [
        document
        for one in owners
        for document in after.others(one.kind)
        if (_namespace_of(document, namespace), _name_of(document)) == (namespace, one.name)
    ]
    references = [
        (str(one.get("kind")), namespace, str(one.get("name")))
        for document in above
        for one in _map(document, "metadata").get("ownerReferences") or ()
    ]
    return any(one in named for one in references)


def _kept(new: Sourced, namespace: str, before: Snapshot) -> Iterator[Kept]:
    """Give the claims that keep their class although the manifests name another (PLAN-3)."""
    for _, document in new:
        if document.get("kind") == "PersistentVolumeClaim":
            claim = before.claim(f"{_namespace_of(document, namespace)}/{_name_of(document)}")  # type: ignore[arg-type]
            asked = _map(document, "spec").get("storageClassName")
            if claim is not None and asked is not None and claim.has_class and asked != claim.storage_class:
                yield Kept(str(claim.key), claim.storage_class, str(asked), "its manifest")
    for document, templates in _sets(new):
        name = f"StatefulSet {_namespace_of(document, namespace)}/{_name_of(document)}"
        for key in _claims_of_set(document, namespace, before):
            claim = before.claim(key)  # type: ignore[arg-type]
            template = next(one for one in templates if claim is not None and _is_of(claim.name, one, document))
            asked = _map(template, "spec").get("storageClassName")
            if claim is not None and asked is not None and claim.has_class and asked != claim.storage_class:
                yield Kept(key, claim.storage_class, str(asked), name)


def _sets(new: Sourced) -> Iterator[tuple[Json, list[Json]]]:
    for _, document in new:
        templates = _map(document, "spec").get("volumeClaimTemplates")
        if document.get("kind") == "StatefulSet" and isinstance(templates, list):
            yield document, [one for one in templates if isinstance(one, dict)]


def _claims_of_set(document: Json, namespace: str, before: Snapshot) -> list[str]:
    templates = next((found for one, found in _sets([("", document)])), [])
    where = _namespace_of(document, namespace)
    claims = (claim for claim in before.claims() if claim.namespace == where)
    return sorted(str(claim.key) for claim in claims if any(_is_of(claim.name, one, document) for one in templates))


def _is_of(claim: str, template: Json, document: Json) -> bool:
    base = f"{_name_of(template)}-{_name_of(document)}-"
    return claim.startswith(base) and claim[len(base) :].isdecimal()


def _name_of(document: Json) -> str:
    return str(_map(document, "metadata").get("name") or "")


def _namespace_of(document: Json, namespace: str) -> str:
    return str(_map(document, "metadata").get("namespace") or namespace)


def _map(document: Json, name: str) -> Json:
    found = document.get(name)
    return found if isinstance(found, dict) else {}
