"""Whether the volume that a claim names will do: other rules than for a volume we choose.

Rules: docs/rules/binder.md#53-checkvolumesatisfyclaim
"""

from __future__ import annotations

from msgspec import Struct

from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.matching import modes_differ, offers_modes
from pvbinder.rules.settings import DEFAULTS, Settings


class Unsuitable(Struct, frozen=True):
    """Why a volume that the claim names won't do; `message` is the reference's text."""

    rule: str
    message: str


def check_named_volume(volume: Volume, claim: Claim, settings: Settings = DEFAULTS) -> Unsuitable | None:
    """Return the first reason why `volume` won't do for the `claim` that names it (CS-1 to CS-6).

    Not asked: the phase of the volume, the claim's selector, node affinity.
    """
    if volume.is_deleting:
        return Unsuitable("CS-1", f'the volume is marked for deletion "{volume.name}"')
    if volume.size.whole_units() < claim.request.whole_units():
        return Unsuitable("CS-2", "requested PV is too small")
    if volume.storage_class != claim.storage_class:
        return Unsuitable("CS-3", "storageClassName does not match")
    if settings.attributes_classes:
        if volume.attributes_class != claim.attributes_class:
            return Unsuitable("CS-4", "volumeAttributesClassName does not match")
    elif volume.attributes_class or claim.attributes_class:
        message = "volumeAttributesClassName is not supported when the feature-gate VolumeAttributesClass is disabled"
        return Unsuitable("CS-4", message)
    if modes_differ(volume, claim):
        return Unsuitable("CS-5", "incompatible volumeMode")
    if not offers_modes(volume, claim):
        return Unsuitable("CS-6", "incompatible accessMode")
    return None
