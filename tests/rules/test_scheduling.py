"""Where pods can run: each reason why not, in the reference's words."""

from __future__ import annotations

import pytest
from tests.rules.objects import NAMESPACE, claim, claim_ref, volume
from tests.rules.small_cluster import (
    BOUND,
    PREEMPTION,
    SmallCluster,
    bound_pair,
    node,
    on_node,
    placed,
    pod,
    why_not,
)

from pvbinder.model.json import Json
from pvbinder.model.objects import (
    Claim,
    NodeName,
    Pod,
)
from pvbinder.rules.scheduling import (
    LeaveAlone,
    NodeFit,
    decide_pod,
)


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
