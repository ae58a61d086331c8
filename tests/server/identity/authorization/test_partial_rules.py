"""To give away a rule, a user must have the whole rule, not a part of it (RBAC-3)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.server.identity.authorization.test_rbac import ANA, GROUP, USER, binding, make, role, rule, status
from tests.server.serving import serving

from pvbinder.server.objects.kind import Json

MORE = {  # one part of each rule is held, another isn't
    "one verb more": rule("configmaps", "get", "delete"),
    "one resource more": rule("configmaps secrets", "get"),
    "one group more": {"apiGroups": ["", "apps"], "resources": ["configmaps"], "verbs": ["get"]},
    "every verb": rule("configmaps", "*"),
    "every resource": rule("*", "get"),
    "a subresource": rule("configmaps/status configmaps", "get"),
}


@pytest.mark.parametrize("given", MORE.values(), ids=MORE.keys())
async def test_rbac_3_a_rule_of_which_only_a_part_is_held_is_refused(tmp_path: Path, given: Json) -> None:
    async with serving(tmp_path, rbac=True) as server:
        writer = role("writer", rule("roles", "create", group="rbac.authorization.k8s.io"), rule("configmaps", "get"))
        await make(server, "clusterroles", writer)
        await make(server, "clusterrolebindings", binding("w", "ClusterRole", "writer", USER))
        roles = f"{GROUP}/namespaces/shop/roles"
        assert await status(server, "POST", roles, role("held", rule("configmaps", "get"))) == 201
        refused = await server.send("POST", roles, role("more", given), user=ANA)
        assert (refused.status, refused.body["reason"]) == (403, "Forbidden")


async def test_rbac_3_a_rule_for_one_name_gives_nothing_for_all_names(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        one: Json = {**rule("configmaps", "get"), "resourceNames": ["mine"]}
        writer = role("writer", rule("roles", "create", group="rbac.authorization.k8s.io"), one)
        await make(server, "clusterroles", writer)
        await make(server, "clusterrolebindings", binding("w", "ClusterRole", "writer", USER))
        roles = f"{GROUP}/namespaces/shop/roles"
        assert await status(server, "POST", roles, role("same", one)) == 201
        assert await status(server, "POST", roles, role("all", rule("configmaps", "get"))) == 403
