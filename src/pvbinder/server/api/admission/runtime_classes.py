"""The runtime class of a new pod: what it costs, and where it is to be had."""

from __future__ import annotations

from typing import Final

from pvbinder.model.quantity import quantity_of
from pvbinder.model.resources import PODS, Resource
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import is_forbidden
from pvbinder.server.objects.kind import Json

RUNTIME_CLASSES: Final = Resource("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", False)
_OTHER_OVERHEAD: Final = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
_NO_OVERHEAD: Final = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


def apply_runtime_class(reader: Reader, on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Give a pod the overhead, the node selector and the tolerations of its class."""
    found = _class_of(reader, on, new)
    if found is None:
        return
    spec: Json = new["spec"]
    if found.get("overhead") is not None:
        if spec.get("overhead") and not _same_amounts(_fixed(found), spec["overhead"]):
            raise is_forbidden(on.resource, on.name, _OTHER_OVERHEAD)
        if _fixed(found):
            spec["overhead"] = dict(_fixed(found))
    scheduling = found.get("scheduling")
    if scheduling is None:
        return
    selector: Json = spec.get("nodeSelector") or {}
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        own = selector.setdefault(key, value)
        if own != value:
            why = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
            )
            raise is_forbidden(on.resource, on.name, why)
    if selector:
        spec["nodeSelector"] = selector
    tolerations = merge_tolerations(spec.get("tolerations") or [], scheduling.get("tolerations") or [])
    if tolerations:
        spec["tolerations"] = tolerations


def check_overhead(reader: Reader, on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Refuse a pod that costs more or less than its class says."""
    found, overhead = _class_of(reader, on, new), new["spec"].get("overhead")
    if found is not None and found.get("overhead") is not None:
        if not _same_amounts(_fixed(found), overhead or {}):
            raise is_forbidden(on.resource, on.name, _OTHER_OVERHEAD)
    elif overhead is not None:
        raise is_forbidden(on.resource, on.name, _NO_OVERHEAD)


def merge_tolerations(first: list[Json], second: list[Json]) -> list[Json]:
    """Return both without those that another one includes; of equal ones the first stays."""
    together = [*first, *second]
    merged: list[Json] = []
    for index, one in enumerate(together):
        if any(_includes(kept, one) for kept in merged):
            continue
        if any(later != one and _includes(later, one) for later in together[index + 1 :]):
            continue
        merged.append(one)
    return merged


def _class_of(reader: Reader, on: AdmissionAttributes, pod: Json) -> Json | None:
    name = pod["spec"].get("runtimeClassName")
    if name is None:
        return None
    found = reader.get(RUNTIME_CLASSES, None, name)
    if found is None:
        raise is_forbidden(on.resource, on.name, f'pod rejected: RuntimeClass "{name}" not found')
    return found


def _fixed(runtime_class: Json) -> Json:
    amounts: Json = (runtime_class.get("overhead") or {}).get("podFixed") or {}
    return amounts


def _same_amounts(one: Json, other: Json) -> bool:
    return one.keys() == other.keys() and all(quantity_of(one[name]) == quantity_of(other[name]) for name in one)


def _includes(wide: Json, narrow: Json) -> bool:
    """Say whether one toleration tolerates all that another does."""
    if wide == narrow:
        return True
    operator, effect = wide.get("operator", ""), wide.get("effect", "")
    if wide.get("key", "") != narrow.get("key", "") and (wide.get("key") or operator != "Exists"):
        return False
    if effect and effect != narrow.get("effect", ""):
        return False
    most, wanted = wide.get("tolerationSeconds"), narrow.get("tolerationSeconds")
    if effect == "NoExecute" and most is not None and (wanted is None or wanted > most):
        return False
    if operator in ("Equal", ""):
        same = narrow.get("operator", "") == "Equal" and narrow.get("value", "") == wide.get("value", "")
        return bool(same)
    return bool(operator == "Exists")


RUNTIME_CLASS = Plugin("RuntimeClass", (PODS,), admits=apply_runtime_class, validates=check_overhead)
