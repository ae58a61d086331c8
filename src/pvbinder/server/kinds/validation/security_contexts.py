"""With which rights pods and their containers run.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import re

from pvbinder.server.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    required,
    too_long,
    unsupported,
)
from pvbinder.server.kinds.validation.internal_form import SECCOMP_PROFILE, SECURITY_CONTEXT, inner_form
from pvbinder.server.kinds.validation.paths import has_backsteps
from pvbinder.server.objects.kind import Json

_ID_MAX = 2**31 - 1
_PROC_MOUNTS = ("Default", "Unmasked")
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_POLICIES = {
    "fsGroupChangePolicy": ("Always", "OnRootMismatch"),
    "supplementalGroupsPolicy": ("Merge", "Strict"),
    "seLinuxChangePolicy": ("MountOption", "Recursive"),
}
_APPARMOR_BYTES_MAX = 4095
_SYSCTL_BYTES_MAX = 253
_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}"
_IS_SYSCTL = re.compile(_SYSCTL).fullmatch
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")


def validate_security_context(context: Json, path: str, *, host_users: bool) -> list[FieldError]:
    """Check the rights of a container."""
    errors = _validate_ids(context, path, "runAsUser", "runAsGroup")
    mount = context.get("procMount")
    if mount is not None and mount not in _PROC_MOUNTS:
        errors.append(unsupported(f"{path}.procMount", mount, _PROC_MOUNTS))
    if mount == "Unmasked" and host_users:
        errors.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    errors += _validate_seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        cannot = "cannot set `allowPrivilegeEscalation` to false and"
        reasons = [f"{cannot} `privileged` to true"] if context.get("privileged") else []
        added = (context.get("capabilities") or {}).get("add") or []
        reasons += [f"{cannot} `capabilities.Add` CAP_SYS_ADMIN"] * added.count("CAP_SYS_ADMIN")
        errors += (invalid(path, inner_form(SECURITY_CONTEXT, context), reason) for reason in reasons)
    return errors + _validate_apparmor(context.get("appArmorProfile"), f"{path}.appArmorProfile")


def validate_pod_security_context(spec: Json, path: str) -> list[FieldError]:
    """Check the rights that all containers of a pod have."""
    context: Json = spec.get("securityContext") or {}
    at = f"{path}.securityContext"
    errors = _validate_ids(context, at, "fsGroup", "runAsUser", "runAsGroup")
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        errors += _validate_id(group, f"{at}.supplementalGroups[{index}]")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{at}.shareProcessNamespace", True, why))
    errors += _validate_sysctls(context.get("sysctls") or [], f"{at}.sysctls", spec)
    errors += _validate_policies(context, at, ("fsGroupChangePolicy",))
    errors += _validate_seccomp(context.get("seccompProfile"), f"{at}.seccompProfile")
    errors += _validate_apparmor(context.get("appArmorProfile"), f"{at}.appArmorProfile")
    return errors + _validate_policies(context, at, ("supplementalGroupsPolicy", "seLinuxChangePolicy"))


def validate_host_users(spec: Json, path: str) -> list[FieldError]:
    """Check that a pod with users of its own shares nothing else with the node."""
    if spec.get("hostUsers") is not False:
        return []
    why = "when `hostUsers` is false"
    fields = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
    errors = [forbidden(f"{path}.{shown}", why) for field, shown in fields if spec.get(field)]
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            if container.get("volumeDevices"):
                errors.append(forbidden(f"{path}.{field}[{index}].volumeDevices", why))
    return errors


def _validate_ids(context: Json, path: str, *fields: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in fields:
        if context.get(field) is not None:
            errors += _validate_id(context[field], f"{path}.{field}")
    return errors


def _validate_id(number: int, path: str) -> list[FieldError]:
    if 0 <= number <= _ID_MAX:
        return []
    return [invalid(path, number, f"must be between 0 and {_ID_MAX}, inclusive")]


def _validate_policies(context: Json, path: str, fields: tuple[str, ...]) -> list[FieldError]:
    return [
        unsupported(f"{path}.{field}", context[field], _POLICIES[field])
        for field in fields
        if context.get(field) is not None and context[field] not in _POLICIES[field]
    ]


def _validate_seccomp(profile: Json | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    errors: list[FieldError] = []
    kind, file = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in _PROFILES:
        errors.append(unsupported(f"{path}.type", kind, _PROFILES))
    at = f"{path}.localhostProfile"
    if kind != "Localhost":
        if file is not None:
            shown = inner_form(SECCOMP_PROFILE, profile)
            errors.append(invalid(at, shown, "can only be set when seccomp type is Localhost"))
    elif file is None:
        errors.append(required(at, "must be set when seccomp type is Localhost"))
    else:
        if file.startswith("/"):
            errors.append(invalid(at, file, "must be a relative path"))
        if has_backsteps(file):
            errors.append(invalid(at, file, "must not contain '..'"))
    return errors


def _validate_apparmor(profile: Json | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    errors: list[FieldError] = []
    kind, name, at = profile.get("type", ""), profile.get("localhostProfile"), f"{path}.localhostProfile"
    if not kind:
        return [required(f"{path}.type", "type is required when appArmorProfile is set")]
    if kind not in _PROFILES:
        return [unsupported(f"{path}.type", kind, _PROFILES)]
    if kind != "Localhost":
        return [] if name is None else [invalid(at, name, "can only be set when AppArmor type is Localhost")]
    if not name:
        return [required(at, "must be set when AppArmor type is Localhost")]
    if name != name.strip():
        errors.append(invalid(at, name, "must not be padded with whitespace"))
    if len(name.encode()) > _APPARMOR_BYTES_MAX:
        errors.append(too_long(at, _APPARMOR_BYTES_MAX))
    return errors


def _validate_sysctls(sysctls: list[Json], path: str, spec: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        at, name = f"{path}[{index}].name", sysctl.get("name", "")
        if not name:
            errors.append(required(at))
        elif len(name) > _SYSCTL_BYTES_MAX or not _IS_SYSCTL(name):
            why = f"must have at most {_SYSCTL_BYTES_MAX} characters and match regex ^{_SYSCTL}$"
            errors.append(invalid(at, name, why))
        elif name in names:
            errors.append(duplicate(at, name))
        names.add(name)
        dotted = _with_dots(name)
        if spec.get("hostNetwork") and dotted.startswith("net."):
            errors.append(invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and (dotted == "kernel.sem" or dotted.startswith(_IPC_SYSCTLS)):
            errors.append(invalid(at, name, "may not be specified when 'hostIPC' is true"))
    return errors


def _with_dots(name: str) -> str:
    """Return a name whose parts are separated by slashes in its usual form."""
    slash, dot = name.find("/"), name.find(".")
    if slash < 0 or 0 <= dot < slash:
        return name
    return name.translate({ord("/"): ".", ord("."): "/"})
