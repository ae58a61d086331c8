"""Drivers on the nodes of the kubelet in small, on a real API server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.controllers.cluster import Cluster, cluster

from pvbinder import logs
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.kubelet import KUBELET_ANNOTATION, Kubelet, create_node
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import ControllerDeclaration
from pvbinder.kube.kinds import NODES, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import CSI_NODES
from pvbinder.rules.csi.registration import NODE_IDS, NodeInfo

ALONE = ControllerOptions(controllers="kubelet")
CSI_NODE = metadata_of(CSI_NODES)


def known(drivers: NodeDrivers) -> tuple[ControllerDeclaration, ...]:
    return (ControllerDeclaration("kubelet", user="", make=lambda context: Kubelet(context, drivers=drivers)),)


def on_nodes(name: str, node_id: str = "here", **topology: str) -> Any:
    return SimpleNamespace(info=NodeInfo(name, node_id, {f"example.com/{key}": one for key, one in topology.items()}))


async def registered(c: Cluster) -> dict[str, list[Json]]:
    found = await c.client.list_all(CSI_NODE)
    return {one.name: one.document()["spec"]["drivers"] or [] for one in found}


async def test_registration_1_each_node_that_we_play_has_the_drivers() -> None:
    drivers = NodeDrivers()
    drivers.gone = frozenset({"old"})
    async with cluster(ALONE, known(drivers)) as c:
        await create_node(c.client, "node-1")
        entry = {"name": "old", "nodeID": "x"}
        other = {"name": "by-hand", "nodeID": "y"}
        document = {"metadata": {"name": "node-1"}, "spec": {"drivers": [entry, other]}}
        await c.client.create(CSI_NODE, document)
        theirs = {"metadata": {"name": "theirs", "annotations": {KUBELET_ANNOTATION: "none"}}}
        await c.client.create(NODES, theirs)
        async with drivers.serving("a"):
            await drivers.put(on_nodes("a", zone="z"))

            [first] = [one for one in c.of(NODES) if one.name == "node-1"]
            assert first.labels["example.com/zone"] == "z"
            assert first.annotations[NODE_IDS] == '{"a":"here"}'
            assert {name: [one["name"] for one in said] for name, said in (await registered(c)).items()} == {
                "node-1": ["by-hand", "a"]
            }
            await create_node(c.client, "node-2")
            await c.until(
                lambda: "example.com/zone" in c.of(NODES)["node-2"].labels if "node-2" in c.of(NODES) else False
            )
            await c.settle()
            assert set(await registered(c)) == {"node-1", "node-2"}


async def test_registration_1_a_node_that_was_made_anew_gets_a_csi_node_of_its_own() -> None:
    drivers = NodeDrivers()
    async with cluster(ALONE, known(drivers)) as c, drivers.serving("a"):
        old = {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "of-an-earlier-node"}
        await c.client.create(CSI_NODE, {"metadata": {"name": "node-1", "ownerReferences": [old]}, "spec": {}})
        node = await create_node(c.client, "node-1")
        await drivers.put(on_nodes("a"))
        [found] = await c.client.list_all(CSI_NODE)
        assert found.owner_references[0].uid == node.uid


async def test_registration_2_labels_that_contradict_keep_a_driver_away(caplog: pytest.LogCaptureFixture) -> None:
    drivers = NodeDrivers()
    async with cluster(ALONE, known(drivers)) as c, drivers.serving("a"):
        await create_node(c.client, "node-1", labels={"example.com/zone": "other"})
        await drivers.put(on_nodes("a", zone="z"))
        assert await registered(c) == {}
        assert {"driver": "a", "node": "node-1"}.items() <= logs.fields_of(caplog.records[-1]).items()


async def test_registration_2_a_driver_that_no_node_can_have_keeps_no_other_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    drivers = NodeDrivers()
    async with cluster(ALONE, known(drivers)) as c, drivers.serving("bad"), drivers.serving("good"):
        await create_node(c.client, "node-1")
        await drivers.put(on_nodes("bad", zone="no value"))
        await drivers.put(on_nodes("good", zone="z"))
        assert {name: [one["name"] for one in said] for name, said in (await registered(c)).items()} == {
            "node-1": ["good"]
        }
    said = [str(logs.fields_of(record).get("err")) for record in caplog.records]
    assert any("its topology can't be labels" in why for why in said)


async def test_registration_3_nothing_is_asked_for_a_node_that_is_seen_to() -> None:
    drivers = NodeDrivers()
    async with cluster(ALONE, known(drivers)) as c, drivers.serving("a"):
        await create_node(c.client, "node-1")
        await drivers.put(on_nodes("a", zone="z"))
        await c.settle()
        c.line.seen.clear()
        await c.client.patch(NODES, "node-1", "", {"metadata": {"labels": {"disk": "fast"}}}, patch_type="merge")
        await c.until(lambda: "disk" in c.of(NODES)["node-1"].labels)
        await c.settle()
        assert [request.path for request in c.line.seen if request.method != "GET" or "csinodes" in request.path] == []
