"""Pod: defaults, QoS classes, mutable fields, graceful deletion, binding.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.server.kinds.writes import NOW, change_refusals, changed, merged, new, refusals, stored

from pvbinder.rules.pod_amounts import qos_class
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.pods import POD, bind_pod, grace_period
from pvbinder.server.objects.kind import Json

CONTAINER: Json = {"name": "c", "image": "nginx"}
TOLERATIONS = [
    {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for why in ("not-ready", "unreachable")
]


def pod(**spec: Any) -> Json:
    return new("p", spec={"containers": [CONTAINER], **spec})


def test_a_new_pod_gets_everything_it_leaves_out() -> None:
    obj = stored(POD, pod() | {"status": {"phase": "Running"}})
    assert obj["spec"] == {
        "containers": [
            {
                **CONTAINER,
                "imagePullPolicy": "Always",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "tolerations": TOLERATIONS,
    }
    assert obj["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


IMAGES = {
    "nginx": "Always",
    "nginx:latest": "Always",
    "busybox:1.36": "IfNotPresent",
    "reg.example.com:5000/img": "Always",
    "reg.example.com:5000/img@sha256:abc": "IfNotPresent",
}


@pytest.mark.parametrize(("image", "policy"), IMAGES.items(), ids=IMAGES)
def test_moving_images_are_pulled_each_time(image: str, policy: str) -> None:
    obj = stored(POD, pod(containers=[{"name": "c", "image": image}]))
    assert obj["spec"]["containers"][0]["imagePullPolicy"] == policy


VOLUMES = {
    "none": ({}, {"emptyDir": {}}),
    "claim": ({"persistentVolumeClaim": {"claimName": "c"}}, {"persistentVolumeClaim": {"claimName": "c"}}),
    "secret": ({"secret": {"secretName": "x"}}, {"secret": {"secretName": "x", "defaultMode": 420}}),
    "host path": ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
    "token": (
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {
            "projected": {
                "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                "defaultMode": 420,
            }
        },
    ),
    "template": (
        {
            "ephemeral": {
                "volumeClaimTemplate": {
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}
                }
            }
        },
        {
            "ephemeral": {
                "volumeClaimTemplate": {
                    "metadata": {},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1Gi"}},
                        "volumeMode": "Filesystem",
                    },
                }
            }
        },
    ),
}


@pytest.mark.parametrize(("sent", "shown"), VOLUMES.values(), ids=VOLUMES.keys())
def test_volumes_get_their_defaults(sent: Json, shown: Json) -> None:
    obj = stored(POD, pod(volumes=[{"name": "v", **copy.deepcopy(sent)}], serviceAccountName="a"))
    assert obj["spec"]["volumes"] == [{"name": "v", **shown}]


def container(requests: Json | None = None, limits: Json | None = None) -> Json:
    return {**CONTAINER, "resources": {"requests": requests or {}, "limits": limits or {}}}


BOTH = {"cpu": "1", "memory": "1Gi"}
CLASSES = {
    "BestEffort": [container()],
    "Guaranteed": [container(BOTH, {"cpu": "1000m", "memory": "1024Mi"})],
    "Burstable": [container(BOTH, BOTH), container()],
}


@pytest.mark.parametrize(("name", "containers"), CLASSES.items(), ids=CLASSES)
def test_classes_of_service(name: str, containers: list[Json]) -> None:
    assert qos_class({"containers": containers}) == name


def test_limits_are_asked_for_where_nothing_is() -> None:
    obj = stored(POD, pod(containers=[{**CONTAINER, "resources": {"limits": {"cpu": "500m"}}}]))
    assert obj["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}}


REFUSED = {
    "no containers": ({"containers": []}, ["spec.containers: Required value"]),
    "no image, odd policy": (
        {"containers": [{"name": "c", "image": ""}], "restartPolicy": "Odd"},
        [
            "spec.containers[0].image: Required value",
            'spec.restartPolicy: Unsupported value: "Odd": supported values: "Always", "OnFailure", "Never"',
        ],
    ),
    "a mount of nothing, a claim without name": (
        {
            "containers": [{**CONTAINER, "volumeMounts": [{"name": "nope", "mountPath": "/x"}]}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": ""}}, {"name": "v", "emptyDir": {}}],
        },
        [
            "spec.volumes[0].persistentVolumeClaim.claimName: Required value",
            'spec.containers[0].volumeMounts[0].name: Not found: "nope"',
        ],
    ),
    "the same volume twice": (
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
        ['spec.volumes[1].name: Duplicate value: "v"'],
    ),
    "a template that is no claim": (
        {"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]},
        [
            (
                "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: "
                "at least 1 access mode is required"
            ),
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
        ],
    ),
    "a template with a name": (
        {
            "volumes": [
                {
                    "name": "v",
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "metadata": {"name": "mine"},
                            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                        }
                    },
                }
            ]
        },
        ["spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set"],
    ),
    "no template": (
        {"volumes": [{"name": "v", "ephemeral": {}}]},
        ["spec.volumes[0].ephemeral.volumeClaimTemplate: Required value"],
    ),
    "the claim of a template by name": (
        {
            "volumes": [
                {
                    "name": "v",
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
                        }
                    },
                },
                {"name": "w", "persistentVolumeClaim": {"claimName": "p-v"}},
            ]
        },
        [
            (
                'spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: "p-v": '
                "must not reference a PVC that gets created for an ephemeral volume"
            )
        ],
    ),
}


@pytest.mark.parametrize(("spec", "errors"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_new_pod_can_not_be(spec: Json, errors: list[str]) -> None:
    assert refusals(POD, pod(**spec)) == errors


def test_little_of_a_pod_can_change() -> None:
    old = stored(POD, pod())
    image = {"spec": {"containers": [{**old["spec"]["containers"][0], "image": "other"}]}}
    assert change_refusals(POD, old, image) == []
    assert change_refusals(POD, old, {"spec": {"activeDeadlineSeconds": -1}}) == [
        "spec.activeDeadlineSeconds: Invalid value: -1: must be between 1 and 2147483647, inclusive",
        "spec.activeDeadlineSeconds: Invalid value: -1: must be between 0 and 2147483647, inclusive",
    ]
    more = [*TOLERATIONS, {"key": "k", "operator": "Exists"}]
    assert change_refusals(POD, old, {"spec": {"tolerations": more}}) == []
    (error,) = change_refusals(POD, old, {"spec": {"nodeName": "n"}})
    assert error.startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`")
    assert change_refusals(POD, old, {"spec": {"containers": old["spec"]["containers"] * 2}})[-1] == (
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    )


def test_a_status_update_keeps_spec_and_owners() -> None:
    old = stored(POD, pod())
    owner = [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u"}]
    patch = {
        "metadata": {"ownerReferences": owner},
        "spec": {"activeDeadlineSeconds": 5},
        "status": {"podIP": "10.0.0.1"},
    }
    result = changed(POD, old, patch, subresource="status")
    assert result["spec"] == old["spec"]
    assert "ownerReferences" not in result["metadata"]
    assert result["status"]["podIPs"] == [{"ip": "10.0.0.1"}]


ON_NODE: Json = {"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}, "status": {"phase": "Running"}}
GRACE = {  # DE-6: pod, what the request asks for, seconds
    "as the pod says": (ON_NODE, None, 30),
    "as the request says": (ON_NODE, 5, 5),
    "negative": (ON_NODE, -1, 1),
    "not on a node": (merged(ON_NODE, {"spec": {"nodeName": None}}), 5, 0),
    "done": (merged(ON_NODE, {"status": {"phase": "Succeeded"}}), None, 0),
}


@pytest.mark.parametrize(("obj", "asked", "seconds"), GRACE.values(), ids=GRACE.keys())
def test_how_long_a_deleted_pod_stays(obj: Json, asked: int | None, seconds: int) -> None:
    assert grace_period(obj, asked) == seconds


def binding(node: str) -> Json:
    return {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}}


def test_a_pod_is_bound_to_a_node_once() -> None:
    obj = stored(POD, pod())
    bind_pod(obj, binding("n1"), NOW)
    assert obj["spec"]["nodeName"] == "n1"
    assert obj["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": NOW}
    ]
    with pytest.raises(ApiError) as refused:
        bind_pod(obj, binding("n2"), NOW)
    assert refused.value.code == 409
    assert refused.value.message.endswith('pod p is already assigned to node "n1"')


def test_a_pod_that_is_going_is_not_bound() -> None:
    obj = stored(POD, pod())
    obj["metadata"]["deletionTimestamp"] = NOW
    with pytest.raises(ApiError, match="pod p is being deleted, cannot be assigned to a host"):
        bind_pod(obj, binding("n1"), NOW)


def test_a_pod_is_resized_within_its_class_of_service() -> None:
    old = stored(POD, pod(containers=[{**container(BOTH, BOTH), "name": "c"}]))
    more = {"cpu": "2", "memory": "1Gi"}
    patch = {"spec": {"containers": [{"name": "c", "image": "other", "resources": {"requests": more, "limits": more}}]}}
    result = changed(POD, old, patch, subresource="resize")
    assert result["spec"]["containers"][0]["image"] == "nginx"
    assert result["spec"]["containers"][0]["resources"]["limits"] == more
    (error,) = change_refusals(POD, old, {"spec": {"containers": [{"name": "c", "resources": {}}]}}, "resize")
    assert error == 'spec: Invalid value: "Guaranteed": Pod QOS Class may not change as a result of resizing'
