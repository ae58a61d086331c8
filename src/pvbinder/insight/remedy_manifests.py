"""The manifests of remedies that no command carries out: the object to create, whole but for what only a person knows.

REMEDY_MANIFESTS-1  Such a manifest, with the words in capitals replaced, lets the claim go on (REMEDY-1).
REMEDY_MANIFESTS-2  What is made anew keeps what its owner wrote, and nothing that a server or a controller wrote.
"""

from __future__ import annotations

import copy
from typing import Final

from pvbinder.insight.remedies import AddClass, AddVolume, RecreateClaim, RecreatePod, Remedy
from pvbinder.model.json import Json

PATH: Final = "/PATH/OF/THE/STORAGE"
PROVISIONER: Final = "NAME.OF.THE.PROVISIONER"
_HOST: Final = "kubernetes.io/hostname"
_WRITTEN_BY_SERVERS: Final = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "finalizers",
    "ownerReferences",
)
_WRITTEN_BY_CONTROLLERS: Final = (
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "volume.beta.kubernetes.io/storage-prov",
)
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def manifest_of(remedy: Remedy, there: Json | None) -> Json | None:
    """Return the object that `remedy` creates; None if it creates none, or if `there`, which it makes anew, is none."""
    match remedy:
        case AddVolume():
            return _volume(remedy)
        case AddClass():
            return _class(remedy)
        case RecreateClaim() if there is not None and there.get("kind") == "PersistentVolumeClaim":
            return _claim(remedy, there)
        case RecreatePod() if there is not None and there.get("kind") == "Pod" and not remedy.owner:
            return _pod(remedy, there)
        case _:
            return None


def _volume(remedy: AddVolume) -> Json:
    spec: Json = {
        "capacity": {"storage": remedy.storage},
        "accessModes": list(remedy.access_modes),
        "volumeMode": remedy.volume_mode,
        "storageClassName": remedy.storage_class,
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": PATH},
    }
    if remedy.attributes_class:
        spec["volumeAttributesClassName"] = remedy.attributes_class
    if remedy.node:
        term = {"matchExpressions": [{"key": _HOST, "operator": "In", "values": [remedy.node]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    if remedy.claim_uid:
        namespace, _, name = remedy.claim.partition("/")
        spec["claimRef"] = {"namespace": namespace, "name": name, "uid": remedy.claim_uid}
    metadata: Json = {"name": remedy.name or "new-volume"}
    if remedy.labels:
        metadata["labels"] = dict(remedy.labels)
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def _class(remedy: AddClass) -> Json:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": remedy.name},
        "provisioner": PROVISIONER,
        "volumeBindingMode": "Immediate",
    }


def _claim(remedy: RecreateClaim, there: Json) -> Json:
    made = _anew(there)
    spec = made["spec"]
    if remedy.storage_max:
        spec["resources"] = {"requests": {"storage": remedy.storage_max}}
    if remedy.storage_class is not None:
        spec["storageClassName"] = remedy.storage_class
    if remedy.access_modes:
        spec["accessModes"] = list(remedy.access_modes)
    if remedy.volume_mode:
        spec["volumeMode"] = remedy.volume_mode
    if remedy.attributes_class is not None:
        spec.pop("volumeAttributesClassName", None)
        if remedy.attributes_class:
            spec["volumeAttributesClassName"] = remedy.attributes_class
    for field in remedy.without:
        spec.pop(field, None)
    return made


def _pod(remedy: RecreatePod, there: Json) -> Json:
    made = _anew(there)
    spec = made["spec"]
    for path in remedy.without:
        spec.pop(path.removeprefix("spec."), None)
    spec.pop("serviceAccount", None)  # the old name of serviceAccountName
    if remedy.node_selector:
        spec["nodeSelector"] = dict(remedy.node_selector)
    return made


def _anew(there: Json) -> Json:
    """`there` as its owner wrote it (REMEDY_MANIFESTS-2)."""
    metadata = {key: value for key, value in there["metadata"].items() if key not in _WRITTEN_BY_SERVERS}
    annotations = {
        key: value
        for key, value in (metadata.pop("annotations", None) or {}).items()
        if not key.startswith(_WRITTEN_BY_CONTROLLERS) and key != _LAST_APPLIED
    }
    if annotations:
        metadata["annotations"] = annotations
    spec = copy.deepcopy(there.get("spec") or {})
    return {"apiVersion": "v1", "kind": there["kind"], "metadata": metadata, "spec": spec}
