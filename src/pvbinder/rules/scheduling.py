"""On which node a pod can run, looking at the node's labels and taints and at the pod's claims (DB-4, FM-16).

`decide_pod` gives a node, with the volumes to reserve and the claims to have provisioned there, or says why there is
none in the words that the reference's scheduler uses. `decide_progress` says, for a pod whose node is chosen, whether
its claims have become what was chosen. Every node's own answer is a value (`NodeFit`, `NodeMisfit`), so that whoever
explains can show them all.

Not looked at: cpu, memory and the number of pods; affinity between pods and spreading; zone labels of volumes; how
many volumes a CSI driver can attach. Preferences don't count either: among nodes that fit, the one with the fewest
claims to provision, then with the fewest pods, then the first by name is taken.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, assert_never

from msgspec import Struct

from pvbinder.model.names import NO_PROVISIONER
from pvbinder.model.objects import Claim, ClaimKey, Node, NodeName, Pod, PodKey, StorageClass, Volume, VolumeName
from pvbinder.model.scheduling import (
    DEFAULT_SCHEDULER,
    CsiDriver,
    CsiStorageCapacity,
    PodDemands,
    Taint,
    allowed_topologies,
    demands_of,
    state_of,
)
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.classes import BindingModeError, is_delayed
from pvbinder.rules.matching import choose_for_node, is_bound_to, is_usable_on
from pvbinder.rules.protection import owns_claim
from pvbinder.rules.world import Lookups

READ_WRITE_ONCE_POD: Final = "ReadWriteOncePod"
_CORDON: Final = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")

NodeReason = Literal[
    "Unschedulable",
    "TaintNotTolerated",
    "AffinityDoesntMatch",
    "ClaimUsedByAnotherPod",
    "VolumeAffinityDoesntMatch",
    "NoVolumeToBind",
    "NotEnoughStorage",
    "VolumeMissing",
]

TEXTS: Final[Mapping[NodeReason, str]] = {
    "Unschedulable": "node(s) were unschedulable",
    "TaintNotTolerated": "node(s) had untolerated taint(s)",
    "AffinityDoesntMatch": "node(s) didn't match Pod's node affinity/selector",
    "ClaimUsedByAnotherPod": (
        "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
    ),
    "VolumeAffinityDoesntMatch": "node(s) didn't match PersistentVolume's node affinity",
    "NoVolumeToBind": "node(s) didn't find available persistent volumes to bind",
    "NotEnoughStorage": "node(s) did not have enough free storage",
    "VolumeMissing": "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
}
_EVICTION_COULD_HELP: Final = frozenset[NodeReason]({"ClaimUsedByAnotherPod"})


class Pairing(Struct, frozen=True):
    """A claim and the volume that is to be reserved for it."""

    claim: ClaimKey
    volume: VolumeName


class ProvisionThere(Struct, frozen=True):
    """No volume is free for the claim, and one can be made for it on the node (DB-4)."""


class NoStorage(Struct, frozen=True):
    """The claim can't have a volume on the node, and why."""

    reason: NodeReason


StorageThere: TypeAlias = Pairing | ProvisionThere | NoStorage


class NodeFit(Struct, frozen=True):
    """A node that the pod can run on, and the volumes and provisioning that this needs."""

    node: NodeName
    pairings: tuple[Pairing, ...] = ()
    provisions: tuple[ClaimKey, ...] = ()


class NodeMisfit(Struct, frozen=True):
    """A node that the pod can't run on, and why."""

    node: NodeName
    reasons: tuple[NodeReason, ...]


class Place(Struct, frozen=True):
    """Run the pod on this node, once its claims are bound there."""

    fit: NodeFit


class Unschedulable(Struct, frozen=True):
    """No node will do, or the claims aren't ready for any; `waits_for` names the storage classes that could help."""

    message: str
    misfits: tuple[NodeMisfit, ...] = ()
    waits_for: frozenset[str] = frozenset()


class LeaveAlone(Struct, frozen=True):
    """The pod is not ours to place, or not now."""


PodDecision: TypeAlias = Place | Unschedulable | LeaveAlone


class Plan(Struct, frozen=True):
    """The choice for a claim that may not be written yet; `volume` of None: provision it on the node."""

    node: NodeName
    volume: VolumeName | None = None


class Cluster(Lookups, ABC):
    """The facts for placing a pod: the caches, read only, and the reservations of other pods."""

    def users_of(self, key: ClaimKey) -> Iterable[Pod]:
        """Return the pods that refer to the claim with `key`, the one to be placed among them."""
        return self.pods_of(key)

    @abstractmethod
    def candidates(self, claim: Claim) -> Iterable[Volume]:
        """Return the volumes of the claim's class that are free or reserved for it; others may be among them."""

    @abstractmethod
    def csi_driver(self, name: str) -> CsiDriver | None:
        """Return the CSIDriver called `name`."""

    @abstractmethod
    def capacities_of_class(self, name: str) -> Iterable[CsiStorageCapacity]:
        """Return what is left of the class called `name`."""

    @abstractmethod
    def plan_for(self, key: ClaimKey) -> Plan | None:
        """Return what has been chosen for the claim with `key`, for whichever pod."""

    @abstractmethod
    def reserved_for(self, name: VolumeName) -> ClaimKey | None:
        """Return the claim that the volume called `name` has been chosen for."""

    @abstractmethod
    def is_placed(self, pod: Pod) -> bool:
        """Tell whether `pod` has a node, or is assumed to have one."""

    @abstractmethod
    def pods_on(self, node: NodeName) -> int:
        """Return how many pods `node` has, assumed ones counted."""

    @abstractmethod
    def failures_on(self, pod: PodKey, node: NodeName) -> int:
        """Return how often `pod` was assumed on `node` in vain."""


def is_ours(pod: Pod, scheduler: str = DEFAULT_SCHEDULER) -> bool:
    """Tell whether `pod` waits for this scheduler to give it a node."""
    if pod.is_scheduled or pod.is_deleting or pod.phase in ("Succeeded", "Failed"):
        return False
    demands = demands_of(pod)
    return demands.scheduler == scheduler and not demands.is_gated


def decide_pod(
    pod: Pod,
    nodes: Sequence[Node],
    cluster: Cluster,
    scheduler: str = DEFAULT_SCHEDULER,
    *,
    any_will_do: bool = False,
) -> PodDecision:
    """Return where `pod` is to run, or why it can't anywhere; the first node that fits if `any_will_do`.

    Claims of the pod that don't exist, are lost, are going or should have been bound at once stop it on every node.
    """
    if not is_ours(pod, scheduler):
        return LeaveAlone()
    if not nodes:
        return Unschedulable("no nodes available to schedule pods")
    claims = _sort_claims(pod, cluster)
    if isinstance(claims, _NotReady):
        return Unschedulable(_message(len(nodes), f"{claims.why}.", _no_help(len(nodes))))
    demands = demands_of(pod)
    answers: list[NodeFit | NodeMisfit] = []
    for node in nodes:
        answers.append(_filter(node, pod, demands, claims, cluster))
        if any_will_do and isinstance(answers[-1], NodeFit):
            break
    fits = [answer for answer in answers if isinstance(answer, NodeFit)]
    if fits:
        return Place(min(fits, key=lambda fit: _score(fit, pod, cluster)))
    misfits = tuple(answer for answer in answers if isinstance(answer, NodeMisfit))
    waits_for = frozenset(claim.storage_class for claim in claims.delayed)
    return Unschedulable(_no_fit_message(misfits), misfits, waits_for)


def _score(fit: NodeFit, pod: Pod, cluster: Cluster) -> tuple[int, int, int, str]:
    return (cluster.failures_on(pod.key, fit.node), len(fit.provisions), cluster.pods_on(fit.node), fit.node)


# ------------------------------------------------------------------------------------------------ the pod's claims


class _Claims(Struct, frozen=True):
    bound: tuple[Claim, ...]
    delayed: tuple[Claim, ...]  # smallest request first, so that the smallest volumes that do are taken


class _NotReady(Struct, frozen=True):
    why: str  # in the reference's words, without a full stop


def is_fully_bound(claim: Claim) -> bool:
    """Tell whether the bind of `claim` is completed."""
    return claim.volume_name != "" and claim.bind_completed


def _sort_claims(pod: Pod, cluster: Cluster) -> _Claims | _NotReady:
    """The claims of `pod` by what they need of a node, or why the pod can't run on any."""
    bound: dict[ClaimKey, Claim] = {}
    delayed: dict[ClaimKey, Claim] = {}
    has_unbound_immediate = False
    for volume, key in zip(pod.volumes, pod.claim_keys, strict=True):
        claim = cluster.claim(key)
        if claim is None:
            if volume.is_ephemeral:
                return _NotReady(
                    f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{volume.claim_name}"'
                )
            return _NotReady(f'persistentvolumeclaim "{volume.claim_name}" not found')
        if claim.phase == "Lost":
            return _NotReady(
                f'persistentvolumeclaim "{claim.name}" bound to non-existent persistentvolume "{claim.volume_name}"'
            )
        if claim.is_deleting:
            return _NotReady(f'persistentvolumeclaim "{claim.name}" is being deleted')
        if volume.is_ephemeral and not owns_claim(pod, claim):
            return _NotReady(f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)")
        if is_fully_bound(claim):
            bound[key] = claim
            continue
        try:
            waits = claim.volume_name == "" and is_delayed(cluster.storage_class(claim.storage_class))
        except BindingModeError as error:
            return _NotReady(error.message)
        if waits:
            delayed[key] = claim
        else:
            has_unbound_immediate = True
    if has_unbound_immediate:
        return _NotReady("pod has unbound immediate PersistentVolumeClaims")
    by_size = sorted(delayed.values(), key=lambda claim: (claim.request.nano, claim.name))
    return _Claims(tuple(bound.values()), tuple(by_size))


# ------------------------------------------------------------------------------------------------ one node


def _filter(node: Node, pod: Pod, demands: PodDemands, claims: _Claims, cluster: Cluster) -> NodeFit | NodeMisfit:
    """Whether the pod can run on `node`: like the reference's plugins, the first that refuses gives its reasons."""
    state = state_of(node)
    if state.is_unschedulable and not any(one.tolerates(_CORDON) for one in demands.tolerations):
        return NodeMisfit(node.key, ("Unschedulable",))
    for taint in state.taints:
        if taint.keeps_new_pods_off and not any(one.tolerates(taint) for one in demands.tolerations):
            return NodeMisfit(node.key, ("TaintNotTolerated",))
    if not _matches_affinity(node, demands):
        return NodeMisfit(node.key, ("AffinityDoesntMatch",))
    if _is_used_elsewhere(pod, claims, cluster):
        return NodeMisfit(node.key, ("ClaimUsedByAnotherPod",))
    return _filter_volumes(node, claims, cluster)


def _matches_affinity(node: Node, demands: PodDemands) -> bool:
    if any(node.labels.get(key) != value for key, value in demands.node_selector.items()):
        return False
    return demands.required_affinity is None or demands.required_affinity.matches(node.labels, node.name)


def _is_used_elsewhere(pod: Pod, claims: _Claims, cluster: Cluster) -> bool:
    """Whether another pod already has a claim of this one that only one pod may have."""
    return any(
        user.uid != pod.uid and user.phase not in ("Succeeded", "Failed") and cluster.is_placed(user)
        for claim in (*claims.bound, *claims.delayed)
        if READ_WRITE_ONCE_POD in claim.access_modes
        for user in cluster.users_of(claim.key)
    )


def _filter_volumes(node: Node, claims: _Claims, cluster: Cluster) -> NodeFit | NodeMisfit:
    reasons: list[NodeReason] = []
    for claim in claims.bound:
        volume = cluster.volume(claim.volume_name)
        if volume is None:
            reasons.append("VolumeMissing")
            break
        if not is_usable_on(volume, node.labels, node.name):
            reasons.append("VolumeAffinityDoesntMatch")
            break
    pairings: list[Pairing] = []
    provisions: list[ClaimKey] = []
    taken: set[str] = set()
    for claim in claims.delayed:
        found = storage_on(node, claim, cluster, frozenset(taken))
        match found:
            case Pairing(volume=name):
                taken.add(name)
                pairings.append(found)
            case ProvisionThere():
                provisions.append(claim.key)
            case NoStorage(reason=reason):
                reasons.append(reason)
                break
            case _:
                assert_never(found)
    if reasons:
        return NodeMisfit(node.key, tuple(reasons))
    return NodeFit(node.key, tuple(pairings), tuple(provisions))


def storage_on(node: Node, claim: Claim, cluster: Cluster, taken: frozenset[str] = frozenset()) -> StorageThere:
    """Return the volume for `claim` on `node` (FM-16), or that one is to be provisioned there (DB-4), or why not.

    Volumes in `taken` are left out: other claims of the pod get them.
    """
    plan = cluster.plan_for(claim.key)
    chosen_node = claim.selected_node if claim.selected_node is not None else plan.node if plan is not None else None
    if chosen_node is not None and chosen_node != node.name:
        return NoStorage("NoVolumeToBind")
    if plan is not None and plan.volume is not None:
        return Pairing(claim.key, plan.volume)
    if claim.selected_node is None and plan is None:
        volume = _free_volume(node, claim, taken, cluster)
        if volume is not None:
            return Pairing(claim.key, volume.key)
    storage_class = cluster.storage_class(claim.storage_class)
    if storage_class is None or storage_class.provisioner in ("", NO_PROVISIONER):
        return NoStorage("NoVolumeToBind")
    terms = allowed_topologies(storage_class)
    if terms and not any(term.matches(node.labels) for term in terms):
        return NoStorage("NoVolumeToBind")
    if not _has_room(node, claim, storage_class, cluster):
        return NoStorage("NotEnoughStorage")
    return ProvisionThere()


def _free_volume(node: Node, claim: Claim, taken: frozenset[str], cluster: Cluster) -> Volume | None:
    candidates = [
        volume for volume in cluster.candidates(claim) if cluster.reserved_for(volume.key) in (None, claim.key)
    ]
    try:
        return choose_for_node(candidates, claim, node, excluded=taken, is_delayed=True)
    except SelectorError:
        return None


def _has_room(node: Node, claim: Claim, storage_class: StorageClass, cluster: Cluster) -> bool:
    """Whether the driver has room for `claim` near `node`; a driver that doesn't publish what is left always has."""
    driver = cluster.csi_driver(storage_class.provisioner)
    if driver is None or not driver.reports_capacity:
        return True
    return any(
        capacity.holds(claim.request) and capacity.is_reachable_from(node.labels)
        for capacity in cluster.capacities_of_class(storage_class.name)
    )


# ------------------------------------------------------------------------------------------------ messages


def _no_fit_message(misfits: Sequence[NodeMisfit]) -> str:
    counted = Counter(TEXTS[reason] for misfit in misfits for reason in misfit.reasons)
    reasons = ", ".join(sorted(f"{count} {text}" for text, count in counted.items()))
    hopeful = sum(any(reason in _EVICTION_COULD_HELP for reason in misfit.reasons) for misfit in misfits)
    outcomes = []
    if hopeful:
        outcomes.append(f"{hopeful} No preemption victims found for incoming pod")
    if len(misfits) > hopeful:
        outcomes.append(_no_help(len(misfits) - hopeful))
    return _message(len(misfits), f"{reasons}.", ", ".join(sorted(outcomes)))


def _no_help(count: int) -> str:
    return f"{count} Preemption is not helpful for scheduling"


def _message(count: int, why: str, preemption: str) -> str:
    available = f"0/{count} nodes are available:"
    return f"{available} {why} no new claims to deallocate, preemption: {available} {preemption}."


# ------------------------------------------------------------------------------------------------ after the choice


class BindPod(Struct, frozen=True):
    """All claims are bound as chosen: give the pod its node."""


class WaitForClaims(Struct, frozen=True):
    """These claims are not bound yet."""

    claims: tuple[ClaimKey, ...]


class ChooseAgain(Struct, frozen=True):
    """The choice can't be carried out any more."""

    why: str


Progress: TypeAlias = BindPod | WaitForClaims | ChooseAgain


def decide_progress(fit: NodeFit, node: Node | None, cluster: Cluster) -> Progress:
    """Say how far the claims of a pod are on the way to what `fit` chose; `node` is that of the choice, if it is there.

    A provisioner that gives up takes the selected node away from the claim: then another node is chosen (LB-22).
    """
    if node is None:
        return ChooseAgain(f'nodeinfo not found for node name "{fit.node}"')
    waiting: list[ClaimKey] = []
    wanted: dict[ClaimKey, VolumeName | None] = {pairing.claim: pairing.volume for pairing in fit.pairings}
    wanted.update((key, None) for key in fit.provisions)
    for key, volume_name in wanted.items():
        claim = cluster.claim(key)
        if claim is None:
            return ChooseAgain(f'could not get pvc "{key}": it is gone')
        if is_fully_bound(claim):
            volume = cluster.volume(claim.volume_name)
            if volume is not None and not is_usable_on(volume, node.labels, node.name):
                return ChooseAgain(
                    f'pv "{volume.name}" node affinity doesn\'t match node "{node.name}": no matching NodeSelectorTerms'
                )
            continue
        if volume_name is None:
            if claim.selected_node != fit.node:
                return ChooseAgain(f'provisioning failed for PVC "{claim.name}"')
        else:
            volume = cluster.volume(volume_name)
            if volume is None or not is_bound_to(volume, claim):
                return ChooseAgain(f'pv "{volume_name}" is no longer reserved for pvc "{key}"')
        waiting.append(key)
    return WaitForClaims(tuple(waiting)) if waiting else BindPod()
