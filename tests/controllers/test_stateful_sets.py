"""The StatefulSet controller in small on a real API server, with scheduler, kubelet and binder (SETS-1 to SETS-5)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.controllers.cluster import Cluster, cluster, fails, volume

from pvbinder.controllers.kubelet import create_node
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.stateful_sets import STATEFUL_SETS
from pvbinder.kube.kinds import CLAIMS, EVENTS, PODS, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import Resource
from pvbinder.model.stateful_sets import StatefulSet

ALL = ControllerOptions(
    controllers="statefulset,scheduler,kubelet,persistentvolume-binder,garbagecollector,pvc-protection,pv-protection"
)
ALONE = ControllerOptions(controllers="statefulset")
QUOTAS = metadata_of(Resource("", "v1", "ResourceQuota", "resourcequotas", True))


def stateful_set(name: str, replicas: int, **spec: object) -> Json:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 10},
    }
    request = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": request}],
            **spec,
        },
    }


@asynccontextmanager
async def small_cluster(options: ControllerOptions = ALL, disks: int = 0) -> AsyncGenerator[Cluster]:
    async with cluster(options) as c:
        await create_node(c.client, "node-1")
        for number in range(disks):
            await c.create(volume(f"disk-{number}"))
        yield c


def pods(c: Cluster) -> list[str]:
    return sorted(pod.name for pod in c.of(PODS) if pod.phase == "Running")


def claims(c: Cluster) -> list[str]:
    return sorted(claim.name for claim in c.of(CLAIMS))


async def read(c: Cluster, name: str = "db") -> StatefulSet:
    return await c.client.get(STATEFUL_SETS, name, "default")


async def scale(c: Cluster, replicas: int) -> None:
    change = {"spec": {"replicas": replicas}}
    await c.client.patch(STATEFUL_SETS, "db", "default", change, patch_type="merge")


def history(c: Cluster) -> list[str]:
    documents = [event.document() for event in c.of(EVENTS)]
    own = [one for one in documents if one["involvedObject"]["kind"] == "StatefulSet"]
    return [one["message"] for one in sorted(own, key=lambda one: int(one["metadata"]["resourceVersion"]))]


async def test_sets_1_each_pod_gets_its_claim_and_finds_it_again() -> None:
    async with small_cluster(disks=2) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 2))
        await c.until(lambda: pods(c) == ["db-0", "db-1"])
        assert claims(c) == ["data-db-0", "data-db-1"]
        first = c.of(PODS)["default/db-0"]
        assert [str(key) for key in first.claim_keys] == ["default/data-db-0"]
        disk = c.of(CLAIMS)["default/data-db-0"].volume_name

        await c.client.delete(PODS, "db-0", "default")

        await c.until(lambda: pods(c) == ["db-0", "db-1"] and c.of(PODS)["default/db-0"].uid != first.uid)
        assert c.of(CLAIMS)["default/data-db-0"].volume_name == disk


async def test_sets_2_pods_come_and_go_in_order() -> None:
    async with small_cluster(disks=3) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 3))
        await c.until(lambda: pods(c) == ["db-0", "db-1", "db-2"])
        await scale(c, 1)
        await c.until(lambda: pods(c) == ["db-0"] and len(c.of(PODS)) == 1)
        await c.until(lambda: len(history(c)) == 8)

        assert history(c) == [
            "create Claim data-db-0 Pod db-0 in StatefulSet db success",
            "create Pod db-0 in StatefulSet db successful",
            "create Claim data-db-1 Pod db-1 in StatefulSet db success",
            "create Pod db-1 in StatefulSet db successful",
            "create Claim data-db-2 Pod db-2 in StatefulSet db success",
            "create Pod db-2 in StatefulSet db successful",
            "delete Pod db-2 in StatefulSet db successful",
            "delete Pod db-1 in StatefulSet db successful",
        ]
        assert claims(c) == ["data-db-0", "data-db-1", "data-db-2"], "kept, as the default policy says"


async def test_sets_2_a_pod_that_waits_for_its_volume_holds_up_the_next() -> None:
    async with small_cluster(disks=1) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 3))
        await c.until(lambda: pods(c) == ["db-0"] and "data-db-1" in claims(c))
        await c.until(lambda: "default/db-1" in c.of(PODS))
        assert "default/db-2" not in c.of(PODS)

        await c.create(volume("more-1"), volume("more-2"))

        await c.until(lambda: pods(c) == ["db-0", "db-1", "db-2"])


async def test_sets_2_in_parallel_all_come_at_once() -> None:
    async with small_cluster(ALONE) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 3, podManagementPolicy="Parallel"))

        await c.until(lambda: sorted(c.of(PODS).keys()) == ["default/db-0", "default/db-1", "default/db-2"])


async def test_sets_3_claims_go_with_pods_that_are_scaled_away() -> None:
    policy = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    async with small_cluster(disks=2) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 2, persistentVolumeClaimRetentionPolicy=policy))
        await c.until(lambda: pods(c) == ["db-0", "db-1"])

        await scale(c, 1)

        await c.until(lambda: claims(c) == ["data-db-0"])
        await scale(c, 2)
        await c.until(lambda: claims(c) == ["data-db-0", "data-db-1"])


async def test_sets_3_claims_go_with_the_set() -> None:
    policy = {"whenScaled": "Retain", "whenDeleted": "Delete"}
    async with small_cluster(disks=2) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 2, persistentVolumeClaimRetentionPolicy=policy))
        await c.until(lambda: pods(c) == ["db-0", "db-1"])

        await c.client.delete(STATEFUL_SETS, "db", "default")

        await c.until(lambda: len(c.of(PODS)) == len(c.of(CLAIMS)) == 0)


async def test_sets_3_claims_stay_when_the_set_goes() -> None:
    async with small_cluster(disks=1) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 1))
        await c.until(lambda: pods(c) == ["db-0"])

        await c.client.delete(STATEFUL_SETS, "db", "default")

        await c.until(lambda: len(c.of(PODS)) == 0)
        await c.settle()
        assert claims(c) == ["data-db-0"]


async def test_sets_4_nothing_is_made_twice() -> None:
    async with small_cluster(disks=5) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 5, podManagementPolicy="Parallel"))
        await c.until(lambda: len(pods(c)) == 5)
        await c.settle()

        assert c.line.asked("POST", "/pods") == c.line.asked("POST", "/persistentvolumeclaims") == 5


async def test_sets_5_the_status_follows_the_pods() -> None:
    async with small_cluster(disks=2) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 2))
        await c.until(lambda: pods(c) == ["db-0", "db-1"])
        await c.settle()

        status = (await read(c)).document()["status"]
        revision = (await read(c)).revision
        assert status == {
            "observedGeneration": 1,
            "replicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "currentReplicas": 2,
            "updatedReplicas": 2,
            "currentRevision": revision,
            "updateRevision": revision,
            "collisionCount": 0,
        }
        before = len(c.line.seen)
        await c.settle()
        assert len(c.line.seen) == before


async def test_a_new_template_replaces_the_pods_from_the_last_to_the_first() -> None:
    async with small_cluster(disks=2) as c:
        await c.client.create(STATEFUL_SETS, stateful_set("db", 2))
        await c.until(lambda: pods(c) == ["db-0", "db-1"])
        await c.settle()
        document = (await read(c)).document()
        document["spec"]["template"]["spec"]["containers"][0]["image"] = "i:2"
        new = await c.client.replace(STATEFUL_SETS, document)

        def has_new_template(name: str) -> bool:
            found = c.of(PODS).get(f"default/{name}")
            return found is not None and found.labels["controller-revision-hash"] == new.revision

        await c.until(lambda: has_new_template("db-0") and has_new_template("db-1") and pods(c) == ["db-0", "db-1"])
        await c.settle()

        assert (await read(c)).document()["status"]["currentRevision"] == new.revision
        assert history(c)[-4:] == [
            "delete Pod db-1 in StatefulSet db successful",
            "create Pod db-1 in StatefulSet db successful",
            "delete Pod db-0 in StatefulSet db successful",
            "create Pod db-0 in StatefulSet db successful",
        ]


async def test_what_the_server_refuses_is_told() -> None:
    async with small_cluster(ALONE) as c:
        none = {"hard": {"persistentvolumeclaims": "0"}}
        quota = await c.client.create(QUOTAS, {"metadata": {"name": "none", "namespace": "default"}, "spec": none})
        document = {**quota.document(), "status": {**none, "used": {"persistentvolumeclaims": "0"}}}
        await c.client.replace(QUOTAS, document, subresource="status")
        await c.client.create(STATEFUL_SETS, stateful_set("db", 1))

        refused = "create Claim data-db-0 Pod db-0 in StatefulSet db failed error: "
        await c.until(lambda: any(message.startswith(refused) for message in history(c)))


async def test_every_write_that_fails_once_is_made_up_for() -> None:
    async with small_cluster(disks=2) as c:
        c.line.after = fails(3, "POST", "/pods")
        c.line.before = fails(3, "POST", "/persistentvolumeclaims")
        await c.client.create(STATEFUL_SETS, stateful_set("db", 2))

        await c.until(lambda: pods(c) == ["db-0", "db-1"])
