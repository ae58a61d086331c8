"""Deleted namespaces are emptied, then go (DE-7, NAMESPACE-1 to NAMESPACE-5), on a real API server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from tests.controllers.cluster import Cluster, claim, cluster, fails, namespace, pod, using

from pvbinder.controllers.kubelet import create_node
from pvbinder.controllers.namespaces import Left, Namespaces, Round, namespace_conditions
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import CLAIMS, NAMESPACES, PODS, metadata_of
from pvbinder.kube.transport import Request
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS, LEASES, PERSISTENT_VOLUME_CLAIMS, SECRETS

ALONE = ControllerOptions(controllers="namespace")
WITH_PODS = ControllerOptions(controllers="namespace,kubelet,pvc-protection")
CONFIG = metadata_of(CONFIG_MAPS)


def controller(c: Cluster) -> Namespaces:
    found = c.manager.controllers["namespace-controller"]
    assert isinstance(found, Namespaces)
    return found


def config_map(name: str, *finalizers: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop", "finalizers": list(finalizers)},
    }


def refuses_once(method: str, ending: str) -> Callable[[Request], None]:
    """Refuse the first request like this."""
    left = [1]

    def refuse(request: Request) -> None:
        if left and request.method == method and request.path.endswith(ending):
            left.clear()
            raise ApiFailure(500, "InternalError", "no disk")

    return refuse


def conditions(c: Cluster) -> dict[str, tuple[str, str]]:
    status = c.of(NAMESPACES)["shop"].document().get("status") or {}
    return {one["type"]: (one["status"], one["message"]) for one in status.get("conditions") or []}


async def release(c: Cluster, name: str) -> None:
    await c.client.patch(CONFIG, name, "shop", {"metadata": {"finalizers": None}}, patch_type="merge")


async def test_namespace_1_everything_in_it_goes() -> None:
    async with cluster(ALONE) as c:
        await c.create(namespace("shop"), claim("data", namespace="shop"), pod("web", namespace="shop"))
        for kind, resource in ((CONFIG, CONFIG_MAPS), (metadata_of(SECRETS), SECRETS), (metadata_of(LEASES), LEASES)):
            await c.client.create(kind, {"metadata": {"name": "x", "namespace": "shop"}})
            assert resource.namespaced
        await c.create(claim("data"))  # in another namespace
        unprotected = {"metadata": {"finalizers": None}}
        await c.client.patch(CLAIMS, "data", "shop", unprotected, patch_type="merge")

        await c.client.delete(NAMESPACES, "shop")

        await c.until(lambda: "shop" not in c.of(NAMESPACES))
        assert "default/data" in c.of(CLAIMS)
        assert "shop/data" not in c.of(CLAIMS)
        assert not await c.client.list_all(CONFIG, "shop")


async def test_namespace_1_pods_go_first() -> None:
    async with cluster(WITH_PODS) as c:
        await create_node(c.client, "node-1")
        await c.create(namespace("shop"), claim("data", namespace="shop"))
        await c.create(pod("web", using("data"), node="node-1", namespace="shop"))
        await c.until(lambda: "shop/web" in c.of(PODS))

        await c.client.delete(NAMESPACES, "shop")

        await c.until(lambda: "shop" not in c.of(NAMESPACES))
        deletions = [r.path for r in c.line.seen if r.method == "DELETE"]
        assert deletions.index("/api/v1/namespaces/shop/pods") < deletions.index(
            "/api/v1/namespaces/shop/persistentvolumeclaims"
        )


async def test_namespace_2_it_goes_after_a_round_that_found_nothing() -> None:
    async with cluster(ALONE) as c:
        await c.create(namespace("shop"))
        await c.client.delete(NAMESPACES, "shop")
        await c.until(lambda: "shop" not in c.of(NAMESPACES))

        assert c.line.asked("PUT", "/namespaces/shop/finalize") == 1
        assert c.line.asked("DELETE") == 0
        assert controller(c).statistics().finalized == 1


async def test_namespace_3_what_somebody_holds_is_waited_for_without_asking() -> None:
    async with cluster(ALONE) as c:
        await c.create(namespace("shop"))
        await c.client.create(CONFIG, config_map("held", "example.com/keep"))
        await c.client.create(CONFIG, config_map("free"))
        await c.client.delete(NAMESPACES, "shop")
        await c.until(lambda: controller(c).statistics().terminating == 1)
        await c.settle()
        for _ in range(20):  # the watches of what is left are opened
            await c.client.list_all(CONFIG, "shop")
        before = len(c.line.seen)
        await c.client.create(CONFIG, {"metadata": {"name": "elsewhere", "namespace": "default"}})
        await c.settle()
        assert len(c.line.seen) == before
        assert "shop" in c.of(NAMESPACES)

        await release(c, "held")

        await c.until(lambda: "shop" not in c.of(NAMESPACES))
        assert controller(c).statistics().terminating == 0


async def test_namespace_4_its_conditions_say_what_is_left() -> None:
    async with cluster(ALONE) as c:
        await c.create(namespace("shop"))
        await c.client.create(CONFIG, config_map("held", "example.com/keep"))
        await c.client.delete(NAMESPACES, "shop")

        await c.until(lambda: bool(conditions(c)))

        assert conditions(c) == {
            "NamespaceDeletionDiscoveryFailure": ("False", "All resources successfully discovered"),
            "NamespaceDeletionGroupVersionParsingFailure": ("False", "All legacy kube types successfully parsed"),
            "NamespaceDeletionContentFailure": (
                "False",
                "All content successfully deleted, may be waiting on finalization",
            ),
            "NamespaceContentRemaining": (
                "True",
                "Some resources are remaining: configmaps. has 1 resource instances",
            ),
            "NamespaceFinalizersRemaining": (
                "True",
                "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances",
            ),
        }
        assert c.line.asked("PUT", "/namespaces/shop/status") == 1
        await release(c, "held")
        await c.until(lambda: "shop" not in c.of(NAMESPACES))


async def test_namespace_5_what_fails_stops_the_namespace_only() -> None:
    async with cluster(ALONE) as c:
        await c.create(namespace("shop"))
        await c.client.create(CONFIG, config_map("x"))
        await c.client.create(metadata_of(SECRETS), {"metadata": {"name": "x", "namespace": "shop"}})
        c.line.before = refuses_once("DELETE", "/configmaps")
        await c.client.delete(NAMESPACES, "shop")

        await c.until(lambda: conditions(c).get("NamespaceDeletionContentFailure", ("", ""))[0] == "True")
        await c.until(lambda: "shop" not in c.of(NAMESPACES))
        assert not await c.client.list_all(metadata_of(SECRETS), "shop")


async def test_a_broken_line_is_no_end() -> None:
    async with cluster(ALONE) as c:
        await c.create(namespace("shop"))
        await c.client.create(CONFIG, config_map("x"))
        c.line.before = fails(2, "PUT", "/finalize")
        c.line.after = fails(2, "DELETE", "/configmaps")
        await c.client.delete(NAMESPACES, "shop")

        await c.until(lambda: "shop" not in c.of(NAMESPACES))


async def test_a_namespace_that_was_going_before_the_start_is_found() -> None:
    async with cluster(ALONE) as c:
        await c.stop()
        await c.create(namespace("shop"))
        await c.client.create(CONFIG, config_map("x"))
        await c.client.delete(NAMESPACES, "shop")
        await c.start()

        await c.until(lambda: "shop" not in c.of(NAMESPACES))


async def test_create_is_refused_meanwhile() -> None:
    async with cluster(ALONE) as c:
        await c.create(namespace("shop"))
        await c.client.create(CONFIG, config_map("held", "example.com/keep"))
        await c.client.delete(NAMESPACES, "shop")
        with pytest.raises(ApiFailure) as refused:
            await c.client.create(CONFIG, config_map("late"))
        assert refused.value.is_namespace_terminating
        await release(c, "held")
        await c.until(lambda: "shop" not in c.of(NAMESPACES))


def test_a_condition_s_time_changes_with_its_status_only() -> None:
    first, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    held = Round([Left(PERSISTENT_VOLUME_CLAIMS, 2, {"kubernetes.io/pvc-protection": 2})])

    before = namespace_conditions([], held, first)
    assert namespace_conditions(before, held, later) == before

    failed = Round(failures=["pods: no"], undiscovered=("example.com/v1",))
    after = {one["type"]: one for one in namespace_conditions(before, failed, later)}
    assert after["NamespaceContentRemaining"]["lastTransitionTime"] == "2026-01-02T00:00:00Z"
    assert after["NamespaceDeletionGroupVersionParsingFailure"]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert after["NamespaceDeletionContentFailure"]["message"] == (
        "Failed to delete all resource types, 1 remaining: pods: no"
    )
    assert after["NamespaceDeletionDiscoveryFailure"]["message"] == (
        "Discovery failed for some groups, 1 failing: example.com/v1"
    )
