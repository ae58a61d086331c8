"""Details of writes: what admission is told, whole messages, what an update keeps, rights of a write that creates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.api.rest.asking import watch_aside, write_again
from tests.server.hostile import with_widgets
from tests.server.serving import ADMIN, MAPS, VOLUMES, Serving, config_map, serving, volume

from pvbinder.server.api import admission
from pvbinder.server.api.rest.object_meta import keep_what_is_fixed, put_in_namespace
from pvbinder.server.errors import ApiError
from pvbinder.server.requests import UserInfo

PODS = "/api/v1/namespaces/shop/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles"
ROLE_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings"
APPLY = "application/apply-patch+yaml"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
ANA = UserInfo("ana", groups=("system:authenticated",))


async def test_what_admission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind, the namespace, the name, the user, the subresource, and the plugins that are left out."""
    told: list[admission.AdmissionAttributes] = []
    steps: list[str] = []
    for step in ("prepare", "admit", "validate", "admit_delete"):
        called = getattr(admission, step)

        def recorded(*given: Any, step: str = step, called: Any = called) -> Any:
            told.append(given[0] if step == "admit_delete" else given[1])
            steps.append(step)
            return called(*given)

        monkeypatch.setattr(admission, step, recorded)
    async with serving(tmp_path) as server:
        disabled = server.api.disabled_plugins
        assert disabled
        for method, target, body, expected in (
            ("POST", PODS, POD, ("Pod", "shop", "p", "", disabled, ["prepare", "admit", "validate"])),
            ("PATCH", f"{PODS}/p", {}, ("Pod", "shop", "p", "", disabled, ["prepare", "admit", "validate"])),
            (
                "PATCH", f"{PODS}/p/status", {},
                ("Pod", "shop", "p", "status", disabled, ["prepare", "admit", "validate"]),
            ),
            (
                "POST", f"{PODS}/p/binding", {"metadata": {"name": "p"}, "target": {"name": "n"}},
                ("Pod", "shop", "p", "binding", disabled, ["prepare", "admit", "validate"]),
            ),
            ("DELETE", f"{PODS}/p", None, ("Pod", "shop", "p", "", frozenset(), ["admit_delete"])),
            (
                "POST", VOLUMES, volume("v"),
                ("PersistentVolume", "", "v", "", disabled, ["prepare", "admit", "validate"]),
            ),
            (
                "PUT", f"{VOLUMES}/v", volume("v"),
                ("PersistentVolume", "", "v", "", disabled, ["prepare", "admit", "validate"]),
            ),
            (
                "POST", MAPS, {"metadata": {"generateName": "g-"}},
                ("ConfigMap", "shop", "g-", "", disabled, ["prepare", "admit", "validate"]),
            ),
            (
                "POST", MAPS, config_map("heavy", k="x" * 20_000),
                ("ConfigMap", "shop", "heavy", "", disabled, ["prepare", "admit", "admit", "validate"]),
            ),
        ):  # fmt: skip
            told.clear()
            steps.clear()
            answer = await server.send(method, target, body)
            assert answer.status in (200, 201), answer.body
            kind, namespace, name, part, plugins, order = expected
            assert steps == order
            for on in told:
                assert (on.kind.resource.kind, on.namespace, on.subresource) == (kind, namespace, part), target
                assert on.name.startswith(name)
                assert (on.user, on.disabled, on.review) == (ADMIN, plugins, None)


async def test_the_uid_that_a_write_means_is_named_with_its_key(tmp_path: Path) -> None:  # GW-7
    async with serving(tmp_path) as server:
        uid = (await server.send("POST", MAPS, config_map())).body["metadata"]["uid"]
        sent = config_map()
        sent["metadata"]["uid"] = "other"
        for query, root in (("", "/registry"), ("?dryRun=All", "")):
            answer = await server.send("PUT", f"{MAPS}/a{query}", sent)
            assert (answer.status, answer.message) == (
                409,
                (
                    'Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, Key: '
                    f"{root}/configmaps/shop/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in "
                    f"precondition: other, UID in object meta: {uid}"
                ),
            )
            assert answer.body["details"] == {"name": "a", "kind": "configmaps"}
        sent["metadata"]["uid"] = uid
        assert (await server.send("PUT", f"{MAPS}/a", sent)).status == 200
        wrong = await server.send(
            "PATCH", f"{MAPS}/b?fieldManager=m", {"apiVersion": "v1", "kind": "ConfigMap", **sent}, content_type=APPLY
        )
        assert wrong.status == 400
        sent["metadata"]["name"] = "b"
        absent = await server.send(
            "PATCH", f"{MAPS}/b?fieldManager=m", {"apiVersion": "v1", "kind": "ConfigMap", **sent}, content_type=APPLY
        )
        assert absent.message == (
            f'Operation cannot be fulfilled on configmaps "b": uid mismatch: the provided object specified uid {uid}, '
            "and no existing object was found"
        )


async def test_a_name_that_is_taken_says_by_what(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, {"metadata": {"name": "a", "finalizers": ["x/y"]}})
        for message in ("", "object is being deleted: "):
            answer = await server.send("POST", MAPS, config_map())
            assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
            assert answer.message == f'{message}configmaps "a" already exists'
            assert answer.body["details"] == {"name": "a", "kind": "configmaps"}
            await server.send("DELETE", f"{MAPS}/a")


async def test_a_write_that_turns_out_to_create_needs_the_right_to(tmp_path: Path) -> None:
    """DISPATCH-4."""
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    async with serving(tmp_path, rbac=True) as server:
        for verbs, status in ((["update", "patch"], 403), (["update", "patch", "create"], 201)):
            role = {"metadata": {"name": "r"}, "rules": [{**rule, "verbs": verbs}]}
            answer = await server.send(
                "POST" if status == 403 else "PUT", ROLES + ("" if status == 403 else "/r"), role
            )
            assert answer.status in (200, 201), answer.body
            subject = {"kind": "User", "name": "ana", "apiGroup": "rbac.authorization.k8s.io"}
            by = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
            await server.send("POST", ROLE_BINDINGS, {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": by})
            put = await server.send("PUT", f"{LEASES}/l", {"metadata": {"name": "l"}}, user=ANA)
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "m"}}
            applied = await server.send("PATCH", f"{LEASES}/m?fieldManager=m", lease, content_type=APPLY, user=ANA)
            assert (put.status, applied.status) == (status, status), put.body
            if status == 403:
                assert put.message == (
                    'leases.coordination.k8s.io "l" is forbidden: User "ana" cannot create resource "leases" in API '
                    'group "coordination.k8s.io" in the namespace "shop"'
                )


async def test_who_may_write_roles_gives_no_more_than_he_has(tmp_path: Path) -> None:
    """What the authorizer guards is asked for a new object and for a changed one."""
    mine = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create", "update", "patch"]}
    more = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    async with serving(tmp_path, rbac=True) as server:
        await server.send("POST", ROLES, {"metadata": {"name": "r"}, "rules": [mine]})
        subject = {"kind": "User", "name": "ana", "apiGroup": "rbac.authorization.k8s.io"}
        by = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
        await server.send("POST", ROLE_BINDINGS, {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": by})
        assert (await server.send("POST", ROLES, {"metadata": {"name": "s"}, "rules": [mine]}, user=ANA)).status == 201
        for method, path, rules in (("POST", ROLES, [more]), ("PATCH", f"{ROLES}/s", [more])):
            name = "t" if method == "POST" else "s"
            answer = await server.send(method, path, {"metadata": {"name": name}, "rules": rules}, user=ANA)
            assert answer.status == 403
            assert "is attempting to grant RBAC permissions not currently held" in answer.message


NOW = "2026-03-01T12:00:00Z"
BEFORE = {"uid": "u", "resourceVersion": "7", "creationTimestamp": NOW}
KEPT: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {  # sent, before, after
    "nothing": ({}, {}, {}),
    "what is fixed": ({"resourceVersion": "1", "creationTimestamp": "x", "selfLink": "/x"}, {}, {}),
    "a uid": ({"uid": "other"}, {}, {"uid": "other"}),
    "an empty uid": ({"uid": ""}, {}, {}),
    "a mark": (
        {}, {"deletionTimestamp": NOW, "deletionGracePeriodSeconds": 3, "generation": 2},
        {"deletionTimestamp": NOW, "deletionGracePeriodSeconds": 3, "generation": 2},
    ),
    "a mark, sent otherwise": (
        {"deletionTimestamp": "x", "deletionGracePeriodSeconds": 1, "generation": 9},
        {"deletionTimestamp": NOW, "deletionGracePeriodSeconds": 3, "generation": 2},
        {"deletionTimestamp": NOW, "deletionGracePeriodSeconds": 1, "generation": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "before", "after"), KEPT.values(), ids=KEPT.keys())
def test_what_an_update_keeps(sent: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    metadata = dict(sent)
    keep_what_is_fixed(metadata, {**BEFORE, **before})
    assert metadata == {**BEFORE, **after}


def test_which_namespace_an_object_is_put_in() -> None:
    for obj, namespace, expected in (
        ({}, "shop", {"namespace": "shop"}),
        ({}, "", {}),
        ({"metadata": {"namespace": "shop"}}, "shop", {"namespace": "shop"}),
        ({"metadata": {"namespace": "other"}}, "", {}),
        ({"metadata": {"namespace": ""}}, "shop", {"namespace": "shop"}),
    ):
        put_in_namespace(obj, namespace)
        assert obj == {"metadata": expected}
    with pytest.raises(ApiError, match="the namespace of the provided object does not match the namespace sent on the"):
        put_in_namespace({"metadata": {"namespace": "other"}}, "shop")


async def test_a_dry_run_of_the_last_change_shows_it_and_keeps_the_object(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, {"metadata": {"name": "a", "finalizers": ["x/y"]}})
        marked = await server.send("DELETE", f"{MAPS}/a")
        revision = server.store.revision
        shown = await server.send("PATCH", f"{MAPS}/a?dryRun=All", {"metadata": {"finalizers": None}})
        assert (shown.revision, server.store.revision) == (marked.revision, revision)
        assert "finalizers" not in shown.body["metadata"]


@pytest.mark.parametrize("content_type", [APPLY, "application/merge-patch+json"])
async def test_heavy_work_is_done_aside_for_its_user(tmp_path: Path, content_type: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", **config_map(k="x" * 20_000)}
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map())
        asked = watch_aside(server, lambda number: write_again(server, "configmaps", "shop/a") if number == 1 else None)
        answer = await server.send("PATCH", f"{MAPS}/a?fieldManager=m", body, content_type=content_type)
        assert answer.status == (409 if content_type == APPLY else 200), answer.body
        assert {(user, heavy) for user, heavy, _ in asked} == {("admin", True)}
        assert len({size for _, _, size in asked}) == 1
        assert asked[0][2] > 20_000


async def test_a_heavy_review_is_decoded_aside_for_its_user(tmp_path: Path) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    async with serving(tmp_path) as server:
        asked = watch_aside(server)
        for size, times in ((100, 0), (20_000, 1)):
            spec = {"nonResourceAttributes": {"path": "/" + "x" * size, "verb": "get"}}
            assert (await server.send("POST", path, {"spec": spec}, user=ANA)).status == 201
            assert len(asked) == times
        assert asked[0][:2] == ("ana", True)
        assert asked[0][2] > 20_000
        yaml = b"spec:\n  nonResourceAttributes: &a {path: /, verb: get}\n#*"
        assert (await server.send("POST", path, yaml, content_type="application/yaml")).status == 201
        assert len(asked) == 2
        wrong = await server.send("POST", f"{path}?fieldValidation=Strict", {"spec": {}, "more": 1})
        assert (wrong.status, 'unknown field "more"' in wrong.message) == (400, True)
        warned = await server.send("POST", path, {"spec": {"nonResourceAttributes": {"path": "/"}}, "more": 1})
        assert warned.warnings == ('unknown field "more"',)
        assert (await server.send("POST", f"{path}?dryRun=x", {})).message.startswith("CreateOptions.meta.k8s.io")


async def test_a_write_to_the_status_of_some_kinds_leaves_metadata_alone(tmp_path: Path) -> None:  # MANAGED-4
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    workload = {"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template}}
    requests = [{"name": "r", "exactly": {"deviceClassName": "c"}}]
    claim = {"metadata": {"name": "a"}, "spec": {"devices": {"requests": requests}}}
    deployments, claims, sets = (
        f"/apis/{path}" for path in (
            "apps/v1/namespaces/shop/deployments", "resource.k8s.io/v1/namespaces/shop/resourceclaims",
            "apps/v1/namespaces/shop/daemonsets",
        )
    )  # fmt: skip
    async with serving(tmp_path) as server:
        for path, sent in ((deployments, workload), (claims, claim), (sets, workload)):
            made = await server.send("POST", path, sent)
            chosen = {"metadata": {"labels": {"l": "v"}, "annotations": None}}
            written = (await server.send("PATCH", f"{path}/a/status", chosen)).body["metadata"]
            if path == sets:
                assert written["labels"] == {"l": "v"}
                assert written["annotations"] == {"deprecated.daemonset.template.generation": "1"}
            else:
                assert "labels" not in written
                assert written["managedFields"] == made.body["metadata"]["managedFields"]


async def test_a_daemon_sets_generation_is_a_field_that_an_update_without_it_changes(tmp_path: Path) -> None:
    path, name = "/apis/apps/v1/namespaces/shop/daemonsets", "deprecated.daemonset.template.generation"
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    sent = {"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template}}
    async with serving(tmp_path) as server:
        await server.send("POST", f"{path}?fieldManager=one", sent)
        changed = await server.send("PUT", f"{path}/a?fieldManager=two", sent)
        assert changed.body["metadata"]["annotations"] == {name: "1"}
        owners = {entry["manager"]: entry["fieldsV1"] for entry in changed.body["metadata"]["managedFields"]}
        assert owners["two"] == {"f:metadata": {"f:annotations": {f"f:{name}": {}}}}
        accept = {"accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
        alone = await server.send("GET", f"{path}/a", headers=accept)
        assert "annotations" not in alone.body["metadata"]


async def test_custom_objects_and_their_definition(tmp_path: Path) -> None:
    widgets = "/apis/example.com/v1/namespaces/shop/widgets"
    async with serving(tmp_path) as server:
        await with_widgets()(server)
        answer = await server.send("GET", widgets)
        assert list(answer.body["metadata"]) == ["continue", "resourceVersion"]
        assert answer.body["metadata"]["continue"] == ""
        for path, status in ((f"{widgets}/w/status", 404), (f"{widgets}/w/log", 404)):
            assert (await server.send("GET", path)).status == status
        missing = await server.send("GET", f"{widgets}/w/log")
        assert missing.message == 'widgets.example.com "w" not found'


async def _marked(server: Serving, path: str) -> None:
    await server.send("PATCH", path, {"metadata": {"finalizers": ["x/y"]}})
    await server.send("DELETE", path)


async def test_only_what_nothing_holds_goes_with_its_last_finalizer(tmp_path: Path) -> None:  # DE-4
    """A claim's protection is a finalizer like others; a pod with time left stays, and so does what isn't marked."""
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, {"metadata": {"name": "a", "finalizers": ["x/y"]}})
        await server.send("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}})
        assert (await server.send("GET", f"{MAPS}/a")).status == 200, "nobody has deleted it"
        await _marked(server, f"{MAPS}/a")
        sent = (await server.send("GET", f"{MAPS}/a")).body
        del sent["metadata"]["finalizers"]
        gone = await server.send("PUT", f"{MAPS}/a", sent)
        assert (gone.status, gone.revision) == (200, sent["metadata"]["resourceVersion"])
        assert (await server.send("GET", f"{MAPS}/a")).status == 404
