"""Priority and DefaultTolerationSeconds: the fields that a new pod gets from the cluster."""

from __future__ import annotations

from pvbinder.model.resources import PODS
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import is_forbidden
from pvbinder.server.kinds.built_in.quotas import PRIORITY_CLASSES, SYSTEM_PRIORITIES
from pvbinder.server.objects.kind import Json

_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATION_SECONDS = 300
_PREEMPT = "PreemptLowerPriority"


def set_priority(reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None) -> None:
    """Work out a new pod's priority from its class, or from the default one; an update keeps what there is."""
    spec = new["spec"]
    if old is not None:
        for field in ("priority", "preemptionPolicy"):
            if spec.get(field) is None and old["spec"].get(field) is not None:
                spec[field] = old["spec"][field]
        return
    priority, policy, name = _priority_of(reader, on, spec.get("priorityClassName", ""))
    if name:
        spec["priorityClassName"] = name
    if spec.get("priority") is not None and spec["priority"] != priority:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {priority} from the given PriorityClass name"
        )
        raise is_forbidden(on.resource, on.name, why)
    spec["priority"] = priority
    if spec.get("preemptionPolicy") is None:
        spec["preemptionPolicy"] = policy
    elif spec["preemptionPolicy"] != policy:
        why = (
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
            f"priority admission controller computed {policy} from the given PriorityClass name"
        )
        raise is_forbidden(on.resource, on.name, why)


def add_tolerations(_reader: Reader, _on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Let a pod stay for five minutes on a node that fails, unless it says otherwise."""
    spec = new["spec"]
    tolerations: list[Json] = spec.get("tolerations") or []
    for key in _TOLERATED:
        if not any(
            each.get("key", key) in (key, "") and each.get("effect", "") in ("NoExecute", "") for each in tolerations
        ):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATION_SECONDS}
            )
    spec["tolerations"] = tolerations


def _priority_of(reader: Reader, on: AdmissionAttributes, name: str) -> tuple[int, str, str]:
    """Return priority, preemption policy and the class that they come from."""
    if not name:
        defaults = [each for each in reader.list(PRIORITY_CLASSES) if each.get("globalDefault")]
        if not defaults:
            return 0, _PREEMPT, ""
        lowest = min(defaults, key=lambda each: int(each.get("value", 0)))
        return lowest.get("value", 0), lowest.get("preemptionPolicy", _PREEMPT), lowest["metadata"]["name"]
    if name in SYSTEM_PRIORITIES:
        return SYSTEM_PRIORITIES[name][0], _PREEMPT, name
    found = reader.get(PRIORITY_CLASSES, None, name)
    if found is None:
        raise is_forbidden(on.resource, on.name, f"no PriorityClass with name {name} was found")
    return found.get("value", 0), found.get("preemptionPolicy", _PREEMPT), name


PRIORITY = Plugin("Priority", (PODS,), admits=set_priority, on_update=True)
DEFAULT_TOLERATION_SECONDS = Plugin("DefaultTolerationSeconds", (PODS,), admits=add_tolerations, on_update=True)
