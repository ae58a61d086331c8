"""The objects that a workload makes from its template: pods with a reference to it, and a name for the template."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Final

from pvbinder.model.json import Json
from pvbinder.model.resources import Resource

HASH_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"  # as the reference spells: no words by accident
HASH_LENGTH: Final = 10


def controller_reference(resource: Resource, name: str, uid: str) -> Json:
    """Return the owner reference that says: controlled by this object, whose deletion it may hold up."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_of_template(template: Json, namespace: str, owner: Json, *, name: str = "", prefix: str = "") -> Json:
    """Return the pod that `template` makes for the controller behind the reference `owner`."""
    described = template.get("metadata") or {}
    metadata: Json = {"namespace": namespace, "ownerReferences": [owner]}
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = prefix
    for field in ("labels", "annotations", "finalizers"):
        if described.get(field):
            metadata[field] = copy.deepcopy(described[field])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(template.get("spec") or {})}


def template_hash(template: Json, collisions: int = 0) -> str:
    """Return a short name for `template`: the same template, the same name; `collisions` gives it another."""
    canonical = json.dumps([template, collisions] if collisions else template, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    return "".join(HASH_LETTERS[byte % len(HASH_LETTERS)] for byte in digest[:HASH_LENGTH])
