"""The scheduler's knowledge of the cluster: the shared informers' caches, and the assumed pods that it hasn't seen yet.

A pod is assumed in the same turn of the loop as the decision, before the first write, so that two pods never get the
same volume. It stays assumed until it has its node, or until the choice can't be carried out any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final, assert_never

from pvbinder.kube.client import Kind
from pvbinder.kube.informer import Added, Change, Deleted, Updated
from pvbinder.kube.informers import Informers
from pvbinder.kube.kinds import CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUMES
from pvbinder.model import resources
from pvbinder.model.objects import Claim, ClaimKey, NodeName, Pod, PodKey, Volume, VolumeName
from pvbinder.model.scheduling import (
    CsiDriver,
    CsiStorageCapacity,
    parse_csi_driver,
    parse_csi_storage_capacity,
)
from pvbinder.rules.scheduling import Cluster, NodeFit, Plan
from pvbinder.rules.world import Sources

DRIVERS: Final[Kind[CsiDriver]] = Kind(resources.CSI_DRIVERS, parse_csi_driver)
CAPACITIES: Final[Kind[CsiStorageCapacity]] = Kind(resources.CSI_STORAGE_CAPACITIES, parse_csi_storage_capacity)


@dataclass(slots=True)
class AssumedPod:
    """A node chosen for a pod, and how far we are with it."""

    pod_uid: str
    fit: NodeFit
    deadline: float  # by the loop's clock
    is_written: bool = False
    is_bound: bool = False


class SchedulerCaches(Cluster):
    """The `Cluster` of the scheduling rules."""

    def __init__(self, informers: Informers, crowd: Mapping[str, int] | None = None) -> None:
        self.pods = informers.of(PODS)
        self.nodes = informers.of(NODES)
        self.claims = informers.of(CLAIMS)
        self.volumes = informers.of(VOLUMES)
        self.classes = informers.of(STORAGE_CLASSES)
        self.drivers = informers.of(DRIVERS)
        self.capacities = informers.of(CAPACITIES)
        pods_by_claim = self.pods.add_index("claim", lambda pod: pod.claim_keys)
        super().__init__(
            Sources(
                volumes=self.volumes,
                claims=self.claims,
                classes=self.classes,
                pods_of=pods_by_claim.__getitem__,
            )
        )
        # pods that nodes have, assumed ones counted
        self._crowd: Counter[NodeName] = Counter({NodeName(name): count for name, count in (crowd or {}).items()})
        self.pods.add_handler(self._count)
        self._free_by_class = self.volumes.add_index("free by class", _class_of_free)
        self._reserved = self.volumes.add_index("reserved for claim", _claim_of)
        self._capacities_by_class = self.capacities.add_index("class", lambda capacity: (capacity.storage_class,))
        self._assumed: dict[PodKey, AssumedPod] = {}
        self._plans: dict[ClaimKey, dict[PodKey, Plan]] = {}
        self._volumes_reserved: dict[VolumeName, ClaimKey] = {}
        self._failures: dict[PodKey, Counter[NodeName]] = {}

    # -- what the rules ask

    def candidates(self, claim: Claim) -> Iterable[Volume]:
        """Return the volumes of the claim's class that are free or reserved for it."""
        reserved = (volume for volume in self._reserved[claim.key] if volume.storage_class == claim.storage_class)
        return chain(reserved, self._free_by_class[claim.storage_class])

    def csi_driver(self, name: str) -> CsiDriver | None:
        """Return the CSIDriver called `name`."""
        return self.drivers.get(name)

    def capacities_of_class(self, name: str) -> Iterable[CsiStorageCapacity]:
        """Return what is left of the class called `name`."""
        return self._capacities_by_class[name]

    def plan_for(self, key: ClaimKey) -> Plan | None:
        """Return what has been chosen for the claim with `key`, for whichever pod."""
        return next(iter(self._plans.get(key, {}).values()), None)

    def reserved_for(self, name: VolumeName) -> ClaimKey | None:
        """Return the claim that the volume called `name` has been chosen for."""
        return self._volumes_reserved.get(name)

    def is_placed(self, pod: Pod) -> bool:
        """Tell whether `pod` has a node, or is assumed to have one."""
        return pod.is_scheduled or pod.key in self._assumed

    def pods_on(self, node: NodeName) -> int:
        """Return how many pods `node` has, assumed ones counted."""
        return self._crowd[node]

    def failures_on(self, pod: PodKey, node: NodeName) -> int:
        """Return how often `pod` was assumed on `node` in vain."""
        return self._failures.get(pod, Counter())[node]

    # -- assumed pods

    def assumed_pod(self, pod: PodKey) -> AssumedPod | None:
        """Return the choice for `pod`, or None if it isn't assumed."""
        return self._assumed.get(pod)

    def assume(self, pod: Pod, fit: NodeFit, deadline: float) -> AssumedPod:
        """Assume that `pod` runs as `fit` says, and reserve the volumes for it."""
        self.forget_assumed(pod.key)
        assumed = self._assumed[pod.key] = AssumedPod(pod.uid, fit, deadline)
        self._crowd[fit.node] += 1
        for pairing in fit.pairings:
            self._plans.setdefault(pairing.claim, {})[pod.key] = Plan(fit.node, pairing.volume)
            self._volumes_reserved[pairing.volume] = pairing.claim
        for key in fit.provisions:
            self._plans.setdefault(key, {})[pod.key] = Plan(fit.node)
        return assumed

    def forget_assumed(self, pod: PodKey, *, in_vain: bool = False) -> bool:
        """Let go what was kept for `pod`; `in_vain`: avoid that node next time. False if it wasn't assumed."""
        assumed = self._assumed.pop(pod, None)
        if assumed is None:
            return False
        self._crowd[assumed.fit.node] -= 1
        if in_vain:
            self._failures.setdefault(pod, Counter())[assumed.fit.node] += 1
        for key in (*(pairing.claim for pairing in assumed.fit.pairings), *assumed.fit.provisions):
            plans = self._plans[key]
            del plans[pod]
            if not plans:
                del self._plans[key]
        for pairing in assumed.fit.pairings:
            if pairing.claim not in self._plans:
                self._volumes_reserved.pop(pairing.volume, None)
        return True

    def forget(self, pod: PodKey) -> None:
        """Forget everything about `pod`: it has its node, or is gone."""
        self.forget_assumed(pod)
        self._failures.pop(pod, None)

    @property
    def assumed_count(self) -> int:
        """The number of assumed pods: they have been given a node and don't have it yet."""
        return len(self._assumed)

    def _count(self, change: Change[Pod]) -> None:
        match change:
            case Added(object=pod):
                self._crowd.update(_takes_place(pod))
            case Updated(before=before, object=pod):
                self._crowd.subtract(_takes_place(before))
                self._crowd.update(_takes_place(pod))
            case Deleted(object=pod):
                self._crowd.subtract(_takes_place(pod))
            case _:
                assert_never(change)


def _takes_place(pod: Pod) -> tuple[NodeName, ...]:
    """The node whose place `pod` takes, if any."""
    return (NodeName(pod.node_name),) if pod.node_name and pod.phase not in ("Succeeded", "Failed") else ()


def _class_of_free(volume: Volume) -> tuple[str, ...]:
    return (volume.storage_class,) if volume.claim_ref is None and volume.phase == "Available" else ()


def _claim_of(volume: Volume) -> tuple[str, ...]:
    return (volume.claim_ref.key,) if volume.claim_ref is not None else ()
