"""Nodes."""

from __future__ import annotations

import msgspec

from pvbinder.model.objects.keys import NodeName
from pvbinder.model.objects.view import NO_META, MetadataOnly, View, parsed, view_fields


class Node(View, frozen=True):
    """A Node; the affinity of volumes looks at its labels."""

    @property
    def key(self) -> NodeName:
        """Its name."""
        return NodeName(self.name)


_nodes = msgspec.json.Decoder(MetadataOnly)


def parse_node(data: bytes) -> Node:
    """Return the Node in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    return Node(*view_fields(data, parsed(_nodes, data, "Node").metadata or NO_META))
