"""The defaults of a pod's spec, in pods and in the templates of workloads.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import re

from pvbinder.server.kinds.validation.claim_specs import complete_claim_spec
from pvbinder.server.kinds.validation.quantities import canonical_quantities, canonical_quantity
from pvbinder.server.objects.kind import Json, drop_empty

_FILE_MODE = 0o644
_TOKEN_SECONDS = 3600

_EMPTY_IN_SPEC = (
    "volumes",
    "initContainers",
    "ephemeralContainers",
    "nodeSelector",
    "serviceAccountName",
    "serviceAccount",
    "nodeName",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "imagePullSecrets",
    "hostname",
    "subdomain",
    "tolerations",
    "hostAliases",
    "priorityClassName",
    "readinessGates",
    "topologySpreadConstraints",
    "schedulingGates",
    "resourceClaims",
    "overhead",
)
_EMPTY_IN_CONTAINER = (
    "command",
    "args",
    "workingDir",
    "ports",
    "env",
    "envFrom",
    "volumeMounts",
    "volumeDevices",
    "stdin",
    "stdinOnce",
    "tty",
    "image",
    "resizePolicy",
)
_VOLUME_DEFAULTS: dict[str, Json] = {
    "secret": {"defaultMode": _FILE_MODE},
    "configMap": {"defaultMode": _FILE_MODE},
    "downwardAPI": {"defaultMode": _FILE_MODE},
    "projected": {"defaultMode": _FILE_MODE},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
_IMAGE = re.compile(  # a reference of an image: registry, path, tag and digest
    r"(?P<name>(?:(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*"
    r"[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_IMAGE_NAME_MAX = 255
_BARE_DIGEST = re.compile("[0-9a-f]{64}")


def default_pod_spec(spec: Json) -> None:
    """Fill in everything that does not depend on other objects."""
    drop_empty(spec, *_EMPTY_IN_SPEC)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    spec.setdefault("containers", None)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("schedulerName", "default-scheduler")
    for field, value in (("terminationGracePeriodSeconds", 30), ("securityContext", {})):
        if spec.get(field) is None:
            spec[field] = value
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            _default_container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or ():
        _default_volume(volume)
    if "overhead" in spec:
        canonical_quantities(spec, "overhead")


def default_requests(spec: Json) -> None:
    """Ask for what is allowed where nothing is asked for; only pods do so, templates don't."""
    for field in ("containers", "initContainers"):
        for container in spec.get(field) or ():
            resources = container["resources"]
            limits = resources.get("limits")
            if limits:
                requests = resources.setdefault("requests", {})
                for name, amount in limits.items():
                    requests.setdefault(name, amount)


def _default_container(container: Json, *, host_network: bool) -> None:
    drop_empty(container, *_EMPTY_IN_CONTAINER)
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = _pull_policy(container.get("image", ""))
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    resources = container.get("resources")
    if resources is None:
        container["resources"] = {}
    else:
        canonical_quantities(resources, "limits")
        canonical_quantities(resources, "requests")
    for port in container.get("ports") or ():
        drop_empty(port, "name", "hostPort", "hostIP")
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if host_network and "hostPort" not in port and "containerPort" in port:
            port["hostPort"] = port["containerPort"]
    for variable in container.get("env") or ():
        drop_empty(variable, "value")
        _default_field_reference((variable.get("valueFrom") or {}).get("fieldRef"))
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(field) is not None:
            _default_probe(container[field])
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _default_http_get(handler.get("httpGet"))
    for mount in container.get("volumeMounts") or ():
        drop_empty(mount, "readOnly", "subPath", "subPathExpr")


def _pull_policy(image: str) -> str:
    """Pull a moving image each time, a fixed one once, and one whose name can't be read once, too."""
    found = _IMAGE.fullmatch(image)
    if found is None or len(found["name"]) > _IMAGE_NAME_MAX or _BARE_DIGEST.fullmatch(image):
        return "IfNotPresent"
    tag = found["tag"] or ("" if found["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _default_probe(probe: Json) -> None:
    drop_empty(probe, "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _default_http_get(probe.get("httpGet"))
    if probe.get("grpc") is not None and probe["grpc"].get("service") is None:
        probe["grpc"]["service"] = ""


def _default_http_get(action: Json | None) -> None:
    if action is not None:
        drop_empty(action, "path", "host", "scheme", "httpHeaders")
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _default_field_reference(reference: Json | None) -> None:
    if reference is not None and not reference.get("apiVersion"):
        reference["apiVersion"] = "v1"


def _default_volume(volume: Json) -> None:
    if (len(volume) < 2 and "name" in volume) or not volume:
        volume["emptyDir"] = {}
        return
    for name, defaults in _VOLUME_DEFAULTS.items():
        source = volume.get(name)
        if source is not None:
            for field, value in defaults.items():
                if source.get(field) is None:
                    source[field] = value
    for name in ("secret", "configMap", "downwardAPI", "projected", "persistentVolumeClaim", "nfs", "hostPath"):
        if volume.get(name) is not None:
            drop_empty(volume[name], "items", "readOnly", "secretName")
    image = volume.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = _pull_policy(image.get("reference", ""))
    empty = volume.get("emptyDir")
    if empty is not None:
        drop_empty(empty, "medium")
        if empty.get("sizeLimit") is not None:
            empty["sizeLimit"] = canonical_quantity(empty["sizeLimit"])
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        _default_field_reference(item.get("fieldRef"))
    for source in (volume.get("projected") or {}).get("sources") or ():
        token = source.get("serviceAccountToken")
        if token is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = _TOKEN_SECONDS
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            _default_field_reference(item.get("fieldRef"))
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if template is not None:
        template.setdefault("metadata", {})
        complete_claim_spec(template.setdefault("spec", {}))
