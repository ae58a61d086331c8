"""Parts of a write that nobody asks for by name: owners that come twice, managers, fields of the server's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.server.serving import MAPS, config_map, serving

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u-1"}
REPEATED = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may "
    "reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}"
)
AFTER = REPEATED.replace("entries;", "entries after mutating admission happens;")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
PODS = "/api/v1/namespaces/shop/pods"


def owned(*owners: dict[str, Any], name: str = "a") -> dict[str, Any]:
    return {"metadata": {"name": name, "ownerReferences": list(owners)}}


async def test_owners_that_come_twice_are_dropped_with_a_warning(tmp_path: Path) -> None:  # OM-8
    other = {**OWNER, "uid": "u-2"}
    async with serving(tmp_path) as server:
        made = await server.send("POST", MAPS, owned(OWNER, other, dict(reversed(OWNER.items())), other))
        assert made.body["metadata"]["ownerReferences"] == [OWNER, other]
        assert made.warnings == (REPEATED.format("u-1, u-2"),)
        changed = await server.send("PUT", f"{MAPS}/a", owned(OWNER, OWNER))
        assert changed.body["metadata"]["ownerReferences"] == [OWNER]
        assert changed.warnings == (REPEATED.format("u-1"),)
        patched = await server.send("PATCH", f"{MAPS}/a", {"metadata": {"ownerReferences": [other, other]}})
        assert patched.body["metadata"]["ownerReferences"] == [other]
        assert patched.warnings == (AFTER.format("u-2"),)
        assert (await server.send("PUT", f"{MAPS}/a", owned(OWNER, other))).warnings == ()


async def test_fields_of_the_servers_own_are_not_taken_from_a_new_object(tmp_path: Path) -> None:  # GW-1
    sent = {
        "uid": "mine",
        "deletionTimestamp": "2020-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 5,
        "selfLink": "/x",
        "generation": 9,
    }
    async with serving(tmp_path) as server:
        made = await server.send("POST", MAPS, {"metadata": {"name": "a", "resourceVersion": "0", **sent}})
        metadata = made.body["metadata"]
        assert made.status == 201
        assert metadata["uid"] != "mine"
        assert not metadata.keys() & {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"}
        refused = await server.send("POST", MAPS, {"metadata": {"name": "b", "resourceVersion": "7"}})
        assert (refused.status, refused.message) == (500, "resourceVersion should not be set on objects to be created")
        pod = await server.send(
            "POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        )
        assert pod.body["metadata"]["generation"] == 1


async def test_who_a_write_belongs_to(tmp_path: Path) -> None:
    async def manager(name: str, query: str = "", agent: str = "") -> str:
        answer = await server.send("POST", f"{MAPS}{query}", config_map(name), headers={"user-agent": agent})
        return str(answer.body["metadata"]["managedFields"][0]["manager"])

    async with serving(tmp_path) as server:
        assert await manager("a", "?fieldManager=me", "kubectl/v1.36") == "me"
        assert await manager("b", "", "kubectl/v1.36 (linux)") == "kubectl"
        assert await manager("c", "", "m" * 200) == "m" * 128
        assert await manager("d") == "unknown"


async def test_a_dry_run_answers_as_if_it_had_written(tmp_path: Path) -> None:  # WRITING-3
    async with serving(tmp_path) as server:
        tried = await server.send("POST", f"{MAPS}?dryRun=All", config_map("a"))
        assert tried.status == 201
        assert "resourceVersion" not in tried.body["metadata"]
        assert (await server.send("GET", f"{MAPS}/a")).status == 404
        made = await server.send("POST", MAPS, config_map("a"))
        changed = await server.send("PATCH", f"{MAPS}/a?dryRun=All", {"data": {"x": "y"}})
        assert (changed.body["data"]["x"], changed.revision) == ("y", made.revision)
        assert (await server.send("GET", f"{MAPS}/a")).body == made.body


async def test_an_object_that_loses_its_last_finalizer_goes(tmp_path: Path) -> None:  # DE-3
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, {"metadata": {"name": "a", "finalizers": ["x/y", "x/z"]}})
        going = await server.send("DELETE", f"{MAPS}/a")
        assert going.body["metadata"]["deletionGracePeriodSeconds"] == 0
        one = await server.send("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": ["x/y"]}})
        assert (one.status, one.body["metadata"]["finalizers"]) == (200, ["x/y"])
        more = await server.send("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": ["x/y", "x/new"]}})
        assert more.status == 422
        tried = await server.send("PATCH", f"{MAPS}/a?dryRun=All", {"metadata": {"finalizers": None}})
        assert tried.status == 200
        assert (await server.send("GET", f"{MAPS}/a")).status == 200
        last = await server.send("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}})
        assert last.status == 200
        assert (await server.send("GET", f"{MAPS}/a")).status == 404


async def test_the_options_of_each_verb_are_named_in_its_refusal(tmp_path: Path) -> None:
    apply = "application/apply-patch+yaml"
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map("a"))
        for method, path, kind, content_type in (
            ("POST", MAPS, "CreateOptions", None),
            ("PUT", f"{MAPS}/a", "UpdateOptions", None),
            ("PATCH", f"{MAPS}/a", "PatchOptions", None),
            ("PATCH", f"{MAPS}/a", "PatchOptions", apply),
        ):
            answer = await server.send(
                method, f"{path}?dryRun=x&fieldManager=m", config_map("a"), content_type=content_type
            )
            assert answer.status == 422, method
            assert answer.message.startswith(f'{kind}.meta.k8s.io "" is invalid: dryRun: '), method


async def test_a_generated_name_is_tried_eight_times(tmp_path: Path) -> None:  # GW-1
    names = ["aaaaa", *"bcdfghj"]
    async with serving(tmp_path) as server:
        for letter in names[:-1]:
            await server.send("POST", MAPS, config_map(f"g-{letter[0] * 5}"))
        endings = [letter[0] * 5 for letter in names]
        with patch("pvbinder.server.kinds.parts.generated_names.CHANCE.choices", side_effect=endings):
            made = await server.send("POST", MAPS, {"metadata": {"generateName": "g-"}})
        assert made.body["metadata"]["name"] == "g-jjjjj"
