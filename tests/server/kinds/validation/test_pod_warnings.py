"""Warnings of pods and templates, in the words and the order of the reference."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.server.serving import Serving, serving

from pvbinder.server.kinds.validation.pod_warnings import warn_of_host_name, warn_of_pod_spec
from pvbinder.server.objects.kind import Json

APPS = "/apis/apps/v1/namespaces/shop"
BATCH = "/apis/batch/v1/namespaces/shop"
TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERENCES = "preferredDuringSchedulingIgnoredDuringExecution"
HIDES = 'hides previous definition of "A", which may be dropped when using apply'
SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'


def container(**fields: object) -> Json:
    return {"containers": [{"name": "c", "image": "i", **fields}]}


@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        ({"nodeSelector": {"beta.kubernetes.io/os": "x"}}, [
            'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        ]),
        ({"topologySpreadConstraints": [{"topologyKey": "zone"}]}, [
            "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
        ]),
        ({"affinity": {"podAffinity": {TERMS: [{"topologyKey": "z"}]}}}, [
            f"spec.affinity.podAffinity.{TERMS}[0].labelSelector: a null labelSelector results in matching no pod",
        ]),
        ({"affinity": {"podAntiAffinity": {PREFERENCES: [{"podAffinityTerm": {"topologyKey": "z"}}]}}}, [
            (f"spec.affinity.podAntiAffinity.{PREFERENCES}[0].podAffinityTerm.labelSelector: "
            "a null labelSelector results in matching no pod"),
        ]),
        ({"volumes": [{"name": "v", "gitRepo": {}}, {"name": "w", "storageos": {}}]}, [
            "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
            "spec.volumes[1].storageOS: deprecated in v1.22, non-functional in v1.25+",
        ]),
        ({"volumes": [{"name": "v", "configMap": {"name": "m", "items": [{"path": "a"}, {"path": "a/b"}]}}]}, [
            'volume "v" (ConfigMap "m"): overlapping paths: "a/b" with "a"',
        ]),
        ({"volumes": [{"name": "v", "projected": {"sources": [
            {"secret": {"name": "s", "items": [{"path": "t"}]}}, {"serviceAccountToken": {"path": "t/"}},
        ]}}]}, [
            'volume "v" (Projected): overlapping paths: "t" (ServiceAccountToken) with "t" (Secret "s")',
        ]),
        ({"hostAliases": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}]}, [
            'spec.hostAliases[1].ip: duplicate ip "1.2.3.4"',
        ]),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]}, [
            'spec.imagePullSecrets[1].name: duplicate name "a"',
            'spec.imagePullSecrets[2].name: invalid empty name ""',
        ]),
        ({"overhead": {"memory": "100m"}}, [
            'spec.overhead[memory]: fractional byte value "100m" is invalid, must be an integer',
        ]),
        (container(resources={"limits": {"memory": "1500m"}}), [
            ('spec.containers[0].resources.limits[memory]: fractional byte value "1500m" is invalid, '
            "must be an integer"),
        ]),
        (container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]), [
            f"spec.containers[0].env[1]: {HIDES}",
        ]),
        (container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]), []),
        (container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)"}]), [
            f"spec.containers[0].env[1]: {HIDES}",
        ]),
        (container(ports=[{"containerPort": 80, "protocol": "TCP"}] * 2), [
            "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        ]),
        (container(ports=[{"containerPort": 80, "name": "w"}, {"containerPort": 81, "name": "w"}]), [
            ('spec.containers[0].ports[1]: duplicate port name "w" with spec.containers[0].ports[0], services and '
            "probes that select ports by name will use spec.containers[0].ports[0]"),
        ]),
        (container(ports=[{"containerPort": 80, "protocol": "TCP", "hostIP": "1.2.3.4"}]), [
            ("spec.containers[0].ports[0]: hostIP set without hostPort: "
            "{Name: HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.2.3.4}"),
        ]),
        ({"terminationGracePeriodSeconds": -1}, [
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ]),
    ],
)  # fmt: skip
def test_what_a_pod_should_not_say_is_warned_of(spec: Json, warnings: list[str]) -> None:
    assert warn_of_pod_spec(spec, {}, "") == warnings
    at_template = [text.replace(" with spec.", " with spec.template.spec.") for text in warnings]
    expected = [f"spec.template.{text}" if text.startswith("spec.") else text for text in at_template]
    expected = [text.replace("will use spec.", "will use spec.template.spec.") for text in expected]
    assert warn_of_pod_spec(spec, {}, "spec.template.") == expected


def test_annotations_that_fields_have_replaced_are_warned_of() -> None:
    pod, one = "seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/c"
    armor = "container.apparmor.security.beta.kubernetes.io/c"
    annotations = {pod: "x", one: "x", armor: "runtime/default"}
    assert warn_of_pod_spec(container(), annotations, "") == [
        f"metadata.annotations[{pod}]: {SECCOMP}",
        f"metadata.annotations[{one}]: {SECCOMP}",
        f'metadata.annotations[{armor}]: deprecated since v1.30; use the "appArmorProfile" field instead',
    ]
    security = {"appArmorProfile": {"type": "RuntimeDefault"}, "seccompProfile": {"type": "RuntimeDefault"}}
    settled = {**container(), "securityContext": security}
    assert warn_of_pod_spec(settled, annotations, "") == [f"metadata.annotations[{one}]: {SECCOMP}"]


def test_a_name_that_is_no_name_of_a_host_is_warned_of() -> None:
    assert warn_of_host_name("a") == []
    assert warn_of_host_name("a.b") == [
        (
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
            "a DNS label is recommended: [must not contain dots]"
        )
    ]


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Serving]:
    async with serving(tmp_path) as server:
        yield server


TEMPLATE: Json = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {**container(), "terminationGracePeriodSeconds": -1},
}
SELECTED: Json = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
JOB: Json = {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}
GRACE = "must be >= 0; negative values are invalid and will be treated as 1"


@pytest.mark.parametrize(
    ("path", "body", "where", "names_pods"),
    [
        (f"{APPS}/deployments", {"spec": SELECTED}, "spec.template", True),
        (f"{APPS}/replicasets", {"spec": SELECTED}, "spec.template", True),
        (f"{APPS}/daemonsets", {"spec": SELECTED}, "spec.template", False),
        (f"{BATCH}/jobs", {"spec": JOB}, "spec.template", True),
        (f"{BATCH}/cronjobs", {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}},
         "spec.jobTemplate.spec.template", True),
        ("/api/v1/namespaces/shop/replicationcontrollers",
         {"spec": {"selector": {"a": "b"}, "template": TEMPLATE}}, "spec.template", True),
        ("/api/v1/namespaces/shop/podtemplates", {"template": TEMPLATE}, "template", False),
    ],
)  # fmt: skip
async def test_each_kind_with_a_template_warns_of_it(
    server: Serving, path: str, body: Json, where: str, names_pods: bool
) -> None:
    reply = await server.send("POST", path, {"metadata": {"name": "a.b"}, **body})
    assert reply.status == 201, reply
    of_name = warn_of_host_name("a.b") if names_pods else []
    assert list(reply.warnings) == [*of_name, f"{where}.spec.terminationGracePeriodSeconds: {GRACE}"]
    same = await server.send(
        "PATCH", f"{path}/a.b", {"metadata": {"labels": {"x": "y"}}}, content_type="application/merge-patch+json"
    )
    assert (same.status, same.warnings) == (200, ())
