"""Why a claim that is being deleted is still there."""

from __future__ import annotations

from typing import assert_never

from pvbinder.insight.explanation import Finding, on_its_way, stuck
from pvbinder.insight.finalizers import what_removes
from pvbinder.insight.remedies import Do, Kubectl, Remedy
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed
from pvbinder.model.names import PVC_PROTECTION_FINALIZER
from pvbinder.model.objects import Claim, Pod
from pvbinder.rules import protection


def deletion(claim: Claim, snapshot: Snapshot) -> Finding:
    """Name the pods that keep the deleted `claim`, by the rules of the protection controller."""
    pods = list(snapshot.pods_of(claim.key))
    decision = protection.decide_claim_finalizer(claim, pods, pods)
    match decision:
        case protection.KeepFinalizer(user=user, rule=rule):
            users = sorted((pod for pod in pods if protection.blocks_deletion(pod, claim)), key=lambda pod: pod.name)
            names = listed([pod.name for pod in users]) or user
            return stuck(
                "ProtectedByPod",
                (rule, "PC-16"),
                f"it is being deleted and kept as long as pod {names} uses it",
                *_let_go(users),
                then="it goes away when no pod that has a node refers to it any more, finished pods included",
                with_volumes=False,
            )
        case protection.AddFinalizer() | protection.RemoveFinalizer() | protection.AskPods() | protection.Settled():
            return _finalizers(claim, snapshot)
        case _:
            assert_never(decision)


def _let_go(users: list[Pod]) -> list[Remedy]:
    remedies: list[Remedy] = []
    owners = {f"{each.kind} {each.name}" for pod in users for each in pod.owner_references if each.controller}
    if owners:
        remedies.append(Do(f"scale {listed(sorted(owners))} to 0 or delete it, or else its pods come back"))
    if users:
        names = tuple(pod.name for pod in users)
        why = "delete the pods that use it, finished ones too"
        remedies.append(Kubectl(why, ("delete", "pod", *names, "-n", users[0].namespace)))
    return remedies or [Do("delete the pods that use it, finished ones too")]


def _finalizers(claim: Claim, snapshot: Snapshot) -> Finding:
    others = [finalizer for finalizer in claim.finalizers if finalizer != PVC_PROTECTION_FINALIZER]
    if not others:
        return on_its_way(
            "IsGoingAway",
            ("PC-11",),
            "it is being deleted and nothing uses it",
            "its protection finalizer is removed and it goes away",
            with_volumes=False,
        )
    known = [f"{each} {when}" for each in others if (when := what_removes(each, claim, snapshot))]
    return stuck(
        "HeldByFinalizers",
        ("DE-3",),
        f"it is being deleted and held by {listed(others)}",
        Do("see why whoever put the finalizer there hasn't removed it; removing it by hand skips its clean-up"),
        then="; ".join(known) or "whoever put that finalizer there has to remove it",
        with_volumes=False,
    )
