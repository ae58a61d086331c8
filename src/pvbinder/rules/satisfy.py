"""Whether the volume that a claim names will do: other rules than for a volume we choose.

Rules: docs/rules/binder.md#53-checkvolumesatisfyclaim
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct

from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.matching import modes_differ, offers_modes
from pvbinder.rules.settings import DEFAULTS, Settings

UnsuitableReason = Literal[
    "BeingDeleted", "TooSmall", "ClassDiffers", "AttributesClassDiffers", "VolumeModeDiffers", "AccessModesMissing"
]
_RULES: Final[Mapping[UnsuitableReason, str]] = {
    "BeingDeleted": "CS-1",
    "TooSmall": "CS-2",
    "ClassDiffers": "CS-3",
    "AttributesClassDiffers": "CS-4",
    "VolumeModeDiffers": "CS-5",
    "AccessModesMissing": "CS-6",
}


class Unsuitable(Struct, frozen=True):
    """Why a volume that the claim names won't do; `message` is the reference's text."""

    reason: UnsuitableReason
    message: str

    @property
    def rule(self) -> str:
        """The rule that the volume fails."""
        return _RULES[self.reason]


def check_named_volume(volume: Volume, claim: Claim, settings: Settings = DEFAULTS) -> Unsuitable | None:
    """Return the first reason why `volume` won't do for the `claim` that names it (CS-1 to CS-6).

    Not asked: the phase of the volume, the claim's selector, node affinity.
    """
    return next(_reasons(volume, claim, settings), None)


def unsuitabilities(volume: Volume, claim: Claim, settings: Settings = DEFAULTS) -> tuple[Unsuitable, ...]:
    """Return every reason why `volume` won't do for the `claim` that names it, in the order of `check_named_volume`."""
    return tuple(_reasons(volume, claim, settings))


def _reasons(volume: Volume, claim: Claim, settings: Settings) -> Iterator[Unsuitable]:
    if volume.is_deleting:
        yield Unsuitable("BeingDeleted", f'the volume is marked for deletion "{volume.name}"')
    if volume.size.whole_units() < claim.request.whole_units():
        yield Unsuitable("TooSmall", "requested PV is too small")
    if volume.storage_class != claim.storage_class:
        yield Unsuitable("ClassDiffers", "storageClassName does not match")
    if settings.attributes_classes:
        if volume.attributes_class != claim.attributes_class:
            yield Unsuitable("AttributesClassDiffers", "volumeAttributesClassName does not match")
    elif volume.attributes_class or claim.attributes_class:
        message = "volumeAttributesClassName is not supported when the feature-gate VolumeAttributesClass is disabled"
        yield Unsuitable("AttributesClassDiffers", message)
    if modes_differ(volume, claim):
        yield Unsuitable("VolumeModeDiffers", "incompatible volumeMode")
    if not offers_modes(volume, claim):
        yield Unsuitable("AccessModesMissing", "incompatible accessMode")
