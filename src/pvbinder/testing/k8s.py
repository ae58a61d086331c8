"""What the fixtures give: a namespace of a cluster, with the words that tests need.

K8S-1  Each test has a namespace of its own, which is the one of its kubeconfig's context, too.
K8S-2  After the test its objects are gone: on a server of our own all is put back (`put_back`), on another cluster the
       namespace is deleted, and so are the objects outside it that `apply` made.
K8S-3  After the test the clients of other libraries are closed; that of kubernetes_asyncio by its own ``async with``.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine, Mapping
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, Final, TypeVar

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.plane.recorder import Decided, Made
from pvbinder.testing.clients import new_client
from pvbinder.testing.cluster import ClusterUnderTest
from pvbinder.testing.faults import Faults
from pvbinder.testing.handles import WAIT_SECONDS, AsyncObject, Object
from pvbinder.testing.kubeconfigs import with_namespace
from pvbinder.testing.play import AsyncPlay, Play
from pvbinder.testing.work import Appliable, NamespaceWork, Why, documents_in

T = TypeVar("T")

_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(duration: float | str) -> float:
    """Return the seconds of a number, or of a text such as ``"15s"`` and ``"1h30m"``; raises ValueError."""
    if isinstance(duration, (int, float)):
        return float(duration)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration: write 15, '15s' or '1h30m'")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


class _Place:
    """The parts that need no waiting."""

    def __init__(self, cluster: ClusterUnderTest, namespace: str, directory: Path, root: Path) -> None:
        self._cluster = cluster
        self._root = root
        self.work = NamespaceWork(cluster, namespace)
        self._clients: list[Any] = []
        self.namespace = namespace
        self.kubeconfig = with_namespace(cluster.kubeconfig, namespace, directory)

    @property
    def url(self) -> str:
        """The address of the API server."""
        return self._cluster.url

    @property
    def is_own(self) -> bool:
        """Tell whether it is the server of the tests' own process, which can do more (`faults`, `advance`)."""
        return self._cluster.is_own

    @property
    def env(self) -> dict[str, str]:
        """The environment that a program of the test needs, to be added to its own."""
        return {"KUBECONFIG": str(self.kubeconfig)}

    @property
    def faults(self) -> Faults:
        """The failures of the API server that the test asks for."""
        return self._cluster.faults

    @property
    def requests(self) -> list[Made]:
        """The requests of everybody since the test began."""
        return self._cluster.recorder.requests()

    @property
    def decisions(self) -> list[Decided]:
        """What the controllers decided since the test began, each with its rule."""
        return self._cluster.recorder.decisions()

    def assert_no_conflicts(self) -> None:
        """Fail if a write met another one since the test began."""
        met = [one for one in self.requests if one.status == 409 and one.is_write]
        if met:
            raise AssertionError("writes met others:\n" + "\n".join(f"  {one}" for one in met))

    def assert_decided(self, rule: str, about: str = "") -> None:
        """Fail unless a controller decided something by `rule`, of an object called `about` if that is given."""
        decided: dict[str, list[Decided]] = {}
        for one in self.decisions:
            decided.setdefault(one.rule, []).append(one)
        if not any(not about or one.about(about) for one in decided.get(rule, ())):
            told = "\n".join(f"  {one}" for one in self.decisions) or "  nothing"
            of = f" of {about}" if about else ""
            raise AssertionError(f"nothing was decided by {rule}{of}; what was:\n{told}")

    def client(self, library: str) -> Any:
        """Return a client of another library for this namespace; `clients.LIBRARIES` has those known."""
        client = new_client(library, self.kubeconfig, self.namespace)
        self._clients.append(client)
        return client

    def close_clients(self) -> None:
        """Close the clients that were asked for (K8S-3)."""
        for client in self._clients:
            close = getattr(client, "close", None)
            if callable(close) and not iscoroutinefunction(close):
                close()
        self._clients.clear()

    def documents(self, source: Appliable) -> list[Json]:
        """Return the objects of a source, as `apply` would apply them."""
        return documents_in(source, self._root)

    def one_document(self, source: Appliable) -> Json:
        """Return the one object of a source."""
        found = self.documents(source)
        if len(found) != 1:
            raise PvbinderError(
                f"{len(found)} objects, and not one, are in {source!r:.80}", hint="apply_all takes any number"
            )
        return found[0]


class K8s(_Place):
    """A namespace for synchronous tests."""

    def __init__(self, cluster: ClusterUnderTest, namespace: str, directory: Path, root: Path) -> None:
        super().__init__(cluster, namespace, directory, root)
        self.play = Play(self.work)

    def _do(self, work: Coroutine[Any, Any, T], seconds: float = WAIT_SECONDS) -> T:
        return self._cluster.thread.do(work, seconds + WAIT_SECONDS)

    def apply(self, source: Appliable) -> Object:
        """Apply one object: a dictionary, a text, or a file below the test's directory."""
        return self._do(self._applied(self.one_document(source)))

    def apply_all(self, *sources: Appliable) -> list[Object]:
        """Apply all objects of the sources, in their order."""
        return [self._do(self._applied(document)) for source in sources for document in self.documents(source)]

    async def _applied(self, document: Mapping[str, Any]) -> Object:
        stored = await self.work.apply(document)
        return Object(self.work, await self._cluster.kinds.of_document(document), stored)

    def get(self, kind: str, name: str, *, namespace: str | None = None) -> Object:
        """Return an object; `kind` is a word that kubectl takes: ``pvc``, ``StorageClass``, ``deployments.apps``."""
        return self._do(self._got(kind, name, namespace))

    async def _got(self, kind: str, name: str, namespace: str | None) -> Object:
        resource = await self._cluster.kinds.of_word(kind)
        return Object(self.work, resource, await self.work.get(resource, name, namespace))

    def list_all(self, kind: str, *, namespace: str | None = None, selector: str = "") -> list[Object]:
        """Return all objects of a kind, in the test's namespace where they have one."""
        return self._do(self._listed(kind, namespace, selector))

    async def _listed(self, kind: str, namespace: str | None, selector: str) -> list[Object]:
        resource = await self._cluster.kinds.of_word(kind)
        return [Object(self.work, resource, one) for one in await self.work.list_all(resource, namespace, selector)]

    def delete(self, kind: str, name: str, *, namespace: str | None = None) -> None:
        """Delete an object; one that isn't there is deleted already."""
        self._do(self._deleted(kind, name, namespace))

    async def _deleted(self, kind: str, name: str, namespace: str | None) -> None:
        await self.work.delete(await self._cluster.kinds.of_word(kind), name, namespace)

    def why(self, target: Object) -> Why:
        """Return what `pvbinder explain` says of a claim, a pod, a volume or a StatefulSet."""
        return target.why()

    def events(self, target: Object) -> list[Json]:
        """Return the events about an object, the oldest first."""
        return target.events()

    def advance(self, duration: float | str) -> None:
        """Let time pass for the server and its controllers: ``"15s"``, ``"1h"``, or seconds."""
        self._do(self._cluster.advance(seconds_of(duration)), 60)


class AsyncK8s(_Place):
    """A namespace for asynchronous tests."""

    def __init__(self, cluster: ClusterUnderTest, namespace: str, directory: Path, root: Path) -> None:
        super().__init__(cluster, namespace, directory, root)
        self.play = AsyncPlay(self.work)

    async def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return await self._cluster.thread.await_there(work)

    async def apply(self, source: Appliable) -> AsyncObject:
        """Apply one object: a dictionary, a text, or a file below the test's directory."""
        return await self._do(self._applied(self.one_document(source)))

    async def apply_all(self, *sources: Appliable) -> list[AsyncObject]:
        """Apply all objects of the sources, in their order."""
        return [await self._do(self._applied(document)) for source in sources for document in self.documents(source)]

    async def _applied(self, document: Mapping[str, Any]) -> AsyncObject:
        stored = await self.work.apply(document)
        return AsyncObject(self.work, await self._cluster.kinds.of_document(document), stored)

    async def get(self, kind: str, name: str, *, namespace: str | None = None) -> AsyncObject:
        """Return an object; `kind` is a word that kubectl takes."""
        return await self._do(self._got(kind, name, namespace))

    async def _got(self, kind: str, name: str, namespace: str | None) -> AsyncObject:
        resource = await self._cluster.kinds.of_word(kind)
        return AsyncObject(self.work, resource, await self.work.get(resource, name, namespace))

    async def list_all(self, kind: str, *, namespace: str | None = None, selector: str = "") -> list[AsyncObject]:
        """Return all objects of a kind, in the test's namespace where they have one."""
        return await self._do(self._listed(kind, namespace, selector))

    async def _listed(self, kind: str, namespace: str | None, selector: str) -> list[AsyncObject]:
        resource = await self._cluster.kinds.of_word(kind)
        return [
            AsyncObject(self.work, resource, one) for one in await self.work.list_all(resource, namespace, selector)
        ]

    async def delete(self, kind: str, name: str, *, namespace: str | None = None) -> None:
        """Delete an object; one that isn't there is deleted already."""
        resource = await self._do(self._cluster.kinds.of_word(kind))
        await self._do(self.work.delete(resource, name, namespace))

    async def why(self, target: AsyncObject) -> Why:
        """Return what `pvbinder explain` says of a claim, a pod, a volume or a StatefulSet."""
        return await target.why()

    async def events(self, target: AsyncObject) -> list[Json]:
        """Return the events about an object, the oldest first."""
        return await target.events()

    async def advance(self, duration: float | str) -> None:
        """Let time pass for the server and its controllers."""
        await self._do(self._cluster.advance(seconds_of(duration)))
