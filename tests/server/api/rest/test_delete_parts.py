"""Parts of a deletion that nobody asks for by name: details, generations, marks that stay, dry runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.server.api.admission.policing import about, bind, policy
from tests.server.serving import MAPS, VOLUMES, Serving, config_map, serving, volume

from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.storage import Storage

PODS = "/api/v1/namespaces/shop/pods"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
OLDER = "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers"
SHOP = "/api/v1/namespaces/shop"
CONTAINERS = {"containers": [{"name": "c", "image": "i"}]}


async def make(server: Serving, path: str, body: Any) -> Any:
    answer = await server.send("POST", path, body)
    assert answer.status == 201, answer.body
    return answer.body["metadata"]


async def make_map(server: Serving, *finalizers: str) -> Any:
    return await make(server, MAPS, {"metadata": {"name": "a", "finalizers": list(finalizers)}})


async def make_pod(server: Serving, *finalizers: str) -> Any:
    spec = {**CONTAINERS, "nodeName": "n"}
    return await make(server, PODS, {"metadata": {"name": "p", "finalizers": list(finalizers)}, "spec": spec})


async def test_a_failed_precondition_names_the_kind_with_its_group(tmp_path: Path) -> None:  # DE-1
    async with serving(tmp_path) as server:
        uid = (await make(server, CLASSES, {"metadata": {"name": "c"}, "provisioner": "p"}))["uid"]
        refused = await server.send("DELETE", f"{CLASSES}/c", {"preconditions": {"uid": "x"}})
        assert refused.message == (
            f'Operation cannot be fulfilled on StorageClass.storage.k8s.io "c": the UID in the precondition (x) does '
            f"not match the UID in record ({uid}). The object might have been deleted and then recreated"
        )
        assert refused.body["details"] == {"name": "c", "group": "storage.k8s.io", "kind": "StorageClass"}
        missing = await server.send("DELETE", f"{CLASSES}/none")
        assert missing.message == 'storageclasses.storage.k8s.io "none" not found'


@pytest.mark.parametrize(
    ("before", "policy", "after"),
    [
        (["orphan"], "Background", None),
        (["foregroundDeletion"], "Background", None),
        (["orphan", "x/y"], "Foreground", ["x/y", "foregroundDeletion"]),
        (["orphan"], "", ["orphan"]),
    ],
)
async def test_a_policy_takes_the_place_of_the_other(
    tmp_path: Path, before: list[str], policy: str, after: list[str] | None
) -> None:  # DE-5
    async with serving(tmp_path) as server:
        await make_map(server, *before)
        body = {"propagationPolicy": policy} if policy else None
        answer = await server.send("DELETE", f"{MAPS}/a", body)
        assert answer.status == 200
        found = await server.send("GET", f"{MAPS}/a")
        assert found.status == (404 if after is None else 200)
        assert after is None or found.body["metadata"]["finalizers"] == after


async def test_a_mark_counts_as_one_generation(tmp_path: Path) -> None:  # DE-3
    labels = {"app": "a"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": CONTAINERS}}
    async with serving(tmp_path) as server:
        await make(server, DEPLOYMENTS, {"metadata": {"name": "d", "finalizers": ["x/y"]}, "spec": spec})
        marked = (await server.send("DELETE", f"{DEPLOYMENTS}/d")).body["metadata"]
        assert (marked["generation"], marked["deletionGracePeriodSeconds"]) == (2, 0)
        server.clock.now += timedelta(seconds=9)
        again = (await server.send("DELETE", f"{DEPLOYMENTS}/d", {"propagationPolicy": "Orphan"})).body["metadata"]
        assert (again["generation"], again["finalizers"]) == (2, ["x/y", "orphan"])
        assert again["deletionTimestamp"] == marked["deletionTimestamp"] == "2026-03-01T12:00:00Z"
        await make_map(server, "x/y")
        assert "generation" not in (await server.send("DELETE", f"{MAPS}/a")).body["metadata"]


async def test_less_time_is_reckoned_from_the_first_request(tmp_path: Path) -> None:  # DE-6
    async with serving(tmp_path) as server:
        await make_pod(server)
        await server.send("DELETE", f"{PODS}/p")
        server.clock.now += timedelta(seconds=3)
        shorter = (await server.send("DELETE", f"{PODS}/p?gracePeriodSeconds=7")).body["metadata"]
        assert shorter["deletionTimestamp"] == "2026-03-01T12:00:07Z"
        assert (shorter["generation"], shorter["deletionGracePeriodSeconds"]) == (2, 7)
        for query in ("gracePeriodSeconds=7", "gracePeriodSeconds=8", "pretty=1"):
            same = await server.send("DELETE", f"{PODS}/p?{query}&propagationPolicy=Orphan")
            assert same.body["metadata"] == shorter, query


async def test_a_pod_whose_time_is_over_still_takes_a_policy(tmp_path: Path) -> None:  # DE-5, DE-6
    async with serving(tmp_path) as server:
        await make_pod(server, "x/y")
        await server.send("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
        again = await server.send("DELETE", f"{PODS}/p?propagationPolicy=Orphan&gracePeriodSeconds=5")
        assert again.body["metadata"]["finalizers"] == ["x/y", "orphan"]
        assert again.body["metadata"]["deletionGracePeriodSeconds"] == 0


async def test_a_namespace_keeps_its_mark_and_takes_a_policy(tmp_path: Path) -> None:  # DE-7
    async with serving(tmp_path) as server:
        ended = (await server.send("DELETE", f"{SHOP}?propagationPolicy=Foreground")).body
        assert ended["metadata"]["finalizers"] == ["foregroundDeletion"]
        server.clock.now += timedelta(seconds=30)
        revision = server.store.revision
        assert (await server.send("DELETE", SHOP)).body == ended
        assert server.store.revision == revision
        await server.send("PUT", f"{SHOP}/finalize", {**ended, "spec": {"finalizers": []}})
        assert (await server.send("GET", SHOP)).status == 200, "the policy's finalizer holds it"

        none: dict[str, Any] = {"metadata": {"name": "free"}, "spec": {"finalizers": []}}
        await server.send("POST", "/api/v1/namespaces", none)
        await server.send("PUT", "/api/v1/namespaces/free/finalize", none)
        assert (await server.send("DELETE", "/api/v1/namespaces/free")).status == 200
        assert (await server.send("GET", "/api/v1/namespaces/free")).status == 404


async def test_a_dry_run_shows_what_would_be(tmp_path: Path) -> None:  # WRITING-3
    async with serving(tmp_path) as server:
        made = await make_map(server, "x/y")
        kept = (await server.send("DELETE", f"{MAPS}/a?dryRun=All")).body["metadata"]
        assert (kept["deletionTimestamp"], kept["resourceVersion"]) == ("2026-03-01T12:00:00Z", made["resourceVersion"])
        made = await make(server, CLASSES, {"metadata": {"name": "c"}, "provisioner": "p"})
        assert (await server.send("DELETE", f"{CLASSES}/c?dryRun=All")).body["metadata"] == made
        assert (await server.send("GET", f"{CLASSES}/c")).status == 200


async def test_a_collection_without_a_namespace_and_one_that_policies_hold(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for name in ("v", "w"):
            await make(server, VOLUMES, volume(name))
            await server.send("PATCH", f"{VOLUMES}/{name}", {"metadata": {"finalizers": None}})
        answer = await server.send("DELETE", VOLUMES)
        assert (answer.status, [item["metadata"]["name"] for item in answer.body["items"]]) == (200, ["v", "w"])
        assert (await server.send("GET", VOLUMES)).body["items"] == []
        for name in "ab":
            await make(server, MAPS, config_map(name))
        await bind(server, policy({"expression": "false", "message": "no"}, rules=about("configmaps")))
        refused = await server.send("DELETE", MAPS)
        assert (refused.status, refused.message.endswith(": no")) == (422, True)
        assert len((await server.send("GET", MAPS)).body["items"]) == 2


async def test_pages_of_a_collection_are_deleted_by_themselves(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for name in "abc":
            await make(server, MAPS, config_map(name))
        page = await server.send("DELETE", f"{MAPS}?limit=2")
        assert ([item["metadata"]["name"] for item in page.body["items"]], page.body["kind"]) == (
            ["a", "b"],
            "ConfigMapList",
        )
        assert page.body["metadata"]["remainingItemCount"] == 1
        assert [item["metadata"]["name"] for item in (await server.send("GET", MAPS)).body["items"]] == ["c"]
        table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        assert len((await server.send("DELETE", MAPS, headers=table)).body["rows"]) == 1
        refused = await server.send("DELETE", f"{MAPS}?sendInitialEvents=true")
        assert refused.status == 422, "the options are those of a list"


async def test_what_cannot_be_shown_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONVERSION-1: neither by itself nor with others; as a table, which the stored form makes, it can be shown."""
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "w", "apiVersion": "apps/v1"}, "maxReplicas": 3}

    def fails(*_: object) -> bytes:
        raise ApiError(500, "InternalError", "it would lose a field")

    async with serving(tmp_path) as server:
        for name in "ab":
            await make(server, OLDER, {"metadata": {"name": name}, "spec": spec})
        with monkeypatch.context() as patched:
            patched.setattr(Storage, "answer", fails)
            for target in (f"{OLDER}/a", OLDER):
                refused = await server.send("DELETE", target)
                assert (refused.status, refused.message) == (500, "it would lose a field")
            assert (await server.send("DELETE", f"{OLDER}/none")).status == 404
        assert len((await server.send("GET", OLDER)).body["items"]) == 2
        with monkeypatch.context() as patched:
            patched.setattr(Storage, "answer", fails)
            table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
            assert (await server.send("DELETE", OLDER, headers=table)).status == 200
        assert (await server.send("GET", OLDER)).body["items"] == []
