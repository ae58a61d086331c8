"""Bindings, posted to a pod or to `bindings`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import Serving, serving

PODS = "/api/v1/namespaces/shop/pods"
BINDINGS = "/api/v1/namespaces/shop/bindings"
TARGET = {"kind": "Node", "name": "n1"}


async def pod_with(server: Serving, **metadata: Any) -> Any:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    made = await server.send("POST", PODS, {"metadata": {"name": "p", **metadata}, "spec": spec})
    return made.body["metadata"]


def binding(target: Any = TARGET, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p", **metadata}, "target": target}


async def node_of(server: Serving) -> str | None:
    node: str | None = (await server.send("GET", f"{PODS}/p")).body["spec"].get("nodeName")
    return node


OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "another name": (f"{PODS}/p/binding", {"name": "q"}),
    "no name": (f"{PODS}/p/binding", {"name": ""}),
    "another namespace": (f"{PODS}/p/binding", {"namespace": "other"}),
    "another namespace, to bindings": (BINDINGS, {"namespace": "other"}),
}


@pytest.mark.parametrize(("path", "metadata"), OTHERS.values(), ids=OTHERS.keys())
async def test_bind_1_a_binding_of_another_pod_is_refused(tmp_path: Path, path: str, metadata: dict[str, Any]) -> None:
    async with serving(tmp_path) as server:
        await pod_with(server)
        refused = await server.send("POST", path, binding(**metadata))
        assert (refused.status, refused.body["reason"]) == (400, "BadRequest")
        assert await node_of(server) is None


@pytest.mark.parametrize("path", [f"{PODS}/p/binding", BINDINGS])
async def test_bind_2_it_binds_the_very_pod_that_it_means(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path) as server:
        metadata = await pod_with(server)
        wrong = await server.send("POST", path, binding(uid="other"))
        stale = await server.send("POST", path, binding(uid=metadata["uid"], resourceVersion="1"))
        assert (wrong.status, stale.status) == (409, 409)
        assert "Precondition failed: UID in precondition: other, UID in object meta" in wrong.message
        assert "Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in" in stale.message
        assert await node_of(server) is None
        right = binding(uid=metadata["uid"], resourceVersion=metadata["resourceVersion"])
        bound = await server.send("POST", path, right)
        assert (bound.status, bound.body["status"]) == (201, "Success")
        assert await node_of(server) == "n1"


@pytest.mark.parametrize("path", [f"{PODS}/p/binding", BINDINGS])
async def test_bind_3_labels_and_annotations_reach_the_pod(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path) as server:
        await pod_with(server, labels={"a": "1", "b": "2"})
        await server.send("POST", path, binding(labels={"b": "3", "zone": "z"}, annotations={"x": "y"}))
        metadata = (await server.send("GET", f"{PODS}/p")).body["metadata"]
        assert metadata["labels"] == {"a": "1", "b": "3", "zone": "z"}
        assert metadata["annotations"] == {"x": "y"}


REFUSED = {
    "no target": ({}, "target.name: Required value"),
    "no node": (
        {"kind": "Service", "name": ""},
        '[target.kind: Unsupported value: "Service": supported values: "Node", "<empty>", target.name: Required value]',
    ),
}


@pytest.mark.parametrize(("target", "message"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_binding_to_nothing_is_refused(tmp_path: Path, target: Any, message: str) -> None:
    async with serving(tmp_path) as server:
        await pod_with(server)
        for path in (f"{PODS}/p/binding", BINDINGS):
            refused = await server.send("POST", path, binding(target))
            assert (refused.status, refused.message) == (500, message)


async def test_a_dry_run_binds_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await pod_with(server)
        for path in (f"{PODS}/p/binding", BINDINGS):
            assert (await server.send("POST", f"{path}?dryRun=All", binding())).status == 201
        assert await node_of(server) is None


async def test_bindings_are_posted_and_nothing_else(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert (await server.send("GET", BINDINGS)).status == 405
        assert (await server.send("GET", f"{BINDINGS}/p")).status == 404
        assert (await server.send("POST", "/api/v1/bindings", binding())).status == 405
        for nameless in ({"target": TARGET}, {"metadata": None, "target": TARGET}):
            refused = await server.send("POST", BINDINGS, nameless)
            assert (refused.status, refused.message) == (400, "Name parameter required.")
        missing = await server.send("POST", BINDINGS, binding())
        assert (missing.status, missing.message) == (404, 'pods "p" not found')
