"""The status of a Deployment, all of it, and when it is looked at again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.rules.test_workloads import rolling

from pvbinder.model.json import Json, encode
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.deployment_status import deployment_status, has_deadline, seconds_to_deadline, with_condition
from pvbinder.rules.deployments import ReplicaSetsOf

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
AT_NOW, BEFORE, EARLIER = "2026-03-01T12:00:00Z", "2026-03-01T11:50:00Z", "2026-03-01T11:40:00Z"


def condition(type_: str, status: str, reason: str, message: str, updated: str = AT_NOW, since: str = AT_NOW) -> Json:
    times = {"lastUpdateTime": updated, "lastTransitionTime": since}
    return {"type": type_, "status": status, **times, "reason": reason, "message": message}


def replica_set(name: str, wanted: int, /, *conditions: Json, **counts: int) -> Workload:
    meta = {"name": name, "namespace": "shop", "uid": name}
    status = {"conditions": list(conditions), **counts}
    return parse_workload(encode({"metadata": meta, "spec": {"replicas": wanted}, "status": status}))


def deployment(status: Json | None = None, replicas: int = 4, unavailable: object = 1, **spec: Any) -> Workload:
    wanted = rolling(replicas, 1, unavailable, **spec)
    return parse_workload(encode({**wanted.document(), "status": status or {}}))


def four(number: int) -> Json:
    fields = ("replicas", "readyReplicas", "availableReplicas", "fullyLabeledReplicas")
    return dict.fromkeys(fields, number)


ENOUGH = condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
TOO_FEW = condition(
    "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
)
CREATED = condition("Progressing", "True", "NewReplicaSetCreated", 'Created new replica set "new"')
FOUND = condition("Progressing", "True", "FoundNewReplicaSet", 'Found new replica set "new"')
DONE = condition("Progressing", "True", "NewReplicaSetAvailable", 'ReplicaSet "new" has successfully progressed.')
GOES_ON = condition("Progressing", "True", "ReplicaSetUpdated", 'ReplicaSet "new" is progressing.')
LATE = condition("Progressing", "False", "ProgressDeadlineExceeded", 'ReplicaSet "new" has timed out progressing.')
REFUSED = condition("Progressing", "False", "ReplicaSetCreateError", "no room")
PAUSED = condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
RESUMED = condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
FAILURE = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
FAILING = condition("ReplicaFailure", "True", "FailedCreate", "quota")
OLD_ONE = replica_set("old", 3, replicas=3, readyReplicas=2, availableReplicas=2, terminatingReplicas=1)
NEW_ONE = replica_set("new", 2, replicas=2, readyReplicas=1, availableReplicas=1, terminatingReplicas=2)
ALL_NEW = replica_set("new", 4, **four(4))
HALF = {"replicas": 5, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 3, "unavailableReplicas": 2}
HALF |= {"terminatingReplicas": 3, "observedGeneration": 1}
WHOLE = {"replicas": 4, "updatedReplicas": 4, "readyReplicas": 4, "availableReplicas": 4, "terminatingReplicas": 0}
WHOLE |= {"observedGeneration": 1}
NONE = {"terminatingReplicas": 0, "observedGeneration": 1}


def earlier(one: Json, updated: str = BEFORE, since: str = EARLIER) -> Json:
    return {**one, "lastUpdateTime": updated, "lastTransitionTime": since}


Given = tuple[Workload, ReplicaSetsOf, Json, Json]
BOTH = ReplicaSetsOf(NEW_ONE, (OLD_ONE,))
STATUSES: dict[str, Given] = {  # the deployment, its sets, what else is known: the status
    "nothing is there yet": (
        deployment(),
        ReplicaSetsOf(None, ()),
        {},
        {**NONE, "conditions": [TOO_FEW]},
    ),
    "a replica set was made": (
        deployment(),
        ReplicaSetsOf(None, ()),
        {"created": "new"},
        {**NONE, "conditions": [TOO_FEW, CREATED]},
    ),
    "it couldn't be made": (
        deployment(),
        ReplicaSetsOf(None, ()),
        {"failure": "no room", "created": "new"},
        {**NONE, "conditions": [TOO_FEW, REFUSED]},
    ),
    "half of it": (deployment(), BOTH, {}, {**HALF, "conditions": [ENOUGH, GOES_ON]}),
    "too little of it": (
        deployment(unavailable=0),
        BOTH,
        {},
        {**HALF, "conditions": [TOO_FEW, GOES_ON]},
    ),
    "a set was found, and only the size changes": (
        deployment(),
        BOTH,
        {"is_scaled_only": True},
        {**HALF, "conditions": [ENOUGH, FOUND]},
    ),
    "nothing has changed": (
        deployment({**HALF, "conditions": [earlier(ENOUGH), earlier(GOES_ON)]}),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH), earlier(GOES_ON)]},
    ),
    "there was progress": (
        deployment({**HALF, "readyReplicas": 2, "conditions": [earlier(ENOUGH), earlier(GOES_ON)]}),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH), earlier(GOES_ON, AT_NOW)]},
    ),
    "an old pod less is progress": (
        deployment({**HALF, "replicas": 6, "conditions": [earlier(ENOUGH), earlier(GOES_ON)]}),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH), earlier(GOES_ON, AT_NOW)]},
    ),
    "fewer is no progress": (
        deployment({**HALF, "availableReplicas": 4, "conditions": [earlier(ENOUGH), earlier(GOES_ON)]}),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH), earlier(GOES_ON)]},
    ),
    "progress after all": (
        deployment({**HALF, "readyReplicas": 2, "conditions": [earlier(ENOUGH), earlier(LATE)]}),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH), GOES_ON]},
    ),
    "it is late": (
        deployment({**HALF, "conditions": [earlier(ENOUGH), earlier(GOES_ON, "2026-03-01T11:49:59Z")]}),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH), LATE]},
    ),
    "it stays late": (
        deployment({**HALF, "conditions": [earlier(ENOUGH), earlier(LATE, AT_NOW)]}),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH), earlier(LATE, AT_NOW)]},
    ),
    "it is done": (
        deployment({"conditions": [earlier(ENOUGH), earlier(GOES_ON)]}),
        ReplicaSetsOf(ALL_NEW, ()),
        {},
        {**WHOLE, "conditions": [earlier(ENOUGH), earlier(DONE, AT_NOW)]},
    ),
    "it was done": (
        deployment({"conditions": [earlier(ENOUGH), earlier({**DONE, "message": "kept"})]}),
        ReplicaSetsOf(ALL_NEW, ()),
        {},
        {**WHOLE, "conditions": [earlier(ENOUGH), earlier({**DONE, "message": "kept"})]},
    ),
    "it was done, and a pod isn't ready any more": (
        deployment({**WHOLE, "conditions": [earlier(ENOUGH), earlier(DONE)]}),
        ReplicaSetsOf(replica_set("new", 4, replicas=4, readyReplicas=3, availableReplicas=3), ()),
        {},
        {
            **WHOLE,
            "readyReplicas": 3,
            "availableReplicas": 3,
            "unavailableReplicas": 1,
            "conditions": [earlier(ENOUGH), earlier(DONE)],
        },
    ),
    "another update begins": (
        deployment({**WHOLE, "conditions": [earlier(ENOUGH), earlier(DONE)]}),
        ReplicaSetsOf(replica_set("new", 1, replicas=1), (replica_set("old", 4, **four(4)),)),
        {},
        {
            "replicas": 5,
            "updatedReplicas": 1,
            "readyReplicas": 4,
            "availableReplicas": 4,
            "unavailableReplicas": 1,
            **NONE,
            "conditions": [earlier(ENOUGH), earlier(DONE)],
        },
    ),
    "without any replica set it is called by its own name": (
        deployment({"conditions": [earlier(ENOUGH), earlier(GOES_ON)]}, replicas=0),
        ReplicaSetsOf(None, ()),
        {},
        {
            **NONE,
            "conditions": [
                earlier(ENOUGH),
                earlier({**DONE, "message": 'Deployment "web" has successfully progressed.'}, AT_NOW),
            ],
        },
    ),
    "paused": (
        deployment({"conditions": [earlier(ENOUGH), earlier(GOES_ON)]}, paused=True),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH), PAUSED]},
    ),
    "resumed": (
        deployment({"conditions": [earlier(ENOUGH), earlier(PAUSED, since=BEFORE)]}),
        BOTH,
        {"is_scaled_only": True},
        {**HALF, "conditions": [earlier(ENOUGH), {**RESUMED, "lastTransitionTime": BEFORE}]},
    ),
    "what is late is not paused": (
        deployment({"conditions": [earlier(ENOUGH), earlier(LATE)]}, paused=True),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH), earlier(LATE)]},
    ),
    "nobody asks for progress": (
        deployment({"conditions": [earlier(ENOUGH), earlier(GOES_ON)]}, progressDeadlineSeconds=2**31 - 1),
        BOTH,
        {},
        {**HALF, "conditions": [earlier(ENOUGH)]},
    ),
    "pods can't be made": (
        deployment(),
        ReplicaSetsOf(replica_set("new", 2, {"type": "Other"}, FAILURE), ()),
        {},
        {
            "unavailableReplicas": 2,
            **NONE,
            "conditions": [TOO_FEW, FOUND, FAILING],
        },
    ),
    "they still can't": (
        deployment({"conditions": [earlier(FAILING)]}),
        ReplicaSetsOf(replica_set("new", 2, FAILURE), ()),
        {},
        {"unavailableReplicas": 2, **NONE, "conditions": [TOO_FEW, FOUND, earlier(FAILING)]},
    ),
    "they can again": (
        deployment({"conditions": [earlier(FAILING)]}),
        ReplicaSetsOf(replica_set("new", 2), ()),
        {},
        {"unavailableReplicas": 2, **NONE, "conditions": [TOO_FEW, FOUND]},
    ),
    "collisions are remembered": (
        deployment({"collisionCount": 2}),
        ReplicaSetsOf(None, ()),
        {},
        {**NONE, "collisionCount": 2, "conditions": [TOO_FEW]},
    ),
}


@pytest.mark.parametrize(("one", "sets", "more", "status"), STATUSES.values(), ids=STATUSES.keys())
def test_the_status_of_a_deployment(one: Workload, sets: ReplicaSetsOf, more: Json, status: Json) -> None:
    assert deployment_status(one, sets, NOW, **more) == status


def test_a_failure_says_at_least_that_it_is_one() -> None:
    sets = ReplicaSetsOf(replica_set("new", 2, {"type": "ReplicaFailure"}), ())

    assert deployment_status(deployment(), sets, NOW)["conditions"][-1] == condition("ReplicaFailure", "True", "", "")


LEFT: dict[str, tuple[Workload, Json, float | None]] = {
    "some": (deployment(), {"conditions": [earlier(GOES_ON, "2026-03-01T11:51:00Z")]}, 61.0),
    "none": (deployment(), {"conditions": [earlier(GOES_ON, EARLIER)]}, 1.0),
    "all: nobody knows since when": (deployment(), {"conditions": [earlier(GOES_ON, "soon")]}, 601.0),
    "no condition": (deployment(), {}, None),
    "no deadline": (deployment(progressDeadlineSeconds=2**31 - 1), {"conditions": [GOES_ON]}, None),
    "paused": (deployment(paused=True), {"conditions": [GOES_ON]}, None),
    "complete": (deployment(), {**WHOLE, "conditions": [GOES_ON]}, None),
    "was complete": (deployment(), {"conditions": [DONE]}, None),
    "late already": (deployment(), {"conditions": [LATE]}, None),
}


@pytest.mark.parametrize(("one", "status", "seconds"), LEFT.values(), ids=LEFT.keys())
def test_when_a_rollout_is_looked_at_again(one: Workload, status: Json, seconds: float | None) -> None:
    assert seconds_to_deadline(one, status, NOW) == seconds


def test_without_a_number_there_is_no_deadline() -> None:
    assert not has_deadline(parse_workload(b"{}"))
    assert has_deadline(deployment())


def test_a_condition_is_written_anew_when_its_status_or_reason_changes() -> None:
    known = [condition("A", "True", "Old", "m", BEFORE, EARLIER), {"type": "B"}]

    assert with_condition(known, "A", "True", "Old", "another message", NOW) is known
    assert with_condition(known, "A", "True", "New", "n", NOW) == [
        {"type": "B"},
        condition("A", "True", "New", "n", AT_NOW, EARLIER),
    ]
    assert with_condition(known, "A", "False", "Old", "n", NOW) == [{"type": "B"}, condition("A", "False", "Old", "n")]
