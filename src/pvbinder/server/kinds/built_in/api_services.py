"""APIService: the group versions that are served, and those that somebody would serve elsewhere: nobody is asked."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pvbinder.server.errors import FieldError, invalid, required, unsupported
from pvbinder.server.kinds.parts.columns import AGE, NAME
from pvbinder.server.kinds.parts.plain import Plain, fill_in
from pvbinder.server.kinds.validation.names import check_dns_label_1035, check_dns_subdomain, check_path_segment
from pvbinder.server.kinds.validation.numbers import PORT_RANGE
from pvbinder.server.objects.kind import Column, Json

_HTTPS: Final = 443
_STATUSES: Final = ("True", "False", "Unknown")


def default_api_service(obj: Json) -> None:
    """Fill in the port of a service, and show a status."""
    service = obj.setdefault("spec", {}).get("service")
    if service is not None:
        fill_in(service, port=_HTTPS)
    obj.setdefault("status", {})


def prepare_new_api_service(obj: Json, now: str) -> None:
    """Start without a status; what is served by this server is available at once."""
    obj["status"] = {}
    if obj["spec"].get("service") is None:
        obj["status"]["conditions"] = [
            {
                "type": "Available",
                "status": "True",
                "lastTransitionTime": now,
                "reason": "Local",
                "message": "Local APIServices are always available",
            }
        ]


def validate_api_service(obj: Json) -> list[FieldError]:
    """Check that the name is that of the group version, and who serves it."""
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    group, version = spec.get("group", ""), spec.get("version", "")
    errors: list[FieldError] = []
    if name and not check_path_segment(name) and name != f"{version}.{group}":
        errors.append(invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{version}.{group}"'))
    if not group and version != "v1":
        errors.append(required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
    if group:
        errors += (invalid("spec.group", group, reason) for reason in check_dns_subdomain(group))
    errors += (invalid("spec.version", version, reason) for reason in check_dns_label_1035(version))
    for field, most in (("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)):
        priority = spec.get(field) or 0
        if not 1 <= priority <= most:
            errors.append(invalid(f"spec.{field}", priority, f"must be positive and less than {most}"))
    return errors + _validate_server(spec)


def validate_changed_api_service(new: Json, _old: Json) -> list[FieldError]:
    """Check a changed one like a new one."""
    return validate_api_service(new)


def validate_api_service_status(new: Json, _old: Json) -> list[FieldError]:
    """Check the statuses of its conditions."""
    return [
        unsupported(f"status.conditions[{index}].status", condition.get("status", ""), _STATUSES)
        for index, condition in enumerate((new.get("status") or {}).get("conditions") or ())
        if condition.get("status") not in _STATUSES
    ]


def _validate_server(spec: Json) -> list[FieldError]:
    service, bundle, skips = spec.get("service"), spec.get("caBundle") or "", spec.get("insecureSkipTLSVerify")
    errors: list[FieldError] = []
    if service is None:
        if bundle:
            size = len(bundle) // 4 * 3 - bundle.count("=")
            errors.append(invalid("spec.caBundle", f"{size} bytes", "local APIServices may not have a caBundle"))
        if skips:
            why = "local APIServices may not have insecureSkipTLSVerify"
            errors.append(invalid("spec.insecureSkipTLSVerify", skips, why))
        return errors
    errors += (required(f"spec.service.{field}") for field in ("namespace", "name") if not service.get(field))
    port = service.get("port") or 0
    if not 1 <= port <= 65_535:
        errors.append(invalid("spec.service.port", port, f"port is not valid: {PORT_RANGE}"))
    if skips and bundle:
        errors.append(invalid("spec.insecureSkipTLSVerify", skips, "may not be true if caBundle is present"))
    return errors


def _service_cell(obj: Json, _now: datetime) -> object:
    service = (obj.get("spec") or {}).get("service")
    return f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"


def _available_cell(obj: Json, _now: datetime) -> object:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Available":
            status, reason = condition.get("status", ""), condition.get("reason")
            return f"{status} ({reason})" if status != "True" and reason else status
    return "Unknown"


API_SERVICE = Plain(
    "kube-aggregator.pkg.apis.apiregistration",
    "apiregistration.k8s.io",
    "APIService",
    "apiservices",
    has_status=True,
    name_rule="path-segment",  # that of the core group ends in a dot: "v1."
    keeps_metadata=True,
    needs_revision=True,
    categories=("api-extensions",),
    default=default_api_service,
    prepare_create=prepare_new_api_service,
    validate_create=validate_api_service,
    validate_update=validate_changed_api_service,
    validate_status=validate_api_service_status,
    columns=(
        NAME,
        Column("Service", _service_cell),
        Column("Available", _available_cell),
        AGE,
    ),
).declare()
