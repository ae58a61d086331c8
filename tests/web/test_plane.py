"""The page of a control plane in this process: what it shows, and what was decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.insight.builders import volume
from tests.web.visitor import Visitor, visiting

from pvbinder import logs
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from pvbinder.plane.control_plane import Plane, control_plane
from pvbinder.plane.options import PlaneOptions
from pvbinder.plane.recorder import Interception
from pvbinder.web.plane import noting, source_of

CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "orders", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""},
}


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Plane, Client, Visitor]]:
    options = PlaneOptions(data_dir=None, in_memory=True, port=0, bare=True, controllers=ControllerOptions())
    interception = Interception()
    async with (
        control_plane(options, interceptor=interception.intercept) as plane,
        visiting(source_of(plane)) as (visitor, page),
    ):
        with noting(page.journal, interception):
            yield plane, Client(plane.transport), visitor
        assert interception.hear is None


async def test_own_page_2_decisions_have_their_rules_and_writes() -> None:
    logs.only_warnings()
    async with running() as (_, client, visitor):
        events = await visitor.stream()
        await events.until("rows")
        await client.create(metadata_of(PERSISTENT_VOLUME_CLAIMS), CLAIM)
        disk = volume("disk", "5Gi", storageClassName=None)
        await client.create(metadata_of(PERSISTENT_VOLUMES), {**disk, "status": {}})
        found: list[Any] = []
        while not any(each["message"] == "volume bound" for each in found):
            found += (await events.until("decisions"))["decisions"]
        bound = next(each for each in found if each["message"] == "volume bound")
        assert bound["rule"].startswith("SC-")
        assert bound["about"] == ["claim/default/orders", "volume/disk"]
        assert {each["method"] for each in bound["writes"]} == {"PUT"}
        assert bound["after"]["claim.phase"] == "Bound"
        assert [row["state"] for row in bound["rows"]] == ["Pending"]
        assert [each["seq"] for each in found] == list(range(1, len(found) + 1))

        history = (await visitor.ask(f"/api/decisions?before={bound['seq']}&limit=1")).json()
        assert [each["seq"] for each in history["decisions"]] == [bound["seq"] - 1]
        assert history["oldest"] == 1
        assert (await visitor.ask("/api/decisions?before=x")).status == 400
        info = (await visitor.ask("/api/info")).json()
        assert (info["decisions"], info["plan"]) == ("own", True)


async def test_own_page_1_it_asks_for_no_list_and_no_watch() -> None:
    async with running() as (plane, _, visitor):
        before = plane.manager.statistics()
        events = await visitor.stream()
        await events.until("rows")
        after = plane.manager.statistics()
        assert after.informers.keys() == before.informers.keys() | {"nodes"}, "a bare one knows no nodes"
        assert after.requests[""].writes == before.requests[""].writes
