"""The places that a driver's nodes are at, from the caches of nodes and CSINodes (TP-2, TP-6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from pvbinder.kube.client import Kind
from pvbinder.kube.informer import Informer
from pvbinder.kube.informers import Informers
from pvbinder.kube.kinds import NODES, Metadata, parse_metadata
from pvbinder.model.objects import Claim, Node, StorageClass
from pvbinder.model.resources import CSI_NODES
from pvbinder.rules.csi.topology import (
    NodeGoneError,
    Requirement,
    Segments,
    SelectedNode,
    TopologyError,
    allowed_terms,
    go_list,
    require,
    select_node,
    sorted_terms,
    term_of,
)

CSI_NODE_VIEWS: Final[Kind[Metadata]] = Kind(CSI_NODES, parse_metadata)


class _Driver(Struct, rename="camel"):
    name: str = ""
    topology_keys: list[str] | None = None


class _Spec(Struct):
    drivers: list[_Driver] | None = None


class _CsiNode(Struct):
    spec: _Spec = msgspec.field(default_factory=_Spec)


_csi_nodes = msgspec.json.Decoder(_CsiNode)


class Places:
    """The nodes that have a driver, and where they are; with `own`, only one node and its place."""

    def __init__(
        self,
        informers: Informers,
        driver: str,
        *,
        uses_topology: bool,
        own: tuple[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._driver = driver
        self._own = own
        uses_topology = uses_topology and own is None
        self._nodes: Informer[Node] | None = informers.of(NODES) if uses_topology else None
        self._csi_nodes: Informer[Metadata] | None = informers.of(CSI_NODE_VIEWS) if uses_topology else None

    async def wait_synced(self) -> None:
        """Wait for both caches."""
        if self._nodes is not None and self._csi_nodes is not None:
            await self._nodes.wait_synced()
            await self._csi_nodes.wait_synced()

    def keys_of(self, node: str) -> list[str] | None:
        """Return the driver's topology keys on a node; None if the node has no CSINode."""
        if self._own is not None:
            return sorted(self._own[1]) if node == self._own[0] else None
        found = self._csi_nodes.get(node) if self._csi_nodes is not None else None
        if found is None:
            return None
        drivers = _csi_nodes.decode(found.raw).spec.drivers or []
        return next((one.topology_keys or [] for one in drivers if one.name == self._driver), [])

    def nodes(self) -> Iterator[tuple[Mapping[str, str], list[str]]]:
        """The nodes that have the driver, as their labels and its topology keys there."""
        if self._own is not None:
            yield self._own[1], sorted(self._own[1])
        for node in self._nodes or ():
            keys = self.keys_of(node.name)
            if keys:
                yield node.labels, keys

    def require(
        self, claim: Claim, storage_class: StorageClass, *, strict: bool, immediate: bool
    ) -> Requirement | None:
        """Return where the volume of `claim` may be (TP-2 to TP-9); raise TopologyError."""
        allowed = allowed_terms(storage_class.document().get("allowedTopologies") or ())
        selected = self._selected(claim.selected_node) if claim.selected_node else None
        needs_all = not (strict and selected is not None) and not allowed and (selected is not None or immediate)
        return require(
            claim.name,
            selected=selected,
            allowed=allowed,
            aggregated=self._aggregated(selected) if needs_all else (),
            strict=strict,
            immediate=immediate,
        )

    def _selected(self, name: str) -> SelectedNode:
        keys = self.keys_of(name)
        if keys is None:
            raise NodeGoneError(f'failed to get selected CSINode {name}: csinode.storage.k8s.io "{name}" not found')
        if self._own is not None:
            return select_node(name, self._own[1], keys)
        node = self._nodes.get(name) if self._nodes is not None else None
        return select_node(name, node.labels if node is not None else {}, keys)

    def _aggregated(self, selected: SelectedNode | None) -> tuple[Segments, ...]:
        """Return the places of all nodes that have the driver's keys (TP-6)."""
        if selected is not None:
            keys = [key for key, _ in selected.term]
        else:
            keys = self._any_keys()
        if self._own is not None:
            return sorted_terms([term_of(self._own[1], keys) or ()])
        terms = [term_of(node.labels, keys) for node in self._nodes or ()]
        found = sorted_terms(term for term in terms if term is not None)
        if not found:
            raise TopologyError(f"topologyKeys {go_list(keys)} were not found on any nodes")
        return found

    def _any_keys(self) -> list[str]:
        """Return the driver's keys on some node that has them, always the same one."""
        if self._own is not None and self._own[1]:
            return sorted(self._own[1])
        for name in sorted(self._csi_nodes.keys() if self._csi_nodes is not None else ()):
            keys = self.keys_of(name)
            if keys:
                return keys
        raise TopologyError("no available topology found")
