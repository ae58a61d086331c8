"""Whether the volume that a claim names will do."""

from __future__ import annotations

import pytest
from tests.rules.objects import claim, volume

from pvbinder.model.json import Json
from pvbinder.rules.satisfy import check_named_volume
from pvbinder.rules.settings import Settings

DOES: dict[str, tuple[Json, Json, str | None]] = {  # volume, claim, text of the reference
    "as asked": ({}, {}, None),
    "phase doesn't count": ({"phase": "Pending"}, {}, None),
    "selector doesn't count": ({}, {"selector": {"matchLabels": {"a": "b"}}}, None),
    "marked for deletion (CS-1)": ({"is_deleting": True}, {}, 'the volume is marked for deletion "disk"'),
    "too small (CS-2)": ({"capacity": "1Mi"}, {}, "requested PV is too small"),
    "whole bytes count (CS-2)": ({"capacity": "1"}, {"request": "500m"}, None),
    "class (CS-3)": ({"storage_class": "slow"}, {}, "storageClassName does not match"),
    "attributes class (CS-4)": ({"attributes_class": "gold"}, {}, "volumeAttributesClassName does not match"),
    "volume mode (CS-5)": ({"volume_mode": "Block"}, {}, "incompatible volumeMode"),
    "access mode (CS-6)": ({}, {"modes": ["ReadWriteMany"]}, "incompatible accessMode"),
    "deletion before size": ({"is_deleting": True, "capacity": "1"}, {}, 'the volume is marked for deletion "disk"'),
}


@pytest.mark.parametrize(("of_volume", "of_claim", "text"), DOES.values(), ids=DOES.keys())
def test_check_named_volume(of_volume: Json, of_claim: Json, text: str | None) -> None:
    unsuitable = check_named_volume(volume(**of_volume), claim(**of_claim))
    assert (unsuitable.message if unsuitable is not None else None) == text


def test_with_the_gate_off_no_attributes_class_will_do() -> None:  # CS-4
    off = Settings(attributes_classes=False)
    unsuitable = check_named_volume(volume(attributes_class="gold"), claim(attributes_class="gold"), off)
    assert unsuitable is not None
    assert unsuitable.rule == "CS-4"
    assert check_named_volume(volume(), claim(), off) is None
