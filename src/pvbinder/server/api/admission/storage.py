"""The plugins of storage: default class, finalizers, growing of claims (CD-5, AD-1 to AD-5, RA-1 to RA-3)."""

from __future__ import annotations

from pvbinder.model.names import (
    BETA_STORAGE_CLASS,
    PV_PROTECTION_FINALIZER,
    PVC_PROTECTION_FINALIZER,
    VAC_PROTECTION_FINALIZER,
)
from pvbinder.model.objects.storage_class import is_marked_default
from pvbinder.model.quantity import quantity_of
from pvbinder.model.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    VOLUME_ATTRIBUTES_CLASSES,
)
from pvbinder.rules.classes import default_class
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import is_forbidden
from pvbinder.server.objects.kind import Json

_NOT_BOUND = "Only bound persistent volume claims can be expanded"
_NOT_EXPANDABLE = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)
_FINALIZERS = {
    PERSISTENT_VOLUMES.plural: PV_PROTECTION_FINALIZER,
    PERSISTENT_VOLUME_CLAIMS.plural: PVC_PROTECTION_FINALIZER,
    VOLUME_ATTRIBUTES_CLASSES.plural: VAC_PROTECTION_FINALIZER,
}


def set_default_class(reader: Reader, _on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Give a claim that says nothing about its class the default one, if there is one (CD-5, DC-2)."""
    spec = new["spec"]
    if spec.get("storageClassName") is not None or BETA_STORAGE_CLASS in (new["metadata"].get("annotations") or {}):
        return
    default = default_class(_StoredClass(found["metadata"]) for found in reader.list(STORAGE_CLASSES))
    if default is not None:
        spec["storageClassName"] = default.name


class _StoredClass:
    """A class by its metadata, as far as `default_class` looks at it."""

    __slots__ = ("created", "is_default", "name")

    def __init__(self, metadata: Json) -> None:
        self.name: str = metadata["name"]
        self.created: str = metadata.get("creationTimestamp", "")
        self.is_default = is_marked_default(metadata.get("annotations") or {})


def add_finalizer(_reader: Reader, on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Add the finalizer that keeps an object while it is in use, behind those it has (AD-1 to AD-5)."""
    finalizer = _FINALIZERS[on.resource.plural]
    finalizers = new["metadata"].setdefault("finalizers", [])
    if finalizer not in finalizers:
        finalizers.append(finalizer)


def check_expansion(reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None) -> None:
    """Let only bound claims of expandable classes grow (RA-1 to RA-3)."""
    if old is None or new["spec"].get("resources") == old["spec"].get("resources"):
        return
    if quantity_of(_request(new)) <= quantity_of(_request(old)):
        return
    if (old.get("status") or {}).get("phase") != "Bound":
        raise is_forbidden(on.resource, on.name, _NOT_BOUND)
    name = _class_of(new)
    storage_class = reader.get(STORAGE_CLASSES, None, name) if name and name == _class_of(old) else None
    if storage_class is None or storage_class.get("allowVolumeExpansion") is not True:
        raise is_forbidden(on.resource, on.name, _NOT_EXPANDABLE)


def _request(claim: Json) -> object:
    return ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage")


def _class_of(claim: Json) -> str:
    annotation = (claim["metadata"].get("annotations") or {}).get(BETA_STORAGE_CLASS)
    return str(annotation if annotation is not None else claim["spec"].get("storageClassName") or "")


DEFAULT_STORAGE_CLASS = Plugin("DefaultStorageClass", (PERSISTENT_VOLUME_CLAIMS,), admits=set_default_class)
STORAGE_OBJECT_IN_USE_PROTECTION = Plugin(
    "StorageObjectInUseProtection",
    (PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS, VOLUME_ATTRIBUTES_CLASSES),
    admits=add_finalizer,
)
PERSISTENT_VOLUME_CLAIM_RESIZE = Plugin(
    "PersistentVolumeClaimResize",
    (PERSISTENT_VOLUME_CLAIMS,),
    validates=check_expansion,
    on_create=False,
    on_update=True,
)
