"""The pods of a StatefulSet that wait for their storage, in order, each with its claims.

SETS-1  Pods and claims that the set wants and that don't exist are named, with the controller that makes them.
SETS-2  A claim that differs from its template is named: a template makes claims, and never changes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from pvbinder.insight.claims import explain_claim
from pvbinder.insight.explanation import ClaimExplanation, PodExplanation, SetExplanation, Verdict
from pvbinder.insight.pods import SEVERITY, explain_pod
from pvbinder.insight.remedies import Do, merge, sentence
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, claim_key
from pvbinder.model.quantity import Quantity, QuantityError, parse_quantity
from pvbinder.model.stateful_sets import StatefulSet
from pvbinder.rules.stateful_sets import claim_name


def explain_set(stateful_set: StatefulSet, snapshot: Snapshot) -> SetExplanation:
    """Return the pods of the set that wait for storage, with the reasons."""
    pods: list[PodExplanation] = []
    remarks: list[str] = []
    advice: list[str] = []
    for ordinal in stateful_set.ordinals:
        explanation = _member(stateful_set, ordinal, snapshot)
        pods.append(explanation)
        if explanation.verdict != "Bound" and not stateful_set.is_parallel:
            later = len(stateful_set.ordinals) - len(pods)
            if later and not any(snapshot.pod(_pod_key(stateful_set, each)) for each in _after(stateful_set, ordinal)):
                more = "1 more pod comes" if later == 1 else f"{later} more pods come"
                remarks.append(f"{more} only after {explanation.pod.partition('/')[2]} (OrderedReady)")
                break
    for claim, template, ordinal in _claims(stateful_set, snapshot):
        remarks += _differences(claim, template, advice, ordinal)
    verdict: Verdict = min((each.verdict for each in pods), key=SEVERITY.__getitem__, default="Bound")
    return SetExplanation(
        stateful_set=stateful_set.key,
        verdict=verdict,
        summary=_summary(pods, verdict),
        remarks=tuple(dict.fromkeys(remarks)),
        pods=tuple(each for each in pods if each.verdict != "Bound"),
        advice=tuple(dict.fromkeys(advice)),
    )


def _summary(pods: list[PodExplanation], verdict: Verdict) -> str:
    waiting = [each.pod.partition("/")[2] for each in pods if each.verdict == verdict]
    fine = sum(each.verdict == "Bound" for each in pods)
    match verdict:
        case "Bound":
            return f"all its {len(pods)} pods have their storage" if pods else "it wants no pods"
        case "OnItsWay":
            return f"pod {listed(waiting)} waits for storage, which is on its way; {fine} have theirs"
        case "Stuck":
            return f"somebody must act for pod {listed(waiting)}; {fine} have their storage"


def _after(stateful_set: StatefulSet, ordinal: int) -> range:
    return range(ordinal + 1, stateful_set.ordinals.stop)


def _pod_key(stateful_set: StatefulSet, ordinal: int) -> str:
    return f"{stateful_set.namespace}/{stateful_set.name}-{ordinal}"


def _member(stateful_set: StatefulSet, ordinal: int, snapshot: Snapshot) -> PodExplanation:
    key = _pod_key(stateful_set, ordinal)
    pod = snapshot.pod(key)
    if pod is not None:
        return explain_pod(pod, snapshot)
    claims = [_claim(stateful_set, template, ordinal, snapshot) for template in stateful_set.claim_templates]
    claims.sort(key=lambda each: SEVERITY[each.verdict])
    stuck = [each.claim.partition("/")[2] for each in claims if each.verdict == "Stuck"]
    verdict: Verdict = "Stuck" if stuck else "OnItsWay"
    summary = "it doesn't exist yet; the StatefulSet controller makes it"
    if stuck:
        summary = f"it doesn't exist, and somebody must act for claim {listed(stuck)}"
    return PodExplanation(key, "Missing", "", verdict, summary, "", tuple(claims))


def _claim(stateful_set: StatefulSet, template: Json, ordinal: int, snapshot: Snapshot) -> ClaimExplanation:
    name = claim_name(stateful_set, template, ordinal)
    claim = snapshot.claim(claim_key(stateful_set.namespace, name))
    if claim is not None:
        return explain_claim(claim, snapshot)
    return ClaimExplanation(
        claim=f"{stateful_set.namespace}/{name}",
        phase="Missing",
        verdict="OnItsWay",
        reason="WillBind",
        rules=(),
        summary=f"it is made from template {_name_of(template)} before its pod",
        next="the StatefulSet controller creates it; if that doesn't happen, it isn't running or may not",
    )


def _name_of(template: Json) -> str:
    return str((template.get("metadata") or {}).get("name") or "")


def _claims(stateful_set: StatefulSet, snapshot: Snapshot) -> Iterator[tuple[Claim, Json, int]]:
    for ordinal in stateful_set.ordinals:
        for template in stateful_set.claim_templates:
            name = claim_name(stateful_set, template, ordinal)
            claim = snapshot.claim(claim_key(stateful_set.namespace, name))
            if claim is not None:
                yield claim, template, ordinal


def _differences(claim: Claim, template: Json, advice: list[str], ordinal: int) -> Iterator[str]:
    """The fields of the template that have changed since the claim was made (SETS-2)."""
    spec = template.get("spec") or {}
    wanted = _size(spec)
    if wanted is not None and wanted > claim.request:
        yield f"template {_name_of(template)} asks for {wanted}, claim {claim.name} for {claim.request}"
        change = {"spec": {"resources": {"requests": {"storage": str(wanted)}}}}
        advice.append(
            sentence(merge("pvc", claim, change, f"grow claim {claim.name} itself, if its class allows that"))
        )
    wanted_class = spec.get("storageClassName")
    if wanted_class is not None and wanted_class != claim.storage_class:
        has = claim.storage_class or "none"
        yield f"template {_name_of(template)} names class {wanted_class}, claim {claim.name} {has}"
        advice.append(
            sentence(Do(f"delete claim {claim.name} and pod {ordinal} to have it made anew, if its data isn't needed"))
        )


def _size(spec: Json) -> Quantity | None:
    requests = (spec.get("resources") or {}).get("requests") or {}
    try:
        return parse_quantity(str(requests["storage"]))
    except (KeyError, QuantityError):
        return None
