"""A kubelet in small, for all nodes of a cluster that has no machines: pods become Running, end, and go.

Nothing is ever started: the statuses say what a kubelet would say (`rules.pod_lifecycle`). A node whose annotation
``pvbinder.io/kubelet`` is ``none`` is left to somebody else, with its pods.
"""

from pvbinder.controllers.kubelet.kubelet import EVENT_SOURCE, Kubelet
from pvbinder.controllers.kubelet.nodes import KUBELET_ANNOTATION, create_node

__all__ = ["EVENT_SOURCE", "KUBELET_ANNOTATION", "Kubelet", "create_node"]
