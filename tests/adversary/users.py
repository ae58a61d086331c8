"""Users with random rights send random requests: no request gets more than SubjectAccessReviews allow.

In a world, roles and bindings are drawn for a few users with tokens. Each request comes with the attributes that it
needs, all of them: an apply that creates needs `patch` and `create`, an impersonation needs each part of whom it names.

- A request is answered 403 if the first of its attributes is denied, and has no effect if any is.
- It isn't answered 403 if all are allowed, unless it gives rights away.
- The requests of the users never add to the rights of all users together.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tests.adversary.attack import BARE, Attack, Figures
from tests.adversary.bystander import token_of
from tools.plane import RunningPlane, access, running

Json = dict[str, Any]
USERS = {"ana": ("devs",), "ben": ("devs", "ops"), "cem": ("ops",), "dia": ()}
NAMESPACES = ("shop", "mill")
RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP_OF = {
    "configmaps": "",
    "secrets": "",
    "events": "",
    "persistentvolumeclaims": "",
    "persistentvolumes": "",
    "serviceaccounts": "",
    "pods": "",
    "leases": "coordination.k8s.io",
    "roles": "rbac.authorization.k8s.io",
    "rolebindings": "rbac.authorization.k8s.io",
    "clusterroles": "rbac.authorization.k8s.io",
    "clusterrolebindings": "rbac.authorization.k8s.io",
}
CLUSTER_WIDE = {"persistentvolumes", "clusterroles", "clusterrolebindings"}
SUBRESOURCES = {
    "persistentvolumeclaims": ["status"],
    "persistentvolumes": ["status"],
    "pods": ["status", "binding", "eviction", "ephemeralcontainers"],
    "serviceaccounts": ["token"],
}
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
NAMES = ("a", "b", "c")
PUT_CREATES = {"leases", "events"}
GIVES_RIGHTS = {"roles", "rolebindings", "clusterroles", "clusterrolebindings"}


@dataclass(frozen=True, slots=True)
class Need:
    """A right that a request needs."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and the rights that it needs: of its own user, and then of the impersonated one."""

    method: str
    path: str
    needs: tuple[Need, ...]
    body: Json | None = None
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    impersonated: tuple[str, tuple[str, ...]] | None = None
    gives_rights: bool = False
    makes: str | None = None  # the path of the object that a denied request must not have made


class Line:
    """Requests with a token, one after the other."""

    def __init__(self, plane: RunningPlane, token: str) -> None:
        url, context = access(plane.kubeconfig)
        context = type(context)(context.protocol)
        context.load_verify_locations(str(plane.kubeconfig.parent / "pki" / "ca.crt"))
        parts = urlsplit(url)
        self._connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=60)
        self._token = token

    def send(self, asked: Asked) -> tuple[int, Json]:
        """Return status and body."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": asked.content_type, **dict(asked.headers)}
        body = json.dumps(asked.body) if asked.body is not None else None
        self._connection.request(asked.method, asked.path, body, headers)
        answer = self._connection.getresponse()
        if "watch=1" in asked.path and answer.status == 200:
            self._connection.close()
            return 200, {}
        text = answer.read()
        return answer.status, json.loads(text) if text.startswith(b"{") else {}

    def close(self) -> None:
        self._connection.close()


class World:
    """Some roles, some bindings, and the administrator who made them."""

    def __init__(self, admin: Line, random: Random) -> None:
        self._admin = admin
        self._random = random
        self.reviews = 0

    def make(self, number: int) -> None:
        """Draw new roles and bindings in place of the last ones."""
        for resource in ("clusterroles", "clusterrolebindings"):
            self._ask("DELETE", f"{RBAC}/{resource}?labelSelector=world%3Dchance")
        for namespace in NAMESPACES:
            for resource in ("roles", "rolebindings"):
                self._ask("DELETE", f"{RBAC}/namespaces/{namespace}/{resource}")
        for index in range(8):
            name = f"w{number}-{index}"
            metadata = {"name": name, "labels": {"world": "chance"}}
            namespace = self._random.choice([*NAMESPACES, ""])
            where = f"{RBAC}/namespaces/{namespace}/" if namespace else f"{RBAC}/cluster"
            rules = [self._rule() for _ in range(self._random.randint(1, 5))]
            self._ask("POST", f"{where}roles", {"metadata": metadata, "rules": rules})
            reference = {"kind": "Role" if namespace else "ClusterRole", "name": name}
            reference["apiGroup"] = "rbac.authorization.k8s.io"
            subjects = [self._subject()]
            self._ask(
                "POST", f"{where}rolebindings", {"metadata": metadata, "roleRef": reference, "subjects": subjects}
            )

    def _rule(self) -> Json:
        if self._random.random() < 0.15:
            resource = self._random.choice(["users", "groups", "serviceaccounts", "uids", "userextras/scope"])
            group = "authentication.k8s.io" if resource in ("uids", "userextras/scope") else ""
            return {"apiGroups": [group], "resources": [resource], "verbs": ["impersonate"]}
        resources = self._random.sample(sorted(GROUP_OF), self._random.randint(1, 4))
        rule: Json = {"apiGroups": sorted({GROUP_OF[resource] for resource in resources}), "resources": list(resources)}
        for resource in resources:
            if resource in SUBRESOURCES and self._random.random() < 0.5:
                rule["resources"].append(f"{resource}/{self._random.choice(SUBRESOURCES[resource])}")
        rule["verbs"] = self._random.sample(VERBS, self._random.randint(1, len(VERBS)))
        if self._random.random() < 0.3:
            rule["resourceNames"] = [self._random.choice(NAMES)]
        return rule

    def _subject(self) -> Json:
        kind, name = self._random.choice(
            [("User", "ana"), ("User", "ben"), ("User", "dia"), ("Group", "ops"), ("Group", "devs")]
        )
        return {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}

    def may(self, user: str, groups: tuple[str, ...], need: Need) -> bool:
        """Ask the server whether a user may."""
        self.reviews += 1
        spec = {
            "user": user,
            "groups": [*groups, "system:authenticated"],
            "resourceAttributes": {
                "verb": need.verb,
                "group": need.group,
                "resource": need.resource,
                "namespace": need.namespace,
                "name": need.name,
                "subresource": need.subresource,
                "version": "v1",
            },
        }
        said = self._ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
        return bool(said["status"]["allowed"])

    def power(self) -> set[tuple[str, Need]]:
        """Return the rights of all users together, out of a fixed list."""
        found = set()
        for verb, resource, namespace in product(("get", "create", "delete"), sorted(GROUP_OF), NAMESPACES):
            where = "" if resource in CLUSTER_WIDE else namespace
            need = Need(verb, GROUP_OF[resource], resource, where)
            if any(self.may(user, groups, need) for user, groups in USERS.items()):
                found.add(("somebody", need))
        return found

    def exists(self, path: str) -> bool:
        """Whether there is an object."""
        return self._admin.send(Asked("GET", path, ()))[0] == 200

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        status, said = self._admin.send(Asked(method, path, (), body))
        assert status < 500, said
        return said


def requests(random: Random) -> Iterator[Asked]:
    """Draw requests for ever."""
    while True:
        draw = random.random()
        yield _impersonating(random) if draw < 0.15 else _giving(random) if draw < 0.25 else _plain(random)


def _plain(random: Random) -> Asked:
    resource, verb = random.choice(sorted(set(GROUP_OF) - GIVES_RIGHTS)), random.choice(VERBS)
    group, name = GROUP_OF[resource], random.choice([*NAMES, f"n{random.randrange(10**6)}"])
    namespace = "" if resource in CLUSTER_WIDE else random.choice(NAMESPACES)
    base = f"/apis/{group}/v1" if group else "/api/v1"
    collection = f"{base}/namespaces/{namespace}/{resource}" if namespace else f"{base}/{resource}"
    one = f"{collection}/{name}"
    need = Need(verb, group, resource, namespace, name)
    body: Json = {"metadata": {"name": name}}
    if resource == "events" and namespace:
        body["involvedObject"] = {"namespace": namespace}
    subresource = random.choice(["", *SUBRESOURCES.get(resource, [])])
    if subresource == "binding":
        body["target"] = {"kind": "Node", "name": "worker"}  # one without is answered with 500, as recorded
    if subresource and verb in ("get", "update", "patch", "create"):
        method = {"get": "GET", "update": "PUT", "patch": "PATCH", "create": "POST"}[verb]
        patch = "application/merge-patch+json" if verb == "patch" else "application/json"
        return Asked(
            method,
            f"{one}/{subresource}",
            (Need(verb, group, resource, namespace, name, subresource),),
            None if verb == "get" else body,
            patch,
        )
    match verb:
        case "get":
            return Asked("GET", one, (need,))
        case "list":
            return Asked("GET", collection, (Need("list", group, resource, namespace),))
        case "watch":
            return Asked("GET", f"{collection}?watch=1&timeoutSeconds=1", (Need("watch", group, resource, namespace),))
        case "create":
            return Asked("POST", collection, (Need("create", group, resource, namespace),), body, makes=one)
        case "update":
            needs = (need, Need("create", group, resource, namespace, name)) if resource in PUT_CREATES else (need,)
            return Asked("PUT", one, needs, body, makes=one if resource in PUT_CREATES else None)
        case "patch" if random.random() < 0.6:
            whole = {**body, "apiVersion": f"{group}/v1" if group else "v1", "kind": KIND_OF[resource]}
            apply = f"{one}?fieldManager=me&force=true"
            needs = (need, Need("create", group, resource, namespace, name))
            return Asked("PATCH", apply, needs, whole, "application/apply-patch+yaml", makes=one)
        case "patch":
            return Asked("PATCH", one, (need,), {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json")
        case "delete":
            return Asked("DELETE", one, (need,))
        case _:
            selector = f"{collection}?labelSelector=a%3Db"
            return Asked("DELETE", selector, (Need("deletecollection", group, resource, namespace),))


KIND_OF = {
    "configmaps": "ConfigMap",
    "secrets": "Secret",
    "events": "Event",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "persistentvolumes": "PersistentVolume",
    "serviceaccounts": "ServiceAccount",
    "pods": "Pod",
    "leases": "Lease",
}


def _impersonating(random: Random) -> Asked:
    user, groups = random.choice([("ana", ()), ("cem", ("ops",)), ("system:serviceaccount:shop:robot", ())])
    headers = [("Impersonate-User", user)]
    if user.startswith("system:serviceaccount:"):
        _, _, namespace, name = user.split(":")
        needs = [Need("impersonate", "", "serviceaccounts", namespace, name)]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    else:
        needs = [Need("impersonate", "", "users", name=user)]
        needs += [Need("impersonate", "", "groups", name=group) for group in groups]
        headers += [("Impersonate-Group", group) for group in groups]
    if random.random() < 0.3:
        headers.append(("Impersonate-Uid", "u-1"))
        needs.append(Need("impersonate", "authentication.k8s.io", "uids", name="u-1"))
    if random.random() < 0.3:
        headers.append(("Impersonate-Extra-Scope", "all"))
        needs.append(Need("impersonate", "authentication.k8s.io", "userextras", name="all", subresource="scope"))
    plain = _plain(random)
    return Asked(
        plain.method,
        plain.path,
        tuple(needs) + plain.needs,
        plain.body,
        plain.content_type,
        tuple(headers),
        (user, groups),
        makes=plain.makes,
    )


def _giving(random: Random) -> Asked:
    """Try to give rights away: by roles, bindings, and aggregated roles."""
    name = f"n{random.randrange(10**6)}"
    rules: list[Json] = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    if random.random() < 0.5:
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    metadata: Json = {"name": name, "labels": {"world": "chance"}}
    me = {"kind": "User", "name": random.choice(sorted(USERS)), "apiGroup": "rbac.authorization.k8s.io"}
    admin = {"kind": "ClusterRole", "name": random.choice(["cluster-admin", "edit"])}
    admin["apiGroup"] = "rbac.authorization.k8s.io"
    namespace = random.choice(NAMESPACES)
    ways: list[tuple[str, Json]] = [
        ("roles", {"rules": rules}),
        ("clusterroles", {"rules": rules}),
        ("clusterroles", {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"world": "chance"}}]}}),
        ("rolebindings", {"roleRef": admin, "subjects": [me]}),
        ("clusterrolebindings", {"roleRef": admin, "subjects": [me]}),
    ]
    resource, body = random.choice(ways)
    where = "" if resource in CLUSTER_WIDE else namespace
    collection = f"{RBAC}/namespaces/{where}/{resource}" if where else f"{RBAC}/{resource}"
    group = "rbac.authorization.k8s.io"
    return Asked(
        "POST",
        collection,
        (Need("create", group, resource, where),),
        {"metadata": metadata, **body},
        gives_rights=True,
        makes=f"{collection}/{name}",
    )


def check(world: World, user: str, line: Line, asked: Asked) -> bool:
    """Send a request; return whether it was allowed."""
    own = USERS[user]
    allowed = []
    for need in asked.needs:
        who, groups = (user, own) if need.verb == "impersonate" or asked.impersonated is None else asked.impersonated
        allowed.append(world.may(who, groups, need))
    was_there = asked.makes is not None and world.exists(asked.makes)
    needed = (
        tuple(n for n in asked.needs if n.verb != "create") if was_there and asked.method != "POST" else asked.needs
    )
    may = all(ok for need, ok in zip(asked.needs, allowed, strict=True) if need in needed)
    status, said = line.send(asked)
    told = f"{user} {asked.method} {asked.path} {asked.headers}: {status} {said.get('message', '')}"
    assert status < 500, told
    if not allowed[0]:
        assert status == 403, f"the first need is denied: {told}"
    if not may:
        assert status >= 400, f"a need is denied: {told}; {list(zip(asked.needs, allowed, strict=True))}"
        if asked.makes is not None and not was_there:
            assert not world.exists(asked.makes), f"it was denied and is there: {told}"
    elif not asked.gives_rights and status == 403:
        assert "is forbidden: User" not in said.get("message", ""), f"all is allowed: {told}"
    return may


def run(directory: Path, seconds: float, random: Random) -> Figures:
    """Go through worlds."""
    tokens = directory / "tokens.csv"
    lines = [f'token-of-{user},{user},uid-{user},"{",".join(groups)}"' for user, groups in USERS.items()]
    tokens.write_text("\n".join(lines) + "\n")
    tokens.chmod(0o600)
    worlds = sent = allowed = 0
    with running(directory / "data", [*BARE, "--token-auth-file", str(tokens)]) as plane:
        admin = Line(plane, token_of(plane))
        users = {user: Line(plane, f"token-of-{user}") for user in USERS}
        world = World(admin, random)
        try:
            for namespace in NAMESPACES:
                admin.send(Asked("POST", "/api/v1/namespaces", (), {"metadata": {"name": namespace}}))
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                world.make(worlds)
                worlds += 1
                before = world.power()
                for asked, _ in zip(requests(random), range(250), strict=False):
                    user = random.choice(sorted(USERS))
                    allowed += check(world, user, users[user], asked)
                    sent += 1
                    if time.monotonic() > until:
                        break
                gained = world.power() - before
                assert not gained, f"rights were made out of nothing: {sorted(map(str, gained))[:5]}"
            assert "Traceback" not in plane.log()
        finally:
            for line in (admin, *users.values()):
                line.close()
    return {"worlds": worlds, "requests": sent, "allowed": allowed, "reviews": world.reviews}


ATTACKS = (Attack("random-users", run, 5),)
