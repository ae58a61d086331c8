"""The cluster that tests run against: an API server, its kubeconfig, and a thread from which it is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pvbinder.kube.client import Client
from pvbinder.kube.config import load
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.http import HttpTransport
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import NAMESPACES, Resource
from pvbinder.plane.recorder import Chronicle
from pvbinder.testing.faults import Faults
from pvbinder.testing.kinds import Kinds
from pvbinder.testing.loop_thread import LoopThread

LABEL: Final = "pvbinder.io/test"  # of namespaces that tests made, so that those of a killed run can be found


async def make_namespace(client: Client, name: str) -> None:
    """Create the namespace of a test."""
    await client.create(metadata_of(NAMESPACES), {"metadata": {"name": name, "labels": {LABEL: "true"}}})


class OnlyOnOwnServerError(PvbinderError):
    """Something was asked of another cluster that only a server in the tests' process can do."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs the server of the tests' own process",
            hint="run without --pvbinder-kubeconfig, or skip the test where k8s.is_own is False",
        )


class ClusterUnderTest(ABC):
    """What all clusters have."""

    is_own = False
    url: str
    kubeconfig: Path
    client: Client
    kinds: Kinds

    def __init__(self) -> None:
        self.thread = LoopThread()

    @property
    def recorder(self) -> Chronicle:
        """The requests and decisions; `OnlyOnOwnServerError` where they can't be seen."""
        raise OnlyOnOwnServerError("what was asked and decided")

    @property
    def faults(self) -> Faults:
        """The failures that are asked for; `OnlyOnOwnServerError` where there can be none."""
        raise OnlyOnOwnServerError("a fault of the API server")

    async def advance(self, seconds: float) -> None:
        """Let time pass; `OnlyOnOwnServerError` where it can't be."""
        raise OnlyOnOwnServerError(f"a clock that is put forward by {seconds:g} s")

    @abstractmethod
    async def begin(self, namespace: str) -> None:
        """Prepare for a test, which gets a new `namespace`."""

    @abstractmethod
    async def end(self, namespace: str, cluster_wide: Iterable[tuple[Resource, str]]) -> None:
        """Undo what a test did: at least its `namespace`, and the objects outside it that it is known to have made."""

    @abstractmethod
    def close(self) -> None:
        """Leave the cluster; its objects stay what they are."""


class OtherCluster(ClusterUnderTest):
    """Somebody's cluster, by its kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        config = load(kubeconfig)
        super().__init__()
        self.url, self.kubeconfig = config.server, kubeconfig
        self._transport = HttpTransport(config)
        self.thread.do(self._transport.__aenter__())
        self.client = Client(self._transport)
        self.kinds = Kinds(self.client)

    async def begin(self, namespace: str) -> None:
        """Make the namespace."""
        await make_namespace(self.client, namespace)

    async def end(self, namespace: str, cluster_wide: Iterable[tuple[Resource, str]]) -> None:
        """Delete what the test made; nothing is waited for."""
        for resource, name in [(NAMESPACES, namespace), *cluster_wide]:
            with suppress(ApiFailure):  # gone already
                await self.client.delete(metadata_of(resource), name)

    def close(self) -> None:
        """Close the connections."""
        self.thread.do(self._transport.__aexit__(None, None, None))
        self.thread.close()
