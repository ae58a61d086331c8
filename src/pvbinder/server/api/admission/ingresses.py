"""The class of an ingress that says nothing about one."""

from __future__ import annotations

from typing import Final

from pvbinder.model.resources import Resource
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.kinds.validation.ingresses import CLASS_ANNOTATION
from pvbinder.server.objects.kind import Json

INGRESSES: Final = Resource("networking.k8s.io", "v1", "Ingress", "ingresses", True)
INGRESS_CLASSES: Final = Resource("networking.k8s.io", "v1", "IngressClass", "ingressclasses", False)
_IS_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"


def set_default_ingress_class(reader: Reader, _on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Give an ingress without a class the default one, of several the newest."""
    if new["spec"].get("ingressClassName") is not None:
        return
    if CLASS_ANNOTATION in (new["metadata"].get("annotations") or {}):
        return
    classes: list[Json] = [found["metadata"] for found in reader.list(INGRESS_CLASSES)]
    defaults = sorted(
        (one for one in classes if (one.get("annotations") or {}).get(_IS_DEFAULT) == "true"),
        key=lambda metadata: str(metadata["name"]),
    )
    if defaults:
        newest = max(defaults, key=lambda metadata: str(metadata.get("creationTimestamp", "")))
        new["spec"]["ingressClassName"] = newest["name"]


DEFAULT_INGRESS_CLASS = Plugin("DefaultIngressClass", (INGRESSES,), admits=set_default_ingress_class)
