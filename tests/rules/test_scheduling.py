"""Where pods can run: each reason why not, in the reference's words, and what delayed claims need (FM-16, DB-4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.rules.objects import NAMESPACE, claim, claim_ref, storage_class, volume

from pvbinder.model.json import Json, encode
from pvbinder.model.names import NO_PROVISIONER, SELECTED_NODE
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
    BindPod,
    ChooseAgain,
    Cluster,
    LeaveAlone,
    NodeFit,
    Pairing,
    Place,
    Plan,
    PodDecision,
    Unschedulable,
    WaitForClaims,
    decide_pod,
    decide_progress,
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


# ------------------------------------------------------------------------------------------------ whose pod


@pytest.mark.parametrize(
    "other",
    [
        pod(schedulerName="by-hand"),
        pod(nodeName="node-2"),
        pod(schedulingGates=[{"name": "wait"}]),
        pod(status={"phase": "Failed"}),
    ],
    ids=["another scheduler's", "placed", "gated", "over"],
)
def test_a_pod_that_is_not_ours_to_place_is_left_alone(other: Pod) -> None:
    assert decide_pod(other, [node()], SmallCluster()) == LeaveAlone()


def test_a_pod_without_demands_goes_where_the_fewest_pods_are() -> None:
    cluster = SmallCluster(crowd={NodeName("a"): 2, NodeName("b"): 1, NodeName("c"): 1})

    assert placed(decide_pod(pod(), [node("c"), node("b"), node("a")], cluster)).node == "b"


def test_a_node_where_it_failed_before_is_taken_last() -> None:
    cluster = SmallCluster(crowd={NodeName("b"): 5}, failures={NodeName("a"): 1})

    assert placed(decide_pod(pod(), [node("a"), node("b")], cluster)).node == "b"


def test_without_nodes_the_text_is_the_reference_s() -> None:
    assert why_not(decide_pod(pod(), [], SmallCluster())) == "no nodes available to schedule pods"


# ------------------------------------------------------------------------------------------------ nodes

TAINT = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
REFUSING_NODES: dict[str, tuple[Json, Json, str | None]] = {  # what the pod says, what the node says, why not
    "cordoned": ({}, {"unschedulable": True}, "1 node(s) were unschedulable"),
    "cordoned, but tolerated": (
        {"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]},
        {"unschedulable": True},
        None,
    ),
    "tainted": ({}, {"taints": [TAINT]}, "1 node(s) had untolerated taint(s)"),
    "tainted, but soft": ({}, {"taints": [TAINT | {"effect": "PreferNoSchedule"}]}, None),
    "tainted, same value tolerated": (
        {"tolerations": [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]},
        {"taints": [TAINT]},
        None,
    ),
    "tainted, another value tolerated": (
        {"tolerations": [{"key": "dedicated", "operator": "Equal", "value": "web"}]},
        {"taints": [TAINT]},
        "1 node(s) had untolerated taint(s)",
    ),
    "tainted, another effect tolerated": (
        {"tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}]},
        {"taints": [TAINT]},
        "1 node(s) had untolerated taint(s)",
    ),
    "tainted, everything tolerated": ({"tolerations": [{"operator": "Exists"}]}, {"taints": [TAINT]}, None),
    "selector doesn't match": (
        {"nodeSelector": {"disk": "ssd"}},
        {},
        "1 node(s) didn't match Pod's node affinity/selector",
    ),
    "affinity doesn't match": (
        {
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": on_node("node-2")["required"]}
            }
        },
        {},
        "1 node(s) didn't match Pod's node affinity/selector",
    ),
    "affinity matches": (
        {
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": on_node("node-1")["required"]}
            }
        },
        {},
        None,
    ),
}


@pytest.mark.parametrize(("asks", "says", "reason"), REFUSING_NODES.values(), ids=REFUSING_NODES.keys())
def test_what_a_node_and_a_pod_say_of_each_other(asks: Json, says: Json, reason: str | None) -> None:
    decision = decide_pod(pod(**asks), [node(**says)], SmallCluster())

    if reason is None:
        assert placed(decision).node == "node-1"
    else:
        assert why_not(decision) == f"0/1 nodes are available: {reason}." + PREEMPTION.format(n=1)


def test_reasons_of_several_nodes_are_counted_and_sorted() -> None:
    nodes = [node("a", taints=[TAINT]), node("b", unschedulable=True), node("c", unschedulable=True)]

    assert why_not(decide_pod(pod(), nodes, SmallCluster())) == (
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) were unschedulable."
        + PREEMPTION.format(n=3)
    )


# ------------------------------------------------------------------------------------------------ claims

BAD_CLAIMS: dict[str, tuple[list[Claim], str]] = {
    "missing": ([], 'persistentvolumeclaim "data" not found.'),
    "lost": (
        [claim("data", phase="Lost", volume_name="disk-1", annotations=BOUND)],
        'persistentvolumeclaim "data" bound to non-existent persistentvolume "disk-1".',
    ),
    "going": ([claim("data", is_deleting=True)], 'persistentvolumeclaim "data" is being deleted.'),
    "unbound, immediate": ([claim("data")], "pod has unbound immediate PersistentVolumeClaims."),
    "unbound, its class doesn't exist": (
        [claim("data", storage_class="gone")],
        "pod has unbound immediate PersistentVolumeClaims.",
    ),
    "delayed, but pre-bound": (
        [claim("data", storage_class="slow", volume_name="disk-1")],
        "pod has unbound immediate PersistentVolumeClaims.",
    ),
}


@pytest.mark.parametrize(("claims", "reason"), BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
def test_claims_that_keep_a_pod_from_every_node(claims: list[Claim], reason: str) -> None:
    decision = decide_pod(pod(claims=["data"]), [node("a"), node("b")], SmallCluster(claims=claims))

    assert why_not(decision) == f"0/2 nodes are available: {reason}" + PREEMPTION.format(n=2)


def test_a_claim_to_be_made_for_the_pod_is_waited_for() -> None:
    waiting = pod(volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}])

    assert why_not(decide_pod(waiting, [node()], SmallCluster())).startswith(
        "0/1 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim "
        '"web-scratch".'
    )


def test_a_claim_made_for_another_pod_is_refused() -> None:
    waiting = pod(volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}])
    cluster = SmallCluster(claims=[claim("web-scratch", storage_class="slow")])

    assert f"PVC {NAMESPACE}/web-scratch was not created for pod {NAMESPACE}/web (pod is not owner)." in why_not(
        decide_pod(waiting, [node()], cluster)
    )


def test_a_bound_claim_leads_the_pod_to_its_volume() -> None:
    bound, disk = bound_pair(node_affinity=on_node("b"))

    decision = decide_pod(pod(claims=["data"]), [node("a"), node("b")], SmallCluster([bound], [disk]))

    assert placed(decision) == NodeFit(NodeName("b"))


def test_a_volume_on_no_node_keeps_the_pod_waiting() -> None:
    bound, disk = bound_pair(node_affinity=on_node("z"))

    decision = decide_pod(pod(claims=["data"]), [node("a")], SmallCluster([bound], [disk]))

    assert "1 node(s) didn't match PersistentVolume's node affinity." in why_not(decision)


def test_a_bound_claim_without_its_volume_keeps_the_pod_waiting() -> None:
    bound, _ = bound_pair()

    decision = decide_pod(pod(claims=["data"]), [node("a")], SmallCluster([bound]))

    assert "1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)." in why_not(decision)


def test_a_claim_for_one_pod_only_is_not_shared() -> None:
    bound = claim("data", modes=["ReadWriteOncePod"], volume_name="disk-1", phase="Bound", annotations=BOUND)
    disk = volume("disk-1", modes=["ReadWriteOncePod"], claim_ref=claim_ref(bound), phase="Bound")
    other = pod("other", claims=["data"], nodeName="node-1")

    refused = decide_pod(pod(claims=["data"]), [node()], SmallCluster([bound], [disk], pods=[other]))

    assert why_not(refused) == (
        "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod "
        "access mode. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found "
        "for incoming pod."
    )
    over = pod("other", claims=["data"], nodeName="node-1", status={"phase": "Succeeded"})
    assert placed(decide_pod(pod(claims=["data"]), [node()], SmallCluster([bound], [disk], pods=[over])))


# ------------------------------------------------------------------------------------------------ delayed claims


def test_a_free_volume_on_the_node_is_reserved_for_a_delayed_claim() -> None:
    """FM-16"""
    waiting = claim("data", storage_class="local")
    disks = [
        volume("far", storage_class="local", capacity="1Gi", node_affinity=on_node("z")),
        volume("large", storage_class="local", capacity="9Gi", node_affinity=on_node("a")),
        volume("right", storage_class="local", capacity="2Gi", node_affinity=on_node("a")),
    ]

    decision = decide_pod(pod(claims=["data"]), [node("a")], SmallCluster([waiting], disks))

    assert placed(decision) == NodeFit(NodeName("a"), (Pairing(waiting.key, VolumeName("right")),))


def test_smaller_claims_choose_first_and_no_volume_is_chosen_twice() -> None:
    claims = [claim("big", storage_class="local", request="2Gi"), claim("small", storage_class="local")]
    disks = [volume(f"disk-{size}", storage_class="local", capacity=f"{size}Gi") for size in (2, 3)]

    fit = placed(decide_pod(pod(claims=["big", "small"]), [node()], SmallCluster(claims, disks)))

    assert [(each.claim, each.volume) for each in fit.pairings] == [
        (f"{NAMESPACE}/small", "disk-2"),
        (f"{NAMESPACE}/big", "disk-3"),
    ]


def test_a_volume_promised_to_another_claim_is_not_chosen() -> None:
    cluster = SmallCluster(
        [claim("data", storage_class="local")],
        [volume("disk", storage_class="local")],
        reserved={VolumeName("disk"): ClaimKey("shop/other")},
    )

    assert "1 node(s) didn't find available persistent volumes to bind." in why_not(
        decide_pod(pod(claims=["data"]), [node()], cluster)
    )


def test_a_delayed_claim_without_a_volume_is_provisioned_on_the_node() -> None:
    waiting = claim("data", storage_class="slow")

    assert placed(decide_pod(pod(claims=["data"]), [node()], SmallCluster([waiting]))) == NodeFit(
        NodeName("node-1"), (), (waiting.key,)
    )


def test_a_node_with_a_volume_is_better_than_one_to_provision_on() -> None:
    waiting = claim("data", storage_class="slow")
    disk = volume("disk", storage_class="slow", node_affinity=on_node("b"))
    cluster = SmallCluster([waiting], [disk], crowd={NodeName("b"): 9})

    assert placed(decide_pod(pod(claims=["data"]), [node("a"), node("b")], cluster)).pairings


def test_a_selected_node_is_kept() -> None:
    """DB-4: what carries the annotation is provisioned there, whatever volumes there are."""
    waiting = claim("data", storage_class="slow", annotations={SELECTED_NODE: "b"})
    cluster = SmallCluster([waiting], [volume("disk", storage_class="slow")], crowd={NodeName("b"): 9})

    fit = placed(decide_pod(pod(claims=["data"]), [node("a"), node("b")], cluster))

    assert fit == NodeFit(NodeName("b"), (), (waiting.key,))
    assert "1 node(s) didn't find available persistent volumes to bind." in why_not(
        decide_pod(pod(claims=["data"]), [node("a")], cluster)
    )


def test_what_was_chosen_for_another_pod_holds_for_a_shared_claim() -> None:
    waiting = claim("data", storage_class="local")
    cluster = SmallCluster(
        [waiting],
        [volume("disk", storage_class="local"), volume("small", storage_class="local", capacity="1Gi")],
        plans={waiting.key: Plan(NodeName("b"), VolumeName("disk"))},
        reserved={VolumeName("disk"): waiting.key},
    )

    assert placed(decide_pod(pod(claims=["data"]), [node("a"), node("b")], cluster)) == NodeFit(
        NodeName("b"), (Pairing(waiting.key, VolumeName("disk")),)
    )


def test_classes_that_nothing_provisions_for_need_a_volume() -> None:
    decision = decide_pod(pod(claims=["data"]), [node()], SmallCluster([claim("data", storage_class="local")]))

    assert isinstance(decision, Unschedulable)
    assert decision.waits_for == {"local"}
    assert "1 node(s) didn't find available persistent volumes to bind." in decision.message


def test_allowed_topologies_choose_the_node() -> None:
    zoned = storage_class(
        "slow",
        mode="WaitForFirstConsumer",
        allowedTopologies=[{"matchLabelExpressions": [{"key": "zone", "values": ["b", "c"]}]}],
    )
    cluster = SmallCluster([claim("data", storage_class="slow")], classes=[zoned])
    nodes = [node("one", {"zone": "a"}), node("two", {"zone": "b"})]

    assert placed(decide_pod(pod(claims=["data"]), nodes, cluster)).node == "two"
    assert "1 node(s) didn't find available persistent volumes to bind." in why_not(
        decide_pod(pod(claims=["data"]), nodes[:1], cluster)
    )


ROOM: dict[str, tuple[list[CsiStorageCapacity], bool]] = {  # what is published, whether 1Gi fits in zone a
    "enough in the zone": ([capacity("5Gi")], True),
    "exactly enough": ([capacity("1Gi")], True),
    "too little": ([capacity("1023Mi")], False),
    "enough elsewhere": ([capacity("5Gi", zone="b")], False),
    "enough, nowhere": ([capacity("5Gi", zone=None)], False),
    "nothing published": ([], False),
    "enough, but volumes are smaller": ([capacity("5Gi", largest="512Mi")], False),
    "amount unknown": ([capacity(None)], False),
}


@pytest.mark.parametrize(("published", "fits"), ROOM.values(), ids=ROOM.keys())
def test_a_driver_that_publishes_its_room_is_believed(published: list[CsiStorageCapacity], fits: bool) -> None:
    cluster = SmallCluster(
        [claim("data", storage_class="slow")], drivers=[driver(reports_capacity=True)], capacities=published
    )

    decision = decide_pod(pod(claims=["data"]), [node("one", {"zone": "a"})], cluster)

    if fits:
        assert placed(decision).provisions
    else:
        assert "1 node(s) did not have enough free storage." in why_not(decision)


def test_a_driver_that_does_not_publish_its_room_always_has_some() -> None:
    cluster = SmallCluster([claim("data", storage_class="slow")], drivers=[driver(reports_capacity=False)])

    assert placed(decide_pod(pod(claims=["data"]), [node()], cluster)).provisions


# ------------------------------------------------------------------------------------------------ progress

FIT = NodeFit(NodeName("a"), (Pairing(ClaimKey("shop/data"), VolumeName("disk")),), ())
PROVISION = NodeFit(NodeName("a"), (), (ClaimKey("shop/data"),))


def test_a_pod_gets_its_node_when_all_its_claims_are_bound() -> None:
    bound, disk = bound_pair()

    assert decide_progress(PROVISION, node("a"), SmallCluster([bound], [disk])) == BindPod()


def test_a_reserved_volume_is_waited_for() -> None:
    waiting = claim("data", storage_class="local")
    disk = volume("disk", storage_class="local", claim_ref=claim_ref(waiting))

    assert decide_progress(FIT, node("a"), SmallCluster([waiting], [disk])) == WaitForClaims((waiting.key,))


BROKEN: dict[str, tuple[NodeFit, Node | None, SmallCluster, str]] = {
    "the node is gone": (FIT, None, SmallCluster(), 'nodeinfo not found for node name "a"'),
    "the claim is gone": (FIT, node("a"), SmallCluster(), 'could not get pvc "shop/data": it is gone'),
    "the volume went to another": (
        FIT,
        node("a"),
        SmallCluster([claim("data")], [volume("disk", claim_ref=claim_ref(claim("other")))]),
        'pv "disk" is no longer reserved for pvc "shop/data"',
    ),
    "the provisioner gave up (LB-22)": (
        PROVISION,
        node("a"),
        SmallCluster([claim("data", storage_class="slow")]),
        'provisioning failed for PVC "data"',
    ),
    "it was bound to a volume elsewhere": (
        PROVISION,
        node("a"),
        SmallCluster(*([each] for each in bound_pair(node_affinity=on_node("b")))),  # type: ignore[arg-type]
        'pv "disk-of-data" node affinity doesn\'t match node "a": no matching NodeSelectorTerms',
    ),
}


@pytest.mark.parametrize(("fit", "where", "cluster", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_what_makes_a_choice_void(fit: NodeFit, where: Node | None, cluster: SmallCluster, why: str) -> None:
    assert decide_progress(fit, where, cluster) == ChooseAgain(why)
