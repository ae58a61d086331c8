"""The contracts of the audit: findings as values, the list of codes, and the run over all finders."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec import structs
from tests.insight import builders as make

from pvbinder.audit import codes, find_all
from pvbinder.audit.finding import LEVELS, AuditSubject, Finding, is_at_least, worst_first
from pvbinder.audit.survey import COMPARISONS_MAX, Options, Survey
from pvbinder.insight.claims import explain_claim
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.objects import ClaimKey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAULTS = (
    make.claim(),
    make.storage_class(name="slow"),
    make.volume("small", "5Gi"),
    make.volume("old", phase="Released", claimRef=make.EARLIER),
    make.volume("unusable", accessModes=[]),
    make.pod(claims=("nothing",)),
)


def finding(**fields: object) -> Finding:
    subject = AuditSubject("PersistentVolume", "", "disk")
    return structs.replace(Finding(code="PVB201", level="warning", subject=subject, summary="it is released"), **fields)


def test_finding_1_every_code_has_its_shape_and_stands_for_one_thing() -> None:
    assert all(code == each.code and len(code) == 6 and code[3] in codes.FAMILIES for code, each in codes.CODES.items())
    names = [each.name for each in codes.CODES.values()]
    assert len(set(names)) == len(names)


def test_finding_2_a_key_says_what_is_wrong_with_which_object_and_nothing_else() -> None:
    assert finding().key == finding(summary="other words", level="information").key
    assert finding().key != finding(subject=AuditSubject("PersistentVolume", "", "disk-2")).key
    assert finding().key != finding(about="another").key


def test_codes_1_a_code_that_isnt_there_is_refused_with_its_family() -> None:
    assert codes.find_code("pvb201") is codes.find_code("201") is codes.CODES["PVB201"]
    with pytest.raises(codes.UnknownCodeError) as refused:
        codes.find_code("PVB299")
    assert "PVB201" in (refused.value.hint or "")
    assert "PVB101" not in (refused.value.hint or "")


def test_codes_2_no_finding_is_worse_than_its_code() -> None:
    found = find_all(Snapshot(FAULTS), NOW)
    assert all(is_at_least(codes.CODES[each.code].level, each.level) for each in found)


def test_findings_are_told_worst_first() -> None:
    told = worst_first([finding(level=level) for level in reversed(LEVELS)])
    assert [each.level for each in told] == list(LEVELS)
    assert is_at_least("error", "warning")
    assert not is_at_least("information", "warning")


def test_find_all_1_the_same_objects_give_the_same_findings() -> None:
    assert find_all(Snapshot(FAULTS), NOW) == find_all(Snapshot(reversed(FAULTS)), NOW)


def test_find_all_2_every_code_is_registered() -> None:
    found = find_all(Snapshot(FAULTS), NOW)
    assert {"PVB102", "PVB118", "PVB201", "PVB202"} <= {each.code for each in found} <= set(codes.CODES)


def test_find_all_3_an_object_that_cant_be_read_hides_no_other() -> None:
    broken = make.claim("broken", resources={"requests": {"storage": "ten"}})
    assert find_all(Snapshot((broken, *FAULTS)), NOW) == find_all(Snapshot(FAULTS), NOW)


def test_survey_1_a_derived_fact_is_worked_out_once() -> None:
    survey = Survey(Snapshot(FAULTS), NOW, Options())
    assert survey.pending is survey.pending
    assert survey.free is survey.free


def test_survey_2_beyond_the_budget_the_nearest_miss_is_left_out() -> None:
    survey = Survey(Snapshot(FAULTS), NOW, Options())
    (claim,) = survey.snapshot.claims()
    assert survey.nearest_misses(claim)
    exhausted = Survey(Snapshot(FAULTS), NOW, Options())
    assert exhausted.may_compare(COMPARISONS_MAX)
    assert exhausted.nearest_misses(claim) == []


def test_claim_findings_1_the_audit_says_what_explain_says() -> None:
    snapshot = Snapshot(FAULTS)
    claim = snapshot.claim(ClaimKey("shop/orders"))
    assert claim is not None
    told = next(each for each in find_all(snapshot, NOW) if each.subject.key == "shop/orders")
    explained = explain_claim(claim, snapshot)
    assert (told.summary, told.rules) == (explained.summary, explained.rules)


def test_claim_findings_2_what_isnt_known_is_no_error() -> None:
    alone = find_all(Snapshot((make.claim(),)), NOW)
    assert [(each.code, each.level) for each in alone] == [("PVB102", "information")]
    known = find_all(Snapshot((make.claim(), make.storage_class(name="slow"))), NOW)
    assert [each.level for each in known if each.code == "PVB102"] == ["error"]
