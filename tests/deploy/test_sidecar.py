"""`pvbinder csi` as it is deployed: the container's own command, with exactly the token of its service account."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.controllers.cluster import claim
from tests.controllers.csi.fake_driver import FakeDriver, handlers
from tests.controllers.csi.stage import storage_class
from tests.deploy.manifests import MANIFESTS, container_of, objects_in
from tests.deploy.test_rights import DEADLINE_SECONDS, Requests, kubeconfig_of, run, until_bound
from tests.plane.test_control_plane import options

from pvbinder.csi.serving import serving
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES
from pvbinder.plane.control_plane import control_plane

pytestmark = [pytest.mark.slow, pytest.mark.kubectl]

ACCOUNT = "pvbinder-csi"


async def test_a_claim_is_provisioned_and_its_volume_deleted_with_the_sidecars_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ROLE-3"""
    requests = Requests(monkeypatch, f"system:serviceaccount:kube-system:{ACCOUNT}")
    driver, address = FakeDriver(), f"unix://{tmp_path}/csi.sock"
    arguments = container_of(objects_in("csi-sidecar"), ACCOUNT, "pvbinder")["args"]
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        serving(address, handlers(driver)),
        control_plane(options(tmp_path / "data", bare=True)) as plane,
    ):
        await run(
            "kubectl", "apply", "--validate=strict", "-k", str(MANIFESTS / "csi-sidecar"), kubeconfig=plane.kubeconfig
        )
        kubeconfig = await kubeconfig_of(plane, ACCOUNT, tmp_path)
        here = [f"--csi-address={address}", "--http-endpoint=127.0.0.1:0"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pvbinder", *arguments, *here),
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig), "POD_NAMESPACE": "kube-system"},
        )
        try:
            client = Client(plane.transport)
            await client.create(STORAGE_CLASSES, storage_class())
            await client.create(CLAIMS, claim("orders", storageClassName="fast"))
            await until_bound(client, "orders")
            await client.delete(CLAIMS, "orders", "default")
            while await client.list_all(VOLUMES):
                await asyncio.sleep(0.05)
        finally:
            process.terminate()
            _, log = await process.communicate()

    assert process.returncode == 0, log.decode()
    assert driver.volumes == {}
    assert requests.asked
    assert requests.refused == []
    assert b"forbidden" not in log
