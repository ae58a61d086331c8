"""The drivers of this process's nodes, without any driver."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from pvbinder.controllers.csi.node_drivers import NameTakenError, NodeDrivers
from pvbinder.rules.csi.registration import NodeInfo


def on_node(name: str) -> Any:
    return SimpleNamespace(info=NodeInfo(name, "here"))


async def test_nodedrivers_1_a_name_is_served_once() -> None:
    kept: list[dict[str, str]] = []

    async def remember(addresses: Mapping[str, str]) -> None:
        kept.append(dict(addresses))

    drivers = NodeDrivers({"a": "unix:///old.sock"}, remember)
    async with drivers.serving("a", "unix:///a.sock"):
        assert drivers.serves("a")
        with pytest.raises(NameTakenError, match="another driver is served as a already"):
            async with drivers.serving("a", "unix:///other.sock"):
                raise AssertionError
    assert not drivers.serves("a")
    assert kept == [{"a": "unix:///a.sock"}]

    drivers.reserve("local", "there are volumes")
    with pytest.raises(NameTakenError, match=r"unix:///a\.sock can't be served as local: there are volumes"):
        async with drivers.serving("local", "unix:///a.sock"):
            raise AssertionError
    async with drivers.serving("local"):  # the one whose volumes they are
        pass
    assert kept == [{"a": "unix:///a.sock"}]


async def test_nodedrivers_2_who_is_needed_runs_when_the_start_is_over() -> None:
    drivers = NodeDrivers()
    waiting = asyncio.create_task(drivers.wait_needed("local"))
    drivers.open()
    await asyncio.sleep(0)
    assert not waiting.done()
    drivers.need("local")
    await waiting

    later = NodeDrivers()
    later.need("local")
    waiting = asyncio.create_task(later.wait_needed("local"))
    await asyncio.sleep(0)
    assert not waiting.done()
    later.open()
    await waiting


async def test_nodedrivers_3_listeners_are_told_first() -> None:
    drivers = NodeDrivers()
    told: list[str] = []

    async def listen(info: NodeInfo) -> None:
        await asyncio.sleep(0)
        told.append(info.driver)

    drivers.listen(listen)
    async with drivers.serving("a"):
        await drivers.put(on_node("a"))
        assert told == ["a"]
        assert [info.driver for info in drivers.infos()] == ["a"]
    assert drivers.infos() == ()


async def test_drivers_that_were_named_are_waited_for() -> None:
    drivers = NodeDrivers(named=1)
    waiting = asyncio.create_task(drivers.wait_named(60))
    async with drivers.serving("local"):
        await asyncio.sleep(0)
        assert not waiting.done()
    async with drivers.serving("a", "unix:///a.sock"):
        await waiting
    await NodeDrivers(named=1).wait_named(0.001)
