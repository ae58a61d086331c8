"""Subresources with bodies of their own: scale and binding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.serving import Reply, Serving, serving

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


async def test_a_scale_as_a_table_says_how_many_there_are_and_should_be(tmp_path: Path) -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    metadata = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    async with serving(tmp_path) as server:
        await make_deployment(server)
        path = f"{DEPLOYMENTS}/w/scale"
        shown = (await server.send("GET", path, headers={"accept": table})).body
        assert [column["name"] for column in shown["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
        assert shown["rows"][0]["cells"][:3] == ["w", 1, 0]
        whole = (await server.send("GET", f"{path}?includeObject=Object", headers={"accept": table})).body
        assert whole["rows"][0]["object"]["kind"] == "Scale"
        about = (await server.send("GET", path, headers={"accept": metadata})).body
        assert (about["kind"], about["metadata"]["name"]) == ("PartialObjectMetadata", "w")


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


def scale_of(replicas: int) -> dict[str, Any]:
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "w"}, "spec": {"replicas": replicas}}


async def apply_to(server: Serving, path: str, body: dict[str, Any], manager: str, *, force: bool = False) -> Reply:
    query = f"fieldManager={manager}" + ("&force=true" if force else "")
    return await server.send("PATCH", f"{path}?{query}", body, content_type="application/apply-patch+yaml")


async def owners_of(server: Serving, path: str, field: str = "replicas") -> set[tuple[str, str, str]]:
    metadata = (await server.send("GET", path)).body["metadata"]
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", ""))
        for entry in metadata["managedFields"]
        if f"f:{field}" in entry["fieldsV1"].get("f:spec", {})
    }


async def test_who_applies_a_scale_owns_the_replicas_as_scaled_2_says(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        made = await make_deployment(server)
        conflict = await apply_to(server, f"{DEPLOYMENTS}/w/scale", scale_of(3), "scaler")
        assert conflict.status == 409
        assert conflict.body["details"]["causes"] == [
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "tester" using autoscaling/v1',
                "field": ".spec.replicas",
            }
        ]
        applied = await apply_to(server, f"{DEPLOYMENTS}/w/scale", scale_of(3), "scaler", force=True)
        assert (applied.status, applied.body["kind"], applied.body["spec"]) == (200, "Scale", {"replicas": 3})
        assert "managedFields" not in applied.body["metadata"]
        found = (await server.send("GET", f"{DEPLOYMENTS}/w")).body
        assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (3, made["metadata"]["generation"] + 1)
        assert found["metadata"]["managedFields"][0] == {
            "manager": "scaler",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": "2026-03-01T12:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
            "subresource": "scale",
        }
        assert await owners_of(server, f"{DEPLOYMENTS}/w") == {("scaler", "Apply", "scale")}
        assert ("tester", "Update", "") in await owners_of(server, f"{DEPLOYMENTS}/w", "selector")


async def test_the_same_number_of_replicas_is_shared(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make_deployment(server)
        assert (await apply_to(server, f"{DEPLOYMENTS}/w/scale", scale_of(1), "scaler")).status == 200
        assert await owners_of(server, f"{DEPLOYMENTS}/w") == {("tester", "Update", ""), ("scaler", "Apply", "scale")}
        before = await server.send("GET", f"{DEPLOYMENTS}/w")
        again = await apply_to(server, f"{DEPLOYMENTS}/w/scale", scale_of(1), "scaler")
        assert again.revision == before.revision


async def test_what_a_scale_was_applied_with_is_a_conflict_for_who_applies_the_workload(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        made = await make_deployment(server)
        await apply_to(server, f"{DEPLOYMENTS}/w/scale", scale_of(3), "scaler", force=True)
        spec = {**made["spec"], "replicas": 1}
        workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w"}, "spec": spec}
        refused = await apply_to(server, f"{DEPLOYMENTS}/w", workload, "deployer")
        assert refused.status == 409
        assert refused.message == (
            'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale": .spec.replicas'
        )


async def test_a_scale_is_owned_by_who_updates_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make_deployment(server)
        await apply_to(server, f"{DEPLOYMENTS}/w/scale", scale_of(3), "scaler", force=True)
        for content_type, body in (
            ("application/merge-patch+json", {"spec": {"replicas": 4}}),
            ("application/json-patch+json", [{"op": "replace", "path": "/spec/replicas", "value": 5}]),
            ("application/strategic-merge-patch+json", {"spec": {"replicas": 6}}),
        ):
            patched = await server.send("PATCH", f"{DEPLOYMENTS}/w/scale", body, content_type=content_type)
            assert patched.status == 200, patched.body
            assert await owners_of(server, f"{DEPLOYMENTS}/w") == {("tester", "Update", "scale")}


async def test_an_applied_scale_has_to_be_one(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make_deployment(server)
        wrong = await apply_to(server, f"{DEPLOYMENTS}/w/scale", {**scale_of(3), "apiVersion": "apps/v1"}, "scaler")
        assert (wrong.status, wrong.message) == (
            400,
            "invalid object type: apps/v1, Kind=Scale",
        )
        negative = await apply_to(server, f"{DEPLOYMENTS}/w/scale", scale_of(-1), "scaler", force=True)
        assert negative.status == 422
        missing = await apply_to(server, f"{DEPLOYMENTS}/none/scale", scale_of(3), "scaler")
        assert missing.status == 404
        unowned = await apply_to(server, f"{PODS}/p/binding", scale_of(3), "scaler")
        assert unowned.status == 405
