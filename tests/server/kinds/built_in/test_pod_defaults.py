"""The defaults of a pod's spec, part by part."""

from __future__ import annotations

import copy

import pytest

from pvbinder.server.kinds.built_in.pod_defaults import default_pod_spec, default_requests
from pvbinder.server.objects.kind import Json

SPEC: Json = {
    "containers": None,
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "securityContext": {},
}
EMPTY: Json = {
    **dict.fromkeys(
        (
            "serviceAccountName",
            "serviceAccount",
            "nodeName",
            "hostname",
            "subdomain",
            "priorityClassName",
        ),
        "",
    ),
    **dict.fromkeys(("hostNetwork", "hostPID", "hostIPC"), False),
    **{
        key: []
        for key in (
            "volumes",
            "initContainers",
            "ephemeralContainers",
            "imagePullSecrets",
            "tolerations",
            "hostAliases",
            "readinessGates",
            "topologySpreadConstraints",
            "schedulingGates",
            "resourceClaims",
        )
    },
    **{key: {} for key in ("nodeSelector", "overhead")},
}
SPECS: dict[str, tuple[Json, Json]] = {  # what is sent, what comes of it
    "nothing": ({}, SPEC),
    "what is empty": (EMPTY, SPEC),
    "null": ({"terminationGracePeriodSeconds": None, "securityContext": None}, SPEC),
    "what is said stays": (
        {"dnsPolicy": "None", "restartPolicy": "Never", "schedulerName": "s", "terminationGracePeriodSeconds": 0},
        {
            **SPEC,
            "dnsPolicy": "None",
            "restartPolicy": "Never",
            "schedulerName": "s",
            "terminationGracePeriodSeconds": 0,
        },
    ),
    "an account": ({"serviceAccountName": "a"}, {**SPEC, "serviceAccountName": "a", "serviceAccount": "a"}),
    "an account by its old name": ({"serviceAccount": "a"}, {**SPEC, "serviceAccountName": "a", "serviceAccount": "a"}),
    "its new name counts": (
        {"serviceAccountName": "a", "serviceAccount": "b"},
        {**SPEC, "serviceAccountName": "a", "serviceAccount": "a"},
    ),
    "overhead": ({"overhead": {"cpu": "1000m"}}, {**SPEC, "overhead": {"cpu": "1"}}),
}


@pytest.mark.parametrize(("sent", "expected"), SPECS.values(), ids=SPECS.keys())
def test_the_defaults_of_a_spec(sent: Json, expected: Json) -> None:
    spec = copy.deepcopy(sent)
    default_pod_spec(spec)

    assert spec == expected


CONTAINER: Json = {
    "imagePullPolicy": "IfNotPresent",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
NO_PROBE = dict.fromkeys(
    ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"), 0
)
SET_PROBE = {
    "initialDelaySeconds": 5,
    "timeoutSeconds": 6,
    "periodSeconds": 7,
    "successThreshold": 8,
    "failureThreshold": 9,
}
REFERENCE = {"fieldPath": "metadata.name"}
FIELDS: dict[str, tuple[Json, Json]] = {  # of a container: sent, and what comes of it besides `CONTAINER`
    "nothing": ({}, {}),
    "what is empty": (
        {
            **{key: [] for key in ("command", "args", "ports", "env", "envFrom", "volumeMounts", "volumeDevices")},
            **dict.fromkeys(("workingDir", "image", "imagePullPolicy"), ""),
            **dict.fromkeys(("terminationMessagePath", "terminationMessagePolicy"), ""),
            **dict.fromkeys(("stdin", "stdinOnce", "tty"), False),
            "resizePolicy": [],
        },
        {},
    ),
    "what is said stays": (
        {
            "imagePullPolicy": "Never",
            "terminationMessagePath": "/x",
            "terminationMessagePolicy": "FallbackToLogsOnError",
        },
        {
            "imagePullPolicy": "Never",
            "terminationMessagePath": "/x",
            "terminationMessagePolicy": "FallbackToLogsOnError",
        },
    ),
    "a fixed image": ({"image": "a:1"}, {"image": "a:1", "imagePullPolicy": "IfNotPresent"}),
    "a name that can't be read": ({"image": "A:x!"}, {"image": "A:x!", "imagePullPolicy": "IfNotPresent"}),
    "a moving image": ({"image": "a"}, {"image": "a", "imagePullPolicy": "Always"}),
    "a moving image that is pinned": (
        {"image": "a:latest@sha256:" + "0" * 64},
        {"image": "a:latest@sha256:" + "0" * 64, "imagePullPolicy": "Always"},
    ),
    "a digest": ({"image": "a:latest@sha256:x"}, {"image": "a:latest@sha256:x", "imagePullPolicy": "IfNotPresent"}),
    "a moving image of a registry": ({"image": "r:5000/a/b"}, {"image": "r:5000/a/b", "imagePullPolicy": "Always"}),
    "a fixed image of a registry": (
        {"image": "r:5000/a/b:1"},
        {"image": "r:5000/a/b:1", "imagePullPolicy": "IfNotPresent"},
    ),
    "amounts": (
        {"resources": {"limits": {"cpu": "1000m"}, "requests": {"memory": "1024Mi"}}},
        {"resources": {"limits": {"cpu": "1"}, "requests": {"memory": "1Gi"}}},
    ),
    "ports": (
        {
            "ports": [
                {"containerPort": 80, "name": "", "hostPort": 0, "hostIP": "", "protocol": ""},
                {"protocol": "UDP"},
            ]
        },
        {"ports": [{"containerPort": 80, "protocol": "TCP"}, {"protocol": "UDP"}]},
    ),
    "variables": (
        {"env": [{"name": "a", "value": ""}, {"name": "b", "valueFrom": {"fieldRef": dict(REFERENCE)}}]},
        {"env": [{"name": "a"}, {"name": "b", "valueFrom": {"fieldRef": {**REFERENCE, "apiVersion": "v1"}}}]},
    ),
    "a reference of another version": (
        {"env": [{"valueFrom": {"fieldRef": {"apiVersion": "v2"}}}, {"valueFrom": {"fieldRef": {"apiVersion": ""}}}]},
        {"env": [{"valueFrom": {"fieldRef": {"apiVersion": "v2"}}}, {"valueFrom": {"fieldRef": {"apiVersion": "v1"}}}]},
    ),
    "probes": (
        {"livenessProbe": {}, "readinessProbe": dict(NO_PROBE), "startupProbe": dict(SET_PROBE)},
        {"livenessProbe": PROBE, "readinessProbe": PROBE, "startupProbe": SET_PROBE},
    ),
    "no probes": ({"livenessProbe": None}, {"livenessProbe": None}),
    "a probe by HTTP": (
        {"livenessProbe": {"httpGet": {"path": "", "host": "", "scheme": "", "httpHeaders": [], "port": 1}}},
        {"livenessProbe": {**PROBE, "httpGet": {"path": "/", "scheme": "HTTP", "port": 1}}},
    ),
    "a probe by HTTPS": (
        {"livenessProbe": {"httpGet": {"path": "/x", "scheme": "HTTPS"}}},
        {"livenessProbe": {**PROBE, "httpGet": {"path": "/x", "scheme": "HTTPS"}}},
    ),
    "probes by gRPC": (
        {"livenessProbe": {"grpc": {"port": 1}}, "readinessProbe": {"grpc": {"service": "s"}}},
        {
            "livenessProbe": {**PROBE, "grpc": {"port": 1, "service": ""}},
            "readinessProbe": {**PROBE, "grpc": {"service": "s"}},
        },
    ),
    "handlers": (
        {"lifecycle": {"preStop": {"httpGet": {}}, "postStart": {"exec": {}}, "stopSignal": "SIGTERM"}},
        {
            "lifecycle": {
                "preStop": {"httpGet": {"path": "/", "scheme": "HTTP"}},
                "postStart": {"exec": {}},
                "stopSignal": "SIGTERM",
            }
        },
    ),
    "mounts": (
        {"volumeMounts": [{"name": "a", "readOnly": False, "subPath": "", "subPathExpr": ""}, {"readOnly": True}]},
        {"volumeMounts": [{"name": "a"}, {"readOnly": True}]},
    ),
}


@pytest.mark.parametrize(("sent", "expected"), FIELDS.values(), ids=FIELDS.keys())
@pytest.mark.parametrize("where", ["initContainers", "containers", "ephemeralContainers"])
def test_the_defaults_of_a_container(where: str, sent: Json, expected: Json) -> None:
    spec = {where: [copy.deepcopy(sent)]}
    default_pod_spec(spec)

    assert spec[where] == [{**CONTAINER, **expected}]


def test_on_the_hosts_network_a_port_is_the_hosts() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 81, "hostPort": 90}, {"name": "x"}]
    spec: Json = {"hostNetwork": True, "containers": [{"ports": ports}]}
    default_pod_spec(spec)

    assert spec["containers"][0]["ports"] == [
        {"containerPort": 80, "hostPort": 80, "protocol": "TCP"},
        {"containerPort": 81, "hostPort": 90, "protocol": "TCP"},
        {"name": "x", "protocol": "TCP"},
    ]


MODE = {"defaultMode": 420}
DOWN: Json = {"items": [{"fieldRef": dict(REFERENCE)}, {}]}
DOWN_SHOWN: Json = {"items": [{"fieldRef": {**REFERENCE, "apiVersion": "v1"}}, {}]}
VOLUMES: dict[str, tuple[Json, Json]] = {
    "nothing": ({"name": "v"}, {"name": "v", "emptyDir": {}}),
    "not even a name": ({}, {"emptyDir": {}}),
    "no name": ({"nfs": {"server": "s"}}, {"nfs": {"server": "s"}}),
    "a secret": (
        {"name": "v", "secret": {"secretName": "", "items": []}},
        {"name": "v", "secret": MODE},
    ),
    "a secret with a mode": (
        {"name": "v", "secret": {"defaultMode": 256}},
        {"name": "v", "secret": {"defaultMode": 256}},
    ),
    "a config map": ({"name": "v", "configMap": {"items": []}}, {"name": "v", "configMap": MODE}),
    "fields": ({"name": "v", "downwardAPI": DOWN}, {"name": "v", "downwardAPI": {**DOWN_SHOWN, **MODE}}),
    "no fields": ({"name": "v", "downwardAPI": {"items": []}}, {"name": "v", "downwardAPI": MODE}),
    "several": (
        {
            "name": "v",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {}},
                    {"serviceAccountToken": {"expirationSeconds": 60}},
                    {"downwardAPI": DOWN},
                ]
            },
        },
        {
            "name": "v",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3600}},
                    {"serviceAccountToken": {"expirationSeconds": 60}},
                    {"downwardAPI": DOWN_SHOWN},
                ],
                **MODE,
            },
        },
    ),
    "iscsi": ({"name": "v", "iscsi": {}}, {"name": "v", "iscsi": {"iscsiInterface": "default"}}),
    "rbd": (
        {"name": "v", "rbd": {}},
        {"name": "v", "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}},
    ),
    "a disk": (
        {"name": "v", "azureDisk": {"readOnly": True}},
        {
            "name": "v",
            "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": True, "kind": "Shared"},
        },
    ),
    "another disk": (
        {"name": "v", "azureDisk": {}},
        {
            "name": "v",
            "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
        },
    ),
    "scale": (
        {"name": "v", "scaleIO": {}},
        {"name": "v", "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"}},
    ),
    "a directory": ({"name": "v", "hostPath": {"path": "/x"}}, {"name": "v", "hostPath": {"path": "/x", "type": ""}}),
    "a claim": (
        {"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": False}},
        {"name": "v", "persistentVolumeClaim": {"claimName": "c"}},
    ),
    "a driver": (
        {"name": "v", "csi": {"driver": "d", "readOnly": False}},
        {"name": "v", "csi": {"driver": "d", "readOnly": False}},
    ),
    "an export": ({"name": "v", "nfs": {"readOnly": False}}, {"name": "v", "nfs": {}}),
    "memory": (
        {"name": "v", "emptyDir": {"medium": "", "sizeLimit": "1024Mi"}},
        {"name": "v", "emptyDir": {"sizeLimit": "1Gi"}},
    ),
    "a template": (
        {"name": "v", "ephemeral": {"volumeClaimTemplate": {}}},
        {
            "name": "v",
            "ephemeral": {
                "volumeClaimTemplate": {"metadata": {}, "spec": {"volumeMode": "Filesystem", "resources": {}}}
            },
        },
    ),
}


@pytest.mark.parametrize(("sent", "expected"), VOLUMES.values(), ids=VOLUMES.keys())
def test_the_defaults_of_a_volume(sent: Json, expected: Json) -> None:
    spec = {"volumes": [copy.deepcopy(sent)]}
    default_pod_spec(spec)

    assert spec["volumes"] == [expected]


def test_requests_are_as_high_as_limits_where_they_are_missing() -> None:
    spec: Json = {
        "containers": [{"resources": {"limits": {"cpu": "1", "memory": "2"}, "requests": {"cpu": "3"}}}],
        "initContainers": [{"resources": {"limits": {"cpu": "1"}}}, {"resources": {}}, {"resources": {"limits": {}}}],
    }
    default_requests(spec)

    assert spec == {
        "containers": [{"resources": {"limits": {"cpu": "1", "memory": "2"}, "requests": {"cpu": "3", "memory": "2"}}}],
        "initContainers": [
            {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}},
            {"resources": {}},
            {"resources": {"limits": {}}},
        ],
    }
    default_requests({})
