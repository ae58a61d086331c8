"""Dependents go with their owners (DE-5, DE-8, GARBAGE-1 to GARBAGE-6), on a real API server."""

from __future__ import annotations

import asyncio

import pytest
from tests.controllers.cluster import DEADLINE_SECONDS, Cluster, claim, cluster, fails, namespace, pod

from pvbinder.controllers.garbage_collector import GarbageCollector
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Kind
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import CLAIMS, EVENTS, NODES, PODS, Metadata, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.ownership import FOREGROUND
from pvbinder.model.resources import CONFIG_MAPS, LEASES, SECRETS, Resource

ONLY = ControllerOptions(controllers="garbagecollector")
CONFIG = metadata_of(CONFIG_MAPS)
SECRET = metadata_of(SECRETS)


def collector(c: Cluster) -> GarbageCollector:
    found = c.manager.controllers["garbage-collector-controller"]
    assert isinstance(found, GarbageCollector)
    return found


def reference(kind: Kind[Metadata], owner: Metadata, *, blocks: bool | None = None) -> Json:
    resource = kind.resource
    found = {"apiVersion": resource.api_version, "kind": resource.kind, "name": owner.name, "uid": owner.uid}
    return found if blocks is None else found | {"blockOwnerDeletion": blocks}


async def make(
    c: Cluster, name: str, *owners: Json, kind: Kind[Metadata] = CONFIG, namespace: str = "default", **meta: object
) -> Metadata:
    metadata = {"name": name, "namespace": namespace, "ownerReferences": list(owners), **meta}
    return await c.client.create(kind, {"metadata": metadata})


async def exists(c: Cluster, name: str, kind: Kind[Metadata] = CONFIG, namespace: str = "default") -> bool:
    return name in {found.name for found in await c.client.list_all(kind, namespace)}


async def test_garbage_1_a_dependent_goes_with_its_owner_after_a_live_look() -> None:
    async with cluster(ONLY) as c:
        owner = await make(c, "owner")
        await make(c, "dependent", reference(CONFIG, owner))
        await settle(c)
        before = len(c.line.seen)

        await c.client.delete(CONFIG, "owner", "default")

        await gone(c, "dependent")
        assert [(r.method, r.path.rsplit("/", 1)[1]) for r in c.line.seen[before:]] == [
            ("GET", "dependent"),
            ("GET", "owner"),
            ("DELETE", "dependent"),
        ]
        assert b'"preconditions":{"uid":' in (c.line.seen[-1].body or b"")


async def test_garbage_1_a_new_object_of_the_same_name_is_no_owner() -> None:
    async with cluster(ONLY) as c:
        owner = await make(c, "owner")
        await c.client.delete(CONFIG, "owner", "default")
        await make(c, "owner")

        await make(c, "dependent", reference(CONFIG, owner))

        await gone(c, "dependent")
        assert await exists(c, "owner")


async def test_garbage_2_with_another_owner_left_it_stays_and_forgets() -> None:
    async with cluster(ONLY) as c:
        first, second = await make(c, "first"), await make(c, "second", kind=SECRET)
        await make(c, "dependent", reference(CONFIG, first), reference(SECRET, second))

        await c.client.delete(CONFIG, "first", "default")

        await settle(c)
        left = await c.client.get(CONFIG, "dependent", "default")
        assert [owner.name for owner in left.owner_references] == ["second"]
        await c.client.delete(SECRET, "second", "default")
        await gone(c, "dependent")


async def test_garbage_2_an_owner_of_an_unknown_kind_keeps_it() -> None:
    async with cluster(ONLY) as c:
        unknown = {"apiVersion": "example.com/v1", "kind": "Shop", "name": "x", "uid": "x"}
        await make(c, "dependent", unknown)
        await settle(c)

        assert await exists(c, "dependent")


async def test_garbage_3_foreground_waits_for_dependents_that_block() -> None:
    async with cluster(ONLY) as c:
        owner = await make(c, "owner")
        await make(c, "held", reference(CONFIG, owner, blocks=True), finalizers=["example.com/keep"])
        await make(c, "free", reference(CONFIG, owner, blocks=True))

        await c.client.delete(CONFIG, "owner", "default", propagation="Foreground")

        await gone(c, "free")
        await settle(c)
        assert (await c.client.get(CONFIG, "owner", "default")).finalizers == (FOREGROUND,)
        assert (await c.client.get(CONFIG, "held", "default")).is_deleting
        await c.client.patch(CONFIG, "held", "default", {"metadata": {"finalizers": None}}, patch_type="merge")
        await gone(c, "owner")


async def test_garbage_3_foreground_reaches_through_a_chain() -> None:
    async with cluster(ONLY) as c:
        top = await make(c, "top")
        middle = await make(c, "middle", reference(CONFIG, top, blocks=True))
        await make(c, "bottom", reference(CONFIG, middle, blocks=True))
        await settle(c)

        await c.client.delete(CONFIG, "top", "default", propagation="Foreground")

        for name in ("bottom", "middle", "top"):
            await gone(c, name)


async def test_garbage_3_orphans_stay() -> None:
    async with cluster(ONLY) as c:
        owner = await make(c, "owner")
        await make(c, "dependent", reference(CONFIG, owner, blocks=True))
        await settle(c)

        await c.client.delete(CONFIG, "owner", "default", propagation="Orphan")

        await gone(c, "owner")
        await settle(c)
        assert (await c.client.get(CONFIG, "dependent", "default")).owner_references == ()


async def test_a_circle_goes_when_one_of_it_is_deleted_in_foreground() -> None:
    async with cluster(ONLY) as c:
        first = await make(c, "first")
        second = await make(c, "second", reference(CONFIG, first, blocks=True))
        document = first.document()
        document["metadata"]["ownerReferences"] = [reference(CONFIG, second, blocks=True)]
        await c.client.replace(CONFIG, document)
        await settle(c)

        await c.client.delete(CONFIG, "first", "default", propagation="Foreground")

        await gone(c, "first")
        await gone(c, "second")


async def test_garbage_4_an_owner_in_another_namespace_is_none() -> None:
    async with cluster(ONLY) as c:
        await c.create(namespace("shop"))
        elsewhere = await make(c, "owner", namespace="shop")

        await make(c, "dependent", reference(CONFIG, elsewhere))

        await gone(c, "dependent")
        assert await exists(c, "owner", namespace="shop")


async def test_garbage_4_a_cluster_wide_owner_owns_in_every_namespace() -> None:
    async with cluster(ONLY) as c:
        node = await c.client.create(NODES, {"metadata": {"name": "node-1"}})
        owner = {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": node.uid}
        await make(c, "node-1", owner, kind=metadata_of(LEASES), namespace="kube-system")
        await settle(c)
        assert await exists(c, "node-1", metadata_of(LEASES), "kube-system")

        await c.client.delete(NODES, "node-1")

        await gone(c, "node-1", metadata_of(LEASES), "kube-system")


async def test_garbage_4_a_namespaced_owner_of_a_cluster_wide_object_is_not_believed() -> None:
    async with cluster(ONLY) as c:
        wrong = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}
        node: Json = {"metadata": {"name": "node-1", "ownerReferences": [wrong]}}
        await c.client.create(NODES, node)
        await settle(c)

        assert (await c.client.get(NODES, "node-1")).name == "node-1"


async def test_garbage_5_what_others_watch_is_not_watched_again() -> None:
    both = ControllerOptions(controllers="garbagecollector,pvc-protection,pv-protection")
    async with cluster(both) as c:
        watched = [r.path for r in c.line.seen if r.method == "GET"]
        for path in ("pods", "persistentvolumeclaims", "persistentvolumes"):
            assert watched.count(f"/api/v1/{path}") == 1
        assert watched.count("/api/v1/configmaps") == 1
        [secrets] = [r for r in c.line.seen if r.path == "/api/v1/secrets"]
        assert "PartialObjectMetadata" in secrets.accept
        assert collector(c).statistics().owned == 0


@pytest.mark.parametrize("list_kind", ["ShopList", "Mall"])
async def test_garbage_6_kinds_that_are_defined_later_are_collected_too(list_kind: str) -> None:
    shops = Resource("example.com", "v1", "Shop", "shops", True)
    definition: Json = {
        "metadata": {"name": "shops.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "shops", "singular": "shop", "kind": "Shop", "listKind": list_kind},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    definitions = Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False)
    async with cluster(ONLY) as c:
        await settle(c)
        kinds = collector(c).statistics().kinds
        await make(c, "early", {"apiVersion": "example.com/v1", "kind": "Shop", "name": "none", "uid": "none"})

        await c.client.create(metadata_of(definitions), definition)

        await gone(c, "early")  # now it is known that there is no such shop
        assert collector(c).statistics().kinds == kinds + 1
        shop = await make(c, "shop", kind=metadata_of(shops))
        await make(c, "dependent", reference(metadata_of(shops), shop))
        await c.client.delete(metadata_of(shops), "shop", "default")
        await gone(c, "dependent")


async def test_a_claim_of_a_pod_goes_with_it() -> None:
    everything = ControllerOptions(controllers="garbagecollector,ephemeral-volume,pvc-protection")
    async with cluster(everything) as c:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        await c.create(pod("web", {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}))
        await c.create(claim("own"))
        await c.until(lambda: "default/web-scratch" in c.of(CLAIMS))

        await c.client.delete(PODS, "web", "default")

        await c.until(lambda: c.of(CLAIMS).keys() == ["default/own"])


async def test_garbage_6_nothing_is_asked_while_nothing_changes() -> None:
    async with cluster(ONLY) as c:
        owner = await make(c, "owner")
        await make(c, "dependent", reference(CONFIG, owner))
        await settle(c)
        before = about(c, "dependent"), about(c, "owner")

        document = (await c.client.get(CONFIG, "dependent", "default")).document()
        document["data"] = {"a": "b"}
        await c.client.replace(CONFIG, document)
        await settle(c)

        assert (about(c, "dependent"), about(c, "owner")) == before


async def test_owners_that_went_before_the_start_are_found_missing() -> None:
    async with cluster(ONLY) as c:
        await c.stop()
        owner = await make(c, "owner")
        await make(c, "dependent", reference(CONFIG, owner))
        await c.client.delete(CONFIG, "owner", "default")
        await c.start()

        await gone(c, "dependent")


async def test_a_broken_line_delays_only() -> None:
    async with cluster(ONLY) as c:
        owner = await make(c, "owner")
        await make(c, "dependent", reference(CONFIG, owner))
        c.line.before = fails(2, "DELETE", "/dependent")

        await c.client.delete(CONFIG, "owner", "default")

        await gone(c, "dependent")


async def gone(c: Cluster, name: str, kind: Kind[Metadata] = CONFIG, namespace: str = "default") -> None:
    """Wait until an object is gone; no watch of the user's own shows these kinds."""
    changed = asyncio.Event()
    informer = Informer(c.client, kind, namespace)
    informer.add_handler(lambda _: changed.set())
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
        watching = group.create_task(informer.run())
        await informer.wait_synced()
        while f"{namespace}/{name}" in informer:
            changed.clear()
            await changed.wait()
        watching.cancel()


async def settle(c: Cluster) -> None:
    """Wait until the collector is done with all changes to config maps so far: it then handles a later one."""
    owner = await make(c, "last-owner")
    await make(c, "last", reference(CONFIG, owner))
    await c.client.delete(CONFIG, "last-owner", "default")
    await gone(c, "last")
    await collector(c).wait_idle()


def about(c: Cluster, name: str) -> int:
    """How many requests the collector made about an object."""
    return sum(request.path.endswith(f"/{name}") for request in c.line.seen)


@pytest.mark.parametrize("kind", [CONFIG, metadata_of(NODES.resource)], ids=["in a namespace", "cluster-wide"])
async def test_garbage_9_an_owner_in_another_namespace_is_told(kind: Kind[Metadata]) -> None:
    async with cluster(ONLY) as c:
        await c.create(namespace("other"))
        owner = await make(c, "owner", namespace="other")
        own = {"metadata": {"name": "dependent", "ownerReferences": [reference(CONFIG, owner)]}}
        if kind.resource.namespaced:
            own["metadata"]["namespace"] = "default"
        dependent = await c.client.create(kind, own)
        await c.until(lambda: len(c.of(EVENTS)) == 1)

        [event] = [one.document() for one in c.of(EVENTS)]
        where = "default" if kind.resource.namespaced else ""
        named = f"[v1/ConfigMap, namespace: {where}, name: owner, uid: {owner.uid}]"
        assert (event["type"], event["reason"]) == ("Warning", "OwnerRefInvalidNamespace")
        assert event["message"] == f'ownerRef {named} does not exist in namespace "{where}"'
        assert event["involvedObject"]["uid"] == dependent.uid
        assert event["source"]["component"] == "garbage-collector-controller"
