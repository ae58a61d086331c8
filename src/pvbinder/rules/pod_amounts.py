"""The requests and limits of a whole pod: its containers, those that run before them, and its overhead.

Containers run together, init containers one after the other, so that the largest counts; an init container that stays
(``restartPolicy: Always``) runs beside all that come later. Amounts on the pod itself count for its containers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from pvbinder.model.json import Json
from pvbinder.model.quantity import ZERO, Quantity, quantity_of

Which: TypeAlias = Literal["requests", "limits"]
Amounts: TypeAlias = dict[str, Quantity]

_OF_PODS: Final = ("cpu", "memory")


def amounts_of_pod(pod: Json, which: Which) -> Amounts:
    """Return what a pod requests, or how much it may use, by resource."""
    spec: Json = pod.get("spec") or {}
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, amounts_of_container(container, which))
    staying: Amounts = {}
    before: Amounts = {}
    for container in spec.get("initContainers") or ():
        amounts = amounts_of_container(container, which)
        if container.get("restartPolicy") == "Always":
            _add(total, amounts)
            _add(staying, amounts)
            amounts = staying
        else:
            _add(amounts, staying)
        _raise_to(before, amounts)
    _raise_to(total, before)
    for name, amount in amounts_of_container(spec, which).items():
        if name in _OF_PODS or name.startswith("hugepages-"):
            total[name] = amount
    for name, value in (spec.get("overhead") or {}).items():
        if which == "requests" or total.get(name, ZERO) != ZERO:
            _add(total, {name: quantity_of(value)})
    return total


def amounts_of_container(container: Json, which: Which) -> Amounts:
    """Return what one container requests, or how much it may use."""
    amounts: Json = (container.get("resources") or {}).get(which) or {}
    return {name: quantity_of(value) for name, value in amounts.items()}


def containers_of(pod: Json) -> Iterator[Json]:
    """Give the containers of a pod, and then those that run before them."""
    spec: Json = pod.get("spec") or {}
    yield from spec.get("containers") or ()
    yield from spec.get("initContainers") or ()


def qos_class(spec: Json) -> str:
    """Return the QoS class that a pod's requests and limits for processor and memory give it."""
    guaranteed, anything = True, False
    for container in containers_of({"spec": spec}):
        resources: Json = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            asked, allowed = quantity_of(requests.get(name)), quantity_of(limits.get(name))
            anything = anything or asked > ZERO or allowed > ZERO
            guaranteed = guaranteed and allowed > ZERO and asked == allowed
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _add(total: Amounts, more: Mapping[str, Quantity]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, ZERO) + amount


def _raise_to(total: Amounts, least: Mapping[str, Quantity]) -> None:
    for name, amount in least.items():
        if name not in total or amount > total[name]:
            total[name] = amount
