"""Many claims at once, by what they have in common."""

from __future__ import annotations

from tests.insight.builders import Document, claim, storage_class, volume

from pvbinder.insight.causes import Causes, grouped
from pvbinder.insight.claims import explain_claim
from pvbinder.insight.report_others import causes_report
from pvbinder.insight.snapshot import Snapshot

DOCUMENTS: tuple[Document, ...] = (
    claim("a", storageClassName="gone"),
    claim("b"),
    claim("c", storageClassName="gone"),
    claim("d", storageClassName=""),
    claim("e", storageClassName="other"),
    storage_class(),
    volume("disk", storageClassName="other"),
)


def explained() -> Causes:
    snapshot = Snapshot(DOCUMENTS)
    return grouped(explain_claim(each, snapshot) for each in snapshot.claims())


def test_causes_1_every_claim_is_in_one_group_with_those_of_the_same_reason() -> None:
    found = explained()
    named = [[each.claim for each in cause.claims] for cause in found.causes]
    assert sorted(name for names in named for name in names) == [f"shop/{letter}" for letter in "abcde"]
    assert ["shop/a", "shop/c"] in named


def test_causes_2_the_largest_group_that_needs_somebody_comes_first() -> None:
    found = explained()
    assert [(cause.verdict, cause.reason) for cause in found.causes] == [
        ("Stuck", "ClassMissing"),
        ("Stuck", "NoVolumeFits"),
        ("OnItsWay", "WaitsForExternalProvisioner"),
        ("OnItsWay", "WillBind"),
    ]
    text = causes_report(found)
    assert text.startswith(
        "5 claims: 3 need somebody, 2 are on their way\n\n2 claims Pending: no volume fits it and there"
    )
    assert "\n  shop/a, shop/c\n" in text
    assert text.count("create StorageClass gone with a provisioner") == 1
    assert found.needs_action


def test_a_group_whose_claims_differ_says_each_in_words() -> None:
    snapshot = Snapshot((claim("a", volumeName="x"), claim("b", volumeName="y"), volume("x"), volume("y")))
    text = causes_report(grouped(explain_claim(each, snapshot) for each in snapshot.claims()))
    assert "2 claims Pending for one reason   (SC-P3)\n  shop/a: " in text
