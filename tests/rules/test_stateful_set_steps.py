"""A StatefulSet's next steps, row by row, and the documents in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.rules.objects import claim
from tests.rules.test_stateful_sets import DELETED, OWNED, claims_of, pod_of, pods_of, shown, stateful_set

from pvbinder.model.json import encode
from pvbinder.model.objects import Claim, ClaimKey, Pod, parse_pod
from pvbinder.model.stateful_sets import StatefulSet
from pvbinder.rules.stateful_sets import (
    REVISION_LABEL,
    CreateClaim,
    CreatePod,
    DeletePod,
    IdentifyPod,
    SetStatus,
    Versions,
    claim_document,
    decide_set,
    identified,
    is_ready,
    members,
    pod_document,
    set_status,
    with_set_status,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
PARALLEL: dict[str, Any] = {"podManagementPolicy": "Parallel"}
OLD, NEW = stateful_set(image="db:1"), stateful_set(image="db:2")
CLAIMS = claims_of(*(claim(f"data-db-{ordinal}") for ordinal in range(3)))


def going(owner: StatefulSet, ordinal: int, **fields: Any) -> dict[int, Pod]:
    return {ordinal: pod_of(owner, ordinal, deletionTimestamp=DELETED, **fields)}


def unready(owner: StatefulSet, ordinal: int, phase: str = "Running") -> dict[int, Pod]:
    return {ordinal: pod_of(owner, ordinal, ready=False, phase=phase)}


def partitioned(partition: int, *, start: int = 0, kind: str = "RollingUpdate") -> StatefulSet:
    strategy = {"type": kind, "rollingUpdate": {"partition": partition}}
    return stateful_set(image="db:2", updateStrategy=strategy, ordinals={"start": start})


ROWS: dict[str, tuple[StatefulSet, dict[int, Pod], dict[ClaimKey, Claim], list[str]]] = {
    "in parallel all pods are made whatever the others do": (
        stateful_set(**PARALLEL),
        unready(OLD, 1),
        CLAIMS,
        ["+db-0", "+db-2"],
    ),
    "in parallel a claim that goes keeps back its own pod alone": (
        stateful_set(2, **PARALLEL),
        {},
        CLAIMS | claims_of(claim("data-db-0", is_deleting=True)),
        ["+db-1"],
    ),
    "in parallel pods that are over go at once": (
        stateful_set(2, **PARALLEL),
        {0: pod_of(OLD, 0, phase="Failed"), 1: pod_of(OLD, 1, phase="Succeeded")},
        CLAIMS,
        ["-db-0", "-db-1"],
    ),
    "a pod that is over, and going, is waited for": (
        stateful_set(2),
        going(OLD, 0, phase="Failed"),
        CLAIMS,
        [],
    ),
    "a running pod that isn't ready gets no claims": (stateful_set(1), unready(OLD, 0), {}, []),
    "one without a phase does": (stateful_set(1), unready(OLD, 0, ""), {}, ["+data-db-0"]),
    "one that is going doesn't": (stateful_set(1), going(OLD, 0, phase="Pending", ready=False), {}, []),
    "a claim of a pod of another name doesn't matter": (
        stateful_set(1),
        {},
        claims_of(claim("data-db-0", owners=[{"kind": "Pod", "name": "other", "uid": "x"}])),
        ["+db-0"],
    ),
    "nor of another kind": (
        stateful_set(1),
        {},
        claims_of(claim("data-db-0", owners=[{"kind": "Job", "name": "db-0", "uid": "x"}])),
        ["+db-0"],
    ),
    "two of two are ready, nothing is to be done": (stateful_set(2), pods_of(OLD, 0, 1), CLAIMS, []),
    "pods beyond wait until the wanted are there": (stateful_set(2), pods_of(OLD, 0, 5), CLAIMS, ["+db-1"]),
    "an update waits for one that is going": (
        NEW,
        pods_of(OLD, 0, 1) | going(NEW, 2),
        CLAIMS,
        [],
    ),
    "in parallel an update goes on, one at a time": (
        stateful_set(image="db:2", **PARALLEL),
        pods_of(OLD, 0, 1) | unready(NEW, 2),
        CLAIMS,
        [],
    ),
    "in parallel an old pod that is going is waited for": (
        stateful_set(image="db:2", **PARALLEL),
        pods_of(OLD, 0, 1) | going(OLD, 2),
        CLAIMS,
        [],
    ),
    "in parallel the highest old pod goes, though not ready": (
        stateful_set(image="db:2", **PARALLEL),
        pods_of(OLD, 0) | unready(OLD, 1) | pods_of(NEW, 2),
        CLAIMS,
        ["-db-1"],
    ),
    "in parallel a pod that is made is waited for": (
        stateful_set(image="db:2", **PARALLEL),
        pods_of(OLD, 0, 1),
        CLAIMS,
        ["+db-2"],
    ),
    "down to the partition": (partitioned(1), pods_of(OLD, 0, 1) | pods_of(NEW, 2), CLAIMS, ["-db-1"]),
    "not below it": (partitioned(1), pods_of(OLD, 0) | pods_of(NEW, 1, 2), CLAIMS, []),
    "the partition counts from the first": (
        partitioned(1, start=1),
        pods_of(OLD, 1, 2) | pods_of(NEW, 3),
        CLAIMS | claims_of(claim("data-db-3")),
        ["-db-2"],
    ),
}


@pytest.mark.parametrize(("owner", "pods", "claims", "expected"), ROWS.values(), ids=ROWS.keys())
def test_the_next_steps_of_a_set(
    owner: StatefulSet, pods: dict[int, Pod], claims: dict[ClaimKey, Claim], expected: list[str]
) -> None:
    assert shown(decide_set(owner, pods, claims)) == expected


def test_a_step_says_why_a_pod_goes() -> None:
    cases = [
        (stateful_set(1), {0: pod_of(OLD, 0, phase="Failed")}, "it is over and is made anew"),
        (stateful_set(1), pods_of(OLD, 0, 1), "it is not wanted any more"),
        (stateful_set(1, image="db:2"), pods_of(OLD, 0), "its template is outdated"),
    ]
    for owner, pods, why in cases:
        assert decide_set(owner, pods, CLAIMS) == [DeletePod(pods[max(pods)], why)]


def test_steps_have_whole_documents() -> None:
    owner = stateful_set(1)
    data = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-db-0", "namespace": "shop", "labels": {"kind": "disk", "app": "db"}},
        "spec": {"accessModes": ["ReadWriteOnce"]},
    }
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "db-0",
            "generateName": "db-",
            "namespace": "shop",
            "labels": {
                "app": "db",
                "apps.kubernetes.io/pod-index": "0",
                "controller-revision-hash": owner.revision,
                "statefulset.kubernetes.io/pod-name": "db-0",
            },
            "annotations": {"a": "b"},
            "ownerReferences": OWNED,
        },
        "spec": {
            "containers": [{"name": "db", "image": "db:1"}],
            "hostname": "db-0",
            "subdomain": "db-svc",
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}],
        },
    }

    assert decide_set(owner, {}, {}) == [CreateClaim(data, "db-0"), CreatePod(made)]


def test_a_template_with_little_in_it() -> None:
    owner = stateful_set(1, template={"metadata": {"finalizers": ["f"]}}, serviceName=None, templates=False)
    document = pod_document(owner, 0)

    assert document["spec"] == {"hostname": "db-0"}
    assert document["metadata"]["finalizers"] == ["f"]
    assert "annotations" not in document["metadata"]
    assert pod_document(stateful_set(1, template={}), 3)["metadata"]["labels"].keys() == {
        "apps.kubernetes.io/pod-index",
        "controller-revision-hash",
        "statefulset.kubernetes.io/pod-name",
    }


def test_a_claim_template_may_have_owners_and_the_servers_fields() -> None:
    other = {"kind": "X", "name": "x", "uid": "x"}
    meta = {"name": "data", "uid": "u", "resourceVersion": "1", "creationTimestamp": None, "ownerReferences": [other]}
    template = {"metadata": meta, "spec": {}}

    kept = claim_document(stateful_set(delete=(True, False), selector={}), template, 0)["metadata"]

    assert kept == {"name": "data-db-0", "namespace": "shop", "labels": {}, "ownerReferences": [other, *OWNED]}


def test_an_adopted_pod_is_told_which_one_it_is() -> None:
    owner = stateful_set(1)
    document = pod_of(owner, 0).document()
    labels = document["metadata"]["labels"]
    document["metadata"]["labels"] = {"app": "db", "controller-revision-hash": owner.revision}
    adopted = parse_pod(encode(document))
    document["metadata"]["labels"] = labels

    assert decide_set(owner, {0: adopted}, CLAIMS) == [IdentifyPod(document)]
    assert identified(pod_of(owner, 0), 0) is None
    assert identified(parse_pod(encode({"metadata": {"name": "db-0", "deletionTimestamp": DELETED}})), 0) is None


def test_pods_below_the_partition_are_made_as_before() -> None:
    versions = Versions("before", "after", {"spec": {"old": True}})

    def made(owner: StatefulSet, ordinal: int) -> tuple[bool, str]:
        pods = {each: pod_of(owner, each) for each in owner.ordinals if each != ordinal}
        all_claims = claims_of(*(claim(f"data-db-{each}") for each in owner.ordinals))
        [step] = decide_set(owner, pods, all_claims, versions)
        assert isinstance(step, CreatePod)
        return "old" in step.document["spec"], step.document["metadata"]["labels"][REVISION_LABEL]

    assert made(partitioned(1), 0) == (True, "before")
    assert made(partitioned(1), 1) == (False, "after")
    assert made(partitioned(1, start=3), 3) == (True, "before")
    assert made(partitioned(1, start=3), 4) == (False, "after")
    assert made(partitioned(1, kind="OnDelete"), 0) == (False, "after")


def test_a_pod_must_have_been_ready_for_long_enough() -> None:
    owner = stateful_set(2, minReadySeconds=10)

    def since(time: str, *, ready: bool = True) -> Pod:
        document = pod_of(owner, 0, ready=ready).document()
        document["status"]["conditions"][0]["lastTransitionTime"] = time
        return parse_pod(encode(document))

    fresh, long = since("2026-03-01T11:59:55Z"), since("2026-03-01T11:59:50Z")
    assert shown(decide_set(owner, {0: fresh}, CLAIMS, None, NOW)) == []
    assert shown(decide_set(owner, {0: long}, CLAIMS, None, NOW)) == ["+db-1"]
    assert shown(decide_set(owner, {0: since("2026-03-01T11:00:00Z", ready=False)}, CLAIMS, None, NOW)) == []
    assert shown(decide_set(owner, {0: fresh}, CLAIMS)) == ["+db-1"], "without a time it isn't asked"
    assert set_status(owner, {0: fresh, 1: pod_of(owner, 1, ready=False)}, None, NOW).available == 0
    assert set_status(owner, {0: long}, None, NOW).available == 1
    assert set_status(owner, {0: long}).available is None
    assert is_ready(long)
    assert not is_ready(pod_of(owner, 0, phase="Pending"))
    assert not is_ready(parse_pod(encode({"status": {"phase": "Running"}})))


def test_members_are_in_order_and_selected() -> None:
    odd = stateful_set(selector={"matchExpressions": [{"key": "a", "operator": "Near"}]})
    shared = pod_of(OLD, 1, ownerReferences=[{"uid": "u", "controller": False}, {"uid": "x", "controller": True}])

    assert members(odd, [pod_of(odd, 0)]) == {}
    assert members(OLD, [shared]) == {}
    assert list(members(OLD, [pod_of(OLD, 10), pod_of(OLD, 2)])) == [2, 10]


def test_pods_that_are_going_have_no_revision_in_the_status() -> None:
    status = stateful_set(image="db:2", status={"currentRevision": OLD.revision})
    pods = pods_of(OLD, 0) | going(OLD, 1) | going(NEW, 2)

    assert set_status(status, pods) == SetStatus(3, 3, 1, 0, OLD.revision, NEW.revision)
    more = pods_of(NEW, 0, 1, 2, 3)
    assert set_status(status, more).current_revision == OLD.revision, "one too many is still there"
    assert set_status(status, pods_of(NEW, 0, 1) | unready(NEW, 2)).current_revision == OLD.revision


def test_a_status_leaves_out_what_is_zero() -> None:
    owner = stateful_set(1, status={"collisionCount": 3, "kept": 1, "readyReplicas": 2})
    document = with_set_status(owner, SetStatus(0, 0, 0, 0, "a", "b", 5))

    assert document is not None
    assert document["status"] == {
        "kept": 1,
        "observedGeneration": 2,
        "replicas": 0,
        "availableReplicas": 5,
        "currentRevision": "a",
        "updateRevision": "b",
        "collisionCount": 3,
    }
