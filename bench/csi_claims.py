"""Claims that a CSI driver provisions, in one burst, as somebody outside sees it: from the POST to Bound.

`pvbinder up` with its local driver, over gRPC: how many claims are bound a second, and how long each takes; beside it
the backlog of pairs (`bind_backlog`) of the same run. Then `pvbinder csi` as a process of its own, for its memory. Then
drivers that answer late, that fail, and that time out after they have made the volume: all claims must be bound in the
end, and no volume may be without its PersistentVolume.

    python -m bench.csi_claims [CLAIMS]
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from bench.figure import report
from bench.outside import CLAIMS, CLAIMS_OF_DEFAULT, VOLUMES, counted, events_of
from tools.plane import RunningPlane, access, running

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.serving import Handlers, serving
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

CLAIMS_ASKED = 500
BOUND_A_SECOND_BUDGET = 150
MEMORY_BUDGET_MIB = 90
IN_FLIGHT = 100  # calls, as --worker-threads has it
POSTS = 32
DEADLINE_SECONDS = 600
CREATE = "/csi.v1.Controller/CreateVolume"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
NAME = "bench.csi.pvbinder.io"


def claim(number: int, storage_class: str) -> dict[str, Any]:
    """Return a claim of the burst."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"claim-{number:05}"},
        "spec": {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }


async def burst(kubeconfig: Path, count: int, storage_class: str) -> list[float]:
    """Create the claims at once; return how long each took to Bound, and first of all how long the whole took."""
    url, context = access(kubeconfig)
    timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
    connector = aiohttp.TCPConnector(ssl=context, limit=POSTS + 1)
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout, read_bufsize=2**22) as session:

        async def create(numbers: Any) -> None:
            for number in numbers:
                document = claim(number, storage_class)
                begun[document["metadata"]["name"]] = time.perf_counter()
                async with session.post(CLAIMS_OF_DEFAULT, json=document) as answer:
                    assert answer.status == 201, await answer.text()

        async with session.get(CLAIMS, params={"watch": "true"}) as answer, asyncio.TaskGroup() as group:
            numbers = iter(range(count))
            for _ in range(POSTS):
                group.create_task(create(numbers))
            async for event in events_of(answer):
                item = event["object"]
                if item["status"].get("phase") == "Bound":
                    ended.setdefault(item["metadata"]["name"], time.perf_counter())
                    if len(ended) == count:
                        break
    took = sorted(ended[name] - begun[name] for name in ended)
    return [max(ended.values()) - min(begun.values()), *took]


async def handles(kubeconfig: Path) -> list[str]:
    """The volumes that PersistentVolumes name."""
    url, context = access(kubeconfig)
    async with aiohttp.ClientSession(url) as session, session.get(VOLUMES, ssl=context) as answer:
        listed = await answer.json(content_type=None)
    return sorted(item["spec"]["csi"]["volumeHandle"] for item in listed["items"])


async def make_class(kubeconfig: Path, name: str, provisioner: str) -> None:
    """Create a class that binds at once."""
    url, context = access(kubeconfig)
    document = {"metadata": {"name": name}, "provisioner": provisioner}
    async with aiohttp.ClientSession(url) as session, session.post(CLASSES, json=document, ssl=context) as answer:
        assert answer.status == 201, await answer.text()


class Weather:
    """A driver in this process: it keeps names, answers late, fails and times out as it is told."""

    def __init__(self, *, seconds: float = 0.0, fails: float = 0.0, times_out: float = 0.0) -> None:
        self.volumes: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self._seconds, self._fails, self._times_out = seconds, fails, times_out
        self._chance = random.Random(1)

    async def create(self, request: csi.CreateVolumeRequest) -> csi.CreateVolumeResponse:
        """Make a volume, or not."""
        self.calls["create"] += 1
        luck = self._chance.random()
        if luck < self._fails:
            self.calls["failed"] += 1
            raise CallFailed(Code.UNAVAILABLE, "a tenth of the calls fail")
        volume_id = self.volumes.setdefault(request.name, f"id-{len(self.volumes)}")
        if luck < self._fails + self._times_out:
            self.calls["timed out"] += 1
            await asyncio.sleep(DEADLINE_SECONDS)
        await asyncio.sleep(self._seconds)
        size = request.capacity_range.required_bytes
        return csi.CreateVolumeResponse(volume=csi.Volume(volume_id=volume_id, capacity_bytes=size))

    def handlers(self) -> Handlers:
        """The methods of the driver."""
        rpc, service = csi.ControllerServiceCapability.RPC, csi.PluginCapability.Service
        can = [csi.ControllerServiceCapability(rpc=rpc(type=rpc.CREATE_DELETE_VOLUME))]
        plugin = [csi.PluginCapability(service=service(type=service.CONTROLLER_SERVICE))]

        def answering(answer: Any) -> Any:
            async def handler(_: Any) -> Any:
                return answer

            return handler

        return {
            methods.PROBE: answering(csi.ProbeResponse()),
            methods.GET_PLUGIN_INFO: answering(csi.GetPluginInfoResponse(name=NAME, vendor_version="1")),
            methods.GET_PLUGIN_CAPABILITIES: answering(csi.GetPluginCapabilitiesResponse(capabilities=plugin)),
            methods.CONTROLLER_GET_CAPABILITIES: answering(csi.ControllerGetCapabilitiesResponse(capabilities=can)),
            methods.CREATE_VOLUME: self.create,
        }


@asynccontextmanager
async def beside(folder: Path, driver: Weather) -> AsyncIterator[RunningPlane]:
    """A control plane with a driver of ours, and a class for it."""
    address = f"unix://{folder}/csi.sock"
    async with serving(address, driver.handlers()):
        opened = running(folder / "data", ["--csi-driver", address])
        plane = await asyncio.to_thread(opened.__enter__)
        try:
            await make_class(plane.kubeconfig, "bench", NAME)
            yield plane
        finally:
            await asyncio.to_thread(opened.__exit__, None, None, None)


def backlog_of(count: int) -> float:
    """Return the binds a second of a backlog of pairs, now."""
    command = [sys.executable, "-m", "bench.bind_backlog", str(count)]
    return float(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)["value"])


def percentile(values: list[float], part: float) -> float:
    """Return the value that `part` of the sorted values don't exceed."""
    return values[min(len(values) - 1, round(part * len(values)))]


def local_driver(folder: Path, count: int) -> None:
    """The burst through the local driver, beside the backlog of pairs."""
    with running(folder / "data") as plane:
        total, *took = asyncio.run(burst(plane.kubeconfig, count, "local-immediate"))
        asked = counted(plane.kubeconfig, "csi_sidecar_operations_seconds_count", method_name=CREATE)
        refused = asked - counted(
            plane.kubeconfig, "csi_sidecar_operations_seconds_count", method_name=CREATE, grpc_status_code="OK"
        )
        memory_mib = plane.memory_mib
    pairs = backlog_of(count)
    report(
        "claims provisioned by the local driver and bound, in one burst",
        count / total,
        "claims/s",
        budget=BOUND_A_SECOND_BUDGET,
        better="higher",
        n=count,
        p50_seconds=round(statistics.median(took), 3),
        p99_seconds=round(percentile(took, 0.99), 3),
        creates_a_claim=round(asked / count, 3),
        creates_refused=refused,
        pairs_backlog_binds_a_second=round(pairs),
        share_of_backlog=round(count / total / pairs, 2),
        memory_mib=round(memory_mib, 1),
    )


async def sidecar_alone(folder: Path, count: int) -> None:
    """The memory of `pvbinder csi`, all roles, after a burst."""
    address = f"unix://{folder}/csi.sock"
    driver = Weather()
    async with serving(address, driver.handlers()):
        opened = running(folder / "data")
        plane = await asyncio.to_thread(opened.__enter__)
        try:
            await make_class(plane.kubeconfig, "bench", NAME)
            flags = ["--csi-address", address, "--kubeconfig", str(plane.kubeconfig), "--metrics-port", "0"]
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "pvbinder.cli.main", "csi", *flags)
            try:
                total, *_ = await burst(plane.kubeconfig, count, "bench")
                status = await asyncio.to_thread(Path(f"/proc/{process.pid}/status").read_text)
            finally:
                process.terminate()
                await process.wait()
        finally:
            await asyncio.to_thread(opened.__exit__, None, None, None)
    fields = dict(line.split(":", 1) for line in status.splitlines())
    report(
        "memory of pvbinder csi after a burst, all roles",
        int(fields["VmRSS"].split()[0]) / 1024,
        "MiB",
        budget=MEMORY_BUDGET_MIB,
        better="lower",
        n=count,
        peak_mib=round(int(fields["VmHWM"].split()[0]) / 1024, 1),
        claims_a_second=round(count / total),
    )


async def slow(folder: Path, count: int) -> None:
    """A driver that answers in a second."""
    async with beside(folder, Weather(seconds=1.0)) as plane:
        total, *_ = await burst(plane.kubeconfig, count, "bench")
    least = max(1.0, count / IN_FLIGHT)
    report(
        "claims of a driver that answers in 1 s, against the calls in flight alone",
        total / least,
        "times",
        budget=1.1,
        better="lower",
        n=count,
        seconds=round(total, 2),
    )


async def stormy(folder: Path, count: int) -> None:
    """A driver that fails a tenth of its calls, and times out on another tenth after it has made the volume."""
    driver = Weather(fails=0.1, times_out=0.1)
    async with beside(folder, driver) as plane:
        total, *_ = await burst(plane.kubeconfig, count, "bench")
        leaked = sorted(set(driver.volumes.values()) ^ set(await handles(plane.kubeconfig)))
    report(
        "volumes without a PersistentVolume, or the reverse, after failures",
        len(leaked),
        "volumes",
        budget=0,
        better="lower",
        n=count,
        seconds=round(total, 1),
        calls_a_claim=round(driver.calls["create"] / count, 3),
        failed=driver.calls["failed"],
        timed_out=driver.calls["timed out"],
    )


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CLAIMS_ASKED
    # beside us: /tmp may be memory, where durable costs nothing
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as name:
        folder = Path(name).absolute()
        parts = [folder / str(number) for number in range(4)]
        for part in parts:
            part.mkdir()
        local_driver(parts[0], count)
        asyncio.run(sidecar_alone(parts[1], count))
        asyncio.run(slow(parts[2], count))
        asyncio.run(stormy(parts[3], count))


if __name__ == "__main__":
    main()
