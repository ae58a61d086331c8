"""TaintNodesByCondition: a new node takes no pods until it is known to be ready."""

from __future__ import annotations

from pvbinder.model.resources import NODES
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.objects.kind import Json

NOT_READY = "node.kubernetes.io/not-ready"


def taint_new_node(_reader: Reader, _on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Add the taint of nodes that are not ready, unless it is there."""
    taint = {"key": NOT_READY, "effect": "NoSchedule"}
    taints = new["spec"].setdefault("taints", [])
    if not any(each.get("key") == NOT_READY and each.get("effect") == "NoSchedule" for each in taints):
        taints.append(taint)


TAINT_NODES_BY_CONDITION = Plugin("TaintNodesByCondition", (NODES,), admits=taint_new_node)
