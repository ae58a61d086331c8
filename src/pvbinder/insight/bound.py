"""The steps that a bound claim still waits for: growing, modification, and a node where its pods can use it.

BOUND-1  A claim is fine only if nothing known keeps a pod from using it: its volume isn't being deleted, a node can
         reach the volume, and so can the nodes of its pods.
BOUND-2  A growth or modification that nobody carries out is a reason to act; one that is under way isn't.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pvbinder.insight.bound_claim import stuck_with, what_it_has
from pvbinder.insight.evidence import scheduling_problem, starting_problem
from pvbinder.insight.explanation import Finding
from pvbinder.insight.finalizers import shown_finalizers
from pvbinder.insight.growth import growth, modification
from pvbinder.insight.remedies import Do, Kubectl, RecreatePod, Remedy, merge
from pvbinder.insight.scheduling import foretold, nodes_for, shown_affinity
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed
from pvbinder.model.objects import Claim, Pod, Volume
from pvbinder.rules.matching import is_usable_on
from pvbinder.rules.scheduling import READ_WRITE_ONCE_POD

NOTHING_LEFT: Final = "nothing is left to do"
_ONE_NODE: Final = frozenset({"ReadWriteOnce", READ_WRITE_ONCE_POD})


def bound(claim: Claim, volume: Volume, rule: str, snapshot: Snapshot) -> Finding:
    """Say whether anything is left to do for `claim`, which has `volume`."""
    rules = (rule,)
    return (
        _volume_going(claim, volume, rules, snapshot)
        or _unreachable(claim, volume, rules, snapshot)
        or _pods(claim, volume, rules, snapshot)
        or growth(claim, volume, rules, snapshot)
        or modification(claim, volume, rules, snapshot)
        or _fine(claim, volume, rules)
    )


def _fine(claim: Claim, volume: Volume, rules: tuple[str, ...]) -> Finding:
    return Finding(
        verdict="Bound",
        reason="Bound",
        rules=rules,
        summary=what_it_has(claim, volume),
        next=NOTHING_LEFT,
        volume=volume.name,
        with_volumes=False,
    )


# ------------------------------------------------------------------------------------------------ the volume


def _volume_going(claim: Claim, volume: Volume, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    if not volume.is_deleting:
        return None
    remedies: list[Remedy] = []
    if volume.reclaim_policy == "Delete":
        why = "keep the storage when the volume object goes"
        remedies.append(merge("pv", volume, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}, why))
    remedies.append(
        Do(f"if it was deleted by mistake: save its object, delete the claim, and create volume {volume.name} anew")
    )
    remedies.append(Do("move the data to another claim; a deletion can't be taken back"))
    return stuck_with(
        "VolumeIsGoing",
        (*rules, "PP-2"),
        f"{what_it_has(claim, volume)}, which is being deleted since {volume.deletion_timestamp} and held by "
        f"{shown_finalizers(volume, snapshot) or 'nobody'}",
        volume,
        *remedies,
        then="it goes away when this claim does; pods that start now may not get it attached",
    )


def _unreachable(claim: Claim, volume: Volume, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    if volume.node_affinity is None or not list(snapshot.nodes()) or nodes_for(volume, snapshot):
        return None
    affinity = shown_affinity(volume)
    remedies: list[Remedy] = [Do(f"bring back the node with {affinity}, or give another that has its data that label")]
    remedies.append(Do("restore the data to a new claim, if that node is gone for good"))
    return stuck_with(
        "VolumeUnreachable",
        (*rules, "FM-15"),
        f"{what_it_has(claim, volume)}, and no node satisfies its node affinity ({affinity})",
        volume,
        *remedies,
        then="no pod that uses it can start",
    )


# ------------------------------------------------------------------------------------------------ its pods


def _pods(claim: Claim, volume: Volume, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    pods = [pod for pod in snapshot.pods_of(claim.key) if not pod.is_terminated and pod.phase != "Running"]
    for pod in sorted(pods, key=lambda each: each.name):
        found = _pod(claim, volume, pod, rules, snapshot)
        if found is not None:
            return found
    return None


def _pod(claim: Claim, volume: Volume, pod: Pod, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    """Why `pod`, which isn't running, can't use the volume."""
    if not pod.is_scheduled:
        decision = foretold(pod, snapshot)
        problem = scheduling_problem(pod, snapshot) or (decision.message if decision is not None else "")
        storage_is_why = decision is not None and any(
            reason in ("VolumeAffinityDoesntMatch", "ClaimUsedByAnotherPod", "VolumeMissing")
            for misfit in decision.misfits
            for reason in misfit.reasons
        )
        if not problem or not (storage_is_why or _is_about_storage(problem)):
            return None
        return stuck_with(
            "PodCannotBeScheduled",
            (*rules, "FM-15"),
            f"{what_it_has(claim, volume)}, and pod {pod.name} can't be scheduled: {problem}",
            volume,
            *_let_schedule(claim, volume, pod, snapshot),
            then="the scheduler tries again when nodes, volumes or pods change",
        )
    node = snapshot.node(pod.node_name)
    if node is None and list(snapshot.nodes()):
        return stuck_with(
            "PodNodeMissing",
            rules,
            f"{what_it_has(claim, volume)}, and pod {pod.name} is for node {pod.node_name}, which doesn't exist",
            volume,
            *_without_node(pod, snapshot),
            then=f"pod {pod.name} starts when a node {pod.node_name} joins, or never",
        )
    if node is not None and not is_usable_on(volume, node.labels, node.name):
        usable = listed(sorted(each.name for each in nodes_for(volume, snapshot)))
        return stuck_with(
            "PodOnWrongNode",
            (*rules, "FM-15"),
            f"{what_it_has(claim, volume)}, which can only be used on {usable} ({shown_affinity(volume)}), "
            f"and pod {pod.name} is on node {pod.node_name}",
            volume,
            *_without_node(pod, snapshot),
            then=f"pod {pod.name} stays as it is: its volume can't be mounted there",
        )
    return _used_elsewhere(claim, volume, pod, rules, snapshot) or _refused(claim, volume, pod, rules, snapshot)


def _is_about_storage(problem: str) -> bool:
    return any(word in problem for word in ("volume", "Volume", "storage"))


def _without_node(pod: Pod, snapshot: Snapshot) -> Iterator[Remedy]:
    yield RecreatePod(
        pod=pod.key,
        without=("spec.nodeName",),
        owner=_owner(pod),
        because="the scheduler picks a node that can use the volume",
    )


def _owner(pod: Pod) -> str:
    owner = next((each for each in pod.owner_references if each.controller), None)
    return f"{owner.kind} {owner.name}" if owner is not None else ""


def _let_schedule(claim: Claim, volume: Volume, pod: Pod, snapshot: Snapshot) -> Iterator[Remedy]:
    others = [
        other
        for other in snapshot.pods_of(claim.key)
        if other.uid != pod.uid and other.is_scheduled and not other.is_terminated
    ]
    if READ_WRITE_ONCE_POD in claim.access_modes and others:
        for other in others:
            yield _delete_pod(other, "only one pod may have it (ReadWriteOncePod)")
        return
    usable = nodes_for(volume, snapshot)
    if volume.node_affinity is not None and usable:
        names = listed(sorted(node.name for node in usable))
        yield Do(
            f"let pod {pod.name} run on {names}, where the volume is: its node selector, affinity and tolerations must "
            "allow that, and the node must have room"
        )
    else:
        yield Do(f"change what pod {pod.name} asks of its node, or add a node that has it")
    if volume.node_affinity is not None:
        yield Do("or move the data to a claim whose volume is where the pod may run")


def _delete_pod(pod: Pod, why: str) -> Kubectl:
    return Kubectl(f"delete pod {pod.name}: {why}", ("delete", "pod", pod.name, "-n", pod.namespace))


def _used_elsewhere(
    claim: Claim, volume: Volume, pod: Pod, rules: tuple[str, ...], snapshot: Snapshot
) -> Finding | None:
    """The finding that another node still has the volume, which only one node may have (Multi-Attach error)."""
    if not set(volume.access_modes) <= _ONE_NODE or volume.source in ("nfs", "hostPath"):
        return None
    others = [
        other
        for other in snapshot.pods_of(claim.key)
        if other.is_scheduled and other.node_name != pod.node_name and not other.is_terminated
    ]
    attached = [each.node for each in snapshot.attachments_of(volume.name) if each.is_attached]
    elsewhere = [node for node in attached if node != pod.node_name]
    if not others and not elsewhere:
        return None
    if pod.node_name in attached:
        return None
    users = listed(sorted(f"pod {other.name} on {other.node_name}" for other in others))
    who = users or f"node {listed(sorted(elsewhere))}"
    remedies: list[Remedy] = [_delete_pod(other, "one node at a time may use it (ReadWriteOnce)") for other in others]
    if others:
        remedies.append(Do(f"let pod {pod.name} run on the same node, or use a volume that offers ReadWriteMany"))
    else:
        remedies.append(Do(f"let node {listed(sorted(elsewhere))} go: the attacher detaches the volume from it then"))
    return stuck_with(
        "UsedOnAnotherNode",
        rules,
        f"{what_it_has(claim, volume)} for one node at a time, {who} has it, and pod {pod.name} is on {pod.node_name}",
        volume,
        *remedies,
        then=f"pod {pod.name} starts when the volume is detached from the other node",
    )


def _refused(claim: Claim, volume: Volume, pod: Pod, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    problem = starting_problem(pod, snapshot)
    failed = next((each.error for each in snapshot.attachments_of(volume.name) if each.error), "")
    if not problem and not failed:
        return None
    driver = volume.csi.driver if volume.csi is not None else None
    drivers = snapshot.drivers_on(pod.node_name)
    remedies: list[Remedy] = []
    if driver and drivers is not None and driver not in drivers:
        remedies.append(
            Do(f"run the node plugin of {driver} on node {pod.node_name}: CSINode {pod.node_name} lacks it")
        )
    remedies.append(Do("put right what the message above says; it is tried again by itself"))
    return stuck_with(
        "PodCannotStart",
        rules,
        f"{what_it_has(claim, volume)}, and pod {pod.name} doesn't get it on {pod.node_name}: {problem or failed}",
        volume,
        *remedies,
        then="the kubelet tries again and again",
    )
