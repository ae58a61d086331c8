"""Workloads, jobs, services and the plain kinds: defaults, refusals, columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.server.kinds.writes import NOW, Objects, change_refusals, changed, new, refusals, stored

from pvbinder.model.resources import SERVICES
from pvbinder.server.api.tables import render_table
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.autoscalers import AUTOSCALER
from pvbinder.server.kinds.built_in.jobs import CRON_JOB, JOB
from pvbinder.server.kinds.built_in.plain import PLAIN_KINDS
from pvbinder.server.kinds.built_in.services import ENDPOINT, ENDPOINT_SLICE, SERVICE
from pvbinder.server.kinds.built_in.workloads import (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
)
from pvbinder.server.kinds.parts.scale import read_scale, take_in_scale
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.schema import CATALOGUE

CLOCK = datetime(2026, 1, 31, 12, 0, 7, tzinfo=UTC)
SELECTED: Json = {
    "selector": {"matchLabels": {"app": "a"}},
    "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
}
ONCE: Json = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}


def workload(**spec: Any) -> Json:
    return new("w", spec={**SELECTED, **spec})


def plain(plural: str) -> ServedKind:
    return next(kind for kind in PLAIN_KINDS if kind.resource.plural == plural)


def without_template(spec: Json) -> Json:
    return {key: value for key, value in spec.items() if key not in ("template", "selector")}


SPECS: list[tuple[ServedKind, Json]] = [
    (
        DEPLOYMENT,
        {
            "replicas": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
        },
    ),
    (REPLICA_SET, {"replicas": 1}),
    (
        DAEMON_SET,
        {
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            "revisionHistoryLimit": 10,
        },
    ),
    (
        STATEFUL_SET,
        {
            "replicas": 1,
            "serviceName": "",
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "revisionHistoryLimit": 10,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        },
    ),
]


@pytest.mark.parametrize(("kind", "spec"), SPECS, ids=[kind.resource.plural for kind, _ in SPECS])
def test_new_workloads_get_their_defaults(kind: ServedKind, spec: Json) -> None:
    obj = stored(kind, workload() | {"status": {"replicas": 9}})
    assert without_template(obj["spec"]) == spec
    assert obj["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert obj["status"].get("replicas", 0) == 0
    assert kind.generation_at_create == 1


def test_templates_of_claims_get_their_defaults() -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
    }
    obj = stored(STATEFUL_SET, workload(volumeClaimTemplates=[claim]))
    assert obj["spec"]["volumeClaimTemplates"] == [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Pending"},
        }
    ]


REFUSED = {
    "negative": ({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
    "selects others": (
        {"selector": {"matchLabels": {"app": "b"}}},
        ['spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`'],
    ),
    "pods that end": (
        {
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
            }
        },
        ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ),
}


@pytest.mark.parametrize(("spec", "errors"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_workload_can_not_be(spec: Json, errors: list[str]) -> None:
    assert refusals(DEPLOYMENT, workload(**spec)) == errors


def test_the_pods_of_a_workload_stay_the_same() -> None:
    old = stored(DEPLOYMENT, workload())
    patch = {
        "spec": {"selector": {"matchLabels": {"app": "b"}}, "template": {"metadata": {"labels": {"app": "b"}}}},
    }
    (error,) = change_refusals(DEPLOYMENT, old, patch)
    assert error.startswith("spec.selector: Invalid value: {")
    assert (
        DEPLOYMENT.generation_after(
            changed(DEPLOYMENT, old, {"spec": {"replicas": 3}}), {**old, "metadata": {"generation": 1}}
        )
        == 2
    )


def test_containers_of_a_stateful_set_mount_what_its_claims_bring() -> None:
    """The volumes of claims are there when the pod spec is checked, as in the reference."""
    mounts = [{"name": "data", "mountPath": "/data"}]
    template = {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "i", "volumeMounts": mounts}]},
    }
    resources = {"requests": {"storage": "1Gi"}}
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources}}
    assert refusals(STATEFUL_SET, workload(template=template, volumeClaimTemplates=[claim])) == []
    assert refusals(DEPLOYMENT, workload(template=template)) == [
        'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"'
    ]


def test_pods_of_a_stateful_set_run_for_ever() -> None:
    template = {
        "metadata": {"labels": {"app": "a"}},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 5,
            "containers": [{"name": "c", "image": "i"}],
        },
    }
    assert refusals(STATEFUL_SET, workload(template=template)) == [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported",
    ]
    assert refusals(STATEFUL_SET, workload(selector={})) == [
        "spec.selector: Invalid value: {}: empty selector is invalid for statefulset"
    ]


def test_only_some_of_a_stateful_set_changes() -> None:
    old = stored(STATEFUL_SET, workload())
    assert change_refusals(STATEFUL_SET, old, {"spec": {"replicas": 3, "minReadySeconds": 5}}) == []
    (error,) = change_refusals(STATEFUL_SET, old, {"spec": {"serviceName": "s"}})
    assert error.startswith("spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals'")


def test_a_job_marks_its_pods() -> None:
    obj = stored(JOB, new("j", spec=ONCE))
    labels = obj["spec"]["template"]["metadata"]["labels"]
    assert labels["batch.kubernetes.io/job-name"] == labels["job-name"] == "j"
    assert obj["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}
    assert (obj["spec"]["completions"], obj["spec"]["parallelism"], obj["spec"]["backoffLimit"]) == (1, 1, 6)
    (error,) = change_refusals(JOB, obj, {"spec": {"completions": 2}})
    assert error == "spec.completions: Invalid value: 2: field is immutable"
    assert change_refusals(JOB, obj, {"spec": {"parallelism": 2}}) == []


def test_a_cron_job_has_a_schedule() -> None:
    assert refusals(CRON_JOB, new(spec={"jobTemplate": {"spec": ONCE}})) == ["spec.schedule: Required value"]
    (error,) = refusals(CRON_JOB, new(spec={"schedule": "* * *", "jobTemplate": {"spec": ONCE}}))
    assert "expected exactly 5 fields, found 3" in error
    spec = stored(CRON_JOB, new(spec={"schedule": "@daily", "jobTemplate": {"spec": ONCE}}))["spec"]
    assert (spec["concurrencyPolicy"], spec["suspend"], spec["successfulJobsHistoryLimit"]) == ("Allow", False, 3)


PORT = {"port": 80}


def test_a_service_gets_an_address_and_keeps_it() -> None:
    obj = stored(SERVICE, new("web", spec={"ports": [PORT]}))
    spec = obj["spec"]
    assert spec["clusterIP"].startswith("10.96.")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["type"], spec["sessionAffinity"], spec["ipFamilies"]) == ("ClusterIP", "None", ["IPv4"])
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    replaced = changed(SERVICE, obj, {"spec": {"clusterIP": None, "clusterIPs": None, "selector": {"a": "b"}}})
    assert replaced["spec"]["clusterIP"] == spec["clusterIP"]
    (error,) = change_refusals(SERVICE, obj, {"spec": {"clusterIP": "10.96.1.1"}})
    assert error == 'spec.clusterIPs[0]: Invalid value: ["10.96.1.1"]: may not change once set'


def test_a_service_on_nodes_gets_ports() -> None:
    obj = stored(SERVICE, new("web", spec={"type": "NodePort", "ports": [PORT]}))
    assert 30000 <= obj["spec"]["ports"][0]["nodePort"] < 32768
    assert changed(SERVICE, obj, {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}})["spec"]["ports"][0] == {
        "port": 80,
        "protocol": "TCP",
        "targetPort": 8080,
        "nodePort": obj["spec"]["ports"][0]["nodePort"],
    }


def test_services_without_address() -> None:
    assert stored(SERVICE, new("web", spec={"clusterIP": "None"}))["spec"]["clusterIP"] == "None"
    external = stored(SERVICE, new("web", spec={"type": "ExternalName", "externalName": "example.com"}))
    assert "clusterIP" not in external["spec"]
    assert refusals(SERVICE, new("web", spec={})) == ["spec.ports: Required value"]


def test_an_address_is_given_once() -> None:
    first = stored(SERVICE, new("web", spec={"ports": [PORT]}))
    taken = Objects((SERVICES, first))
    second = stored(SERVICE, new("web", spec={"ports": [PORT]}), taken)
    assert second["spec"]["clusterIP"] != first["spec"]["clusterIP"]
    with pytest.raises(ApiError, match="provided IP is already allocated"):
        stored(SERVICE, new("other", spec={"ports": [PORT], "clusterIP": first["spec"]["clusterIP"]}), taken)
    with pytest.raises(ApiError, match="is not in the valid range"):
        stored(SERVICE, new("other", spec={"ports": [PORT], "clusterIP": "192.168.0.1"}))


def test_a_scale_is_the_number_of_a_workload() -> None:
    obj = stored(DEPLOYMENT, workload(replicas=2))
    assert read_scale(obj) == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": "w", "namespace": "ns", "uid": "u-1", "resourceVersion": "7", "creationTimestamp": NOW},
        "spec": {"replicas": 2},
        "status": {"replicas": 0, "selector": "app=a"},
    }
    take_in_scale(obj, {"spec": {"replicas": 5}}, NOW)
    assert obj["spec"]["replicas"] == 5
    with pytest.raises(ApiError, match=r"spec\.replicas: Invalid value: -1: must be greater than or equal to 0"):
        take_in_scale(obj, {"spec": {"replicas": -1}}, NOW)


def test_plain_kinds_get_their_defaults() -> None:
    policy = stored(plain("networkpolicies"), new(spec={"egress": [{}]}))
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    controller = stored(plain("replicationcontrollers"), new(spec={"template": SELECTED["template"]}))
    assert (controller["spec"]["selector"], controller["spec"]["replicas"]) == ({"app": "a"}, 1)


@pytest.mark.parametrize("kind", PLAIN_KINDS, ids=lambda kind: kind.resource.qualified)
def test_every_plain_kind_has_its_schema(kind: ServedKind) -> None:
    assert CATALOGUE[kind.schema].gvk == (kind.resource.group, kind.resource.version, kind.resource.kind)


ROWS: list[tuple[ServedKind, Json, list[object]]] = [
    (
        DEPLOYMENT,
        {
            "spec": {"replicas": 3, **SELECTED},
            "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2},
        },
        ["a", "2/3", 3, 2, "7s", "c", "i", "app=a"],
    ),
    (
        REPLICA_SET,
        {"spec": {"replicas": 3, **SELECTED}, "status": {"replicas": 2}},
        ["a", 3, 2, 0, "7s", "c", "i", "app=a"],
    ),
    (STATEFUL_SET, {"spec": {"replicas": 1, **SELECTED}, "status": {}}, ["a", "0/1", "7s", "c", "i"]),
    (DAEMON_SET, {"spec": SELECTED, "status": {}}, ["a", 0, 0, 0, 0, 0, "<none>", "7s", "c", "i", "app=a"]),
    (
        CONTROLLER_REVISION,
        {
            "metadata": {
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "controller": True}]
            },
            "revision": 2,
        },
        ["a", "statefulset.apps/s", 2, "7s"],
    ),
    (
        JOB,
        {
            "spec": {"completions": 3, **SELECTED},
            "status": {
                "succeeded": 1,
                "startTime": "2026-01-31T11:00:00Z",
                "completionTime": "2026-01-31T11:05:00Z",
                "conditions": [{"type": "Complete", "status": "True"}],
            },
        },
        ["a", "Complete", "1/3", "5m", "7s", "c", "i", "app=a"],
    ),
    (
        CRON_JOB,
        {
            "spec": {"schedule": "@daily", "suspend": True, "jobTemplate": {"spec": SELECTED}},
            "status": {"active": [{}]},
        },
        ["a", "@daily", "<none>", "True", 1, "<none>", "7s", "c", "i", "app=a"],
    ),
    (
        SERVICE,
        {
            "spec": {
                "type": "NodePort",
                "clusterIPs": ["10.96.0.9"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
                "selector": {"b": "2", "a": "1"},
            }
        },
        ["a", "NodePort", "10.96.0.9", "<none>", "80:30080/TCP", "7s", "a=1,b=2"],
    ),
    (
        ENDPOINT,
        {"subsets": [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(1, 6)], "ports": [{"port": 80}]}]},
        ["a", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...", "7s"],
    ),
    (
        ENDPOINT_SLICE,
        {"addressType": "IPv4", "ports": None, "endpoints": None},
        ["a", "IPv4", "<unset>", "<unset>", "7s"],
    ),
    (
        plain("ingresses"),
        {"spec": {"rules": [{"host": "x"}, {}], "tls": [{}]}},
        ["a", "<none>", "x", "", "80, 443", "7s"],
    ),
    (plain("networkpolicies"), {"spec": {"podSelector": {}}}, ["a", "<none>", "7s"]),
    (
        AUTOSCALER,
        {
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "w"},
                "minReplicas": 1,
                "maxReplicas": 3,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}],
            }
        },
        ["a", "Deployment/w", "cpu: <unknown>/80%", "1", 3, 0, "7s"],
    ),
    (plain("poddisruptionbudgets"), {"spec": {"minAvailable": "50%"}}, ["a", "50%", "N/A", 0, "7s"]),
    (
        plain("certificatesigningrequests"),
        {
            "spec": {"signerName": "s", "username": "u"},
            "status": {"conditions": [{"type": "Approved"}], "certificate": "x"},
        },
        ["a", "7s", "s", "u", "<none>", "Approved,Issued"],
    ),
]


@pytest.mark.parametrize(("kind", "fields", "cells"), ROWS, ids=[row[0].resource.plural for row in ROWS])
def test_cells(kind: ServedKind, fields: Json, cells: list[object]) -> None:
    obj = {**fields, "metadata": {"name": "a", "creationTimestamp": NOW, **fields.get("metadata", {})}}
    assert [row["cells"] for row in render_table(kind, [obj], {}, "None", CLOCK)["rows"]] == [cells]
