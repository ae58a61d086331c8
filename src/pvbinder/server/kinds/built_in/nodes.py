"""Node: its reports, and the fields that can change.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from pvbinder.model.resources import NODES, Resource
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.parts.columns import AGE, NAME, NONE, UNKNOWN, field_cell, joined
from pvbinder.server.kinds.validation.nodes import (
    validate_node,
    validate_node_change,
    validate_node_update,
    warn_of_node,
)
from pvbinder.server.kinds.validation.quantities import canonical_quantities
from pvbinder.server.objects.kind import Column, Json, ServedKind, Subresource, drop_empty, metadata_name

_NODE_INFO = (
    "architecture",
    "bootID",
    "containerRuntimeVersion",
    "kernelVersion",
    "kubeProxyVersion",
    "kubeletVersion",
    "machineID",
    "operatingSystem",
    "osImage",
    "systemUUID",
)
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def default_node(node: Json) -> None:
    """Fill in the fields that a node always shows; allocatable resources default to its capacity."""
    spec = node.setdefault("spec", {})
    drop_empty(spec, "podCIDR", "podCIDRs", "providerID", "unschedulable", "taints")
    if spec.get("podCIDR") and spec["podCIDR"] != (spec.get("podCIDRs") or [""])[0]:
        spec["podCIDRs"] = [spec["podCIDR"]]  # the older field counts
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]
    for taint in spec.get("taints") or ():
        drop_empty(taint, "value")
    status = node.setdefault("status", {})
    drop_empty(status, "phase", "conditions", "addresses", "images", "volumesInUse", "volumesAttached")
    status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {}).setdefault("Port", 0)
    info = status.setdefault("nodeInfo", {})
    for field in _NODE_INFO:
        info.setdefault(field, "")
    canonical_quantities(status, "capacity")
    canonical_quantities(status, "allocatable")
    if "capacity" in status and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])
    for condition in status.get("conditions") or ():
        condition.setdefault("lastHeartbeatTime", None)
        condition.setdefault("lastTransitionTime", None)
        drop_empty(condition, "reason", "message")


def prepare_new_node(node: Json, _now: str) -> None:
    """Drop the configuration of the kubelet, which nodes had once."""
    node["spec"].pop("configSource", None)
    node["status"].pop("config", None)


def prepare_node(new: Json, old: Json, _now: str) -> None:
    """Take the status from the stored object, and drop the configuration of the kubelet."""
    new["spec"].pop("configSource", None)
    new["status"] = old["status"]


def prepare_node_status(new: Json, old: Json, _now: str) -> None:
    """Take the spec from the stored object, and drop the configuration of the kubelet."""
    new["spec"] = old["spec"]
    new["status"].pop("config", None)


def _status_cell(node: Json, _now: datetime) -> object:
    status = "Unknown"
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            status = "Ready" if condition.get("status") == "True" else "NotReady"
    return status + (",SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else "")


def _roles_cell(node: Json, _now: datetime) -> object:
    labels: Json = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)}
    roles |= {value for key, value in labels.items() if key == _ROLE_LABEL and value}
    return joined(sorted(role for role in roles if role))


def _address_cell(kind: str) -> Callable[[Json, datetime], object]:
    def cell(node: Json, _now: datetime) -> object:
        for address in (node.get("status") or {}).get("addresses") or ():
            if address.get("type") == kind:
                return address.get("address", "")
        return NONE

    return cell


def _unschedulable(node: Json) -> str:
    return "true" if (node.get("spec") or {}).get("unschedulable") else "false"


def _info(field: str) -> Callable[[Json, datetime], object]:
    return field_cell("status", "nodeInfo", field, default=UNKNOWN)


def _kernel_cell(node: Json, now: datetime) -> object:
    architecture = _info("architecture")(node, now)
    return f"{_info('kernelVersion')(node, now)}{f' ({architecture})' if architecture != UNKNOWN else ''}"


NODE_PROXY_OPTIONS = Resource("", "v1", "NodeProxyOptions", "nodes", False)


def refuse_to_proxy(_node: Json, _query: Mapping[str, list[str]]) -> str:
    """Answer as the reference does when no kubelet can be reached: there is none behind any node here."""
    why = "error trying to reach service: no preferred addresses found; known addresses: []"
    raise ApiError(503, "ServiceUnavailable", why)


NODE = ServedKind(
    resource=NODES,
    singular="node",
    schema="io.k8s.api.core.v1.Node",
    short_names=("no",),
    delete_returns_object=False,
    default=default_node,
    prepare_create=prepare_new_node,
    prepare_update=prepare_node,
    validate_create=validate_node,
    validate_update=validate_node_update,
    warnings=warn_of_node,
    metadata_checks=("whole", "change", "whole"),
    subresources=(
        Subresource(
            "proxy",
            verbs=("create", "delete", "get", "patch", "update"),
            body=NODE_PROXY_OPTIONS,
            reach=refuse_to_proxy,
            has_path=True,
        ),
        Subresource(
            "status",
            prepare_update=prepare_node_status,
            validate_update=validate_node_change,
            metadata_checks=("change", "whole"),
        ),
    ),
    columns=(
        NAME,
        Column("Status", _status_cell, description="Whether it is ready."),
        Column("Roles", _roles_cell, description="What it is for."),
        AGE,
        Column("Version", field_cell("status", "nodeInfo", "kubeletVersion"), description="The kubelet's version."),
        Column("Internal-IP", _address_cell("InternalIP"), description="Its address inside.", priority=1),
        Column("External-IP", _address_cell("ExternalIP"), description="Its address outside.", priority=1),
        Column("OS-Image", _info("osImage"), description="Its system.", priority=1),
        Column("Kernel-Version", _kernel_cell, description="Its kernel.", priority=1),
        Column("Container-Runtime", _info("containerRuntimeVersion"), description="Its runtime.", priority=1),
    ),
    selectable_fields={"metadata.name": metadata_name, "spec.unschedulable": _unschedulable},
)
