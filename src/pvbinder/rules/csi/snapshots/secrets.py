"""Which secrets go with a snapshot, as its class names them.

Rules: docs/rules/snapshotter.md#4-secrets
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from pvbinder.model.dns_names import is_label, is_subdomain
from pvbinder.model.go_values import quoted
from pvbinder.rules.csi.parameters import PREFIX
from pvbinder.rules.csi.secrets import SecretReference, SecretsError, invalid, resolved
from pvbinder.rules.csi.snapshots.names import DELETION_SECRET

_KINDS: Final = ("snapshotter", "snapshotter-list", "group-snapshotter", "group-snapshotter-get")
STRIPPED: Final = frozenset(f"{PREFIX}{kind}-secret-{part}" for kind in _KINDS for part in ("name", "namespace"))


class SnapshotSecret(Enum):
    """What a secret is for; the value is how messages say it."""

    SNAPSHOTTER = "Snapshotter"
    LIST = "SnapshotterList"

    @property
    def key(self) -> str:
        """What both keys begin with."""
        return PREFIX + ("snapshotter-secret" if self is SnapshotSecret.SNAPSHOTTER else "snapshotter-list-secret")


def snapshot_secret(
    kind: SnapshotSecret, parameters: Mapping[str, str], content: str, *, snapshot: str = "", namespace: str = ""
) -> SecretReference | None:
    """Return the secret of a class, None if it names none (SS-1, SS-2); raise SecretsError.

    `content` and `snapshot` are names; without `snapshot` the templates may name the content only.
    """
    name_template, namespace_template = parameters.get(f"{kind.key}-name"), parameters.get(f"{kind.key}-namespace")
    if name_template is None and namespace_template is None:
        return None
    what = "failed to get name and namespace template from params: "
    if name_template is None or namespace_template is None:
        raise SecretsError(
            f"{what}either name and namespace for {kind.value} secrets specified, Both must be specified"
        )
    if not name_template or not namespace_template:
        raise SecretsError(
            f"{what}{kind.value} secrets specified in parameters but value of either namespace or name is empty"
        )
    names = {"volumesnapshotcontent.name": content}
    if snapshot:
        names["volumesnapshot.namespace"] = namespace
    found_namespace = resolved(namespace_template, names)
    if not is_label(found_namespace):
        raise SecretsError(invalid(namespace_template, found_namespace, "namespace name"))
    if snapshot:
        names["volumesnapshot.name"] = snapshot
    found_name = resolved(name_template, names)
    if not is_subdomain(found_name):
        raise SecretsError(invalid(name_template, found_name, "secret name"))
    return SecretReference(found_name, found_namespace)


def deletion_secret(content: str, annotations: Mapping[str, str]) -> SecretReference | None:
    """Return the secret that a content's annotations name, None without them (SS-3); raise SecretsError."""
    name, namespace = annotations.get(f"{DELETION_SECRET}-name"), annotations.get(f"{DELETION_SECRET}-namespace")
    if name is None or namespace is None:
        return None
    if not name or not namespace:
        raise SecretsError(
            f"cannot retrieve secrets for snapshot content {quoted(content)}, "
            "err: secret name or namespace not specified"
        )
    return SecretReference(name, namespace)


def parameters_for_driver(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return what the driver gets of a class's parameters (SK-5); raise SecretsError for a key that nobody knows."""
    kept: dict[str, str] = {}
    for key, value in sorted(parameters.items()):
        if not key.startswith(PREFIX):
            kept[key] = value
        elif key not in STRIPPED:
            raise SecretsError(
                "failed to remove CSI Parameters of prefixed keys: "
                f'found unknown parameter key "{key}" with reserved namespace {PREFIX}'
            )
    return kept


def with_snapshot_names(
    parameters: Mapping[str, str], *, snapshot: str, namespace: str, content: str
) -> dict[str, str]:
    """Return `parameters` with the names of snapshot and content in them (SK-6)."""
    return {
        **parameters,
        f"{PREFIX}volumesnapshot/name": snapshot,
        f"{PREFIX}volumesnapshot/namespace": namespace,
        f"{PREFIX}volumesnapshotcontent/name": content,
    }
