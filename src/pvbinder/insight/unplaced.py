"""Pods without a node: whether the scheduler may look at them, and the ways to a node that nobody has yet."""

from __future__ import annotations

from collections.abc import Iterator

from pvbinder.insight.remedies import Kubectl, Remedy
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.json import decode
from pvbinder.model.objects import Node, Pod
from pvbinder.model.scheduling import DEFAULT_SCHEDULER, demands_of, state_of


def gates_of(pod: Pod) -> list[str]:
    """Return the names of the scheduling gates of `pod`; while it has one, the scheduler leaves it alone."""
    gates = (decode(pod.raw).get("spec") or {}).get("schedulingGates") or ()
    return [str(gate.get("name") or "") for gate in gates]


def other_scheduler(pod: Pod) -> str:
    """Return the scheduler that `pod` names, if it isn't the default one: nobody here knows what that decides."""
    name = demands_of(pod).scheduler
    return name if name != DEFAULT_SCHEDULER else ""


def is_nowhere(pod: Pod, snapshot: Snapshot) -> bool:
    """Whether `pod` is for a node that doesn't exist; False where the nodes aren't known (SNAPSHOT-3)."""
    return pod.is_scheduled and snapshot.knows("Node") and snapshot.node(pod.node_name) is None


def ways_to_a_node(pod: Pod, snapshot: Snapshot) -> Iterator[Remedy]:
    """Yield what makes a node fit `pod`, where that is known: labels that no node has, a node that takes no pods."""
    nodes = sorted(snapshot.nodes(), key=lambda node: node.name)
    selector = demands_of(pod).node_selector
    fitting = [node for node in nodes if not _lacking(node, selector)]
    if not fitting:
        addable = [node for node in nodes if not _lacking(node, selector).keys() & node.labels.keys()]
        for node in sorted(addable, key=lambda node: len(_lacking(node, selector)))[:1]:
            pairs = (f"{key}={value}" for key, value in sorted(_lacking(node, selector).items()))
            why = f"give node {node.name} the labels that pod {pod.name} selects"
            yield Kubectl(why, ("label", "node", node.name, *pairs))
    elif all(state_of(node).is_unschedulable for node in fitting):
        yield Kubectl(f"let node {fitting[0].name} take pods again", ("uncordon", fitting[0].name))


def _lacking(node: Node, selector: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in selector.items() if node.labels.get(key) != value}
