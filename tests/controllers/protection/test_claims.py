"""A claim stays while a pod uses it (CLAIMS-1 to CLAIMS-4; PC-7 to PC-17), on a real API server."""

from __future__ import annotations

import logging

import pytest
from tests.controllers.cluster import claim, cluster, fails, namespace, pod, using
from tests.virtual_time import on_virtual_time

from pvbinder import logs
from pvbinder.controllers.features import parse_feature_gates
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import CLAIMS, PODS
from pvbinder.kube.transport import Request
from pvbinder.model.names import PVC_PROTECTION_FINALIZER

ONLY = ControllerOptions(controllers="pvc-protection")


@on_virtual_time
async def test_an_unused_claim_goes_at_once() -> None:
    async with cluster(ONLY) as c:
        await c.create(claim("orders"))
        await c.client.delete(CLAIMS, "orders", "default")

        await c.until(lambda: "default/orders" not in c.of(CLAIMS))


@on_virtual_time
async def test_a_used_claim_goes_with_its_last_pod() -> None:
    async with cluster(ONLY) as c:
        await c.create(claim("orders"), pod("shop", using("orders"), node="n1"))
        await c.client.delete(CLAIMS, "orders", "default")
        await c.until(lambda: c.of(CLAIMS)["default/orders"].is_deleting)
        await c.settle()
        assert PVC_PROTECTION_FINALIZER in c.of(CLAIMS)["default/orders"].finalizers

        await c.client.delete(PODS, "shop", "default", grace_seconds=0)

        await c.until(lambda: "default/orders" not in c.of(CLAIMS))


@on_virtual_time
async def test_a_pod_without_a_node_holds_nothing() -> None:  # PC-17
    async with cluster(ONLY) as c:
        await c.create(claim("orders"), pod("shop", using("orders")))
        await c.client.delete(CLAIMS, "orders", "default")

        await c.until(lambda: "default/orders" not in c.of(CLAIMS))


@on_virtual_time
async def test_a_missing_finalizer_is_put_back() -> None:  # PC-12
    async with cluster(ONLY) as c:
        await c.create(claim("orders"))
        await c.until(lambda: "default/orders" in c.of(CLAIMS))
        stripped = c.of(CLAIMS)["default/orders"].document()
        stripped["metadata"]["finalizers"] = ["example.com/mine"]
        changed = await c.client.replace(CLAIMS, stripped)

        await c.until(lambda: int(c.of(CLAIMS)["default/orders"].resource_version) > int(changed.resource_version))

        assert c.of(CLAIMS)["default/orders"].finalizers == ("example.com/mine", PVC_PROTECTION_FINALIZER)


@on_virtual_time
async def test_claims_1_the_cache_is_not_believed_when_it_knows_no_user() -> None:
    async with cluster(ONLY) as c:
        await c.create(claim("orders"))
        await c.client.delete(CLAIMS, "orders", "default")
        await c.until(lambda: "default/orders" not in c.of(CLAIMS))

        assert c.line.asked("GET", "/namespaces/default/pods") == 1


@on_virtual_time
async def test_claims_2_hundreds_of_claims_share_a_list() -> None:  # PC-7, PC-8
    async with cluster(ONLY) as c:
        for number in range(300):
            await c.create(claim(f"c{number:03}"))
        await c.until(lambda: len(c.of(CLAIMS)) == 300)

        answer = await c.client.request(
            "deletecollection", CLAIMS.resource, Request("DELETE", CLAIMS.resource.path("default"))
        )

        assert answer.status == 200
        await c.until(lambda: len(c.of(CLAIMS)) == 0)
        assert c.line.asked("GET", "/namespaces/default/pods") <= 30
        assert c.line.asked("PUT") == 300


@on_virtual_time
async def test_claims_3_a_namespace_holds_no_other_up() -> None:
    async with cluster(ONLY) as c:
        await c.create(*(namespace(f"ns{number}") for number in range(4)))
        for number in range(4):
            await c.create(claim("orders", namespace=f"ns{number}"))
            await c.client.delete(CLAIMS, "orders", f"ns{number}")

        await c.until(lambda: len(c.of(CLAIMS)) == 0)
        assert c.line.asked("GET", "/pods") == 1 + 4  # the cache's list, and one a namespace


@pytest.mark.parametrize(("method", "ending"), [("GET", "/default/pods"), ("PUT", "/orders")])
@on_virtual_time
async def test_claims_4_a_failed_claim_comes_back(method: str, ending: str, caplog: pytest.LogCaptureFixture) -> None:
    async with cluster(ONLY) as c:
        await c.create(claim("orders"), claim("other"))
        await c.until(lambda: len(c.of(CLAIMS)) == 2)
        c.line.before = fails(6, method, ending)
        await c.client.delete(CLAIMS, "orders", "default")
        await c.client.delete(CLAIMS, "other", "default")

        await c.until(lambda: len(c.of(CLAIMS)) == 0)
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert errors
    what = "live list of pods failed: broken by the test" if method == "GET" else "broken by the test"
    assert {r.getMessage() for r in errors} <= {
        f"PVC {name}/default failed with: {what}" for name in ("orders", "other")
    }
    assert logs.fields_of(errors[0])["pvc"] in ("default/orders", "default/other")


@on_virtual_time
async def test_an_answer_that_got_lost_does_no_harm() -> None:  # PC-9
    async with cluster(ONLY) as c:
        await c.create(claim("orders"))
        await c.until(lambda: "default/orders" in c.of(CLAIMS))
        c.line.after = fails(1, "PUT", "/orders")
        await c.client.delete(CLAIMS, "orders", "default")

        await c.until(lambda: "default/orders" not in c.of(CLAIMS))
        await c.settle()


@on_virtual_time
async def test_idle_is_silent() -> None:
    async with cluster(ONLY) as c:
        await c.create(claim("orders"), pod("shop", using("orders"), node="n1"))
        await c.until(lambda: "default/orders" in c.of(CLAIMS) and "default/shop" in c.of(PODS))
        await c.settle()

        assert [r.method for r in c.line.seen] == ["GET", "GET"]  # the lists of the two caches


@on_virtual_time
async def test_the_unused_condition_follows_the_pods() -> None:  # PC-18 to PC-21
    options = ControllerOptions(
        controllers="pvc-protection",
        feature_gates=parse_feature_gates("PersistentVolumeClaimUnusedSinceTime=true"),
    )
    async with cluster(options) as c:

        def unused() -> str:
            known = c.of(CLAIMS).get("default/orders")
            return next((x.status for x in known.conditions if x.type == "Unused"), "") if known else ""

        await c.create(claim("orders"))
        await c.until(lambda: unused() == "True")
        await c.create(pod("shop", using("orders")))
        await c.until(lambda: unused() == "False")
        await c.client.delete(PODS, "shop", "default", grace_seconds=0)
        await c.until(lambda: unused() == "True")
