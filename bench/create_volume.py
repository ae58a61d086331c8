"""What a CreateVolume costs the process of the local driver: bursts over gRPC, as many in flight as the sidecar has.

The driver is started as `pvbinder up` starts it, in a directory beside us; the calls come from here. Each burst tells
the processor time of the driver a call, that of the whole machine (this process included, and whatever else runs), and
the rate. The first line is about the start of the process: from the moment at which it is asked for until it is served.

An ext4 without a journal passes over each inode that was freed in the last minutes, one by one: there a run soon after
another one, or after anything else that removed many files, has more time in the system.

    python -m bench.create_volume [CALLS [IN_FLIGHT]]
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figure import report

from pvbinder import logs
from pvbinder.csi.driver import Driver
from pvbinder.csi.local.options import LocalDriver
from pvbinder.csi.local.process import driver_process
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

CALLS = 500
IN_FLIGHT = 100  # as --worker-threads has it
BURSTS = 3
STARTS = 7
BUDGET_MS = 1.0
START_BUDGET_SECONDS = 0.2
NODE = "local"
TICKS = os.sysconf("SC_CLK_TCK")


def request(number: int) -> csi.CreateVolumeRequest:
    """Return what the provisioner asks for a claim of the class `local`."""
    topology = csi.Topology(segments={"topology.local.csi.pvbinder.io/node": NODE})
    made = csi.CreateVolumeRequest(
        name=f"pvc-{number:032x}",
        capacity_range=csi.CapacityRange(required_bytes=1 << 20),
        volume_capabilities=[csi.VolumeCapability(access_mode=csi.VolumeCapability.AccessMode(mode=1))],  # type: ignore[arg-type]
        accessibility_requirements=csi.TopologyRequirement(requisite=[topology], preferred=[topology]),
    )
    made.volume_capabilities[0].mount.SetInParent()
    return made


def processor_seconds(pid: int) -> tuple[float, float]:
    """Return what a process has used in all, and what of that in the system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]) / TICKS, int(fields[12]) / TICKS
    return user + system, system


def machine_seconds() -> float:
    """Return what all processes and the kernel have used, waiting left out."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq) / TICKS


async def burst(driver: Driver, first: int, count: int, in_flight: int) -> None:
    """Make so many volumes, and wait for the last one."""
    places = asyncio.Semaphore(in_flight)

    async def create(number: int) -> None:
        async with places:
            await driver.call(methods.CREATE_VOLUME, request(number), timeout_seconds=600)

    async with asyncio.TaskGroup() as group:
        for number in range(first, first + count):
            group.create_task(create(number))


@contextmanager
def unseen() -> Iterator[None]:
    """Have nobody read what goes to stderr."""
    before = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


async def starts(folder: Path) -> tuple[list[float], list[float]]:
    """Return how long each of several starts took, and its processor time."""
    took, used = [], []
    for number in range(STARTS + 1):
        options = LocalDriver(f"unix://{folder}/{number}.sock", folder / f"start-{number}", NODE)
        begun = time.perf_counter()
        async with driver_process(options) as process:
            took.append(round(time.perf_counter() - begun, 3))
            used.append(round(processor_seconds(process.pid)[0], 3))
    return took[1:], used[1:]  # the first one has the files to read, and to compile


@dataclass(frozen=True)
class Burst:
    """What a burst took, each a call, in milliseconds; and calls a second."""

    own: float
    system: float  # of own
    machine: float
    rate: float


async def bursts(folder: Path, count: int, in_flight: int) -> list[Burst]:
    """Return what each of several bursts took."""
    options = LocalDriver(f"unix://{folder}/csi.sock", folder / "root", NODE)
    found = []
    async with driver_process(options) as process, Driver(options.endpoint) as driver:
        await burst(driver, 0, 1, 1)
        for number in range(BURSTS):
            before, machine_before, begun = processor_seconds(process.pid), machine_seconds(), time.perf_counter()
            await burst(driver, 1 + number * count, count, in_flight)
            rate = count / (time.perf_counter() - begun)
            own, system = (
                (now - then) / count * 1000 for now, then in zip(processor_seconds(process.pid), before, strict=True)
            )
            found.append(Burst(own, system, (machine_seconds() - machine_before) / count * 1000, rate))
    return found


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    in_flight = int(sys.argv[2]) if len(sys.argv) > 2 else IN_FLIGHT
    logs.configure()  # the driver writes its lines, too, as it does in `pvbinder up`
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as name, unseen():
        folder = Path(name).absolute()
        took, used = asyncio.run(starts(folder))
        found = asyncio.run(bursts(folder, count, in_flight))
    figure = "start of the local driver's process until it is served"
    report(
        figure,
        statistics.median(took),
        "s",
        budget=START_BUDGET_SECONDS,
        better="lower",
        n=STARTS,
        all=took,
        processor=used,
    )
    report(
        "processor time of the local driver a CreateVolume",
        statistics.median(each.own for each in found),
        "ms",
        budget=BUDGET_MS,
        better="lower",
        n=count,
        in_flight=in_flight,
        all=[round(each.own, 2) for each in found],
        system_ms=[round(each.system, 2) for each in found],
        machine_ms=[round(each.machine, 2) for each in found],
        calls_a_second=[round(each.rate) for each in found],
    )


if __name__ == "__main__":
    main()
