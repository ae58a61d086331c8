"""The roles and bindings that a fresh server has: the reference's default policy, as far as it is about what we serve.

The controllers' roles are those of rbac.md (RB-1 to RB-6); each is bound to the service account of the controller's
name in ``kube-system``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pvbinder.server.identity.authentication import AUTHENTICATED, MASTERS, UNAUTHENTICATED
from pvbinder.server.kinds.built_in.rbac import GROUP
from pvbinder.server.objects.kind import Json

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
STORAGE = "storage.k8s.io"

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_VIEWED = ("configmaps", "events", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods", "pods/status")


def rule(groups: Sequence[str] | str, resources: Sequence[str] | str, *verbs: str) -> Json:
    """Return a rule about resources."""
    return {
        "verbs": list(verbs),
        "apiGroups": [groups] if isinstance(groups, str) else list(groups),
        "resources": [resources] if isinstance(resources, str) else list(resources),
    }


def path_rule(*paths: str) -> Json:
    """Return a rule that allows to read paths that are no resources."""
    return {"verbs": ["get"], "nonResourceURLs": list(paths)}


EVENTS = rule(("", "events.k8s.io"), "events", "create", "patch", "update")

CONTROLLER_RULES: dict[str, list[Json]] = {
    "persistent-volume-binder": [  # RB-1
        rule("", "persistentvolumes", "create", "delete", "get", "list", "update", "watch"),
        rule("", "persistentvolumes/status", "update"),
        rule("", "persistentvolumeclaims", "get", "list", "update", "watch"),
        rule("", "persistentvolumeclaims/status", "update"),
        rule("", "pods", "create", "delete", "get", "list", "watch"),
        rule(STORAGE, "storageclasses", *READ),
        rule("", "nodes", "list", "watch"),
        EVENTS,
        rule("", "events", "watch"),
    ],
    "pvc-protection-controller": [  # RB-2
        rule("", "persistentvolumeclaims", "get", "list", "update", "watch"),
        rule("", "persistentvolumeclaims/status", "update"),
        rule("", "pods", *READ),
        EVENTS,
    ],
    "pv-protection-controller": [  # RB-3
        rule("", "persistentvolumes", "get", "list", "update", "watch"),
        EVENTS,
    ],
    "volumeattributesclass-protection-controller": [  # RB-4
        rule("", "persistentvolumeclaims", *READ),
        rule("", "persistentvolumes", *READ),
        rule(STORAGE, "volumeattributesclasses", "get", "list", "update", "watch"),
        EVENTS,
    ],
    "expand-controller": [  # RB-5
        rule("", "persistentvolumes", "get", "list", "patch", "update", "watch"),
        rule("", "persistentvolumeclaims/status", "patch", "update"),
        rule("", "persistentvolumeclaims", *READ),
        EVENTS,
    ],
    "ephemeral-volume-controller": [  # RB-6
        rule("", "pods", *READ),
        rule("", "pods/finalizers", "update"),
        rule("", "persistentvolumeclaims", "create", *READ),
        EVENTS,
    ],
    "namespace-controller": [
        rule("", "namespaces", "delete", *READ),
        rule("", ("namespaces/finalize", "namespaces/status"), "update"),
        rule("*", "*", "delete", "deletecollection", *READ),
    ],
    "generic-garbage-collector": [
        rule("*", "*", "delete", "patch", "update", *READ),
        EVENTS,
    ],
    "resourcequota-controller": [
        rule("*", "*", "list", "watch"),
        rule("", "resourcequotas/status", "update"),
        EVENTS,
    ],
    "statefulset-controller": [
        rule("", "pods", "create", "delete", "patch", "update", *READ),
        rule("apps", "statefulsets", *READ),
        rule("apps", ("statefulsets/status", "statefulsets/finalizers"), "update"),
        rule("", "persistentvolumeclaims", "create", "update", *READ),
        EVENTS,
    ],
    # The reference's scheduler and kubelet are users of their own; those in small are controllers like the others.
    "kube-scheduler": [
        rule("", ("nodes", "pods", "namespaces"), *READ),
        rule("", "pods/binding", "create"),
        rule("", "pods/status", "patch", "update"),
        rule("", ("persistentvolumeclaims", "persistentvolumes"), "patch", "update", *READ),
        rule(STORAGE, ("storageclasses", "csinodes", "csidrivers", "csistoragecapacities"), *READ),
        EVENTS,
    ],
    "kubelet": [
        rule("", "nodes", "create", "update", *READ),
        rule("", ("nodes/status", "pods/status", "persistentvolumeclaims/status"), "patch", "update"),
        rule("", "pods", "delete", *READ),
        rule("", ("persistentvolumeclaims", "persistentvolumes"), *READ),
        EVENTS,
    ],
}


def default_objects() -> Iterator[tuple[str, Json]]:
    """Give the plural and the object of every default role and binding."""
    yield _role("cluster-admin", [rule("*", "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]}])
    yield _binding("cluster-admin", "cluster-admin", [_group(MASTERS)])
    discovery = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")
    public = ("/healthz", "/livez", "/readyz", "/version", "/version/")
    yield _role("system:discovery", [path_rule(*discovery, *public)])
    yield _binding("system:discovery", "system:discovery", [_group(AUTHENTICATED)])
    yield _role("system:public-info-viewer", [path_rule(*public)])
    yield _binding(
        "system:public-info-viewer", "system:public-info-viewer", [_group(AUTHENTICATED), _group(UNAUTHENTICATED)]
    )
    own = ("selfsubjectaccessreviews", "selfsubjectrulesreviews")
    itself = [
        rule("authorization.k8s.io", own, "create"),
        rule("authentication.k8s.io", "selfsubjectreviews", "create"),
    ]
    yield _role("system:basic-user", itself)
    yield _binding("system:basic-user", "system:basic-user", [_group(AUTHENTICATED)])
    yield from _user_roles()
    yield _role("system:kube-controller-manager", [rule("*", "*", "list", "watch")])
    manager = {"apiGroup": GROUP, "kind": "User", "name": "system:kube-controller-manager"}
    yield _binding("system:kube-controller-manager", "system:kube-controller-manager", [manager])
    for name, rules in CONTROLLER_RULES.items():
        account = {"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}
        yield _role(f"system:controller:{name}", rules)
        yield _binding(f"system:controller:{name}", f"system:controller:{name}", [account])


def _user_roles() -> Iterator[tuple[str, Json]]:
    """The roles meant to be bound in a namespace; without aggregation, as they name what there is."""
    viewed = [
        rule("", (*_VIEWED, "serviceaccounts", "namespaces"), *READ),
        rule("events.k8s.io", "events", *READ),
        rule(STORAGE, "csistoragecapacities", *READ),
    ]
    edited = [
        rule("", ("configmaps", "events", "persistentvolumeclaims", "pods", "secrets", "serviceaccounts"), *WRITE),
        rule("", "secrets", *READ),
        rule("coordination.k8s.io", "leases", *READ, *WRITE),
    ]
    managed = [
        rule(GROUP, ("roles", "rolebindings"), *READ, *WRITE),
        rule("authorization.k8s.io", "localsubjectaccessreviews", "create"),
    ]
    yield _role("view", viewed)
    yield _role("edit", [*viewed, *edited])
    yield _role("admin", [*viewed, *edited, *managed])


def _role(name: str, rules: list[Json]) -> tuple[str, Json]:
    return "clusterroles", _object("ClusterRole", name, {"rules": rules})


def _binding(name: str, role: str, subjects: list[Json]) -> tuple[str, Json]:
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}
    return "clusterrolebindings", _object("ClusterRoleBinding", name, {"roleRef": reference, "subjects": subjects})


def _group(name: str) -> Json:
    return {"apiGroup": GROUP, "kind": "Group", "name": name}


def _object(kind: str, name: str, rest: Json) -> Json:
    metadata = {"name": name, "labels": dict(_LABELS), "annotations": dict(_ANNOTATIONS)}
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, **rest}
