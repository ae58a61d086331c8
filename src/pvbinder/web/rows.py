"""Objects as rows of the page: a pure function of the object, what is known of it, and the nodes.

ROWS-1  A row says of an object what `kubectl get` does - its phase, or Terminating - and how it is: fine, waiting, in
        need of somebody, or idle. Without a judgement (`Judged`) that follows from its phase alone.
ROWS-2  It links to the neighbours that the object itself names: claim to class and volume, volume to class, claim, and
        the nodes of its affinity if those are few, pod to claims and node. A link may lead to what isn't there.
ROWS-3  No row has anything of a secret, a parameter of a class, or a source beyond the name of its driver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import UNSET, Struct, UnsetType

from pvbinder.model.access_modes import short_modes
from pvbinder.model.names import SELECTED_NODE
from pvbinder.model.objects import Claim, Node, Pod, StorageClass, Volume
from pvbinder.model.selectors import NodeSelector

RowKind = Literal["class", "node", "volume", "claim", "pod"]
RowLevel = Literal["ok", "wait", "bad", "idle"]
RowView: TypeAlias = StorageClass | Node | Volume | Claim | Pod
NodesOf: TypeAlias = Callable[[NodeSelector], Sequence[str]]

KINDS: Final[tuple[RowKind, ...]] = ("class", "node", "volume", "claim", "pod")  # in the order of the stream
NODES_LINKED_MAX: Final = 8
_ZONES: Final = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_LEVELS: Final[dict[str, RowLevel]] = {
    "Available": "idle",
    "Bound": "ok",
    "Failed": "bad",
    "Lost": "bad",
    "NotReady": "bad",
    "Pending": "wait",
    "Ready": "ok",
    "Released": "bad",
    "Running": "ok",
    "Succeeded": "idle",
    "Terminating": "wait",
    "Unknown": "bad",
}


class Judged(Struct, frozen=True):
    """What is known of an object besides itself: how it is, and the reason in the words of `pvbinder explain`."""

    level: RowLevel
    note: str


class ShownRow(Struct, frozen=True, kw_only=True, gc=False):
    """One object on the page."""

    id: str
    kind: RowKind
    name: str
    state: str
    level: RowLevel
    note: str
    facts: dict[str, str]
    links: list[str]
    namespace: str | UnsetType = UNSET


class PastRow(Struct, frozen=True, gc=False):
    """What a row was like at some time; a `state` of ``""`` says that it wasn't there."""

    id: str
    state: str
    level: RowLevel = "idle"
    links: list[str] = []


def row_id(kind: RowKind, key: str) -> str:
    """Return the row's id of the object with `key`."""
    return f"{kind}/{key}"


def is_shown(view: RowView) -> bool:
    """Tell whether an object has a row: a pod has one if it needs a claim."""
    return not isinstance(view, Pod) or bool(view.volumes)


def row_of(view: RowView, nodes_of: NodesOf, judged: Judged | None = None) -> ShownRow:
    """Return the row of an object (ROWS-1, ROWS-2)."""
    kind = kind_of(view)
    state = state_of(view)
    return ShownRow(
        id=f"{kind}/{view.key}",
        kind=kind,
        name=view.name,
        state=state,
        level=judged.level if judged is not None else level_of(view, state),
        note=judged.note if judged is not None else _own_note(view),
        facts=_facts(view),
        links=links_of(view, nodes_of),
        namespace=view.namespace or UNSET,
    )


def past_row(view: RowView, nodes_of: NodesOf) -> PastRow:
    """Return what of a row is kept of the past."""
    state = state_of(view)
    return PastRow(row_id(kind_of(view), view.key), state, level_of(view, state), links_of(view, nodes_of))


def kind_of(view: RowView) -> RowKind:
    """Return the kind of an object's row."""
    match view:
        case Claim():
            return "claim"
        case Volume():
            return "volume"
        case Pod():
            return "pod"
        case StorageClass():
            return "class"
        case Node():
            return "node"


def state_of(view: RowView) -> str:
    """Return the phase, as `kubectl get` shows it; of a class it is the binding mode."""
    if view.is_deleting:
        return "Terminating"
    match view:
        case StorageClass():
            return view.volume_binding_mode or "Immediate"
        case Node():
            return _node_state(view)
        case _:
            return view.phase or "Pending"


def level_of(view: RowView, state: str) -> RowLevel:
    """Return how an object in `state` is, as far as that can be told from its phase."""
    if isinstance(view, StorageClass) and state != "Terminating":
        return "ok"
    return _LEVELS.get(state.partition(",")[0], "wait")


def links_of(view: RowView, nodes_of: NodesOf) -> list[str]:
    """Return the rows that an object names (ROWS-2)."""
    match view:
        case Claim():
            named = [f"class/{view.storage_class}"] if view.storage_class else []
            return [*named, f"volume/{view.volume_name}"] if view.volume_name else named
        case Volume():
            named = [f"class/{view.storage_class}"] if view.storage_class else []
            if view.claim_key is not None:
                named.append(f"claim/{view.claim_key}")
            if view.node_affinity is not None:
                nodes = nodes_of(view.node_affinity)
                named += [f"node/{name}" for name in nodes] if len(nodes) <= NODES_LINKED_MAX else []
            return named
        case Pod():
            claims = [f"claim/{key}" for key in dict.fromkeys(view.claim_keys)]
            return [*claims, f"node/{view.node_name}"] if view.node_name else claims
        case StorageClass() | Node():
            return []


def _own_note(view: RowView) -> str:
    return view.message if isinstance(view, Volume | Pod) else ""


def _facts(view: RowView) -> dict[str, str]:
    match view:
        case Claim():
            got = view.status_capacity
            facts = {
                "size": str(got if got is not None and view.phase == "Bound" else view.request),
                "modes": short_modes(view.access_modes),
                "class": view.storage_class,
                "volume": view.volume_name,
                "mode": view.volume_mode if view.volume_mode != "Filesystem" else "",
                "selectedNode": view.annotations.get(SELECTED_NODE, ""),
            }
        case Volume():
            facts = {
                "size": str(view.size),
                "modes": short_modes(view.access_modes),
                "class": view.storage_class,
                "driver": (view.csi.driver or "csi") if view.csi is not None else view.source,
                "policy": view.reclaim_policy,
                "mode": view.volume_mode if view.volume_mode != "Filesystem" else "",
            }
        case StorageClass():
            facts = {
                "driver": view.provisioner,
                "binding": view.volume_binding_mode or "Immediate",
                "policy": view.reclaim_policy or "Delete",
                "default": "yes" if view.is_default else "",
                "expands": "yes" if view.allow_volume_expansion else "",
            }
        case Pod():
            facts = {"node": view.node_name}
        case Node():
            facts = {"zone": next((view.labels[label] for label in _ZONES if label in view.labels), "")}
        case _:
            assert_never(view)
    facts["created"] = view.created
    return {name: fact for name, fact in facts.items() if fact}


class _Condition(Struct):
    type: str = ""
    status: str = ""


class _NodeStatus(Struct):
    conditions: list[_Condition] | None = None


class _NodeSpec(Struct):
    unschedulable: bool = False


class _NodeObject(Struct):
    spec: _NodeSpec | None = None
    status: _NodeStatus | None = None


_nodes: Final = msgspec.json.Decoder(_NodeObject)


def _node_state(node: Node) -> str:
    """Return the status of a node as `kubectl get nodes` prints it."""
    try:
        found = _nodes.decode(node.raw)
    except msgspec.MsgspecError:
        return "Unknown"
    conditions: Sequence[Any] = (found.status.conditions if found.status is not None else None) or ()
    ready = next((one.status for one in conditions if one.type == "Ready"), "")
    state = "Ready" if ready == "True" else "NotReady" if ready else "Unknown"
    return f"{state},SchedulingDisabled" if found.spec is not None and found.spec.unschedulable else state
