"""ServiceAccount: a new pod runs as an account of its namespace, and gets what it needs to talk to the API server.

POD_ACCOUNTS-1  A pod that names no account runs as ``default``; one whose account isn't there is refused. A pod that
                comes before the account ``default`` of a new namespace waits for it, for a second or two.
POD_ACCOUNTS-2  Unless the pod or its account wants none, each container that has nothing at its place gets the volume
                ``kube-api-access-…`` with token, certificate and namespace.
POD_ACCOUNTS-3  A pod without ``imagePullSecrets`` gets those of its account.
POD_ACCOUNTS-4  A mirror pod stays as it is, and names neither account nor secrets.
POD_ACCOUNTS-5  An account that says so (``kubernetes.io/enforce-mountable-secrets``) lets its pods use no secrets but
                its own.
POD_ACCOUNTS-6  A pod with another scheduler is played by hand: it gets no volume that nobody could fill (a departure).

Switched off where nobody makes the accounts ``default`` (`EmbeddedServer`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from pvbinder.model.resources import NAMESPACES, PODS, SERVICE_ACCOUNTS
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import ApiError, is_forbidden
from pvbinder.server.kinds.parts.generated_names import generate_name
from pvbinder.server.objects.kind import Json

NAME: Final = "ServiceAccount"
DEFAULT: Final = "default"
MOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX: Final = "kube-api-access-"
SCHEDULER: Final = "default-scheduler"
TOKEN_SECONDS: Final = 3607
ATTEMPTS_MAX: Final = 10
ATTEMPT_SECONDS: Final = 0.15
_MIRROR: Final = "kubernetes.io/config.mirror"
_ENFORCE: Final = "kubernetes.io/enforce-mountable-secrets"
_SOURCES: Final = (  # of volumes: where each names its secret
    ("azureFile", "secretName"),
    ("secret", "secretName"),
    ("cephfs", "secretRef"),
    ("cinder", "secretRef"),
    ("flexVolume", "secretRef"),
    ("rbd", "secretRef"),
    ("scaleIO", "secretRef"),
    ("iscsi", "secretRef"),
    ("storageos", "secretRef"),
    ("csi", "nodePublishSecretRef"),
)


async def wait_for_default_account(reader: Reader, on: AdmissionAttributes, new: Json) -> None:
    """Wait for the account of a new pod that names none, as the reference does (POD_ACCOUNTS-1)."""
    if NAME in on.disabled or on.resource != PODS or on.subresource or _is_mirror(new):
        return
    if (new["spec"].get("serviceAccountName") or DEFAULT) != DEFAULT:
        return
    for _ in range(ATTEMPTS_MAX):
        namespace = reader.get(NAMESPACES, None, on.namespace)
        is_ending = namespace is None or "deletionTimestamp" in namespace["metadata"]
        if is_ending or reader.get(SERVICE_ACCOUNTS, on.namespace, DEFAULT) is not None:
            return
        await asyncio.sleep(ATTEMPT_SECONDS)


def give_account(reader: Reader, on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Fill in the account, the token's volume and the pull secrets of a new pod."""
    if _is_mirror(new):
        _check_mirror(on, new["spec"])
        return
    spec: Json = new["spec"]
    name = spec.get("serviceAccountName") or DEFAULT
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = _find_account(reader, on, name)
    if _wants_token(account, spec) and spec.get("schedulerName", SCHEDULER) == SCHEDULER:  # POD_ACCOUNTS-6
        _mount_token(spec)
    secrets = account.get("imagePullSecrets") or []
    if not spec.get("imagePullSecrets") and secrets:
        spec["imagePullSecrets"] = [{"name": one.get("name", "")} for one in secrets]


def check_account(reader: Reader, on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Refuse a new pod that names what it may not."""
    spec: Json = new["spec"]
    if _is_mirror(new):
        _check_mirror(on, spec)
        return
    account = _find_account(reader, on, spec.get("serviceAccountName", ""))
    if (account["metadata"].get("annotations") or {}).get(_ENFORCE, "").lower() in ("true", "t", "1"):
        why = _why_not_its_secret(account, spec)
        if why is not None:
            raise is_forbidden(on.resource, on.name, why)


def _is_mirror(pod: Json) -> bool:
    return _MIRROR in (pod["metadata"].get("annotations") or {})


def _find_account(reader: Reader, on: AdmissionAttributes, name: str) -> Json:
    account = reader.get(SERVICE_ACCOUNTS, on.namespace, name)
    if account is None:
        why = f'error looking up service account {on.namespace}/{name}: serviceaccount "{name}" not found'
        raise is_forbidden(on.resource, on.name, why)
    return account


def _wants_token(account: Json, spec: Json) -> bool:
    for said in (spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken")):
        if said is not None:
            return bool(said)
    return True


def _mount_token(spec: Json) -> None:
    """Mount the token's volume in each container that has nothing at its place (POD_ACCOUNTS-2)."""
    volumes: list[Json] = spec.get("volumes") or []
    there = next((volume["name"] for volume in volumes if volume.get("name", "").startswith(VOLUME_PREFIX)), None)
    name = there or generate_name(VOLUME_PREFIX)
    is_needed = False
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        mounts: list[Json] = container.get("volumeMounts") or []
        if not any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
            is_needed = True
    if is_needed and there is None:
        spec["volumes"] = [*volumes, {"name": name, "projected": _projected()}]


def _projected() -> Json:
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
        ],
        "defaultMode": 0o644,
    }


def _check_mirror(on: AdmissionAttributes, spec: Json) -> None:
    """POD_ACCOUNTS-4: what a kubelet made of a file mustn't get at what is stored here."""
    if spec.get("serviceAccountName"):
        raise _mirror_refused(on, "reference service accounts")
    if next(_secrets_of(spec), None) is not None or spec.get("imagePullSecrets"):
        raise _mirror_refused(on, "reference secrets")
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("serviceAccountToken") is not None:
                raise _mirror_refused(on, "use ServiceAccountToken volume projections")


def _mirror_refused(on: AdmissionAttributes, what: str) -> ApiError:
    return is_forbidden(on.resource, on.name, f"a mirror pod may not {what}")


def _secrets_of(spec: Json) -> Iterator[str]:
    """Give the names of the secrets that volumes and containers use."""
    for volume in spec.get("volumes") or ():
        yield from _secrets_of_volume(volume)
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield from (name for _, name in _secrets_of_container(container))


def _secrets_of_volume(volume: Json) -> Iterator[str]:
    for source, field in _SOURCES:
        named = (volume.get(source) or {}).get(field)
        name = named.get("name", "") if isinstance(named, dict) else named
        if name:
            yield name
    for source in (volume.get("projected") or {}).get("sources") or ():
        if source.get("secret") is not None:
            yield source["secret"].get("name", "")


def _secrets_of_container(container: Json) -> Iterator[tuple[str, str]]:
    """Give for each secret that a container's environment is made of the variable, if there is one, and its name."""
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if reference is not None:
            yield variable.get("name", ""), reference.get("name", "")
    for source in container.get("envFrom") or ():
        if source.get("secretRef") is not None:
            yield "", source["secretRef"].get("name", "")


def _why_not_its_secret(account: Json, spec: Json) -> str | None:
    """Say which secret a pod uses that its account doesn't name; None if it uses none (POD_ACCOUNTS-5)."""
    name = account["metadata"]["name"]
    mountable = {one.get("name") for one in account.get("secrets") or ()}
    ending = f"is not allowed because service account {name} does not reference that secret"
    for volume in spec.get("volumes") or ():
        used = (volume.get("secret") or {}).get("secretName")
        if used and used not in mountable:
            return f'volume with secret.secretName="{used}" {ending}'
    for field, what in (("initContainers", "init container"), ("containers", "container")):
        for container in spec.get(field) or ():
            for variable, used in _secrets_of_container(container):
                if used not in mountable:
                    through = f"envVar {variable}" if variable else "envFrom"
                    where = f"{what} {container.get('name', '')} with {through}"
                    return f'{where} referencing secret.secretName="{used}" {ending}'
    pulling = {one.get("name") for one in account.get("imagePullSecrets") or ()}
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if secret.get("name") not in pulling:
            ending = f"is not allowed because service account {name} does not reference that imagePullSecret"
            return f'imagePullSecrets[{index}].name="{secret.get("name", "")}" {ending}'
    return None


SERVICE_ACCOUNT = Plugin(NAME, (PODS,), admits=give_account, validates=check_account)
