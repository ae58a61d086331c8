"""The claims of generic ephemeral volumes: which ones a pod still needs.

Rules: docs/rules/protection.md#5-ephemeral-volume-controller
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Pod
from pvbinder.rules.protection import owns_claim


class MakeClaim(Struct, frozen=True):
    """Create `document`, the claim of the pod's volume `volume` (EV-4)."""

    volume: str
    document: Json


class ClaimIsAnothers(Struct, frozen=True):
    """A claim of that name is there, but it wasn't made for this pod (EV-3)."""

    volume: str
    problem: str


class ClaimIsThere(Struct, frozen=True):
    """Nothing to do for this volume (EV-3)."""


EphemeralClaim: TypeAlias = MakeClaim | ClaimIsAnothers | ClaimIsThere


def needs_claims(pod: Pod) -> bool:
    """Tell whether `pod` is alive and has a volume whose claim is made for it (EV-1, EV-2)."""
    return not pod.is_deleting and any(volume.is_ephemeral for volume in pod.volumes)


def ephemeral_volumes(pod: Pod) -> Iterator[tuple[str, str]]:
    """Yield the name of each ephemeral volume of `pod`, and that of its claim (P-5)."""
    for volume in pod.volumes:
        if volume.is_ephemeral:
            yield volume.name, volume.claim_name


def decide_ephemeral_claim(pod: Pod, volume: str, claim_name: str, claim: Claim | None) -> EphemeralClaim:
    """Say what the ephemeral volume called `volume` needs; `claim` is the one of that name, if there is one."""
    if claim is None:
        return MakeClaim(volume, _claim_for(pod, volume, claim_name))
    if owns_claim(pod, claim):
        return ClaimIsThere()
    return ClaimIsAnothers(volume, f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)")


def _claim_for(pod: Pod, volume: str, claim_name: str) -> Json:
    template = _template(pod, volume)
    described = template.get("metadata") or {}
    metadata: Json = {"name": claim_name, "namespace": pod.namespace}
    for field in ("labels", "annotations"):
        if described.get(field):
            metadata[field] = described[field]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}
    metadata["ownerReferences"] = [{**owner, "controller": True, "blockOwnerDeletion": True}]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": template.get("spec") or {},
    }


def _template(pod: Pod, volume: str) -> dict[str, Any]:
    for described in pod.document()["spec"].get("volumes") or []:
        if described.get("name") == volume:
            template: dict[str, Any] = (described.get("ephemeral") or {}).get("volumeClaimTemplate") or {}
            return template
    return {}
