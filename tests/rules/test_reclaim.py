"""What becomes of a volume whose claim is gone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.rules.objects import SmallWorld, claim, claim_ref, pod, volume

from pvbinder.model.objects import Volume
from pvbinder.rules import reclaim
from pvbinder.rules.plugins import NoPlugins, PluginAbilities
from pvbinder.rules.reclaim import (
    CannotDelete,
    CannotRecycle,
    DeleteOutside,
    DeleteWith,
    Leave,
    LeaveReason,
    NotReleased,
    RecycleWith,
    StartDeleting,
    StartRecycling,
    StillUsed,
    decide_reclaim,
    decide_recycling,
    find_deleter,
    is_released,
)

OURS = claim()
REF = claim_ref(OURS)
BY = "pv.kubernetes.io/provisioned-by"
MIGRATED = "pv.kubernetes.io/migrated-to"

HOST_PATH = PluginAbilities("kubernetes.io/host-path", can_provision=True, can_delete=True, can_recycle=True)
NFS = PluginAbilities("kubernetes.io/nfs", can_recycle=True, takes_mount_options=True)


class Plugins:
    """hostPath and NFS, as in the binder (9.3)."""

    def named(self, name: str) -> PluginAbilities | None:
        return {plugin.name: plugin for plugin in (HOST_PATH, NFS)}.get(name)

    def supporting(self, volume: Volume) -> Sequence[PluginAbilities]:
        return {"hostPath": [HOST_PATH], "nfs": [NFS], "both": [HOST_PATH, NFS]}.get(volume.source, [])


RULES = {"Retain": "RC-2", "Recycle": "RC-3", "Delete": "RC-4"}
POLICIES = {
    "Retain": Leave(LeaveReason.RETAINED),
    "Recycle": StartRecycling(),
    "Delete": StartDeleting(),
}


@pytest.mark.parametrize(("policy", "action"), POLICIES.items())
def test_the_policy_decides(policy: str, action: object) -> None:
    assert decide_reclaim(volume(policy=policy)) == action
    assert decide_reclaim(volume(policy=policy)).rule == RULES[policy]
    assert decide_reclaim(volume(policy=policy, annotations={MIGRATED: "csi"})) == Leave(LeaveReason.MIGRATED)
    assert decide_reclaim(volume(policy=policy, annotations={MIGRATED: ""})) == action


def test_a_policy_that_nobody_knows_fails_the_volume() -> None:  # RC-5, E-17
    action = decide_reclaim(volume(policy="Burn"))
    assert isinstance(action, reclaim.RefusePolicy)
    assert str(action.event) == (
        "Warning VolumeUnknownReclaimPolicy Volume has unrecognized PersistentVolumeReclaimPolicy"
    )


RELEASED = {  # RC-6
    "unclaimed": (None, [], False),
    "reserved by name": (claim_ref(OURS, uid=""), [], False),
    "claim gone": (REF, [], True),
    "another claim of that name": (REF, [claim(uid="newer")], True),
    "its claim, not bound yet": (REF, [OURS], False),
    "its claim, bound to it": (REF, [claim(volume_name="disk")], False),
    "its claim, bound elsewhere": (REF, [claim(volume_name="other")], True),
}


@pytest.mark.parametrize(("ref", "claims", "released"), RELEASED.values(), ids=RELEASED.keys())
def test_is_released(ref, claims, released: bool) -> None:  # type: ignore[no-untyped-def]
    assert is_released(volume(claim_ref=ref), SmallWorld(claims=claims)) == released


def by_source(name: str, why: str) -> CannotDelete:
    return CannotDelete(f'error getting deleter volume plugin for volume "{name}": {why}')


DELETERS = {  # DL-1
    "by name": (volume(annotations={BY: HOST_PATH.name}, source={"nfs": {}}), DeleteWith(HOST_PATH)),
    "by foreign name": (volume(annotations={BY: "csi.example.com"}), DeleteOutside()),
    "by unknown in-tree name": (
        volume(annotations={BY: "kubernetes.io/gone"}),
        CannotDelete("no volume plugin matched name: kubernetes.io/gone"),
    ),
    "by name that can't": (
        volume(annotations={BY: NFS.name}),
        CannotDelete("no deletable volume plugin matched"),
    ),
    "by empty name": (volume(annotations={BY: ""}), DeleteWith(HOST_PATH)),
    "migrated": (volume(annotations={MIGRATED: ""}), DeleteOutside()),
    "CSI": (volume(source={"csi": {"driver": "d"}}), DeleteOutside()),
    "by source": (volume(), DeleteWith(HOST_PATH)),
    "by source that can't": (volume("x", source={"nfs": {}}), by_source("x", "no deletable volume plugin matched")),
    "by unknown source": (volume("x", source={"local": {}}), by_source("x", "no volume plugin matched")),
    "by ambiguous source": (
        volume("x", source={"both": {}}),
        by_source("x", "multiple volume plugins matched: kubernetes.io/host-path,kubernetes.io/nfs"),
    ),
}


@pytest.mark.parametrize(("found", "deleter"), DELETERS.values(), ids=DELETERS.keys())
def test_find_deleter(found: Volume, deleter: object) -> None:
    assert find_deleter(found, Plugins()) == deleter


def test_recycling_waits_for_the_release() -> None:  # RY-1
    assert decide_recycling(volume(), SmallWorld(plugins=Plugins())) == NotReleased()
    assert decide_recycling(volume(claim_ref=REF), SmallWorld(claims=[OURS])) == NotReleased()


def test_recycling_waits_for_pods_unless_a_new_claim_has_the_name() -> None:  # RY-2, E-14
    pods = [pod("b"), pod("a"), pod("over", phase="Failed")]
    found = volume(claim_ref=REF)
    waiting = decide_recycling(found, SmallWorld(pods=pods, plugins=Plugins()))
    assert isinstance(waiting, StillUsed)
    assert str(waiting.event) == "Normal VolumeFailedRecycle Volume is used by pods: shop/a,shop/b"
    world = SmallWorld(pods=pods, claims=[claim(uid="newer")], plugins=Plugins())
    assert decide_recycling(found, world) == RecycleWith(HOST_PATH)


def test_recycling_needs_a_plugin() -> None:  # RY-3, E-12
    found = volume(claim_ref=REF)
    assert isinstance(decide_recycling(found, SmallWorld(plugins=NoPlugins())), CannotRecycle)
    assert decide_recycling(found, SmallWorld(plugins=Plugins())) == RecycleWith(HOST_PATH)
