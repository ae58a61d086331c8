"""The node service of a driver on a socket that keeps what it is told, and fails when a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.controllers.csi.fake_driver import NAME, FakeDriver, handlers

from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.csi.wire.methods import Method

_Rpc = csi.NodeServiceCapability.RPC
ALL = ("STAGE_UNSTAGE_VOLUME", "EXPAND_VOLUME", "SINGLE_NODE_MULTI_WRITER")


class FakeNode:
    """A node service; `seen` are its calls by name, `before` may raise instead of an answer."""

    def __init__(self, *, node_id: str = "here", topology: Mapping[str, str] | None = None, can: Any = ALL) -> None:
        self.node_id = node_id
        self.topology = {"example.com/zone": "a"} if topology is None else dict(topology)
        self.can = can
        self.seen: list[tuple[str, Any]] = []
        self.before: Callable[[Any], None] = lambda _: None

    def calls(self, *names: str) -> list[str]:
        """The calls so far, in their order; only those of `names`, if there are some."""
        return [name for name, _ in self.seen if name.startswith("Node") and (not names or name in names)]

    def last(self, method: Method[Any, Any]) -> Any:
        return next(request for name, request in reversed(self.seen) if name == method.name)

    def handlers(self, driver: FakeDriver | None = None, name: str = NAME) -> Mapping[Any, Any]:
        """All methods of a driver: those of `driver`, and the node service."""
        return {**handlers(driver or FakeDriver(), name), **dict(map(self._handler, self._answers().items()))}

    def _answers(self) -> dict[Method[Any, Any], Any]:
        topology = csi.Topology(segments=self.topology)
        rpcs = [csi.NodeServiceCapability(rpc=_Rpc(type=one)) for one in self.can]
        info = csi.NodeGetInfoResponse(node_id=self.node_id, accessible_topology=topology if self.topology else None)
        return {
            methods.NODE_GET_INFO: info,
            methods.NODE_GET_CAPABILITIES: csi.NodeGetCapabilitiesResponse(capabilities=rpcs),
            methods.NODE_STAGE_VOLUME: csi.NodeStageVolumeResponse(),
            methods.NODE_UNSTAGE_VOLUME: csi.NodeUnstageVolumeResponse(),
            methods.NODE_PUBLISH_VOLUME: csi.NodePublishVolumeResponse(),
            methods.NODE_UNPUBLISH_VOLUME: csi.NodeUnpublishVolumeResponse(),
            methods.NODE_EXPAND_VOLUME: csi.NodeExpandVolumeResponse(capacity_bytes=1),
        }

    def _handler(self, item: tuple[Method[Any, Any], Any]) -> tuple[Method[Any, Any], Any]:
        method, answer = item

        async def handle(request: Any) -> Any:
            self.seen.append((method.name, request))
            self.before(request)
            return answer

        return method, handle
