"""LimitRanger: how much one claim, container or pod may ask for in a namespace."""

from __future__ import annotations

from pvbinder.model.quantity import ZERO, quantity_of
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from pvbinder.rules.pod_amounts import (
    Amounts,
    amounts_of_container,
    amounts_of_pod,
    containers_of,
)
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import is_forbidden
from pvbinder.server.kinds.built_in.quotas import LIMIT_RANGES
from pvbinder.server.objects.kind import Json

_ANNOTATION = "kubernetes.io/limit-ranger"


def set_container_defaults(reader: Reader, on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Fill in the requests and limits that containers lack, from the defaults of the namespace's limits."""
    if on.resource != PODS or on.subresource:
        return
    for item in _limits(reader, on.namespace, "Container"):
        notes = []
        for field in ("containers", "initContainers"):
            for container in new["spec"].get(field) or ():
                notes += _complete(container, item, "container" if field == "containers" else "init container")
        if notes:
            annotations = new["metadata"].setdefault("annotations", {})
            annotations[_ANNOTATION] = f"LimitRanger plugin set: {'; '.join(notes)}"


def check_limits(reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None) -> None:
    """Refuse claims and pods that ask for less or more than one may."""
    is_claim = on.resource == PERSISTENT_VOLUME_CLAIMS
    if on.subresource != ("" if is_claim or old is None else "resize"):
        return
    for limit_range in reader.list(LIMIT_RANGES, on.namespace):
        problems: list[str] = []
        for item in limit_range["spec"].get("limits") or ():
            problems += _check_claim(item, new) if is_claim else _check_pod(item, new)
        if problems:
            problems = list(dict.fromkeys(problems))
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


def _check_claim(item: Json, claim: Json) -> list[str]:
    if item.get("type") != "PersistentVolumeClaim":
        return []
    requests = amounts_of_container(claim["spec"], "requests")
    problems = []
    for name, bound in sorted((item.get("min") or {}).items()):
        problems += _too_little("PersistentVolumeClaim", name, bound, requests, {})
    for name, bound in sorted((item.get("max") or {}).items()):
        text = f"maximum {name} usage per PersistentVolumeClaim is {bound}"
        if name not in requests:
            problems.append(f"{text}.  No request is specified")
        elif requests[name] > quantity_of(bound):
            problems.append(f"{text}, but request is {requests[name]}")
    return problems


def _check_pod(item: Json, pod: Json) -> list[str]:
    match item.get("type"):
        case "Container":
            return [
                problem
                for container in containers_of(pod)
                for problem in _check_amounts(
                    item, amounts_of_container(container, "requests"), amounts_of_container(container, "limits")
                )
            ]
        case "Pod":
            return _check_amounts(item, amounts_of_pod(pod, "requests"), amounts_of_pod(pod, "limits"))
        case _:
            return []


def _check_amounts(item: Json, requests: Amounts, limits: Amounts) -> list[str]:
    problems = []
    for name, bound in sorted((item.get("min") or {}).items()):
        problems += _too_little(item["type"], name, bound, requests, limits)
    for name, bound in sorted((item.get("max") or {}).items()):
        problems += _too_much(item["type"], name, bound, requests, limits)
    for name, bound in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        problems += _too_far_apart(item["type"], name, bound, requests, limits)
    return problems


def _too_little(type_: str, name: str, bound: str, requests: Amounts, limits: Amounts) -> list[str]:
    text = f"minimum {name} usage per {type_} is {bound}"
    least = quantity_of(bound)
    if name not in requests:
        return [f"{text}.  No request is specified"]
    if requests[name] < least:
        return [f"{text}, but request is {requests[name]}"]
    return [f"{text}, but limit is {limits[name]}"] if name in limits and limits[name] < least else []


def _too_much(type_: str, name: str, bound: str, requests: Amounts, limits: Amounts) -> list[str]:
    text = f"maximum {name} usage per {type_} is {bound}"
    most = quantity_of(bound)
    if name not in limits:
        return [f"{text}.  No limit is specified"]
    if limits[name] > most:
        return [f"{text}, but limit is {limits[name]}"]
    return [f"{text}, but request is {requests[name]}"] if name in requests and requests[name] > most else []


def _too_far_apart(type_: str, name: str, bound: str, requests: Amounts, limits: Amounts) -> list[str]:
    text = f"{name} max limit to request ratio per {type_} is {bound}"
    if requests.get(name, ZERO) == ZERO:
        return [f"{text}, but no request is specified or request is 0"]
    if limits.get(name, ZERO) == ZERO:
        return [f"{text}, but no limit is specified or limit is 0"]
    ratio = limits[name].nano / requests[name].nano
    return [f"{text}, but provided ratio is {ratio:.6f}"] if ratio > quantity_of(bound).nano / 10**9 else []


LIMIT_RANGER = Plugin(
    "LimitRanger",
    (PERSISTENT_VOLUME_CLAIMS, PODS),
    admits=set_container_defaults,
    validates=check_limits,
    on_update=True,
    on_subresources=True,
)
