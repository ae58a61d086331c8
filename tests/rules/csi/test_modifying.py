"""The next step of a claim that names another attributes class, in each state that it can be in."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rules.objects import claim_ref
from tests.rules.objects import volume as volume_with

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, parse_claim
from pvbinder.rules.csi.modifying import (
    Cancel,
    Modify,
    Modifying,
    NothingToModify,
    SeeThrough,
    WhyNotModified,
    begun,
    cancelled,
    decide_modification,
    failed,
    is_worth_a_look,
    pending,
    succeeded,
    with_class,
)

DRIVER = "fake.csi.example.com"
NOW = "2026-03-01T09:00:00Z"
MODIFYING = [{"type": "ModifyingVolume", "status": "True"}]


def claim(wanted: str = "gold", has: str | None = "silver", state: str = "", target: str = "", **status: Any) -> Claim:
    known: Json = {"phase": "Bound", **status}
    if has is not None:
        known["currentVolumeAttributesClassName"] = has
    if state:
        known["modifyVolumeStatus"] = {"status": state, "targetVolumeAttributesClassName": target}
    document = {
        "metadata": {"name": "orders", "namespace": "shop", "uid": "u1", "resourceVersion": "7"},
        "spec": {"volumeName": "disk", "volumeAttributesClassName": wanted},
        "status": known,
    }
    return parse_claim(encode(document))


DISK = volume_with(source={"csi": {"driver": DRIVER, "volumeHandle": "h"}}, claim_ref=claim_ref(claim()))
STEPS: dict[str, tuple[Claim, bool, Modifying]] = {  # the claim, whether nobody knows how the last call ended
    "has it": (claim("silver"), True, NothingToModify(WhyNotModified.HAS_IT)),
    "wants none and has none": (claim("", None), True, NothingToModify(WhyNotModified.HAS_IT)),
    "wants another": (claim(), True, Modify("gold")),
    "wants one and has none": (claim(has=None), True, Modify("gold")),
    "not bound": (claim(phase="Lost"), True, NothingToModify(WhyNotModified.NOT_BOUND)),
    "it may be running": (claim(state="InProgress", target="gold"), True, SeeThrough("gold")),
    "another one may be running": (claim(state="InProgress", target="lead"), True, SeeThrough("lead")),
    "another one failed": (claim(state="InProgress", target="lead"), False, Modify("gold")),
    "it failed, and may pass": (claim(state="InProgress", target="gold"), False, Modify("gold")),
    "it is infeasible": (claim(state="Infeasible", target="gold"), False, Modify("gold", failed_before=True)),
    "another one is infeasible": (claim(state="Infeasible", target="lead"), True, Modify("gold")),
    "back from an infeasible one": (claim("silver", state="Infeasible", target="gold"), True, Modify("silver")),
    "its class was missing": (claim(state="Pending"), True, Modify("gold")),
    "wants none any more, infeasible": (claim("", None, "Infeasible", "gold", conditions=MODIFYING), False, Cancel()),
    "the same, said": (claim("", None, "Infeasible", "gold"), False, NothingToModify(WhyNotModified.NAMES_NONE)),
    "wants none any more, at work": (claim("", None, "InProgress", "gold"), False, SeeThrough("gold")),
}


@pytest.mark.parametrize(("of", "is_uncertain", "step"), STEPS.values(), ids=STEPS.keys())
def test_modifying_1_the_step_of_a_claim(of: Claim, is_uncertain: bool, step: Modifying) -> None:  # VM-2 to VM-4, VM-10
    assert decide_modification(of, DISK, DRIVER, is_uncertain=is_uncertain) == step


@pytest.mark.parametrize(
    "disk",
    [
        volume_with(source={"csi": {"driver": "other.example.com", "volumeHandle": "h"}}, claim_ref=claim_ref(claim())),
        volume_with(source={"hostPath": {"path": "/tmp"}}, claim_ref=claim_ref(claim())),
        volume_with(source={"csi": {"driver": DRIVER, "volumeHandle": "h"}}),
        volume_with(source={"csi": {"driver": DRIVER, "volumeHandle": "h"}}, claim_ref=claim_ref(claim(), uid="u2")),
    ],
)
def test_what_is_of_others(disk: Any) -> None:  # VM-1
    step = decide_modification(claim(), disk, DRIVER, is_uncertain=True)
    assert step == NothingToModify(WhyNotModified.NOT_OURS)


@pytest.mark.parametrize(
    ("before", "after", "worth"),
    [
        (None, claim(), True),
        (claim(), claim("lead"), True),
        (claim(phase="Pending"), claim(), True),
        (claim(), claim(), True),  # nothing is under way, and it hasn't got what it wants
        (claim("silver"), claim("silver"), False),
        (claim(), claim(state="InProgress", target="gold"), False),
        (claim(state="InProgress", target="gold"), claim(state="Infeasible", target="gold"), False),
    ],
)
def test_what_is_worth_a_look(before: Claim | None, after: Claim, worth: bool) -> None:  # VM-1
    assert is_worth_a_look(before, after) == worth


def test_each_write_is_of_the_very_claim_and_leaves_other_conditions_alone() -> None:  # VM-6, VM-8, VM-9
    of = claim(conditions=[{"type": "Mine", "status": "True"}, {"type": "ModifyVolumeError", "status": "True"}])
    refused = failed(of, "gold", "InvalidArgument", "no", NOW, is_final=True, is_infeasible=True)
    for change in (begun(of, "gold", NOW), refused, pending(of)):
        assert change["metadata"] == {"uid": "u1", "resourceVersion": "7"}
    for change in (succeeded(of, "gold"), cancelled(of)):
        assert change["metadata"] == {"uid": "u1"}
    assert with_class(DISK, "gold")["metadata"] == {"uid": "uid-of-disk", "resourceVersion": "1"}
    assert succeeded(of, "gold")["status"]["conditions"] == [{"$patch": "delete", "type": "ModifyVolumeError"}]
    error = next(one for one in refused["status"]["conditions"] if one["type"] == "ModifyVolumeError")
    assert error == {
        "type": "ModifyVolumeError",
        "status": "True",
        "reason": "InvalidArgument",
        "message": "no",
        "lastProbeTime": NOW,
        "lastTransitionTime": NOW,  # it has another reason now
    }
