"""Subresources with bodies of their own: scale, binding, eviction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.serving import Serving, serving

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
PODS = "/api/v1/namespaces/shop/pods"
LABELS = {"app": "a"}
CONTAINERS = {"containers": [{"name": "c", "image": "i"}]}


async def make_deployment(server: Serving) -> Any:
    template = {"metadata": {"labels": LABELS}, "spec": CONTAINERS}
    spec = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}
    made = await server.send("POST", DEPLOYMENTS, {"metadata": {"name": "w"}, "spec": spec})
    assert made.status == 201, made.body
    return made.body


async def test_a_scale_is_read_replaced_and_patched(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make_deployment(server)
        scale = (await server.send("GET", f"{DEPLOYMENTS}/w/scale")).body
        assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 1}, "app=a")
        replaced = await server.send("PUT", f"{DEPLOYMENTS}/w/scale", {**scale, "spec": {"replicas": 3}})
        assert (replaced.status, replaced.body["spec"]) == (200, {"replicas": 3})
        patched = await server.send("PATCH", f"{DEPLOYMENTS}/w/scale", {"spec": {"replicas": 5}})
        assert (patched.status, patched.body["spec"]) == (200, {"replicas": 5})
        workload = (await server.send("GET", f"{DEPLOYMENTS}/w")).body
        assert (workload["spec"]["replicas"], workload["metadata"]["generation"]) == (5, 3)


async def test_a_stale_scale_is_a_conflict(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make_deployment(server)
        scale = (await server.send("GET", f"{DEPLOYMENTS}/w/scale")).body
        await server.send("PATCH", f"{DEPLOYMENTS}/w", {"metadata": {"labels": {"x": "y"}}})
        assert (await server.send("PUT", f"{DEPLOYMENTS}/w/scale", {**scale, "spec": {"replicas": 3}})).status == 409
        refused = await server.send("PATCH", f"{DEPLOYMENTS}/w/scale", {"spec": {"replicas": -1}})
        assert refused.status == 422
        assert "must be greater than or equal to 0" in refused.message


async def test_a_pod_is_bound_by_posting_a_binding(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", PODS, {"metadata": {"name": "p"}, "spec": CONTAINERS})
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "n1"}}
        bound = await server.send("POST", f"{PODS}/p/binding", binding)
        assert (bound.status, bound.body["status"]) == (201, "Success")
        pod = (await server.send("GET", f"{PODS}/p")).body
        assert pod["spec"]["nodeName"] == "n1"
        assert pod["status"]["conditions"][0]["type"] == "PodScheduled"
        again = await server.send("POST", f"{PODS}/p/binding", binding)
        assert again.status == 409
        assert again.message.endswith('pod p is already assigned to node "n1"')


async def test_a_pod_goes_when_it_is_evicted(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", PODS, {"metadata": {"name": "p"}, "spec": CONTAINERS})
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
        evicted = await server.send("POST", f"{PODS}/p/eviction", eviction)
        assert (evicted.status, evicted.body["status"]) == (201, "Success")
        assert (await server.send("GET", f"{PODS}/p")).status == 404
        assert (await server.send("POST", f"{PODS}/p/eviction", eviction)).status == 404


async def test_what_would_talk_to_containers_says_that_there_are_none(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", PODS, {"metadata": {"name": "p"}, "spec": CONTAINERS})
        for method, name in (("GET", "log"), ("POST", "exec"), ("GET", "portforward")):
            refused = await server.send(method, f"{PODS}/p/{name}", {} if method == "POST" else None)
            assert (refused.status, refused.body["reason"]) == (503, "ServiceUnavailable"), name
