"""``pvbinder up --csi-driver`` and ``pvbinder csi``, with a driver on a socket."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.controllers.cluster import claim
from tests.controllers.csi.fake_driver import FakeDriver, handlers
from tests.controllers.csi.stage import storage_class
from tests.plane.test_control_plane import options

from pvbinder.cli.csi_flags import GATES, capacity_options, endpoint_of, node_options, read_gates
from pvbinder.cli.election_flags import namespace_of_pod
from pvbinder.cli.errors import EXIT_USAGE, WrongUsageError
from pvbinder.cli.main import run
from pvbinder.controllers.csi.options import CapacityOptions, ProvisionerOptions
from pvbinder.controllers.csi.roles import ROLES
from pvbinder.csi.serving import serving
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES
from pvbinder.plane.control_plane import Plane, control_plane

DEADLINE_SECONDS = 40
PVBINDER = str(Path(sys.executable).with_name("pvbinder"))


async def until(question: Callable[[], Awaitable[bool]]) -> None:
    while not await question():
        await asyncio.sleep(0.05)


async def comes_and_goes(plane: Plane, driver: FakeDriver) -> None:
    """A claim of the driver's class is bound; when it is deleted, its volume is."""
    client = Client(plane.transport)
    await client.create(STORAGE_CLASSES, storage_class())
    await client.create(CLAIMS, claim("orders", storageClassName="fast"))

    async def is_bound() -> bool:
        return (await client.get(CLAIMS, "orders", "default")).phase == "Bound"

    async def is_gone() -> bool:
        return not await client.list_all(VOLUMES)

    await until(is_bound)
    assert len(driver.volumes) == 1
    await client.delete(CLAIMS, "orders", "default")
    await until(is_gone)
    assert driver.volumes == {}


async def test_role_3_a_driver_that_is_named_provisions_and_deletes_with_its_roles_rights(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/csi.sock"
    driver = FakeDriver()
    asked = replace(options(tmp_path / "data", controllers="*"), csi_drivers=(address,))
    async with asyncio.timeout(DEADLINE_SECONDS), serving(address, handlers(driver)), control_plane(asked) as plane:
        assert "csi-driver-0" in plane.manager.controllers
        await comes_and_goes(plane, driver)
        granted = {
            (verb, f"{plural}.{right.group}".rstrip("."))
            for role in ROLES
            for right in role.rights
            for plural in right.resources
            for verb in right.verbs
        }
        assert set(plane.manager.statistics().requests["csi-provisioner"].requests) <= granted  # ROLE-3


def test_plane_7_without_a_driver_grpc_is_not_imported(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
from tests.plane.test_control_plane import options
from pvbinder.plane.control_plane import control_plane
async def main():
    async with control_plane(options(Path({str(tmp_path / "data")!r}))):
        pass
asyncio.run(main())
assert "grpc" not in sys.modules
assert "google.protobuf" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=Path(__file__).parents[2])


async def test_csi_beside_another_server(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/csi.sock"
    driver = FakeDriver()
    plain = options(tmp_path / "data")
    async with asyncio.timeout(DEADLINE_SECONDS), serving(address, handlers(driver)), control_plane(plain) as plane:
        flags = ["--csi-address", address, "--kubeconfig", str(plane.kubeconfig), "--metrics-port", "0"]
        process = await asyncio.create_subprocess_exec(PVBINDER, "csi", *flags)
        try:
            await comes_and_goes(plane, driver)
        finally:
            process.send_signal(signal.SIGTERM)
            code = await process.wait()
        assert code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["csi", "--csi-address", "csi.sock"], "is no address of a driver"),
        (["csi", "--csi-address", "tcp://127.0.0.1:1"], "is no address of a driver"),
        (["csi", "--timeout", "soon"], "is no duration"),
        (["csi", "--timeout", "0s"], "is not more than nothing"),
        (["csi", "--volume-name-prefix", ""], "--volume-name-prefix is empty"),
        (["csi", "--retry-interval-start", "10m"], "--retry-interval-max is shorter"),
        (["csi", "--roles", "provisoner"], "--roles: there is no role 'provisoner': did you mean provisioner?"),
        (["csi", "--roles", "attacher"], "there are provisioner"),
        (["csi", "--roles", "provisioner,*"], "there is no role '*'"),
        (["csi", "--roles", " ,"], "--roles: no role is named"),
        (["csi", "--enable-capacity"], "the environment has no NAMESPACE"),
        (["csi", "--enable-capacity", "--capacity-ownerref-level=-2"], "-2 is not in the range"),
        (["csi", "--http-endpoint", "8080"], "'8080' is no address such as"),
        (["csi", "--http-endpoint", ":80800"], "':80800' is no address such as"),
        (["csi", "--metrics-path", "metrics"], "'metrics' is no path such as /metrics"),
        (["csi", "--feature-gates", "Topolgy=true"], "there is no gate 'Topolgy': did you mean Topology?"),
        (["csi", "--feature-gates", "Topology"], "'Topology' is no setting such as Topology=true"),
        (["csi", "--feature-gates", "CrossNamespaceVolumeDataSource=true"], "is always off here"),
        (["csi", "--node-deployment"], "the environment has no NODE_NAME"),
        (["csi", "--node-deployment-base-delay", "2m"], "--node-deployment-max-delay is shorter"),
        (["csi", "--leader-election", "--leader-election-lease-duration", "5s"], "--leader-election: the lease"),
        (["csi", "--leader-election", "--leader-election-labels", "app"], "'app' is no label such as name:value"),
        (["csi", "--volume-name-prefix", "../v"], "volumes can't be called '../v-01234567-"),
        (["csi", "--volume-name-uuid-length", "0"], "volumes can't be called 'pvc-'"),
        (["csi", "--intents-namespace", "a/b"], "'a/b' is no name of a namespace"),
        (["csi", "--worker-threads", "0"], "0 is not in the range"),
        (["up", "--ephemeral", "--csi-driver", "x"], "--csi-driver:"),
    ],
)
def test_what_cant_be_is_refused_at_once(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NAMESPACE", "POD_NAME", "NODE_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert run(arguments) == EXIT_USAGE
    assert told in capsys.readouterr().err


async def test_plane_7_the_local_driver_makes_directories(tmp_path: Path) -> None:
    """The class binds at once: nobody registers the driver with the nodes."""
    address, root = f"unix://{tmp_path}/local.sock", tmp_path / "volumes"
    flags = ["--endpoint", address, "--root", str(root), "--node-id", "here"]
    driver = await asyncio.create_subprocess_exec(PVBINDER, "driver", *flags)
    try:
        asked = replace(options(tmp_path / "data"), csi_drivers=(address,))
        async with asyncio.timeout(DEADLINE_SECONDS), control_plane(asked) as plane:
            client = Client(plane.transport)
            await client.create(STORAGE_CLASSES, storage_class(provisioner="local.csi.pvbinder.io"))
            await client.create(CLAIMS, claim("orders", storageClassName="fast"))

            async def is_bound() -> bool:
                return (await client.get(CLAIMS, "orders", "default")).phase == "Bound"

            async def is_gone() -> bool:
                return not await client.list_all(VOLUMES)

            await until(is_bound)
            handles = [one.csi.volume_handle for one in await client.list_all(VOLUMES) if one.csi is not None]
            assert len([path for path in root.rglob("*") if path.name in handles]) > 0
            await client.delete(CLAIMS, "orders", "default")
            await until(is_gone)
            assert [path for path in root.rglob("*") if path.name in handles] == []
    finally:
        driver.send_signal(signal.SIGTERM)
        await driver.wait()


def test_what_the_environment_says_becomes_options() -> None:
    flags = {
        "enable_capacity": True,
        "capacity_ownerref_level": 2,
        "capacity_for_immediate_binding": True,
        "capacity_poll_interval": 30.0,
        "capacity_threads": 3,
        "kube_api_capacity_qps": 2.0,
        "kube_api_capacity_burst": 7,
        "node_deployment": True,
        "node_deployment_immediate_binding": False,
        "node_deployment_base_delay": 1.0,
        "node_deployment_max_delay": 2.0,
    }
    environment = {"NAMESPACE": "csi", "POD_NAME": "csi-0", "NODE_NAME": "worker-1"}
    assert capacity_options(flags, environment) == CapacityOptions("csi", "csi-0", 2, True, 30.0, 3, 2.0, 7)
    options = ProvisionerOptions(**node_options(flags, environment))
    assert (options.node_deployment, options.node, options.node_deployment_immediate_binding) == (
        True,
        "worker-1",
        False,
    )
    with pytest.raises(WrongUsageError, match="POD_NAME"):
        capacity_options(flags, {"NAMESPACE": "csi"})


@pytest.mark.parametrize(
    ("text", "where"),
    [("", ("h", 1)), (":8080", ("0.0.0.0", 8080)), ("[::1]:0", ("::1", 0)), ("127.0.0.1:9", ("127.0.0.1", 9))],
)
def test_an_http_endpoint_is_read_as_the_reference_reads_it(text: str, where: tuple[str, int]) -> None:
    assert endpoint_of(text, "h", 1) == where


def test_feature_gates_are_read() -> None:
    assert read_gates("") == GATES
    assert read_gates("Topology=false, VolumeAttributesClass=true")["Topology"] is False


def test_the_namespace_of_leases_is_the_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    account = tmp_path / "namespace"
    assert namespace_of_pod(account) == "default"
    account.write_text("storage\n")
    assert namespace_of_pod(account) == "storage"
    monkeypatch.setenv("POD_NAMESPACE", "drivers")
    assert namespace_of_pod(account) == "drivers"
