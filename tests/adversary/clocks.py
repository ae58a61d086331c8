"""The clocks of server and controllers jump, forward and back, together or alone: nothing stops, no object is lost.

After each jump a new pair must bind, a new pod must run, a deletion must end, an open watch must show all of this, and
a new token must be valid. Leases, and all objects but events, must stay. An older token must not be valid beyond its
time by the server's clock. Processes also start with a wrong clock.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import aiohttp
from tests.adversary import jumping_clock
from tests.adversary.attack import Attack, Figures
from tests.adversary.direct import Direct, Json, direct
from tools.plane import controlling, running

DONE_SECONDS_MAX = 30.0  # for each check after a jump
HOUR, DAY, YEAR = 3600.0, 86400.0, 31_557_600.0
JUMPS = (-10 * YEAR, -YEAR, -DAY, -HOUR, -600.0, -5.0, 5.0, 600.0, HOUR + 60, DAY, YEAR, 10 * YEAR)
STARTS = (0.0, -30 * DAY, -HOUR, HOUR, 30 * DAY)  # a certificate must be valid for a client whose clock is right
CORE = "/api/v1/namespaces/default"
CLAIMS, VOLUMES = f"{CORE}/persistentvolumeclaims", "/api/v1/persistentvolumes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
CONTROLLERS = "*,scheduler,kubelet,namespace,garbagecollector"


@contextmanager
def with_clock(clock: str) -> Iterator[None]:
    """Give this clock to processes that start meanwhile."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = clock
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


class Watching:
    """A watch of claims, which must live through all jumps."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self.bound: set[str] = set()
        self.ended = False

    async def run(self) -> None:
        """Note the events of the watch."""
        target = f"{CLAIMS}?watch=1&timeoutSeconds=100000"
        async with direct(self._kubeconfig) as line, line.stream(target) as lines:
            async for text in lines:
                event = json.loads(text)
                if event["object"].get("status", {}).get("phase") == "Bound":
                    self.bound.add(event["object"]["metadata"]["name"])
        self.ended = True


async def until(what: str, question: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes."""
    deadline = time.monotonic() + DONE_SECONDS_MAX
    while not await question():
        assert time.monotonic() < deadline, f"not within {DONE_SECONDS_MAX:.0f} s: {what}"
        await asyncio.sleep(0.1)


async def live_once(line: Direct, watching: Watching, number: int) -> str:
    """Use each ability that a jump could have broken; return a new token."""
    name = f"n{number}"
    spec = {"storageClassName": "x", "accessModes": ["ReadWriteOnce"]}
    volume = {**spec, "capacity": {"storage": "1Gi"}, "hostPath": {"path": f"/tmp/none-{name}"}}
    claim = {**spec, "resources": {"requests": {"storage": "1Gi"}}}
    pod = {
        "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}],
    }

    async def make(path: str, body: Json) -> None:
        status, said = await line.ask("POST", path, {"metadata": {"name": name}, **body})
        assert status == 201, said

    async def phase(path: str) -> str:
        return str((await line.ask("GET", path))[1].get("status", {}).get("phase"))

    async def is_bound() -> bool:
        return await phase(f"{CLAIMS}/{name}") == "Bound"

    async def runs() -> bool:
        return await phase(f"{CORE}/pods/{name}") == "Running"

    async def has_gone() -> bool:
        return (await line.ask("GET", f"{CORE}/pods/{name}"))[0] == 404

    async def claim_has_gone() -> bool:
        return (await line.ask("GET", f"{CLAIMS}/{name}"))[0] == 404

    async def was_told() -> bool:
        assert not watching.ended, "the watch has ended"
        return name in watching.bound

    await make(VOLUMES, {"spec": volume})
    await make(CLAIMS, {"spec": claim})
    await make(f"{CORE}/pods", {"spec": pod})
    await until("the pair is bound", is_bound)
    await until("the watch has told of it", was_told)
    await until("the pod runs", runs)
    await line.ask("DELETE", f"{CORE}/pods/{name}", {"gracePeriodSeconds": 1})
    await line.ask("DELETE", f"{CLAIMS}/{name}")
    await until("the pod is gone", has_gone)
    await until("the claim is gone", claim_has_gone)
    lease = {"holderIdentity": name, "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
    await make(LEASES, {"spec": lease})
    status, said = await line.ask("POST", f"{CORE}/serviceaccounts/robot/token", {"spec": {"expirationSeconds": 600}})
    assert status == 201, said
    return str(said["status"]["token"])


async def is_good(line: Direct, token: str) -> bool:
    """Ask the server whether it takes a token."""
    review = "/apis/authentication.k8s.io/v1/tokenreviews"
    status, said = await line.ask("POST", review, {"spec": {"token": token}})
    assert status == 201, said
    return bool(said["status"].get("authenticated"))


async def jump_about(kubeconfig: Path, clocks: list[Path], offsets: list[float], seconds: float, random: Random) -> int:
    """Jump and check until the time is over; return the number of jumps."""
    watching = Watching(kubeconfig)
    following = asyncio.ensure_future(watching.run())
    jumps, ended = 0, time.monotonic() + seconds
    try:
        async with direct(kubeconfig) as line:
            await line.ask("POST", f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
            await live_once(line, watching, 0)
            while time.monotonic() < ended or jumps < 3:
                jumps += 1
                token = await live_once(line, watching, 2 * jumps - 1)
                assert await is_good(line, token), "a new token is good"
                change, which = random.choice(JUMPS), random.choice([(0,), (1,), (0, 1)])
                if max(abs(offsets[index] + change) for index in which) > 15 * YEAR:
                    change = -change
                for index in which:
                    offsets[index] += change
                    jumping_clock.set_offset(clocks[index], offsets[index])
                try:
                    if 0 in which and change > HOUR:
                        assert not await is_good(line, token), "a token of ten minutes is good after more than an hour"
                    await live_once(line, watching, 2 * jumps)
                except AssertionError as error:
                    error.add_note(f"after a jump of {change:.0f} s of {which}, 0 is the server's clock; {offsets}")
                    raise
            leases = {item["metadata"]["name"] for item in await line.items(LEASES)}
            lost = {f"n{number}" for number in range(2 * jumps + 1)} - leases
            assert not lost, f"leases are lost: {sorted(lost)}"
    except aiohttp.ClientError as error:
        raise AssertionError(f"the server doesn't answer after {jumps} jumps; {offsets}") from error
    finally:
        following.cancel()
        await asyncio.wait([following])
    return jumps


def run(directory: Path, seconds: float, random: Random) -> Figures:
    """Start both with clocks of their own, and let them jump."""
    jumps = starts = 0
    ended = time.monotonic() + seconds
    while time.monotonic() < ended or not starts:
        starts += 1
        place = directory / str(starts)
        place.mkdir()
        clocks = [place / "server-clock", place / "controllers-clock"]
        paths = [jumping_clock.directory_for(clock) for clock in clocks]
        offsets = [random.choice(STARTS), random.choice(STARTS)] if starts > 1 else [0.0, 0.0]
        for clock, offset in zip(clocks, offsets, strict=True):
            jumping_clock.set_offset(clock, offset)
        with ExitStack() as stack:
            with with_clock(paths[0]):
                plane = stack.enter_context(running(place / "data", ["--controllers="]))
            with with_clock(paths[1]):
                stack.enter_context(controlling(plane.kubeconfig, ["--controllers", CONTROLLERS]))
            left = min(max(ended - time.monotonic(), 0.0), 120.0)
            jumps += asyncio.run(jump_about(plane.kubeconfig, clocks, offsets, left, random))
            assert "Traceback" not in plane.log(), plane.log()[-3000:]
    return {"jumps": jumps, "starts": starts}


ATTACKS = (Attack("clock-jumps", run, 5),)
