"""What policies are told of a request, and what becomes of it while they take their time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.server.api.rest.asking import bind_long, watch_aside, write_again
from tests.server.serving import ADMIN, MAPS, VOLUMES, Serving, config_map, serving, volume

from pvbinder.server.api.admission import Written
from pvbinder.server.api.admission.policies.written import as_it_is, served_object
from pvbinder.server.api.rest import reviewed
from pvbinder.server.api.rest.routes import serve_kind
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.requests import ApiRequest, UserInfo

PODS = "/api/v1/namespaces/shop/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
LABELS = {"app": "a"}
CONTAINERS = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": CONTAINERS}
POD = {"metadata": {"name": "p"}, "spec": CONTAINERS}
BINDING = {"metadata": {"name": "p"}, "target": {"name": "n"}}
DEPLOYMENT = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}}
OF_META = {"apiVersion": "meta.k8s.io/v1"}
CREATE = {"kind": "CreateOptions", **OF_META}
UPDATE = {"kind": "UpdateOptions", **OF_META}
DELETE = {"kind": "DeleteOptions", **OF_META}
ALL: dict[str, Any] = {"dryRun": ["All"]}
MINE: dict[str, Any] = {"fieldManager": "me", "fieldValidation": "Strict"}
MINE_QUERY = "fieldManager=me&fieldValidation=Strict&dryRun=All"
HEAVY = "x" * 20_000

# method, target, body; then operation, namespace, name, subresource, kind in the body, options, whether it is heavy
TOLD: dict[str, tuple[str, str, object, tuple[object, ...]]] = {
    "create": ("POST", MAPS, config_map("m"), ("CREATE", "shop", "m", "", "ConfigMap", CREATE, False)),
    "create, all options": (
        "POST", f"{MAPS}?{MINE_QUERY}", config_map("m"),
        ("CREATE", "shop", "m", "", "ConfigMap", {**CREATE, **MINE, **ALL}, False),
    ),
    "a heavy create": ("POST", MAPS, config_map("m", k=HEAVY), ("CREATE", "shop", "m", "", "ConfigMap", CREATE, True)),
    "create without a namespace": (
        "POST", VOLUMES, volume("w"), ("CREATE", "", "w", "", "PersistentVolume", CREATE, False)
    ),
    "patch": ("PATCH", f"{MAPS}/a", {}, ("UPDATE", "shop", "a", "", "ConfigMap", UPDATE, False)),
    "put, all options": (
        "PUT", f"{MAPS}/a?{MINE_QUERY}", config_map(),
        ("UPDATE", "shop", "a", "", "ConfigMap", {**UPDATE, **MINE, **ALL}, False),
    ),
    "options that are empty": (
        "PUT", f"{MAPS}/a?fieldManager=&fieldValidation=", config_map(),
        ("UPDATE", "shop", "a", "", "ConfigMap", UPDATE, False),
    ),
    "patch of what is heavy": ("PATCH", f"{MAPS}/big", {}, ("UPDATE", "shop", "big", "", "ConfigMap", UPDATE, True)),
    "put of what is heavy": (
        "PUT", f"{MAPS}/big", config_map("big"), ("UPDATE", "shop", "big", "", "ConfigMap", UPDATE, True)
    ),
    "a status": (
        "PATCH", f"{VOLUMES}/v/status", {}, ("UPDATE", "", "v", "status", "PersistentVolume", UPDATE, False)
    ),
    "a scale": ("PATCH", f"{DEPLOYMENTS}/d/scale", {}, ("UPDATE", "shop", "d", "scale", "Scale", UPDATE, False)),
    "a binding": ("POST", f"{PODS}/p/binding", BINDING, ("CREATE", "shop", "p", "binding", "Binding", CREATE, False)),
    "an eviction": (
        "POST", f"{PODS}/p/eviction", {"metadata": {"name": "p"}},
        ("CREATE", "shop", "p", "eviction", "Eviction", CREATE, False),
    ),
    "delete": ("DELETE", f"{MAPS}/a", None, ("DELETE", "shop", "a", "", "ConfigMap", DELETE, False)),
    "delete, all options": (
        "DELETE", f"{MAPS}/a",
        {"gracePeriodSeconds": 0, "propagationPolicy": "Orphan", "dryRun": ["All"], "preconditions": {"uid": "UID"}},
        (
            "DELETE", "shop", "a", "", "ConfigMap",
            {
                **DELETE, **ALL, "gracePeriodSeconds": 0, "propagationPolicy": "Orphan",
                "preconditions": {"uid": "UID"},
            },
            False,
        ),
    ),
    "delete of what is heavy": (
        "DELETE", f"{MAPS}/big", None, ("DELETE", "shop", "big", "", "ConfigMap", DELETE, True)
    ),
    "delete of a collection": (
        "DELETE", f"{MAPS}?fieldSelector=metadata.name=a", None,
        ("DELETE", "shop", "", "", "ConfigMap", DELETE, False),
    ),
}  # fmt: skip


async def made(server: Serving) -> str:
    """Make what the requests are about; return the uid of the config map ``a``."""
    uid = ""
    for path, body in (
        (MAPS, config_map("big", k=HEAVY)),
        (VOLUMES, volume("v")),
        (PODS, POD),
        (DEPLOYMENTS, DEPLOYMENT),
        (MAPS, config_map()),
    ):
        answer = await server.send("POST", path, body)
        assert answer.status == 201, answer.body
        uid = answer.body["metadata"]["uid"]
    return uid


@pytest.mark.parametrize("name", TOLD)
async def test_what_policies_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """REVIEWED-1, REVIEWED-2: once for each object, and each warning reaches the client."""
    method, target, body, expected = TOLD[name]
    async with serving(tmp_path) as server:
        uid = await made(server)
        asked: list[Written] = []
        heavy: list[bool] = []

        def ask(
            hooks: object, authorizer: object, written: Callable[[], Written], warnings: list[str], *, is_heavy: bool
        ) -> None:
            assert (hooks, authorizer) == (server.api.policies, server.api.authorizer)
            asked.append(written())
            heavy.append(is_heavy)
            warnings.append(f"w{len(asked)}")

        monkeypatch.setattr(reviewed, "ask_policies", ask)
        if method == "DELETE" and isinstance(body, dict):
            body = {**body, "preconditions": {"uid": uid}}
        answer = await server.send(method, target, body)
        assert answer.status in (200, 201), answer.body
        (written,) = asked
        options = dict(written.options)
        if "preconditions" in options:
            options["preconditions"] = {"uid": options["preconditions"]["uid"].replace(uid, "UID")}
        found = (
            written.operation, written.namespace, written.name, written.subresource, written.body.kind,
            options, heavy[0],
        )  # fmt: skip
        assert found == expected
        assert written.dry_run is ("dryRun" in options)
        assert written.user == ADMIN
        assert (
            written.kind.resource.plural
            == target.partition("?")[0].split("namespaces/shop/")[-1].split("/")[0 if "shop" in target else 3]
        )
        assert "w1" in answer.warnings
        if name == "a scale":
            stored = server.store.get("deployments.apps", "shop/d")
            assert stored is not None
            storage = server.api.objects.storage("apps", "v1", "deployments")
            assert storage is not None
            assert written.shape(written.kind, storage.decode(stored.data))["kind"] == "Scale"
        else:
            is_posted = written.body.kind in ("Binding", "Eviction")
            assert written.shape is (as_it_is if is_posted else served_object)


async def test_what_nobody_asked_for_is_asked_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request without a user, as none comes through the dispatcher, has the user without a name."""
    users: list[UserInfo] = []
    async with serving(tmp_path) as server:
        await made(server)

        def ask(_hooks: object, _rights: object, written: Callable[[], Written], _said: object, **_: object) -> None:
            users.append(written().user)

        monkeypatch.setattr(reviewed, "ask_policies", ask)
        storage = server.api.objects.storage("", "v1", "configmaps")
        assert storage is not None
        about = {"is_resource": True, "version": "v1", "resource": "configmaps", "namespace": "shop"}
        for method, verb, name, body in (
            ("POST", "create", "", b'{"metadata":{"name":"z"}}'),
            ("GET", "list", "", b""),
            ("DELETE", "delete", "a", b""),
            ("DELETE", "deletecollection", "", b""),
        ):
            request = ApiRequest(method, MAPS, body=body)
            attributes = Attributes(verb, MAPS, name=name, **about)  # type: ignore[arg-type]
            assert (await serve_kind(server.api, request, attributes, storage)).status in (200, 201)
    assert users == [UserInfo("")] * 4


SLOW: dict[str, tuple[str, str, object]] = {
    "create": ("POST", MAPS, config_map("m")),
    "put": ("PUT", f"{MAPS}/a", config_map(k="w")),
    "patch": ("PATCH", f"{MAPS}/a", {"data": {"k": "w"}}),
    "a scale": ("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 3}}),
    "a binding": ("POST", f"{PODS}/p/binding", BINDING),
    "bindings": ("POST", "/api/v1/namespaces/shop/bindings", BINDING),
    "an eviction": ("POST", f"{PODS}/p/eviction", {"metadata": {"name": "p"}}),
    "delete": ("DELETE", f"{MAPS}/a", None),
    "delete of a collection": ("DELETE", f"{MAPS}?fieldSelector=metadata.name=a", None),
}


@pytest.mark.parametrize(("method", "target", "body"), SLOW.values(), ids=SLOW.keys())
async def test_policies_that_take_long_are_waited_for(tmp_path: Path, method: str, target: str, body: object) -> None:
    """REVIEW-2: they are asked once, for the user, and what they deny isn't done."""
    async with serving(tmp_path) as server:
        await made(server)
        await bind_long(server, "request.dryRun")
        asked, revision = watch_aside(server), server.store.revision
        refused = await server.send(method, target, body)
        assert (refused.status, refused.message.endswith(": no")) == (422, True), refused.body
        assert server.store.revision == revision
        assert asked == [("admin", True, 0)]
        dry = f"{target}{'&' if '?' in target else '?'}dryRun=All"
        assert (await server.send(method, dry, body)).status in (200, 201)
        assert asked == [("admin", True, 0)] * 2


@pytest.mark.parametrize(("times", "status"), [(3, 200), (4, 409)])
async def test_review_1_a_deletion_is_judged_anew_when_the_object_is_written_meanwhile(
    tmp_path: Path, times: int, status: int
) -> None:
    async with serving(tmp_path) as server:
        await made(server)
        await bind_long(server)

        def meddle(number: int) -> None:
            if number <= times:
                write_again(server, "configmaps", "shop/a")

        asked = watch_aside(server, meddle)
        answer = await server.send("DELETE", f"{MAPS}/a")
        assert answer.status == status
        assert len(asked) == times + 1
        assert (await server.send("GET", f"{MAPS}/a")).status == (404 if status == 200 else 200)
        if status == 409:
            assert answer.message == (
                'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your '
                "changes to the latest version and try again"
            )


@pytest.mark.parametrize(("times", "status"), [(4, 200), (5, 409)])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_writing_1_a_change_begins_anew_when_the_object_is_written_meanwhile(
    tmp_path: Path, method: str, times: int, status: int
) -> None:
    async with serving(tmp_path) as server:
        await made(server)
        await bind_long(server)

        def meddle(number: int) -> None:
            if number <= times:
                write_again(server, "configmaps", "shop/a")

        watch_aside(server, meddle)
        answer = await server.send(method, f"{MAPS}/a", config_map(k="w"))
        assert answer.status == status
        assert ((await server.send("GET", f"{MAPS}/a")).body["data"]["k"] == "w") is (status == 200)
        if status == 409:
            assert answer.message.startswith('Operation cannot be fulfilled on configmaps "a": the object has been')


@pytest.mark.parametrize("target", [MAPS, f"{MAPS}/a"])
async def test_what_goes_while_it_is_judged_is_gone(tmp_path: Path, target: str) -> None:
    """Somebody else was faster: that stops the deletion of one object, and not that of a collection."""
    async with serving(tmp_path) as server:
        for name in "ab":
            await server.send("POST", MAPS, config_map(name))
        await bind_long(server)

        def take_away(number: int) -> None:
            if number == 1:
                server.store.delete("configmaps", "shop/a")

        watch_aside(server, take_away)
        answer = await server.send("DELETE", target)
        assert answer.status == (404 if target.endswith("/a") else 200)
        left = [item["metadata"]["name"] for item in (await server.send("GET", MAPS)).body["items"]]
        assert left == (["b"] if target.endswith("/a") else [])


@pytest.mark.parametrize("is_long", [True, False], ids=["policies that take long", "a heavy body"])
async def test_writing_1_a_namespace_that_goes_meanwhile_has_no_new_object(tmp_path: Path, is_long: bool) -> None:
    async with serving(tmp_path) as server:
        if is_long:
            await bind_long(server)

        def take_away(number: int) -> None:
            if number == (1 if is_long else 3):
                server.store.delete("namespaces", "shop")

        asked = watch_aside(server, take_away)
        answer = await server.send("POST", MAPS, config_map(k="v" if is_long else HEAVY))
        assert (answer.status, answer.message) == (404, 'namespaces "shop" not found')
        assert asked[0][0] == "admin"
        if not is_long:
            assert asked == [("admin", True, asked[0][2])] * 3
            assert asked[0][2] > len(HEAVY)
