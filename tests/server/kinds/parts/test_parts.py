"""Writes to a part of an object: they change only that part, so that the right to it gives no more."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import serving

PODS = "/api/v1/namespaces/shop/pods"
CONTAINER = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}
SENT: dict[str, Any] = {
    "labels": {"a": "b"},
    "annotations": {"a": "b"},
    "finalizers": ["example.com/f"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}],
}


def differing(old: Any, new: Any, path: str = "") -> set[str]:
    """Return where two objects differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = (set(old) | set(new)) - {"generation", "managedFields", "resourceVersion"}
        return {where for name in names for where in differing(old.get(name), new.get(name), f"{path}.{name}")}
    return set() if old == new else {path}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("part", "changed"),
    {"ephemeralcontainers": {".spec.ephemeralContainers"}, "resize": {".spec.containers"}}.items(),
)
async def test_a_part_of_a_pod_is_all_that_is_changed(
    tmp_path: Path, method: str, part: str, changed: set[str]
) -> None:
    async with serving(tmp_path) as server:
        made = await server.send("POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}})
        sent = copy.deepcopy(made.body)
        sent["metadata"] |= SENT
        sent["spec"] |= {"activeDeadlineSeconds": 5, "nodeName": "n", "priority": 7}
        sent["spec"]["containers"][0] |= {"image": "other", "resources": {"requests": {"cpu": "2"}}}
        sent["spec"]["ephemeralContainers"] = [{"name": "e", "image": "i"}]
        sent["status"] = {"phase": "Running", "podIP": "1.2.3.4"}
        answer = await server.send(method, f"{PODS}/p/{part}", sent)
        assert answer.status == 200, answer.body
        assert differing(made.body, answer.body) == changed
        assert answer.body["spec"]["containers"][0]["image"] == "i"


async def test_an_ephemeral_container_stays_as_it_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}})
        path = f"{PODS}/p/ephemeralcontainers"
        whole: dict[str, Any] = {"spec": {"ephemeralContainers": [{"name": "e", "image": "i"}]}}
        assert (await server.send("PATCH", path, whole)).status == 200
        changed = await server.send("PATCH", path, {"spec": {"ephemeralContainers": [{"name": "e", "image": "x"}]}})
        removed = await server.send("PATCH", path, {"spec": {"ephemeralContainers": [{"name": "f", "image": "i"}]}})
        for answer, what in ((changed, "changed"), (removed, "removed")):
            assert answer.status == 422
            assert f'existing ephemeral containers "e" may not be {what}' in answer.message


ALONE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "an attachment": (
        "/apis/storage.k8s.io/v1/volumeattachments",
        {"spec": {"attacher": "d.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}},
        {"attached": True},
    ),
    "an API service": (
        "/apis/apiregistration.k8s.io/v1/apiservices",
        {"spec": {"group": "g.example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}},
        {"conditions": [{"type": "Available", "status": "True"}]},
    ),
}


@pytest.mark.parametrize(("path", "body", "status"), ALONE.values(), ids=ALONE.keys())
async def test_a_status_of_these_kinds_brings_no_metadata(
    tmp_path: Path, path: str, body: dict[str, Any], status: dict[str, Any]
) -> None:
    name = "v1.g.example.com"
    async with serving(tmp_path) as server:
        made = await server.send("POST", path, {**body, "metadata": {"name": name}})
        assert made.status == 201, made.body
        answer = await server.send("PATCH", f"{path}/{name}/status", {"metadata": SENT, "status": status})
        assert answer.status == 200, answer.body
        assert {where.split(".")[1] for where in differing(made.body, answer.body)} <= {"status"}
        emptied = await server.send("PATCH", f"{path}/{name}", {"metadata": SENT})
        assert emptied.body["metadata"]["finalizers"][-1] == "example.com/f"
        kept = await server.send("PATCH", f"{path}/{name}/status", {"metadata": {"finalizers": None, "labels": None}})
        assert kept.body["metadata"].get("labels") == SENT["labels"]
        assert kept.body["metadata"]["finalizers"] == emptied.body["metadata"]["finalizers"]
