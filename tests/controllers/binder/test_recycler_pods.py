"""Recycling with a pod, on a real API server; the test is the kubelet."""

from __future__ import annotations

import pytest
from tests.controllers.binder.test_controller import binder_of, events_about, until_claim, until_volume
from tests.controllers.cluster import Cluster, claim, cluster, pod, using, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, EVENTS, PODS
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Pod

ONLY = ControllerOptions(controllers="persistentvolume-binder", pvclaimbinder_sync_period=3600)
RECYCLER = "default/recycler-for-disk"


async def release(c: Cluster) -> None:
    """Bind a volume that is to be recycled, and delete its claim."""
    await c.create(volume("disk", persistentVolumeReclaimPolicy="Recycle"), claim("orders"))
    await until_claim(c, "orders", "Bound")
    await delete_claim(c)


async def delete_claim(c: Cluster, name: str = "orders") -> None:
    await c.client.delete(CLAIMS, name, "default")
    document = (await c.client.get(CLAIMS, name, "default")).document()
    document["metadata"]["finalizers"] = []
    await c.client.replace(CLAIMS, document)


async def recycler(c: Cluster) -> Pod:
    await c.until(lambda: RECYCLER in c.of(PODS))
    return c.of(PODS)[RECYCLER]


async def end(c: Cluster, phase: str, **status: str) -> None:
    """End the recycler pod as a kubelet would, and forget it."""
    document = (await recycler(c)).document()
    document["status"] = {"phase": phase, **status}
    await c.client.replace(PODS, document, subresource="status")
    await c.until(lambda: RECYCLER not in c.of(PODS) or c.of(PODS)[RECYCLER].is_deleting)


async def test_recycler_pods_1_a_pod_that_succeeds_makes_the_volume_available_again() -> None:  # RY-5, RY-7, RY-12
    async with cluster(ONLY) as c:
        await release(c)
        spec = (await recycler(c)).document()["spec"]
        assert spec["volumes"][0]["hostPath"]["path"] == "/tmp/disk"
        assert spec["activeDeadlineSeconds"] == 60
        await end(c, "Succeeded")

        free = await until_volume(c, "disk", "Available")
        assert free.claim_ref is None
        assert await events_about(c, "VolumeRecycled") == ["Normal Volume recycled"]


async def test_a_pod_that_fails_fails_the_volume_and_says_why() -> None:  # RY-4, RY-9, E-13
    async with cluster(ONLY) as c:
        await release(c)
        await end(c, "Failed", message="no space left")

        failed = await until_volume(c, "disk", "Failed")
        assert failed.message == "Recycle failed: failed to recycle volume: no space left"
        assert await events_about(c, "VolumeFailedRecycle") == [f"Warning {failed.message}"]


async def test_recycler_pods_2_a_pod_from_before_a_crash_is_deleted_and_the_next_attempt_succeeds() -> None:  # RY-8
    async with cluster(ONLY) as c:
        old = pod("recycler-for-disk")
        await c.create(old)
        await release(c)
        failed = await until_volume(c, "disk", "Failed")
        assert failed.message == "Recycle failed: old recycler pod found, will retry later"
        await c.until(lambda: RECYCLER not in c.of(PODS))
        await c.settle()
        await binder_of(c).binder.resync()  # RY-6
        await end(c, "Succeeded")

        await until_volume(c, "disk", "Available")


async def test_recycler_pods_3_a_pod_whose_answer_was_lost_is_deleted() -> None:
    def lose_answer(request: Request) -> None:
        if request.method == "POST" and request.path.endswith("/pods"):
            raise ConnectionFailed("the answer was lost")

    async with cluster(ONLY) as c:
        c.line.after = lose_answer
        await release(c)
        failed = await until_volume(c, "disk", "Failed")
        assert failed.message == "Recycle failed: unexpected error creating recycler pod:  the answer was lost"
        await c.until(lambda: RECYCLER not in c.of(PODS))
        assert c.line.asked("DELETE", "/recycler-for-disk") == 1


async def test_what_is_told_about_the_pod_is_told_about_the_volume() -> None:  # RY-10, E-16
    async with cluster(ONLY) as c:
        await release(c)
        found = await recycler(c)
        event: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "pulling", "namespace": "default"},
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": found.name, "uid": found.uid},
            "reason": "Pulling",
            "type": "Warning",
            "message": "slow registry",
        }
        await c.client.create(EVENTS, event)
        await c.until(lambda: any("disk" in key for key in c.of(EVENTS).keys()))  # noqa: SIM118
        await end(c, "Succeeded")
        await until_volume(c, "disk", "Available")

        assert await events_about(c, "RecyclerPod") == ["Warning Recycler pod: slow registry"]


async def test_pods_that_still_use_the_claim_put_recycling_off_until_they_are_gone() -> None:  # RY-2, E-14
    async with cluster(ONLY) as c:
        await c.create(volume("disk", persistentVolumeReclaimPolicy="Recycle"), claim("orders"))
        await until_claim(c, "orders", "Bound")
        await c.create(pod("web", using("orders")))
        await c.settle()
        await delete_claim(c)
        await until_volume(c, "disk", "Released")
        await c.settle()
        assert await events_about(c, "VolumeFailedRecycle") == ["Normal Volume is used by pods: default/web"]
        assert RECYCLER not in c.of(PODS)

        await c.client.delete(PODS, "web", "default", grace_seconds=0)
        await end(c, "Succeeded")
        await until_volume(c, "disk", "Available")


async def test_a_pod_that_cant_be_deleted_is_an_error_only_if_all_else_went_well() -> None:  # RY-11
    def keep_pods(request: Request) -> None:
        if request.method == "DELETE":
            raise ConnectionFailed("nobody there", request_sent=False)

    async with cluster(ONLY) as c:
        await release(c)
        found = await recycler(c)
        c.line.before = keep_pods
        document = found.document()
        document["status"] = {"phase": "Succeeded"}
        await c.client.replace(PODS, document, subresource="status")

        failed = await until_volume(c, "disk", "Failed")
        assert failed.message == "Recycle failed: failed to delete recycler pod: nobody there"


FALSE_LISTS_OF_PODS: dict[str, Json] = {
    "empty": {"kind": "PodList", "metadata": {"resourceVersion": "99999"}},
    "of another kind": {"kind": "SecretList", "metadata": {"resourceVersion": "99999"}},
    "of nothing": {"kind": "List", "metadata": {"resourceVersion": ""}},
    "old": {"kind": "PodList", "metadata": {"resourceVersion": "1"}},
}


@pytest.mark.parametrize("listed", FALSE_LISTS_OF_PODS.values(), ids=FALSE_LISTS_OF_PODS.keys())
@on_virtual_time
async def test_reclaimer_1_a_false_list_of_pods_scrubs_nothing(listed: Json) -> None:  # RY-2
    async with cluster(ONLY) as c:
        await c.create(volume("disk", persistentVolumeReclaimPolicy="Recycle"), claim("orders"))
        await until_claim(c, "orders", "Bound")
        await c.create(pod("web", using("orders")), pod("other"))
        await c.settle()
        binder_of(c).binder.caches.pods._cache.remove("default/web")  # as if the first list had been without it
        answer = Answer(200, encode({"apiVersion": "v1", "items": [], **listed}))

        def instead(request: Request) -> Answer | None:
            if request.method != "GET" or not request.path.endswith("/namespaces/default/pods"):
                return None
            c.news.set()
            return answer

        c.line.before = instead
        await delete_claim(c)
        await c.until(lambda: c.line.asked("GET", "/namespaces/default/pods") > 0)
        await binder_of(c).operations.wait_idle()

        assert RECYCLER not in c.of(PODS)
        assert c.line.asked("POST", "/pods") == 0
