"""The claims of generic ephemeral volumes (EV-1 to EV-6), on a real API server."""

from __future__ import annotations

from tests.controllers.cluster import Cluster, claim, cluster, fails, pod
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.ephemeral_volumes import EphemeralVolumeController
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import CLAIMS, EVENTS, PODS
from pvbinder.model.json import Json

ONLY = ControllerOptions(controllers="ephemeral-volume")


def ephemeral(name: str) -> Json:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"labels": {"app": "shop"}, "annotations": {"note": "scratch"}}
    return {"name": name, "ephemeral": {"volumeClaimTemplate": {"metadata": metadata, "spec": spec}}}


def messages(c: Cluster) -> list[str]:
    return [str(event.document()["message"]) for event in c.of(EVENTS)]


def controller(c: Cluster) -> EphemeralVolumeController:
    found = c.manager.controllers["ephemeral-volume-controller"]
    assert isinstance(found, EphemeralVolumeController)
    return found


@on_virtual_time
async def test_a_pod_gets_a_claim_for_each_of_its_ephemeral_volumes() -> None:  # EV-4
    async with cluster(ONLY) as c:
        await c.create(pod("shop", ephemeral("scratch"), ephemeral("cache")))
        await c.until(lambda: len(c.of(CLAIMS)) == 2)

        made = c.of(CLAIMS)["default/shop-scratch"]
        owner = c.of(PODS)["default/shop"]
        assert (made.labels, made.annotations["note"]) == ({"app": "shop"}, "scratch")
        assert made.document()["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": "shop",
                "uid": owner.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        assert controller(c).statistics().creates == 2


@on_virtual_time
async def test_a_claim_that_is_deleted_is_made_anew() -> None:  # EV-1
    async with cluster(ControllerOptions(controllers="ephemeral-volume,pvc-protection")) as c:
        await c.create(pod("shop", ephemeral("scratch")))
        await c.until(lambda: "default/shop-scratch" in c.of(CLAIMS))
        first = c.of(CLAIMS)["default/shop-scratch"].uid
        await c.client.delete(CLAIMS, "shop-scratch", "default")

        await c.until(
            lambda: "default/shop-scratch" in c.of(CLAIMS) and c.of(CLAIMS)["default/shop-scratch"].uid != first
        )


@on_virtual_time
async def test_a_claim_of_somebody_else_is_left_alone() -> None:  # EV-3, EV-5
    async with cluster(ONLY) as c:
        await c.create(claim("shop-scratch"), pod("shop", ephemeral("scratch")))

        await c.until(lambda: bool(messages(c)))

        assert messages(c)[0] == (
            "ephemeral volume scratch: PVC default/shop-scratch was not created for pod default/shop (pod is not owner)"
        )
        [event] = [event.document() for event in c.of(EVENTS)]
        assert (event["type"], event["reason"], event["source"]["component"]) == (
            "Warning",
            "FailedBinding",
            "ephemeral_volume",
        )


@on_virtual_time
async def test_a_failed_create_is_told_and_repeated() -> None:  # EV-5, EV-6
    async with cluster(ONLY) as c:
        c.line.before = fails(2, "POST", "/persistentvolumeclaims")
        await c.create(pod("shop", ephemeral("scratch")))
        await c.until(lambda: "default/shop-scratch" in c.of(CLAIMS) and bool(messages(c)))
        await c.settle()

        assert messages(c)[0] == "ephemeral volume scratch: create PVC shop-scratch: broken by the test"
        assert controller(c).statistics().create_failures == 2
        assert controller(c).statistics().creates == 3


@on_virtual_time
async def test_a_pod_that_is_going_gets_nothing() -> None:  # EV-2
    async with cluster(ONLY) as c:
        going = pod("shop", ephemeral("scratch"), node="n1")
        going["metadata"]["finalizers"] = ["example.com/mine"]
        c.line.before = fails(3, "POST", "/persistentvolumeclaims")
        await c.create(going)
        await c.client.delete(PODS, "shop", "default", grace_seconds=0)
        await c.until(lambda: c.of(PODS)["default/shop"].is_deleting)
        await c.settle()

        assert len(c.of(CLAIMS)) == 0
