"""Protection finalizers."""

from __future__ import annotations

import pytest
from tests.rules.objects import attributes_class, claim, claim_ref, pod, volume

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import parse_claim
from pvbinder.rules.protection import (
    AddFinalizer,
    AskPods,
    AskPodsReason,
    KeepFinalizer,
    KeepReason,
    MarkUsage,
    RemoveFinalizer,
    Settled,
    attributes_classes_of,
    blocks_deletion,
    claims_of_changed_pod,
    decide_attributes_class,
    decide_claim_finalizer,
    decide_usage,
    decide_volume_finalizer,
    has_unused_condition,
    is_deletion_candidate,
    needs_attention,
    needs_finalizer,
    uses_claim,
    with_usage,
)

PVC, PV, VAC = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection", "kubernetes.io/vac-protection"
GOING = claim(is_deleting=True, finalizers=["mine", PVC])


def test_predicates() -> None:  # P-1, P-2
    assert is_deletion_candidate(GOING, PVC)
    assert not needs_finalizer(GOING, PVC)
    assert needs_finalizer(claim(), PVC)
    settled = claim(finalizers=[PVC])
    assert needs_attention(claim(), PVC)
    assert needs_attention(GOING, PVC)
    assert not needs_attention(settled, PVC)
    assert not needs_attention(claim(is_deleting=True), PVC)


PODS = {  # does it block the deletion of the claim "orders"
    "names it and has a node": (pod(node="n"), True),
    "has no node (PC-17)": (pod(), False),
    "has finished (PC-16)": (pod(node="n", phase="Succeeded"), True),
    "names another": (pod(node="n", claims=["invoices"]), False),
    "is elsewhere": (pod(node="n", namespace="lab"), False),
    "made for it, but not its own": (pod("or", node="n", claims=[], ephemeral=["ders"]), False),
}


@pytest.mark.parametrize(("user", "blocks"), PODS.values(), ids=PODS.keys())
def test_a_pod_blocks_the_deletion_of_a_claim(user, blocks: bool) -> None:  # type: ignore[no-untyped-def]
    assert blocks_deletion(user, GOING) == blocks


USERS = {  # does it count as a user of the claim "web-scratch", which the pod "web" owns
    "its owner": (pod("web", claims=[], ephemeral=["scratch"]), True),
    "a pod whose own claim would have its name": (pod("web", claims=[], ephemeral=["scratch"], uid="later"), False),
    "a pod that names it": (pod("other", claims=["web-scratch"]), True),
    "a pod that names another": (pod("other", claims=["web"]), False),
    "a pod elsewhere": (pod("other", claims=["web-scratch"], namespace="lab"), False),
    "a pod that has finished": (pod("other", claims=["web-scratch"], phase="Failed"), False),
}


@pytest.mark.parametrize(("user", "counts"), USERS.values(), ids=USERS.keys())
def test_a_pod_is_a_user_of_a_claim(user, counts: bool) -> None:  # type: ignore[no-untyped-def]  # PC-18
    assert uses_claim(user, claim("web-scratch", owners=[owned("uid-of-web")])) is counts


def owned(by: str, *, controller: bool = True) -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": by, "controller": controller}


def test_a_claim_made_for_a_pod_is_held_by_its_owner_until_that_is_shut_down() -> None:  # PC-16, P-4, P-5
    own = claim("web-scratch", owners=[owned("uid-of-web")])
    others = claim("web-scratch", owners=[owned("uid-of-other")])
    referred = claim("web-scratch", owners=[owned("uid-of-web", controller=False)])
    owner = pod("web", claims=[], ephemeral=["scratch"], node="n")
    assert blocks_deletion(owner, own)
    assert not blocks_deletion(owner, others)
    assert not blocks_deletion(owner, referred)
    over = pod("web", claims=[], ephemeral=["scratch"], node="n", is_deleting=True, grace_seconds=0)
    assert not blocks_deletion(over, own)


def test_the_finalizer_is_added_after_those_that_are_there() -> None:  # PC-12, AD-5
    decision = decide_claim_finalizer(claim(finalizers=["mine"]), [])
    assert isinstance(decision, AddFinalizer)
    assert decision.document["metadata"]["finalizers"] == ["mine", PVC]
    assert isinstance(decide_claim_finalizer(claim(finalizers=[PVC]), []), Settled)


def test_unused_is_only_believed_of_a_live_list() -> None:  # PC-11, PC-14, PC-15
    user = pod(node="n")
    assert decide_claim_finalizer(GOING, [user]) == KeepFinalizer("shop/web", KeepReason.POD_NEEDS_CLAIM)
    assert decide_claim_finalizer(GOING, []) == AskPods(AskPodsReason.CLAIM_MAY_GO)
    assert decide_claim_finalizer(GOING, [], [user]) == KeepFinalizer("shop/web", KeepReason.POD_NEEDS_CLAIM)
    decision = decide_claim_finalizer(GOING, [], [])
    assert isinstance(decision, RemoveFinalizer)
    assert decision.document["metadata"]["finalizers"] == ["mine"]


def test_the_last_finalizer_leaves_nothing() -> None:
    decision = decide_claim_finalizer(claim(is_deleting=True, finalizers=[PVC]), [], [])
    assert isinstance(decision, RemoveFinalizer)
    assert "finalizers" not in decision.document["metadata"]


def test_which_pods_are_news() -> None:  # PC-3
    running = pod(node="n", phase="Running")
    assert claims_of_changed_pod(running, usage_tracked=False) == ()
    assert claims_of_changed_pod(running, usage_tracked=True) == ("shop/orders",)
    assert claims_of_changed_pod(pod(), usage_tracked=False) == ("shop/orders",)
    assert claims_of_changed_pod(pod(node="n", phase="Failed"), usage_tracked=False) == ("shop/orders",)


def with_condition(status: str) -> Json:
    return {"conditions": [{"type": "Unused", "status": status}]}


USAGE = {  # claim, cached pods, live pods, outcome
    "in use, unsaid (PC-19)": (claim(), [pod()], None, MarkUsage(is_used=True)),
    "in use, said otherwise (PC-19)": (
        claim(status=with_condition("True")),
        [pod()],
        None,
        MarkUsage(is_used=True),
    ),
    "in use, said so": (claim(status=with_condition("False")), [pod()], None, Settled()),
    "a finished pod is no user (PC-18)": (claim(), [pod(phase="Failed")], None, AskPods(AskPodsReason.CLAIM_IS_UNUSED)),
    "unused, unsaid (PC-20)": (claim(), [], [], MarkUsage(is_used=False)),
    "unused, said so": (claim(status=with_condition("True")), [], [], Settled()),
    "the server knows a user": (claim(), [], [pod()], MarkUsage(is_used=True)),
    "being deleted (PC-22)": (GOING, [], None, Settled()),
}


@pytest.mark.parametrize(("found", "cached", "live", "outcome"), USAGE.values(), ids=USAGE.keys())
def test_usage(found, cached, live, outcome: object) -> None:  # type: ignore[no-untyped-def]
    assert decide_usage(found, cached, live) == outcome


def test_the_condition_is_replaced_in_place() -> None:  # PC-19 to PC-21, PC-10
    status: Json = {"conditions": [{"type": "Unused", "status": "True"}, {"type": "Resizing", "status": "True"}]}
    now = "2026-05-01T00:00:00Z"
    document = with_usage(claim(status=status), MarkUsage(is_used=True), now)
    assert document["status"]["conditions"][0] == {
        "type": "Unused",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": "PodUsingPVC",
        "message": "A pod is currently referencing this PVC",
    }
    assert [condition["type"] for condition in document["status"]["conditions"]] == ["Unused", "Resizing"]
    fresh = with_usage(claim(), MarkUsage(is_used=False), now)
    assert fresh["status"]["conditions"][0]["reason"] == "NoPodsUsingPVC"
    assert has_unused_condition(parse_claim(encode(fresh)))
    assert not has_unused_condition(claim())
    assert uses_claim(pod(), claim())


def test_a_volume_stays_while_its_phase_is_bound() -> None:  # PP-2, PP-3
    assert isinstance(decide_volume_finalizer(volume()), AddFinalizer)
    assert isinstance(decide_volume_finalizer(volume(finalizers=[PV])), Settled)
    bound = volume(phase="Bound", is_deleting=True, finalizers=[PV], claim_ref=claim_ref(claim()))
    assert decide_volume_finalizer(bound) == KeepFinalizer("shop/orders", KeepReason.VOLUME_IS_BOUND)
    assert isinstance(
        decide_volume_finalizer(volume(phase="Released", is_deleting=True, finalizers=[PV])), RemoveFinalizer
    )


def test_an_attributes_class_stays_while_it_is_named() -> None:  # VP-4, VP-5
    assert isinstance(decide_attributes_class(attributes_class(), None), AddFinalizer)
    assert isinstance(decide_attributes_class(attributes_class(finalizers=[VAC]), None), Settled)
    going = attributes_class(finalizers=[VAC], is_deleting=True)
    assert decide_attributes_class(going, "shop/orders") == KeepFinalizer(
        "shop/orders", KeepReason.ATTRIBUTES_CLASS_IS_NAMED
    )
    assert isinstance(decide_attributes_class(going, None), RemoveFinalizer)


def test_what_names_an_attributes_class() -> None:  # VP-3
    status = {
        "currentVolumeAttributesClassName": "silver",
        "modifyVolumeStatus": {"targetVolumeAttributesClassName": "bronze"},
    }
    assert attributes_classes_of(claim(attributes_class="gold", status=status)) == {"gold", "silver", "bronze"}
    assert attributes_classes_of(claim()) == frozenset()
    assert attributes_classes_of(volume(attributes_class="gold")) == {"gold"}
