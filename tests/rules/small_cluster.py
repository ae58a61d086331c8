"""A cluster of a few objects, and what it is made of, for the tests of the scheduling rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.rules.objects import NAMESPACE, claim, claim_ref, storage_class, volume

from pvbinder.model.json import Json, encode
from pvbinder.model.names import NO_PROVISIONER
from pvbinder.model.objects import (
    Claim,
    ClaimKey,
    Node,
    NodeName,
    Pod,
    PodKey,
    StorageClass,
    Volume,
    VolumeName,
    parse_node,
    parse_pod,
)
from pvbinder.model.scheduling import (
    CsiDriver,
    CsiStorageCapacity,
    parse_csi_driver,
    parse_csi_storage_capacity,
)
from pvbinder.rules.scheduling import (
    Cluster,
    NodeFit,
    Place,
    Plan,
    PodDecision,
    Unschedulable,
)
from pvbinder.rules.world import ObjectsByKey, Sources

PREEMPTION = (
    " no new claims to deallocate, preemption: 0/{n} nodes are available: {n} Preemption is not helpful for scheduling."
)
DELAYED = storage_class("slow", provisioner="csi.example.com", mode="WaitForFirstConsumer")
LOCAL = storage_class("local", provisioner=NO_PROVISIONER, mode="WaitForFirstConsumer")
BOUND = {"pv.kubernetes.io/bind-completed": "yes"}


@dataclass
class SmallCluster(Cluster):
    """A `Cluster` of a few objects."""

    claims: list[Claim] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    classes: list[StorageClass] = field(default_factory=lambda: [DELAYED, LOCAL])
    drivers: list[CsiDriver] = field(default_factory=list)
    capacities: list[CsiStorageCapacity] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    plans: dict[ClaimKey, Plan] = field(default_factory=dict)
    reserved: dict[VolumeName, ClaimKey] = field(default_factory=dict)
    crowd: dict[NodeName, int] = field(default_factory=dict)
    failures: dict[NodeName, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(
            Sources(
                volumes=ObjectsByKey(self.volumes),
                claims=ObjectsByKey(self.claims),
                classes=ObjectsByKey(self.classes),
                pods_of=lambda key: [each for each in self.pods if key in each.claim_keys],
            )
        )

    def candidates(self, claim: Claim) -> list[Volume]:
        return [each for each in self.volumes if each.storage_class == claim.storage_class]

    def csi_driver(self, name: str) -> CsiDriver | None:
        return next((each for each in self.drivers if each.name == name), None)

    def capacities_of_class(self, name: str) -> list[CsiStorageCapacity]:
        return [each for each in self.capacities if each.storage_class == name]

    def plan_for(self, key: ClaimKey) -> Plan | None:
        return self.plans.get(key)

    def reserved_for(self, name: VolumeName) -> ClaimKey | None:
        return self.reserved.get(name)

    def is_placed(self, pod: Pod) -> bool:
        return pod.is_scheduled

    def pods_on(self, node: NodeName) -> int:
        return self.crowd.get(node, 0)

    def failures_on(self, pod: PodKey, node: NodeName) -> int:
        return self.failures.get(node, 0)


def pod(name: str = "web", *, claims: Iterable[str] = (), status: Json | None = None, **spec: Any) -> Pod:
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-of-{name}"}
    spec.setdefault("volumes", volumes)
    return parse_pod(encode({"metadata": metadata, "spec": spec, "status": status or {}}))


def node(name: str = "node-1", labels: dict[str, str] | None = None, **spec: Any) -> Node:
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}}
    return parse_node(encode({"metadata": metadata, "spec": spec}))


def on_node(*names: str) -> Json:
    """The node affinity of a volume that can be used on these nodes only."""
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(names)}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


def bound_pair(name: str = "data", **of_volume: Any) -> tuple[Claim, Volume]:
    bound = claim(name, volume_name=f"disk-of-{name}", phase="Bound", annotations=BOUND)
    return bound, volume(f"disk-of-{name}", claim_ref=claim_ref(bound), phase="Bound", **of_volume)


def driver(*, reports_capacity: bool) -> CsiDriver:
    document = {"metadata": {"name": "csi.example.com"}, "spec": {"storageCapacity": reports_capacity}}
    return parse_csi_driver(encode(document))


def capacity(amount: str | None, *, zone: str | None = "a", largest: str | None = None) -> CsiStorageCapacity:
    document: Json = {"metadata": {"name": "c", "namespace": "kube-system"}, "storageClassName": "slow"}
    if amount is not None:
        document["capacity"] = amount
    if largest is not None:
        document["maximumVolumeSize"] = largest
    if zone is not None:
        document["nodeTopology"] = {"matchLabels": {"zone": zone}}
    return parse_csi_storage_capacity(encode(document))


def placed(decision: PodDecision) -> NodeFit:
    assert isinstance(decision, Place)
    return decision.fit


def why_not(decision: PodDecision) -> str:
    assert isinstance(decision, Unschedulable)
    return decision.message
