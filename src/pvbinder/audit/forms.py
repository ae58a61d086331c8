"""An audit for programs: JSON, SARIF, JUnit, Markdown, and samples for Prometheus.

FORMS-1  The JSON form is versioned, and every finding is in it, the silenced ones with their reasons.
FORMS-2  SARIF is valid by the schema of version 2.1.0: its rules are the registered codes, a finding about a manifest
         has file and line, and a silenced one is suppressed.
FORMS-3  JUnit has a case for each code, which fails if it was found at the level that fails; XML can't be broken out
         of, whatever names objects have.
FORMS-4  A cell or link of Markdown can't be broken out of either.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from pvbinder.audit.codes import CODES
from pvbinder.audit.finding import LEVELS, VERSION, AuditSubject, Finding, FindingLevel, is_at_least
from pvbinder.audit.manifests import manifest_for
from pvbinder.audit.places import SourcePlace
from pvbinder.audit.report import headline
from pvbinder.insight.remedies import sentence
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.json import Json
from pvbinder.model.printable import printable

_SARIF_LEVELS: Final[dict[FindingLevel, str]] = {"error": "error", "warning": "warning", "information": "note"}
_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class ToldFinding(Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """A finding as JSON has it: the way out in sentences, beside the values."""

    code: str
    name: str
    level: FindingLevel
    kind: str
    namespace: str = ""
    object: str
    summary: str
    evidence: tuple[dict[str, str], ...] = ()
    rules: tuple[str, ...] = ()
    way_out: tuple[str, ...] = ()
    manifests: tuple[Json, ...] = ()  # what ways out that are no commands create; words in capitals are to be replaced
    others: tuple[str, ...] = ()
    key: str
    silenced: str = ""
    file: str = ""
    line: int = 0


class AuditDocument(Struct, frozen=True, rename="camel", kw_only=True, tag_field="kind", tag="Audit"):
    """An audit as JSON (FORMS-1)."""

    version: int = VERSION
    at: str
    counts: dict[str, int]
    findings: tuple[ToldFinding, ...]


def as_json(
    findings: Sequence[Finding], now: datetime, places: Mapping[AuditSubject, SourcePlace], snapshot: Snapshot
) -> str:
    """Return the audit as JSON (FORMS-1)."""
    counts = Counter(each.level for each in findings if not each.silenced)
    audit = AuditDocument(
        at=now.isoformat().replace("+00:00", "Z"),
        counts={level: counts[level] for level in LEVELS},
        findings=tuple(_told(each, places, snapshot) for each in findings),
    )
    return msgspec.json.format(msgspec.json.encode(audit), indent=2).decode()


def _told(finding: Finding, places: Mapping[AuditSubject, SourcePlace], snapshot: Snapshot) -> ToldFinding:
    place = places.get(finding.subject)
    manifests = (manifest_for(finding, each, snapshot) for each in finding.way_out)
    return ToldFinding(
        code=finding.code,
        name=CODES[finding.code].name,
        level=finding.level,
        kind=finding.subject.kind,
        namespace=finding.subject.namespace,
        object=finding.subject.name,
        summary=finding.summary,
        evidence=tuple(
            {"what": each.what, "found": each.found, **({"wanted": each.wanted} if each.wanted else {})}
            for each in finding.evidence
        ),
        rules=finding.rules,
        way_out=tuple(map(sentence, finding.way_out)),
        manifests=tuple(each for each in manifests if each is not None),
        others=tuple(map(str, finding.others)),
        key=finding.key,
        silenced=finding.silenced,
        file=place.file if place is not None else "",
        line=place.line if place is not None else 0,
    )


def as_sarif(findings: Sequence[Finding], places: Mapping[AuditSubject, SourcePlace], version: str) -> str:
    """Return the audit as SARIF 2.1.0 (FORMS-2)."""
    codes = sorted({each.code for each in findings})
    rules = [_sarif_rule(code) for code in codes]
    results = [_sarif_result(each, codes.index(each.code), places) for each in findings]
    return sarif_log(rules, results, version)


def sarif_log(rules: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]], version: str) -> str:
    """Return a log of one run of pvbinder `version` (SARIF 2.1.0, 3.13)."""
    driver = {"name": "pvbinder", "version": version, "rules": rules}
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode()


def _sarif_rule(code: str) -> dict[str, Any]:
    found = CODES[code]
    return {
        "id": code,
        "name": found.name,
        "shortDescription": {"text": found.title},
        "fullDescription": {"text": found.meaning},
        "help": {"text": f"{found.way_out} (pvbinder audit --help-finding {code})"},
        "defaultConfiguration": {"level": _SARIF_LEVELS[found.level]},
    }


def _sarif_result(finding: Finding, index: int, places: Mapping[AuditSubject, SourcePlace]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _SARIF_LEVELS[finding.level],
        "message": {"text": _message(finding)},
        "locations": [sarif_location(str(finding.subject), places.get(finding.subject))],
        "partialFingerprints": {"pvbinder/v1": finding.key},
    }
    if finding.silenced:
        result["suppressions"] = [{"kind": "external", "justification": finding.silenced}]
    return result


def sarif_location(name: str, place: SourcePlace | None) -> dict[str, Any]:
    """Return where the object called `name` is: in a file, if its `place` is known (SARIF 2.1.0, 3.28)."""
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": name, "kind": "resource"}]}
    if place is not None:
        region = {"region": {"startLine": place.line}} if place.line else {}
        location["physicalLocation"] = {"artifactLocation": {"uri": place.file.replace("\\", "/")}, **region}
    return location


def _message(finding: Finding) -> str:
    return printable(f"{finding.subject}: {finding.summary}")


def as_junit(findings: Sequence[Finding], fails: FindingLevel | None, now: datetime) -> str:
    """Return the audit as JUnit XML: a case for each registered code (FORMS-3)."""
    by_code: dict[str, list[Finding]] = {code: [] for code in CODES}
    for each in findings:
        by_code[each.code].append(each)
    cases: list[str] = []
    failures = skipped = 0
    for code, found in by_code.items():
        told = [each for each in found if not each.silenced and fails is not None and is_at_least(each.level, fails)]
        name = xml_attribute(f"{code} {CODES[code].title}")
        inner = ""
        if told:
            failures += 1
            text = xml_text("\n".join(_message(each) for each in told))
            inner = f"<failure message={xml_attribute(f'{len(told)} found')}>{text}</failure>"
        elif reasons := sorted({each.silenced for each in found if each.silenced}):
            skipped += 1
            inner = f"<skipped message={xml_attribute(clean_text('; '.join(reasons)))}/>"
        family = CODES[code].family.replace(" ", "-")
        cases.append(f'  <testcase classname="pvbinder.audit.{family}" name={name}>{inner}</testcase>')
    head = (
        f'<testsuite name="pvbinder audit" tests="{len(cases)}" failures="{failures}" skipped="{skipped}" errors="0" '
        f'timestamp="{now.isoformat()}">'
    )
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", head, *cases, "</testsuite>", "</testsuites>"]
    )


def xml_text(text: str) -> str:
    """Return `text` as the content of an element (FORMS-3)."""
    from xml.sax.saxutils import escape  # it imports urllib, which takes time

    return escape(clean_text(text))


def xml_attribute(text: str) -> str:
    """Return `text` as an attribute of XML, in its quotes (FORMS-3)."""
    from xml.sax.saxutils import quoteattr

    return quoteattr(text)


def clean_text(text: str) -> str:
    """Return `text` without the characters that XML can't have."""
    return _NOT_XML.sub("\ufffd", text)


def as_markdown(findings: Sequence[Finding], least: FindingLevel) -> str:
    """Return the audit as a table for a pull request (FORMS-4)."""
    told = [each for each in findings if not each.silenced]
    shown = [each for each in told if is_at_least(each.level, least)]
    lines = [f"**pvbinder audit: {headline(told)}**"]
    if shown:
        lines += ["", "| level | finding | object | what is wrong |", "|---|---|---|---|"]
    for each in shown:
        subject = f"{each.subject.kind} `{_cell(each.subject.key)}`"
        lines.append(f"| {each.level} | {each.code} | {subject} | {_cell(each.summary)} |")
    silenced = len(findings) - len(told)
    if silenced:
        lines += ["", f"{silenced} silenced."]
    return "\n".join(lines)


def _cell(text: str) -> str:
    safe = printable(text).replace("\\", "\\\\")
    for mark in "|`<>[]*_":
        safe = safe.replace(mark, {"<": "&lt;", ">": "&gt;"}.get(mark, "\\" + mark))
    return safe


def counted(findings: Iterable[Finding]) -> Counter[tuple[str, FindingLevel]]:
    """Return how many findings there are of each code and level, without the silenced ones."""
    return Counter((each.code, each.level) for each in findings if not each.silenced)


def as_prometheus(findings: Sequence[Finding]) -> str:
    """Return the audit as samples in the text format of Prometheus: zero for each code that wasn't found."""
    counts = counted(findings)
    lines = ["# HELP pvbinder_finding Findings of the audit by code and level.", "# TYPE pvbinder_finding gauge"]
    for code, registered in CODES.items():
        levels = [level for level in LEVELS if counts[code, level]] or [registered.level]
        lines += [f'pvbinder_finding{{code="{code}",level="{level}"}} {counts[code, level]}' for level in levels]
    return "\n".join(lines)
