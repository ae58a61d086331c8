"""What the kubelet does to a container: probes, and what is run after its start and before its end.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from collections.abc import Callable

from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.names import check_http_header, check_port_name
from pvbinder.server.kinds.validation.numbers import validate_not_negative, validate_port
from pvbinder.server.objects.kind import Json

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_SCHEMES = ("HTTP", "HTTPS")
_OF_PROBES = ("exec", "httpGet", "tcpSocket", "grpc")
_OF_LIFECYCLES = ("exec", "httpGet", "tcpSocket", "sleep")


def validate_handlers(container: Json, path: str, grace_seconds: int | None) -> list[FieldError]:
    """Check the hooks and the probes of a container."""
    errors: list[FieldError] = []
    lifecycle: Json = container.get("lifecycle") or {}
    for field in ("postStart", "preStop"):
        if lifecycle.get(field) is not None:
            at = f"{path}.lifecycle.{field}"
            errors += _validate_handler(lifecycle[field], at, _OF_LIFECYCLES, grace_seconds)
    for field in PROBES:
        if container.get(field) is not None:
            errors += _validate_probe(field, container[field], f"{path}.{field}")
    return errors


def _validate_probe(kind: str, probe: Json, path: str) -> list[FieldError]:
    errors = _validate_handler(probe, path, _OF_PROBES, None)
    errors += validate_not_negative(probe, path, *_COUNTS)
    seconds = probe.get("terminationGracePeriodSeconds")
    at = f"{path}.terminationGracePeriodSeconds"
    if seconds is not None and seconds <= 0:
        errors.append(invalid(at, seconds, "must be greater than 0"))
    if kind == "readinessProbe":
        if seconds is not None:
            errors.append(invalid(at, seconds, "must not be set for readinessProbes"))
    elif probe.get("successThreshold") != 1:
        errors.append(invalid(f"{path}.successThreshold", probe.get("successThreshold", 0), "must be 1"))
    return errors


def _validate_handler(handler: Json, path: str, kinds: tuple[str, ...], grace_seconds: int | None) -> list[FieldError]:
    """Check that a handler is of exactly one kind."""
    errors: list[FieldError] = []
    there = [kind for kind in kinds if handler.get(kind) is not None]
    for kind in there[:1]:
        if kind == "sleep":
            errors += _validate_sleep(handler[kind], f"{path}.{kind}", grace_seconds)
        else:
            errors += _CHECKS[kind](handler[kind], f"{path}.{kind}")
    errors += (forbidden(f"{path}.{kind}", "may not specify more than 1 handler type") for kind in there[1:])
    return errors if there else [required(path, "must specify a handler type")]


def _validate_exec(action: Json, path: str) -> list[FieldError]:
    return [] if action.get("command") else [required(f"{path}.command")]


def _validate_http_get(action: Json, path: str) -> list[FieldError]:
    errors = [] if action.get("path") else [required(f"{path}.path")]
    errors += _validate_port_or_name(action.get("port", 0), f"{path}.port")
    if action.get("scheme") not in _SCHEMES:
        errors.append(unsupported(f"{path}.scheme", action.get("scheme", ""), _SCHEMES))
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        errors += (invalid(f"{path}.httpHeaders", name, reason) for reason in check_http_header(name))
    return errors


def _validate_port_action(action: Json, path: str) -> list[FieldError]:
    return _validate_port_or_name(action.get("port", 0), f"{path}.port")


def _validate_port_or_name(port: int | str, path: str) -> list[FieldError]:
    if isinstance(port, int):
        return validate_port(port, path)
    return [invalid(path, port, reason) for reason in check_port_name(port)]


def _validate_sleep(action: Json, path: str, grace_seconds: int | None) -> list[FieldError]:
    seconds = action.get("seconds", 0)
    if grace_seconds is None or 0 <= seconds <= grace_seconds:
        return []
    why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_seconds})"
    return [invalid(path, seconds, why)]


_CHECKS: dict[str, Callable[[Json, str], list[FieldError]]] = {
    "exec": _validate_exec,
    "httpGet": _validate_http_get,
    "tcpSocket": _validate_port_action,
    "grpc": _validate_port_action,
}
