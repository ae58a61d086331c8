"""Requests in the name of another user: each part of the identity needs a right of its own, and brings no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.identity.authorization.test_rbac import ANA, DEVS, binding, make, role, rule
from tests.server.serving import MAPS, Serving, serving

from pvbinder.server.errors import ApiError
from pvbinder.server.identity.impersonation import read_impersonation

AUTHENTICATION = "authentication.k8s.io"
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ROBOT = "system:serviceaccount:shop:robot"
ME = rule("selfsubjectreviews", "create", group=AUTHENTICATION)
USERS = rule("users", "impersonate", resourceNames=["bob"])


async def as_ana(server: Serving, *rules: dict[str, Any]) -> None:
    """Give Ana the rights of `rules`, and everybody the right to a SelfSubjectReview."""
    await make(server, "clusterroles", role("own", *rules, ME))
    await make(server, "clusterrolebindings", binding("own", "ClusterRole", "own", DEVS))
    await make(server, "clusterroles", role("me", ME))
    everybody = [{"kind": "Group", "name": f"system:{group}"} for group in ("authenticated", "unauthenticated")]
    await make(server, "clusterrolebindings", binding("me", "ClusterRole", "me", *everybody))


NEEDED: dict[str, tuple[dict[str, str], list[dict[str, Any]], str]] = {
    "a uid": (
        {"impersonate-user": "bob", "impersonate-uid": "7"},
        [rule("uids", "impersonate", group=AUTHENTICATION, resourceNames=["7"])],
        (
            'uids.authentication.k8s.io "7" is forbidden: User "ana" cannot impersonate resource "uids" in API group '
            '"authentication.k8s.io" at the cluster scope'
        ),
    ),
    "an extra": (
        {"impersonate-user": "bob", "impersonate-extra-scopes": "view"},
        [rule("userextras/scopes", "impersonate", group=AUTHENTICATION, resourceNames=["view"])],
        (
            'userextras.authentication.k8s.io "view" is forbidden: User "ana" cannot impersonate resource '
            '"userextras/scopes" in API group "authentication.k8s.io" at the cluster scope'
        ),
    ),
    "an extra whose name is encoded and in capitals": (
        {"impersonate-user": "bob", "impersonate-extra-Example.com%2fScopes": "view"},
        [rule("userextras/example.com/scopes", "impersonate", group=AUTHENTICATION)],
        (
            'userextras.authentication.k8s.io "view" is forbidden: User "ana" cannot impersonate resource '
            '"userextras/example.com/scopes" in API group "authentication.k8s.io" at the cluster scope'
        ),
    ),
    "a group": (
        {"impersonate-user": "bob", "impersonate-group": "ops"},
        [rule("groups", "impersonate", resourceNames=["ops"])],
        (
            'groups "ops" is forbidden: User "ana" cannot impersonate resource "groups" in API group "" at the cluster '
            "scope"
        ),
    ),
}


@pytest.mark.parametrize(("headers", "needed", "message"), NEEDED.values(), ids=NEEDED.keys())
async def test_impersonation_1_each_thing_to_be_is_a_right_of_its_own(
    tmp_path: Path, headers: dict[str, str], needed: list[dict[str, Any]], message: str
) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_ana(server, USERS)
        refused = await server.send("POST", REVIEWS, {}, headers=headers, user=ANA)
        assert (refused.status, refused.message) == (403, message)
        await make(server, "clusterroles", role("more", *needed))
        await make(server, "clusterrolebindings", binding("more", "ClusterRole", "more", DEVS))
        me = await server.send("POST", REVIEWS, {}, headers=headers, user=ANA)
        assert me.status == 201, me.body
        assert me.body["status"]["userInfo"]["username"] == "bob"


async def test_impersonation_1_one_value_that_is_not_allowed_refuses_all(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_ana(server, USERS, rule("userextras/a", "impersonate", group=AUTHENTICATION, resourceNames=["1"]))
        headers = {"impersonate-user": "bob", "impersonate-extra-a": "1, 2"}
        assert (await server.send("POST", REVIEWS, {}, headers=headers, user=ANA)).status == 403


async def test_impersonation_1_a_service_account_is_one_by_the_right_in_its_namespace(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_ana(server)
        await make(server, "namespaces/shop/roles", role("r", rule("serviceaccounts", "impersonate")))
        await make(server, "namespaces/shop/rolebindings", binding("b", "Role", "r", DEVS))
        me = await server.send("POST", REVIEWS, {}, headers={"impersonate-user": ROBOT}, user=ANA)
        assert me.status == 201, me.body
        assert me.body["status"]["userInfo"]["groups"] == [
            "system:serviceaccounts",
            "system:serviceaccounts:shop",
            "system:authenticated",
        ]
        other = ROBOT.replace("shop", "default")
        refused = await server.send("POST", REVIEWS, {}, headers={"impersonate-user": other}, user=ANA)
        assert refused.message == (
            'serviceaccounts "robot" is forbidden: User "ana" cannot impersonate resource "serviceaccounts" in API '
            'group "" in the namespace "default"'
        )


async def test_impersonation_1_the_right_to_users_is_none_to_service_accounts(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_ana(server, rule("users", "impersonate"))
        for user, status in {ROBOT: 403, "system:serviceaccount:shop": 201, "system:serviceaccount:a:b:c": 201}.items():
            answer = await server.send("POST", REVIEWS, {}, headers={"impersonate-user": user}, user=ANA)
            assert answer.status == status, user


async def test_impersonation_1_nobody_becomes_a_master_by_the_right_to_another_group(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_ana(server, USERS, rule("groups", "impersonate", resourceNames=["ops"]))
        headers = {"impersonate-user": "bob", "impersonate-group": "system:masters"}
        assert (await server.send("GET", MAPS, headers=headers, user=ANA)).status == 403


GROUPS = {
    "a user": ("bob", "", ["system:authenticated"]),
    "a user with a group": ("bob", "ops", ["ops", "system:authenticated"]),
    "a user who shall be unauthenticated": ("bob", "system:unauthenticated", ["system:unauthenticated"]),
    "a service account": (
        ROBOT,
        "",
        ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
    ),
    "a service account with a group has no other": (ROBOT, "ops", ["ops", "system:authenticated"]),
    "nobody": ("system:anonymous", "", ["system:unauthenticated"]),
    "nobody with a group": ("system:anonymous", "ops", ["ops", "system:unauthenticated"]),
}


@pytest.mark.parametrize(("user", "group", "groups"), GROUPS.values(), ids=GROUPS.keys())
def test_impersonation_2_the_groups_are_those_of_the_kind_and_those_asked_for(
    user: str, group: str, groups: list[str]
) -> None:
    headers = {"impersonate-user": user} | ({"impersonate-group": group} if group else {})
    wanted = read_impersonation(headers)
    assert wanted is not None
    assert list(wanted.as_user().groups) == groups


WITHOUT_USER = {
    "a group": ({"impersonate-group": "a"}, 'UID:"", Groups:[]string{"a"}, Extra:map[string][]string(nil)'),
    "a uid": ({"impersonate-uid": "7"}, 'UID:"7", Groups:[]string(nil), Extra:map[string][]string(nil)'),
    "an extra": (
        {"impersonate-extra-k": "v", "impersonate-user": ""},
        'UID:"", Groups:[]string(nil), Extra:map[string][]string{"k":[]string{"v"}}',
    ),
}


@pytest.mark.parametrize(("headers", "shown"), WITHOUT_USER.values(), ids=WITHOUT_USER.keys())
def test_something_to_be_without_a_user_is_a_bad_request(headers: dict[str, str], shown: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_impersonation(headers)
    message = f'requested &user.DefaultInfo{{Name:"", {shown}}} without impersonating a user name'
    assert (refused.value.code, refused.value.message) == (400, message)


def test_an_empty_user_and_headers_of_other_names_are_nobody() -> None:
    assert read_impersonation({"impersonate-user": ""}) is None
    assert read_impersonation({"impersonate-color": "red"}) is None


def test_a_comma_is_part_of_a_group_where_the_fields_are_known_each_by_itself() -> None:
    headers = {"impersonate-user": "bob", "impersonate-group": "a, b"}
    one, two = read_impersonation(headers, {}), read_impersonation(headers, {"impersonate-group": ("a", "b")})
    assert one is not None
    assert two is not None
    assert (one.groups, two.groups) == (("a, b",), ("a", "b"))
