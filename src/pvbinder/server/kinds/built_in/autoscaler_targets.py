"""The targets of an autoscaler and its measurements, as ``kubectl get`` shows them."""

from __future__ import annotations

from datetime import datetime

from pvbinder.server.kinds.parts.columns import NONE, UNKNOWN
from pvbinder.server.objects.kind import Json

_SHOWN = 2
_FIELDS = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def targets_cell(obj: Json, _now: datetime) -> object:
    """Show what an autoscaler aims at, and what it sees."""
    metrics: list[Json] = (obj.get("spec") or {}).get("metrics") or []
    seen: list[Json] = (obj.get("status") or {}).get("currentMetrics") or []
    if not metrics:
        return NONE
    shown = [_target(metric, seen[index] if index < len(seen) else {}) for index, metric in enumerate(metrics)]
    more = f" + {len(shown) - _SHOWN} more..." if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


def _target(metric: Json, seen: Json) -> str:
    field = _FIELDS.get(metric.get("type", ""))
    if field is None:
        return "<unknown type>"
    source: Json = metric.get(field) or {}
    target: Json = source.get("target") or {}
    current: Json = (seen.get(field) or {}).get("current") or {}
    average = target.get("averageValue")
    match field:
        case "pods":
            return f"{current.get('averageValue', UNKNOWN)}/{average}"
        case "external" | "object":
            if average is not None:
                return f"{current.get('averageValue', UNKNOWN)}/{average} (avg)"
            return f"{current.get('value', UNKNOWN)}/{target.get('value', '0')}"
        case _:
            name = source.get("name", "")
            if average is not None:
                return f"{name}: {current.get('averageValue', UNKNOWN)}/{average}"
            return f"{name}: {_percent(current, UNKNOWN)}/{_percent(target, '<auto>')}"


def _percent(amounts: Json, absent: str) -> str:
    share = amounts.get("averageUtilization")
    return absent if share is None else f"{share}%"
