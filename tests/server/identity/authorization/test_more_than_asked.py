"""Requests that do more than their verb says, and names in selectors: only the allowed is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.identity.authorization.test_rbac import ANA, USER, binding, make, role, rule
from tests.server.serving import MAPS, VOLUMES, Serving, config_map, serving, volume

LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
EVENTS = "/api/v1/namespaces/shop/events"
NEW_EVENTS = "/apis/events.k8s.io/v1/namespaces/shop/events"
APPLY = "application/apply-patch+yaml"
EVENT = {"involvedObject": {"namespace": "shop"}, "type": "Normal"}
NEW_EVENT = {"regarding": {"namespace": "shop"}, "type": "Normal", "reason": "R", "action": "A"} | {
    "reportingController": "c",
    "reportingInstance": "i",
    "eventTime": "2026-03-01T12:00:00.000000Z",
}
CREATING: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "an apply": ("patch", "configmaps", MAPS, {"apiVersion": "v1", "kind": "ConfigMap"}),
    "an apply of a volume": ("patch", "persistentvolumes", VOLUMES, {**volume(), "apiVersion": "v1"}),
    "a PUT of a lease": ("update", "leases.coordination.k8s.io", LEASES, {}),
    "a PUT of an event": ("update", "events", EVENTS, EVENT),
    "a PUT of an event of the other group": ("update", "events.events.k8s.io", NEW_EVENTS, NEW_EVENT),
}


async def allow(server: Serving, name: str, *rules: dict[str, Any]) -> None:
    await make(server, "clusterroles", role(name, *rules))
    await make(server, "clusterrolebindings", binding(name, "ClusterRole", name, USER))


@pytest.mark.parametrize("dry_run", ["", "&dryRun=All"])
@pytest.mark.parametrize(("verb", "resource", "path", "body"), CREATING.values(), ids=CREATING.keys())
async def test_dispatch_4_what_creates_needs_create_too(
    tmp_path: Path, verb: str, resource: str, path: str, body: dict[str, Any], dry_run: str
) -> None:
    plural, _, group = resource.partition(".")
    kind = {"persistentvolumes": "PersistentVolume"}.get(plural, "ConfigMap")
    sent = {**body, "metadata": {"name": "x"}} | ({"kind": kind} if verb == "patch" else {})
    method, content_type = ("PATCH", APPLY) if verb == "patch" else ("PUT", None)
    target = f"{path}/x?fieldManager=m{dry_run}"
    async with serving(tmp_path, rbac=True) as server:
        await allow(server, "changes", rule(plural, "get", "patch", "update", group=group))
        refused = await server.send(method, target, sent, content_type=content_type, user=ANA)
        where = "at the cluster scope" if path == VOLUMES else 'in the namespace "shop"'
        assert (refused.status, refused.message) == (
            403,
            f'{resource} "x" is forbidden: User "ana" cannot create resource "{plural}" in API group "{group}" {where}',
        )
        assert (await server.send("GET", f"{path}/x")).status == 404
        await allow(server, "creates", rule(plural, "create", group=group, resourceNames=["x"]))
        made = await server.send(method, target, sent, content_type=content_type, user=ANA)
        assert made.status == 201, made.body


async def test_dispatch_4_what_changes_needs_no_create(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await allow(server, "changes", rule("configmaps", "patch"))
        await server.send("POST", MAPS, config_map("x"))
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}}
        answer = await server.send("PATCH", f"{MAPS}/x?fieldManager=m", body, content_type=APPLY, user=ANA)
        assert answer.status == 200


async def test_what_is_allowed_for_a_name_is_not_done_to_all(tmp_path: Path) -> None:
    """Only lists and watches go by the name in their selector, and only by one that no other object can have."""
    async with serving(tmp_path, rbac=True) as server:
        verbs = ("create", "delete", "deletecollection", "list", "watch")
        await allow(server, "one", rule("configmaps events", *verbs, resourceNames=["a"]))
        for name in "ab":
            await server.send("POST", MAPS, config_map(name))
        selected = "fieldSelector=metadata.name%3Da"
        assert (await server.send("POST", f"{MAPS}?{selected}", config_map("c"), user=ANA)).status == 403
        assert (await server.send("DELETE", f"{MAPS}?{selected}", user=ANA)).status == 403
        listed = await server.send("GET", f"{MAPS}?{selected}", user=ANA)
        assert [item["metadata"]["name"] for item in listed.body["items"]] == ["a"]
        for selector in (
            "metadata.name!%3Da",
            "metadata.namespace!%3D%5C,metadata.name%3Da",  # a comma in a value
            "reason!%3Dx%5C,metadata.name%3Da",
            "metadata.name%3Da%5C,b",
            "metadata.name%3D..",
            "metadata.name%3D",
            "metadata.name",
        ):
            for path in (MAPS, EVENTS):
                for more in ("", "&watch=true"):
                    answer = await server.send("GET", f"{path}?fieldSelector={selector}{more}", user=ANA)
                    assert answer.status == 403, selector


ODD_PATHS = (
    "//api/v1/namespaces/shop/secrets",
    "/api//v1/namespaces/shop/secrets",
    "/api/v1/namespaces//shop/secrets",
    "/api/v1/namespaces/shop/secrets/",
    "/api/v1/namespaces/shop/configmaps/../secrets",
    "/api/v1/namespaces/shop/./secrets",
    "/api/v1/watch/namespaces/shop/secrets",
    "/api/v1/namespaces/shop/secrets/s/",
    "/api/v1/namespaces/shop/secrets//s",
    "/api/v1/watch/namespaces/shop/secrets/s",
    "/api/v1/secrets",
    "/api/v1/secrets/s",
    "/version/../api/v1/namespaces/shop/secrets",
    "/version//api/v1/namespaces/shop/secrets",
    "/openapi/../metrics",
)


@pytest.mark.parametrize("path", ODD_PATHS)
@pytest.mark.parametrize("method", ["GET", "get", "POST", "HEAD", "LIST", "WATCH", "DELETE", "PUT", "PATCH", ""])
async def test_what_may_be_read_opens_no_other_path(tmp_path: Path, path: str, method: str) -> None:
    async with serving(tmp_path, rbac=True) as server:
        paths = {"nonResourceURLs": ["/version", "/openapi/*"], "verbs": ["*"]}
        await allow(server, "maps", rule("configmaps", "*"), paths)
        await server.send("POST", "/api/v1/namespaces/shop/secrets", {"metadata": {"name": "s"}})
        answer = await server.send(method, path, b"{}", content_type="application/json", user=ANA)
        assert answer.status in (403, 404, 405)
        assert answer.stream is None
        assert (await server.send("GET", "/api/v1/namespaces/shop/secrets/s")).status == 200


async def test_an_update_deletes_nothing_that_nobody_deleted(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await allow(server, "changes", rule("configmaps", "create", "get", "patch", "update"))
        gone = {"deletionTimestamp": "2026-03-01T00:00:00Z", "deletionGracePeriodSeconds": 0}
        made = await server.send("POST", MAPS, {"metadata": {"name": "x", **gone}}, user=ANA)
        assert "deletionTimestamp" not in made.body["metadata"]
        changed = {"metadata": {**made.body["metadata"], **gone}}
        assert (await server.send("PUT", f"{MAPS}/x", changed, user=ANA)).status == 422
        assert (await server.send("PATCH", f"{MAPS}/x", {"metadata": gone}, user=ANA)).status == 422
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", **gone}}
        await server.send("PATCH", f"{MAPS}/x?fieldManager=m", body, content_type=APPLY, user=ANA)
        still = await server.send("GET", f"{MAPS}/x")
        assert "deletionTimestamp" not in still.body["metadata"]
