"""Reviews agree with requests: in worlds of random roles, a request is refused exactly when its review says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.identity.authorization.test_rbac import make
from tests.server.serving import MAPS, VOLUMES, Serving, config_map, serving, volume

from pvbinder.server.requests import UserInfo

ANA = UserInfo("ana", groups=("devs", "system:authenticated"))
APPLY = "application/apply-patch+yaml"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
REVIEWS = "/apis/authorization.k8s.io/v1"
NAMED_A = "fieldSelector=metadata.name%3Da"
BAD_START = "resourceVersion=abc"  # a watch that is allowed ends at once, with an error


def on(verb: str, resource: str, name: str = "", *, namespace: str = "shop", group: str = "") -> dict[str, Any]:
    """The question of a review about a right, written down by hand for each request below."""
    plural, _, subresource = resource.partition("/")
    asked = {"verb": verb, "group": group, "version": "v1", "resource": plural, "subresource": subresource}
    return {"resourceAttributes": {**asked, "namespace": namespace, "name": name}}


def path(verb: str, where: str) -> dict[str, Any]:
    return {"nonResourceAttributes": {"verb": verb, "path": where}}


def applied(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


DRY = "dryRun=All"
ASKED = "configmaps"
REQUESTS: dict[str, tuple[str, str, Any, list[dict[str, Any]]]] = {
    "list": ("GET", MAPS, None, [on("list", ASKED)]),
    "list everywhere": ("GET", "/api/v1/configmaps", None, [on("list", ASKED, namespace="")]),
    "list of one": ("GET", f"{MAPS}?{NAMED_A}", None, [on("list", ASKED, "a")]),
    "get": ("GET", f"{MAPS}/a", None, [on("get", ASKED, "a")]),
    "watch": ("GET", f"{MAPS}?watch=1&{BAD_START}", None, [on("watch", ASKED)]),
    "watch of one": ("GET", f"{MAPS}?watch=1&{BAD_START}&{NAMED_A}", None, [on("watch", ASKED, "a")]),
    "create": ("POST", f"{MAPS}?{DRY}", config_map("new"), [on("create", ASKED)]),
    "create with a selector": ("POST", f"{MAPS}?{DRY}&{NAMED_A}", config_map("new"), [on("create", ASKED)]),
    "update": ("PUT", f"{MAPS}/a?{DRY}", config_map("a"), [on("update", ASKED, "a")]),
    "patch": ("PATCH", f"{MAPS}/a?{DRY}", {"data": {"x": "y"}}, [on("patch", ASKED, "a")]),
    "apply": ("APPLY", f"{MAPS}/a?{DRY}&fieldManager=m", applied("ConfigMap", "a"), [on("patch", ASKED, "a")]),
    "apply of a new one": (
        "APPLY",
        f"{MAPS}/new?{DRY}&fieldManager=m",
        applied("ConfigMap", "new"),
        [on("patch", ASKED, "new"), on("create", ASKED, "new")],
    ),
    "delete": ("DELETE", f"{MAPS}/a?{DRY}", None, [on("delete", ASKED, "a")]),
    "delete all": ("DELETE", f"{MAPS}?{DRY}", None, [on("deletecollection", ASKED)]),
    "delete all that are called a": ("DELETE", f"{MAPS}?{DRY}&{NAMED_A}", None, [on("deletecollection", ASKED)]),
    "update of a new lease": (
        "PUT",
        f"{LEASES}/new?{DRY}",
        {"metadata": {"name": "new"}},
        [on(verb, "leases", "new", group="coordination.k8s.io") for verb in ("update", "create")],
    ),
    "status": (
        "PATCH",
        f"{VOLUMES}/a/status?{DRY}",
        {"status": {"phase": "Available"}},
        [on("patch", "persistentvolumes/status", "a", namespace="")],
    ),
    "a path": ("GET", "/version", None, [path("get", "/version")]),
    "a path below": ("GET", "/openapi/v2", None, [path("get", "/openapi/v2")]),
    "nothing there": ("GET", "/nosuch", None, [path("get", "/nosuch")]),
}

verbs = st.lists(
    st.sampled_from(["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "*"]),
    min_size=1,
    max_size=5,
    unique=True,
)
resource_rules = st.fixed_dictionaries(
    {
        "verbs": verbs,
        "apiGroups": st.sampled_from([[""], ["*"], ["coordination.k8s.io"], ["", "coordination.k8s.io"]]),
        "resources": st.sampled_from(
            [
                ["configmaps"],
                ["leases", "configmaps"],
                ["*"],
                ["persistentvolumes"],
                ["*/status"],
                ["a"],
                ["persistentvolumes/status"],
            ]
        ),
    },
    optional={"resourceNames": st.sampled_from([["a"], ["new"], ["b"], ["a", "new"], [""]])},
)
path_rules = st.fixed_dictionaries(
    {
        "verbs": verbs,
        "nonResourceURLs": st.sampled_from([["/version"], ["*"], ["/openapi/*"], ["/nosuch", "/ver*"]]),
    }
)
grants = st.lists(
    st.tuples(
        st.lists(resource_rules | path_rules, min_size=1, max_size=3),
        st.sampled_from(["", "shop", "default"]),
        st.sampled_from([{"kind": "User", "name": "ana"}, {"kind": "Group", "name": "devs"}])
        | st.just({"kind": "User", "name": "bob"}),
    ),
    max_size=4,
)


async def build(
    server: Serving, world: list[tuple[list[dict[str, Any]], str, dict[str, str]]], prefix: str = "r"
) -> None:
    await server.send("POST", MAPS, config_map("a"))
    await server.send("POST", VOLUMES, volume("a"))
    for number, (rules, namespace, subject) in enumerate(world):
        name = f"{prefix}{number}"
        await make(server, "clusterroles", {"metadata": {"name": name}, "rules": rules})
        where = f"namespaces/{namespace}/rolebindings" if namespace else "clusterrolebindings"
        reference = {"kind": "ClusterRole", "name": name}
        await make(server, where, {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]})


async def says(server: Serving, asked: dict[str, Any]) -> bool:
    """Ask about Ana, and let Ana ask, where she may."""
    of_her = {**asked, "user": ANA.name, "groups": list(ANA.groups)}
    about = await server.send("POST", f"{REVIEWS}/subjectaccessreviews", {"spec": of_her})
    assert about.status == 201, about.body
    own = await server.send("POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": asked}, user=ANA)
    if own.status != 403:
        assert own.body["status"]["allowed"] is about.body["status"]["allowed"]
    return bool(about.body["status"]["allowed"])


def is_in(rules: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Look for a right in the list of a SelfSubjectRulesReview."""
    wanted = asked["resourceAttributes"]
    whole = f"{wanted['resource']}/{wanted['subresource']}".rstrip("/")
    return any(
        {wanted["verb"], "*"} & set(rule["verbs"])
        and {wanted["group"], "*"} & set(rule["apiGroups"])
        and {whole, "*"} & set(rule["resources"])
        and wanted["name"] in (rule.get("resourceNames") or [wanted["name"]])
        for rule in rules["resourceRules"]
    )


async def compare(directory: Path, world: list[Any]) -> None:
    async with serving(directory, rbac=True) as server:
        await build(server, world)
        spec = {"spec": {"namespace": "shop"}}
        review = {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectrulesreviews"], "verbs": ["create"]}
        await build(server, [([review], "", {"kind": "User", "name": "ana"})], "rules")
        rules = await server.send("POST", f"{REVIEWS}/selfsubjectrulesreviews", spec, user=ANA)
        for name, (method, target, body, needed) in REQUESTS.items():
            content_type = APPLY if method == "APPLY" else None
            verb = "PATCH" if method == "APPLY" else method
            answer = await server.send(verb, target, body, content_type=content_type, user=ANA)
            allowed = [await says(server, asked) for asked in needed]
            assert (answer.status != 403) is all(allowed), (name, answer.body)
            for asked, says_so in zip(needed, allowed, strict=True):
                if asked.get("resourceAttributes", {}).get("namespace") == "shop":
                    assert is_in(rules.body["status"], asked) is says_so, name


@given(world=grants)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_request_is_refused_just_when_a_review_says_so(
    tmp_path_factory: pytest.TempPathFactory, world: list[Any]
) -> None:
    asyncio.run(compare(tmp_path_factory.mktemp("world"), world))
