"""How a node says which CSI drivers it has: labels, an annotation, and its CSINode, as a kubelet writes them.

A driver that nobody knows of here is left as it stands: somebody else may have written it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct

from pvbinder.model.json import Json, JsonError, decode, encode
from pvbinder.model.objects import Node
from pvbinder.model.selectors import LabelSelector, SelectorError

NODE_IDS: Final = "csi.volume.kubernetes.io/nodeid"

NODE_ID_BYTES_MAX: Final = 256
SHOWN_CHARACTERS_MAX: Final = 300  # of what a driver says that can't be


class NodeInfo(Struct, frozen=True):
    """A driver on a node, as it says itself (NodeGetInfo); `volumes_max` of 0 is no limit."""

    driver: str
    node_id: str
    topology: Mapping[str, str] = {}
    volumes_max: int = 0


def misfit_of_any(info: NodeInfo) -> str | None:
    """Say why no node can have a driver: what it says of itself breaks the rules of nodes."""
    try:
        LabelSelector(match_labels=dict(info.topology)).check()
    except SelectorError as error:
        return f"its topology can't be labels: {error.message[:SHOWN_CHARACTERS_MAX]}"
    if len(info.node_id.encode()) > NODE_ID_BYTES_MAX:
        return f"its node id has more than {NODE_ID_BYTES_MAX} bytes"
    return None


def collision(node: Node, info: NodeInfo) -> str | None:
    """Say why a node can't have the labels of a driver: it has others under their names."""
    for key, value in sorted(info.topology.items()):
        label = node.labels.get(key)
        if label is not None and label != value:
            return (
                f'detected topology value collision: driver reported "{key}":"{value}" '
                f'but existing label is "{key}":"{label}"'
            )
    return None


def with_drivers(node: Node, infos: Iterable[NodeInfo], gone: Collection[str] = ()) -> Json | None:
    """Return what is to be merged into a node that has these drivers, and no longer those; None if it says so."""
    known = _node_ids(node)
    ids = {name: node_id for name, node_id in known.items() if name not in gone}
    labels: dict[str, str] = {}
    for info in infos:
        ids[info.driver] = info.node_id
        labels |= {key: value for key, value in info.topology.items() if node.labels.get(key) != value}
    metadata: Json = {}
    if labels:
        metadata["labels"] = labels
    if ids != known:
        text = encode({name: ids[name] for name in sorted(ids)}).decode()
        metadata["annotations"] = {NODE_IDS: text if ids else None}
    return {"metadata": metadata} if metadata else None


def _node_ids(node: Node) -> dict[str, str]:
    try:
        found = decode(node.annotations.get(NODE_IDS, "{}"))
    except JsonError:
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def new_csi_node(node: Node, infos: Iterable[NodeInfo]) -> Json:
    """Return the CSINode of a node that has none yet."""
    return {
        "metadata": {
            "name": node.name,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node.uid}],
        },
        "spec": {"drivers": [_entry(info) for info in infos]},
    }


def is_csi_node_of(csi_node: Json, node: Node) -> bool:
    """Tell whether a CSINode is of this node, and not of an earlier one of that name."""
    owners = csi_node["metadata"].get("ownerReferences") or []
    uids = [one.get("uid") for one in owners if one.get("kind") == "Node"]
    return not uids or node.uid in uids


def csi_node_drivers(csi_node: Json, infos: Iterable[NodeInfo], gone: Collection[str] = ()) -> list[list[Json]]:
    """Return the lists of drivers to write, one after the other, so that a CSINode has these and no longer those.

    None if it says so already, and two if an entry changes: the API server lets nobody change one.
    """
    drivers: list[Json] = (csi_node.get("spec") or {}).get("drivers") or []
    wanted = {info.driver: _entry(info) for info in infos}
    kept = [one for one in drivers if one["name"] not in gone and wanted.get(one["name"], one) == one]
    names = {one["name"] for one in kept}
    after = [*kept, *(entry for name, entry in wanted.items() if name not in names)]
    if after == drivers:
        return []
    is_changed = any(one["name"] in wanted and one["name"] not in names for one in drivers)
    return [kept, after] if is_changed else [after]


def _entry(info: NodeInfo) -> Json:
    entry: Json = {"name": info.driver, "nodeID": info.node_id, "topologyKeys": sorted(info.topology) or None}
    if info.volumes_max > 0:
        entry["allocatable"] = {"count": info.volumes_max}
    return entry
