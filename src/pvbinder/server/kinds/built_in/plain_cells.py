"""Cells of the plain kinds that take more than reading a field.

Rules: docs/rules/apiserver.md#8-tables
"""

from __future__ import annotations

from datetime import datetime

from pvbinder.server.kinds.parts.columns import NONE, UNKNOWN, joined, labels_shown, selector_shown
from pvbinder.server.objects.kind import Json


def hosts_cell(obj: Json, _now: datetime) -> object:
    """Show the hosts of an ingress."""
    rules = (obj.get("spec") or {}).get("rules") or ()
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    return joined(hosts, "*") if len(hosts) <= 3 else f"{joined(hosts[:3])} + {len(hosts) - 3} more..."


def address_cell(obj: Json, _now: datetime) -> object:
    """Show the addresses of an ingress."""
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return joined((entry.get("ip") or entry.get("hostname", "") for entry in ingress), "")


def ingress_ports_cell(obj: Json, _now: datetime) -> object:
    """Show the ports of an ingress."""
    return "80, 443" if (obj.get("spec") or {}).get("tls") else "80"


def pod_selector_cell(obj: Json, _now: datetime) -> object:
    """Show which pods a network policy is about."""
    selector = (obj.get("spec") or {}).get("podSelector") or {}
    return selector_shown(selector)


def reference_cell(obj: Json, _now: datetime) -> object:
    """Show what an autoscaler scales."""
    target = (obj.get("spec") or {}).get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def targets_cell(obj: Json, _now: datetime) -> object:
    """Show what an autoscaler aims at, and what it sees."""
    shown = []
    current = (obj.get("status") or {}).get("currentMetrics") or []
    for index, metric in enumerate((obj.get("spec") or {}).get("metrics") or ()):
        resource = metric.get("resource") or {}
        target = resource.get("target") or {}
        if metric.get("type") != "Resource" or target.get("averageUtilization") is None:
            shown.append(f"{UNKNOWN}/{target.get('averageValue', UNKNOWN)}")
            continue
        seen = ((current[index] if index < len(current) else {}).get("resource") or {}).get("current") or {}
        now = f"{seen['averageUtilization']}%" if seen.get("averageUtilization") is not None else UNKNOWN
        shown.append(f"{resource.get('name', '')}: {now}/{target['averageUtilization']}%")
    return ", ".join(shown[:2]) + (f" + {len(shown) - 2} more..." if len(shown) > 2 else "") or NONE


def condition_cell(obj: Json, _now: datetime) -> object:
    """Show how far a certificate request is."""
    conditions = [c.get("type", "") for c in (obj.get("status") or {}).get("conditions") or ()]
    status = "Denied" if "Denied" in conditions else "Approved" if "Approved" in conditions else "Pending"
    if "Failed" in conditions:
        status += ",Failed"
    return f"{status},Issued" if (obj.get("status") or {}).get("certificate") else status


def replication_selector_cell(obj: Json, _now: datetime) -> object:
    """Show which pods belong to a replication controller."""
    return labels_shown((obj.get("spec") or {}).get("selector"))


def template_labels_cell(obj: Json, _now: datetime) -> object:
    """Show the labels of a pod template."""
    return labels_shown(((obj.get("template") or {}).get("metadata") or {}).get("labels"))


def api_service_cell(obj: Json, _now: datetime) -> object:
    """Show which service stands behind an API."""
    service = (obj.get("spec") or {}).get("service")
    return f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"


def available_cell(obj: Json, _now: datetime) -> object:
    """Show whether an API is available."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Available":
            why = f" ({condition.get('reason', '')})" if condition.get("status") != "True" else ""
            return f"{condition.get('status', '')}{why}"
    return "Unknown"
