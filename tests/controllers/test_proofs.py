"""The proof that each controller asks for before an irreversible act; the whole matrix is in `tests.adversary`."""

from __future__ import annotations

import json

import msgspec
import pytest
from tests.adversary.answers import asked_by, status, text
from tests.controllers.cluster import Cluster, claim, cluster, fails, namespace, pod, volume
from tests.controllers.protection.test_attributes_classes import attributes_class
from tests.controllers.test_ephemeral_volumes import controller as ephemeral_controller
from tests.controllers.test_ephemeral_volumes import ephemeral, messages
from tests.controllers.test_expander import KEY, ask_for, bind
from tests.controllers.test_expander import OPTIONS as EXPANDING
from tests.controllers.test_garbage_collector import CONFIG, exists, gone, make, reference, settle
from tests.controllers.test_namespaces import config_map
from tests.controllers.test_stateful_sets import ALONE as SETS_ALONE
from tests.controllers.test_stateful_sets import stateful_set
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.kubelet import create_node
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.stateful_sets import STATEFUL_SETS
from pvbinder.kube.client import Kind
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, NAMESPACES, PODS, VOLUMES, Metadata, metadata_of
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json
from pvbinder.model.names import PV_PROTECTION_FINALIZER
from pvbinder.model.resources import SECRETS

PROTECTION = ControllerOptions(controllers="pvc-protection,pv-protection,volumeattributesclass-protection-controller")
GARBAGE = ControllerOptions(controllers="garbagecollector")
NAMESPACES_ALONE = ControllerOptions(controllers="namespace")
PODS_IN_DEFAULT = "/api/v1/namespaces/default/pods"


def falsify(c: Cluster, answer: Answer, *, method: str, ending: str, times: int = 1) -> list[Request]:
    """Give `answer` to the next `times` requests like these; return where those that got it are noted."""
    given: list[Request] = []

    def instead(request: Request) -> Answer | None:
        is_watch = request.query.get("watch")
        if len(given) < times and request.method == method and request.path.endswith(ending) and not is_watch:
            given.append(request)
            c.news.set()
            return answer
        return None

    c.line.before = instead
    return given


def list_of(kind: str, revision: str, *items: Json, version: str = "v1") -> Answer:
    document = {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": revision}, "items": list(items)}
    return Answer(200, json.dumps(document).encode())


NOT_FOUND = {
    "a page": text(404, "404 page not found"),
    "another kind": status(404, "NotFound", "not found", name="NAME", kind="secrets"),
    "another name": status(404, "NotFound", "not found", name="other", kind="KIND"),
    "no name": status(404, "NotFound", "the server could not find the requested resource"),
}


def about(answer: Answer, kind: str, name: str) -> Answer:
    return msgspec.structs.replace(
        answer, body=answer.body.replace(b"NAME", name.encode()).replace(b"KIND", kind.encode())
    )


# -- protection


@pytest.mark.parametrize(
    "answer",
    [
        list_of("PodList", "1"),
        list_of("ConfigMapList", "99999"),
        list_of("PodList", ""),
        text(200, "<html></html>"),
        text(404, "404 page not found"),
    ],
    ids=["an old list", "a list of another kind", "no revision", "a page", "a 404"],
)
@on_virtual_time
async def test_claims_1_a_false_list_of_pods_releases_no_claim(answer: Answer) -> None:
    async with cluster(PROTECTION) as c:
        await c.create(claim("orders"))
        await c.until(lambda: "default/orders" in c.of(CLAIMS))
        given = falsify(c, answer, method="GET", ending=PODS_IN_DEFAULT, times=3)
        await c.client.delete(CLAIMS, "orders", "default")
        await c.until(lambda: "default/orders" not in c.of(CLAIMS))

        assert len(given) == 3, "each false answer was asked for again"


@on_virtual_time
async def test_claims_1_an_empty_list_of_pods_is_checked_against_the_pods_that_are_known() -> None:
    async with cluster(PROTECTION) as c:
        await c.create(claim("orders"), pod("other", node="n1"))
        await c.until(lambda: "default/orders" in c.of(CLAIMS) and "default/other" in c.of(PODS))
        await c.settle()
        falsify(c, list_of("PodList", "99999"), method="GET", ending=PODS_IN_DEFAULT)
        await c.client.delete(CLAIMS, "orders", "default")
        await c.until(lambda: "default/orders" not in c.of(CLAIMS))

        assert c.line.asked("GET", "/pods/other") == 1
        assert c.line.asked("GET", PODS_IN_DEFAULT) == 2


@pytest.mark.parametrize("answer", NOT_FOUND.values(), ids=NOT_FOUND.keys())
@pytest.mark.parametrize("kind", [CLAIMS, VOLUMES, ATTRIBUTES_CLASSES], ids=["claim", "volume", "class"])
@on_virtual_time
async def test_a_finalizer_that_nobody_took_away_is_taken_away_later(kind: Kind[Metadata], answer: Answer) -> None:
    async with cluster(PROTECTION) as c:
        await c.create(claim("it"), volume("it"), attributes_class("it"))
        informer = c.of(kind)
        await c.until(lambda: len(informer) == 1)
        await c.settle()
        given = falsify(c, about(answer, kind.resource.plural, "it"), method="PUT", ending="/it")
        await c.client.delete(kind, "it", "default" if kind.resource.namespaced else "")

        await c.until(lambda: not len(informer))
        assert given


# -- garbage


@pytest.mark.parametrize("answer", NOT_FOUND.values(), ids=NOT_FOUND.keys())
async def test_garbage_7_an_owner_is_not_absent_by_a_404_about_something_else(answer: Answer) -> None:
    async with cluster(GARBAGE) as c:
        owner = await make(c, "owner")
        await settle(c)
        given = falsify(c, about(answer, "configmaps", "owner"), method="GET", ending="/owner", times=5)
        found = (await c.client.get(CONFIG, "owner", "default")).document()
        unseen = {**reference(CONFIG, owner), "uid": found["metadata"]["uid"]}
        del garbage_cache(c)[owner.key]  # the cache has missed it
        await make(c, "dependent", unseen)
        await c.until(lambda: len(given) == 5)
        await settle(c)

        assert await exists(c, "dependent")


async def test_garbage_7_another_object_in_the_answer_is_no_other_owner() -> None:
    async with cluster(GARBAGE) as c:
        owner = await make(c, "owner")
        await settle(c)
        del garbage_cache(c)[owner.key]
        other = {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
        given = falsify(c, Answer(200, json.dumps(other).encode()), method="GET", ending="/owner", times=3)
        await make(c, "dependent", reference(CONFIG, owner))
        await settle(c)

        assert given
        assert await exists(c, "dependent")


def garbage_cache(c: Cluster) -> dict[str, object]:
    """The objects in the collector's own cache of config maps."""
    collector = c.manager.controllers["garbage-collector-controller"]
    informers = collector._informers  # type: ignore[attr-defined]
    objects: dict[str, object] = informers[CONFIG.resource]._objects
    return objects


async def test_garbage_8_a_dependent_that_the_caches_missed_is_released_too() -> None:
    async with cluster(GARBAGE) as c:
        owner = await make(c, "owner")
        await make(c, "dependent", reference(CONFIG, owner))
        await settle(c)
        collector = c.manager.controllers["garbage-collector-controller"]
        collector._graph.clear()  # type: ignore[attr-defined]
        collector._dependents.clear()  # type: ignore[attr-defined]
        await c.client.delete(CONFIG, "owner", "default", propagation="Orphan")

        await gone(c, "owner")
        await settle(c)
        left = await c.client.get(CONFIG, "dependent", "default")
        assert left.owner_references == ()


async def test_garbage_8_kinds_that_do_not_answer_keep_the_finalizer() -> None:
    async with cluster(GARBAGE) as c:
        await make(c, "owner")
        await settle(c)
        given = falsify(c, text(404, "404 page not found"), method="GET", ending="/namespaces/default/secrets", times=3)
        await c.client.delete(CONFIG, "owner", "default", propagation="Orphan")

        await gone(c, "owner")
        assert len(given) == 3


# -- namespaces


@on_virtual_time
async def test_namespace_6_what_is_in_a_new_namespace_of_the_name_stays() -> None:
    async with cluster(NAMESPACES_ALONE) as c:
        await c.create(namespace("shop"))
        await c.client.create(CONFIG, config_map("precious"))
        alive = (await c.client.get(NAMESPACES, "shop")).document()
        going = {**alive["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", "uid": "of-an-earlier-one"}
        document = {**alive, "metadata": going, "spec": {"finalizers": ["kubernetes"]}}
        controller = c.manager.controllers["namespace-controller"]
        seen = NAMESPACES.parse(json.dumps(document).encode())
        controller._namespaces._objects["shop"] = seen  # type: ignore[attr-defined]
        controller._queue.add("shop")  # type: ignore[attr-defined]
        await controller._queue.wait_idle(delayed_too=False)  # type: ignore[attr-defined]
        assert controller.statistics().queue.failures  # type: ignore[attr-defined]

        assert await c.client.get(CONFIG, "precious", "shop")
        assert c.line.asked("DELETE") == 0


@pytest.mark.parametrize("ending", ["/namespaces/shop/configmaps", "/namespaces/shop/persistentvolumeclaims"])
@on_virtual_time
async def test_namespace_7_one_empty_list_empties_no_namespace(ending: str) -> None:
    async with cluster(NAMESPACES_ALONE) as c:
        await c.create(namespace("shop"), claim("data", namespace="shop"))
        await c.client.create(CONFIG, config_map("free"))
        unprotected = {"metadata": {"finalizers": None}}
        await c.client.patch(CLAIMS, "data", "shop", unprotected, patch_type="merge")
        given = falsify(
            c, list_of("PartialObjectMetadataList", "99999", version="meta.k8s.io/v1"), method="GET", ending=ending
        )
        await c.client.delete(NAMESPACES, "shop")
        await c.until(lambda: "shop" not in c.of(NAMESPACES))

        assert given
        assert not await c.client.list_all(CONFIG, "shop")
        assert not await c.client.list_all(CLAIMS, "shop")


@pytest.mark.parametrize("answer", [text(404, "404 page not found"), NOT_FOUND["no name"]], ids=["a page", "a Status"])
@on_virtual_time
async def test_namespace_8_a_404_for_a_kind_that_is_served_empties_no_namespace(answer: Answer) -> None:
    async with cluster(NAMESPACES_ALONE) as c:
        await c.create(namespace("shop"))
        await c.client.create(CONFIG, config_map("free"))
        given = falsify(c, answer, method="GET", ending="/namespaces/shop/configmaps", times=2)
        await c.client.delete(NAMESPACES, "shop")
        await c.until(lambda: "shop" not in c.of(NAMESPACES))

        assert len(given) == 2
        assert not await c.client.list_all(CONFIG, "shop")


@on_virtual_time
async def test_namespace_8_a_kind_that_discovery_forgets_is_emptied_all_the_same() -> None:
    async with cluster(NAMESPACES_ALONE) as c:
        await c.create(namespace("first"), namespace("shop"))
        await c.client.delete(NAMESPACES, "first")
        await c.until(lambda: "first" not in c.of(NAMESPACES))
        await c.client.create(metadata_of(SECRETS), {"metadata": {"name": "x", "namespace": "shop"}})
        honest = await c.line.line.send(
            Request("GET", "/api", accept="application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        )
        told = json.loads(honest.body)
        for version in told["items"][0]["versions"]:
            version["resources"] = [one for one in version["resources"] if one["resource"] != "secrets"]
        given = falsify(c, Answer(200, json.dumps(told).encode()), method="GET", ending="/api", times=9)
        await c.client.delete(NAMESPACES, "shop")
        await c.until(lambda: "shop" not in c.of(NAMESPACES))

        assert given
        assert not await c.client.list_all(metadata_of(SECRETS), "shop")


# -- stateful sets, pods, ephemeral claims, expansion


@on_virtual_time
async def test_sets_6_an_old_set_ends_no_pod_of_the_new_one() -> None:
    async with cluster(SETS_ALONE) as c:
        policy = {"whenScaled": "Delete", "whenDeleted": "Retain"}
        spec = {"podManagementPolicy": "Parallel", "persistentVolumeClaimRetentionPolicy": policy}
        small = await c.client.create(STATEFUL_SETS, stateful_set("db", 1, **spec))
        await c.until(lambda: len(c.of(PODS)) == 1)
        await c.client.patch(STATEFUL_SETS, "db", "default", {"spec": {"replicas": 2}}, patch_type="merge")
        await c.until(lambda: len(c.of(PODS)) == 2)
        await c.settle()
        sets = c.manager.controllers["statefulset-controller"]
        sets._sets._objects[small.key] = small  # type: ignore[attr-defined]  # a server that went back, a list from a cache
        before = len(c.line.seen)
        sets._queue.add(small.key)  # type: ignore[attr-defined]
        await c.settle()

        assert [r.path for r in c.line.seen[before:] if r.method == "DELETE"] == []
        assert len(c.of(PODS)) == 2
        assert all(one.owner_references == () for one in c.of(CLAIMS))


@pytest.mark.parametrize("answer", NOT_FOUND.values(), ids=NOT_FOUND.keys())
@on_virtual_time
async def test_a_pod_is_neither_reported_nor_removed_by_a_404_about_something_else(answer: Answer) -> None:
    async with cluster(ControllerOptions(controllers="kubelet")) as c:
        await create_node(c.client, "node-1")
        await c.create(pod("web", node="node-1"))
        given = falsify(c, about(answer, "pods", "web"), method="PUT", ending="/web/status", times=2)
        await c.until(lambda: "default/web" in c.of(PODS) and c.of(PODS)["default/web"].phase == "Running")
        given += falsify(c, about(answer, "pods", "web"), method="DELETE", ending="/web", times=2)
        await c.client.delete(PODS, "web", "default")
        await c.until(lambda: "default/web" not in c.of(PODS))

        assert given


@on_virtual_time
async def test_ephemeral_1_a_claim_whose_answer_got_lost_is_taken() -> None:
    async with cluster(ControllerOptions(controllers="ephemeral-volume")) as c:
        c.line.after = fails(1, "POST", "/persistentvolumeclaims")
        await c.create(pod("shop", ephemeral("scratch")))
        await c.until(lambda: "default/shop-scratch" in c.of(CLAIMS))
        await c.settle()

        assert messages(c) == []
        assert ephemeral_controller(c).statistics().creates == 1
        assert ephemeral_controller(c).statistics().create_failures == 0


@on_virtual_time
async def test_expander_1_a_volume_that_took_the_name_is_not_grown() -> None:
    async with cluster(EXPANDING) as c:
        await bind(c, hostPath=None, flexVolume={"driver": "example.com/lvm"})
        await c.settle()
        await ask_for(c, "2Gi")
        await c.until(
            lambda: any(asked_by(r).plural == "persistentvolumes" and r.method == "PATCH" for r in c.line.seen)
        )
        disk = c.of(VOLUMES)["disk"]
        changes = [json.loads(r.body or b"") for r in c.line.seen if r.method == "PATCH" and r.path.endswith("/disk")]

        assert changes
        assert {change["metadata"]["uid"] for change in changes} == {disk.uid}
        assert all(change["metadata"]["resourceVersion"] for change in changes)
        assert KEY in c.of(CLAIMS)


@on_virtual_time
async def test_volumes_1_a_volume_that_was_bound_meanwhile_keeps_its_finalizer() -> None:  # PP-2
    async with cluster(PROTECTION) as c:
        await c.create(volume("disk"))
        await c.until(lambda: "disk" in c.of(VOLUMES))
        await c.settle()
        given = falsify(c, status(409, "Conflict", "busy"), method="PUT", ending="/disk")
        await c.client.delete(VOLUMES, "disk")
        await c.until(lambda: bool(given))
        stale = json.loads(given[0].body or b"")  # the write as it was decided, before the volume was bound
        bound = (await c.client.get(VOLUMES, "disk")).document()
        bound["status"] = {"phase": "Bound"}
        await c.client.replace(VOLUMES, bound, subresource="status")

        with pytest.raises(ApiFailure) as refused:
            await c.client.replace(VOLUMES, stale)

        assert refused.value.is_conflict
        assert (await c.client.get(VOLUMES, "disk")).finalizers == (PV_PROTECTION_FINALIZER,)


@on_virtual_time
async def test_classes_1_a_class_that_the_caches_know_a_user_of_stays() -> None:  # VP-4
    async with cluster(PROTECTION) as c:
        await c.create(attributes_class("gold"), claim("it", volumeAttributesClassName="gold", storageClassName="x"))
        await c.until(lambda: "gold" in c.of(ATTRIBUTES_CLASSES) and "default/it" in c.of(CLAIMS))
        await c.settle()
        empty = list_of("PersistentVolumeClaimList", "99999")
        falsify(c, empty, method="GET", ending="/persistentvolumeclaims", times=9)
        await c.client.delete(ATTRIBUTES_CLASSES, "gold")
        await c.until(lambda: c.of(ATTRIBUTES_CLASSES)["gold"].is_deleting)
        await c.settle()

        assert "gold" in c.of(ATTRIBUTES_CLASSES)


CSI = {"driver": "disk.example", "volumeHandle": "1"}
USERS_OF_A_CLASS: dict[str, tuple[Kind[Metadata], Json]] = {
    "claim": (CLAIMS, claim("it", volumeAttributesClassName="gold", storageClassName="x")),  # type: ignore[dict-item]
    "volume": (
        VOLUMES,  # type: ignore[dict-item]
        volume("it", hostPath=None, csi=CSI, volumeAttributesClassName="gold", storageClassName="x"),
    ),
}


@pytest.mark.parametrize(("kind", "user"), USERS_OF_A_CLASS.values(), ids=USERS_OF_A_CLASS.keys())
@on_virtual_time
async def test_classes_1_a_user_that_the_caches_missed_keeps_its_class(kind: Kind[Metadata], user: Json) -> None:
    async with cluster(PROTECTION) as c:
        await c.create(attributes_class("gold"), user)
        await c.until(lambda: "gold" in c.of(ATTRIBUTES_CLASSES) and len(c.of(kind)) == 1)
        await c.settle()
        cache = c.manager.informers.of(kind)
        [key] = cache.keys()
        cache._cache.remove(key)  # as if the first list had been without it
        await c.client.delete(ATTRIBUTES_CLASSES, "gold")
        await c.until(lambda: c.of(ATTRIBUTES_CLASSES)["gold"].is_deleting)
        await c.settle()

        assert "gold" in c.of(ATTRIBUTES_CLASSES)
        assert key in cache, "what was found is known from now on"
        await c.client.delete(kind, user["metadata"]["name"], user["metadata"].get("namespace", ""))
        await c.until(lambda: "gold" not in c.of(ATTRIBUTES_CLASSES))


FALSE_LISTS = {
    "a page": text(404, "404 page not found"),
    "a Status": status(404, "NotFound", "the server could not find the requested resource"),
    "a refusal": status(403, "Forbidden", "no"),
    "another kind": list_of("SecretList", "99999"),
    "nothing of nothing": list_of("List", ""),
    "an old list": list_of("PersistentVolumeClaimList", "1"),
}


@pytest.mark.parametrize("answer", FALSE_LISTS.values(), ids=FALSE_LISTS.keys())
@on_virtual_time
async def test_classes_1_a_false_list_of_claims_releases_no_class(answer: Answer) -> None:
    async with cluster(PROTECTION) as c:
        await c.create(attributes_class("gold"))
        await c.until(lambda: "gold" in c.of(ATTRIBUTES_CLASSES))
        await c.settle()
        given = falsify(c, answer, method="GET", ending="/persistentvolumeclaims", times=3)
        await c.client.delete(ATTRIBUTES_CLASSES, "gold")
        await c.until(lambda: "gold" not in c.of(ATTRIBUTES_CLASSES))

        assert len(given) == 3, "each false answer was asked for again"
