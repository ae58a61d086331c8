"""The scheduler's decision, made by its own rules (`rules.scheduling`) from the objects of a snapshot.

FORESIGHT-1  Only the scheduler's rules decide whether a node can have a claim's storage.
FORESIGHT-2  Nothing is foretold where the nodes aren't known (SNAPSHOT-3).
FORESIGHT-3  A pod is decided once for a snapshot, however often it is asked for, and no further than to the first node
             that fits.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.objects import Claim, ClaimKey, Node, NodeName, Pod, PodKey, Volume, VolumeName
from pvbinder.model.scheduling import CsiDriver, CsiStorageCapacity
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.matching import choose_for_node, is_bound_to, offers_modes
from pvbinder.rules.scheduling import Cluster, NodeReason, NoStorage, Plan, Unschedulable, decide_pod, storage_on

# What was foretold of the pods of a snapshot, which never changes.
_told: WeakKeyDictionary[Snapshot, dict[PodKey, Unschedulable | None]] = WeakKeyDictionary()


class SnapshotCluster(Cluster):
    """A snapshot as the scheduler sees the cluster, without any reservations."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._candidates: dict[ClaimKey, list[Volume]] = {}
        super().__init__(snapshot.sources)

    def candidates(self, claim: Claim) -> Iterable[Volume]:
        """Return the volumes that would fit it wherever they are, which is asked once for all nodes."""
        found = self._candidates.get(claim.key)
        if found is None:
            try:
                found = fitting(claim, self._snapshot)
            except SelectorError:  # told where the choice is made
                found = list(self._snapshot.free_volumes(claim))
            self._candidates[claim.key] = found
        return found

    def csi_driver(self, name: str) -> CsiDriver | None:
        """Return the CSIDriver called `name`."""
        return self._snapshot.driver(name)

    def capacities_of_class(self, name: str) -> Iterable[CsiStorageCapacity]:
        """Return the free capacity of the class called `name`."""
        return (each for each in self._snapshot.capacities() if each.storage_class == name)

    def plan_for(self, key: ClaimKey) -> Plan | None:
        """Return None: a scheduler's plan isn't in any object."""
        return None

    def reserved_for(self, name: VolumeName) -> ClaimKey | None:
        """Return None, likewise."""
        return None

    def is_placed(self, pod: Pod) -> bool:
        """Tell whether `pod` has a node."""
        return pod.is_scheduled

    def pods_on(self, node: NodeName) -> int:
        """Return 0: the best node doesn't matter here."""
        return 0

    def failures_on(self, pod: PodKey, node: NodeName) -> int:
        """Return 0, likewise."""
        return 0


def fitting(claim: Claim, snapshot: Snapshot) -> list[Volume]:
    """Return the free volumes that fit `claim`, nodes and access modes aside, and those that are reserved for it."""
    settings = snapshot.settings
    volumes = snapshot.free_volumes(claim)
    return [each for each in volumes if choose_for_node([each], claim, None, settings=settings) is not None]


def fits_on_a_node(claim: Claim, snapshot: Snapshot) -> bool:
    """Tell whether some node can have a volume that is there for `claim` (FM-16); without nodes, whether one fits.

    As `choose_for_node` does it for each node: a volume that is reserved for the claim is the only choice.
    """
    found = fitting(claim, snapshot)
    if not list(snapshot.nodes()):
        return bool(found)
    reserved = [each for each in found if is_bound_to(each, claim)]
    choices = reserved[:1] or [each for each in found if offers_modes(each, claim)]
    return any(each.node_affinity is None or snapshot.nodes_matching(each.node_affinity) for each in choices)


def no_storage_anywhere(claim: Claim, snapshot: Snapshot) -> frozenset[NodeReason]:
    """Return why no node can have storage for `claim`; nothing if a node can, or no node is known (FORESIGHT-2)."""
    nodes = list(snapshot.nodes())
    cluster = SnapshotCluster(snapshot)
    found = [storage_on(node, claim, cluster) for node in nodes]
    refused = [each for each in found if isinstance(each, NoStorage)]
    return frozenset(each.reason for each in refused) if nodes and len(refused) == len(nodes) else frozenset()


def foretold(pod: Pod, snapshot: Snapshot) -> Unschedulable | None:
    """Return why the scheduler finds no node for `pod`; None if it finds one, or another scheduler has the pod."""
    told = _told.setdefault(snapshot, {})
    if pod.key not in told:
        nodes = list(snapshot.nodes())
        decision = decide_pod(pod, nodes, SnapshotCluster(snapshot), any_will_do=True) if nodes else None
        told[pod.key] = decision if isinstance(decision, Unschedulable) else None
    return told[pod.key]


def nodes_for(volume: Volume, snapshot: Snapshot) -> list[Node]:
    """Return the nodes that the node affinity of `volume` allows."""
    if volume.node_affinity is None:
        return list(snapshot.nodes())
    return list(snapshot.nodes_matching(volume.node_affinity))


def shown_affinity(volume: Volume) -> str:
    """Return the node affinity of `volume` in words; ``""`` if it has none."""
    if volume.node_affinity is None:
        return ""
    terms = []
    for term in volume.node_affinity.node_selector_terms or ():
        lines = (*(term.match_expressions or ()), *(term.match_fields or ()))
        terms.append(" and ".join(_shown_line(each.key, each.operator, each.values or ()) for each in lines))
    return " or ".join(filter(None, terms)) or "nothing, which no node matches"


def _shown_line(key: str, operator: str, values: Iterable[str]) -> str:
    listed = list(values)
    if operator == "In" and len(listed) == 1:
        return f"{key}={listed[0]}"
    return f"{key} {operator}" + (f" ({', '.join(listed)})" if listed else "")
