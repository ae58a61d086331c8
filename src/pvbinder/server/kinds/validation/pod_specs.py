"""The spec of a pod, in pods and in the templates of workloads.

Its parts: `containers`, `pod_volumes`, `pod_placement`, `security_contexts`.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.server.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    required,
    shown,
    too_long,
    unsupported,
)
from pvbinder.server.kinds.validation.addresses import validate_legacy_ip
from pvbinder.server.kinds.validation.containers import PodContext, validate_containers, validate_image_of_pod
from pvbinder.server.kinds.validation.internal_form import POD_RESOURCE_CLAIM, inner_form
from pvbinder.server.kinds.validation.metadata import validate_labels
from pvbinder.server.kinds.validation.names import (
    check_dns_label,
    check_dns_subdomain,
    check_label_value,
    check_qualified_name,
    check_subdomain_with_underscores,
)
from pvbinder.server.kinds.validation.pod_placement import validate_affinity, validate_gates, validate_spread
from pvbinder.server.kinds.validation.pod_volumes import validate_pod_volumes
from pvbinder.server.kinds.validation.resource_names import validate_resource_requirements
from pvbinder.server.kinds.validation.security_contexts import validate_host_users, validate_pod_security_context
from pvbinder.server.objects.kind import Json

_INT32_MAX = 2**31 - 1
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_SERVERS_MAX = 3
_SEARCHES_MAX = 32
_SEARCH_BYTES_MAX = 2048
_HOST_NAME_BYTES_MAX = 64
_NAMES = {
    "serviceAccountName": check_dns_subdomain,
    "nodeName": check_dns_subdomain,
    "priorityClassName": check_dns_subdomain,
    "runtimeClassName": check_dns_subdomain,
    "hostname": check_dns_label,
    "subdomain": check_dns_label,
}


def validate_pod_spec(spec: Json, path: str, pod_name: str = "") -> list[FieldError]:
    """Check the spec of a pod called `pod_name` (empty in templates)."""
    volumes, errors = validate_pod_volumes(spec.get("volumes") or [], f"{path}.volumes", pod_name)
    pod = PodContext(spec, volumes, bool(pod_name))
    errors += _validate_claims(spec.get("resourceClaims") or [], f"{path}.resourceClaims")
    errors += validate_containers(pod, path)
    errors += _validate_host_network(pod, path)
    errors += _one_of(spec, path, "restartPolicy", _RESTART_POLICIES)
    errors += _one_of(spec, path, "dnsPolicy", _DNS_POLICIES)
    errors += validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    errors += validate_pod_security_context(spec, path)
    errors += validate_affinity(spec.get("affinity") or {}, f"{path}.affinity")
    errors += _validate_dns(spec, f"{path}.dnsConfig")
    errors += validate_gates(spec, path)
    errors += validate_spread(spec.get("topologySpreadConstraints") or [], f"{path}.topologySpreadConstraints")
    errors += validate_host_users(spec, path)
    errors += _validate_host_name(spec, f"{path}.hostnameOverride")
    errors += _validate_names(spec, path, "serviceAccountName", "nodeName")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _INT32_MAX:
        errors.append(
            invalid(f"{path}.activeDeadlineSeconds", deadline, f"must be between 1 and {_INT32_MAX}, inclusive")
        )
    errors += _validate_names(spec, path, "hostname", "subdomain")
    errors += validate_tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    errors += _validate_aliases(spec.get("hostAliases") or [], f"{path}.hostAliases")
    if not spec.get("serviceAccountName"):
        errors += _refuse_tokens(spec.get("volumes") or [], f"{path}.volumes")
    errors += _validate_names(spec, path, "priorityClassName", "runtimeClassName")
    errors += _one_of(spec, path, "preemptionPolicy", _PREEMPTION_POLICIES)
    overhead = spec.get("overhead")
    if overhead is not None:
        at = f"{path}.overhead"
        errors += validate_resource_requirements({"limits": overhead}, at)
    errors += _validate_files(spec, path)
    return errors + (_validate_images(spec, path) if pod.is_pod else [])


def _validate_images(spec: Json, path: str) -> list[FieldError]:
    return [
        error
        for field in ("containers", "initContainers")
        for index, container in enumerate(spec.get(field) or ())
        for error in validate_image_of_pod(container, f"{path}.{field}[{index}]")
    ]


def _validate_host_network(pod: PodContext, path: str) -> list[FieldError]:
    """Check that ports of the node's network are the container's own."""
    errors: list[FieldError] = []
    if not pod.spec.get("hostNetwork"):
        return errors
    for index, container in enumerate(pod.spec.get("containers") or ()):
        for position, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort", 0)
            if (pod.is_pod or host) and host != port.get("containerPort", 0):
                at = f"{path}.containers[{index}].ports[{position}].hostPort"
                errors.append(invalid(at, host, "must match `containerPort` when `hostNetwork` is true"))
    return errors


def _validate_claims(claims: list[Json], path: str) -> list[FieldError]:
    """Check the claims of devices that a pod has."""
    errors: list[FieldError] = []
    names: set[str] = set()
    sources = ("resourceClaimName", "resourceClaimTemplateName")
    for index, claim in enumerate(claims):
        at, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            errors.append(required(f"{at}.name"))
        elif name in names:
            errors.append(duplicate(f"{at}.name", name))
        else:
            errors += (invalid(f"{at}.name", name, reason) for reason in check_dns_label(name))
            names.add(name)
        there = [field for field in sources if claim.get(field) is not None]
        if len(there) > 1:
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(invalid(at, inner_form(POD_RESOURCE_CLAIM, claim), why))
        elif not there:
            why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid(at, inner_form(POD_RESOURCE_CLAIM, claim), why))
        for field in there:
            reasons = check_dns_subdomain(claim[field])
            errors += (invalid(f"{at}.{field}", claim[field], reason) for reason in reasons)
    return errors


def _validate_dns(spec: Json, path: str) -> list[FieldError]:
    """Check where and how names are looked up."""
    config: Json | None = spec.get("dnsConfig")
    servers = (config or {}).get("nameservers") or []
    if spec.get("dnsPolicy") == "None" and not servers:
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        return [required(f"{path}.nameservers", why)]
    if config is None:
        return []
    errors: list[FieldError] = []
    if len(servers) > _SERVERS_MAX:
        why = f"must not have more than {_SERVERS_MAX} nameservers"
        errors.append(invalid(f"{path}.nameservers", servers, why))
    for index, server in enumerate(servers):
        errors += validate_legacy_ip(f"{path}.nameservers[{index}]", server)
    searches: list[str] = config.get("searches") or []
    at = f"{path}.searches"
    if len(searches) > _SEARCHES_MAX:
        errors.append(invalid(at, searches, f"must not have more than {_SEARCHES_MAX} search paths"))
    if len(" ".join(searches).encode()) > _SEARCH_BYTES_MAX:
        why = f"must not have more than {_SEARCH_BYTES_MAX} characters (including spaces) in the search list"
        errors.append(invalid(at, searches, why))
    for index, search in enumerate(searches):
        if search != ".":
            name = search.removesuffix(".")
            errors += (invalid(f"{at}[{index}]", name, reason) for reason in check_subdomain_with_underscores(name))
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(required(f"{path}.options[{index}]", "must not be empty"))
    return errors


def _validate_host_name(spec: Json, path: str) -> list[FieldError]:
    """Check the name that a pod has instead of its usual one."""
    name = spec.get("hostnameOverride")
    if name is None:
        return []
    fields = ("setHostnameAsFQDN", "hostNetwork")
    errors = [forbidden(path, f"may not be specified when {field} is true") for field in fields if spec.get(field)]
    if len(name.encode()) > _HOST_NAME_BYTES_MAX:
        errors.append(too_long(path, _HOST_NAME_BYTES_MAX))
    return errors + [invalid(path, name, reason) for reason in check_dns_subdomain(name)]


def _refuse_tokens(volumes: list[Json], path: str) -> list[FieldError]:
    """Refuse tokens of an account in volumes of a pod that has no account."""
    return [
        forbidden(
            f"{path}[{index}].projected.sources[{at}].serviceAccountToken",
            "must not be specified when serviceAccountName is not set",
        )
        for index, volume in enumerate(volumes)
        for at, source in enumerate((volume.get("projected") or {}).get("sources") or ())
        if source.get("serviceAccountToken") is not None
    ]


def _validate_aliases(aliases: list[Json], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, alias in enumerate(aliases):
        errors += validate_legacy_ip(f"{path}[{index}].ip", alias.get("ip", ""))
        for position, name in enumerate(alias.get("hostnames") or ()):
            at = f"{path}[{index}].hostnames[{position}]"
            errors += (invalid(at, name, reason) for reason in check_dns_subdomain(name))
    return errors


def _validate_files(spec: Json, path: str) -> list[FieldError]:
    """Check that files which variables are read from are in volumes that begin empty."""
    volumes = {volume.get("name", ""): volume for volume in spec.get("volumes") or ()}
    errors: list[FieldError] = []
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            for position, variable in enumerate(container.get("env") or ()):
                reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
                if reference is None:
                    continue
                at = f"{path}.{field}[{index}].env[{position}].valueFrom.fileKeyRef.volumeName"
                name = reference.get("volumeName", "")
                if name not in volumes:
                    errors.append(FieldError("FieldValueNotFound", at, f"Not found: {shown(name)}"))
                elif volumes[name].get("emptyDir") is None:
                    errors.append(invalid(at, name, "referenced volume must be of type emptyDir"))
    return errors


def _validate_names(spec: Json, path: str, *fields: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in fields:
        value = spec.get(field)
        if value or (field == "runtimeClassName" and value is not None):
            errors += (invalid(f"{path}.{field}", value, reason) for reason in _NAMES[field](value))
    return errors


def validate_tolerations(tolerations: list[Json], path: str) -> list[FieldError]:
    """Check tolerations of taints."""
    errors: list[FieldError] = []
    for index, toleration in enumerate(tolerations):
        at = f"{path}[{index}]"
        key, operator = toleration.get("key", ""), toleration.get("operator", "")
        value, effect = toleration.get("value", ""), toleration.get("effect", "")
        if key:
            errors += (invalid(f"{at}.key", key, reason) for reason in check_qualified_name(key))
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.append(invalid(f"{at}.operator", operator, why))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            errors.append(invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator in ("", "Equal"):
            reasons = check_label_value(value)
            if reasons:
                errors.append(invalid(f"{at}.operator", value, ";".join(reasons)))
        elif operator == "Exists":
            if value:
                errors.append(invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'"))
        elif operator in ("Lt", "Gt"):
            errors.append(unsupported(f"{at}.operator", operator, ("Equal", "Exists", "Lt", "Gt")))
        else:
            errors.append(unsupported(f"{at}.operator", operator, ("Equal", "Exists")))
        if effect and effect not in _EFFECTS:
            errors.append(unsupported(f"{at}.effect", effect, _EFFECTS))
    return errors


def _one_of(obj: Json, path: str, field: str, allowed: tuple[str, ...]) -> list[FieldError]:
    value = obj.get(field)
    return [] if value is None or value in allowed else [unsupported(f"{path}.{field}", value, allowed)]
