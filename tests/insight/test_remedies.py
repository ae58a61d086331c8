"""Remedies say themselves in sentences that can be followed."""

from __future__ import annotations

import shlex

import pytest
from tests.insight.builders import claim, storage_class, volume
from tests.insight.situations import SITUATIONS
from tests.insight.test_advice import remedies_of

from pvbinder.insight.remedies import AddVolume, Kubectl, RecreateClaim, Remedy, sentence, volume_for
from pvbinder.model.json import encode
from pvbinder.model.objects import parse_claim
from pvbinder.rules.matching import Misfit

ALL = [remedy for each in SITUATIONS.values() if each.target == "pvc/orders" for remedy in remedies_of(each.documents)]


def test_remedy_2_a_command_is_typed_as_it_is_shown() -> None:
    awkward = Kubectl("do it", ("label", "pv", "disk", 'a=it\'s; rm -rf "$HOME"', "--overwrite"))
    shown = sentence(awkward).removeprefix("do it: kubectl ")
    assert shlex.split(shown) == list(awkward.arguments)
    commands = [remedy for remedy in ALL if isinstance(remedy, Kubectl)]
    assert commands
    for command in commands:
        assert shlex.split(sentence(command).rpartition(": kubectl ")[2]) == list(command.arguments)


@pytest.mark.parametrize(
    ("remedy", "said"),
    {
        "all that is wrong at once": (
            RecreateClaim(storage_max="8Gi", storage_class="slow", access_modes=("ReadWriteMany",), because="so"),
            "create the claim anew with at most 8Gi and with class slow and with RWX (so)",
        ),
        "no class on purpose": (RecreateClaim(storage_class=""), 'create the claim anew with storageClassName ""'),
        "a volume with everything": (
            AddVolume("1Gi", ("ReadWriteOnce",), "Block", "fast", "gold", {}, "a=b", node="n1"),
            (
                "add a volume with at least 1Gi, RWO, volumeMode Block, class fast, attributes class gold, "
                "labels that match the selector (a=b), on node n1"
            ),
        ),
    }.values(),
)
def test_what_is_said(remedy: Remedy, said: str) -> None:
    assert sentence(remedy) == said


def test_a_volume_for_a_claim_has_labels_that_its_selector_finds() -> None:
    expressions = [{"key": "zone", "operator": "In", "values": ["a", "b"]}, {"key": "ssd", "operator": "Exists"}]
    selector = {"matchLabels": {"tier": "gold"}, "matchExpressions": expressions}
    wanted = parse_claim(encode(claim(selector=selector)))
    assert wanted.selector is not None
    assert wanted.selector.matches(volume_for(wanted).labels)


def test_advice_1_all_reasons_decide_what_is_advised() -> None:
    documents = (
        claim(accessModes=["ReadWriteMany"]),
        storage_class("kubernetes.io/no-provisioner"),
        volume("disk", "8Gi", storageClassName="slow"),
    )
    (anew,) = (each for each in remedies_of(documents) if isinstance(each, RecreateClaim))
    assert (anew.storage_max, anew.storage_class, anew.access_modes) == ("8Gi", "slow", ("ReadWriteOnce",))


def test_advice_2_what_others_have_or_what_is_going_is_never_advised() -> None:
    others = {"namespace": "shop", "name": "invoices", "uid": "u"}
    going = {"deletionTimestamp": "2026-03-01T10:00:00Z", "finalizers": ["kubernetes.io/pv-protection"]}
    documents = (
        claim(storageClassName=""),
        volume("taken", storageClassName="", phase="Bound", claimRef=others),
        volume("going", "1Gi", storageClassName="", meta=going),
        volume("over", storageClassName="", phase="Released", claimRef=others, persistentVolumeReclaimPolicy="Delete"),
    )
    text = "\n".join(map(sentence, remedies_of(documents)))
    assert not any(name in text for name in ("taken", "going", "over"))


def test_misfits_of_an_earlier_claim_are_told_by_its_uid() -> None:
    from pvbinder.insight.wording import why_not

    misfit = Misfit("ClaimedByAnother", "shop/orders (uid new)", "shop/orders (uid old)")
    assert why_not(misfit) == "claimed by an earlier claim shop/orders (uid old), which is gone"
