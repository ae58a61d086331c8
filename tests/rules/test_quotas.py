"""What objects count for in quotas."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, SERVICES, Resource
from pvbinder.rules.pod_amounts import amounts_of_pod, qos_class
from pvbinder.rules.quotas import is_about, is_counted_by, names_of, unsaid, usage_of
from pvbinder.server.kinds.built_in.workloads import DEPLOYMENT
from pvbinder.server.kinds.registry import BUILT_IN
from pvbinder.server.objects.kind import Json

DEPLOYMENTS = DEPLOYMENT.resource


def container(cpu: str = "", name: str = "c", *, limit: str = "", **fields: Any) -> Json:
    amounts = {field: {"cpu": value} for field, value in (("requests", cpu), ("limits", limit)) if value}
    return {"name": name, "resources": amounts, **fields}


def pod(*containers: Json, **spec: Any) -> Json:
    return {"spec": {"containers": list(containers), **spec}}


def shown(usage: dict[str, Any]) -> dict[str, str]:
    return {name: str(amount) for name, amount in usage.items()}


def test_usage_1_every_kind_has_its_count() -> None:
    for kind in BUILT_IN:
        assert is_counted_by(f"count/{kind.resource.qualified}", kind.resource)
    assert names_of(DEPLOYMENTS) == ("count/deployments.apps",)
    assert names_of(RESOURCE_QUOTAS) == ("count/resourcequotas", "resourcequotas")
    assert shown(usage_of(DEPLOYMENTS, {})) == {"count/deployments.apps": "1"}
    assert not is_counted_by("deployments.apps", DEPLOYMENTS)
    assert not is_counted_by("count/deployments", DEPLOYMENTS)


COUNTED_BY = {  # an amount of a quota, a kind: is the one about the other
    "pods": (PODS, True),
    "services": (SERVICES, True),
    "resourcequotas": (RESOURCE_QUOTAS, True),
    "secrets": (PODS, False),
    "cpu": (PODS, True),
    "memory": (PODS, True),
    "ephemeral-storage": (PODS, True),
    "requests.cpu": (PODS, True),
    "requests.memory": (PODS, True),
    "requests.ephemeral-storage": (PODS, True),
    "limits.cpu": (PODS, True),
    "limits.memory": (PODS, True),
    "limits.ephemeral-storage": (PODS, True),
    "hugepages-2Mi": (PODS, True),
    "requests.hugepages-2Mi": (PODS, True),
    "limits.hugepages-2Mi": (PODS, False),
    "requests.example.com/gpu": (PODS, True),
    "limits.example.com/gpu": (PODS, False),
    "requests.kubernetes.io/gpu": (PODS, False),
    "requests.my.kubernetes.io/gpu": (PODS, False),
    "requests.gold.storageclass.storage.k8s.io/x": (PODS, False),
    "requests.gpu": (PODS, False),
    "example.com/gpu": (PODS, False),
    "requests.storage": (PERSISTENT_VOLUME_CLAIMS, True),
    "gold.storageclass.storage.k8s.io/requests.storage": (PERSISTENT_VOLUME_CLAIMS, True),
    "gold.storageclass.storage.k8s.io/persistentvolumeclaims": (PERSISTENT_VOLUME_CLAIMS, True),
    "gold.storageclass.storage.k8s.io/pods": (PERSISTENT_VOLUME_CLAIMS, False),
    "limits.storage": (PERSISTENT_VOLUME_CLAIMS, False),
    "services.nodeports": (SERVICES, True),
    "services.loadbalancers": (SERVICES, True),
    "services.clusterips": (SERVICES, False),
}


@pytest.mark.parametrize("name", COUNTED_BY)
def test_usage_1_what_an_amount_is_about(name: str) -> None:
    resource, is_so = COUNTED_BY[name]

    assert is_counted_by(name, resource) is is_so
    assert not is_counted_by(name, DEPLOYMENTS)


def test_usage_1_some_kinds_have_a_short_name() -> None:
    names = ["pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps"]
    for plural in [*names, "persistentvolumeclaims"]:
        resource = Resource("", "v1", "X", plural, True)
        assert is_counted_by(plural, resource)
        assert names_of(resource) == (f"count/{plural}", plural)
    assert names_of(Resource("", "v1", "X", "endpoints", True)) == ("count/endpoints",)
    assert names_of(Resource("x", "v1", "X", "secrets", True)) == ("count/secrets.x",)
    assert shown(usage_of(Resource("x", "v1", "X", "secrets", True), {})) == {"count/secrets.x": "1"}
    assert shown(usage_of(Resource("", "v1", "X", "secrets", True), {})) == {"count/secrets": "1", "secrets": "1"}


def test_usage_2_a_claim_of_no_class_counts_with_its_request() -> None:
    counts = {"count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1"}
    beta = {"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}}}

    assert shown(usage_of(PERSISTENT_VOLUME_CLAIMS, {})) == {**counts, "requests.storage": "0"}
    assert shown(usage_of(PERSISTENT_VOLUME_CLAIMS, {**beta, "spec": {"storageClassName": "gold"}})) == {
        **counts,
        "requests.storage": "0",
        "old.storageclass.storage.k8s.io/requests.storage": "0",
        "old.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
    }


def test_usage_2_a_claim_counts_with_the_larger_of_what_it_asks_for_and_what_it_is_given() -> None:  # RF-3
    claim = {
        "metadata": {},
        "spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"allocatedResources": {"storage": "3Gi"}},
    }
    assert shown(usage_of(PERSISTENT_VOLUME_CLAIMS, claim)) == {
        "count/persistentvolumeclaims": "1",
        "persistentvolumeclaims": "1",
        "requests.storage": "3Gi",
        "gold.storageclass.storage.k8s.io/requests.storage": "3Gi",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
    }


def test_usage_3_a_pod_counts_with_its_containers_under_every_key() -> None:
    resources = {
        "requests": {"cpu": "250m", "memory": "1Gi", "hugepages-2Mi": "2Mi", "example.com/gpu": "1"},
        "limits": {"cpu": "1", "ephemeral-storage": "2Gi", "hugepages-2Mi": "2Mi"},
    }
    assert shown(usage_of(PODS, pod({"name": "c", "resources": resources}, container("250m", "d")))) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "500m",
        "requests.cpu": "500m",
        "memory": "1Gi",
        "requests.memory": "1Gi",
        "hugepages-2Mi": "2Mi",
        "requests.hugepages-2Mi": "2Mi",
        "requests.example.com/gpu": "1",
        "limits.cpu": "1",
        "limits.ephemeral-storage": "2Gi",
    }


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_usage_3_a_pod_that_has_ended_is_an_object_and_no_more(phase: str) -> None:
    assert shown(usage_of(PODS, {**pod(container("1")), "status": {"phase": phase}})) == {"count/pods": "1"}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container("1"), container("2")]}, "3"),
        ({"containers": [container("1")], "initContainers": [container("4"), container("2")]}, "4"),
        (
            {
                "containers": [container("1")],
                "initContainers": [container("1"), container("500m", restartPolicy="Always"), container("3")],
            },
            "3500m",
        ),
        ({"containers": [container("1")], "initContainers": [container("2", restartPolicy="Always")]}, "3"),
        ({"containers": [container("1")], "overhead": {"cpu": "100m"}}, "1100m"),
        ({"containers": [container("1")], "resources": {"requests": {"cpu": "5"}}}, "5"),
    ],
    ids=["side by side", "one after the other", "beside one that stays", "that stays", "overhead", "of the pod"],
)
def test_usage_3_containers_are_added_up_as_they_run(spec: Json, cpu: str) -> None:
    assert str(amounts_of_pod({"spec": spec}, "requests")["cpu"]) == cpu


def test_usage_3_overhead_counts_for_limits_where_there_are_some() -> None:
    spec = {"containers": [container("1", limit="2")], "overhead": {"cpu": "100m", "memory": "1Mi"}}
    assert shown(amounts_of_pod({"spec": spec}, "limits")) == {"cpu": "2100m"}


@pytest.mark.parametrize(
    ("spec", "node_ports", "balancers"),
    [
        ({"ports": [{"port": 1}]}, "0", "0"),
        ({"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}, "2", "0"),
        ({"type": "LoadBalancer", "ports": [{"port": 1}]}, "1", "1"),
        ({"type": "LoadBalancer"}, "0", "1"),
        ({"type": "NodePort", "allocateLoadBalancerNodePorts": False, "ports": [{"port": 1}]}, "1", "0"),
        ({"type": "ClusterIP", "ports": [{"port": 1, "nodePort": 30000}]}, "0", "0"),
        (
            {
                "type": "LoadBalancer",
                "allocateLoadBalancerNodePorts": False,
                "ports": [{"port": 1}, {"port": 2, "nodePort": 30000}],
            },
            "1",
            "1",
        ),
    ],
    ids=["cluster", "node ports", "balancer", "no ports", "node ports anyway", "inside", "balancer without ports"],
)
def test_usage_4_services_count_ports_and_balancers(spec: Json, node_ports: str, balancers: str) -> None:
    usage = shown(usage_of(SERVICES, {"spec": spec}))
    assert usage == {
        "count/services": "1",
        "services": "1",
        "services.nodeports": node_ports,
        "services.loadbalancers": balancers,
    }


GOLD = {"scopeName": "PriorityClass", "operator": "In", "values": ["gold"]}
SCOPES: dict[str, tuple[Json, Json, bool]] = {  # the quota's spec, the pod, whether it is about it
    "none": ({}, pod(container()), True),
    "terminating": ({"scopes": ["Terminating"]}, pod(container(), activeDeadlineSeconds=0), True),
    "not terminating": ({"scopes": ["Terminating"]}, pod(container()), False),
    "best effort": ({"scopes": ["BestEffort"]}, pod(container()), True),
    "not best effort": ({"scopes": ["NotBestEffort"]}, pod(container("1")), True),
    "in all of them": ({"scopes": ["BestEffort", "Terminating"]}, pod(container()), False),
    "any priority": ({"scopes": ["PriorityClass"]}, pod(container(), priorityClassName="gold"), True),
    "no priority": ({"scopes": ["PriorityClass"]}, pod(container()), False),
    "its priority": (
        {"scopeSelector": {"matchExpressions": [GOLD]}},
        pod(container(), priorityClassName="gold"),
        True,
    ),
    "another priority": (
        {"scopeSelector": {"matchExpressions": [GOLD]}},
        pod(container(), priorityClassName="lead"),
        False,
    ),
    "without that priority": (
        {"scopeSelector": {"matchExpressions": [{**GOLD, "operator": "NotIn"}]}},
        pod(container()),
        True,
    ),
    "elsewhere": (
        {"scopes": ["CrossNamespacePodAffinity"]},
        pod(
            container(),
            affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}},
        ),
        True,
    ),
    "of claims": ({"scopes": ["VolumeAttributesClass"]}, pod(container()), False),
    "a deadline before now": ({"scopes": ["Terminating"]}, pod(container(), activeDeadlineSeconds=-1), False),
    "it doesn't terminate": ({"scopes": ["NotTerminating"]}, pod(container()), True),
    "some effort": ({"scopes": ["BestEffort"]}, pod(container("1")), False),
    "its status says how much": (
        {"scopes": ["BestEffort"]},
        {**pod(container("1")), "status": {"qosClass": "BestEffort"}},
        True,
    ),
    "without the other priority": (
        {"scopeSelector": {"matchExpressions": [{**GOLD, "operator": "NotIn"}]}},
        pod(container(), priorityClassName="lead"),
        True,
    ),
    "not without this priority": (
        {"scopeSelector": {"matchExpressions": [{**GOLD, "operator": "NotIn"}]}},
        pod(container(), priorityClassName="gold"),
        False,
    ),
    "no priority at all": (
        {"scopeSelector": {"matchExpressions": [{**GOLD, "operator": "DoesNotExist"}]}},
        pod(container()),
        True,
    ),
    "some priority": (
        {"scopeSelector": {"matchExpressions": [{**GOLD, "operator": "DoesNotExist"}]}},
        pod(container(), priorityClassName="lead"),
        False,
    ),
    "an operator that is none": (
        {"scopeSelector": {"matchExpressions": [{**GOLD, "operator": "Near"}]}},
        pod(container(), priorityClassName="gold"),
        False,
    ),
    "scopes and a selector": (
        {"scopes": ["BestEffort"], "scopeSelector": {"matchExpressions": [GOLD]}},
        pod(container(), priorityClassName="lead"),
        False,
    ),
    "elsewhere by labels, if it can": (
        {"scopes": ["CrossNamespacePodAffinity"]},
        pod(
            container(),
            affinity={
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {},
                        {"podAffinityTerm": {"namespaceSelector": {}}},
                    ]
                }
            },
        ),
        True,
    ),
    "only here": (
        {"scopes": ["CrossNamespacePodAffinity"]},
        pod(
            container(),
            affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": []}]}},
        ),
        False,
    ),
    "a scope that is none": ({"scopes": ["Near"]}, pod(container()), False),
}


@pytest.mark.parametrize(("spec", "obj", "is_meant"), SCOPES.values(), ids=SCOPES.keys())
def test_usage_5_a_quota_is_about_pods_in_all_its_scopes(spec: Json, obj: Json, is_meant: bool) -> None:
    assert is_about(spec, PODS, obj) is is_meant


def test_usage_5_a_quota_with_scopes_is_about_no_other_kind() -> None:
    assert not is_about({"scopes": ["NotTerminating"]}, SERVICES, {})
    assert is_about({}, SERVICES, {})


@pytest.mark.parametrize(
    "claim",
    [
        {"spec": {"volumeAttributesClassName": "gold"}},
        {"spec": {}, "status": {"currentVolumeAttributesClassName": "gold"}},
        {"spec": {}, "status": {"modifyVolumeStatus": {"targetVolumeAttributesClassName": "gold"}}},
    ],
    ids=["wants", "has", "on its way"],
)
def test_usage_5_a_claim_is_in_the_scope_of_its_attributes_classes(claim: Json) -> None:
    selector = {"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}
    spec = {"scopeSelector": {"matchExpressions": [selector]}}
    assert is_about(spec, PERSISTENT_VOLUME_CLAIMS, claim)
    assert not is_about(spec, PERSISTENT_VOLUME_CLAIMS, {"spec": {"volumeAttributesClassName": "lead"}})


def test_what_a_quota_counts_has_to_be_said_by_every_container() -> None:
    obj = pod(container("1", "a"), container("", "b"), initContainers=[container("", "i")])
    assert unsaid(["limits.cpu", "pods", "requests.cpu"], obj) == "limits.cpu for: a,b,i; requests.cpu for: b,i"
    assert unsaid(["requests.ephemeral-storage"], obj) == ""


def test_what_is_said_by_one_container_is_not_said_by_the_other() -> None:
    said = {"resources": {"requests": {"cpu": "1", "memory": "1"}, "limits": {"cpu": "1", "memory": "1"}}}
    names = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory", "pods", "requests.x/y"]

    assert unsaid(names, {"spec": {"containers": [{"name": "a", **said}]}}) == ""
    assert unsaid(names, {"spec": {"containers": [{"name": "b"}, {"name": "a", **said}], "initContainers": [{}]}}) == (
        "cpu for: ,b; limits.cpu for: ,b; limits.memory for: ,b; memory for: ,b; requests.cpu for: ,b; "
        "requests.memory for: ,b"
    )
    assert unsaid(["pods"], {"spec": {"containers": [{"name": "b"}]}}) == ""


QUALITIES: dict[str, tuple[list[Json], str]] = {  # containers: the class of their pod
    "nothing said": ([{}], "BestEffort"),
    "zero is nothing": ([{"resources": {"requests": {"cpu": "0"}, "limits": {"memory": "0"}}}], "BestEffort"),
    "other amounts don't count": ([{"resources": {"requests": {"example.com/gpu": "1"}}}], "BestEffort"),
    "a request": ([{"resources": {"requests": {"cpu": "1"}}}], "Burstable"),
    "a limit": ([{"resources": {"limits": {"memory": "1"}}}], "Burstable"),
    "limits without requests": ([{"resources": {"limits": {"cpu": "1", "memory": "1"}}}], "Burstable"),
    "all the same": (
        [{"resources": {"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1000m", "memory": "1"}}}],
        "Guaranteed",
    ),
    "one less": (
        [{"resources": {"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1", "memory": "500m"}}}],
        "Burstable",
    ),
    "one container says nothing": (
        [{"resources": {"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1", "memory": "1"}}}, {}],
        "Burstable",
    ),
}


@pytest.mark.parametrize(("containers", "quality"), QUALITIES.values(), ids=QUALITIES.keys())
def test_the_quality_of_service_of_a_pod(containers: list[Json], quality: str) -> None:
    assert qos_class({"containers": containers}) == quality
    assert qos_class({"initContainers": containers}) == quality


def test_amounts_on_the_pod_itself_count_for_its_containers() -> None:
    resources = {"requests": {"cpu": "3", "memory": "1Gi", "hugepages-2Mi": "2Mi", "ephemeral-storage": "1Gi"}}
    one = pod(container("1"), container("1", "i"), resources=resources, overhead={"cpu": "250m", "pods": "1"})

    assert shown(amounts_of_pod(one, "requests")) == {
        "cpu": "3250m",
        "memory": "1Gi",
        "hugepages-2Mi": "2Mi",
        "pods": "1",
    }
    assert amounts_of_pod(one, "limits") == {}
    assert amounts_of_pod({}, "requests") == {}
