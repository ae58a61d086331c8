"""What a status of a pod may say of its containers.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from typing import Any

from pvbinder.server.errors import FieldError, forbidden

Json = dict[str, Any]

_CONTAINERS_OF = {
    "containerStatuses": "containers",
    "initContainerStatuses": "initContainers",
    "ephemeralContainerStatuses": "ephemeralContainers",
}


def check_container_states(new: Json, old: Json, spec: Json) -> list[FieldError]:
    """Check the container states of the status `new` against those of `old`, for a pod with this `spec`.

    A terminated container may run or wait again only if its restart policy, or that of the pod, lets it restart.
    """
    errors: list[FieldError] = []
    for field, containers in _CONTAINERS_OF.items():
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
