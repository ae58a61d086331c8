"""NamespaceLifecycle: nothing new in a namespace that isn't there or is ending.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.model.resources import NAMESPACES
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import ApiError, is_forbidden, not_found
from pvbinder.server.objects.kind import Json

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def require_namespace(reader: Reader, on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Refuse a new object if its namespace is missing or ending."""
    if not on.resource.namespaced:
        return
    namespace = reader.get(NAMESPACES, None, on.namespace)
    if namespace is None:
        raise not_found(NAMESPACES, on.namespace)
    if namespace["metadata"].get("deletionTimestamp"):
        raise _is_ending(on, new)


def refuse_deletion(on: AdmissionAttributes) -> None:
    """Refuse to delete the namespaces that a cluster can't do without."""
    if on.resource == NAMESPACES and on.name in IMMORTAL:
        raise is_forbidden(NAMESPACES, on.name, "this namespace may not be deleted")


def _is_ending(on: AdmissionAttributes, new: Json) -> ApiError:
    name = new["metadata"].get("name", "")
    why = f"unable to create new content in namespace {on.namespace} because it is being terminated"
    error = is_forbidden(on.resource, name, why)
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {on.namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.details = {**(error.details or {}), "causes": [cause]}
    return error


NAMESPACE_LIFECYCLE = Plugin("NamespaceLifecycle", None, admits=require_namespace)
