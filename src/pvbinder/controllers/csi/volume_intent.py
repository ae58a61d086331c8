"""A volume that is asked for, as it is written down before the driver is asked."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.model.json import decode, encode
from pvbinder.model.objects import Claim, StorageClass
from pvbinder.rules.csi.topology import fnv32
from pvbinder.rules.csi.volumes import VolumeRequest


class VolumeIntent(Struct, frozen=True):
    """A volume that is asked for: all that is needed to ask again, and to save it, when claim and class are gone."""

    claim: msgspec.Raw
    storage_class: msgspec.Raw
    request: VolumeRequest


def intent_for(claim: Claim, storage_class: StorageClass, request: VolumeRequest) -> VolumeIntent:
    """Return the intent to have `request` answered for `claim`."""
    return VolumeIntent(_slim(claim.raw), _slim(storage_class.raw), request)


def purpose(options: ProvisionerOptions) -> str:
    """Return what the intents are called: each node's sidecar has its own, since its driver makes its own volumes."""
    return f"volumes-{fnv32(options.node):08x}" if options.node_deployment else "volumes"


def _slim(raw: bytes) -> msgspec.Raw:
    """Return an object without the owners of its fields, which are half of it and nobody will ask for."""
    document = decode(raw)
    document["metadata"].pop("managedFields", None)
    return msgspec.Raw(encode(document))
