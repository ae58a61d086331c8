"""Nodes without machines: how one is made, and becomes ready."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import NODES
from pvbinder.model.json import Json
from pvbinder.model.objects import Node
from pvbinder.rules.pod_status import stamp

KUBELET_ANNOTATION: Final = "pvbinder.io/kubelet"
HOST_IP: Final = "127.0.0.1"
KUBELET_VERSION: Final = "v1.36.0+pvbinder"
CONFLICTS_MAX: Final = 5
NOT_READY_TAINT: Final = "node.kubernetes.io/not-ready"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_HEALTH: Final = (  # condition, reason and message of each resource that a node has enough of
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


def is_played(node: Node) -> bool:
    """Tell whether we play the kubelet of `node`."""
    return node.annotations.get(KUBELET_ANNOTATION) != "none"


async def create_node(
    client: Client,
    name: str,
    *,
    labels: dict[str, str] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Node:
    """Create the node `name`, ready for pods, and return it; one that is there already is made ready."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    document: Json = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture,
                **(labels or {}),
            },
        },
    }
    try:
        node = await client.create(NODES, document)
    except ApiFailure as failure:
        if not failure.is_already_exists:
            raise
        node = await client.get(NODES, name)
    for _ in range(CONFLICTS_MAX):
        try:
            return await make_ready(client, node, now())
        except ApiFailure as failure:
            if not failure.is_conflict:  # a kubelet that runs already may have been quicker
                raise
        node = await client.get(NODES, name)
    return await make_ready(client, node, now())


async def make_ready(client: Client, node: Node, now: datetime) -> Node:
    """Give `node` the status of a healthy one, unless it has one, and take its not-ready taint away."""
    ready = with_ready_status(node, now)
    if ready is not None:
        node = await client.replace(NODES, ready, subresource="status")
    untainted = without_taint(node)
    if untainted is not None:
        node = await client.replace(NODES, untainted)
    return node


def with_ready_status(node: Node, now: datetime) -> Json | None:
    """Return `node` with the status of a healthy one; None if it says of itself whether it is ready."""
    document = node.document()
    status = document["status"] = document.get("status") or {}
    conditions = list(status.get("conditions") or [])
    if any(one.get("type") == "Ready" for one in conditions):
        return None
    times = {"lastHeartbeatTime": stamp(now), "lastTransitionTime": stamp(now)}
    known = {one.get("type") for one in conditions}
    for type_, reason, message in _HEALTH:
        if type_ not in known:
            conditions.append({"type": type_, "status": "False", "reason": reason, "message": message, **times})
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    conditions.append({**ready, **times})
    status["conditions"] = conditions
    for field in ("capacity", "allocatable"):
        status[field] = {**machine_resources(), **(status.get(field) or {})}
    if not status.get("addresses"):
        status["addresses"] = [
            {"type": "InternalIP", "address": HOST_IP},
            {"type": "Hostname", "address": node.name},
        ]
    info = status.get("nodeInfo") or {}
    if not info.get("kubeletVersion"):
        status["nodeInfo"] = {**info, **_node_info(node)}
    return document


def without_taint(node: Node) -> Json | None:
    """Return `node` without the taint of nodes that aren't ready; None if it isn't ready or has no such taint."""
    document = node.document()
    conditions = (document.get("status") or {}).get("conditions") or []
    if not any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions):
        return None
    taints = document["spec"].get("taints") or [] if document.get("spec") else []
    kept = [taint for taint in taints if taint.get("key") != NOT_READY_TAINT]
    if len(kept) == len(taints):
        return None
    if kept:
        document["spec"]["taints"] = kept
    else:
        del document["spec"]["taints"]
    return document


def machine_resources() -> dict[str, str]:
    """Return what a node offers: this machine's processors and memory, and room for 110 pods."""
    memory_kib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    return {"cpu": str(os.cpu_count() or 1), "memory": f"{memory_kib}Ki", "pods": "110"}


def _node_info(node: Node) -> dict[str, str]:
    return {
        "machineID": node.uid,
        "systemUUID": node.uid,
        "bootID": node.uid,
        "kernelVersion": platform.release(),
        "osImage": "pvbinder",
        "containerRuntimeVersion": "pvbinder://1",
        "kubeletVersion": KUBELET_VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
    }
