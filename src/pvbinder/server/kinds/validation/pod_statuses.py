"""The rules of a pod's status, also about its containers.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from collections import defaultdict

from pvbinder.server.errors import FieldError, forbidden, invalid
from pvbinder.server.kinds.validation.addresses import parse_address, validate_legacy_ip, warn_of_ip
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_dns_subdomain, check_qualified_name
from pvbinder.server.objects.kind import Json

_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
_NOT_NEGATIVE = "must be a non-negative integer"
_TWO_OF_A_FAMILY = "may specify no more than one IP for each IP family"

_CONTAINERS_OF = {
    "containerStatuses": "containers",
    "initContainerStatuses": "initContainers",
    "ephemeralContainerStatuses": "ephemeralContainers",
}


def keep_observed_generations(status: Json, before: Json) -> None:
    """Keep what was observed where a writer of the status says nothing about it, of each type's conditions in turn."""
    if not status.get("observedGeneration") and before.get("observedGeneration"):
        status["observedGeneration"] = before["observedGeneration"]
    known: defaultdict[str, list[int]] = defaultdict(list)
    for condition in before.get("conditions") or ():
        known[condition.get("type", "")].append(condition.get("observedGeneration") or 0)
    for condition in status.get("conditions") or ():
        of_type = known[condition.get("type", "")]
        last = of_type.pop(0) if of_type else 0
        if last and not condition.get("observedGeneration"):
            condition["observedGeneration"] = last


def validate_pod_status(new: Json, old: Json) -> list[FieldError]:
    """Check a changed status: what it says of nodes and addresses; containers that have ended for good stay so."""
    status, before = new["status"], old["status"]
    errors = _validate_conditions(status.get("conditions") or [])
    nominated = status.get("nominatedNodeName", "")
    if nominated and nominated != before.get("nominatedNodeName", ""):
        path = "status.nominatedNodeName"
        errors += (invalid(path, nominated, reason) for reason in check_dns_subdomain(nominated))
        if old["spec"].get("nodeName"):
            errors.append(forbidden(path, "may not be set on pods that are already bound to a node"))
    generation = status.get("observedGeneration", 0)
    if generation < 0:
        errors.append(invalid("status.observedGeneration", generation, _NOT_NEGATIVE))
    if status.get("qosClass", "") != before.get("qosClass", ""):
        errors.append(invalid("status.qosClass", status.get("qosClass", ""), IMMUTABLE))
    errors += check_container_states(status, before, old["spec"])
    errors += _validate_addresses("podIPs", status, before)
    hosts = status.get("hostIPs") or []
    if hosts and status.get("hostIP", "") != hosts[0].get("ip", ""):
        errors.append(invalid("status.hostIPs[0].ip", hosts[0].get("ip", ""), "must be equal to `hostIP`"))
    return errors + _validate_addresses("hostIPs", status, before)


def warn_of_pod_status(new: Json, _old: Json | None) -> list[str]:
    """Warn of addresses that are not written as they should be."""
    return [
        text
        for field in ("podIPs", "hostIPs")
        for index, entry in enumerate(new["status"].get(field) or ())
        for text in warn_of_ip(f"status.{field}[{index}].ip", entry.get("ip", ""))
    ]


def _validate_conditions(conditions: list[Json]) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, condition in enumerate(conditions):
        path = f"status.conditions[{index}]"
        kind, generation = condition.get("type", ""), condition.get("observedGeneration", 0)
        if generation < 0:
            errors.append(invalid(f"{path}.observedGeneration", generation, _NOT_NEGATIVE))
        if kind not in _SYSTEM_CONDITIONS:
            errors += (invalid(f"{path}.Type", kind, reason) for reason in check_qualified_name(kind))
    return errors


def _validate_addresses(field: str, status: Json, before: Json) -> list[FieldError]:
    addresses = [entry.get("ip", "") for entry in status.get(field) or ()]
    known = [entry.get("ip", "") for entry in before.get(field) or ()]
    path = f"status.{field}"
    errors = [
        error
        for index, address in enumerate(addresses)
        for error in validate_legacy_ip(f"{path}[{index}]", address, known)
    ]
    versions = {address.version for address in map(parse_address, addresses) if address is not None}
    if len(addresses) > 1 and (len(versions) < 2 or len(addresses) > 2):
        errors.append(invalid(path, [{"IP": address} for address in addresses], _TWO_OF_A_FAMILY))
    return errors


def check_container_states(new: Json, old: Json, spec: Json) -> list[FieldError]:
    """Check the container states of the status `new` against those of `old`, for a pod with this `spec`.

    A terminated container may run or wait again only if its restart policy, or that of the pod, lets it restart.
    """
    errors: list[FieldError] = []
    everything_restarts = any(
        rule.get("action") == "RestartAllContainers"
        for field in ("containers", "initContainers")
        for container in spec.get(field) or ()
        for rule in container.get("restartPolicyRules") or ()
    )
    for field, containers in _CONTAINERS_OF.items():
        if everything_restarts and field != "ephemeralContainerStatuses":
            continue
        by_name = {container.get("name"): container for container in spec.get(containers) or ()}
        states = {status.get("name"): status.get("state") or {} for status in new.get(field) or ()}
        for index, before in enumerate(old.get(field) or ()):
            name = before.get("name")
            terminated = (before.get("state") or {}).get("terminated")
            if terminated is None or name not in states or states[name].get("terminated") is not None:
                continue
            container = by_name.get(name, {})
            is_ephemeral = field == "ephemeralContainerStatuses"
            if is_ephemeral or not _may_restart(container, spec, terminated.get("exitCode") or 0):
                where = f"status.{field}[{index}].state"
                errors.append(forbidden(where, "may not be transitioned to non-terminated state"))
    return errors


def _may_restart(container: Json, spec: Json, exit_code: int) -> bool:
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        is_listed = exit_code in (codes.get("values") or ())
        if is_listed == (codes.get("operator") == "In"):
            return bool(rule.get("action") == "Restart")
    policy = container.get("restartPolicy") or spec.get("restartPolicy") or "Always"
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)
