"""The rules of Ingress and IngressClass."""

from __future__ import annotations

from collections.abc import Callable

from pvbinder.server.errors import FieldError, forbidden, invalid, required, too_long, unsupported
from pvbinder.server.kinds.validation.addresses import parse_address, validate_legacy_ip
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import (
    check_dns_label,
    check_dns_subdomain,
    check_object_name,
    check_path_segment,
    check_port_name,
    check_wildcard_subdomain,
)
from pvbinder.server.kinds.validation.numbers import validate_port
from pvbinder.server.kinds.validation.paths import validate_domain_prefixed_path
from pvbinder.server.objects.kind import Json

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_SCOPES = ("Cluster", "Namespace")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_THE_END = ("/..", "/.")
_NO_ADDRESS = "must be a DNS name, not an IP address"
_CONTROLLER_BYTES_MAX = 250


def validate_ingress(obj: Json) -> list[FieldError]:
    """Check a new ingress."""
    errors = _validate_ingress_spec(obj["spec"])
    annotation = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    name = obj["spec"].get("ingressClassName")
    if annotation is not None and name is not None and annotation != name:
        why = "must match `ingressClassName` when both are specified"
        errors.append(invalid(f"annotations.{CLASS_ANNOTATION}", annotation, why))
    return errors


def validate_ingress_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed ingress: what was wrong with secrets' names and hosts with stars may stay."""
    return _validate_ingress_spec(new["spec"], old["spec"])


def validate_ingress_status(new: Json, old: Json) -> list[FieldError]:
    """Check where an ingress can be reached."""
    known = [entry.get("ip", "") for entry in _entries(old)]
    errors: list[FieldError] = []
    for index, entry in enumerate(_entries(new)):
        path = f"status.loadBalancer.ingress[{index}]"
        if ip := entry.get("ip"):
            errors += validate_legacy_ip(f"{path}.ip", ip, known)
        if host := entry.get("hostname"):
            errors += (invalid(f"{path}.hostname", host, reason) for reason in check_dns_subdomain(host))
            if parse_address(host) is not None:
                errors.append(invalid(f"{path}.hostname", host, _NO_ADDRESS))
    return errors


def _entries(obj: Json) -> list[Json]:
    return ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


def _validate_ingress_spec(spec: Json, before: Json | None = None) -> list[FieldError]:
    errors: list[FieldError] = []
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and backend is None:
        errors.append(invalid("spec", spec.get("rules"), "either `defaultBackend` or `rules` must be specified"))
    if backend is not None:
        errors += _validate_backend(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        errors += _validate_rule(rule, f"spec.rules[{index}]", before)
    for index, tls in enumerate(spec.get("tls") or ()):
        errors += _validate_tls(tls, f"spec.tls[{index}]", before)
    if (name := spec.get("ingressClassName")) is not None:
        errors += (invalid("spec.ingressClassName", name, reason) for reason in check_dns_subdomain(name))
    return errors


def _validate_rule(rule: Json, path: str, before: Json | None) -> list[FieldError]:
    errors: list[FieldError] = []
    host = rule.get("host", "")
    has_star = "*" in host
    if host:
        if parse_address(host) is not None:
            errors.append(invalid(f"{path}.host", host, _NO_ADDRESS))
        check = check_wildcard_subdomain if has_star else check_dns_subdomain
        errors += (invalid(f"{path}.host", host, reason) for reason in check(host))
    was_wrong = before is not None and any(
        "*" in one.get("host", "") and _validate_http(one.get("http"), "") for one in before.get("rules") or ()
    )
    return errors if has_star and was_wrong else errors + _validate_http(rule.get("http"), f"{path}.http")


def _validate_http(http: Json | None, path: str) -> list[FieldError]:
    if http is None:
        return []
    paths = http.get("paths") or []
    errors = [] if paths else [required(f"{path}.paths")]
    for index, one in enumerate(paths):
        errors += _validate_path(one, f"{path}.paths[{index}]")
    return errors


def _validate_path(one: Json, path: str) -> list[FieldError]:
    kind, value = one.get("pathType"), one.get("path", "")
    if kind is None:
        return [required(f"{path}.pathType", "pathType must be specified")]
    errors: list[FieldError] = []
    if kind not in _PATH_TYPES:
        errors.append(unsupported(f"{path}.pathType", kind, _PATH_TYPES))
    elif not value.startswith("/") and (value or kind != "ImplementationSpecific"):
        errors.append(invalid(f"{path}.path", value, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        errors += (
            invalid(f"{path}.path", value, f"must not contain '{part}'") for part in _NOT_IN_PATHS if part in value
        )
        errors += (
            invalid(f"{path}.path", value, f"cannot end with '{end}'") for end in _NOT_AT_THE_END if value.endswith(end)
        )
    return errors + _validate_backend(one.get("backend") or {}, f"{path}.backend")


def _validate_backend(backend: Json, path: str) -> list[FieldError]:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return _validate_typed_reference(resource, f"{path}.resource")
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    errors: list[FieldError] = []
    name = service.get("name", "")
    if not name:
        errors.append(required(f"{path}.service.name"))
    else:
        errors += (invalid(f"{path}.service.name", name, reason) for reason in check_dns_label(name))
    port = service.get("port") or {}
    port_name, number = port.get("name", ""), port.get("number", 0)
    if port_name and number:
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif port_name:
        errors += (invalid(f"{path}.service.port.name", port_name, reason) for reason in check_port_name(port_name))
    elif number:
        errors += validate_port(number, f"{path}.service.port.number")
    else:
        errors.append(required(path, "port name or number is required"))
    return errors


def _validate_typed_reference(reference: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    group = reference.get("apiGroup")
    if group is not None:
        errors += (invalid(f"{path}.apiGroup", group, reason) for reason in check_dns_subdomain(group))
    for field in ("kind", "name"):
        value = reference.get(field, "")
        if not value:
            errors.append(required(f"{path}.{field}"))
        errors += (invalid(f"{path}.{field}", value, reason) for reason in check_path_segment(value))
    return errors


def _validate_tls(tls: Json, path: str, before: Json | None) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, host in enumerate(tls.get("hosts") or ()):
        check: Callable[[str], tuple[str, ...]] = check_wildcard_subdomain if "*" in host else check_dns_subdomain
        errors += (invalid(f"{path}.hosts[{index}]", host, reason) for reason in check(host))
    old_names = [one.get("secretName", "") for one in (before or {}).get("tls") or ()]
    name = tls.get("secretName", "")
    if name and not any(name and check_dns_subdomain(name) for name in old_names):
        errors += (invalid(f"{path}.secretName", name, reason) for reason in check_dns_subdomain(name))
    return errors


def validate_ingress_class(obj: Json) -> list[FieldError]:
    """Check a new class of ingresses."""
    spec = obj.get("spec") or {}
    controller = spec.get("controller", "")
    errors: list[FieldError] = []
    if len(controller.encode()) > _CONTROLLER_BYTES_MAX:
        errors.append(too_long("spec.controller", _CONTROLLER_BYTES_MAX))
    errors += validate_domain_prefixed_path(controller, "spec.controller")
    parameters = spec.get("parameters")
    return errors if parameters is None else errors + _validate_parameters(parameters, "spec.parameters")


def validate_ingress_class_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed class; who implements it can't change."""
    errors: list[FieldError] = []
    controller = (new.get("spec") or {}).get("controller", "")
    if controller != (old.get("spec") or {}).get("controller", ""):
        errors.append(invalid("spec.controller", controller, IMMUTABLE))
    return errors + validate_ingress_class(new)


def _validate_parameters(parameters: Json, path: str) -> list[FieldError]:
    errors = _validate_typed_reference(parameters, path)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        errors.append(required(f"{path}.scope"))
    elif scope not in _SCOPES:
        errors.append(unsupported(f"{path}.scope", scope, _SCOPES))
    elif scope == "Namespace" and namespace is None:
        errors.append(required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Namespace":
        errors += (
            invalid(f"{path}.namespace", namespace, reason) for reason in check_object_name("label", str(namespace))
        )
    elif namespace is not None:
        errors.append(forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return errors
