"""The CSI drivers that this process serves on the nodes that it plays: which there are, and who waits for one.

Made once for a process and shared: the controllers of the drivers put them in, the kubelet in small takes them.

NODEDRIVERS-1  A name is served once: a driver that comes second with a name, or whose name has volumes of another
               driver here, is refused.
NODEDRIVERS-2  A driver that is there only when it is needed runs from the first `need` on, and not before; nobody needs
               one before `open()`: what is needed at the start waits until the start is over.
NODEDRIVERS-3  Listeners are told of a driver before the one who put it in goes on: its nodes are registered by then.

It belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from pvbinder.model.errors import PvbinderError
from pvbinder.rules.csi.registration import NodeInfo

if TYPE_CHECKING:
    from pvbinder.controllers.csi.node_driver import NodeDriver

DriverListener: TypeAlias = "Callable[[NodeInfo], Awaitable[None]]"


class NameTakenError(PvbinderError):
    """A driver can't be served under its name."""


class NodeDrivers:
    """The drivers by name; `addresses` is where those of earlier runs were, kept by `remember`."""

    def __init__(
        self,
        addresses: Mapping[str, str] | None = None,
        remember: Callable[[Mapping[str, str]], Awaitable[None]] | None = None,
        *,
        named: int = 0,
    ) -> None:
        """`named` drivers of other processes will be served, as soon as they are there."""
        self.addresses = dict(addresses or {})
        self.gone: frozenset[str] = frozenset()  # drivers of earlier runs that nobody names any more
        self._remember = remember
        self._expected: set[str] = set()
        self._served: dict[str, NodeDriver | None] = {}
        self._reserved: dict[str, str] = {}
        self._needs: dict[str, asyncio.Event] = {}
        self._troubles: dict[str, str] = {}
        self._listeners: list[DriverListener] = []
        self._open = asyncio.Event()
        self._unnamed = named
        self._all_named = asyncio.Event()
        if not named:
            self._all_named.set()

    # -- what is there

    def expect(self, name: str) -> None:
        """Say that `name` will be served here."""
        self._expected.add(name)

    def serves(self, name: str) -> bool:
        """Tell whether the driver is served here, now or as soon as it runs."""
        return name in self._served or name in self._expected

    def is_served(self, name: str) -> bool:
        """Tell whether the driver is served now."""
        return name in self._served

    def get(self, name: str) -> NodeDriver | None:
        """Return the driver if it runs and has a part on nodes."""
        return self._served.get(name)

    def infos(self) -> tuple[NodeInfo, ...]:
        """What the drivers that run say about their nodes."""
        return tuple(driver.info for driver in self._served.values() if driver is not None)

    def trouble(self, name: str) -> str | None:
        """Why a driver that is needed doesn't run, if that is known."""
        return self._troubles.get(name)

    # -- who needs one

    def open(self) -> None:
        """Let those that are needed run (NODEDRIVERS-2)."""
        self._open.set()

    def need(self, name: str) -> None:
        """Have the driver run, if it waits for that (NODEDRIVERS-2)."""
        self._needs.setdefault(name, asyncio.Event()).set()

    async def wait_needed(self, name: str) -> None:
        """Wait until somebody needs the driver, and it may run."""
        await self._needs.setdefault(name, asyncio.Event()).wait()
        await self._open.wait()

    async def wait_named(self, seconds: float) -> None:
        """Wait until each driver of another process has said its name, but no longer than that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_named.wait()

    def say_trouble(self, name: str, why: str | None) -> None:
        """Note why a driver can't run, None if it can."""
        if why is None:
            self._troubles.pop(name, None)
        else:
            self._troubles[name] = why

    # -- who serves one

    def listen(self, listener: DriverListener) -> None:
        """Have `listener` told of each driver that comes (NODEDRIVERS-3)."""
        self._listeners.append(listener)

    def reserve(self, name: str, why: str) -> None:
        """Keep drivers of other sockets from being served as `name`: it has volumes here already (NODEDRIVERS-1)."""
        self._reserved[name] = why

    @asynccontextmanager
    async def serving(self, name: str, address: str = "") -> AsyncGenerator[None]:
        """Serve `name` while the context is open, from `address` if it isn't our own; raise NameTakenError."""
        if name in self._served:
            raise NameTakenError(f"another driver is served as {name} already", hint="name one of them only")
        if address and name in self._reserved:
            raise NameTakenError(f"{address} can't be served as {name}: {self._reserved[name]}")
        self._served[name] = None
        if address:
            self._unnamed -= 1
            if self._unnamed <= 0:
                self._all_named.set()
        try:
            if address and self.addresses.get(name) != address:
                self.addresses[name] = address
                if self._remember is not None:
                    await self._remember(dict(self.addresses))
            yield
        finally:
            del self._served[name]

    async def put(self, driver: NodeDriver) -> None:
        """Add the part of a served driver that is on nodes, and tell the listeners (NODEDRIVERS-3)."""
        self._served[driver.info.driver] = driver
        for listener in self._listeners:
            await listener(driver.info)
