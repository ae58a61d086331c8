"""The rules of workloads: selectors, templates, strategies and the counts of statuses, in the reference's words."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.server.serving import Serving, serving

from pvbinder.server.objects.kind import Json

APPS = "/apis/apps/v1/namespaces/shop"
CONTROLLERS = "/api/v1/namespaces/shop/replicationcontrollers"
MERGE = "application/merge-patch+json"
TEMPLATE: Json = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
GOOD: Json = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
MISMATCH = "`selector` does not match template `labels`"
LABELS = f'spec.template.metadata.labels: Invalid value: {{"a":"b"}}: {MISMATCH}'
BAD_TEMPLATE: Json = {
    **TEMPLATE,
    "spec": {**TEMPLATE["spec"], "restartPolicy": "Never", "activeDeadlineSeconds": 5},
}


def ends(kind: str) -> list[str]:
    return [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        f"spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in {kind} is not Supported",
    ]


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Serving]:
    async with serving(tmp_path) as server:
        yield server


def said(reply: object) -> list[str]:
    body = reply.body  # type: ignore[attr-defined]
    causes = (body.get("details") or {}).get("causes") or ()
    return [f"{cause['field']}: {cause['message']}" for cause in causes]


REFUSED: list[tuple[str, Json, list[str]]] = [
    ("deployments", {"template": TEMPLATE}, ["spec.selector: Required value", LABELS]),
    ("deployments", {**GOOD, "selector": {}}, [
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
    ]),
    ("deployments", {**GOOD, "selector": {"matchLabels": {"x": "y"}}}, [LABELS]),
    ("deployments", {**GOOD, "template": BAD_TEMPLATE}, ends("ReplicaSet")),
    ("deployments", {**GOOD, "strategy": {"type": "Recreate", "rollingUpdate": {}}}, [
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ]),
    ("deployments", {**GOOD, "strategy": {"type": "Slow"}}, [
        ('spec.strategy: Unsupported value: {"Type":"Slow","RollingUpdate":null}: '
        'supported values: "Recreate", "RollingUpdate"'),
    ]),
    ("deployments", {**GOOD, "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}}}, [
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ]),
    ("deployments", {**GOOD, "strategy": {"rollingUpdate": {"maxUnavailable": "200%", "maxSurge": -1}}}, [
        "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "200%": must not be greater than 100%',
    ]),
    ("deployments", {**GOOD, "minReadySeconds": 10, "progressDeadlineSeconds": 10, "replicas": -1}, [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        "spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds",
    ]),
    ("replicasets", {"template": TEMPLATE}, ["spec.selector: Required value", LABELS]),
    ("replicasets", {**GOOD, "template": BAD_TEMPLATE}, ends("ReplicaSet")),
    ("daemonsets", {"template": TEMPLATE}, [LABELS]),
    ("daemonsets", {**GOOD, "selector": {}}, [
        "spec.selector: Invalid value: {}: empty selector is invalid for daemonset",
    ]),
    ("daemonsets", {**GOOD, "template": BAD_TEMPLATE}, ends("DaemonSet")),
    ("daemonsets", {**GOOD, "updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}}, [
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
    ]),
    ("daemonsets", {**GOOD, "updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}}, [
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    ]),
    ("daemonsets", {**GOOD, "updateStrategy": {"type": "Slow"}}, [
        ('spec.updateStrategy: Unsupported value: {"Type":"Slow","RollingUpdate":null}: '
        'supported values: "RollingUpdate", "OnDelete"'),
    ]),
    ("statefulsets", {"template": TEMPLATE}, ["spec.selector: Required value", LABELS]),
    ("statefulsets", {**GOOD, "template": BAD_TEMPLATE}, ends("StatefulSet")),
    ("statefulsets", {**GOOD, "podManagementPolicy": "Any"}, [
        "spec.podManagementPolicy: Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'",
    ]),
    ("statefulsets", {**GOOD, "updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}}, [
        ('spec.updateStrategy.rollingUpdate: Invalid value: {"Partition":1,"MaxUnavailable":null}: '
        "only allowed for updateStrategy 'RollingUpdate'"),
    ]),
    ("statefulsets", {**GOOD, "updateStrategy": {"type": "Slow"}}, [
        ('spec.updateStrategy: Invalid value: {"Type":"Slow","RollingUpdate":null}: '
        "must be 'RollingUpdate' or 'OnDelete'"),
    ]),
    ("statefulsets", {**GOOD, "ordinals": {"start": -1}, "serviceName": "A"}, [
        "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
        ("spec.serviceName: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric "
        "characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
        "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"),
    ]),
    ("statefulsets", {**GOOD, "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Never"}}, [
        ('spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Never": '
        'supported values: "Retain", "Delete"'),
    ]),
    ("replicationcontrollers", {}, ["spec.selector: Required value", "spec.template: Required value"]),
    ("replicationcontrollers", {"selector": {"x": "y"}, "template": TEMPLATE}, [LABELS]),
    ("replicationcontrollers", {"template": BAD_TEMPLATE}, ends("ReplicationController")),
]  # fmt: skip


def path_of(plural: str) -> str:
    return CONTROLLERS if plural == "replicationcontrollers" else f"{APPS}/{plural}"


@pytest.mark.parametrize(("plural", "spec", "errors"), REFUSED)
async def test_workloads_are_refused_in_the_words_of_the_reference(
    server: Serving, plural: str, spec: Json, errors: list[str]
) -> None:
    reply = await server.send("POST", path_of(plural), {"metadata": {"name": "a"}, "spec": spec})
    assert said(reply) == errors, reply


async def test_what_a_claim_template_brings_can_be_mounted(server: Serving) -> None:
    mounting = {"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    spec: Json = {**GOOD, "template": {**TEMPLATE, "spec": {"containers": [mounting]}}}
    reply = await server.send("POST", f"{APPS}/statefulsets", {"metadata": {"name": "a"}, "spec": spec})
    assert said(reply) == ['spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"']
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    reply = await server.send("POST", f"{APPS}/statefulsets", {"metadata": {"name": "a"}, "spec": spec})
    assert reply.status == 201, reply


@pytest.mark.parametrize("plural", ["deployments", "replicasets", "daemonsets"])
async def test_a_selector_stays(server: Serving, plural: str) -> None:
    await server.send("POST", path_of(plural), {"metadata": {"name": "a"}, "spec": GOOD})
    change = {"spec": {"selector": {"matchLabels": {"a": "c"}}, "template": {"metadata": {"labels": {"a": "c"}}}}}
    reply = await server.send("PATCH", f"{path_of(plural)}/a", change, content_type=MERGE)
    assert said(reply) == ['spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable']


LESS = "must be greater than or equal to 0"
MORE = "cannot be greater than status.replicas"


@pytest.mark.parametrize(
    ("plural", "status", "errors"),
    [
        ("deployments", {"observedGeneration": -1}, [f"status.observedGeneration: Invalid value: -1: {LESS}"]),
        ("deployments", {"replicas": 1, "updatedReplicas": 2}, [f"status.updatedReplicas: Invalid value: 2: {MORE}"]),
        ("deployments", {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2}, [
            "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
        ]),
        ("replicasets", {"replicas": 1, "fullyLabeledReplicas": 2}, [
            f"status.fullyLabeledReplicas: Invalid value: 2: {MORE}",
        ]),
        ("statefulsets", {"replicas": 1, "currentReplicas": 2}, [f"status.currentReplicas: Invalid value: 2: {MORE}"]),
        ("statefulsets", {"replicas": 2, "availableReplicas": 1}, [
            "status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas",
        ]),
        ("daemonsets", {"numberReady": -1}, [f"status.numberReady: Invalid value: -1: {LESS}"]),
        ("replicationcontrollers", {"replicas": 1, "readyReplicas": 2}, [
            f"status.readyReplicas: Invalid value: 2: {MORE}",
        ]),
    ],
)  # fmt: skip
async def test_counts_of_statuses_fit_each_other(server: Serving, plural: str, status: Json, errors: list[str]) -> None:
    spec = {"selector": {"a": "b"}, "template": TEMPLATE} if plural == "replicationcontrollers" else GOOD
    await server.send("POST", path_of(plural), {"metadata": {"name": "a"}, "spec": spec})
    path = f"{path_of(plural)}/a/status"
    reply = await server.send("PATCH", path, {"status": status}, content_type=MERGE)
    assert said(reply) == errors, reply


@pytest.mark.parametrize("plural", ["deployments", "daemonsets", "statefulsets"])
async def test_a_count_of_collisions_never_goes_down(server: Serving, plural: str) -> None:
    await server.send("POST", path_of(plural), {"metadata": {"name": "a"}, "spec": GOOD})
    path = f"{path_of(plural)}/a/status"
    assert (await server.send("PATCH", path, {"status": {"collisionCount": 2}}, content_type=MERGE)).status == 200
    reply = await server.send("PATCH", path, {"status": {"collisionCount": 1}}, content_type=MERGE)
    assert said(reply) == ["status.collisionCount: Invalid value: 1: cannot be decremented"]


@pytest.mark.parametrize(("data", "why"), [(None, "data is mandatory"), ([], "data must be a valid JSON object")])
async def test_a_revision_has_data(server: Serving, data: object, why: str) -> None:
    body = {"metadata": {"name": "a"}, "revision": 1, "data": data}
    assert said(await server.send("POST", f"{APPS}/controllerrevisions", body)) == [f"data: Required value: {why}"]
