"""The status of quotas follows what they count, on a real API server."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from tests.controllers.cluster import DEADLINE_SECONDS, Cluster, claim, cluster, fails, namespace, pod
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.resource_quotas import ResourceQuotas
from pvbinder.kube.kinds import CLAIMS, PODS, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import RESOURCE_QUOTAS, SERVICES

ONLY = ControllerOptions(controllers="resourcequota,pvc-protection")
QUOTAS = metadata_of(RESOURCE_QUOTAS)


def quota(name: str, **spec: object) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def sized(name: str, cpu: str, **spec: object) -> Json:
    """A pod that asks for so much."""
    made = pod(name)
    made["spec"]["containers"] = [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}]
    made["spec"] |= spec
    return made


async def shows(c: Cluster, name: str, used: dict[str, str] | None) -> Json:
    """Wait until the quota's status says that so much is used; its whole status."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            status: Json = (await c.client.get(QUOTAS, name, "default")).document()["status"]
            if status.get("used") == used and status:
                return status
            await asyncio.sleep(0.05)


def controller(c: Cluster) -> ResourceQuotas:
    found = c.manager.controllers["resourcequota-controller"]
    assert isinstance(found, ResourceQuotas)
    return found


@on_virtual_time
async def test_quota_status_1_claims_are_counted_as_admission_counts_them() -> None:
    fast = "fast.storageclass.storage.k8s.io"
    hard = {"requests.storage": "10Gi", "persistentvolumeclaims": "5", f"{fast}/requests.storage": "4Gi", "x/y": "2"}
    async with cluster(ONLY) as c:
        await c.create(claim("old"))
        await c.client.create(QUOTAS, quota("storage", hard=hard))
        first = await shows(
            c, "storage", {"requests.storage": "1Gi", "persistentvolumeclaims": "1", f"{fast}/requests.storage": "0"}
        )
        assert first["hard"] == hard
        await c.create(claim("new", storageClassName="fast", resources={"requests": {"storage": "2Gi"}}))
        await shows(
            c, "storage", {"requests.storage": "3Gi", "persistentvolumeclaims": "2", f"{fast}/requests.storage": "2Gi"}
        )
        await c.client.delete(CLAIMS, "old", "default")
        await shows(
            c, "storage", {"requests.storage": "2Gi", "persistentvolumeclaims": "1", f"{fast}/requests.storage": "2Gi"}
        )


@on_virtual_time
async def test_quota_status_1_pods_are_counted_by_what_they_ask_for_and_by_scope() -> None:
    async with cluster(ONLY) as c:
        await c.create(pod("web"), sized("db", cpu="500m"), sized("batch", cpu="250m", activeDeadlineSeconds=60))
        await c.client.create(QUOTAS, quota("all", hard={"pods": "9", "count/pods": "9", "requests.cpu": "4"}))
        await c.client.create(QUOTAS, quota("small", hard={"pods": "3"}, scopes=["BestEffort"]))
        await c.client.create(QUOTAS, quota("short", hard={"pods": "3", "requests.cpu": "2"}, scopes=["Terminating"]))
        await shows(c, "all", {"pods": "3", "count/pods": "3", "requests.cpu": "750m"})
        await shows(c, "small", {"pods": "1"})
        await shows(c, "short", {"pods": "1", "requests.cpu": "250m"})
        ended = (await c.client.get(PODS, "batch", "default")).document()
        ended["status"]["phase"] = "Succeeded"
        await c.client.replace(PODS, ended, subresource="status")
        await shows(c, "all", {"pods": "2", "count/pods": "3", "requests.cpu": "500m"})
        await shows(c, "short", {"pods": "0", "requests.cpu": "0"})


@on_virtual_time
async def test_quota_status_1_services_are_counted_by_their_ports() -> None:
    async with cluster(ONLY) as c:
        spec = {"type": "NodePort", "ports": [{"port": 80}, {"port": 81, "name": "b"}, {"port": 82, "name": "c"}]}
        spec["ports"][0]["name"] = "a"  # type: ignore[index]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"}}
        await c.client.create(metadata_of(SERVICES), {**service, "spec": spec})
        hard = {"services": "5", "services.nodeports": "5", "services.loadbalancers": "5"}
        await c.client.create(QUOTAS, quota("services", hard=hard))
        shown = await shows(c, "services", {"services": "1", "services.nodeports": "3", "services.loadbalancers": "0"})
        assert shown["hard"] == hard


@on_virtual_time
async def test_quota_status_3_a_kind_is_watched_while_a_quota_counts_it() -> None:
    async with cluster(ONLY) as c:
        await c.create(pod("web"), namespace("elsewhere"), pod("web", namespace="elsewhere"))
        assert controller(c).watched == frozenset()
        await c.client.create(QUOTAS, quota("objects", hard={"pods": "3", "count/deployments.apps": "1"}))
        await shows(c, "objects", {"pods": "1", "count/deployments.apps": "0"})
        await c.create(pod("db"))
        await shows(c, "objects", {"pods": "2", "count/deployments.apps": "0"})
        assert {resource.plural for resource in controller(c).watched} == {"pods", "deployments"}
        await c.client.delete(QUOTAS, "objects", "default")
        await c.client.delete(PODS, "db", "default", grace_seconds=0)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while controller(c).watched:
                await asyncio.sleep(0.05)


@pytest.mark.slow
@on_virtual_time
async def test_quota_status_2_nothing_is_asked_while_nothing_happens() -> None:
    async with cluster(ONLY) as c:
        await c.client.create(QUOTAS, quota("storage", hard={"requests.storage": "10Gi", "pods": "3"}))
        await c.create(claim("one"), claim("two"))
        await shows(c, "storage", {"requests.storage": "2Gi", "pods": "0"})
        await c.settle()
        before = Counter(request.method for request in c.line.seen)
        await asyncio.sleep(3 * 3600.0)
        assert Counter(request.method for request in c.line.seen) == before


@on_virtual_time
async def test_quota_status_4_a_status_that_was_overwritten_is_put_right() -> None:
    async with cluster(ONLY) as c:
        await c.client.create(QUOTAS, quota("storage", hard={"persistentvolumeclaims": "3"}))
        await shows(c, "storage", {"persistentvolumeclaims": "0"})
        wrong = (await c.client.get(QUOTAS, "storage", "default")).document()
        wrong["status"]["used"] = {"persistentvolumeclaims": "7"}
        await c.client.replace(QUOTAS, wrong, subresource="status")
        await shows(c, "storage", {"persistentvolumeclaims": "0"})


@on_virtual_time
async def test_a_status_that_could_not_be_written_is_written_later() -> None:
    async with cluster(ONLY) as c:
        c.line.before = fails(2, "PUT", "/status")
        await c.client.create(QUOTAS, quota("storage", hard={"persistentvolumeclaims": "3"}))
        await shows(c, "storage", {"persistentvolumeclaims": "0"})
