"""What new manifests would do: each guarantee of plan, outcomes, orders and applying."""

from __future__ import annotations

from msgspec import UNSET
from tests.foresight.worlds import (
    claim,
    csi_node,
    delayed,
    namespaced,
    node,
    outcome,
    plan,
    pod,
    prepared,
    sourced,
    stateful_set,
    storage_class,
    volume,
)

from pvbinder.foresight.orders import Orders, try_orders

SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def test_plan_1_each_claim_gets_what_the_controllers_give_it() -> None:
    world = [volume("disk-7", "10Gi"), volume("disk-9", "20Gi"), storage_class(), node("w1"), SHOP]

    answer = plan(
        world, claim("small"), claim("large", "15Gi"), claim("new", storage_class="fast"), claim("huge", "1Ti")
    )

    assert {name: outcome(answer, name) for name in ("small", "large", "new", "huge")} == {
        "small": "Binds disk-7",
        "large": "Binds disk-9",
        "new": "Provisioned d.example.com",
        "huge": "Nothing",
    }
    assert answer.stand_ins == ("d.example.com",)
    assert not answer.is_well


def test_plan_1_claims_of_a_stateful_set_are_planned_with_its_pods() -> None:
    answer = plan([delayed(), node("w1"), csi_node("w1"), SHOP], stateful_set(replicas=2))

    assert [(one.claim, one.result, one.made_by) for one in answer.claims] == [
        ("shop/data-db-0", "Provisioned", "StatefulSet shop/db"),
        ("shop/data-db-1", "Provisioned", "StatefulSet shop/db"),
    ]
    assert answer.is_well


def test_plan_1_a_pod_that_another_set_makes_meanwhile_is_told_of() -> None:
    world = [stateful_set("old", 2, "slow"), node("w1"), SHOP]

    answer = plan(world, volume("disk-7"), stateful_set("new", 1, "slow"))

    new = {one.name for one in answer.others if one.kind == "Pod" and one.before is None}
    assert new == {"shop/old-1"}


def test_plan_1_pods_of_the_manifests_own_workloads_are_their_own() -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}

    answer = plan([node("w1"), SHOP], namespaced("Deployment", "web", spec, "apps/v1"))

    assert answer.applied == {"Deployment shop/web": "created"}
    assert not answer.others


def test_plan_1_a_claim_that_waits_for_its_first_consumer_is_fine() -> None:
    answer = plan([delayed(), node("w1"), SHOP], claim("data", storage_class="fast"))

    assert outcome(answer, "data") == "Waits"
    assert answer.claims[0].reason == "WaitsForFirstConsumer"
    assert answer.is_well


def test_plan_2_a_refusal_is_the_servers_own() -> None:
    quota = namespaced("ResourceQuota", "storage", {"hard": {"requests.storage": "8Gi"}})
    world = [SHOP, quota, storage_class(), claim("data", "5Gi", "fast")]

    answer = plan(
        world,
        claim("data", "3Gi", "fast"),
        claim("more", "6Gi", "fast"),
        claim("odd", "1Gi", "fast", accessModes=["ReadWriteSometimes"]),
        {"apiVersion": "shop.example.com/v1", "kind": "Basket", "metadata": {"name": "b"}},
    )

    refused = {one.object: (one.status, one.reason) for one in answer.refused}
    assert refused == {
        "PersistentVolumeClaim shop/data": (422, "Invalid"),
        "PersistentVolumeClaim shop/more": (403, "Forbidden"),
        "PersistentVolumeClaim shop/odd": (422, "Invalid"),
        "Basket shop/b": (404, "NotFound"),
    }
    assert "exceeded quota" in next(one.message for one in answer.refused if one.status == 403)


def test_plan_3_a_claim_keeps_its_class_although_the_chart_changed() -> None:
    world = [SHOP, storage_class("fast"), storage_class("faster"), node("w1"), stateful_set(replicas=1)]
    settled = [*world, claim("data-db-0", storage_class="fast")]

    answer = plan(settled, stateful_set(replicas=1, storage_class="faster"), claim("data-db-0", storage_class="faster"))

    assert {(one.claim, one.storage_class, one.asked, one.asked_by) for one in answer.kept} == {
        ("shop/data-db-0", "fast", "faster", "StatefulSet shop/db"),
        ("shop/data-db-0", "fast", "faster", "its manifest"),
    }
    assert not answer.is_well


def test_a_quota_that_is_full_after_the_plan_is_told() -> None:
    for most, told in (("2", ["persistentvolumeclaims: 2 of 2 are used"]), ("20", [])):
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "small", "namespace": "shop"},
            "spec": {"hard": {"persistentvolumeclaims": most}},
        }
        answer = plan([volume("disk-7", "10Gi"), claim("old"), SHOP, quota], claim("new"))
        assert [one.summary for one in answer.new_audit if one.code == "PVB701"] == told


def test_plan_4_all_is_well_if_nothing_is_refused_and_every_claim_gets_something() -> None:
    world = [SHOP, volume("disk-7")]

    assert plan(world, claim("a")).is_well
    assert not plan(world, claim("a"), claim("b")).is_well
    assert not plan(world, claim("a", accessModes=["Odd"])).is_well


def test_plan_4_a_world_that_gets_worse_elsewhere_is_not_well() -> None:
    waiting = [SHOP, volume("disk-7"), delayed("slow"), node("w1"), claim("old"), pod("late", "old")]
    cordoned = {**node("w1"), "spec": {"unschedulable": True}}
    world = [*(one for one in waiting if one["kind"] != "Node"), cordoned]
    reserved = volume("disk-7", claimRef={"namespace": "shop", "name": "other"})

    answer = plan(world, reserved)

    assert answer.others or answer.new_findings or answer.claims == ()


def test_outcomes_1_a_claim_that_has_its_volume_is_told_as_it_is() -> None:
    world = [SHOP, volume("disk-7"), claim("a")]

    answer = plan(world, claim("a"))

    assert outcome(answer, "a") == "Binds disk-7"
    assert not answer.claims[0].is_new
    assert answer.claims[0].runner_up is None
    assert answer.applied == {"PersistentVolumeClaim shop/a": "changed"} or answer.applied


def test_outcomes_2_the_runner_up_says_why_it_lost() -> None:
    world = [
        SHOP,
        volume("disk-7", "10Gi"),
        volume("disk-8", "10Gi"),
        volume("disk-9", "20Gi", accessModes=["ReadWriteOnce", "ReadOnlyMany"]),
    ]

    answer = plan(world, claim("a", "8Gi"))

    second = answer.claims[0].runner_up
    assert second is not None
    assert (second.volume, second.fits) == ("disk-8", True)
    assert "first name wins" in second.why


def test_outcomes_2_a_larger_one_and_one_that_another_gets() -> None:
    world = [SHOP, volume("disk-7", "10Gi"), volume("disk-9", "20Gi")]

    alone = plan(world, claim("a", "8Gi")).claims[0].runner_up
    both = plan(world, claim("a", "8Gi"), claim("b", "15Gi")).claims[0].runner_up

    assert alone is not None
    assert "larger: 20Gi, not 10Gi" in alone.why
    assert both is not None
    assert both.why == "fits, too, and goes to shop/b"


def test_outcomes_2_without_one_that_fits_it_is_the_nearest_miss() -> None:
    answer = plan([SHOP, volume("disk-7", "10Gi")], claim("a", "20Gi"))

    second = answer.claims[0].runner_up
    assert second is not None
    assert (second.volume, second.fits, second.rule) == ("disk-7", False, "FM-6a")
    assert second.why == "10Gi is less than 20Gi"


def test_outcomes_3_a_volume_is_taken_from_a_claim_that_waits() -> None:
    world = [SHOP, delayed("slow"), volume("disk-7"), node("w1"), claim("waits")]

    answer = plan(world, claim("quick"), pod("quick", "quick"))

    quick = next(one for one in answer.claims if one.claim == "shop/quick")
    assert quick.volume == "disk-7"
    assert quick.taken_from == ("shop/waits",)


def test_orders_1_who_comes_first_may_get_it() -> None:
    world = prepared(SHOP, volume("disk-7", "10Gi"))

    found = try_orders(world, sourced(claim("a"), claim("b")))

    assert found.differs
    assert found.first == ("PersistentVolumeClaim shop/a", "PersistentVolumeClaim shop/b")
    assert found.second == ("PersistentVolumeClaim shop/b", "PersistentVolumeClaim shop/a")
    assert {(one.claim, one.first, one.second) for one in found.changed} == {
        ("shop/a", "volume disk-7", "nothing"),
        ("shop/b", "nothing", "volume disk-7"),
    }


def test_orders_2_all_orders_of_a_few_objects_are_tried() -> None:
    world = prepared(SHOP, volume("disk-7", "10Gi"), volume("disk-9", "20Gi"))

    found = try_orders(world, sourced(claim("a", "8Gi"), claim("b", "15Gi", volumeName="disk-9")))

    assert found == Orders(tried=2, complete=True)


def test_orders_2_of_many_objects_some_are_tried() -> None:
    from pvbinder.foresight.orders import TRIES_MAX, _others

    orders = list(_others(9))

    assert len(orders) == len(set(orders)) == TRIES_MAX
    assert tuple(reversed(range(9))) in orders
    assert (8, *range(8)) in orders


def test_orders_3_a_class_comes_before_the_claims_in_every_order() -> None:
    world = prepared(SHOP, node("w1"))

    found = try_orders(world, sourced(claim("a", storage_class="fast"), storage_class()))

    assert not found.differs


def test_applying_1_what_is_refused_stops_nothing() -> None:
    answer = plan([SHOP, volume("disk-7")], claim("odd", accessModes=["Odd"]), claim("a"))

    assert list(answer.applied.items()) == [("PersistentVolumeClaim shop/a", "created")]
    assert answer.orders is UNSET


def test_applying_2_namespaces_and_classes_come_first() -> None:
    answer = plan([node("w1")], claim("a", storage_class="fast"), storage_class(), SHOP)

    assert not answer.refused
    assert outcome(answer, "a") == "Provisioned d.example.com"


def test_applying_3_what_only_a_server_writes_is_not_taken_over() -> None:
    exported = claim("a")
    exported["metadata"] |= {"uid": "00000000-0000-4000-8000-000000000001", "resourceVersion": "12", "generation": 3}
    exported["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    exported["status"] = {"phase": "Bound"}

    answer = plan([SHOP, volume("disk-7")], exported)

    assert not answer.refused
    assert outcome(answer, "a") == "Binds disk-7"


def test_applying_4_a_hook_that_does_not_run_is_left_out() -> None:
    test = pod("test", "a")
    test["metadata"]["annotations"] = {"helm.sh/hook": "test"}
    installed = claim("b")
    installed["metadata"]["annotations"] = {"helm.sh/hook": "pre-install,pre-upgrade"}

    answer = plan([SHOP, volume("disk-7")], test, installed)

    assert list(answer.applied) == ["PersistentVolumeClaim shop/b"]
    assert any("hook" in note for note in answer.notes)
