"""Short histories that lead to each irreversible act, each beside an object that must stay untouched.

That object is watched for a minute, longer than false answers last; then the act becomes justified, and must happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.adversary.world import CONFIG, SETS, Tale, World
from tests.controllers.cluster import claim, namespace, pod, using, volume

from pvbinder.controllers.kubelet import create_node
from pvbinder.kube.client import Kind
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, NAMESPACES, NODES, PODS, VOLUMES, Metadata
from pvbinder.model.json import Json

EPHEMERAL: Final[Json] = {
    "name": "scratch",
    "ephemeral": {
        "volumeClaimTemplate": {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "resources": {"requests": {"storage": "1Gi"}},
            }
        }
    },
}
PROTECTION: Final = "pvc-protection,pv-protection,volumeattributesclass-protection-controller"


def config(name: str, *owners: Json, namespace: str = "default", **meta: object) -> Json:
    metadata = {"name": name, "namespace": namespace, "ownerReferences": list(owners), **meta}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def owned_by(kind: Kind[Metadata], owner: Metadata) -> Json:
    resource = kind.resource
    found = {"apiVersion": resource.api_version, "kind": resource.kind, "name": owner.name, "uid": owner.uid}
    return {**found, "blockOwnerDeletion": True}


async def nothing(_: World) -> None:
    """Nothing."""


# -- protection


async def claims_and_a_pod(w: World) -> None:
    await w.make(claim("used"), claim("unused"), pod("shop", using("used"), node="n1"))


async def claims_go(w: World) -> None:
    for name in ("used", "unused"):
        await w.client.delete(CLAIMS, name, "default")
    await w.stays(lambda: "default/used" in w.of(CLAIMS))
    await w.client.delete(PODS, "shop", "default", grace_seconds=0)
    await w.until(lambda: not len(w.of(CLAIMS)))


async def volumes_bound_and_free(w: World) -> None:
    await w.make(volume("bound"), volume("free"), claim("orders"))
    await w.bind("bound", "orders")


async def volumes_go(w: World) -> None:
    for name in ("bound", "free"):
        await w.client.delete(VOLUMES, name)
    await w.stays(lambda: "bound" in w.of(VOLUMES))
    released = (await w.client.get(VOLUMES, "bound")).document()
    released["status"] = {"phase": "Released"}
    await w.client.replace(VOLUMES, released, subresource="status")
    await w.until(lambda: not len(w.of(VOLUMES)))


async def a_named_class(w: World) -> None:
    for name in ("gold", "tin"):
        body = {"driverName": "disk.example", "parameters": {"tier": name}}
        kind = "VolumeAttributesClass"
        await w.make({"apiVersion": "storage.k8s.io/v1", "kind": kind, "metadata": {"name": name}, **body})
    await w.make(claim("orders", volumeAttributesClassName="gold", storageClassName="fast"))


async def classes_go(w: World) -> None:
    for name in ("gold", "tin"):
        await w.client.delete(ATTRIBUTES_CLASSES, name)
    await w.stays(lambda: "gold" in w.of(ATTRIBUTES_CLASSES))
    await w.client.delete(CLAIMS, "orders", "default")
    await w.until(lambda: not len(w.of(ATTRIBUTES_CLASSES)))


# -- garbage


async def owners_and_dependents(w: World) -> None:
    for name in ("stays", "goes"):
        owner = await w.client.create(CONFIG, config(name))
        await w.make(config(f"of-{name}", owned_by(CONFIG, owner)))


async def an_owner_goes(w: World) -> None:
    await w.client.delete(CONFIG, "goes", "default")
    touched = {"metadata": {"labels": {"looked": "at"}}}
    await w.client.patch(CONFIG, "of-stays", "default", touched, patch_type="merge")
    await w.stays(lambda: "default/of-stays" in w.of(CONFIG))
    await w.until(lambda: "default/of-goes" not in w.of(CONFIG))


async def an_owner_is_orphaned(w: World) -> None:
    await w.client.delete(CONFIG, "goes", "default", propagation="Orphan")
    await w.stays(lambda: "default/of-goes" in w.of(CONFIG))
    await w.until(lambda: "default/goes" not in w.of(CONFIG))


async def an_owner_goes_last(w: World) -> None:
    await w.client.delete(CONFIG, "goes", "default", propagation="Foreground")
    await w.until(lambda: "default/goes" not in w.of(CONFIG))
    await w.stays(lambda: "default/of-stays" in w.of(CONFIG))


# -- namespaces


async def a_full_namespace(w: World) -> None:
    await w.make(
        namespace("shop"),
        claim("data", namespace="shop"),
        pod("web", namespace="shop"),
        config("free", namespace="shop"),
        config("held", namespace="shop", finalizers=["example.com/held"]),
        claim("data"),
    )


async def a_namespace_goes(w: World) -> None:
    await w.client.delete(NAMESPACES, "shop")
    await w.stays(lambda: "shop" in w.of(NAMESPACES))
    await w.client.patch(CONFIG, "held", "shop", {"metadata": {"finalizers": None}}, patch_type="merge")
    await w.until(lambda: "shop" not in w.of(NAMESPACES))


# -- pods


async def two_nodes(w: World) -> None:
    for name in ("node-1", "node-2"):
        await create_node(w.client, name)


async def a_pod_with_scratch_space(w: World) -> None:
    await w.make(pod("shop", EPHEMERAL, node="n1"), claim("orders"))


async def its_claim_comes_and_goes(w: World) -> None:
    await w.until(lambda: "default/shop-scratch" in w.of(CLAIMS))
    await w.stays(lambda: "default/shop-scratch" in w.of(CLAIMS))
    await w.client.delete(PODS, "shop", "default", grace_seconds=0)
    await w.until(lambda: "default/shop-scratch" not in w.of(CLAIMS))


async def pods_on_a_node(w: World) -> None:
    await create_node(w.client, "node-1")
    await w.make(pod("stays", node="node-1"), pod("goes", node="node-1"))


async def a_pod_goes(w: World) -> None:
    await w.client.delete(PODS, "goes", "default")
    await w.stays(lambda: "default/stays" in w.of(PODS))
    await w.until(lambda: w.of(PODS).keys() == ["default/stays"])
    await w.until(lambda: w.of(PODS)["default/stays"].phase == "Running")


async def pods_on_two_nodes(w: World) -> None:
    await two_nodes(w)
    await w.make(pod("stays", node="node-2"), pod("goes", node="node-1"))


async def a_node_goes(w: World) -> None:
    await w.until(lambda: len(w.of(PODS)) == 2)
    await w.client.delete(NODES, "node-1")
    await w.until(lambda: w.of(PODS).keys() == ["default/stays"])
    await w.stays(lambda: "default/stays" in w.of(PODS))


async def a_node_is_tainted(w: World) -> None:
    await w.until(lambda: len(w.of(PODS)) == 2)
    taints = {"spec": {"taints": [{"key": "broken", "effect": "NoExecute"}]}}
    await w.client.patch(NODES, "node-1", "", taints, patch_type="merge")
    await w.until(lambda: w.of(PODS).keys() == ["default/stays"])
    await w.stays(lambda: "default/stays" in w.of(PODS))


def stateful_set(replicas: int) -> Json:
    template = {
        "metadata": {"labels": {"app": "db"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "node-1"},
    }
    request = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db"},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": template,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": request}],
            "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete", "whenDeleted": "Retain"},
        },
    }


def reserved(name: str, for_claim: str, **spec: object) -> Json:
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default", "name": for_claim}
    return volume(name, claimRef=reference, **spec)


async def a_stateful_set(w: World) -> None:
    await create_node(w.client, "node-1")
    await w.make(reserved("disk-0", "data-db-0"), reserved("disk-1", "data-db-1"), stateful_set(2))


def runs(w: World, *names: str) -> bool:
    return sorted(one.name for one in w.of(PODS) if one.phase == "Running") == list(names)


async def a_set_shrinks(w: World) -> None:
    await w.until(lambda: runs(w, "db-0", "db-1"))
    await w.stays(lambda: len(w.of(CLAIMS)) == 2)
    await w.client.patch(SETS, "db", "default", {"spec": {"replicas": 1}}, patch_type="merge")
    await w.until(lambda: runs(w, "db-0") and w.of(CLAIMS).keys() == ["default/data-db-0"])
    await w.stays(lambda: runs(w, "db-0") and "default/data-db-0" in w.of(CLAIMS))


# -- storage


async def bound_storage(w: World, policy: str = "Delete") -> None:
    for name, for_claim in (("goes", "loose"), ("stays", "held")):
        (w.root / name).mkdir()
        (w.root / name / "precious").write_text("data")
        path = {"path": f"{w.root}/{name}"}
        await w.make(reserved(name, for_claim, hostPath=path, persistentVolumeReclaimPolicy=policy), claim(for_claim))
        await w.bind(name, for_claim)
        bound = (await w.client.get(CLAIMS, for_claim, "default")).document()
        bound["metadata"].setdefault("annotations", {})["pv.kubernetes.io/bind-completed"] = "yes"
        await w.client.replace(CLAIMS, bound)


async def storage_goes(w: World) -> None:
    await w.stays(lambda: (w.root / "goes" / "precious").exists())
    await w.client.delete(CLAIMS, "loose", "default")
    await w.stays(lambda: (w.root / "stays" / "precious").exists() and w.of(CLAIMS)["default/held"].phase == "Bound")
    await w.until(lambda: not (w.root / "goes").exists() and "goes" not in w.of(VOLUMES))


async def storage_goes_at_once(w: World) -> None:
    await w.client.delete(CLAIMS, "loose", "default")
    await w.stays(lambda: (w.root / "stays" / "precious").exists() and w.of(CLAIMS)["default/held"].phase == "Bound")
    await w.until(lambda: not (w.root / "goes").exists() and "goes" not in w.of(VOLUMES))


async def a_volume_is_lost(w: World) -> None:
    unprotected = {"metadata": {"finalizers": None}}
    await w.client.patch(VOLUMES, "goes", "", unprotected, patch_type="merge")
    await w.client.delete(VOLUMES, "goes")
    await w.stays(lambda: w.of(CLAIMS)["default/held"].phase == "Bound")
    await w.until(lambda: w.of(CLAIMS)["default/loose"].phase == "Lost")


async def a_new_pair(w: World) -> None:
    await w.make(volume("disk"), claim("orders"))


async def binds(w: World) -> None:
    await w.until(lambda: w.of(CLAIMS)["default/orders"].phase == "Bound" and w.of(VOLUMES)["disk"].phase == "Bound")


TALES: Final[Mapping[str, Tale]] = {
    "a claim is let go": Tale(PROTECTION, claims_and_a_pod, claims_go, ("pods", "persistentvolumeclaims")),
    "a volume is let go": Tale(PROTECTION, volumes_bound_and_free, volumes_go, ("persistentvolumes",)),
    "an attributes class is let go": Tale(
        PROTECTION, a_named_class, classes_go, ("persistentvolumeclaims", "volumeattributesclasses")
    ),
    "a dependent is deleted": Tale(
        "garbagecollector", owners_and_dependents, an_owner_goes, ("configmaps", "discovery")
    ),
    "dependents are orphaned": Tale("garbagecollector", owners_and_dependents, an_owner_is_orphaned, ("configmaps",)),
    "an owner goes last": Tale("garbagecollector", owners_and_dependents, an_owner_goes_last, ("configmaps",)),
    "a namespace is emptied": Tale(
        f"namespace,{PROTECTION}",
        a_full_namespace,
        a_namespace_goes,
        ("namespaces", "configmaps", "persistentvolumeclaims", "pods", "discovery"),
    ),
    "a namespace is emptied, with the garbage collector beside": Tale(
        f"namespace,garbagecollector,{PROTECTION}", a_full_namespace, a_namespace_goes, ("configmaps", "discovery")
    ),
    "an ephemeral claim": Tale(
        f"ephemeral-volume,garbagecollector,{PROTECTION}",
        a_pod_with_scratch_space,
        its_claim_comes_and_goes,
        ("pods", "persistentvolumeclaims"),
    ),
    "a node is gone": Tale("podgc", pods_on_two_nodes, a_node_goes, ("nodes", "pods")),
    "a taint evicts": Tale("taint-eviction-controller,kubelet", pods_on_two_nodes, a_node_is_tainted, ("nodes",)),
    "a pod is removed": Tale("kubelet", pods_on_a_node, a_pod_goes, ("pods", "nodes")),
    "a stateful set shrinks": Tale(
        f"statefulset,kubelet,persistentvolume-binder,garbagecollector,{PROTECTION}",
        a_stateful_set,
        a_set_shrinks,
        ("statefulsets", "pods", "persistentvolumeclaims"),
    ),
    "storage is deleted": Tale(
        f"persistentvolume-binder,{PROTECTION}",
        bound_storage,
        storage_goes,
        ("persistentvolumeclaims", "persistentvolumes"),
    ),
    "storage is deleted at once": Tale(
        f"persistentvolume-binder,{PROTECTION}",
        bound_storage,
        storage_goes_at_once,
        ("persistentvolumeclaims", "persistentvolumes"),
    ),
    "a claim is lost": Tale(
        "persistentvolume-binder", bound_storage, a_volume_is_lost, ("persistentvolumeclaims", "persistentvolumes")
    ),
    "a pair is bound": Tale(
        f"persistentvolume-binder,{PROTECTION}", a_new_pair, binds, ("persistentvolumeclaims", "persistentvolumes")
    ),
}
