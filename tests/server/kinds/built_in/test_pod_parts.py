"""The parts of a pod's rules by themselves: its status, bindings, ephemeral containers, and what may change."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.pods import (
    bind_pod,
    default_pod,
    grace_period,
    prepare_ephemeral_containers,
    prepare_new_pod,
    prepare_pod_status,
    prepare_resize,
    validate_binding,
    validate_ephemeral_containers,
    validate_pod_update,
    validate_resize,
)
from pvbinder.server.objects.kind import Json

NOW = "2026-01-31T12:00:00Z"


def pod(status: Json | None = None, meta: Json | None = None, **spec: Any) -> Json:
    """A pod that is valid, with its defaults."""
    wanted = {"containers": [{"name": "c", "image": "i"}], **copy.deepcopy(spec)}
    found = {"metadata": {"name": "p", **(meta or {})}, "spec": wanted, "status": copy.deepcopy(status or {})}
    default_pod(found)
    return found


EMPTY_CONTAINER = {
    "name": "",
    "state": {},
    "lastState": {},
    "ready": False,
    "restartCount": 0,
    "image": "",
    "imageID": "",
}
TIMES = {"lastProbeTime": None, "lastTransitionTime": None}
STATUSES: dict[str, tuple[Json | None, Json]] = {  # sent: what comes of it
    "none": (None, {}),
    "empty": (
        {
            "phase": "",
            "conditions": [],
            "message": "",
            "reason": "",
            "nominatedNodeName": "",
            "hostIP": "",
            "podIP": "",
            "qosClass": "",
            "hostIPs": [],
            "podIPs": [],
            "initContainerStatuses": [],
            "containerStatuses": [],
            "ephemeralContainerStatuses": [],
        },
        {},
    ),
    "conditions": (
        {"conditions": [{"type": "a", "reason": "", "message": "", "observedGeneration": 0}, {"lastProbeTime": "x"}]},
        {"conditions": [{"type": "a", **TIMES}, {"lastProbeTime": "x", "lastTransitionTime": None}]},
    ),
    "an address": ({"podIP": "1"}, {"podIP": "1", "podIPs": [{"ip": "1"}]}),
    "addresses": ({"podIPs": [{"ip": "1"}, {"ip": "2"}]}, {"podIP": "1", "podIPs": [{"ip": "1"}, {"ip": "2"}]}),
    "both": (
        {"podIP": "1", "podIPs": [{"ip": "1"}, {"ip": "2"}]},
        {"podIP": "1", "podIPs": [{"ip": "1"}, {"ip": "2"}]},
    ),
    "others": ({"podIP": "1", "podIPs": [{"ip": "2"}]}, {"podIP": "1", "podIPs": [{"ip": "1"}]}),
    "an address that says nothing": ({"podIPs": [{}]}, {"podIP": "", "podIPs": [{}]}),
    "containers": (
        {
            "initContainerStatuses": [{}],
            "containerStatuses": [{"name": "c", "ready": True, "restartCount": 3}],
            "ephemeralContainerStatuses": [{"state": {"running": {}}}],
        },
        {
            "initContainerStatuses": [EMPTY_CONTAINER],
            "containerStatuses": [{**EMPTY_CONTAINER, "name": "c", "ready": True, "restartCount": 3}],
            "ephemeralContainerStatuses": [{**EMPTY_CONTAINER, "state": {"running": {}}}],
        },
    ),
}


@pytest.mark.parametrize(("sent", "expected"), STATUSES.values(), ids=STATUSES.keys())
def test_the_defaults_of_a_status(sent: Json | None, expected: Json) -> None:
    found: Json = {"metadata": {}, "spec": None, "status": copy.deepcopy(sent)}
    default_pod(found)

    assert found["status"] == expected
    assert found["spec"]["enableServiceLinks"] is True


def test_links_that_are_not_wanted_stay_so() -> None:
    assert pod(enableServiceLinks=False)["spec"]["enableServiceLinks"] is False


def test_the_status_of_a_new_pod() -> None:
    plain = pod({"phase": "Running"}, containers=[{"resources": {"requests": {"cpu": "1"}}}])
    prepare_new_pod(plain, NOW)
    assert plain["status"] == {"phase": "Pending", "qosClass": "Burstable"}

    gated = pod(schedulingGates=[{"name": "g"}])
    prepare_new_pod(gated, NOW)
    assert gated["status"] == {
        "phase": "Pending",
        "qosClass": "BestEffort",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                **TIMES,
            }
        ],
    }


def test_a_status_keeps_spec_owners_and_class_of_service() -> None:
    old = pod({"qosClass": "Burstable"}, {"ownerReferences": [{"uid": "u"}]})
    new = pod({"phase": "Running"}, {"ownerReferences": [{"uid": "other"}]}, nodeName="n")
    prepare_pod_status(new, old, NOW)
    assert (new["spec"], new["metadata"]["ownerReferences"]) == (old["spec"], [{"uid": "u"}])
    assert new["status"] == {"phase": "Running", "qosClass": "Burstable"}

    other = pod({"qosClass": "Guaranteed"})
    prepare_pod_status(other, old, NOW)
    assert other["status"]["qosClass"] == "Guaranteed"
    bare = pod(None, {"ownerReferences": [{"uid": "other"}]})
    prepare_pod_status(bare, pod(), NOW)
    assert "ownerReferences" not in bare["metadata"]
    assert "qosClass" not in bare["status"]


DEBUG = {"name": "debug", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}


def test_ephemeral_containers_come_alone() -> None:
    old = pod({"phase": "Running"}, {"labels": {"a": "b"}})
    new = pod({"phase": "Failed"}, {"labels": {"a": "c"}}, nodeName="n", ephemeralContainers=[DEBUG])
    prepare_ephemeral_containers(new, old, NOW)
    assert new["spec"] == {**old["spec"], "ephemeralContainers": new["spec"]["ephemeralContainers"]}
    assert new["spec"]["ephemeralContainers"][0]["name"] == "debug"
    assert (new["status"], new["metadata"]["labels"]) == (old["status"], {"a": "b"})

    none = pod()
    prepare_ephemeral_containers(none, new, NOW)
    assert "ephemeralContainers" not in none["spec"]


def test_ephemeral_containers_stay_as_they_are() -> None:
    def errors(before: list[Json], after: list[Json]) -> list[str]:
        new, old = (pod(ephemeralContainers=each) for each in (after, before))
        return [str(error) for error in validate_ephemeral_containers(new, old)]

    other = {**DEBUG, "name": "other"}
    assert errors([DEBUG], [other, DEBUG]) == []
    [changed] = errors([DEBUG], [{**DEBUG, "image": "j"}])
    assert changed.startswith("spec.ephemeralContainers: Forbidden: existing ephemeral containers ")
    assert changed.endswith(" may not be changed\n")
    [gone] = errors([DEBUG], [])
    assert gone.endswith(" may not be removed\n")
    assert "debug" in gone


def amounts(cpu: str) -> Json:
    both = {"cpu": cpu, "memory": "1Gi"}
    return {"requests": both, "limits": both}


def test_a_resize_takes_the_resources_alone() -> None:
    old = pod(
        {"phase": "Running"},
        containers=[{"name": "c", "resources": amounts("1")}, {"name": "d", "image": "i"}],
        initContainers=[{"name": "i", "resources": amounts("1")}],
    )
    new = pod(
        containers=[{"name": "d", "resources": amounts("3")}, {"name": "c", "image": "x", "resources": amounts("2")}],
        nodeName="n",
    )
    prepare_resize(new, old, NOW)

    containers = new["spec"]["containers"]
    assert [(one["name"], one["resources"]) for one in containers] == [("c", amounts("2")), ("d", amounts("3"))]
    assert [one.get("image") for one in containers] == [None, "i"]
    assert new["spec"]["initContainers"] == old["spec"]["initContainers"]
    assert "nodeName" not in new["spec"]
    assert new["status"] == old["status"]
    same = pod(containers=[{"name": "c", "image": "i", "resources": amounts("1")}])
    less = pod(containers=[{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}])
    assert validate_resize(same, same) == []
    assert [str(error) for error in validate_resize(less, same)] == [
        'spec: Invalid value: "Guaranteed": Pod QOS Class may not change as a result of resizing'
    ]


STAYS: dict[str, tuple[Json, int | None, int]] = {
    "it says nothing": ({"spec": {"nodeName": "n"}}, None, 0),
    "asked for, on a node": ({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 9}}, 0, 0),
    "it has failed": ({"spec": {"nodeName": "n"}, "status": {"phase": "Failed"}}, 9, 0),
    "no spec": ({}, 9, 0),
    "less than no time": ({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": -3}}, None, 1),
}


@pytest.mark.parametrize(("obj", "asked", "seconds"), STAYS.values(), ids=STAYS.keys())
def test_how_long_a_pod_stays(obj: Json, asked: int | None, seconds: int) -> None:
    assert grace_period(obj, asked) == seconds


BINDINGS: dict[str, tuple[Json, list[str]]] = {
    "to a node": ({"target": {"kind": "Node", "name": "n"}}, []),
    "to something": ({"target": {"name": "n"}}, []),
    "to nothing": ({}, ["target.name: Required value"]),
    "to a pod": (
        {"target": {"kind": "Pod", "name": "n"}},
        ['target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'],
    ),
}


@pytest.mark.parametrize(("binding", "errors"), BINDINGS.values(), ids=BINDINGS.keys())
def test_what_a_binding_has_to_name(binding: Json, errors: list[str]) -> None:
    assert [str(error) for error in validate_binding(binding)] == errors


def test_a_binding_brings_labels_and_annotations() -> None:
    conditions = [{"type": "PodScheduled", "status": "False"}, {"type": "Other"}]
    bound = pod({"conditions": conditions}, {"labels": {"a": "b"}})
    bind_pod(bound, {"metadata": {"labels": {"c": "d"}, "annotations": {"e": "f"}}, "target": {"name": "n"}}, NOW)

    assert bound["metadata"] == {"name": "p", "labels": {"a": "b", "c": "d"}, "annotations": {"e": "f"}}
    assert [one["type"] for one in bound["status"]["conditions"]] == ["Other", "PodScheduled"]
    assert bound["status"]["conditions"][1] == {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": NOW,
    }
    plain = pod()
    bind_pod(plain, {"target": {"name": "n"}}, NOW)
    assert plain["metadata"] == {"name": "p"}


REFUSED: dict[str, tuple[Json, str]] = {
    "it is going": (pod(None, {"deletionTimestamp": NOW}), "pod p is being deleted, cannot be assigned to a host"),
    "it has a node": (pod(nodeName="m"), 'pod p is already assigned to node "m"'),
    "it waits at a gate": (pod(schedulingGates=[{"name": "g"}]), "pod p has non-empty .spec.schedulingGates"),
}


@pytest.mark.parametrize(("there", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_a_pod_that_is_not_bound(there: Json, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        bind_pod(copy.deepcopy(there), {"target": {"name": "n"}}, NOW)

    assert (refused.value.code, refused.value.reason) == (409, "Conflict")
    assert refused.value.message == f'Operation cannot be fulfilled on pods/binding "p": {why}'


CHANGEABLE = "spec: Forbidden: pod updates may not change fields other than "
TOLERATES = {"key": "k", "operator": "Equal", "value": "v", "effect": "NoExecute"}
GATES = [{"name": "a"}, {"name": "b"}]
CHANGES: dict[str, tuple[Json, Json, list[str]]] = {  # before, after: how the refusals begin
    "nothing": ({}, {}, []),
    "an image": ({}, {"containers": [{"name": "c", "image": "j"}]}, []),
    "the image of an init container": (
        {"initContainers": [{"name": "i", "image": "i"}]},
        {"initContainers": [{"name": "i", "image": "j"}]},
        [],
    ),
    "a command": ({}, {"containers": [{"name": "c", "image": "i", "command": ["x"]}]}, [CHANGEABLE]),
    "a container more": (
        {},
        {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]},
        ["spec.containers: Forbidden: pod updates may not add or remove containers"],
    ),
    "an init container more": (
        {},
        {"initContainers": [{"name": "i", "image": "i"}]},
        ["spec.initContainers: Forbidden: pod updates may not add or remove init containers"],
    ),
    "a deadline": ({}, {"activeDeadlineSeconds": 5}, []),
    "a nearer deadline": ({"activeDeadlineSeconds": 5}, {"activeDeadlineSeconds": 4}, []),
    "a toleration more": ({"tolerations": [TOLERATES]}, {"tolerations": [TOLERATES, {"operator": "Exists"}]}, []),
    "for how long": ({"tolerations": [TOLERATES]}, {"tolerations": [{**TOLERATES, "tolerationSeconds": 5}]}, []),
    "a toleration less": (
        {"tolerations": [TOLERATES]},
        {},
        [
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
            CHANGEABLE,
        ],
    ),
    "a grace period that was none": ({"terminationGracePeriodSeconds": -1}, {"terminationGracePeriodSeconds": 1}, []),
    "a grace period": ({"terminationGracePeriodSeconds": 1}, {"terminationGracePeriodSeconds": 2}, [CHANGEABLE]),
    "a gate less": ({"schedulingGates": GATES}, {"schedulingGates": GATES[1:]}, []),
    "no gates": ({"schedulingGates": GATES}, {}, []),
    "a gate more": (
        {"schedulingGates": GATES[:1]},
        {"schedulingGates": GATES},
        ["spec.schedulingGates: Forbidden: only deletion is allowed, but found new scheduling gates", CHANGEABLE],
    ),
    "nodes, behind a gate": ({"schedulingGates": GATES}, {"schedulingGates": GATES, "nodeSelector": {"a": "b"}}, []),
    "nodes": ({}, {"nodeSelector": {"a": "b"}}, [CHANGEABLE]),
}


@pytest.mark.parametrize(("before", "after", "errors"), CHANGES.values(), ids=CHANGES.keys())
def test_what_may_change_in_a_pod(before: Json, after: Json, errors: list[str]) -> None:
    found = [str(error) for error in validate_pod_update(pod(**after), pod(**before))]

    assert len(found) == len(errors)
    assert all(one.startswith(start) for one, start in zip(found, errors, strict=True)), found


def test_a_refused_change_shows_what_differs() -> None:
    [error] = validate_pod_update(pod(nodeName="n"), pod())

    assert error.body.startswith(
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
        "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
    )
    assert '+ "nodeName": "n"' in error.body
