"""The containers of a pod: what all have in common, and what those before it and those for debugging mayn't have.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from typing import NamedTuple

from pvbinder.server.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    required,
    shown,
    too_many,
    unsupported,
)
from pvbinder.server.kinds.validation.container_handlers import PROBES, validate_handlers
from pvbinder.server.kinds.validation.container_inputs import validate_environment, validate_mounts
from pvbinder.server.kinds.validation.names import check_dns_label, check_port_name
from pvbinder.server.kinds.validation.numbers import validate_port
from pvbinder.server.kinds.validation.resource_names import validate_resource_requirements
from pvbinder.server.kinds.validation.security_contexts import validate_security_context
from pvbinder.server.objects.kind import Json

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_RESIZABLE = ("cpu", "memory")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_RESTART_ACTIONS = ("Restart", "RestartAllContainers")
_EXIT_OPERATORS = ("In", "NotIn")
_NOT_WHILE_DEBUGGING = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    *PROBES,
    "lifecycle",
)
_RULES_MAX = 20
_EXIT_CODES_MAX = 255


class PodContext(NamedTuple):
    """What the containers are checked against: the pod's spec, its volumes that are right, by name, and where it is."""

    spec: Json
    volumes: dict[str, Json]
    is_pod: bool  # or the template of one

    @property
    def uses_host_users(self) -> bool:
        """Say whether users inside are those of the node."""
        return self.spec.get("hostUsers") is not False


def validate_containers(pod: PodContext, path: str) -> list[FieldError]:
    """Check all containers of a pod."""
    containers: list[Json] = pod.spec.get("containers") or []
    if not containers:
        return [required(f"{path}.containers"), *_validate_others(pod, path, containers)]
    errors: list[FieldError] = []
    names: set[str] = set()
    grace_seconds = pod.spec.get("terminationGracePeriodSeconds")
    for index, container in enumerate(containers):
        at = f"{path}.containers[{index}]"
        errors += _validate_container(container, at, pod)
        errors += _validate_unique(container, at, names)
        errors += validate_handlers(container, at, grace_seconds)
        errors += _validate_restarts(container, at)
    errors += _validate_host_ports(containers, f"{path}.containers")
    return errors + _validate_others(pod, path, containers)


def _validate_others(pod: PodContext, path: str, containers: list[Json]) -> list[FieldError]:
    names = {container.get("name", "") for container in containers}
    errors: list[FieldError] = []
    for index, container in enumerate(pod.spec.get("initContainers") or ()):
        at = f"{path}.initContainers[{index}]"
        errors += _validate_container(container, at, pod)
        if container.get("restartPolicy") is None and container.get("restartPolicyRules"):
            errors.append(required(f"{at}.restartPolicy", "must specify restartPolicy when restart rules are used"))
        else:
            errors += _validate_restarts(container, at)
        errors += _validate_unique(container, at, names)
        errors += _validate_host_ports([container], f"{path}.initContainers")  # sic: named as the first's
        errors += _validate_init(container, at, pod.spec.get("terminationGracePeriodSeconds"))
    others = frozenset(names)
    for index, container in enumerate(pod.spec.get("ephemeralContainers") or ()):
        at = f"{path}.ephemeralContainers[{index}]"
        errors += _validate_container(container, at, pod)
        errors += validate_image_of_pod(container, at)
        errors += _validate_unique(container, at, names)
        errors += _validate_debugger(container, at, others)
    return errors


def validate_image_of_pod(container: Json, path: str) -> list[FieldError]:
    """Check the image of a container of a pod; in templates, it may have any form."""
    image = container.get("image", "")
    if image == image.strip():
        return []
    return [invalid(f"{path}.image", image, "must not have leading or trailing whitespace")]


def _validate_unique(container: Json, path: str, names: set[str]) -> list[FieldError]:
    name = container.get("name", "")
    if name in names:
        return [duplicate(f"{path}.name", name)]
    names.add(name)
    return []


def _validate_container(container: Json, path: str, pod: PodContext) -> list[FieldError]:
    errors: list[FieldError] = []
    name = container.get("name", "")
    if not name:
        errors.append(required(f"{path}.name"))
    else:
        errors += (invalid(f"{path}.name", name, reason) for reason in check_dns_label(name))
    if not container.get("image"):
        errors.append(required(f"{path}.image"))
    errors += _one_of(container, path, "terminationMessagePolicy", _MESSAGE_POLICIES)
    errors += _validate_ports(container.get("ports") or [], f"{path}.ports")
    errors += validate_environment(container, path)
    errors += validate_mounts(container, path, pod.volumes)
    errors += _one_of(container, path, "imagePullPolicy", _PULL_POLICIES)
    resources: Json = container.get("resources") or {}
    errors += validate_resource_requirements(resources, f"{path}.resources")
    errors += _validate_claims(resources.get("claims") or [], f"{path}.resources.claims", pod.spec)
    policy = pod.spec.get("restartPolicy")
    errors += _validate_resizes(container.get("resizePolicy") or [], f"{path}.resizePolicy", policy == "Never")
    context = container.get("securityContext")
    if context is not None:
        at = f"{path}.securityContext"
        errors += validate_security_context(context, at, host_users=pod.uses_host_users)
    return errors


def _validate_ports(ports: list[Json], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"{path}[{index}]", port.get("name")
        if name:
            reasons = check_port_name(name)
            errors += (invalid(f"{at}.name", name, reason) for reason in reasons)
            if not reasons and name in names:
                errors.append(duplicate(f"{at}.name", name))
            names.add(name)
        number, host = port.get("containerPort", 0), port.get("hostPort", 0)
        errors += validate_port(number, f"{at}.containerPort") if number else [required(f"{at}.containerPort")]
        if host:
            errors += validate_port(host, f"{at}.hostPort")
        errors += _one_of(port, at, "protocol", _PROTOCOLS)
    return errors


def _validate_host_ports(containers: list[Json], path: str) -> list[FieldError]:
    """Check that no two ports want the same one of the node."""
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for position, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if key in taken:
                errors.append(duplicate(f"{path}[{index}].ports[{position}].hostPort", key))
            taken.add(key)
    return errors


def _validate_claims(claims: list[Json], path: str, spec: Json) -> list[FieldError]:
    """Check the claims of devices that a container uses: the pod's, and each once."""
    of_pod = sorted({claim["name"] for claim in spec.get("resourceClaims") or () if claim.get("name")})
    errors: list[FieldError] = []
    used: set[str] = set()
    for index, claim in enumerate(claims):
        at, name, request = f"{path}[{index}]", claim.get("name", ""), claim.get("request", "")
        if not name:
            errors.append(required(at))
            continue
        key = f"{name}/{request}" if request else name
        if name in used:
            errors.append(duplicate(at, name))
        else:
            if request:
                errors += (invalid(f"{at}.request", request, reason) for reason in check_dns_label(request))
            if key in used:
                errors.append(duplicate(at, key))
            elif not request:
                errors += (duplicate(at, name) for each in used if each.partition("/")[0] == name)
            used.add(key)
        if name not in of_pod:
            which = f": {', '.join(of_pod)}" if of_pod else " which is empty"
            why = f"Not found: {shown(name)}: must be one of the names in pod.spec.resourceClaims{which}"
            errors.append(FieldError("FieldValueNotFound", at, why))
    return errors


def _validate_resizes(policies: list[Json], path: str, never_restarts: bool) -> list[FieldError]:
    """Check what happens when resources change; all but what is there twice is told of the list (sic)."""
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in names:
            errors.append(duplicate(f"{path}[{index}]", name))
        names.add(name)
        for value, allowed in ((name, _RESIZABLE), (restart, _RESIZE_POLICIES)):
            if not value:
                errors.append(required(path))
            elif value not in allowed:
                errors.append(unsupported(path, value, allowed))
        if never_restarts and restart != "NotRequired":
            errors.append(invalid(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    return errors


def _validate_restarts(container: Json, path: str) -> list[FieldError]:
    """Check when a container is started again, apart from the others."""
    errors: list[FieldError] = []
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or []
    if policy is None and rules:
        errors.append(required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used"))
    errors += _one_of(container, path, "restartPolicy", _RESTART_POLICIES)
    if len(rules) > _RULES_MAX:
        errors.append(too_many(f"{path}.restartPolicyRules", len(rules), _RULES_MAX))
    for index, rule in enumerate(rules):
        at = f"{path}.restartPolicyRules[{index}]"
        if rule.get("action") not in _RESTART_ACTIONS:
            errors.append(unsupported(f"{at}.action", rule.get("action", ""), _RESTART_ACTIONS))
        codes: Json | None = rule.get("exitCodes")
        if codes is None:
            errors.append(required(f"{at}.exitCodes", "must be specified"))
            continue
        if codes.get("operator") not in _EXIT_OPERATORS:
            errors.append(unsupported(f"{at}.exitCodes.operator", codes.get("operator", ""), _EXIT_OPERATORS))
        values = codes.get("values") or []
        if len(values) > _EXIT_CODES_MAX:
            errors.append(too_many(f"{at}.exitCodes.values", len(values), _EXIT_CODES_MAX))
    return errors


def _validate_init(container: Json, path: str, grace_seconds: int | None) -> list[FieldError]:
    """Check what only a container that stays beside the others may have."""
    if container.get("restartPolicy") == "Always":
        return validate_handlers(container, path, grace_seconds)
    why = "may not be set for init containers without restartPolicy=Always"
    fields = ("lifecycle", *PROBES)
    errors = [forbidden(f"{path}.{field}", why) for field in fields if container.get(field) is not None]
    for index, policy in enumerate(container.get("resizePolicy") or ()):
        if policy.get("restartPolicy") == "RestartContainer":
            reason = "must not be set to 'RestartContainer' for non-sidecar initContainers"
            errors.append(invalid(f"{path}.resizePolicy[{index}].restartPolicy", "RestartContainer", reason))
    return errors


def _validate_debugger(container: Json, path: str, others: frozenset[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    target = container.get("targetContainerName")
    if target and target not in others:
        errors.append(FieldError("FieldValueNotFound", f"{path}.targetContainerName", f"Not found: {shown(target)}"))
    why = "cannot be set for an Ephemeral Container"
    errors += (forbidden(f"{path}.{field}", why) for field in _NOT_WHILE_DEBUGGING if container.get(field))
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                errors.append(forbidden(f"{path}.volumeMounts[{index}].{field}", why))
    return errors


def _one_of(obj: Json, path: str, field: str, allowed: tuple[str, ...]) -> list[FieldError]:
    value = obj.get(field)
    return [] if value is None or value in allowed else [unsupported(f"{path}.{field}", value, allowed)]
