"""Warnings of a pod's spec, in pods and in templates: what is deprecated, hides something, or counts for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from pvbinder.model.quantity import quantity_of
from pvbinder.server.kinds.validation.addresses import warn_of_ip
from pvbinder.server.kinds.validation.deprecated import warn_of_node_label, warn_of_node_labels
from pvbinder.server.kinds.validation.names import check_dns_label, check_label_value
from pvbinder.server.kinds.validation.pod_paths import warn_of_paths
from pvbinder.server.objects.kind import Json

_ANNOTATIONS: Final = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_VOLUMES: Final = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "ephemeral": "",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_SHOWN_VOLUMES: Final = {"storageos": "storageOS"}
_SECCOMP: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_OF_CONTAINER: Final = "container.seccomp.security.alpha.kubernetes.io/"
_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_TEXT: Final = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_APP_ARMOR_TEXT: Final = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_NULL_SELECTOR: Final = "a null labelSelector results in matching no pod"
_TERMS: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERENCES: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def warn_of_host_name(name: str, where: str = "Pod names and hostnames") -> list[str]:
    """Warn of a name that is no label, as names of hosts have to be."""
    reasons = check_dns_label(name)
    if not reasons:
        return []
    shown = " ".join(reasons)
    return [
        (
            f"metadata.name: this is used in {where}, which can result in surprising behavior; "
            f"a DNS label is recommended: [{shown}]"
        )
    ]


def warn_of_template(template: Json | None, path: str) -> list[str]:
    """Warn of what is in the template of a pod."""
    if template is None:
        return []
    metadata: Json = template.get("metadata") or {}
    return warn_of_pod_spec(template.get("spec") or {}, metadata.get("annotations") or {}, f"{path}.")


def warn_of_new_pod(pod: Json) -> list[str]:
    """Warn of what is in a new pod."""
    found = warn_of_host_name(pod["metadata"].get("name", ""), "the Pod's hostname")
    return found + warn_of_pod_spec(pod["spec"], pod["metadata"].get("annotations") or {}, "")


def warn_of_pod_spec(spec: Json, annotations: Json, path: str) -> list[str]:
    """Warn of what is in the spec of a pod; `path` is where spec and metadata are."""
    found = _of_nodes(spec, f"{path}spec")
    for index, spread in enumerate(spec.get("topologySpreadConstraints") or ()):
        where = f"{path}spec.topologySpreadConstraints[{index}]"
        found += warn_of_node_labels(spread.get("topologyKey", ""), f"{where}.topologyKey")
        if spread.get("labelSelector") is None:
            found.append(f"{where}.labelSelector: {_NULL_SELECTOR}")
    found += (f"{path}metadata.annotations[{key}]: {text}" for key, text in _ANNOTATIONS.items() if key in annotations)
    found += _of_volumes(spec.get("volumes") or [], f"{path}spec.volumes")
    found += warn_of_paths(spec.get("volumes") or [])
    found += _of_lists(spec, f"{path}spec")
    found += _of_fractions(spec.get("overhead"), f"{path}spec.overhead")
    security: Json = spec.get("securityContext") or {}
    if _SECCOMP in annotations and security.get("seccompProfile") is None:
        found.append(f"{path}metadata.annotations[{_SECCOMP}]: {_SECCOMP_TEXT}")
    for container, where in _containers(spec, f"{path}spec"):
        found += _of_container(container, where, annotations, path, security)
    found += _of_ports(spec, f"{path}spec")
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{path}spec.terminationGracePeriodSeconds: {why}")
    found += _of_affinity(spec.get("affinity") or {}, f"{path}spec.affinity")
    for index, address in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        found += warn_of_ip(f"{path}spec.dnsConfig.nameservers[{index}]", address)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        found += warn_of_ip(f"{path}spec.hostAliases[{index}].ip", alias.get("ip", ""))
    return found


def _of_nodes(spec: Json, path: str) -> list[str]:
    """Warn of labels of nodes that have been renamed."""
    found: list[str] = []
    for key in spec.get("nodeSelector") or {}:
        found += warn_of_node_label(key, f"{path}.nodeSelector[{key}]")
    affinity: Json = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    for index, term in enumerate((affinity.get(_TERMS) or {}).get("nodeSelectorTerms") or ()):
        where = f"{path}.affinity.nodeAffinity.{_TERMS}.nodeSelectorTerms[{index}]"
        found += _of_node_term(term, where, is_checked=False)
    for index, preferred in enumerate(affinity.get(_PREFERENCES) or ()):
        where = f"{path}.affinity.nodeAffinity.{_PREFERENCES}[{index}].preference"
        found += _of_node_term(preferred.get("preference") or {}, where, is_checked=True)
    return found


def _of_node_term(term: Json, path: str, *, is_checked: bool) -> list[str]:
    found: list[str] = []
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        found += warn_of_node_labels(requirement.get("key", ""), f"{where}.key")
        for at, value in enumerate(requirement.get("values") or () if is_checked else ()):
            found += (f"{where}.values[{at}]: {value} is invalid, {why}" for why in check_label_value(value))
    return found


def _of_volumes(volumes: list[Json], path: str) -> list[str]:
    found: list[str] = []
    for index, volume in enumerate(volumes):
        for field, text in _VOLUMES.items():
            if volume.get(field) is None:
                continue
            where = f"{path}[{index}].{_SHOWN_VOLUMES.get(field, field)}"
            if text:
                found.append(f"{where}: {text}")
            elif template := volume[field].get("volumeClaimTemplate"):
                found += warn_of_claim_spec(template.get("spec") or {}, f"{where}.volumeClaimTemplate.spec")
    return found


def warn_of_claim_spec(spec: Json, path: str) -> list[str]:
    """Warn of fractions of bytes that a claim asks for."""
    resources: Json = spec.get("resources") or {}
    return [
        warning
        for field in ("requests", "limits")
        for warning in _of_fractions(resources.get(field), f"{path}.resources.{field}", ("storage",))
    ]


def _of_fractions(
    amounts: Json | None, path: str, names: tuple[str, ...] = ("memory", "ephemeral-storage")
) -> list[str]:
    return [
        f'{path}[{name}]: fractional byte value "{amounts[name]}" is invalid, must be an integer'
        for name in names
        if amounts and name in amounts and not quantity_of(amounts[name]).is_whole()
    ]


def _of_lists(spec: Json, path: str) -> list[str]:
    """Warn of hosts and secrets that are named twice, and of secrets without a name."""
    found = _of_twice(spec, path, "hostAliases", "ip") + _of_twice(spec, path, "imagePullSecrets", "name")
    found += (
        f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
        for index, secret in enumerate(spec.get("imagePullSecrets") or ())
        if not secret.get("name")
    )
    return found


def _of_twice(spec: Json, path: str, field: str, key: str) -> list[str]:
    seen: set[str] = set()
    found: list[str] = []
    for index, entry in enumerate(spec.get(field) or ()):
        value = entry.get(key, "")
        if value in seen:
            found.append(f'{path}.{field}[{index}].{key}: duplicate {key} "{value}"')
        seen.add(value)
    return found


def _containers(spec: Json, path: str) -> Iterator[tuple[Json, str]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield container, f"{path}.{field}[{index}]"


def _of_container(container: Json, where: str, annotations: Json, path: str, of_pod: Json) -> list[str]:
    found: list[str] = []
    security, name = container.get("securityContext") or {}, container.get("name", "")
    key = f"{_SECCOMP_OF_CONTAINER}{name}"
    if key in annotations and security.get("seccompProfile") is None:
        found.append(f"{path}metadata.annotations[{key}]: {_SECCOMP_TEXT}")
    key = f"{_APP_ARMOR}{name}"
    if key in annotations and security.get("appArmorProfile") is None:
        profile = of_pod.get("appArmorProfile")
        if profile is None or profile != _app_armor_profile(annotations[key]):
            found.append(f"{path}metadata.annotations[{key}]: {_APP_ARMOR_TEXT}")
    resources: Json = container.get("resources") or {}
    for amount in ("memory", "ephemeral-storage"):
        for field in ("limits", "requests"):
            found += _of_fractions(resources.get(field), f"{where}.resources.{field}", (amount,))
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        called, value = variable.get("name", ""), variable.get("value") or ""
        reference = f"$({called})"
        is_kept = variable.get("valueFrom") is None and value != reference and reference in value
        if called in seen and not is_kept:
            found.append(
                f'{where}.env[{index}]: hides previous definition of "{called}", which may be dropped when using apply'
            )
        seen.add(called)
    return found


def _app_armor_profile(annotation: str) -> Json | None:
    """Return the field that means the same as the annotation of old."""
    if annotation == "unconfined":
        return {"type": "Unconfined"}
    if annotation == "runtime/default":
        return {"type": "RuntimeDefault"}
    if annotation.startswith("localhost/"):
        return {"type": "Localhost", "localhostProfile": annotation.removeprefix("localhost/").strip()}
    return None


def _of_ports(spec: Json, path: str) -> list[str]:
    """Warn of ports that are there twice, or clash."""
    found: list[str] = []
    ports: dict[tuple[Any, Any], list[tuple[str, str, int]]] = {}
    for container, within in _containers(spec, path):
        for index, port in enumerate(container.get("ports") or ()):
            where, host, number = f"{within}.ports[{index}]", port.get("hostIP") or "", port.get("hostPort") or 0
            if host and not number:
                shown = f"{{Name:{port.get('name') or ''} HostPort:0 ContainerPort:{port.get('containerPort', 0)}"
                shown += f" Protocol:{port.get('protocol', '')} HostIP:{host}}}"
                found.append(f"{where}: hostIP set without hostPort: {shown}")
            others = ports.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for other, other_host, other_number in others:
                if (host, number) == (other_host, other_number):
                    found.append(f"{where}: duplicate port definition with {other}")
                elif not number or not other_number:
                    found.append(f"{where}: overlapping port definition with {other}")
                elif number == other_number and bool(host) != bool(other_host):
                    found.append(f"{where}: dangerously ambiguous port definition with {other}")
            others.append((where, host, number))
    names: dict[str, str] = {}
    for container, within in _containers(spec, path):
        for index, port in enumerate(container.get("ports") or ()):
            where, name = f"{within}.ports[{index}]", port.get("name")
            if name and name in names:
                first = names[name]
                found.append(
                    f'{where}: duplicate port name "{name}" with {first}, services and probes that select ports by '
                    f"name will use {first}"
                )
            elif name:
                names[name] = where
    return found


def _of_affinity(affinity: Json, path: str) -> list[str]:
    found: list[str] = []
    for field in ("podAffinity", "podAntiAffinity"):
        terms: Json = affinity.get(field) or {}
        for index, term in enumerate(terms.get(_TERMS) or ()):
            if term.get("labelSelector") is None:
                found.append(f"{path}.{field}.{_TERMS}[{index}].labelSelector: {_NULL_SELECTOR}")
        for index, weighted in enumerate(terms.get(_PREFERENCES) or ()):
            if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
                where = f"{path}.{field}.{_PREFERENCES}[{index}].podAffinityTerm.labelSelector"
                found.append(f"{where}: {_NULL_SELECTOR}")
    return found


def warner_of_template(
    *path: str,
    names_pods: bool = True,
    before: Callable[[Json], list[str]] | None = None,
    also: Callable[[Json, Json | None], list[str]] | None = None,
) -> Callable[[Json, Json | None], list[str]]:
    """Make the warnings of a kind that makes pods from the template at `path`.

    A change is looked at only if it makes a new generation. `names_pods`: pods get their names from the object's.
    """

    def warn(new: Json, old: Json | None) -> list[str]:
        found: list[str] = []
        if old is None and names_pods:
            found += warn_of_host_name(new["metadata"].get("name", ""))
        if old is None or new["metadata"].get("generation") != old["metadata"].get("generation"):
            found += [] if before is None else before(new)
            template: Any = new
            for part in path:
                template = (template or {}).get(part)
            found += warn_of_template(template, ".".join(path))
        return found if also is None else found + also(new, old)

    return warn
