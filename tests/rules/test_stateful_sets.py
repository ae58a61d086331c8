"""What a StatefulSet needs next: pods and claims of its templates, in order, with owners as the policy says."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rules.objects import claim

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, ClaimKey, Pod, parse_pod
from pvbinder.model.stateful_sets import StatefulSet, parse_stateful_set
from pvbinder.rules.stateful_sets import (
    REVISION_LABEL,
    CreateClaim,
    CreatePod,
    DeletePod,
    OwnClaim,
    SetStatus,
    Step,
    claim_document,
    decide_set,
    members,
    pod_document,
    set_status,
    with_owners,
    with_set_status,
)

OWN = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u"}
OWNED = [OWN | {"controller": True, "blockOwnerDeletion": True}]


def stateful_set(
    replicas: int | None = 3,
    *,
    delete: tuple[bool, bool] = (False, False),
    status: Json | None = None,
    image: str = "db:1",
    templates: bool = True,
    meta: Json | None = None,
    **spec: Any,
) -> StatefulSet:
    """A set of `replicas` with one claim template; `delete`: claims when deleted, when scaled."""
    policy = {"whenDeleted": "Delete" if delete[0] else "Retain", "whenScaled": "Delete" if delete[1] else "Retain"}
    data = {"metadata": {"name": "data", "labels": {"kind": "disk"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    document = {
        "metadata": {"name": "db", "namespace": "shop", "uid": "u", "generation": 2, **(meta or {})},
        "spec": {
            "replicas": replicas,
            "serviceName": "db-svc",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db"}, "annotations": {"a": "b"}},
                "spec": {"containers": [{"name": "db", "image": image}]},
            },
            "volumeClaimTemplates": [data] if templates else None,
            "persistentVolumeClaimRetentionPolicy": policy,
            **spec,
        },
        "status": status or {},
    }
    return parse_stateful_set(encode(document))


def pod_of(owner: StatefulSet, ordinal: int, *, ready: bool = True, phase: str = "Running", **meta: Any) -> Pod:
    document = pod_document(owner, ordinal)
    document["metadata"] |= {"uid": f"pod-{ordinal}"} | meta
    document["status"] = {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return parse_pod(encode(document))


def pods_of(owner: StatefulSet, *ordinals: int) -> dict[int, Pod]:
    return {ordinal: pod_of(owner, ordinal) for ordinal in ordinals}


def claims_of(*claims: Claim) -> dict[ClaimKey, Claim]:
    return {each.key: each for each in claims}


def shown(steps: list[Step]) -> list[str]:
    """The steps in short: +claim, +pod, -pod, =claim."""
    words = []
    for step in steps:
        match step:
            case CreateClaim(document=document) | CreatePod(document=document):
                words.append(f"+{document['metadata']['name']}")
            case DeletePod(pod=pod):
                words.append(f"-{pod.name}")
            case OwnClaim(document=document):
                words.append(f"={document['metadata']['name']}")
    return words


ALL_CLAIMS = claims_of(*(claim(f"data-db-{ordinal}") for ordinal in range(10)))
DELETED = "2026-01-01T00:00:00Z"

# ------------------------------------------------------------------------------------------------ in order


def test_the_first_pod_and_its_claims_come_first() -> None:
    assert shown(decide_set(stateful_set(), {}, {})) == ["+data-db-0", "+db-0"]


def test_the_next_pod_waits_until_the_one_before_is_ready() -> None:
    owner = stateful_set()

    assert shown(decide_set(owner, {0: pod_of(owner, 0, ready=False)}, ALL_CLAIMS)) == []
    assert shown(decide_set(owner, pods_of(owner, 0), ALL_CLAIMS)) == ["+db-1"]


def test_a_parallel_set_makes_all_at_once() -> None:
    owner = stateful_set(podManagementPolicy="Parallel")

    assert shown(decide_set(owner, {}, {})) == ["+data-db-0", "+db-0", "+data-db-1", "+db-1", "+data-db-2", "+db-2"]


def test_ordinals_can_start_elsewhere() -> None:
    owner = stateful_set(2, ordinals={"start": 5}, podManagementPolicy="Parallel", templates=False)

    assert shown(decide_set(owner, pods_of(owner, 4), {})) == ["+db-5", "+db-6", "-db-4"]


def test_scaling_down_goes_in_reverse_one_by_one() -> None:
    owner = stateful_set(1)

    assert shown(decide_set(owner, pods_of(owner, 0, 1, 2), ALL_CLAIMS)) == ["-db-2"]
    going = pods_of(owner, 0, 1) | {2: pod_of(owner, 2, deletionTimestamp=DELETED)}
    assert shown(decide_set(owner, going, ALL_CLAIMS)) == []


def test_each_claim_that_shall_go_with_its_set_is_owned() -> None:
    owner = stateful_set(3, delete=(True, False))
    steps = shown(decide_set(owner, pods_of(owner, 0, 1, 2), ALL_CLAIMS))
    assert [step for step in steps if step[0] == "="] == ["=data-db-0", "=data-db-1", "=data-db-2"]


def test_scaling_down_in_parallel_goes_at_once() -> None:
    owner = stateful_set(0, podManagementPolicy="Parallel")

    assert shown(decide_set(owner, pods_of(owner, 0, 1), ALL_CLAIMS)) == ["-db-1", "-db-0"]


def test_no_replicas_said_is_one() -> None:
    assert stateful_set(None).ordinals == range(1)


def test_a_pod_that_is_over_is_made_anew() -> None:
    owner = stateful_set(1)

    assert shown(decide_set(owner, {0: pod_of(owner, 0, phase="Failed")}, ALL_CLAIMS)) == ["-db-0"]


def test_a_pod_that_goes_is_waited_for() -> None:
    owner = stateful_set(1)

    assert shown(decide_set(owner, {0: pod_of(owner, 0, deletionTimestamp=DELETED)}, ALL_CLAIMS)) == []


def test_a_claim_that_goes_must_be_gone_before_its_pod_comes_back() -> None:
    owner = stateful_set(1)
    former = [{"apiVersion": "v1", "kind": "Pod", "name": "db-0", "uid": "former", "controller": True}]

    assert shown(decide_set(owner, {}, claims_of(claim("data-db-0", is_deleting=True)))) == []
    assert shown(decide_set(owner, {}, claims_of(claim("data-db-0", owners=former)))) == []


def test_a_claim_deleted_under_a_waiting_pod_is_made_again() -> None:
    owner = stateful_set(1)

    assert shown(decide_set(owner, {0: pod_of(owner, 0, ready=False, phase="Pending")}, {})) == ["+data-db-0"]


def test_a_set_that_goes_makes_nothing() -> None:
    assert decide_set(stateful_set(meta={"deletionTimestamp": DELETED}), {}, {}) == []


# ------------------------------------------------------------------------------------------------ updates


def test_a_rolling_update_replaces_the_highest_first() -> None:
    old, new = stateful_set(image="db:1"), stateful_set(image="db:2")

    assert shown(decide_set(new, pods_of(old, 0, 1, 2), ALL_CLAIMS)) == ["-db-2"]
    assert shown(decide_set(new, pods_of(old, 0, 1) | pods_of(new, 2), ALL_CLAIMS)) == ["-db-1"]


def test_a_partition_keeps_the_lower_pods() -> None:
    old = stateful_set(image="db:1")
    new = stateful_set(image="db:2", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})

    assert shown(decide_set(new, pods_of(old, 0, 1) | pods_of(new, 2), ALL_CLAIMS)) == []


def test_on_delete_replaces_nothing_by_itself() -> None:
    old, new = stateful_set(image="db:1"), stateful_set(image="db:2", updateStrategy={"type": "OnDelete"})

    assert shown(decide_set(new, pods_of(old, 0, 1, 2), ALL_CLAIMS)) == []
    assert shown(decide_set(new, pods_of(old, 0, 1), ALL_CLAIMS)) == ["+db-2"]


def test_the_same_template_is_the_same_revision() -> None:
    assert stateful_set(1).revision == stateful_set(5).revision != stateful_set(image="db:2").revision


# ------------------------------------------------------------------------------------------------ what is made


def test_a_pod_has_name_labels_owner_and_volumes() -> None:
    owner = stateful_set()
    template = owner.template["spec"] | {"volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]}
    owner = stateful_set(template={"metadata": {"labels": {"app": "db"}, "annotations": {"a": "b"}}, "spec": template})

    document = pod_document(owner, 1)

    assert document["metadata"] == {
        "name": "db-1",
        "generateName": "db-",
        "namespace": "shop",
        "labels": {
            "app": "db",
            "apps.kubernetes.io/pod-index": "1",
            "controller-revision-hash": owner.revision,
            "statefulset.kubernetes.io/pod-name": "db-1",
        },
        "annotations": {"a": "b"},
        "ownerReferences": OWNED,
    }
    assert document["spec"]["hostname"] == "db-1"
    assert document["spec"]["subdomain"] == "db-svc"
    assert document["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    assert owner.template["spec"]["volumes"][0] == {"name": "data", "emptyDir": {}}, "the template stays as it is"


def test_a_claim_has_the_labels_of_template_and_selector() -> None:
    owner = stateful_set()

    document = claim_document(owner, owner.claim_templates[0], 2)

    assert document["metadata"] == {
        "name": "data-db-2",
        "namespace": "shop",
        "labels": {"kind": "disk", "app": "db"},
    }
    assert (
        claim_document(stateful_set(delete=(True, False)), owner.claim_templates[0], 2)["metadata"]["ownerReferences"]
        == OWNED
    )


def test_members_are_the_pods_that_it_controls() -> None:
    owner = stateful_set()
    other = pod_of(owner, 3, ownerReferences=[])
    elsewhere = pod_of(owner, 4, name="web-4")
    unlabelled = pod_of(owner, 5, labels={})

    assert list(members(owner, [pod_of(owner, 2), pod_of(owner, 0), other, elsewhere, unlabelled])) == [0, 2]


# ------------------------------------------------------------------------------------------------ retention

POD_OWNS = [
    {"apiVersion": "v1", "kind": "Pod", "name": "db-1", "uid": "pod-1", "controller": True, "blockOwnerDeletion": True}
]
POLICIES: dict[str, tuple[tuple[bool, bool], bool, list[Json]]] = {  # delete when (deleted, scaled), wanted, owners
    "keep, keep": ((False, False), True, []),
    "keep, keep, not wanted": ((False, False), False, []),
    "delete with the set": ((True, False), True, OWNED),
    "delete with the set, not wanted": ((True, False), False, OWNED),
    "delete when scaled": ((False, True), True, []),
    "delete when scaled, not wanted": ((False, True), False, POD_OWNS),
    "delete both": ((True, True), True, OWNED),
    "delete both, not wanted": ((True, True), False, POD_OWNS),
}


@pytest.mark.parametrize(("delete", "wanted", "owners"), POLICIES.values(), ids=POLICIES.keys())
@pytest.mark.parametrize("before", [[], OWNED, POD_OWNS], ids=["none", "the set", "the pod"])
def test_claims_get_the_owners_of_the_policy(
    before: list[Json], delete: tuple[bool, bool], wanted: bool, owners: list[Json]
) -> None:
    owner = stateful_set(delete=delete)
    pod = pod_of(owner, 1)

    document = with_owners(claim("data-db-1", owners=before), owner, pod, is_wanted=wanted)

    after = before if document is None else document["metadata"].get("ownerReferences", [])
    assert after == owners


def test_a_claim_that_somebody_else_controls_is_left_to_them() -> None:
    others = [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "x", "controller": True}]
    owner = stateful_set(delete=(True, True))

    assert with_owners(claim("data-db-1", owners=others), owner, pod_of(owner, 1), is_wanted=True) is None


def test_the_owner_is_written_before_the_pod_goes() -> None:
    owner = stateful_set(1, delete=(False, True))

    assert shown(decide_set(owner, pods_of(owner, 0, 1), ALL_CLAIMS)) == ["=data-db-1", "-db-1"]


# ------------------------------------------------------------------------------------------------ status


def test_the_status_counts_pods_and_revisions() -> None:
    old = stateful_set(image="db:1")
    new = stateful_set(image="db:2", status={"currentRevision": old.revision})
    pods = pods_of(old, 0) | pods_of(new, 1) | {2: pod_of(new, 2, ready=False)}

    assert set_status(new, pods) == SetStatus(3, 2, 1, 2, old.revision, new.revision)


def test_the_update_revision_becomes_current_when_all_pods_have_it() -> None:
    old = stateful_set(image="db:1")
    new = stateful_set(image="db:2", status={"currentRevision": old.revision})
    by_hand = stateful_set(image="db:2", status={"currentRevision": old.revision}, updateStrategy={"type": "OnDelete"})

    assert set_status(new, pods_of(new, 0, 1, 2)).current_revision == new.revision
    assert set_status(by_hand, pods_of(new, 0, 1, 2)).current_revision == old.revision


def test_a_status_that_says_so_already_is_not_written() -> None:
    owner = stateful_set(1)
    pods = pods_of(owner, 0)
    document = with_set_status(owner, set_status(owner, pods))

    assert document is not None
    assert document["status"] == {
        "observedGeneration": 2,
        "replicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "currentReplicas": 1,
        "updatedReplicas": 1,
        "currentRevision": owner.revision,
        "updateRevision": owner.revision,
        "collisionCount": 0,
    }
    assert pods[0].labels[REVISION_LABEL] == owner.revision
    assert with_set_status(parse_stateful_set(encode(document)), set_status(owner, pods)) is None
