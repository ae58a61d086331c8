"""Feature gates, as the reference reads them."""

from __future__ import annotations

import pytest

from pvbinder.controllers.features import (
    ATTRIBUTES_CLASSES,
    KNOWN,
    RECOVER_EXPANSION,
    UNUSED_SINCE,
    FeatureGateError,
    FeatureGates,
    parse_feature_gates,
)

READ = {  # what is set: whether PersistentVolumeClaimUnusedSinceTime is on
    "": False,
    "PersistentVolumeClaimUnusedSinceTime=true": True,
    " PersistentVolumeClaimUnusedSinceTime = T , VolumeAttributesClass=1 ": True,
    "PersistentVolumeClaimUnusedSinceTime=0": False,
    "AllAlpha=true": True,
    "AllAlpha=true,PersistentVolumeClaimUnusedSinceTime=false": False,
    "AllBeta=true": False,
}


@pytest.mark.parametrize(("text", "is_on"), READ.items())
def test_gates_are_read(text: str, is_on: bool) -> None:
    assert parse_feature_gates(text).is_on(UNUSED_SINCE) is is_on


def test_defaults_are_the_references() -> None:
    gates = FeatureGates()

    assert {name: gates.is_on(gate) for name, gate in KNOWN.items()} == {
        UNUSED_SINCE.name: False,
        ATTRIBUTES_CLASSES.name: True,
        RECOVER_EXPANSION.name: True,
    }


REFUSED = {  # what is set: what is said
    "NoSuchGate=true": "unrecognized feature gate: NoSuchGate",
    "VolumeAttributesClass": "missing bool value for VolumeAttributesClass",
    "VolumeAttributesClass=yes": "invalid value of VolumeAttributesClass=yes",
    "VolumeAttributesClass=false": "cannot set feature gate VolumeAttributesClass to false, feature is locked to true",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(FeatureGateError) as caught:
        parse_feature_gates(text)
    assert caught.value.message == message
