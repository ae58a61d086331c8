"""A large cluster, reduced: what stays in, and that it makes no difference."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.foresight.worlds import claim, namespaced, node, outcome, pod, prepared, sourced, volume

from pvbinder.foresight import reduction
from pvbinder.foresight.plan import plan as foresee
from pvbinder.foresight.preparing import Prepared
from pvbinder.foresight.reduction import Touched, reduce, touched_by, touched_by_steps
from pvbinder.foresight.rehearse import rehearse as foresee_steps
from pvbinder.foresight.steps import parse_step
from pvbinder.model.json import Json

SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small worlds are reduced, too."""
    monkeypatch.setattr(reduction, "WHOLE_MAX", 0)


def ready(name: str) -> Json:
    return {**node(name), "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def triple(number: int, on: str = "w1", size: str = "10Gi") -> list[Json]:
    """A bound pair and the pod that runs with it."""
    uid = f"00000000-0000-4000-8000-{number:012d}"
    reference = {"namespace": "shop", "name": f"c{number}", "uid": uid}
    disk = volume(f"v{number}", size, claimRef=reference)
    disk["status"] = {"phase": "Bound"}
    bound = claim(f"c{number}", "5Gi", volumeName=f"v{number}")
    marks = ("bind-completed", "bound-by-controller")
    bound["metadata"] |= {"uid": uid, "annotations": {f"pv.kubernetes.io/{mark}": "yes" for mark in marks}}
    bound["status"] = {"phase": "Bound", "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"]}
    running = pod(f"p{number}", f"c{number}", node_name=on)
    running["status"] = {"phase": "Running"}
    return [disk, bound, running]


def names(found: Prepared) -> set[str]:
    return {str(one["metadata"]["name"]) for _, one in found.documents}


def world(*more: Json) -> Prepared:
    return prepared(SHOP, ready("w1"), ready("w2"), *triple(1), *triple(2, on="w2"), *more)


def test_reduction_1_a_part_stays_in_as_a_whole() -> None:
    assert names(reduce(world(), Touched(names=frozenset({"c1"})))) == {"shop", "w1", "w2", "v1", "c1", "p1"}


UNSETTLED: dict[str, Callable[[], list[Json]]] = {
    "a claim that grows": lambda: [triple(3)[0], triple(3)[1] | {"spec": claim("c3", "50Gi", volumeName="v3")["spec"]}],
    "a volume that another claim has": lambda: [
        volume("v3", claimRef={"namespace": "shop", "name": "c4"}),
        triple(3)[1],
    ],
    "a claim without a volume": lambda: [claim("c3")],
    "a free volume": lambda: [volume("v3")],
    "a pod that waits": lambda: [*triple(3)[:2], pod("p3", "c3")],
    "a pod on a node that is gone": lambda: triple(3, on="w9"),
}


@pytest.mark.parametrize("more", UNSETTLED.values(), ids=UNSETTLED.keys())
def test_reduction_2_what_is_not_settled_stays_in(more: Callable[[], list[Json]]) -> None:
    documents = more()

    found = names(reduce(world(*documents), Touched()))

    assert found == {"shop", "w1", "w2", *(str(one["metadata"]["name"]) for one in documents)}


def test_reduction_3_what_is_touched_or_counted_stays_in() -> None:
    quota = namespaced("ResourceQuota", "q", {"hard": {"persistentvolumeclaims": "2"}})
    everything = {"shop", "w1", "w2", "v1", "c1", "p1", "v2", "c2", "p2"}

    assert names(reduce(world(), Touched(nodes=frozenset({"w2"})))) == everything - {"v1", "c1", "p1"}
    assert names(reduce(world(), Touched(all_nodes=True))) == everything
    assert names(reduce(world(), Touched(namespaces=frozenset({"shop"})))) == everything
    assert names(reduce(world(quota), Touched())) == everything | {"q"}
    policy = {"kind": "ValidatingAdmissionPolicy", "apiVersion": "v1", "metadata": {"name": "p"}, "spec": {}}
    assert names(reduce(world(policy), Touched())) == everything | {"p"}


def test_reduction_3_steps_and_manifests_say_what_they_touch() -> None:
    steps = [parse_step(text) for text in ("drain node/w1", "delete pvc/c2 -n shop", "apply -f x", "wait 1h")]
    files = {"x": sourced(namespaced("PodDisruptionBudget", "b", {}), ready("w2"))}

    found = touched_by_steps(steps, [], lambda names: [one for name in names for one in files[name]])

    assert found.nodes == {"w1", "w2", "c2"}
    assert found.namespaces == {"c2", "shop"}
    assert found.names >= {"c2", "b"}
    assert touched_by([claim("a")]).names == {"a"}


def test_reduction_3_what_a_manifest_refers_to_is_touched() -> None:
    reserved = volume("v", claimRef={"namespace": "shop", "name": "c1"})
    copied = claim("b", dataSource={"kind": "PersistentVolumeClaim", "name": "c2"}, volumeName="v2")

    assert touched_by([pod("p", "c3")]).names == {"p", "c3"}
    assert touched_by([reserved, copied]).names == {"v", "c1", "b", "c2", "v2"}


def test_reduction_4_pods_still_count_where_they_are() -> None:
    found = reduce(world(), Touched())

    assert found.crowd == {"w1": 1, "w2": 1}
    assert found.notes == ["6 of 9 objects are settled and touched by nothing: they were left out of the copy"]


def test_reduction_5_a_small_cluster_is_not_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "WHOLE_MAX", 9)

    assert reduce(world(), Touched()) == world()


def test_reduction_2_the_answer_is_the_same() -> None:
    whole = world(volume("free", "8Gi"), *triple(3, on="w1"), claim("waits", "20Gi"))
    new = sourced(claim("a"), claim("b"), volume("v9", "30Gi"))
    part = reduce(whole, touched_by(one for _, one in new))

    one, other = (foresee(copy, new, namespace="shop") for copy in (whole, part))

    assert len(part.documents) < len(whole.documents)
    assert [(each.claim, each.signature) for each in one.claims] == [
        (each.claim, each.signature) for each in other.claims
    ]
    assert outcome(one, "a") == "Binds free"
    assert one.others == other.others


def test_reduction_2_a_rehearsal_has_the_same_differences() -> None:
    whole = world(*triple(3, on="w1"))
    steps = [("lose node/w1", parse_step("lose node/w1"))]
    part = reduce(whole, Touched(nodes=frozenset({"w1"})))

    one, other = (foresee_steps(copy, steps, lambda _: []) for copy in (whole, part))

    assert one.differences == other.differences
    assert {each.name for each in one.differences} == {"shop/p1", "shop/p3"}
