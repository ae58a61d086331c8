"""Cluster roles that gather the rules of others, on a real API server."""

from __future__ import annotations

from tests.controllers.cluster import Cluster, cluster
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import CLUSTER_ROLES

ONLY = ControllerOptions(controllers="clusterrole-aggregation")
ROLES = metadata_of(CLUSTER_ROLES)


def rule(resource: str, *verbs: str) -> Json:
    return {"apiGroups": [""], "resources": [resource], "verbs": list(verbs)}


def role(name: str, *rules: Json, labels: dict[str, str] | None = None, gathers: list[Json] | None = None) -> Json:
    made: Json = {"metadata": {"name": name, "labels": labels or {}}, "rules": list(rules)}
    if gathers is not None:
        made["aggregationRule"] = {"clusterRoleSelectors": gathers}
    return made


async def rules_of(c: Cluster, name: str) -> list[Json] | None:
    """What a role says once the controller has nothing left to do."""
    await c.settle_with_the_store()
    rules: list[Json] | None = (await c.client.get(ROLES, name)).document()["rules"]
    return rules


TO_SUM: Json = {"matchLabels": {"to": "sum"}}


@on_virtual_time
async def test_aggregation_1_selector_by_selector_and_by_name_each_rule_once_and_none_of_its_own() -> None:
    async with cluster(ONLY) as c:
        also: Json = {"matchExpressions": [{"key": "also", "operator": "In", "values": ["sum"]}]}
        await c.client.create(ROLES, role("b", rule("pods", "get"), labels={"to": "sum"}))
        await c.client.create(ROLES, role("c", rule("pods", "list"), labels={"to": "sum"}))
        await c.client.create(ROLES, role("a", rule("secrets", "get"), rule("pods", "get"), labels={"also": "sum"}))
        await c.client.create(ROLES, role("other", rule("nodes", "get"), labels={"to": "others"}))
        await c.client.create(ROLES, role("sum", rule("services", "get"), labels={"to": "sum"}, gathers=[TO_SUM, also]))
        assert await rules_of(c, "sum") == [rule("pods", "get"), rule("pods", "list"), rule("secrets", "get")]


@on_virtual_time
async def test_aggregation_2_it_follows_through_roles_that_gather_themselves() -> None:
    async with cluster(ONLY) as c:
        await c.client.create(ROLES, role("top", gathers=[{"matchLabels": {"to": "top"}}]))
        await c.client.create(ROLES, role("sum", labels={"to": "top"}, gathers=[TO_SUM]))
        assert await rules_of(c, "top") is None
        await c.client.create(ROLES, role("a", rule("pods", "get"), labels={"to": "sum"}))
        assert await rules_of(c, "top") == [rule("pods", "get")]
        await c.client.patch(ROLES, "a", "", {"metadata": {"labels": {"to": None}}}, patch_type="merge")
        assert await rules_of(c, "top") is None
        assert await rules_of(c, "sum") is None


@on_virtual_time
async def test_aggregation_3_nothing_is_written_when_nothing_has_changed() -> None:
    async with cluster(ONLY) as c:
        await c.client.create(ROLES, role("sum", gathers=[TO_SUM]))
        await c.client.create(ROLES, role("a", rule("pods", "get"), labels={"to": "sum"}))
        await rules_of(c, "sum")
        before = c.manager.statistics().requests["clusterrole-aggregation-controller"].writes
        await c.client.create(ROLES, role("b", rule("pods", "get"), labels={"to": "sum"}))
        assert await rules_of(c, "sum") == [rule("pods", "get")]
        assert c.manager.statistics().requests["clusterrole-aggregation-controller"].writes == before


@on_virtual_time
async def test_admin_edit_and_view_have_what_a_fresh_kubernetes_gives_them() -> None:
    async with cluster(ONLY) as c:
        sizes = {name: len(await rules_of(c, name) or ()) for name in ("admin", "edit", "view")}
        assert sizes == {"admin": 29, "edit": 27, "view": 12}  # as recorded: bootstrap-rbac.yaml
