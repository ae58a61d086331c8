"""Sources of pages: a cluster that is watched by somebody with few rights, and files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.insight.builders import claim, event, storage_class, volume
from tests.web.visitor import visiting

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Client
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.resources import EVENTS, PERSISTENT_VOLUME_CLAIMS, Resource
from pvbinder.plane.control_plane import Plane, control_plane
from pvbinder.plane.options import PlaneOptions
from pvbinder.rules.plugins import NoPlugins
from pvbinder.server.requests import UserInfo
from pvbinder.web.opening import PageRightsError, of_files, watched
from pvbinder.web.plane import source_of

ROLES = metadata_of(Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False))
BINDINGS = metadata_of(Resource("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", False))
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "orders", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "no"},
}


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Plane, Client]]:
    options = PlaneOptions(data_dir=None, in_memory=True, port=0, bare=True, controllers=ControllerOptions())
    async with control_plane(options, objects=[("test", CLAIM)]) as plane:
        yield plane, Client(plane.transport)


async def user(plane: Plane, admin: Client, *resources: str) -> Client:
    """A user who may list and watch these resources of the core group, and nothing else."""
    api = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": list(resources), "verbs": ["list", "watch"]}]
    await admin.create(
        ROLES, {"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": {"name": "few"}, "rules": rules}
    )
    reference = {"apiGroup": api, "kind": "ClusterRole", "name": "few"}
    subjects = [{"apiGroup": api, "kind": "User", "name": "ana"}]
    binding = {"apiVersion": f"{api}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "few"}}
    await admin.create(BINDINGS, {**binding, "roleRef": reference, "subjects": subjects})
    return Client(InProcessTransport(plane.server.dispatcher, UserInfo("ana", groups=("system:authenticated",))))


async def test_page_command_1_rights_that_are_lacking_are_named() -> None:
    async with running() as (plane, admin):
        ana = await user(plane, admin, "persistentvolumeclaims", "pods")
        async with (
            watched(ana, "here", "", plugins=NoPlugins()) as source,
            visiting(source) as (visitor, _),
        ):
            info = (await visitor.ask("/api/info")).json()
            assert info["source"] == {"kind": "cluster", "name": "here"}
            assert not info["mayWrite"]
            assert [text.split(":")[0] for text in info["missing"]] == [
                "the page does without storageclasses.storage.k8s.io",
                "the page does without nodes",
                "the page does without persistentvolumes",
                "the page does without events",
            ]
            events = await visitor.stream()
            assert [row["id"] for row in (await events.until("rows"))["rows"]] == ["claim/default/orders"]
            told = (await visitor.ask("/api/explain?kind=claim&namespace=default&name=orders")).json()
            assert told["text"].startswith("default/orders is Pending:")


async def test_the_page_of_a_cluster_tells_what_changed_and_what_was_said_once() -> None:
    async with running() as (_, admin):
        said = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e1", "namespace": "default"},
            "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "two"},
            "type": "Warning",
            "reason": "Failed",
            "message": "the disk is full",
            "count": 1,
        }
        async with watched(admin, "here", "", plugins=NoPlugins()) as source, visiting(source) as (visitor, _):
            events = await visitor.stream()
            await events.until("rows")
            await admin.create(metadata_of(EVENTS), said)
            for count in (2, 3):
                await admin.patch(metadata_of(EVENTS), "e1", "default", {"count": count}, patch_type="merge")
            two = {**CLAIM, "metadata": {"name": "two", "namespace": "default"}}
            await admin.create(metadata_of(PERSISTENT_VOLUME_CLAIMS), two)
            found: list[Any] = []
            while not any(row["id"] == "claim/default/two" for each in found for row in each["rows"]):
                found += (await events.until("decisions"))["decisions"]
            assert [each["message"] for each in found].count("Failed: the disk is full") == 1
            assert all(each["rule"] == "" for each in found)
            assert (await visitor.ask("/api/info")).json()["decisions"] == "watched"


async def test_page_command_1_without_claims_there_is_no_page() -> None:
    async with running() as (plane, admin):
        ana = await user(plane, admin, "persistentvolumes")
        with pytest.raises(PageRightsError, match="may not list and watch persistentvolumeclaims") as refused:
            async with watched(ana, "here", "", plugins=NoPlugins()):
                pass
        assert refused.value.hint
        assert "-n" in refused.value.hint


async def test_the_page_of_up_reads_the_controllers_caches() -> None:
    async with running() as (plane, admin), visiting(source_of(plane)) as (visitor, _):
        events = await visitor.stream()
        assert [row["id"] for row in (await events.until("rows"))["rows"]] == ["claim/default/orders"]
        await admin.delete(
            metadata_of(Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True)),
            "orders",
            "default",
        )
        change = await events.until("change")
        assert change["gone"] == ["claim/default/orders"] or change["rows"][0]["state"] == "Terminating"
        info = (await visitor.ask("/api/info")).json()
        assert (info["source"]["kind"], info["mayWrite"], info["live"]) == ("up", True, True)


async def test_the_page_of_a_dump_shows_and_explains_it() -> None:
    said = event("ProvisioningFailed", "the disk is full")
    documents = [claim(), storage_class(), volume("small", "1Gi"), said, {**claim("broken"), "spec": "?"}]
    source = of_files("dump.yaml", documents, plugins=NoPlugins(), written_at=datetime.now(UTC), notes=["a note"])
    async with visiting(source) as (visitor, _):
        info = (await visitor.ask("/api/info")).json()
        assert (info["source"]["kind"], info["live"]) == ("dump", False)
        assert info["missing"][0] == "a note"
        assert "broken" in info["missing"][1]
        told = (await visitor.ask("/api/explain?kind=claim&namespace=shop&name=orders")).json()
        assert "the disk is full" in told["text"]
