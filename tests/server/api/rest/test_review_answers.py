"""Reviews of rights: the whole answer to each question, and the refusals of questions that mean nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import serving

from pvbinder.server.requests import UserInfo

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
SELF, ANY = f"{AUTHORIZATION}/selfsubjectaccessreviews", f"{AUTHORIZATION}/subjectaccessreviews"
HERE = f"{AUTHORIZATION}/namespaces/shop/localsubjectaccessreviews"
RULES = f"{AUTHORIZATION}/selfsubjectrulesreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ANA = UserInfo("ana", "7", ("devs",), {"scopes": ("a", "b")})
PODS = {"verb": "get", "group": "g", "version": "v1", "resource": "pods", "subresource": "log"}
POD = {**PODS, "namespace": "shop", "name": "p"}
PATH = {"verb": "get", "path": "/metrics"}
READERS = [
    (
        "clusterroles",
        {
            "metadata": {"name": "r"},
            "rules": [
                {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
                {
                    "verbs": ["create"],
                    "apiGroups": ["authentication.k8s.io", "authorization.k8s.io"],
                    "resources": ["*"],
                },
            ],
        },
    ),
    (
        "namespaces/shop/roles",
        {
            "metadata": {"name": "r"},
            "rules": [
                {"verbs": ["get"], "apiGroups": ["g"], "resources": ["pods/log"], "resourceNames": ["p"]},
            ],
        },
    ),
    (
        "clusterrolebindings",
        {
            "metadata": {"name": "r"},
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": "Group", "name": "devs"}],
        },
    ),
    (
        "namespaces/shop/rolebindings",
        {
            "metadata": {"name": "r"},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "ana"}],
        },
    ),
]
BY_ROLE = {"allowed": True, "reason": 'RBAC: allowed by RoleBinding "r/shop" of Role "r" to User "ana"'}
BY_GROUP = {"allowed": True, "reason": 'RBAC: allowed by ClusterRoleBinding "r" of ClusterRole "r" to Group "devs"'}
NO = {"allowed": False}
ANSWERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # where, the spec: the status
    "they may, by name": (ANY, {"user": "ana", "resourceAttributes": POD}, BY_ROLE),
    "another name": (ANY, {"user": "ana", "resourceAttributes": {**POD, "name": "q"}}, NO),
    "another verb": (ANY, {"user": "ana", "resourceAttributes": {**POD, "verb": "list"}}, NO),
    "another group": (ANY, {"user": "ana", "resourceAttributes": {**POD, "group": "h"}}, NO),
    "another resource": (ANY, {"user": "ana", "resourceAttributes": {**POD, "resource": "nodes"}}, NO),
    "the resource itself": (ANY, {"user": "ana", "resourceAttributes": {**POD, "subresource": ""}}, NO),
    "another namespace": (ANY, {"user": "ana", "resourceAttributes": {**POD, "namespace": "x"}}, NO),
    "a path, by group": (ANY, {"groups": ["devs"], "nonResourceAttributes": PATH}, BY_GROUP),
    "another path": (ANY, {"groups": ["devs"], "nonResourceAttributes": {**PATH, "path": "/m"}}, NO),
    "another verb of a path": (ANY, {"groups": ["devs"], "nonResourceAttributes": {**PATH, "verb": "put"}}, NO),
    "nothing is asked": (ANY, {"user": "ana", "nonResourceAttributes": {}}, NO),
    "here": (HERE, {"user": "ana", "resourceAttributes": POD}, BY_ROLE),
    "myself": (SELF, {"resourceAttributes": POD}, BY_ROLE),
    "myself, by path": (SELF, {"nonResourceAttributes": PATH}, BY_GROUP),
    "all that I may": (
        RULES,
        {"namespace": "shop"},
        {
            "resourceRules": [
                {
                    "verbs": ["create"],
                    "apiGroups": ["authentication.k8s.io", "authorization.k8s.io"],
                    "resources": ["*"],
                },
                {"verbs": ["get"], "apiGroups": ["g"], "resources": ["pods/log"], "resourceNames": ["p"]},
            ],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}],
            "incomplete": False,
        },
    ),
    "who I am": (
        WHO,
        {},
        {
            "userInfo": {
                "username": "ana",
                "uid": "7",
                "groups": ["devs", "system:authenticated"],
                "extra": {"scopes": ["a", "b"]},
            }
        },
    ),
}
BOTH = {"resourceAttributes": POD, "nonResourceAttributes": PATH}
ONE = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
REFUSED: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "nothing": (SELF, {}, 422, f"spec.resourceAttributes: Invalid value: null: {ONE}"),
    "both": (
        SELF,
        BOTH,
        422,
        (
            'spec.nonResourceAttributes: Invalid value: {"Path":"/metrics","Verb":"get"}: '
            "cannot be specified in combination with resourceAttributes"
        ),
    ),
    "nobody": (
        ANY,
        {"resourceAttributes": POD},
        422,
        'spec.user: Invalid value: "": at least one of user or group must be specified',
    ),
    "another namespace": (
        HERE,
        {"user": "ana", "resourceAttributes": {**POD, "namespace": "x"}},
        422,
        'spec.resourceAttributes.namespace: Invalid value: "x": must match metadata.namespace',
    ),
    "no namespace": (RULES, {}, 400, "no namespace on request"),
}


@pytest.fixture
async def reviews(tmp_path: Path) -> Any:
    async with serving(tmp_path, rbac=True) as server:
        for path, body in READERS:
            answer = await server.send("POST", f"/apis/rbac.authorization.k8s.io/v1/{path}", body)
            assert answer.status == 201, answer.body
        yield server


async def test_what_a_review_answers(reviews: Any) -> None:
    """Every question to one server: a review writes nothing."""
    me = UserInfo("ana", "7", ("devs", "system:authenticated"), {"scopes": ("a", "b")})
    before = reviews.store.revision
    for name, (path, spec, status) in ANSWERS.items():
        asks = me if path in (SELF, RULES, WHO) else None
        answer = await reviews.send("POST", path, {"spec": spec} if spec else {}, user=asks)
        assert (answer.status, name, answer.body["status"]) == (201, name, status)
        assert answer.body["apiVersion"] == "/".join(path.split("/")[2:4])
        assert answer.body["kind"].lower() == f"{path.rpartition('/')[2].removesuffix('s')}"
    assert reviews.store.revision == before
    masters = await reviews.send("POST", RULES, {"spec": {"namespace": "shop"}})
    assert masters.body["status"]["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]


async def test_what_a_review_refuses(reviews: Any) -> None:
    for name, (path, spec, code, why) in REFUSED.items():
        answer = await reviews.send("POST", path, {"spec": spec})
        assert (answer.status, name, answer.message.split(" is invalid: ")[-1]) == (code, name, why)
        assert "kind" not in answer.body.get("details", {})
        assert answer.body["reason"] == ("Invalid" if code == 422 else "BadRequest")


async def test_a_review_is_only_made(reviews: Any) -> None:
    for method, path in (
        ("GET", SELF),
        ("POST", f"{SELF}/name"),
        ("POST", f"{AUTHORIZATION}/localsubjectaccessreviews"),
    ):
        answer = await reviews.send(method, path, {} if method == "POST" else None)
        assert answer.status in (404, 405), (method, path, answer.body)
