"""A default class for who asks for one (STARTER-2)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.plane.test_control_plane import options

from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.up import up
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES
from pvbinder.plane.control_plane import control_plane

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
CLAIM = {
    "metadata": {"name": "data", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


async def test_starter_2_a_claim_without_a_class_binds(tmp_path: Path) -> None:
    allowed = ControllerOptions(enable_hostpath_provisioner=True, hostpath_root=str(tmp_path / "volumes"))
    asked = replace(options(tmp_path / "data"), controllers=allowed, default_class=True)
    async with asyncio.timeout(20), control_plane(asked) as plane:
        client = Client(plane.transport)
        await client.create(CLAIMS, CLAIM)
        while (await client.get(CLAIMS, "data", "default")).phase != "Bound":
            await asyncio.sleep(0)
        assert (await client.get(CLAIMS, "data", "default")).document()["spec"]["storageClassName"] == "standard"

    plain = replace(options(tmp_path / "other"), controllers=allowed)
    async with asyncio.timeout(20), control_plane(plain) as plane:
        found = await Client(plane.transport).get(STORAGE_CLASSES, "standard")
        assert IS_DEFAULT not in found.annotations


async def test_starter_2_the_local_driver_makes_its_volumes(tmp_path: Path) -> None:
    asked = replace(options(tmp_path / "data"), default_class=True)
    async with asyncio.timeout(40), control_plane(asked) as plane:
        client = Client(plane.transport)
        found = await client.get(STORAGE_CLASSES, "standard")
        assert (found.provisioner, found.annotations[IS_DEFAULT]) == ("local.csi.pvbinder.io", "true")
        await client.create(CLAIMS, CLAIM)
        while (await client.get(CLAIMS, "data", "default")).phase != "Bound":
            await asyncio.sleep(0.01)
    assert len(list((tmp_path / "data" / "csi" / "local" / "volumes").iterdir())) == 1


async def test_starter_2_a_class_that_hostpath_made_earlier_goes_on_being_its(tmp_path: Path) -> None:
    allowed = ControllerOptions(enable_hostpath_provisioner=True, hostpath_root=str(tmp_path / "volumes"))
    async with asyncio.timeout(20), control_plane(replace(options(tmp_path / "data"), controllers=allowed)):
        pass
    later = ControllerOptions(hostpath_root=str(tmp_path / "volumes"))
    asked = replace(options(tmp_path / "data"), controllers=later, default_class=True)
    async with asyncio.timeout(20), control_plane(asked) as plane:
        client = Client(plane.transport)
        assert (await client.get(STORAGE_CLASSES, "standard")).provisioner == "kubernetes.io/host-path"
        await client.create(CLAIMS, CLAIM)
        while (await client.get(CLAIMS, "data", "default")).phase != "Bound":
            await asyncio.sleep(0)


async def test_starter_2_who_has_said_no_is_not_overruled(tmp_path: Path) -> None:
    allowed = ControllerOptions(enable_hostpath_provisioner=True, hostpath_root=str(tmp_path / "volumes"))
    asked = replace(options(tmp_path / "data"), controllers=allowed, default_class=True)
    async with asyncio.timeout(20), control_plane(asked) as plane:
        change = {"metadata": {"annotations": {IS_DEFAULT: "false"}}}
        await Client(plane.transport).patch(STORAGE_CLASSES, "standard", "", change, patch_type="merge")
    async with asyncio.timeout(20), control_plane(asked) as plane:
        found = await Client(plane.transport).get(STORAGE_CLASSES, "standard")
        assert found.annotations[IS_DEFAULT] == "false"


def test_bare_and_a_default_class_contradict_each_other() -> None:
    with pytest.raises(WrongUsageError, match="--default-class"):
        CliRunner().invoke(
            up, ["--ephemeral", "--bare", "--default-class"], standalone_mode=False, catch_exceptions=False
        )
