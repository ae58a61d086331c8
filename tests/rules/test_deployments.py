"""A Deployment's next steps, with the whole documents (DEPLOY-NEW to DEPLOY-LIMIT)."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.deployment_scaling import is_saturated, proportional_sizes, scaled_value
from pvbinder.rules.deployments import (
    ChangeReplicaSet,
    CreateReplicaSet,
    DeleteReplicaSet,
    ReplicaSetsOf,
    Step,
    decide_deployment,
    is_complete,
    new_replica_set,
    next_revision,
    revision_of,
    sorted_out,
    template_without_hash,
)

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}


def deployment(
    replicas: int = 4, surge: object = 1, gone: object = 1, *, meta: Json | None = None, **fields: Any
) -> Workload:
    status = fields.pop("status", {})
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": gone}}
    spec = {"replicas": replicas, "strategy": strategy, "template": TEMPLATE, **fields}
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "generation": 3, **(meta or {})}
    return parse_workload(encode({"metadata": metadata, "spec": spec, "status": status}))


RECREATE: dict[str, Any] = {"strategy": {"type": "Recreate"}}


def replica_set(
    name: str,
    replicas: int,
    available: int | None = None,
    *,
    revision: int | None = 1,
    size: int = 4,
    most: int | None = None,
    meta: Json | None = None,
    **spec: Any,
) -> Workload:
    """A set with the notes that a deployment of `size` leaves on it."""
    noted = {DESIRED: str(size), MOST: str(size + 1 if most is None else most)}
    annotations = noted | ({} if revision is None else {REVISION: str(revision)})
    created = f"2026-03-01T10:00:{revision or 0:02}Z"
    metadata = {"name": name, "annotations": annotations, "creationTimestamp": created, "generation": 1, **(meta or {})}
    counts = {"availableReplicas": replicas if available is None else available, "observedGeneration": 1}
    document = {
        "metadata": metadata,
        "spec": {"replicas": replicas, **spec},
        "status": {**counts, "replicas": replicas},
    }
    return parse_workload(encode(document))


def shown(steps: list[Step]) -> list[str]:
    found = []
    for step in steps:
        match step:
            case CreateReplicaSet(replicas=replicas):
                found.append(f"make {replicas}")
            case ChangeReplicaSet(document=document, scaled=scaled):
                found.append(
                    f"{document['metadata']['name']} {'noted' if scaled is None else f'{scaled[0]}-{scaled[1]}'}"
                )
            case DeleteReplicaSet(replica_set=one):
                found.append(f"{one.name} goes")
    return found


def sets(new: Workload | None, *old: Workload) -> ReplicaSetsOf:
    return ReplicaSetsOf(new, old)


def new(replicas: int, available: int | None = None, **fields: Any) -> Workload:
    return replica_set("new", replicas, available, **{"revision": 9, **fields})


def old(replicas: int, available: int | None = None, **fields: Any) -> Workload:
    return replica_set("old", replicas, available, **fields)


def empty(number: int, **fields: Any) -> Workload:
    return replica_set(f"empty-{number}", 0, revision=number, **fields)


DONE = {"updatedReplicas": 4, "replicas": 4, "availableReplicas": 4, "observedGeneration": 3}
GOING = {"deletionTimestamp": "2026-03-01T10:00:00Z"}
LIMITED: dict[str, Any] = {"revisionHistoryLimit": 1}
STEPS: dict[str, tuple[Workload, ReplicaSetsOf, bool, list[str]]] = {  # has old pods: the steps
    "the first replica set": (deployment(), sets(None), False, ["make 4"]),
    "the next one, within the surge": (deployment(), sets(None, old(4)), True, ["make 1"]),
    "without any surge it begins empty": (deployment(surge=0), sets(None, old(4, most=4)), True, ["make 0"]),
    "the new one grows": (deployment(), sets(new(1), old(3)), True, ["new 1-2"]),
    "an old one shrinks by what is available": (deployment(), sets(new(1), old(4)), True, ["old 4-2"]),
    "by less where new ones aren't": (deployment(), sets(new(1, 0), old(4)), True, ["old 4-3"]),
    "by nothing where nothing may be missing": (deployment(gone=0), sets(new(1, 0), old(4)), True, []),
    "old pods that aren't available go first": (
        deployment(),
        sets(new(1, 0), replica_set("broken", 2, 0), replica_set("good", 2, revision=2)),
        True,
        ["broken 2-1"],
    ),
    "those of the second, too": (
        deployment(),
        sets(new(2), replica_set("good", 1), replica_set("broken", 2, 1, revision=2)),
        True,
        ["good 1-0", "broken 2-1"],
    ),
    "all at the end": (deployment(), sets(new(4), old(1)), True, ["old 1-0"]),
    "more are there than are wanted": (deployment(), sets(new(6), empty(1)), False, ["new 6-4"]),
    "as many as wanted": (deployment(), sets(new(4)), False, []),
    "they are all available, and empty ones stay": (deployment(), sets(new(4), empty(1)), False, []),
    "one more available than must be": (deployment(4, 2), sets(new(2, most=6), old(4, 3, most=6)), True, ["old 4-1"]),
    "recreated: old ones first": (deployment(**RECREATE), sets(new(0, most=4), old(2, most=4)), True, ["old 2-0"]),
    "recreated: their pods still run": (deployment(**RECREATE), sets(new(0, most=4), empty(1, most=4)), True, []),
    "recreated: then the new one": (deployment(**RECREATE), sets(new(0, most=4), empty(1, most=4)), False, ["new 0-4"]),
    "recreated: or it is made": (deployment(**RECREATE), sets(None, empty(1, most=4)), False, ["make 4"]),
    "recreated: it has its size": (deployment(**RECREATE), sets(new(4, most=4)), False, []),
    "scaled: only one is active": (deployment(6), sets(new(4), empty(1)), False, ["new 4-6"]),
    "scaled: in proportion": (deployment(6), sets(new(2, 1), old(3)), True, ["old 3-4", "new 2-3"]),
    "scaled: the new one has all, the old ones go": (
        deployment(4),
        sets(new(4), replica_set("old", 2, size=3)),
        True,
        ["old 2-0"],
    ),
    "scaled: recreated ones wait": (
        deployment(6, **RECREATE),
        sets(new(2, most=4), old(2, most=4)),
        True,
        [],
    ),
    "scaled: an empty one doesn't say so": (deployment(4), sets(new(4), empty(1, size=9)), False, []),
    "paused: it isn't rolled": (deployment(paused=True), sets(None, old(4)), True, []),
    "paused: but scaled": (deployment(5, paused=True), sets(None, old(4), empty(2)), True, ["old 4-5"]),
    "paused: the newest of empty ones": (
        deployment(paused=True),
        sets(None, empty(2), empty(1)),
        False,
        ["empty-2 0-4"],
    ),
    "paused: the new one of empty ones": (deployment(paused=True), sets(new(0), empty(1)), False, ["new 0-4"]),
    "paused: none is there": (deployment(paused=True), sets(None), False, []),
    "paused: old ones go beyond the limit": (
        deployment(0, paused=True, **LIMITED),
        sets(None, empty(1, size=0), empty(2, size=0)),
        False,
        ["empty-1 goes"],
    ),
    "done: old ones go beyond the limit": (
        deployment(status=DONE, **LIMITED),
        sets(new(4), empty(3), empty(1), empty(2)),
        False,
        ["empty-1 goes", "empty-2 goes"],
    ),
    "done: all go": (deployment(status=DONE, revisionHistoryLimit=0), sets(new(4), empty(1)), False, ["empty-1 goes"]),
    "done: no more than the limit": (deployment(status=DONE, **LIMITED), sets(new(4), empty(1)), False, []),
    "done: there is no limit": (
        deployment(status=DONE, revisionHistoryLimit=2**31 - 1),
        sets(new(4), empty(1), empty(2)),
        False,
        [],
    ),
    "done: nor if none is said": (deployment(status=DONE), sets(new(4), empty(1)), False, []),
    "done: those that are going don't count": (
        deployment(status=DONE, **LIMITED),
        sets(new(4), empty(1, meta=GOING), empty(2)),
        False,
        [],
    ),
    "done: one that still has pods stays": (
        deployment(status=DONE, revisionHistoryLimit=0),
        sets(
            new(4),
            parse_workload(encode({"metadata": {"name": "x"}, "spec": {"replicas": 0}, "status": {"replicas": 1}})),
        ),
        False,
        [],
    ),
    "done: one that wasn't counted yet stays": (
        deployment(status=DONE, revisionHistoryLimit=0),
        sets(new(4), empty(1, meta={"generation": 2})),
        False,
        [],
    ),
    "not done: they stay": (
        deployment(status={**DONE, "availableReplicas": 3}, **LIMITED),
        sets(new(4), empty(1), empty(2)),
        False,
        [],
    ),
}


@pytest.mark.parametrize(("one", "there", "has_old_pods", "expected"), STEPS.values(), ids=STEPS.keys())
def test_the_next_steps_of_a_deployment(
    one: Workload, there: ReplicaSetsOf, has_old_pods: bool, expected: list[str]
) -> None:
    assert shown(decide_deployment(one, there, has_old_pods=has_old_pods)) == expected


def test_a_new_replica_set_is_made_of_the_template() -> None:
    annotations = {
        "note": "n",
        REVISION: "7",
        HISTORY: "1",
        DESIRED: "9",
        MOST: "9",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "deprecated.deployment.rollback.to": "1",
    }
    one = deployment(
        meta={"annotations": annotations},
        selector={"matchLabels": {"app": "web"}, "matchExpressions": []},
        minReadySeconds=5,
    )
    there = sets(None, old(4, revision=2), empty(12))
    suffix = "jlz6hmgsmw"

    document = new_replica_set(one, there, 3)

    assert document == {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"web-{suffix}",
            "namespace": "shop",
            "labels": {"app": "web", "pod-template-hash": suffix},
            "annotations": {"note": "n", REVISION: "13", DESIRED: "4", MOST: "5"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": "web",
                    "uid": "u",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web", "pod-template-hash": suffix}, "matchExpressions": []},
            "template": {
                "metadata": {"labels": {"app": "web", "pod-template-hash": suffix}},
                "spec": {"containers": []},
            },
            "minReadySeconds": 5,
        },
    }
    assert template_without_hash(document["spec"]["template"]) == TEMPLATE
    again = deployment(status={"collisionCount": 1})
    assert new_replica_set(again, there, 3)["metadata"]["name"] != document["metadata"]["name"]
    assert "minReadySeconds" not in new_replica_set(again, there, 3)["spec"]
    [step] = decide_deployment(again, sets(None), has_old_pods=False)
    assert step == CreateReplicaSet(new_replica_set(again, sets(None), 4), 4)


def test_a_replica_set_is_made_of_no_template_at_all() -> None:
    document = new_replica_set(deployment(template=None), sets(None), 1)
    suffix = document["metadata"]["labels"]["pod-template-hash"]

    assert document["spec"]["template"] == {"metadata": {"labels": {"pod-template-hash": suffix}}}
    assert document["spec"]["selector"] == {"matchLabels": {"pod-template-hash": suffix}}


DESCRIBED: dict[
    str, tuple[Workload, ReplicaSetsOf, Json | None, int]
] = {  # annotations and minReadySeconds of the new set
    "as it should be": (deployment(), sets(new(4)), None, 0),
    "an annotation of the deployment": (
        deployment(meta={"annotations": {"note": "n", REVISION: "1"}}),
        sets(new(4)),
        {"note": "n", DESIRED: "4", MOST: "5", REVISION: "9"},
        0,
    ),
    "it waits for longer": (deployment(minReadySeconds=5), sets(new(4)), {DESIRED: "4", MOST: "5", REVISION: "9"}, 5),
    "it waits no more": (deployment(), sets(new(4, minReadySeconds=5)), {DESIRED: "4", MOST: "5", REVISION: "9"}, 0),
    "it is the newest again": (
        deployment(),
        sets(new(4, revision=2), old(0, revision=3)),
        {DESIRED: "4", MOST: "5", REVISION: "4", HISTORY: "2"},
        0,
    ),
    "a second time": (
        deployment(),
        sets(
            new(4, meta={"annotations": {DESIRED: "4", MOST: "5", REVISION: "4", HISTORY: "1,2"}}),
            old(0, revision=5),
        ),
        {DESIRED: "4", MOST: "5", REVISION: "6", HISTORY: "1,2,4"},
        0,
    ),
    "a revision that is known": (
        deployment(),
        sets(
            new(4, meta={"annotations": {DESIRED: "4", MOST: "5", REVISION: "2", HISTORY: "2,1"}}),
            old(0, revision=5),
        ),
        {DESIRED: "4", MOST: "5", REVISION: "6", HISTORY: "2,1"},
        0,
    ),
    "too long a history": (
        deployment(),
        sets(
            new(4, meta={"annotations": {REVISION: "2", HISTORY: "10," + "9" * 1996}}),
            old(0, revision=5),
        ),
        {REVISION: "6", HISTORY: "9" * 1996 + ",2"},
        0,
    ),
    "just not too long a history": (
        deployment(),
        sets(
            new(4, meta={"annotations": {REVISION: "2", HISTORY: "1," + "9" * 1996}}),
            old(0, revision=5),
        ),
        {REVISION: "6", HISTORY: "1," + "9" * 1996 + ",2"},
        0,
    ),
    "it had none": (
        deployment(),
        sets(new(4, revision=None)),
        {DESIRED: "4", MOST: "5", REVISION: "1"},
        0,
    ),
}


@pytest.mark.parametrize(("one", "there", "annotations", "seconds"), DESCRIBED.values(), ids=DESCRIBED.keys())
def test_the_new_replica_set_is_kept_right(
    one: Workload, there: ReplicaSetsOf, annotations: Json | None, seconds: int
) -> None:
    """Its annotations, revision and ``minReadySeconds`` (DEPLOY-NEW)."""
    steps = decide_deployment(one, there, has_old_pods=False)

    if annotations is None:
        assert steps == []
    else:
        assert there.new is not None
        document = there.new.document()
        document["metadata"]["annotations"] = annotations
        document["spec"]["minReadySeconds"] = seconds
        assert steps == [ChangeReplicaSet(document, None)]


def test_a_replica_set_that_is_scaled_notes_for_how_many() -> None:
    [step] = decide_deployment(deployment(6), sets(new(4, meta={"annotations": {REVISION: "1"}})), has_old_pods=False)

    assert isinstance(step, ChangeReplicaSet)
    assert step.scaled == (4, 6)
    assert step.document["metadata"]["annotations"] == {REVISION: "1", DESIRED: "6", MOST: "7"}
    assert step.document["spec"]["replicas"] == 6


def test_the_oldest_replica_set_with_the_template_is_the_new_one() -> None:
    labelled = {"metadata": {"labels": {"app": "web", "pod-template-hash": "x"}}, "spec": {"containers": []}}
    second = replica_set("b", 1, revision=2, template=labelled)
    first = replica_set("c", 1, revision=1, template=labelled)
    same_age = replica_set("a", 1, revision=2, template={})

    found = sorted_out(deployment(), [second, same_age, first])

    assert (found.new, found.old, found.all) == (first, (same_age, second), (same_age, second, first))
    assert sorted_out(deployment(template=None), [first, same_age]).new == same_age
    assert sorted_out(deployment(), [same_age]).all == (same_age,)


REVISIONS = {"": 0, "7": 7, "x": 0, "١": 0, "9" * 18: int("9" * 18), "9" * 19: 0}


@pytest.mark.parametrize(("text", "revision"), REVISIONS.items())
def test_a_revision(text: str, revision: int) -> None:
    one = replica_set("a", 1, meta={"annotations": {REVISION: text}})

    assert revision_of(one) == revision
    assert next_revision(sets(new(1), one)) == revision + 1


COMPLETE = {
    "it is": (DONE, True),
    "too few are new": ({**DONE, "updatedReplicas": 3}, False),
    "old ones are left": ({**DONE, "replicas": 5}, False),
    "too few are available": ({**DONE, "availableReplicas": 3}, False),
    "the spec has changed since": ({**DONE, "observedGeneration": 2}, False),
    "a later spec was seen": ({**DONE, "observedGeneration": 4}, True),
}


@pytest.mark.parametrize(("status", "is_so"), COMPLETE.values(), ids=COMPLETE.keys())
def test_a_rollout_is_complete(status: Json, is_so: bool) -> None:
    assert is_complete(deployment(), status) is is_so


SATURATED: dict[str, tuple[Workload | None, bool]] = {
    "it is": (new(4), True),
    "there is none": (None, False),
    "too small": (new(3), False),
    "not all are available": (new(4, 3), False),
    "made for another size": (new(4, size=3), False),
}


@pytest.mark.parametrize(("one", "is_so"), SATURATED.values(), ids=SATURATED.keys())
def test_the_new_replica_set_has_all(one: Workload | None, is_so: bool) -> None:
    assert is_saturated(deployment(), one) is is_so


VALUES = {
    "a number": (3, False, 3),
    "rounded down": ("25%", False, 2),
    "rounded up": ("25%", True, 3),
    "exactly": ("20%", True, 2),
    "of digits of another script": ("٢٥%", True, 0),
    "no percentage": ("25", True, 0),
    "nothing": (None, True, 0),
}


@pytest.mark.parametrize(("value", "round_up", "expected"), VALUES.values(), ids=VALUES.keys())
def test_a_number_or_a_share_of_ten(value: object, round_up: bool, expected: int) -> None:
    assert scaled_value(value, 10, round_up=round_up) == expected


SHARES: dict[str, tuple[Workload, list[Workload], list[tuple[str, int]]]] = {
    "grown": (deployment(8), [new(2), old(3)], [("old", 5), ("new", 4)]),
    "of two as large the newer one gets the rest": (
        deployment(9),
        [replica_set("a", 2), replica_set("b", 2, revision=2)],
        [("b", 6), ("a", 4)],
    ),
    "of two as large the older one loses the rest": (
        deployment(2),
        [replica_set("b", 2, revision=2), replica_set("a", 3, revision=3), replica_set("c", 2, revision=1)],
        [("a", 1), ("c", 1), ("b", 1)],
    ),
    "to nothing": (deployment(0), [new(2), old(3)], [("old", 0), ("new", 0)]),
    "no change": (deployment(4), [new(2), old(3)], [("old", 3), ("new", 2)]),
    "the notes are missing: the deployment's own count": (
        deployment(8, status={"replicas": 5}),
        [new(2, most=0), old(3, most=0)],
        [("old", 5), ("new", 4)],
    ),
    "no count either": (
        deployment(8),
        [
            replica_set("a", 2, meta={"annotations": {MOST: "x"}}),
            replica_set("b", 3, meta={"annotations": {MOST: "9" * 10}}),
        ],
        [("b", 7), ("a", 2)],
    ),
}


@pytest.mark.parametrize(("one", "active", "expected"), SHARES.values(), ids=SHARES.keys())
def test_a_change_of_size_is_shared(one: Workload, active: list[Workload], expected: list[tuple[str, int]]) -> None:
    assert [(each.name, size) for each, size in proportional_sizes(one, active)] == expected
