"""The forms of an audit: text, JSON, SARIF, JUnit, Markdown and samples, whatever objects are called."""

from __future__ import annotations

import json
import re
import textwrap
from datetime import date
from xml.etree import ElementTree

import pytest
import yaml
from msgspec import structs
from tests.audit.faults import FAULTS
from tests.audit.world import NOW, audited, snapshot_of
from tests.insight.builders import Document, claim, storage_class, volume

from pvbinder.audit.codes import CODES, find_code
from pvbinder.audit.finding import AuditSubject, Evidence, Finding
from pvbinder.audit.forms import as_json, as_junit, as_markdown, as_prometheus, as_sarif
from pvbinder.audit.leaks import driver_findings
from pvbinder.audit.places import PLACED_BYTES_MAX, SourcePlace, places_in
from pvbinder.audit.report import SUBJECTS_SHOWN_MAX, help_of, report
from pvbinder.audit.silence import (
    SilenceError,
    SilenceRule,
    baseline_of,
    parse_baseline,
    parse_rules,
    with_silence,
)
from pvbinder.controllers.csi.audit import AuditFindings
from pvbinder.insight.snapshot import Snapshot
from pvbinder.rules.csi.audit import Audit, DriverEntry, Named

WORLD: tuple[Document, ...] = tuple(each for _, _, world in FAULTS.values() for each in world)
FOUND = audited(WORLD)
TODAY = date(2026, 3, 20)
EVIL = "a|b`c<d>]]>&\x1b[31m\n\x00"


def evil() -> Finding:
    subject = AuditSubject("PersistentVolume", "", EVIL)
    return Finding(
        code="PVB201", level="warning", subject=subject, summary=EVIL, evidence=(Evidence(EVIL, EVIL, EVIL),)
    )


@pytest.mark.parametrize("width", [20, 40, 80, 100])
def test_report_1_no_line_is_wider_than_asked_but_for_commands_and_words(width: int) -> None:
    text = report(FOUND, snapshot_of(WORLD), width, all_subjects=True)
    wide = [line for line in text.splitlines() if len(line) > width and len(line.split()) > 1]
    assert all(line.strip().startswith("kubectl ") for line in wide), wide
    assert all(code in text for code in {each.code for each in FOUND})


def test_report_2_what_isnt_shown_is_counted() -> None:
    many = [structs.replace(evil(), subject=AuditSubject("PersistentVolume", "", f"disk-{n}")) for n in range(15)]
    text = report(many, Snapshot(), 80, all_subjects=False)
    assert f"and {15 - SUBJECTS_SHOWN_MAX} more (--all shows them)" in text
    assert "disk-14" in report(many, Snapshot(), 80, all_subjects=True)
    assert "15 more of a lower level" in report(many, Snapshot(), 80, least="error", all_subjects=False)
    silenced = [structs.replace(each, silenced="known") for each in many]
    assert "15 silenced" in report(silenced, Snapshot(), 80, all_subjects=False)
    assert report((), Snapshot(), 80, all_subjects=False) == "nothing is wrong in 0 claims, 0 volumes, 0 classes\n"


def test_forms_1_json_has_every_finding_and_a_version() -> None:
    first, *others = FOUND
    told = json.loads(as_json((structs.replace(first, silenced="known"), *others), NOW, {}, snapshot_of(WORLD)))
    assert (told["kind"], told["version"]) == ("Audit", 1)
    assert [each["key"] for each in told["findings"]] == [each.key for each in FOUND]
    assert told["findings"][0]["silenced"] == "known"
    assert sum(told["counts"].values()) == len(others)


def test_forms_2_sarif_names_rules_files_and_lines() -> None:
    finding = evil()
    places = {finding.subject: SourcePlace("deploy/pv.yaml", 7)}
    log = json.loads(as_sarif((finding, structs.replace(finding, code="PVB202", silenced="known")), places, "1.0"))
    run = log["runs"][0]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["PVB201", "PVB202"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location == {"artifactLocation": {"uri": "deploy/pv.yaml"}, "region": {"startLine": 7}}
    assert run["results"][0]["level"] == "warning"
    assert run["results"][1]["suppressions"] == [{"kind": "external", "justification": "known"}]


def test_forms_3_junit_has_a_case_for_each_code_and_cant_be_broken() -> None:
    root = ElementTree.fromstring(as_junit((evil(), *FOUND), "error", NOW))
    suite = root[0]
    assert int(suite.get("tests", "0")) == len(CODES) == len(suite)
    failed = {(case.get("name") or "")[:6] for case in suite if case.find("failure") is not None}
    assert failed == {each.code for each in FOUND if each.level == "error"}
    warned = ElementTree.fromstring(as_junit((evil(),), "warning", NOW))
    assert warned[0].get("failures") == "1"
    silenced = ElementTree.fromstring(as_junit((structs.replace(evil(), silenced=EVIL),), "warning", NOW))
    assert (silenced[0].get("failures"), silenced[0].get("skipped")) == ("0", "1")
    assert ElementTree.fromstring(as_junit((evil(),), None, NOW))[0].get("failures") == "0"


def test_forms_4_a_cell_of_markdown_cant_be_broken() -> None:
    lines = as_markdown((evil(),), "warning").splitlines()
    (row,) = (line for line in lines if line.startswith("| warning"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert not re.search(r"<d>|\x1b|(?<!\\)\[31m", row)
    assert as_markdown((), "warning") == "**pvbinder audit: nothing is wrong**"


def test_samples_have_a_line_for_each_code() -> None:
    text = as_prometheus((evil(), structs.replace(evil(), silenced="known")))
    assert 'pvbinder_finding{code="PVB201",level="warning"} 1' in text
    assert all(f'code="{code}"' in text for code in CODES)


def test_the_help_of_a_code_has_its_meaning_and_its_way_out() -> None:
    text = " ".join(help_of(find_code("PVB203"), 60).split())
    code = CODES["PVB203"]
    assert code.meaning in text
    assert code.way_out in text


YAML = b"""\
# a chart
apiVersion: v1
kind: PersistentVolume
metadata:
  name: disk
---
apiVersion: v1
kind: List
items:
- kind: PersistentVolumeClaim
  metadata: {name: orders}
- kind: PersistentVolumeClaim
  metadata:
    namespace: shop
    name: invoices
"""


def test_places_1_each_object_has_its_line() -> None:
    places = places_in(
        [("a.yaml", YAML), ("b.json", b'{"kind": "ClassList", "items": [\n{"metadata": {"name": "x"}}]}')]
    )
    assert places == {
        AuditSubject("PersistentVolume", "", "disk"): SourcePlace("a.yaml", 2),
        AuditSubject("PersistentVolumeClaim", "default", "orders"): SourcePlace("a.yaml", 10),
        AuditSubject("PersistentVolumeClaim", "shop", "invoices"): SourcePlace("a.yaml", 12),
        AuditSubject("Class", "default", "x"): SourcePlace("b.json", 2),
    }
    assert places_in([("broken.yaml", b"a: [")]) == {}
    assert places_in([("large.yaml", YAML + b"#" * PLACED_BYTES_MAX)]) == {}


# ------------------------------------------------------------------------------------------------ silence


def released(annotation: str = "") -> tuple[Document, ...]:
    meta = {"annotations": {"pvbinder.io/silence": annotation}} if annotation else {}
    reference = {"namespace": "shop", "name": "orders", "uid": "gone"}
    return (volume("disk", phase="Released", claimRef=reference, meta=meta), claim("other", storageClassName=""))


def silenced(documents: tuple[Document, ...], **how: object) -> dict[str, str]:
    snapshot = snapshot_of(documents)
    told = with_silence(audited(documents), snapshot, TODAY, **how)  # type: ignore[arg-type]
    return {each.code: each.silenced for each in told if each.code == "PVB201"}


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ("PVB201: kept for the auditors", "kept for the auditors"),
        ("PVB104: other; PVB2*: kept", "kept"),
        ("PVB104: other\npvb201: kept", "kept"),
        ("PVB201", ""),
        ("PVB201:", ""),
        ("PVB202: another", ""),
    ],
)
def test_silence_1_an_annotation_needs_a_reason(annotation: str, reason: str) -> None:
    assert silenced(released(annotation)) == {"PVB201": reason}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (SilenceRule(reason="known", code="PVB201"), "known"),
        (SilenceRule(reason="known", kind="PersistentVolume", name="di*"), "known"),
        (SilenceRule(reason="known", name="other"), ""),
        (SilenceRule(reason="known", code="PVB201", until=date(2026, 3, 19)), ""),
        (SilenceRule(reason="known", code="PVB201", until=date(2026, 3, 20)), "known"),
    ],
)
def test_silence_2_a_rule_names_what_it_silences(rule: SilenceRule, reason: str) -> None:
    assert silenced(released(), rules=(rule,)) == {"PVB201": reason}


@pytest.mark.parametrize(
    "document",
    [
        None,
        {"silence": [{"code": "PVB201"}]},
        {"silence": [{"code": "PVB201", "reason": " "}]},
        {"silence": [{"reason": "all"}]},
        {"silence": [{"code": "PVB201", "reason": "r", "untill": "2026-01-01"}]},
        {"silence": "PVB201"},
    ],
)
def test_a_rule_file_that_cant_be_meant_is_refused(document: object) -> None:
    with pytest.raises(SilenceError):
        parse_rules(document)


def test_silence_3_a_baseline_silences_what_is_known_and_nothing_new() -> None:
    known = parse_baseline(baseline_of(audited(released())))
    assert silenced(released(), baseline=known) == {"PVB201": "in the baseline"}
    assert silenced(released(), baseline=frozenset()) == {"PVB201": ""}
    for wrong in (b"", b"[]", b'{"kind": "AuditBaseline", "version": 2}', b'{"findings": [1]}'):
        with pytest.raises(SilenceError):
            parse_baseline(wrong)


# ------------------------------------------------------------------------------------------------ a driver


def test_a_driver_has_storage_that_no_object_names_and_the_reverse() -> None:
    volumes = Audit(2, 1, orphans=(DriverEntry("vol-1", 2**30),), missing=(Named("disk-9", "vol-9"),))
    snapshots = Audit(1, 0, unsettled=(DriverEntry("snap-1"),))
    told = list(driver_findings(AuditFindings("csi.example.com", volumes, snapshots, 1)))
    assert [(each.code, each.summary) for each in told] == [
        ("PVB801", "it has volume vol-1, 1Gi, and no object names it"),
        ("PVB804", "disk-9 names volume vol-9, which the driver doesn't have"),
    ]
    assert len({each.key for each in told}) == 2
    assert not list(driver_findings(AuditFindings("csi.example.com", None, None, 0)))


def test_a_way_out_that_is_no_command_has_its_manifest() -> None:
    world = (claim(storageClassName="fats"), storage_class())
    found = [each for each in audited(world) if each.code == "PVB102"]
    (told,) = json.loads(as_json(found, NOW, {}, snapshot_of(world)))["findings"]
    assert [each["kind"] for each in told["manifests"]] == ["PersistentVolumeClaim", "PersistentVolume", "StorageClass"]
    assert told["manifests"][0]["spec"]["storageClassName"] == "fast"
    text = report(found, snapshot_of(world), 80, all_subjects=False, manifests=True)
    shown = text[text.index("        apiVersion") : text.index("    - add a volume")]
    assert yaml.safe_load(textwrap.dedent(shown)) == told["manifests"][0]
    assert "apiVersion" not in report(found, snapshot_of(world), 80, all_subjects=False)
