"""Nobody gives away rights that they lack: a refusal names the missing ones; labels and aggregation count, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.identity.authorization.test_rbac import ANA, DEVS, GROUP, USER, binding, make, role, rule
from tests.server.serving import Reply, Serving, serving

from pvbinder.server.requests import UserInfo

RBAC = "rbac.authorization.k8s.io"
ROLES = f"{GROUP}/clusterroles"
ALL_RESOURCES = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
ALL_PATHS = {"nonResourceURLs": ["*"], "verbs": ["*"]}
GATHERS = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}


async def allow(server: Serving, name: str, *rules: dict[str, Any]) -> None:
    await make(server, "clusterroles", role(name, *rules))
    await make(server, "clusterrolebindings", binding(name, "ClusterRole", name, USER))


async def as_writer(server: Serving) -> None:
    """Let Ana write roles, and read config maps."""
    verbs = ("create", "get", "patch", "update")
    await allow(server, "writes", rule("clusterroles clusterrolebindings", *verbs, group=RBAC))
    await allow(server, "reads", rule("configmaps", "get", "list"))


def apply(server: Serving, name: str, user: UserInfo = ANA, **body: Any) -> Any:
    sent = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, **body}
    target = f"{ROLES}/{name}?fieldManager=m"
    return server.send("PATCH", target, sent, content_type="application/apply-patch+yaml", user=user)


def is_refused(answer: Reply) -> bool:
    message = (
        'clusterroles.rbac.authorization.k8s.io "sum" is forbidden: must have cluster-admin privileges to use the '
    )
    return (answer.status, answer.body.get("message")) == (403, f"{message}aggregationRule")


async def test_rbac_4_who_may_not_do_everything_sets_no_aggregation_rule(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_writer(server)
        gathering = {**role("sum"), "aggregationRule": GATHERS}
        assert is_refused(await server.send("POST", ROLES, gathering, user=ANA))
        assert is_refused(await server.send("POST", f"{ROLES}?dryRun=All", gathering, user=ANA))
        assert is_refused(await apply(server, "sum", aggregationRule=GATHERS, rules=[]))
        assert (await server.send("POST", ROLES, role("sum", rule("configmaps", "get")), user=ANA)).status == 201
        assert is_refused(await server.send("PATCH", f"{ROLES}/sum", {"aggregationRule": GATHERS}, user=ANA))
        assert is_refused(await apply(server, "sum", aggregationRule=GATHERS))
        stored = (await server.send("GET", f"{ROLES}/sum")).body
        assert is_refused(await server.send("PUT", f"{ROLES}/sum", {**stored, "aggregationRule": GATHERS}, user=ANA))
        nothing = {**role("empty"), "aggregationRule": {"clusterRoleSelectors": []}}
        assert (await server.send("POST", ROLES, nothing, user=ANA)).status == 422, (
            "it gathers nothing, so it needs no right"
        )


async def test_rbac_4_nor_takes_one_away_or_changes_a_role_that_has_one(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_writer(server)
        await make(server, "clusterroles", {**role("sum"), "aggregationRule": GATHERS})
        assert is_refused(await server.send("PATCH", f"{ROLES}/sum", {"aggregationRule": None}, user=ANA))
        assert is_refused(await server.send("PATCH", f"{ROLES}/sum", {"metadata": {"labels": {"x": "y"}}}, user=ANA))
        released = await server.send("PATCH", f"{ROLES}/sum", {"metadata": {"finalizers": ["a.b/c"]}}, user=ANA)
        assert released.status == 200, "a garbage collector needs no rights of the role"


EVERYTHING = {  # Ana's rights: whether she may write a role that aggregates others
    "all paths": ([ALL_PATHS], False),
    "all resources but with two verbs": ([{**ALL_RESOURCES, "verbs": ["create", "get"]}, ALL_PATHS], False),
    "all that has one name": ([{**ALL_RESOURCES, "resourceNames": ["sum"]}, ALL_PATHS], False),
    "everything": ([ALL_RESOURCES, ALL_PATHS], True),
    "escalate": ([rule("clusterroles", "escalate", group=RBAC)], True),
}


@pytest.mark.parametrize(("rules", "allowed"), EVERYTHING.values(), ids=EVERYTHING.keys())
async def test_rbac_4_everything_is_every_verb_of_every_resource_and_path(
    tmp_path: Path, rules: list[dict[str, Any]], allowed: bool
) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await allow(server, "writes", rule("clusterroles", "create", group=RBAC))
        await allow(server, "own", *rules)
        answer = await server.send("POST", ROLES, {**role("sum"), "aggregationRule": GATHERS}, user=ANA)
        assert (answer.status, is_refused(answer)) == ((201, False) if allowed else (403, True))


async def test_rbac_3_what_is_missing_is_named_piece_by_piece(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_writer(server)
        asked = role("more", rule("configmaps secrets", "get", "watch"), {"nonResourceURLs": ["/x"], "verbs": ["get"]})
        refused = await server.send("POST", ROLES, asked, user=ANA)
        assert refused.status == 403
        assert refused.message.splitlines()[1:] == [
            '{APIGroups:[""], Resources:["configmaps"], Verbs:["watch"]}',
            '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "watch"]}',
            '{NonResourceURLs:["/x"], Verbs:["get"]}',
        ]


async def test_rbac_3_a_label_or_a_subject_on_what_one_does_not_have_is_refused(tmp_path: Path) -> None:
    """Another role may aggregate by a label, so that a label gives rights away as rules do."""
    async with serving(tmp_path, rbac=True) as server:
        await as_writer(server)
        await make(server, "clusterroles", role("secrets", rule("secrets", "get")))
        await make(server, "clusterrolebindings", binding("s", "ClusterRole", "secrets", DEVS))
        labels = {"metadata": {"labels": {"rbac.example.com/aggregate-to-view": "true"}}}
        for path in (f"{ROLES}/secrets", f"{GROUP}/clusterrolebindings/s"):
            assert (await server.send("PATCH", path, labels, user=UserInfo("ana"))).status == 403
            owned = await server.send("PATCH", path, {"metadata": {"finalizers": ["a.b/c"]}}, user=UserInfo("ana"))
            assert owned.status == 200


async def test_rbac_3_who_may_escalate_one_role_creates_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_writer(server)
        await allow(server, "escalates", rule("clusterroles", "escalate", group=RBAC, resourceNames=["mine"]))
        await make(server, "clusterroles", role("mine"))
        secrets = [rule("secrets", "get")]
        assert (await server.send("PATCH", f"{ROLES}/mine", {"rules": secrets}, user=ANA)).status == 200
        assert (await server.send("POST", ROLES, role("other", *secrets), user=ANA)).status == 403
