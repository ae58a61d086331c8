"""A small operator: it writes a config map for each backup, counts with a timer, and tidies up. Run by `kopf run`."""

from __future__ import annotations

from typing import Any

import kopf
import kubernetes


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
def follow(new: str, patch: kopf.Patch, **_: Any) -> None:
    """Say which claim it is by now."""
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
