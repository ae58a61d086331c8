"""The parameters of a class, taken apart: what the driver gets, and what is for us.

Rules: docs/rules/provisioner.md#4-preparing-createvolume-checks-in-this-order-state-in-brackets
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pvbinder.rules.csi.refusals import finished

PREFIX: Final = "csi.storage.k8s.io/"
FSTYPE: Final = PREFIX + "fstype"
_SECRETS: Final = (
    "",
    "provisioner-",
    "controller-publish-",
    "node-stage-",
    "node-publish-",
    "controller-expand-",
    "node-expand-",
    "controller-modify-",
)
STRIPPED: Final = frozenset(
    {FSTYPE, *(f"{PREFIX}{kind}secret-{part}" for kind in _SECRETS for part in ("name", "namespace"))}
)
PVC_NAME: Final = PREFIX + "pvc/name"
PVC_NAMESPACE: Final = PREFIX + "pvc/namespace"
PV_NAME: Final = PREFIX + "pv/name"


def fstype_of(parameters: Mapping[str, str], default: str) -> str:
    """Return the type of file system that a volume gets (CP-11); raise ProvisioningFailed."""
    found = [value for key, value in parameters.items() if key == FSTYPE or key.lower() == "fstype"]
    if len(found) > 1:
        raise finished(f'fstype specified in parameters with both "fstype" and "{FSTYPE}" keys')
    return (found[0] if found else "") or default


def for_driver(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return what the driver gets of the parameters (CP-17); raise ProvisioningFailed for a key that nobody knows."""
    kept: dict[str, str] = {}
    for key, value in sorted(parameters.items()):
        if not key.startswith(PREFIX):
            kept[key] = value
        elif key not in STRIPPED:
            raise finished(
                "failed to strip CSI Parameters of prefixed keys: "
                f'found unknown parameter key "{key}" with reserved namespace {PREFIX}'
            )
    return kept


def with_names(parameters: Mapping[str, str], *, claim: str, namespace: str, volume: str) -> dict[str, str]:
    """Return `parameters` with the names of claim and volume in them (CP-18)."""
    return {**parameters, PVC_NAME: claim, PVC_NAMESPACE: namespace, PV_NAME: volume}
