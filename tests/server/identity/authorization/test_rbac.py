"""Roles and bindings: the rights that they give, when they count, and that nobody gives away rights that they lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import MAPS, VOLUMES, Serving, config_map, serving

from pvbinder.server.api.bootstrap.policy import default_policy
from pvbinder.server.requests import UserInfo

AUTHENTICATION = "authentication.k8s.io"
GROUP = "/apis/rbac.authorization.k8s.io/v1"
ANA = UserInfo("ana", groups=("devs", "system:authenticated"))
ROBOT = UserInfo("system:serviceaccount:shop:robot", groups=("system:serviceaccounts", "system:authenticated"))

OF_VOLUMES = (
    "persistent-volume-binder",  # RB-1
    "pvc-protection-controller",  # RB-2
    "pv-protection-controller",  # RB-3
    "volumeattributesclass-protection-controller",  # RB-4
    "expand-controller",  # RB-5
    "ephemeral-volume-controller",  # RB-6
)


def role(name: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "rules": list(rules)}


def rule(resources: str, *verbs: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": list(verbs), **more}


def binding(name: str, kind: str, of: str, *subjects: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "roleRef": {"kind": kind, "name": of}, "subjects": list(subjects)}


USER = {"kind": "User", "name": "ana"}
DEVS = {"kind": "Group", "name": "devs"}


async def make(server: Serving, path: str, body: dict[str, Any], user: UserInfo | None = None) -> None:
    answer = await server.send("POST", f"{GROUP}/{path}", body, user=user)
    assert answer.status == 201, answer.body


async def status(server: Serving, method: str, target: str, body: object = None, user: UserInfo = ANA) -> int:
    return (await server.send(method, target, body, user=user)).status


async def test_rbac_1_a_change_counts_from_the_next_request(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        assert await status(server, "GET", MAPS) == 403
        await make(server, "clusterroles", role("reader", rule("configmaps", "list")))
        await make(server, "clusterrolebindings", binding("b", "ClusterRole", "reader", USER))
        assert await status(server, "GET", MAPS) == 200
        await server.send("PATCH", f"{GROUP}/clusterroles/reader", {"rules": [rule("configmaps", "get")]})
        assert await status(server, "GET", MAPS) == 403
        await server.send("DELETE", f"{GROUP}/clusterrolebindings/b")
        assert await status(server, "GET", f"{MAPS}/a") == 403


ALLOWED = {
    "the verb and the resource": (rule("configmaps", "list"), "GET", MAPS),
    "every verb": (rule("configmaps", "*"), "DELETE", MAPS),
    "every resource": (rule("*", "list"), "GET", MAPS),
    "a subresource": (rule("persistentvolumes/status", "get"), "GET", f"{VOLUMES}/x/status"),
    "a subresource of everything": (rule("*/status", "get"), "GET", f"{VOLUMES}/x/status"),
    "the object by name": (rule("configmaps", "get", resourceNames=["a"]), "GET", f"{MAPS}/a"),
    "a list of the object by name": (
        rule("configmaps", "list", resourceNames=["a"]),
        "GET",
        f"{MAPS}?fieldSelector=metadata.name%3Da",
    ),
    "a watch": (rule("configmaps", "watch"), "GET", f"{MAPS}?watch=true&resourceVersion=abc"),
    "a path": ({"nonResourceURLs": ["/nosuch/*"], "verbs": ["get"]}, "GET", "/nosuch/x"),
}
DENIED = {
    "another verb": (rule("configmaps", "get"), "GET", MAPS),
    "another group": (rule("configmaps", "list", group="apps"), "GET", MAPS),
    "the object, not its subresource": (rule("persistentvolumes", "get"), "GET", f"{VOLUMES}/x/status"),
    "another object": (rule("configmaps", "get", resourceNames=["a"]), "GET", f"{MAPS}/b"),
    "all objects": (rule("configmaps", "list", resourceNames=["a"]), "GET", MAPS),
    "another path": ({"nonResourceURLs": ["/nosuch"], "verbs": ["get"]}, "GET", "/nosuch/x"),
}


@pytest.mark.parametrize(("only_rule", "method", "target"), ALLOWED.values(), ids=ALLOWED.keys())
async def test_rbac_2_what_a_rule_allows_is_allowed(
    tmp_path: Path, only_rule: dict[str, Any], method: str, target: str
) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await make(server, "clusterroles", role("r", only_rule))
        await make(server, "clusterrolebindings", binding("b", "ClusterRole", "r", DEVS))
        assert await status(server, method, target) != 403


@pytest.mark.parametrize(("only_rule", "method", "target"), DENIED.values(), ids=DENIED.keys())
async def test_rbac_2_what_no_rule_allows_is_denied(
    tmp_path: Path, only_rule: dict[str, Any], method: str, target: str
) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await make(server, "clusterroles", role("r", only_rule))
        await make(server, "clusterrolebindings", binding("b", "ClusterRole", "r", DEVS))
        assert await status(server, method, target) == 403


async def test_rbac_2_a_role_binding_allows_in_its_namespace_only(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await make(server, "namespaces/shop/roles", role("r", rule("configmaps", "list")))
        robot = {"kind": "ServiceAccount", "name": "robot"}
        await make(server, "namespaces/shop/rolebindings", binding("b", "Role", "r", robot, USER))
        assert await status(server, "GET", MAPS) == 200
        assert await status(server, "GET", MAPS, user=ROBOT) == 200
        assert await status(server, "GET", "/api/v1/namespaces/default/configmaps") == 403
        assert await status(server, "GET", "/api/v1/configmaps") == 403


async def test_rbac_3_nobody_gives_away_more_than_they_have(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        verbs = ("create", "patch")  # a "*" would have escalate and bind in it
        writer = role("writer", rule("roles rolebindings", *verbs, group="rbac.authorization.k8s.io"))
        await make(server, "clusterroles", writer)
        await make(server, "clusterroles", role("maps", rule("configmaps", "get", "list")))
        await make(server, "clusterroles", role("secrets", rule("secrets", "get")))
        await make(server, "namespaces/shop/rolebindings", binding("w", "ClusterRole", "writer", USER))
        await make(server, "namespaces/shop/rolebindings", binding("m", "ClusterRole", "maps", USER))

        roles, bindings = f"{GROUP}/namespaces/shop/roles", f"{GROUP}/namespaces/shop/rolebindings"
        assert await status(server, "POST", roles, role("mine", rule("configmaps", "get"))) == 201
        assert await status(server, "POST", bindings, binding("g", "ClusterRole", "maps", DEVS)) == 201
        refused = await server.send("POST", roles, role("more", rule("secrets", "get")), user=ANA)
        assert refused.status == 403
        assert refused.message.endswith(
            'user "ana" (groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions not currently '
            'held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
        )
        assert await status(server, "POST", bindings, binding("s", "ClusterRole", "secrets", DEVS)) == 403
        assert await status(server, "PATCH", f"{roles}/mine", {"metadata": {"labels": {"a": "b"}}}) == 200


async def test_what_a_binding_binds_cannot_be_changed(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await make(server, "clusterrolebindings", binding("b", "ClusterRole", "r", USER))
        answer = await server.send("PATCH", f"{GROUP}/clusterrolebindings/b", {"roleRef": {"name": "other"}})
        assert answer.status == 422
        assert answer.message.endswith("cannot change roleRef")


async def test_impersonation_needs_the_right_to_it(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await make(server, "clusterroles", role("r", rule("selfsubjectreviews", "create", group=AUTHENTICATION)))
        await make(server, "clusterrolebindings", binding("b", "ClusterRole", "r", DEVS))
        headers = {"impersonate-user": "ana", "impersonate-group": "devs"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        me = await server.send("POST", path, {}, headers=headers)
        assert me.body["status"]["userInfo"]["username"] == "ana"
        refused = await server.send("POST", path, {}, headers={"impersonate-user": "bob"}, user=ANA)
        assert refused.message == (
            'users "bob" is forbidden: User "ana" cannot impersonate resource "users" in API group "" '
            "at the cluster scope"
        )


async def test_the_default_roles_are_valid_and_let_the_controllers_do_their_work(tmp_path: Path) -> None:
    """RB-1 to RB-6, as far as a request shows them."""
    async with serving(tmp_path, rbac=True) as server:
        for resource, obj in default_policy():
            namespace = obj["metadata"].get("namespace")
            if namespace is not None:
                await server.send("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
            answer = await server.send("POST", resource.path(namespace), obj)
            assert answer.status == 201, answer.body
        binder = UserInfo("system:serviceaccount:kube-system:persistent-volume-binder")
        assert await status(server, "GET", VOLUMES, user=binder) == 200
        assert await status(server, "PUT", f"{VOLUMES}/x/status", config_map(), user=binder) == 400
        assert await status(server, "PATCH", f"{VOLUMES}/x", {}, user=binder) == 403
        assert await status(server, "GET", "/api/v1/secrets", user=binder) == 403
        names = {obj["metadata"]["name"] for _, obj in default_policy()}
        assert {f"system:controller:{name}" for name in OF_VOLUMES} <= names


SUBJECTS: dict[
    str, tuple[str, dict[str, Any], UserInfo, str]
] = {  # a binding, a user whom it allows something, and why
    "everywhere": (
        "clusterrolebindings",
        binding("all", "ClusterRole", "reads", DEVS),
        ANA,
        'RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "reads" to Group "devs"',
    ),
    "in a namespace": (
        "namespaces/shop/rolebindings",
        binding("some", "Role", "reads", {"kind": "User", "name": "eve"}, USER),
        ANA,
        'RBAC: allowed by RoleBinding "some/shop" of Role "reads" to User "eve"',
    ),
    "a role of the cluster, in a namespace": (
        "namespaces/shop/rolebindings",
        binding("few", "ClusterRole", "reads", USER),
        ANA,
        'RBAC: allowed by RoleBinding "few/shop" of ClusterRole "reads" to User "ana"',
    ),
    "an account of another namespace": (
        "clusterrolebindings",
        binding("robots", "ClusterRole", "reads", {"kind": "ServiceAccount", "name": "robot", "namespace": "shop"}),
        ROBOT,
        'RBAC: allowed by ClusterRoleBinding "robots" of ClusterRole "reads" to ServiceAccount "robot"',
    ),
}


@pytest.mark.parametrize(("path", "body", "user", "reason"), SUBJECTS.values(), ids=SUBJECTS.keys())
async def test_a_review_says_which_binding_allows_it(
    tmp_path: Path, path: str, body: dict[str, Any], user: UserInfo, reason: str
) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await make(server, "clusterroles", role("reads", rule("configmaps", "get")))
        await make(server, "namespaces/shop/roles", role("reads", rule("configmaps", "get")))
        await make(server, path, body)
        asked = {"verb": "get", "resource": "configmaps", "namespace": "shop", "name": "a"}
        spec = {"user": user.name, "groups": list(user.groups), "resourceAttributes": asked}
        review = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

        answer = await server.send("POST", review, {"spec": spec})
        assert answer.body["status"] == {"allowed": True, "reason": reason}
        spec["user"], spec["groups"] = "somebody", ["others"]
        assert (await server.send("POST", review, {"spec": spec})).body["status"] == {"allowed": False}


async def test_roles_that_were_there_before_count(tmp_path: Path) -> None:
    """A server that starts anew reads them all at its first question."""
    async with serving(tmp_path) as server:
        await make(server, "clusterroles", role("reads", rule("configmaps", "get")))
        await make(server, "clusterrolebindings", binding("all", "ClusterRole", "reads", DEVS))
    async with serving(tmp_path, rbac=True) as server:
        assert await status(server, "GET", f"{MAPS}/a") == 404
        assert await status(server, "DELETE", f"{MAPS}/a") == 403


async def test_rbac_3_a_binding_gives_the_rights_of_the_role_of_its_own_namespace(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        bindings = rule("rolebindings", "create", group="rbac.authorization.k8s.io")
        await make(server, "namespaces/shop/roles", role("own", rule("configmaps", "get"), bindings))
        await make(server, "namespaces/shop/rolebindings", binding("own", "Role", "own", USER))
        await make(server, "namespaces/shop/roles", role("more", rule("secrets", "get")))
        path = f"{GROUP}/namespaces/shop/rolebindings"

        assert await status(server, "POST", path, binding("x", "Role", "more", USER)) == 403
        assert await status(server, "POST", path, binding("y", "Role", "none", USER)) == 404
        assert await status(server, "POST", path, binding("z", "Role", "own", USER)) == 201


async def test_rbac_3_who_may_bind_a_role_needs_none_of_its_rights(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        group = "rbac.authorization.k8s.io"
        may_bind = rule("roles", "bind", group=group, resourceNames=["more"])
        may_write = rule("rolebindings clusterrolebindings", "create", group=group)
        await make(server, "clusterroles", role("binder", may_write, may_bind))
        await make(server, "clusterrolebindings", binding("binder", "ClusterRole", "binder", USER))
        secrets = rule("secrets", "get")
        await make(server, "clusterroles", role("more", secrets))
        for name in ("more", "other"):
            await make(server, "namespaces/shop/roles", role(name, secrets))
        path, eve = f"{GROUP}/namespaces/shop/rolebindings", {"kind": "User", "name": "eve"}

        assert await status(server, "POST", path, binding("x", "Role", "more", eve)) == 201
        assert await status(server, "POST", path, binding("y", "Role", "other", eve)) == 403
        assert await status(server, "POST", path, binding("z", "ClusterRole", "more", eve)) == 403


async def test_rbac_2_a_binding_to_a_role_that_is_not_there_allows_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await make(server, "clusterrolebindings", binding("none", "ClusterRole", "none", DEVS))

        assert await status(server, "GET", f"{MAPS}/a") == 403
