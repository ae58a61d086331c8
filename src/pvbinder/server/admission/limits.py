"""LimitRanger: how much one claim or container may ask for in a namespace."""

from __future__ import annotations

from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from pvbinder.server.admission.plugin import Attributes, Plugin, Reader
from pvbinder.server.errors import is_forbidden
from pvbinder.server.kinds.kind import Json
from pvbinder.server.kinds.quotas import LIMIT_RANGES
from pvbinder.server.validation.quantities import quantity_of

_ANNOTATION = "kubernetes.io/limit-ranger"


def set_container_defaults(reader: Reader, on: Attributes, new: Json, _old: Json | None) -> None:
    """Fill in what containers leave out from the defaults of the namespace's limits."""
    if on.resource != PODS:
        return
    for item in _limits(reader, on.namespace, "Container"):
        notes = []
        for field in ("containers", "initContainers"):
            for container in new["spec"].get(field) or ():
                notes += _complete(container, item, "container" if field == "containers" else "init container")
        if notes:
            annotations = new["metadata"].setdefault("annotations", {})
            annotations[_ANNOTATION] = f"LimitRanger plugin set: {'; '.join(notes)}"


def check_limits(reader: Reader, on: Attributes, new: Json, old: Json | None) -> None:
    """Refuse claims and pods that ask for less or more than one may."""
    problems: list[str] = []
    if on.resource == PERSISTENT_VOLUME_CLAIMS:
        requests = (new["spec"].get("resources") or {}).get("requests") or {}
        for item in _limits(reader, on.namespace, "PersistentVolumeClaim"):
            problems += _check_claim(item, requests)
    elif old is None:
        for item in _limits(reader, on.namespace, "Container"):
            for field in ("containers", "initContainers"):
                for container in new["spec"].get(field) or ():
                    problems += _check_container(item, container.get("resources") or {})
    if problems:
        why = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise is_forbidden(on.resource, on.name, why)


def _limits(reader: Reader, namespace: str, kind: str) -> list[Json]:
    return [
        item
        for limit_range in reader.list(LIMIT_RANGES, namespace)
        for item in limit_range["spec"].get("limits") or ()
        if item.get("type") == kind
    ]


def _complete(container: Json, item: Json, what: str) -> list[str]:
    notes = []
    resources = container.setdefault("resources", {})
    for field, default, word in (("requests", "defaultRequest", "request"), ("limits", "default", "limit")):
        amounts = resources.get(field) or {}
        missing = {name: amount for name, amount in (item.get(default) or {}).items() if name not in amounts}
        if missing:
            resources[field] = {**amounts, **missing}
            notes.append(f"{', '.join(sorted(missing))} {word} for {what} {container.get('name', '')}")
    return notes


def _check_claim(item: Json, requests: Json) -> list[str]:
    problems = []
    for name, bound in (item.get("min") or {}).items():
        problems += _check_request("minimum", "PersistentVolumeClaim", name, bound, requests)
    for name, bound in (item.get("max") or {}).items():
        problems += _check_request("maximum", "PersistentVolumeClaim", name, bound, requests)
    return problems


def _check_request(which: str, kind: str, name: str, bound: str, requests: Json) -> list[str]:
    text = f"{which} {name} usage per {kind} is {bound}"
    if name not in requests:
        return [f"{text}.  No request is specified"]
    asked = quantity_of(requests[name])
    is_wrong = asked < quantity_of(bound) if which == "minimum" else asked > quantity_of(bound)
    return [f"{text}, but request is {requests[name]}"] if is_wrong else []


def _check_container(item: Json, resources: Json) -> list[str]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    problems = []
    for name, bound in (item.get("min") or {}).items():
        problems += _check_request("minimum", "Container", name, bound, requests)
        if name in limits and quantity_of(limits[name]) < quantity_of(bound):
            problems.append(f"minimum {name} usage per Container is {bound}, but limit is {limits[name]}")
    for name, bound in (item.get("max") or {}).items():
        text = f"maximum {name} usage per Container is {bound}"
        if name not in limits:
            problems.append(f"{text}.  No limit is specified")
        elif quantity_of(limits[name]) > quantity_of(bound):
            problems.append(f"{text}, but limit is {limits[name]}")
        elif name in requests and quantity_of(requests[name]) > quantity_of(bound):
            problems.append(f"{text}, but request is {requests[name]}")
    return problems


LIMIT_RANGER = Plugin(
    "LimitRanger",
    (PERSISTENT_VOLUME_CLAIMS, PODS),
    admits=set_container_defaults,
    validates=check_limits,
    on_update=True,
)
