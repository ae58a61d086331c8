"""Which nodes a DaemonSet wants a pod on, which pods it makes and ends, and how an update proceeds.

DAEMON-1  A node gets a pod if selector, affinity and taints (NoSchedule and NoExecute) allow it; one that has a pod
          keeps it as long as only a NoSchedule taint speaks against it.
DAEMON-2  A node has one pod; pods that are over are replaced. During an update with ``maxSurge`` it has two.
DAEMON-3  An update ends old pods that aren't available first, and of the others as many as ``maxUnavailable`` allows.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Node, Pod, parse_pod
from pvbinder.model.pod_details import details_of, is_available
from pvbinder.model.scheduling import demands_of, state_of
from pvbinder.model.workloads import DAEMON_SETS, Workload, number
from pvbinder.rules.deployment_scaling import scaled_value
from pvbinder.rules.pod_templates import controller_reference, pod_of_template

HASH_LABEL: Final = "controller-revision-hash"
_TOLERATED: Final = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_NETWORK: Final = ("node.kubernetes.io/network-unavailable", "NoSchedule")


class DaemonPlan(Struct, frozen=True):
    """The steps to take: pods for these nodes, these pods end; `failed` are those of them that were over."""

    create: tuple[str, ...] = ()
    delete: tuple[Pod, ...] = ()
    over: tuple[Pod, ...] = ()


class Wanted(Struct, frozen=True):
    """Whether a node is to get a pod, and whether it keeps the one that it has."""

    runs: bool
    stays: bool


def daemon_pod(daemon_set: Workload, node: str, revision_hash: str) -> Json:
    """Return the pod for `node`: the scheduler places it there and nowhere else."""
    owner = controller_reference(DAEMON_SETS, daemon_set.name, daemon_set.uid)
    template = daemon_set.spec.get("template") or {}
    document = pod_of_template(template, daemon_set.namespace, owner, prefix=f"{daemon_set.name}-")
    metadata, spec = document["metadata"], document["spec"]
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: revision_hash}
    spec["affinity"] = _pinned(spec.get("affinity") or {}, node)
    tolerations = list(spec.get("tolerations") or [])
    for key, effect in (*_TOLERATED, *((_NETWORK,) if spec.get("hostNetwork") else ())):
        toleration = {"key": key, "operator": "Exists", "effect": effect}
        if toleration not in tolerations:
            tolerations.append(toleration)
    spec["tolerations"] = tolerations
    return document


def _pinned(affinity: Json, node: str) -> Json:
    """The affinity with each of its terms bound to `node`."""
    field = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    pinned = copy.deepcopy(affinity)
    required = pinned.setdefault("nodeAffinity", {}).setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = required.get("nodeSelectorTerms") or []
    required["nodeSelectorTerms"] = [{**term, **field} for term in terms] or [field]
    return pinned


def node_of(pod: Pod) -> str:
    """Return the node that `pod` is on, or is meant for."""
    if pod.node_name:
        return pod.node_name
    affinity = demands_of(pod).required_affinity
    for term in (affinity.node_selector_terms or ()) if affinity is not None else ():
        for one in term.match_fields or ():
            if one.key == "metadata.name" and one.values:
                return str(one.values[0])
    return ""


def wanted_on(daemon_set: Workload, node: Node) -> Wanted:
    """Say whether `node` gets and keeps a pod (DAEMON-1)."""
    spec = (daemon_set.spec.get("template") or {}).get("spec") or {}
    if spec.get("nodeName") not in (None, "", node.name):
        return Wanted(runs=False, stays=False)
    pod = parse_pod(encode(daemon_pod(daemon_set, node.name, "")))
    demands = demands_of(pod)
    if not demands.node_selector.items() <= node.labels.items():
        return Wanted(runs=False, stays=False)
    affinity = demands.required_affinity
    if affinity is not None and not affinity.matches(node.labels, node.name):
        return Wanted(runs=False, stays=False)
    unfit = {
        taint.effect
        for taint in state_of(node).taints
        if not any(toleration.tolerates(taint) for toleration in demands.tolerations)
    }
    return Wanted(runs=not unfit & {"NoSchedule", "NoExecute"}, stays="NoExecute" not in unfit)


def decide_daemon_set(
    daemon_set: Workload, nodes: Sequence[Node], pods: Mapping[str, Sequence[Pod]], revision_hash: str, now: datetime
) -> DaemonPlan:
    """Say what the set needs; `pods` are its own by node, without those that are going (DAEMON-2, DAEMON-3)."""
    create: list[str] = []
    delete: list[Pod] = []
    over: list[Pod] = []
    steady: dict[str, list[Pod]] = {}
    for node in nodes:
        wanted = wanted_on(daemon_set, node)
        here = sorted(pods.get(node.name, ()), key=lambda pod: (pod.created, pod.name))
        if not wanted.stays:
            delete += here
            continue
        ended = [pod for pod in here if pod.phase in ("Succeeded", "Failed")]
        over += [pod for pod in ended if not pod.is_deleting]
        running = [pod for pod in here if pod not in ended]
        if not here and wanted.runs:
            create.append(node.name)
        kept: list[Pod] = []
        for pod in sorted(running, key=lambda pod: not pod.is_scheduled):
            same = [one for one in kept if _is_new(one, revision_hash) == _is_new(pod, revision_hash)]
            (delete if same else kept).append(pod)
        if wanted.runs:
            steady[node.name] = kept
    strategy = daemon_set.spec.get("updateStrategy") or {}
    if not (create or delete or over) and strategy.get("type") == "RollingUpdate":
        return _roll(daemon_set, strategy.get("rollingUpdate") or {}, steady, revision_hash, now)
    doomed = tuple(pod for pod in delete if not pod.is_deleting)
    return DaemonPlan(tuple(create), (*doomed, *over), tuple(over))


def _is_new(pod: Pod, revision_hash: str) -> bool:
    return pod.labels.get(HASH_LABEL) == revision_hash


def _roll(
    daemon_set: Workload, rolling: Json, pods: Mapping[str, Sequence[Pod]], revision_hash: str, now: datetime
) -> DaemonPlan:
    total = len(pods)
    surge = scaled_value(rolling.get("maxSurge", 0), total, round_up=True)
    gone_max = scaled_value(rolling.get("maxUnavailable", 1), total, round_up=True)
    ready_seconds_min = number(daemon_set.spec, "minReadySeconds")

    def is_there(pod: Pod | None) -> bool:
        return pod is not None and not pod.is_deleting and is_available(pod, ready_seconds_min, now)

    create: list[str] = []
    delete: list[Pod] = []
    candidates: list[tuple[str, Pod]] = []
    unavailable = surging = 0
    for node, here in pods.items():
        old = next((pod for pod in here if not _is_new(pod, revision_hash)), None)
        new = next((pod for pod in here if _is_new(pod, revision_hash)), None)
        if old is not None and new is not None:
            surging += 1
            if is_there(new) and not old.is_deleting:
                delete.append(old)
        elif old is None:
            unavailable += not is_there(new)
        elif old.is_deleting:
            unavailable += 1
        elif not is_there(old):
            unavailable += 1
            if surge:
                create.append(node)
            else:
                delete.append(old)
        else:
            candidates.append((node, old))
    if surge:
        room = max(surge - surging - len(create), 0)
        return DaemonPlan((*create, *(node for node, _ in candidates[:room])), tuple(delete))
    room = max(max(gone_max, 1) - unavailable, 0)
    return DaemonPlan((), (*delete, *(pod for _, pod in candidates[:room])))


def daemon_status(
    daemon_set: Workload, nodes: Sequence[Node], pods: Mapping[str, Sequence[Pod]], revision_hash: str, now: datetime
) -> Json:
    """Return the status of the set."""
    fields = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    counts = dict.fromkeys((*fields, "updatedNumberScheduled", "numberAvailable"), 0)
    ready_seconds_min = number(daemon_set.spec, "minReadySeconds")
    for node in nodes:
        here = sorted(pods.get(node.name, ()), key=lambda pod: (pod.created, pod.name))
        if not wanted_on(daemon_set, node).runs:
            counts["numberMisscheduled"] += bool(here)
            continue
        counts["desiredNumberScheduled"] += 1
        if not here:
            continue
        counts["currentNumberScheduled"] += 1
        counts["numberReady"] += any(details_of(pod).is_ready for pod in here)
        counts["numberAvailable"] += any(is_available(pod, ready_seconds_min, now) for pod in here)
        counts["updatedNumberScheduled"] += any(_is_new(pod, revision_hash) for pod in here)
    unavailable = counts["desiredNumberScheduled"] - counts["numberAvailable"]
    status: Json = {field: counts[field] for field in fields}
    more = {**{field: counts[field] for field in ("updatedNumberScheduled", "numberAvailable")}}
    more["numberUnavailable"] = unavailable
    status |= {field: count for field, count in more.items() if count}
    status["observedGeneration"] = daemon_set.generation
    if "collisionCount" in daemon_set.status:
        status["collisionCount"] = daemon_set.status["collisionCount"]
    return status
