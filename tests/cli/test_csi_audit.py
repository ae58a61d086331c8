"""``pvbinder csi audit`` with the local driver, beside a control plane."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from tests.controllers.cluster import volume as plain_volume
from tests.plane.test_control_plane import options

from pvbinder.cli.csi_audit import report
from pvbinder.cli.errors import EXIT_FAILED, EXIT_NO, EXIT_USAGE
from pvbinder.cli.main import run
from pvbinder.controllers.csi.audit import AuditFindings
from pvbinder.csi.driver import Driver
from pvbinder.csi.local.driver import local_driver
from pvbinder.csi.local.options import LocalDriver
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import VOLUMES
from pvbinder.model.json import Json
from pvbinder.plane.control_plane import Plane, control_plane
from pvbinder.rules.csi.audit import compare

PVBINDER = str(Path(sys.executable).with_name("pvbinder"))


async def audited(
    plane: Plane, address: str, *flags: str, command: tuple[str, ...] = ("csi", "audit")
) -> tuple[int, str, str]:
    where = ["--csi-address", address, "--kubeconfig", str(plane.kubeconfig)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        PVBINDER, *command, *where, *flags, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def make(driver: Driver, name: str) -> str:
    mode = csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER)
    capability = csi.VolumeCapability(access_mode=mode, mount=csi.VolumeCapability.MountVolume())
    request = csi.CreateVolumeRequest(name=name, volume_capabilities=[capability])
    request.capacity_range.required_bytes = 1 << 20
    return str((await driver.call(methods.CREATE_VOLUME, request)).volume.volume_id)


@pytest.mark.slow
async def test_what_is_on_one_side_is_named_and_deleted_only_if_that_is_wanted(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/csi.sock"
    local = LocalDriver(address, tmp_path / "root", "here", capacity_bytes=1 << 30, how="link")
    async with (
        asyncio.timeout(120),
        control_plane(options(tmp_path / "data", controllers="")) as plane,
        local_driver(local),
        Driver(address) as driver,
    ):
        code, out, _ = await audited(plane, address)
        assert (code, out.splitlines()[0]) == (0, "local.csi.pvbinder.io and the cluster agree")

        named, orphan = await make(driver, "named"), await make(driver, "orphan")
        source: Json = {"driver": "local.csi.pvbinder.io", "volumeHandle": named}
        document = plain_volume("pv", csi=source)
        del document["spec"]["hostPath"]
        client = Client(plane.transport)
        await client.create(VOLUMES, document)
        code, out, _ = await audited(plane, address)
        assert code == EXIT_NO
        assert f"1 volume that no PersistentVolume names:\n    {orphan}  1048576 bytes" in out
        code, out, _ = await audited(plane, address, "-o", "json")
        found = json.loads(out)
        assert (code, found["kind"], found["version"]) == (EXIT_NO, "CsiAudit", 1)
        assert [one["id"] for one in found["volumes"]["orphans"]] == [orphan]

        document["metadata"]["name"] = "without"
        document["spec"]["csi"] = source | {"volumeHandle": "nowhere"}
        await client.create(VOLUMES, document)
        code, out, err = await audited(plane, address, "-o", "json", command=("audit",))
        assert code == EXIT_NO, err
        told = {one["code"]: one for one in json.loads(out)["findings"] if one["code"].startswith("PVB80")}
        assert told.keys() == {"PVB801", "PVB804"}
        assert orphan in told["PVB801"]["summary"]
        assert "nowhere" in told["PVB804"]["summary"]
        await client.delete(VOLUMES, "without")

        code, _, err = await audited(plane, address, "--delete-orphans")
        assert code == EXIT_USAGE
        assert "nobody can answer here" in err
        code, out, err = await audited(plane, address, "--delete-orphans", "--yes")
        assert code == 0, err
        assert f"deleted volume {orphan}" in err
        assert orphan in out  # it was shown first
        answer = await driver.call(methods.LIST_VOLUMES, csi.ListVolumesRequest())
        assert [one.volume.volume_id for one in answer.entries] == [named]

        code, _, err = await audited(plane, f"unix://{tmp_path}/nobody.sock")
        assert code == EXIT_FAILED
        assert err.startswith("error: the driver at unix:///")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--yes"], "--yes goes with --delete-orphans"),
        (["--csi-address", "x"], "is no address of a driver"),
        (["-o", "yaml"], "'yaml' is not one of"),
    ],
)
def test_what_cant_be_is_refused(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["csi", "audit", *arguments]) == EXIT_USAGE
    assert told in capsys.readouterr().err


def test_options_of_the_audit_go_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["csi", "--csi-address", "/x", "audit"]) == EXIT_USAGE
    assert "the options of audit go after it" in capsys.readouterr().err


def test_the_answer_comes_first() -> None:
    clean = AuditFindings("d", compare([], [], 0), None, 2, ("the driver can't list its snapshots (LIST_SNAPSHOTS)",))
    assert report(clean) == [
        "d and the cluster agree",
        "  0 volumes of the driver, 0 PersistentVolumes of the cluster",
        "not compared: the driver can't list its snapshots (LIST_SNAPSHOTS)",
        "2 requests of a sidecar open: look again when there is none",
    ]
