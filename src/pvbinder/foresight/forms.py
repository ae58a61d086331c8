"""A plan for the reports of pipelines: JUnit and SARIF.

PLAN_FORMS-1  Both have the problems that make the answer a no (PLAN-4), and no others: a pipeline that reads them and
              one that reads the exit code agree.
PLAN_FORMS-2  JUnit has a case for each object that was applied and each claim, SARIF a result for each problem, with
              file and line where the object stands in a manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from msgspec import UNSET, Struct

from pvbinder.audit.finding import AuditSubject
from pvbinder.audit.forms import clean_text, sarif_location, sarif_log, xml_attribute, xml_text
from pvbinder.audit.places import SourcePlace
from pvbinder.foresight.plan import ManifestPlan
from pvbinder.model.printable import printable

PlanProblemKind = Literal["Refused", "NoStorage", "KeepsClass", "MustAct", "OrderMatters"]

TITLES: Final[Mapping[PlanProblemKind, str]] = {
    "Refused": "The API server refuses the object",
    "NoStorage": "The claim gets no storage",
    "KeepsClass": "The claim keeps its class, although the manifest names another",
    "MustAct": "Somebody must act who needn't have before",
    "OrderMatters": "Another order of arrival has another outcome",
}


class PlanProblem(Struct, frozen=True):
    """One reason why the answer is no: of which `object` (``KIND NAME``), and the words for it."""

    kind: PlanProblemKind
    object: str
    message: str


def problems(plan: ManifestPlan) -> tuple[PlanProblem, ...]:
    """Return all that makes the answer a no (PLAN_FORMS-1)."""
    return tuple(_problems(plan))


def _problems(plan: ManifestPlan) -> Iterator[PlanProblem]:
    for refused in plan.refused:
        yield PlanProblem("Refused", refused.object, f"{refused.status} {refused.reason}: {refused.message}")
    for claim in plan.claims:
        if not claim.is_well:
            yield PlanProblem("NoStorage", f"PersistentVolumeClaim {claim.claim}", claim.summary or claim.phase)
    for kept in plan.kept:
        why = f"it keeps class {kept.storage_class}, although {kept.asked_by} names {kept.asked}"
        yield PlanProblem("KeepsClass", f"PersistentVolumeClaim {kept.claim}", why)
    for concern in plan.new_findings:
        yield PlanProblem("MustAct", concern.object, concern.summary)
    if plan.orders is not UNSET and plan.orders.differs:
        yield PlanProblem("OrderMatters", "the manifests", "another order of arrival has another outcome")


def as_junit(plan: ManifestPlan) -> str:
    """Return the plan as JUnit XML (PLAN_FORMS-2)."""
    cases: dict[str, list[PlanProblem]] = {name: [] for name in plan.applied}
    cases |= {f"PersistentVolumeClaim {claim.claim}": [] for claim in plan.claims}
    for problem in problems(plan):
        cases.setdefault(problem.object, []).append(problem)
    failures = sum(map(bool, cases.values()))
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    lines.append(
        f'<testsuite name="pvbinder plan" tests="{len(cases)}" failures="{failures}" errors="0" skipped="0" '
        f"timestamp={xml_attribute(plan.moment)}>"
    )
    for name, found in cases.items():
        inner = "".join(
            f"<failure message={xml_attribute(TITLES[one.kind])}>{xml_text(printable(one.message))}</failure>"
            for one in found
        )
        shown = xml_attribute(clean_text(printable(name)))
        lines.append(f'  <testcase classname="pvbinder.plan" name={shown}>{inner}</testcase>')
    return "\n".join([*lines, "</testsuite>", "</testsuites>"])


def as_sarif(plan: ManifestPlan, places: Mapping[AuditSubject, SourcePlace], version: str) -> str:
    """Return the plan as SARIF 2.1.0 of pvbinder `version` (PLAN_FORMS-2)."""
    by_name = {str(subject): place for subject, place in places.items()}
    found = problems(plan)
    kinds = sorted({one.kind for one in found})
    rules = [{"id": f"plan/{kind}", "shortDescription": {"text": TITLES[kind]}} for kind in kinds]
    results: list[dict[str, Any]] = [
        {
            "ruleId": f"plan/{one.kind}",
            "ruleIndex": kinds.index(one.kind),
            "level": "error",
            "message": {"text": printable(f"{one.object}: {one.message}")},
            "locations": [sarif_location(one.object, by_name.get(one.object))],
            "partialFingerprints": {"pvbinder/v1": f"plan/{one.kind}/{one.object}"},
        }
        for one in found
    ]
    return sarif_log(rules, results, version)
