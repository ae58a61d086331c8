"""The objects that a test gets: what was read, and what can be done with it.

HANDLES-1  What a handle shows is what was last read; each method that asks the cluster reads it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from pvbinder.model.json import Json
from pvbinder.model.resources import Resource
from pvbinder.testing.work import NamespaceWork, Predicate, Why

T = TypeVar("T")

WAIT_SECONDS: Final = 10.0


class _Seen:
    """An object as it was last read."""

    def __init__(self, work: NamespaceWork, resource: Resource, document: Json) -> None:
        self._work = work
        self._resource = resource
        self.document: Json = {"apiVersion": resource.api_version, "kind": resource.kind, **document}

    def __getitem__(self, field: str) -> Any:
        """Return a field of the object: ``claim["spec"]``."""
        return self.document[field]

    def __repr__(self) -> str:
        """Return its kind and name."""
        where = f"{self.namespace}/" if self.namespace else ""
        phase = f", {self.phase}" if self.phase else ""
        return f"<{self.kind} {where}{self.name}{phase}>"

    @property
    def kind(self) -> str:
        """Its kind."""
        return self._resource.kind

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.document["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace; ``""`` if it has none."""
        return str(self.document["metadata"].get("namespace", ""))

    @property
    def uid(self) -> str:
        """Its UID."""
        return str(self.document["metadata"]["uid"])

    @property
    def spec(self) -> Json:
        """Its spec; empty if it has none."""
        return self.document.get("spec") or {}

    @property
    def status(self) -> Json:
        """Its status; empty if it has none."""
        return self.document.get("status") or {}

    @property
    def phase(self) -> str:
        """The phase in its status; ``""`` if it has none."""
        return str(self.status.get("phase", ""))

    async def _refreshed(self) -> None:
        self.document = await self._work.get(self._resource, self.name, self.namespace)

    async def _patched(self, change: Json, subresource: str) -> None:
        self.document = await self._work.patch(self._resource, self.name, self.namespace, change, subresource)

    async def _waited(self, holds: Predicate, seconds: float, what: str) -> None:
        __tracebackhide__ = True
        self.document = await self._work.wait(self._resource, self.name, self.namespace, holds, seconds, what)

    async def _gone(self, seconds: float) -> None:
        __tracebackhide__ = True
        await self._work.wait_gone(self._resource, self.name, self.namespace, seconds)

    async def _deleted(self) -> None:
        await self._work.delete(self._resource, self.name, self.namespace)


def in_phase(phase: str) -> Callable[[Json], bool]:
    """Return the question whether an object is in `phase`."""
    return lambda document: (document.get("status") or {}).get("phase") == phase


class Object(_Seen):
    """An object, for synchronous tests."""

    def _do(self, work: Coroutine[Any, Any, T], seconds: float = WAIT_SECONDS) -> T:
        __tracebackhide__ = True
        return self._work.cluster.thread.do(work, seconds + WAIT_SECONDS)

    def refresh(self) -> Object:
        """Read it anew."""
        self._do(self._refreshed())
        return self

    def patch(self, change: Json, *, subresource: str = "") -> Object:
        """Change it by a merge patch."""
        self._do(self._patched(change, subresource))
        return self

    def wait(self, holds: Predicate, *, timeout: float = WAIT_SECONDS, what: str = "as wanted") -> Object:
        """Wait until `holds` of the document; `NotInTime` (an AssertionError) says why it doesn't."""
        __tracebackhide__ = True
        self._do(self._waited(holds, timeout, what), timeout)
        return self

    def wait_phase(self, phase: str, *, timeout: float = WAIT_SECONDS) -> Object:
        """Wait until it is in `phase`."""
        __tracebackhide__ = True
        return self.wait(in_phase(phase), timeout=timeout, what=phase)

    def wait_bound(self, *, timeout: float = WAIT_SECONDS) -> Object:
        """Wait until a claim or a volume is Bound."""
        __tracebackhide__ = True
        return self.wait_phase("Bound", timeout=timeout)

    def wait_gone(self, *, timeout: float = WAIT_SECONDS) -> None:
        """Wait until it isn't there any more."""
        __tracebackhide__ = True
        self._do(self._gone(timeout), timeout)

    def delete(self) -> Object:
        """Delete it; finalizers may keep it (`wait_gone`)."""
        self._do(self._deleted())
        return self

    def why(self) -> Why:
        """Return what `pvbinder explain` says of it."""
        return self._do(self._work.why(self.document))

    def events(self) -> list[Json]:
        """Return its events, the oldest first."""
        return self._do(self._work.events(self.document))


class AsyncObject(_Seen):
    """An object, for asynchronous tests."""

    async def _do(self, work: Coroutine[Any, Any, T]) -> T:
        __tracebackhide__ = True
        return await self._work.cluster.thread.await_there(work)

    async def refresh(self) -> AsyncObject:
        """Read it anew."""
        await self._do(self._refreshed())
        return self

    async def patch(self, change: Json, *, subresource: str = "") -> AsyncObject:
        """Change it by a merge patch."""
        await self._do(self._patched(change, subresource))
        return self

    async def wait(self, holds: Predicate, *, timeout: float = WAIT_SECONDS, what: str = "as wanted") -> AsyncObject:
        """Wait until `holds` of the document; `NotInTime` (an AssertionError) says why it doesn't."""
        __tracebackhide__ = True
        await self._do(self._waited(holds, timeout, what))
        return self

    async def wait_phase(self, phase: str, *, timeout: float = WAIT_SECONDS) -> AsyncObject:
        """Wait until it is in `phase`."""
        __tracebackhide__ = True
        return await self.wait(in_phase(phase), timeout=timeout, what=phase)

    async def wait_bound(self, *, timeout: float = WAIT_SECONDS) -> AsyncObject:
        """Wait until a claim or a volume is Bound."""
        __tracebackhide__ = True
        return await self.wait_phase("Bound", timeout=timeout)

    async def wait_gone(self, *, timeout: float = WAIT_SECONDS) -> None:
        """Wait until it isn't there any more."""
        __tracebackhide__ = True
        await self._do(self._gone(timeout))

    async def delete(self) -> AsyncObject:
        """Delete it; finalizers may keep it (`wait_gone`)."""
        await self._do(self._deleted())
        return self

    async def why(self) -> Why:
        """Return what `pvbinder explain` says of it."""
        return await self._do(self._work.why(self.document))

    async def events(self) -> list[Json]:
        """Return its events, the oldest first."""
        return await self._do(self._work.events(self.document))
