"""The reason why a pod lacks its storage or can't start with it: its claims, one by one.

PODS-1  A pod is fine only if all its claims are fine, and nothing known keeps it from its node or its volumes.
"""

from __future__ import annotations

from pvbinder.insight.claims import explain_claim
from pvbinder.insight.evidence import scheduling_problem, starting_problem
from pvbinder.insight.explanation import ClaimExplanation, PodExplanation, Verdict
from pvbinder.insight.scheduling import foretold
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.unplaced import other_scheduler
from pvbinder.insight.wording import listed, nearest
from pvbinder.model.objects import Pod, PodVolume, claim_key
from pvbinder.rules.protection import owns_claim

SEVERITY: dict[Verdict, int] = {"Stuck": 0, "OnItsWay": 1, "Bound": 2}


def explain_pod(pod: Pod, snapshot: Snapshot) -> PodExplanation:
    """Say which of the pod's claims keep it waiting, and why."""
    claims = sorted(
        (_explain_volume(pod, volume, snapshot) for volume in pod.volumes),
        key=lambda explanation: SEVERITY[explanation.verdict],
    )
    problem = scheduling_problem(pod, snapshot) or starting_problem(pod, snapshot)
    stuck = [each.claim.partition("/")[2] for each in claims if each.verdict == "Stuck"]
    waiting = [each.claim.partition("/")[2] for each in claims if each.verdict == "OnItsWay"]
    if not problem and not pod.is_scheduled and not waiting and not stuck:
        decision = foretold(pod, snapshot)
        problem = decision.message if decision is not None else ""
    if stuck:
        verdict: Verdict = "Stuck"
        summary = f"somebody must act for claim {listed(stuck)}"
    elif problem and not pod.is_scheduled:
        verdict, summary = "Stuck", f"it can't be scheduled: {problem}"
    elif problem:
        verdict, summary = "Stuck", f"it doesn't get its volumes on node {pod.node_name}: {problem}"
    elif waiting:
        verdict, summary = "OnItsWay", f"it waits for claim {listed(waiting)}"
    elif pod.is_scheduled and list(snapshot.nodes()) and snapshot.node(pod.node_name) is None and not pod.is_terminated:
        verdict, summary = "Stuck", f"it is for node {pod.node_name}, which doesn't exist"
    elif not pod.is_scheduled and not pod.is_terminated and (scheduler := other_scheduler(pod)):
        verdict = "OnItsWay"
        summary = f"it waits for scheduler {scheduler}, which it names: what that decides can't be known here"
    else:
        verdict, summary = "Bound", "all its claims are bound" if claims else "it uses no claims"
    phase = "Terminating" if pod.is_deleting else pod.phase or "Pending"
    return PodExplanation(pod.key, phase, pod.node_name, verdict, summary, problem, tuple(claims))


def _explain_volume(pod: Pod, volume: PodVolume, snapshot: Snapshot) -> ClaimExplanation:
    key = claim_key(pod.namespace, volume.claim_name)
    claim = snapshot.claim(key)
    if claim is None:
        if volume.is_ephemeral:
            return ClaimExplanation(
                claim=key,
                phase="Missing",
                verdict="OnItsWay",
                reason="WillBind",
                rules=("EV-4",),
                summary=f"it is made for the pod's ephemeral volume {volume.name}",
                next="the ephemeral-volume controller creates it; if that doesn't happen, it isn't running",
            )
        near = nearest(volume.claim_name, (each.name for each in snapshot.claims() if each.namespace == pod.namespace))
        meant = f" (did you mean {near}?)" if near else ""
        return ClaimExplanation(
            claim=key,
            phase="Missing",
            verdict="Stuck",
            reason="ClaimMissing",
            rules=("PC-6",),
            summary=f"the pod's volume {volume.name} needs it and it doesn't exist{meant}",
            next="the pod starts when the claim exists and is bound",
            advice=(f"create claim {volume.claim_name} in namespace {pod.namespace}",),
        )
    if volume.is_ephemeral and not owns_claim(pod, claim):
        return ClaimExplanation(
            claim=key,
            phase=claim.phase or "Pending",
            verdict="Stuck",
            reason="ClaimIsAnothers",
            rules=("EV-3",),
            summary=f"the pod's ephemeral volume {volume.name} needs that name, but this claim isn't the pod's",
            next="nothing, until the name is free",
            advice=(f"delete claim {volume.claim_name}, or rename the pod or its volume",),
        )
    return explain_claim(claim, snapshot)
