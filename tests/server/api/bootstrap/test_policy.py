"""The default roles and bindings: as recorded from a fresh Kubernetes, and mended at each start."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.server.serving import ADMIN

from pvbinder.server.api.bootstrap.policy import AUTOUPDATE, default_policy, mend
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import ApiRequest
from tools import bootstrap

GROUP = "/apis/rbac.authorization.k8s.io/v1"
RECORDED = Path(bootstrap.RECORDED) / "bootstrap-rbac.yaml"
PLURALS = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")
UNRECORDED = ("uid", "resourceVersion", "creationTimestamp", "managedFields")

Json = dict[str, Any]


async def send(server: EmbeddedServer, method: str, path: str, body: Json | None = None) -> Any:
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    raw = b"" if body is None else msgspec.json.encode(body)
    answer = await server.dispatcher.handle(
        ApiRequest(
            method, GROUP + path, headers={"content-type": kind, "user-agent": "kube-apiserver"}, body=raw, user=ADMIN
        )
    )
    assert answer.status < 300, answer.body
    return msgspec.json.decode(answer.body)


async def policy_of(server: EmbeddedServer) -> dict[tuple[str, str, str], Json]:
    """Return the stored roles and bindings, without the fields that differ from server to server."""
    found = {}
    for plural in PLURALS:
        answer = await send(server, "GET", f"/{plural}")
        for item in answer["items"]:
            metadata = {key: value for key, value in item["metadata"].items() if key not in UNRECORDED}
            found[plural, metadata.get("namespace", ""), metadata["name"]] = {**item, "metadata": metadata}
    return found


def recorded() -> dict[tuple[str, str, str], Json]:
    """Return Kubernetes' roles and bindings, without the rules that a controller aggregates."""
    found = {}
    for obj in filter(None, yaml.safe_load_all(RECORDED.read_text())):
        plural = obj.pop("kind").lower() + "s"
        del obj["apiVersion"]
        if "aggregationRule" in obj:
            obj["rules"] = None
        found[plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]] = obj
    return found


async def test_policy_1_a_fresh_server_has_the_roles_and_bindings_of_a_fresh_kubernetes() -> None:
    async with EmbeddedServer(listen=False) as server:
        assert await policy_of(server) == recorded()


async def test_fresh_2_an_object_is_stored_as_a_post_stores_it(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        bulk = await send(server, "GET", "/clusterroles/system:discovery")
        again = {**bulk, "metadata": {**bulk["metadata"], "name": "again", "resourceVersion": ""}}
        posted = await send(server, "POST", "/clusterroles", deepcopy(again))
    for obj in (bulk, posted):
        for name in ("name", "uid", "resourceVersion", "creationTimestamp"):
            del obj["metadata"][name]
        for entry in obj["metadata"]["managedFields"]:
            del entry["time"]
    assert bulk == posted


async def test_fresh_1_what_is_there_is_never_touched(tmp_path: Path) -> None:
    path = "/clusterroles/system:kube-dns"
    async with EmbeddedServer(tmp_path, listen=False) as server:
        before = await send(server, "PATCH", path, {"metadata": {"labels": {"mine": "yes"}}})
    async with EmbeddedServer(tmp_path, listen=False) as server:
        assert await send(server, "GET", path) == before


def without_a_rule(role: Json) -> None:
    role["rules"] = role["rules"][1:]


def without_subjects(binding: Json) -> None:
    binding["subjects"] = None


def without_a_label(role: Json) -> None:
    role["metadata"]["labels"] = None


def without_selectors(role: Json) -> None:
    role["aggregationRule"] = None


DAMAGES: dict[str, tuple[str, Callable[[Json], None]]] = {
    "a role loses a rule": ("/clusterroles/system:node", without_a_rule),
    "a role of a namespace loses a rule": (
        "/namespaces/kube-system/roles/system:controller:token-cleaner",
        without_a_rule,
    ),
    "a binding loses its subjects": ("/clusterrolebindings/system:basic-user", without_subjects),
    "a role loses its label": ("/clusterroles/view", without_a_label),
    "a role gathers no rules any more": ("/clusterroles/edit", without_selectors),
}


@pytest.mark.parametrize(("path", "damage"), DAMAGES.values(), ids=DAMAGES.keys())
async def test_policy_2_what_was_taken_away_comes_back_with_the_next_start(
    tmp_path: Path, path: str, damage: Callable[[Json], None]
) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        whole = await policy_of(server)
        obj = await send(server, "GET", path)
        damage(obj)
        await send(server, "PUT", path, obj)
        assert await policy_of(server) != whole
    async with EmbeddedServer(tmp_path, listen=False) as server:
        mended = await policy_of(server)
    assert flat(mended) == flat(whole)  # a rule may have moved


def flat(policy: dict[tuple[str, str, str], Json]) -> dict[tuple[str, str, str], Json]:
    """Return the objects without the order of their rules."""
    return {key: {**obj, "rules": sorted(map(str, obj.get("rules") or ()))} for key, obj in policy.items()}


async def test_policy_2_what_was_added_stays_and_a_start_without_news_writes_nothing(tmp_path: Path) -> None:
    more = {"apiGroups": ["example.com"], "resources": ["gadgets"], "verbs": ["get"]}
    async with EmbeddedServer(tmp_path, listen=False) as server:
        await send(server, "DELETE", "/clusterroles/system:heapster")
        role = await send(server, "GET", "/clusterroles/system:discovery")
        await send(server, "PATCH", "/clusterroles/system:discovery", {"rules": [*role["rules"], more]})
    async with EmbeddedServer(tmp_path, listen=False) as server:
        assert (await send(server, "GET", "/clusterroles/system:discovery"))["rules"] == [*role["rules"], more]
        assert (await send(server, "GET", "/clusterroles/system:heapster"))["rules"]
    async with EmbeddedServer(tmp_path, listen=False) as server:
        assert server.store.statistics().writes == 0


async def test_policy_3_what_shall_not_be_updated_stays_as_it_is(tmp_path: Path) -> None:
    path = "/clusterroles/system:discovery"
    async with EmbeddedServer(tmp_path, listen=False) as server:
        change = {"rules": [], "metadata": {"annotations": {AUTOUPDATE: "false"}}}
        await send(server, "PATCH", path, change)
    async with EmbeddedServer(tmp_path, listen=False) as server:
        assert (await send(server, "GET", path))["rules"] is None


def test_a_role_that_is_whole_is_not_mended() -> None:
    for _, wanted in default_policy():
        assert mend(wanted, wanted) == wanted


def test_the_data_is_what_was_recorded() -> None:
    assert (bootstrap.DATA / "policy.json").read_text() == bootstrap.written(bootstrap.policy())
    assert (bootstrap.DATA / "furniture.json").read_text() == bootstrap.written(bootstrap.furniture())
