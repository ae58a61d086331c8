"""Warnings of deprecated parts that still work: annotations, node labels.

Rules: docs/rules/apiserver.md#3-persistentvolume, docs/rules/apiserver.md#4-persistentvolumeclaim
"""

from __future__ import annotations

from pvbinder.model.names import BETA_STORAGE_CLASS
from pvbinder.server.objects.kind import Json

BETA_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"

_NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def warn_of_beta_class(annotations: Json) -> list[str]:
    """Warn of the annotation that was the storage class once."""
    if BETA_STORAGE_CLASS not in annotations:
        return []
    return [
        f'metadata.annotations[{BETA_STORAGE_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
    ]


def warn_of_node_labels(key: str, path: str) -> list[str]:
    """Warn of a node label that has been renamed."""
    text = _NODE_LABELS.get(key)
    return [f"{path}: {key} is {text}"] if text else []


def warn_of_node_label(key: str, path: str) -> list[str]:
    """Warn of a renamed node label where the path doesn't name it."""
    text = _NODE_LABELS.get(key)
    return [f"{path}: {text}"] if text else []


def warn_of_node_selector(selector: Json | None, path: str) -> list[str]:
    """Warn of renamed node labels in the terms of a node selector."""
    texts: list[str] = []
    for index, term in enumerate((selector or {}).get("nodeSelectorTerms") or ()):
        for position, requirement in enumerate(term.get("matchExpressions") or ()):
            at = f"{path}.nodeSelectorTerms[{index}].matchExpressions[{position}].key"
            texts += warn_of_node_labels(requirement.get("key", ""), at)
    return texts
