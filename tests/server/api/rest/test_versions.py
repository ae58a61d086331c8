"""Kinds that are served in two versions over one storage: a write through one version shows in the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.serving import Serving, serving

V1 = "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers"
V2 = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
METRICS = "autoscaling.alpha.kubernetes.io/metrics"


def autoscaler(version: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "w"},
        "spec": {"scaleTargetRef": TARGET, "maxReplicas": 3, **spec},
    }


def metric(resource: str, percentage: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percentage}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


async def apply(server: Serving, path: str, body: dict[str, Any], manager: str, *, force: bool = False) -> Any:
    query = f"fieldManager={manager}{'&force=true' if force else ''}"
    return await server.send("PATCH", f"{path}/w?{query}", body, content_type="application/apply-patch+yaml")


async def test_what_is_created_in_v1_is_there_in_v2_and_the_other_way_round(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        made = await server.send("POST", V1, autoscaler("v1", targetCPUUtilizationPercentage=50))
        assert made.status == 201, made.body
        assert (made.body["apiVersion"], made.body["spec"]["targetCPUUtilizationPercentage"]) == ("autoscaling/v1", 50)
        newer = (await server.send("GET", f"{V2}/w")).body
        assert newer["apiVersion"] == "autoscaling/v2"
        assert newer["metadata"]["uid"] == made.body["metadata"]["uid"]
        assert newer["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
        newer["spec"]["metrics"] = [metric("memory", 60)]
        assert (await server.send("PUT", f"{V2}/w", newer)).status == 200
        older = (await server.send("GET", f"{V1}/w")).body
        assert "targetCPUUtilizationPercentage" not in older["spec"]
        assert older["metadata"]["annotations"] == {
            METRICS: '[{"type":"Resource","resource":{"name":"memory","targetAverageUtilization":60}}]'
        }
        again = await server.send("PUT", f"{V1}/w", older)
        assert again.revision == older["metadata"]["resourceVersion"], "what was read is written back: nothing changes"
        assert [item["spec"] for item in (await server.send("GET", V1)).body["items"]] == [older["spec"]]


async def test_a_watch_of_either_version_shows_every_change_in_its_form(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        older, newer = await server.events(f"{V1}?watch=true"), await server.events(f"{V2}?watch=true")
        await server.send("POST", V1, autoscaler("v1", targetCPUUtilizationPercentage=50))
        await server.send("PATCH", f"{V2}/w", {"spec": {"maxReplicas": 5}})
        await server.send("DELETE", f"{V1}/w")
        for watch, version in ((older, "v1"), (newer, "v2")):
            events = [await watch.next() for _ in range(3)]
            assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "DELETED"]
            assert {obj["apiVersion"] for _, obj in events} == {f"autoscaling/{version}"}
            assert events[1][1]["spec"]["maxReplicas"] == 5
            await watch.close()


async def test_the_rows_of_a_table_are_those_of_v2(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", V2, autoscaler("v2", metrics=[metric("memory", 60)]))
        older, newer = [(await server.send("GET", path, headers=TABLE)).body for path in (V1, V2)]
        assert older["rows"][0]["cells"][:6] == newer["rows"][0]["cells"][:6]
        assert older["rows"][0]["cells"][2] == "memory: <unknown>/60%"
        whole = (await server.send("GET", f"{V1}?includeObject=Object", headers=TABLE)).body
        assert whole["rows"][0]["object"]["apiVersion"] == "autoscaling/v1"


async def test_who_writes_through_a_version_owns_fields_by_its_paths(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", V1, autoscaler("v1", targetCPUUtilizationPercentage=50))
        (entry,) = (await server.send("GET", f"{V2}/w")).body["metadata"]["managedFields"]
        assert entry["apiVersion"] == "autoscaling/v1"
        assert set(entry["fieldsV1"]["f:spec"]) == {
            "f:maxReplicas",
            "f:minReplicas",
            "f:scaleTargetRef",
            "f:targetCPUUtilizationPercentage",
        }


async def test_managed_6_an_apply_conflicts_with_who_owns_the_field_in_another_version(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        applied = await apply(server, V1, autoscaler("v1", targetCPUUtilizationPercentage=50), "older")
        assert applied.status == 201, applied.body
        body = autoscaler("v2", metrics=[metric("cpu", 70)])
        refused = await apply(server, V2, body, "newer")
        assert refused.status == 409
        assert [cause["field"] for cause in refused.body["details"]["causes"]] == [
            ".spec.targetCPUUtilizationPercentage"
        ]
        assert (await apply(server, V2, body, "newer", force=True)).status == 200
        entries = (await server.send("GET", f"{V1}/w")).body["metadata"]["managedFields"]
        older = next(entry for entry in entries if entry["manager"] == "older")
        assert set(older["fieldsV1"]["f:spec"]) == {"f:maxReplicas", "f:scaleTargetRef"}


async def test_managed_6_what_goes_by_another_version_is_nobodys(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", V1, autoscaler("v1", targetCPUUtilizationPercentage=50))
        await server.send(
            "PATCH", f"{V2}/w", {"spec": {"metrics": [metric("memory", 60)]}}, headers={"user-agent": "o"}
        )
        first, second = (await server.send("GET", f"{V2}/w")).body["metadata"]["managedFields"]
        owned = {entry["manager"]: (entry["apiVersion"], set(entry["fieldsV1"]["f:spec"])) for entry in (first, second)}
        assert owned == {
            "tester": ("autoscaling/v1", {"f:maxReplicas", "f:minReplicas", "f:scaleTargetRef"}),
            "o": ("autoscaling/v2", {"f:metrics"}),
        }


async def test_managed_6_what_somebody_owns_in_another_version_stays(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await apply(server, V2, autoscaler("v2", minReplicas=2), "newer")
        await apply(server, V1, autoscaler("v1", minReplicas=2), "older")
        rest = autoscaler("v2")
        kept = await apply(server, V2, rest, "newer")
        assert kept.body["spec"]["minReplicas"] == 2
        gone = await apply(server, V1, autoscaler("v1"), "older")
        assert gone.body["spec"]["minReplicas"] == 1, "nobody owns it any more: the default"
