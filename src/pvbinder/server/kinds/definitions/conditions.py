"""The conditions of a definition's status: their texts, and the replacement of one by another."""

from __future__ import annotations

from typing import Any, Final

from pvbinder.server.kinds.definitions.definition_rules import approval, is_protected
from pvbinder.server.kinds.definitions.names import Naming
from pvbinder.server.kinds.definitions.webhook_rules import is_bundle
from pvbinder.server.objects.kind import Json

PENDING: Final = (
    "True",
    "InstanceDeletionPending",
    "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
)
IN_PROGRESS: Final = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
REMOVED: Final = ("False", "InstanceDeletionCompleted", "removed all instances")
NEVER: Final = ("False", "NeverEstablished", "resource was never established")
BUILT_IN: Final = ("False", "OverlappingBuiltInResource", "instances overlap with built-in resources in storage")


def with_condition(status: Json, type_: str, told: tuple[str, str, str], now: str) -> Json:
    """Return a status with a condition: its status, its reason and its message."""
    value, reason, message = told
    conditions: list[Json] = []
    fresh: Json = {"lastTransitionTime": now, "message": message, "reason": reason, "status": value, "type": type_}
    for condition in status.get("conditions") or ():
        if condition["type"] == type_:
            if condition["status"] == value:
                fresh["lastTransitionTime"] = condition.get("lastTransitionTime") or now
            conditions.append(fresh)
        else:
            conditions.append(condition)
    if fresh not in conditions:
        conditions.append(fresh)
    return {**status, "conditions": conditions}


def settled_status(definition: Json, naming: Naming, now: str) -> Json:
    """Return the status of a definition whose names are decided and whose kind is served."""
    status: Json = dict(definition.get("status") or {})
    if is_protected(definition["spec"]["group"]):
        reason, message = approval(definition)
        value = "True" if reason == "ApprovedAnnotation" else "False"
        status = with_condition(status, "KubernetesAPIApprovalPolicyConformant", (value, reason, message), now)
    if naming.accepted != status.get("acceptedNames") or not _says(status, "NamesAccepted"):
        value = "True" if naming.is_whole else "False"
        status = with_condition(status, "NamesAccepted", (value, naming.reason, naming.message), now)
    status["acceptedNames"] = naming.accepted
    established = _says(status, "Established")
    told = ("False", "NotAccepted", "not all names are accepted")
    if naming.is_reserved:
        return with_condition(status, "Established", told, now)
    if established == "True":
        return status
    if not naming.is_whole:
        return status if established else with_condition(status, "Established", told, now)
    if not _has_bundle(definition):
        told = ("False", "InvalidCABundle", "The conversion webhook CABundle is invalid")
    else:
        told = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    return with_condition(status, "Established", told, now)


def _says(status: Json, type_: str) -> str:
    found: Any = next((each for each in status.get("conditions") or () if each["type"] == type_), None)
    return str(found["status"]) if found else ""


def _has_bundle(definition: Json) -> bool:
    client = ((definition["spec"].get("conversion") or {}).get("webhook") or {}).get("clientConfig") or {}
    return is_bundle(client.get("caBundle"))
