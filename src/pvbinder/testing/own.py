"""A control plane of the tests' own, in a thread of their process.

OWN-1  It is ready when it is made, and gone, with all its files, when it is closed.
OWN-2  After a test the objects are what they were before it (`put_back`), faults are gone, and time runs on from where
       it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from os import PathLike, fspath
from time import time
from typing import Any, Final

from pvbinder import logs
from pvbinder.controllers.configuration import read_options
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Client
from pvbinder.model.resources import Resource
from pvbinder.plane.control_plane import Plane, control_plane
from pvbinder.plane.options import PlaneOptions
from pvbinder.plane.recorder import Chronicle
from pvbinder.testing.cluster import ClusterUnderTest, make_namespace
from pvbinder.testing.faults import Faults
from pvbinder.testing.kinds import Kinds
from pvbinder.testing.put_back import ObjectsBefore, put_back, take

TURNS_BETWEEN_LOOKS: Final = 10  # from a write to the event that a controller sees
SETTLE_LOOKS_MAX: Final = 200

LoadedFrom = str | PathLike[str] | Mapping[str, Any]


class OwnCluster(ClusterUnderTest):
    """The control plane, started."""

    is_own = True

    def __init__(
        self,
        *,
        load: Iterable[LoadedFrom] = (),
        bare: bool = False,
        default_class: bool = False,
        controllers: str | Sequence[str] = "*",
        csi_drivers: Sequence[str] = (),
        **flags: Any,
    ) -> None:
        """Start it. `load` are files and objects to begin with; `flags` are those of the controllers, with ``_``."""
        options = _options(controllers, flags)
        super().__init__()
        sources = list(load)
        self._recorder = Chronicle()
        self._faults = Faults(self._recorder)
        self._before: ObjectsBefore = {}
        self._stack = ExitStack()
        self._stop = asyncio.Event()
        self._ready: Future[Plane] = Future()
        plane_options = PlaneOptions(
            data_dir=None,
            in_memory=True,
            port=0,
            controllers=options,
            bare=bare,
            default_class=default_class,
            csi_drivers=tuple(csi_drivers),
            load=tuple(fspath(one) for one in sources if not isinstance(one, Mapping)),
        )
        objects = [("load", dict(one)) for one in sources if isinstance(one, Mapping)]
        self._stack.enter_context(logs.heard(self._recorder.hear))
        self._recorder.begin(time())
        self._running = self.thread.submit(self._run(plane_options, objects))
        try:
            self._plane = self._ready.result(60)
        except BaseException:
            self._stack.close()
            self.thread.close()
            raise
        self.url, self.kubeconfig = self._plane.url, self._plane.kubeconfig
        self.client = Client(self._plane.transport)
        self.kinds = Kinds(self.client)

    async def _run(self, options: PlaneOptions, objects: list[tuple[str, dict[str, Any]]]) -> None:
        try:
            async with control_plane(
                options, objects=objects, now=self.thread.loop.now, interceptor=self._faults.intercept
            ) as plane:
                self._ready.set_result(plane)
                await self._stop.wait()
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    @property
    def recorder(self) -> Chronicle:
        """The requests and decisions since the test began."""
        return self._recorder

    @property
    def faults(self) -> Faults:
        """The failures that are asked for."""
        return self._faults

    async def advance(self, seconds: float) -> None:
        """Let time pass for the server and its controllers."""
        await self.thread.loop.advance(seconds)

    async def begin(self, namespace: str) -> None:
        """Note what there is, make the namespace, and record anew."""
        await self._settle()
        self._before = take(self._plane.server.store)
        await make_namespace(self.client, namespace)
        await self._settle()
        self._recorder.begin(time())

    async def end(self, namespace: str, cluster_wide: Iterable[tuple[Resource, str]]) -> None:
        """Put back what there was (OWN-2), whatever else was made in `namespace` and outside it."""
        self._faults.clear()
        await put_back(self._plane.server.store, self._before, self._settle)

    async def _settle(self) -> None:
        """Wait until the controllers have nothing to do, for a bounded number of the loop's turns."""
        was_idle = False
        for _ in range(SETTLE_LOOKS_MAX):
            for _ in range(TURNS_BETWEEN_LOOKS):
                await asyncio.sleep(0)
            is_idle = self._plane.manager.is_idle
            if is_idle and was_idle:
                return
            was_idle = is_idle

    def close(self) -> None:
        """Stop it (OWN-1)."""
        self.thread.loop.call_soon_threadsafe(self._stop.set)
        try:
            self._running.result(60)
        finally:
            self._stack.close()
            self.thread.close()


def _options(controllers: str | Sequence[str], flags: Mapping[str, Any]) -> ControllerOptions:
    chosen = controllers if isinstance(controllers, str) else ",".join(controllers)
    typed = {name.replace("_", "-"): _text(value) for name, value in flags.items()}
    return read_options({"controllers": chosen, **typed})


def _text(value: Any) -> str:
    """Return a value as it would be typed: gates as ``A=true,B=false``."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={_text(each)}" for name, each in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
