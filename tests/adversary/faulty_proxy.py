"""Controllers and server with a proxy between them that fails, lies, freezes and loses answers, while a user works.

Both are processes of their own, and the proxy has a real socket. A story goes in episodes: some seconds with one or a
few faults, then a time without any in which all must settle within `SETTLED_SECONDS_MAX`. Meanwhile the controllers are
killed, and the server is stopped, started, or brought back from a backup. The invariants are those of `witness`.

Three attacks. `faulty-proxy` has all faults that a client can tell. `lying-proxy` answers with lists that look right
and lack objects, or are old, once for a kind: nothing may be destroyed by it, but only a new start of the controllers
need find the truth. `restored-backup` brings back the past.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from random import Random

from tests.adversary.attack import BARE, Attack, Figures
from tests.adversary.direct import Direct, direct
from tests.adversary.faults import FAULTS, Fault, Freeze, Rewritten, Truncate
from tests.adversary.proxy import Passing, Proxy
from tests.adversary.stories import BY_HAND, User
from tests.adversary.witness import Witness
from tools.plane import RunningPlane, running

SETTLED_SECONDS_MAX = 60.0  # after the faults have ended
REQUESTS_MAX_PER_SECOND = 120.0  # of the controllers in an episode; the user's acts alone cause 40
SILENT_SECONDS_MAX = 200.0  # until it is noticed that a watch is silent for good; bookmarks come every minute
SAME_MAX_PER_SECOND = 15.0  # of them for one method and path
LOOK_SECONDS = 0.15
TOLD_LINES = 25  # lines of requests and of the log, for each object in a failure
STOP_SECONDS = 30.0
CONTROLLERS = "*,namespace,garbagecollector"
LIES = frozenset(name for name, fault in FAULTS.items() if isinstance(fault, Rewritten)) - {
    "a list of another kind",  # that a client can recognise
    "a list without its end",
}
TELLABLE = tuple(name for name in FAULTS if name not in LIES)
_PLURAL = re.compile(r"/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?/([a-z]+)")


class Controllers:
    """`pvbinder controller` behind the proxy, which is started again whenever it has ended."""

    def __init__(self, kubeconfig: Path, root: Path, log: Path) -> None:
        self._command = [
            *[sys.executable, "-m", "pvbinder.cli.main", "controller", "--kubeconfig", str(kubeconfig)],
            *["--controllers", CONTROLLERS, "--no-metrics", "--sync-period", "3s"],
            *["--enable-hostpath-provisioner", "--hostpath-root", str(root)],
        ]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def see_to_it(self) -> None:
        """Start it if it isn't running."""
        if self._process is None or self._process.poll() is not None:
            self.starts += 1
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def said(self) -> list[str]:
        """Return the lines of all logs so far."""
        return self._log.read_text(errors="replace").splitlines()

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it as an operator does."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


class Server:
    """`pvbinder up` without controllers, which can be stopped, started and brought back from a backup on one port."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self._backup = directory / "backup"
        self._stack = ExitStack()
        self.plane: RunningPlane = self._stack.enter_context(running(self.data, BARE))
        self.restored = 0

    def stop(self) -> None:
        self._stack.close()

    def start(self) -> None:
        self.plane = self._stack.enter_context(running(self.data, BARE, port=None))

    def back_up(self) -> None:
        """Copy the data directory while the server is away."""
        self.stop()
        shutil.rmtree(self._backup, ignore_errors=True)
        shutil.copytree(self.data, self._backup)
        self.start()

    def restore(self) -> None:
        """Put the copy in the place of the data directory."""
        self.stop()
        shutil.rmtree(self.data)
        shutil.copytree(self._backup, self.data)
        self.restored += 1
        self.start()


@dataclass(slots=True)
class Schedule:
    """Which request meets which fault. A lie is told once for a kind in the life of one controllers' process."""

    random: Random
    chosen: tuple[str, ...] = ()
    share: float = 0.0  # of the requests
    only: str = ""  # the plural that is hit; "" is all
    _lied: set[tuple[int, str]] = field(default_factory=set)
    generation: int = 0

    def decide(self, passing: Passing) -> tuple[str, Fault] | None:
        """Choose, at random, what happens to a request."""
        found = _PLURAL.match(passing.target)
        plural = found[1] if found else ""
        if not self.chosen or (self.only and plural != self.only) or self.random.random() >= self.share:
            return None
        name = self.random.choice(self.chosen)
        if name in LIES:
            if passing.is_watch:
                name = "410"  # so that a list follows
                return (name, FAULTS[name]) if self.random.random() < 0.3 else None
            if passing.method != "GET" or (self.generation, plural) in self._lied:
                return None
            self._lied.add((self.generation, plural))
        return name, FAULTS[name]

    def begin(self, names: tuple[str, ...]) -> None:
        """Begin an episode: all faults at random, or one of them for everything or for one kind."""
        style = self.random.random()
        if style < 0.4:
            self.chosen, self.share, self.only = names, self.random.choice([0.2, 0.6]), ""
        elif style < 0.7:
            self.chosen, self.share, self.only = (self.random.choice(names),), 1.0, ""
        else:
            plural = self.random.choice(["persistentvolumeclaims", "persistentvolumes", "pods", "configmaps"])
            self.chosen, self.share, self.only = (self.random.choice(names),), 1.0, plural

    def end(self) -> None:
        """Let everything pass."""
        self.chosen, self.share = (), 0.0


@dataclass(slots=True)
class Stage:
    """The server, the controllers, the proxy and the user of a story."""

    server: Server
    proxy: Proxy
    controllers: Controllers
    schedule: Schedule
    direct: Direct
    user: User
    witness: Witness
    random: Random
    settled_seconds: float = 0.0  # the longest
    busiest: float = 0.0  # requests a second in an episode
    most_repeated: float = 0.0  # of them of one method and path
    episodes: int = 0

    async def live(self, seconds: float, *, kills: bool = True) -> None:
        """Let the user act for so long, look all the time, and kill the controllers now and then."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self.user.act()
            await self.witness.look()
            await asyncio.sleep(LOOK_SECONDS)
            if kills and self.random.random() < 0.02:
                await asyncio.to_thread(self.controllers.kill)
                self.schedule.generation += 1
            if self.random.random() < 0.05:
                ways: tuple[Fault, ...] = (Truncate(), Freeze(2.0))
                self.proxy.break_watches(self.random.choice(ways))
            self.controllers.see_to_it()

    async def episode(
        self, names: tuple[str, ...], seconds: float, share: float | None = None, *, kills: bool = True
    ) -> None:
        """Live through some faults; `share` is the part of the requests that meet one, None for a random part."""
        self.episodes += 1
        self.schedule.begin(names)
        if share is not None:
            self.schedule.chosen, self.schedule.share, self.schedule.only = names, share, ""
        before, began = self.proxy.requests, time.monotonic()
        self.proxy.by_target.clear()
        await self.live(seconds, kills=kills)
        took = time.monotonic() - began
        rate, under = (self.proxy.requests - before) / took, f"requests a second under {self.described()}"
        self.busiest = max(self.busiest, rate)
        assert rate < REQUESTS_MAX_PER_SECOND, f"{rate:.0f} {under}"
        target, count = max(self.proxy.by_target.items(), key=itemgetter(1), default=("", 0))
        self.most_repeated = max(self.most_repeated, count / took)
        assert count / took < SAME_MAX_PER_SECOND, f"{count / took:.0f} {under}, all of them {target}"
        self.schedule.end()

    async def settle(self, limit_seconds: float = SETTLED_SECONDS_MAX) -> None:
        """Wait until all work is done, that of a new pair included."""
        began = time.monotonic()
        await self.user.end_all_pods()
        await self.user.make_disk()
        await self.user.make_claim(BY_HAND, ["ReadWriteOnce"])
        while True:
            self.controllers.see_to_it()
            await self.witness.look()
            left = self.witness.unsettled()
            took = time.monotonic() - began
            if not left:
                self.settled_seconds = max(self.settled_seconds, took)
                return
            assert took < limit_seconds, f"unsettled after {took:.0f} s, after {self.described()}: {left}"
            await asyncio.sleep(LOOK_SECONDS)

    def described(self) -> str:
        """Say which faults the last episode had."""
        names = self.schedule.chosen if len(self.schedule.chosen) < 4 else ("all faults",)
        return f"{', '.join(names) or 'the faults before'} for {self.schedule.only or 'everything'}"

    def figures(self) -> Figures:
        """Return the numbers of faults and events."""
        return {
            "episodes": self.episodes,
            "faults": sum(self.proxy.by_fault.values()),
            "kinds_of_faults": len(self.proxy.by_fault),
            "acts": self.user.acts,
            "looks": self.witness.looks,
            "controllers_started": self.controllers.starts,
            "backups_restored": self.server.restored,
            "settled_seconds": self.settled_seconds,
            "requests_per_second": self.busiest,
            "same_per_second": self.most_repeated,
        }


@contextlib.asynccontextmanager
async def stage(directory: Path, random: Random) -> AsyncIterator[Stage]:
    """Start server, proxy, controllers and user."""
    async with AsyncExitStack() as stack:
        server = Server(directory)
        stack.callback(server.stop)
        kubeconfig = server.plane.kubeconfig
        upstream_port = int(re.findall(r"server: \S+:(\d+)", kubeconfig.read_text())[0])
        schedule = Schedule(random)
        pki = shutil.copytree(server.data / "pki", directory / "pki")
        proxy = Proxy(pki, upstream_port, schedule.decide)
        await stack.enter_async_context(proxy.running())
        through = directory / "kubeconfig"
        through.write_text(kubeconfig.read_text().replace(f":{upstream_port}\n", f":{proxy.port}\n"))
        root = directory / "disks"
        root.mkdir()
        controllers = Controllers(through, root, directory / "controllers.log")
        stack.callback(controllers.kill)
        to_server = await stack.enter_async_context(direct(kubeconfig))
        user = User(to_server, root, random)
        witness = Witness(to_server, user)
        controllers.see_to_it()
        await user.prepare()
        ready = Stage(server, proxy, controllers, schedule, to_server, user, witness, random)
        await ready.settle()
        ready.settled_seconds = 0.0
        try:
            yield ready
        except AssertionError as error:
            (directory / "requests.log").write_text("\n".join(proxy.told))
            for name in set(re.findall(r"[a-z]+-[0-9a-f-]+", str(error))):
                error.add_note("\n".join([line for line in proxy.told if name in line][-TOLD_LINES:]))
                error.add_note("\n".join([line for line in controllers.said() if name in line][-TOLD_LINES:]))
            raise


async def _faulty(directory: Path, seconds: float, random: Random) -> Figures:
    async with stage(directory, random) as now:
        await now.live(2, kills=False)
        until = time.monotonic() + seconds
        await now.episode(TELLABLE, min(5, seconds / 2), share=0.4, kills=False)
        await now.settle()
        if seconds > 2 * SILENT_SECONDS_MAX:
            now.proxy.break_watches(Freeze(10 * SILENT_SECONDS_MAX))  # open, and silent for good
            await now.settle(SILENT_SECONDS_MAX)
        while time.monotonic() < until:
            await now.episode(TELLABLE, min(random.choice([3, 6, 12, 20]), seconds / 3))
            await now.settle()
        return now.figures()


async def _lying(directory: Path, seconds: float, random: Random) -> Figures:
    async with stage(directory, random) as now:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await now.live(2, kills=False)
            now.proxy.break_watches(Truncate())
            await now.episode(tuple(sorted(LIES)), min(5, seconds), share=0.8, kills=False)
            await asyncio.to_thread(now.controllers.stop)
            now.schedule.generation += 1
            await now.settle()
        return now.figures()


async def _restored(directory: Path, seconds: float, random: Random) -> Figures:
    async with stage(directory, random) as now:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await now.live(2, kills=False)
            await now.settle()
            await asyncio.to_thread(now.server.back_up)
            await now.live(3, kills=False)
            await now.settle()
            await asyncio.to_thread(now.server.restore)
            await now.witness.begin_again()
            await now.live(2, kills=False)
            await now.settle()
        return now.figures()


def faulty_proxy(directory: Path, seconds: float, random: Random) -> Figures:
    """Fail in every way that a client can tell."""
    return asyncio.run(_faulty(directory, seconds, random))


def lying_proxy(directory: Path, seconds: float, random: Random) -> Figures:
    """Answer with old or incomplete lists."""
    return asyncio.run(_lying(directory, seconds, random))


def restored_backup(directory: Path, seconds: float, random: Random) -> Figures:
    """Bring back the past under running controllers."""
    return asyncio.run(_restored(directory, seconds, random))


ATTACKS = (
    Attack("faulty-proxy", faulty_proxy, 12),
    Attack("lying-proxy", lying_proxy, 6),
    Attack("restored-backup", restored_backup, 5),
)
