"""The control plane as a whole, in this process."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import NODES, PODS, STORAGE_CLASSES, metadata_of
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import NAMESPACES
from pvbinder.plane.control_plane import control_plane
from pvbinder.plane.options import PlaneOptions
from pvbinder.server.api.admission.policies.hooks import BINDINGS, POLICIES

DEADLINE_SECONDS = 30
SMALL = {"scheduler", "kubelet", "statefulset-controller", "taint-eviction-controller"}
LOCAL_DRIVER = "local-csi-driver"


def options(data_dir: Path, *, bare: bool = False, controllers: str = "*") -> PlaneOptions:
    return PlaneOptions(data_dir=data_dir, port=0, controllers=ControllerOptions(controllers=controllers), bare=bare)


async def test_plane_2_when_a_part_breaks_everything_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks = asyncio.Event()

    async def run(self: Manager) -> None:
        self._ready.set()
        await breaks.wait()
        raise PvbinderError("the mainspring is gone")

    monkeypatch.setattr(Manager, "run", run)
    with pytest.RaisesGroup(pytest.RaisesExc(PvbinderError, match="mainspring")):
        async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")):
            breaks.set()
            await asyncio.Event().wait()

    monkeypatch.undo()
    async with control_plane(options(tmp_path / "data", controllers="")):
        pass  # the directory is free again


async def test_plane_3_the_controllers_stop_before_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    run = Manager.run

    async def run_and_tell(self: Manager) -> None:
        try:
            await run(self)
        finally:
            await Client(plane.transport).list_all(NODES)  # the server still answers
            order.append("controllers stopped")

    monkeypatch.setattr(Manager, "run", run_and_tell)
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")) as plane:
        pass
    order.append("server stopped")

    assert order == ["controllers stopped", "server stopped"]


async def test_plane_4_bare_nothing_appears_that_nobody_made(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data", bare=True)) as plane:
        client = Client(plane.transport)
        assert await client.list_all(NODES) == []
        assert await client.list_all(STORAGE_CLASSES) == []
        running = set(plane.manager.controllers)

    assert running >= {"persistentvolume-binder-controller", "persistentvolumeclaim-protection-controller"}
    assert not running & (SMALL | {"ephemeral-volume-controller"})


async def test_plane_4_unless_controllers_names_them(tmp_path: Path) -> None:
    wanted = options(tmp_path / "data", bare=True, controllers="ephemeral-volume,scheduler")
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(wanted) as plane:
        assert set(plane.manager.controllers) == {"ephemeral-volume-controller", "scheduler"}


async def test_otherwise_there_is_a_small_cluster_and_no_controller_is_left_out(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")) as plane:
        assert set(plane.manager.controllers) == {*(one.name for one in CONTROLLERS), LOCAL_DRIVER}


async def test_a_token_of_the_file_is_its_users(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text('s3cret,ana,1,"devs"\n')
    chosen = replace(options(tmp_path / "data", bare=True, controllers=""), token_auth_file=tokens)
    async with control_plane(chosen) as plane, aiohttp.ClientSession() as session:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "data" / "pki" / "ca.crt"))
        headers = {"Authorization": "Bearer s3cret"}
        async with session.get(f"{plane.url}/api/v1/nodes", headers=headers, ssl=trusting) as answer:
            assert 'User "ana" cannot list resource "nodes"' in (await answer.json())["message"]


async def test_without_roles_everybody_may_do_everything_if_that_is_asked_for(tmp_path: Path) -> None:
    chosen = replace(options(tmp_path / "data", bare=True, controllers=""), authorization_mode="AlwaysAllow")
    async with control_plane(chosen) as plane, aiohttp.ClientSession() as session:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "data" / "pki" / "ca.crt"))
        async with session.get(f"{plane.url}/api/v1/nodes", ssl=trusting) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(("controllers", "account"), [("*", "default"), ("*,-serviceaccount", None), ("", None)])
async def test_plane_6_pods_run_as_accounts_where_somebody_makes_them(
    tmp_path: Path, controllers: str, account: str | None
) -> None:
    asked = options(tmp_path / "data", bare=True, controllers=controllers)
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(asked) as plane:
        client = Client(plane.transport)
        metadata = {"name": "p", "namespace": "default"}
        pod = await client.create(PODS, {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}]}})
        assert pod.document()["spec"].get("serviceAccountName") == account


@pytest.mark.slow
async def test_a_policy_that_denies_everything_keeps_no_plane_from_starting(tmp_path: Path) -> None:
    """REVIEW-4: who made it must be able to take it back."""
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "false"}]}
    bound = {"policyName": "deny", "validationActions": ["Deny"]}
    async with control_plane(options(tmp_path / "data", controllers="")) as plane:
        client = Client(plane.transport)
        await client.create(metadata_of(POLICIES), {"metadata": {"name": "deny"}, "spec": spec})
        await client.create(metadata_of(BINDINGS), {"metadata": {"name": "deny"}, "spec": bound})
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")) as plane:
        client = Client(plane.transport)
        with pytest.raises(ApiFailure, match="denied request: failed expression: false"):
            await client.create(metadata_of(NAMESPACES), {"metadata": {"name": "shop"}})
        await client.delete(metadata_of(BINDINGS), "deny", "")
        await client.create(metadata_of(NAMESPACES), {"metadata": {"name": "shop"}})
