"""A small operator: it writes a config map for each backup, counts with a timer, and tidies up. Run by `kopf run`."""

from __future__ import annotations

from typing import Any

import kopf
import kubernetes
from kubernetes import dynamic

FIELD_MANAGER = "backup-operator"


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Log in as KUBECONFIG says, and report events."""
    kubernetes.config.load_kube_config()
    settings.posting.enabled = True


@kopf.on.create("example.com", "v1", "backups")
def make(name: str, namespace: str, body: kopf.Body, **_: Any) -> dict[str, str]:
    """Write the config map that belongs to the backup, and say so in the status."""
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"of-{name}"}}
    kopf.adopt(document, owner=body)
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, document)
    kopf.event(body, type="Normal", reason="Copied", message=f"written to of-{name}")
    return {"map": f"of-{name}"}


@kopf.on.field("example.com", "v1", "backups", field="spec.claim")
def follow(new: str, name: str, namespace: str, patch: kopf.Patch, **_: Any) -> None:
    """Apply the claim's name to a config map that others write to, too, and say in the status which it is by now."""
    maps = dynamic.DynamicClient(kubernetes.client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"claim-of-{name}", "namespace": namespace},
        "data": {"claim": new},
    }
    try:
        maps.server_side_apply(body=document, field_manager=FIELD_MANAGER)
    except dynamic.exceptions.ConflictError:  # somebody else has set it: it is ours to say
        patch.status["conflicts"] = 1
        maps.server_side_apply(body=document, field_manager=FIELD_MANAGER, force_conflicts=True)
    patch.status["claim"] = new


@kopf.timer("example.com", "v1", "backups", interval=0.2)
def count(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    """Count to three."""
    if status.get("ticks", 0) < 3:
        patch.status["ticks"] = status.get("ticks", 0) + 1


@kopf.on.delete("example.com", "v1", "backups")
def leave(name: str, namespace: str, **_: Any) -> None:
    """Leave a mark."""
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"was-{name}"}}
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, document)
