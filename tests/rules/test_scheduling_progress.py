"""What becomes of a choice: the pod gets its node, waits for its claims, or the choice is void."""

from __future__ import annotations

import pytest
from tests.rules.objects import claim, claim_ref, volume
from tests.rules.small_cluster import (
    SmallCluster,
    bound_pair,
    node,
    on_node,
)

from pvbinder.model.objects import (
    ClaimKey,
    Node,
    NodeName,
    VolumeName,
)
from pvbinder.rules.scheduling import (
    BindPod,
    ChooseAgain,
    NodeFit,
    Pairing,
    WaitForClaims,
    decide_progress,
)

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
