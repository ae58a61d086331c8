"""The facts for placing pods, beside claims and volumes: demands of pods, state of nodes, storage that is left.

`model.objects` has the views that everyone shares; these are the further facts that only a scheduler needs. Those of
pods, nodes and storage classes are read from the shared view's own JSON, so that one cache serves all controllers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import IdentityMeta, MalformedObjectError, Node, Pod, StorageClass
from pvbinder.model.objects.view import parsed
from pvbinder.model.quantity import Quantity, QuantityError, parse_quantity
from pvbinder.model.selectors import Labels, LabelSelector, NodeSelector, SelectorError

DEFAULT_SCHEDULER: Final = "default-scheduler"
_PARSED_KEPT_MAX: Final = 1024  # parsed pods and nodes: the pods that wait and the nodes that are considered for them


class Toleration(Struct, frozen=True, rename="camel"):
    """A taint that a pod puts up with."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None

    def tolerates(self, taint: Taint) -> bool:
        """Tell whether `taint` is put up with; no effect means every effect, no key with ``Exists`` every taint."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        match self.operator or "Equal":
            case "Equal":
                return bool(self.key) and (self.value or "") == taint.value
            case "Exists":
                return True
            case "Lt" | "Gt" as operator:
                return _compares(operator, taint.value, self.value or "")
            case _:
                return False


class Taint(Struct, frozen=True):
    """A mark that keeps pods off a node."""

    key: str = ""
    value: str = ""
    effect: str = ""

    @property
    def keeps_new_pods_off(self) -> bool:
        """Tell whether it matters for placing a pod; `PreferNoSchedule` doesn't."""
        return self.effect in ("NoSchedule", "NoExecute")


class PodDemands(Struct, frozen=True):
    """The demands of a pod on its node, and the scheduler that is to choose it."""

    scheduler: str
    is_gated: bool
    node_selector: dict[str, str]
    required_affinity: NodeSelector | None
    tolerations: tuple[Toleration, ...]


class NodeState(Struct, frozen=True):
    """The fields of a node that decide which pods it takes."""

    is_unschedulable: bool
    taints: tuple[Taint, ...]


class TopologyRequirement(Struct, frozen=True):
    """One line of a class's ``allowedTopologies``."""

    key: str = ""
    values: tuple[str, ...] = ()


class TopologyTerm(Struct, frozen=True, rename="camel"):
    """Requirements on a node's labels that must hold together."""

    match_label_expressions: tuple[TopologyRequirement, ...] | None = None

    def matches(self, labels: Labels) -> bool:
        """Tell whether `labels` meet all requirements; a term without any matches nothing."""
        requirements = self.match_label_expressions or ()
        return bool(requirements) and all(labels.get(one.key) in one.values for one in requirements)


class CsiDriver(Struct, frozen=True):
    """A CSIDriver; `reports_capacity` says whether its free storage is published and must be looked at."""

    raw: bytes
    name: str
    uid: str
    resource_version: str
    reports_capacity: bool
    namespace: str = ""

    @property
    def key(self) -> str:
        """Its name."""
        return self.name


class CsiStorageCapacity(Struct, frozen=True):
    """How much storage of a class is left in one part of the cluster."""

    raw: bytes
    name: str
    namespace: str
    uid: str
    resource_version: str
    storage_class: str
    topology: LabelSelector | None
    capacity: Quantity | None
    maximum_volume_size: Quantity | None

    @property
    def key(self) -> str:
        """Its namespace and name."""
        return f"{self.namespace}/{self.name}"

    def is_reachable_from(self, labels: Labels) -> bool:
        """Tell whether a node with `labels` can use this storage; without a topology no node can."""
        if self.topology is None:
            return False
        try:
            return self.topology.matches(labels)
        except SelectorError:
            return False

    def holds(self, size: Quantity) -> bool:
        """Tell whether a volume of `size` fits: the largest possible volume counts before the free capacity."""
        limit = self.maximum_volume_size if self.maximum_volume_size is not None else self.capacity
        return limit is not None and limit >= size


# ------------------------------------------------------------------------------------------------ parsing


class _NodeAffinity(Struct, frozen=True, rename="camel"):
    required_during_scheduling_ignored_during_execution: NodeSelector | None = None


class _Affinity(Struct, frozen=True, rename="camel"):
    node_affinity: _NodeAffinity | None = None


class _PodSpec(Struct, frozen=True, rename="camel"):
    scheduler_name: str | None = None
    scheduling_gates: tuple[Json, ...] | None = None
    node_selector: dict[str, str] | None = None
    affinity: _Affinity | None = None
    tolerations: tuple[Toleration, ...] | None = None


class _PodObject(Struct, frozen=True):
    spec: _PodSpec | None = None


class _NodeSpec(Struct, frozen=True):
    unschedulable: bool | None = None
    taints: tuple[Taint, ...] | None = None


class _NodeObject(Struct, frozen=True):
    spec: _NodeSpec | None = None


class _ClassObject(Struct, frozen=True, rename="camel"):
    allowed_topologies: tuple[TopologyTerm, ...] | None = None


class _DriverSpec(Struct, frozen=True, rename="camel"):
    storage_capacity: bool | None = None


class _DriverObject(Struct, frozen=True):
    metadata: IdentityMeta = msgspec.field(default_factory=IdentityMeta)
    spec: _DriverSpec | None = None


class _CapacityObject(Struct, frozen=True, rename="camel"):
    metadata: IdentityMeta = msgspec.field(default_factory=IdentityMeta)
    storage_class_name: str = ""
    node_topology: LabelSelector | None = None
    capacity: str | int | float | None = None
    maximum_volume_size: str | int | float | None = None


_pods = msgspec.json.Decoder(_PodObject)
_nodes = msgspec.json.Decoder(_NodeObject)
_classes = msgspec.json.Decoder(_ClassObject)
_drivers = msgspec.json.Decoder(_DriverObject)
_capacities = msgspec.json.Decoder(_CapacityObject)
_NO_POD_SPEC = _PodSpec()
_NO_NODE_SPEC = _NodeSpec()


def demands_of(pod: Pod) -> PodDemands:
    """Return what `pod` asks of its node, or raise `MalformedObjectError`."""
    return _demands(pod.raw)


@lru_cache(_PARSED_KEPT_MAX)
def _demands(raw: bytes) -> PodDemands:
    spec = parsed(_pods, raw, "Pod").spec or _NO_POD_SPEC
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    return PodDemands(
        spec.scheduler_name or DEFAULT_SCHEDULER,
        bool(spec.scheduling_gates),
        spec.node_selector or {},
        affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None,
        spec.tolerations or (),
    )


def state_of(node: Node) -> NodeState:
    """Return what `node` says about taking pods, or raise `MalformedObjectError`."""
    return _state(node.raw)


@lru_cache(_PARSED_KEPT_MAX)
def _state(raw: bytes) -> NodeState:
    spec = parsed(_nodes, raw, "Node").spec or _NO_NODE_SPEC
    return NodeState(bool(spec.unschedulable), spec.taints or ())


def allowed_topologies(storage_class: StorageClass) -> tuple[TopologyTerm, ...]:
    """Return where volumes of `storage_class` may be made: one of the terms must match; no term means everywhere."""
    return parsed(_classes, storage_class.raw, "StorageClass").allowed_topologies or ()


def parse_csi_driver(data: bytes) -> CsiDriver:
    """Return the CSIDriver in `data`, or raise `MalformedObjectError`."""
    found = parsed(_drivers, data, "CSIDriver")
    reports = found.spec is not None and found.spec.storage_capacity is True
    meta = found.metadata
    return CsiDriver(
        raw=data,
        name=meta.name or "",
        uid=meta.uid or "",
        resource_version=meta.resource_version or "",
        reports_capacity=reports,
    )


def parse_csi_storage_capacity(data: bytes) -> CsiStorageCapacity:
    """Return the CSIStorageCapacity in `data`, or raise `MalformedObjectError`."""
    found = parsed(_capacities, data, "CSIStorageCapacity")
    meta = found.metadata
    return CsiStorageCapacity(
        raw=data,
        name=meta.name or "",
        namespace=meta.namespace or "",
        uid=meta.uid or "",
        resource_version=meta.resource_version or "",
        storage_class=found.storage_class_name,
        topology=found.node_topology,
        capacity=_amount(found.capacity),
        maximum_volume_size=_amount(found.maximum_volume_size),
    )


def _amount(value: str | int | float | None) -> Quantity | None:
    if value is None:
        return None
    try:
        return parse_quantity(value if isinstance(value, str) else repr(value))
    except QuantityError as error:
        raise MalformedObjectError(f"CSIStorageCapacity: {value!r}: {error.message}") from error


def _compares(operator: str, taint_value: str, bound: str) -> bool:
    try:
        return int(taint_value) < int(bound) if operator == "Lt" else int(taint_value) > int(bound)
    except ValueError:
        return False
