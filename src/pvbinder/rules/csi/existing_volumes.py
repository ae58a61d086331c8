"""What a driver is asked to do with a volume that there is: grow it, or change its attributes.

Rules: docs/rules/expand.md#42-steps, docs/rules/expand.md#45-volume-modification-volumeattributesclass
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.quantity import Quantity
from pvbinder.rules.csi.capabilities import AccessModesError, Capability, single_mode
from pvbinder.rules.csi.parameters import with_names
from pvbinder.rules.csi.secrets import SecretReference
from pvbinder.rules.csi.volumes import MODIFY_SECRET

BYTES_MAX: Final = 2**63 - 1  # of a size on the wire


class ExistingVolumeError(PvbinderError):
    """A volume that no driver can be asked about."""


class ExpandRequest(Struct, frozen=True):
    """What is asked for with ControllerExpandVolume, but for the secrets, which are read when the call is made."""

    volume_id: str
    required_bytes: int
    capability: Capability
    secret: SecretReference | None


class ModifyRequest(Struct, frozen=True):
    """What is asked for with ControllerModifyVolume, but for the secrets."""

    volume_id: str
    parameters: dict[str, str]
    secret: SecretReference | None


def expand_request(volume: Volume, size: Quantity, *, several_writers: bool) -> ExpandRequest:
    """Return the request that grows `volume` to `size` (RS-10); raise ExistingVolumeError."""
    source = _csi_source(volume)
    try:
        mode = single_mode(volume.access_modes, several_writers=several_writers)
    except AccessModesError as error:
        what = f"failed to get capabilities of volume {volume.name} with {error.message}"
        raise ExistingVolumeError(what) from error
    if volume.volume_mode == "Block":
        capability = Capability(mode, block=True)
    else:
        options = (volume.document().get("spec") or {}).get("mountOptions") or ()
        capability = Capability(mode, False, str(source.get("fsType") or ""), tuple(options))
    bytes_ = min(size.whole_units(), BYTES_MAX)
    return ExpandRequest(source["volumeHandle"], bytes_, capability, _secret_of(source))


def modify_request(
    claim: Claim, volume: Volume, parameters: Mapping[str, str], *, extra_metadata: bool
) -> ModifyRequest:
    """Return the request that gives `volume` the attributes of a class (VM-7); raise ExistingVolumeError."""
    source = _csi_source(volume)
    wanted = dict(parameters)
    if extra_metadata:
        wanted = with_names(wanted, claim=claim.name, namespace=claim.namespace, volume=volume.name)
    name = volume.annotations.get(f"{MODIFY_SECRET}-name")
    namespace = volume.annotations.get(f"{MODIFY_SECRET}-namespace")
    secret = SecretReference(name, namespace) if name and namespace else _secret_of(source)
    return ModifyRequest(source["volumeHandle"], wanted, secret)


def untranslated(volume: Volume) -> str:
    """Say that `volume` is of an in-tree source, which would have to be read as a CSI one (RS-5)."""
    return f"failed to translate persistent volume: pvbinder translates no {volume.source or 'such'} volumes to CSI"


def _csi_source(volume: Volume) -> Json:
    source = (volume.document().get("spec") or {}).get("csi")
    if source is None:
        raise ExistingVolumeError(untranslated(volume))
    if not source.get("volumeHandle"):
        raise ExistingVolumeError("empty volume handle")
    found: Json = source
    return found


def _secret_of(source: Json) -> SecretReference | None:
    secret = source.get("controllerExpandSecretRef")
    return SecretReference(secret.get("name") or "", secret.get("namespace") or "") if secret else None
