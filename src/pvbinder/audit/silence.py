"""What nobody is to be bothered with: findings silenced by annotation, by rule file, or by a baseline.

SILENCE-1  A finding is silenced only with a reason, which goes with it into every form of output that has room for it.
SILENCE-2  A rule names at least a code or an object; one that is over (`until`) silences nothing.
SILENCE-3  A baseline silences what was found before, by `Finding.key`: what is new is told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from pvbinder.audit.finding import AuditSubject, Finding
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import claim_key

ANNOTATION: Final = "pvbinder.io/silence"  # "PVB201: kept until the audit is over", one a line
RULES_MAX: Final = 10_000
_IN_BASELINE: Final = "in the baseline"
_ENTRY: Final = re.compile(r"\s*(PVB[0-9?*]+|\*)\s*:\s*(\S.*?)\s*", re.IGNORECASE)


class SilenceError(PvbinderError):
    """A rule file or baseline can't be read."""


class SilenceRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Findings that nobody is to be bothered with; texts are patterns (``*``, ``?``), ``""`` is anything."""

    reason: str
    code: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    until: date | None = None

    def matches(self, finding: Finding, today: date) -> bool:
        """Tell whether `finding` is meant (SILENCE-2)."""
        if self.until is not None and today > self.until:
            return False
        subject = finding.subject
        pairs = (
            (self.code.upper(), finding.code),
            (self.kind, subject.kind),
            (self.namespace, subject.namespace),
            (self.name, subject.name),
        )
        return all(not pattern or fnmatchcase(value, pattern) for pattern, value in pairs)


class _RuleFile(Struct, forbid_unknown_fields=True):
    silence: list[SilenceRule]


class Baseline(Struct, frozen=True, forbid_unknown_fields=True):
    """The findings of an earlier audit, by key."""

    kind: str = "AuditBaseline"
    version: int = 1
    findings: tuple[str, ...] = ()


def parse_rules(document: Any) -> tuple[SilenceRule, ...]:
    """Return the rules in a rule file, or raise SilenceError (SILENCE-1, SILENCE-2)."""
    try:
        rules = msgspec.convert(document, _RuleFile).silence
    except msgspec.ValidationError as error:
        raise SilenceError(f"no rule file: {error}", hint="it has a list `silence`, each with a reason") from error
    if len(rules) > RULES_MAX:
        raise SilenceError(f"a rule file with more than {RULES_MAX} rules")
    for number, rule in enumerate(rules, start=1):
        if not rule.reason.strip():
            raise SilenceError(f"rule {number} has no reason", hint="say why nobody is to be bothered")
        if not (rule.code or rule.name or rule.namespace or rule.kind):
            raise SilenceError(f"rule {number} names neither a code nor an object")
    return tuple(rules)


def parse_baseline(data: bytes) -> frozenset[str]:
    """Return the keys in a baseline, or raise SilenceError."""
    try:
        found = msgspec.json.decode(data, type=Baseline)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SilenceError(f"no baseline: {error}", hint="--write-baseline writes one") from error
    if found.kind != "AuditBaseline" or found.version != 1:
        raise SilenceError(f"no baseline of version 1: it is {found.kind} of version {found.version}")
    return frozenset(found.findings)


def baseline_of(findings: Iterable[Finding]) -> bytes:
    """Return a baseline of `findings`."""
    keys = tuple(sorted({each.key for each in findings}))
    return msgspec.json.format(msgspec.json.encode(Baseline(findings=keys)), indent=2) + b"\n"


def with_silence(
    findings: Sequence[Finding],
    snapshot: Snapshot,
    today: date,
    *,
    rules: Sequence[SilenceRule] = (),
    baseline: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Return `findings`, each silenced if its object, a rule or the baseline says so (SILENCE-1 to SILENCE-3)."""
    annotated = _Annotated(snapshot)
    return tuple(
        structs.replace(each, silenced=reason)
        if (reason := annotated.reason(each) or _by_rule(each, rules, today) or _by_baseline(each, baseline))
        else each
        for each in findings
    )


def _by_rule(finding: Finding, rules: Sequence[SilenceRule], today: date) -> str:
    return next((rule.reason.strip() for rule in rules if rule.matches(finding, today)), "")


def _by_baseline(finding: Finding, baseline: Collection[str]) -> str:
    return _IN_BASELINE if finding.key in baseline else ""


class _Annotated:
    """The objects with the annotation."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def reason(self, finding: Finding) -> str:
        text = self._text(finding.subject)
        if not text:
            return ""
        for line in re.split(r"[\n;]", text):
            entry = _ENTRY.fullmatch(line)
            if entry is not None and fnmatchcase(finding.code, entry[1].upper()):
                return entry[2]
        return ""

    def _text(self, subject: AuditSubject) -> str:
        snapshot = self._snapshot
        match subject.kind:
            case "PersistentVolumeClaim":
                claim = snapshot.claim(claim_key(subject.namespace, subject.name))
                return _text(claim.annotations if claim is not None else {})
            case "PersistentVolume":
                volume = snapshot.volume(subject.name)
                return _text(volume.annotations if volume is not None else {})
            case "StorageClass":
                storage_class = snapshot.storage_class(subject.name)
                return _text(storage_class.annotations if storage_class is not None else {})
            case "Pod":
                pod = snapshot.pod(subject.key)
                return _text(pod.annotations if pod is not None else {})
            case "Node":
                node = snapshot.node(subject.name)
                return _text(node.annotations if node is not None else {})
            case "StatefulSet":
                found = snapshot.stateful_set(subject.key)
                return _text(found.annotations if found is not None else {})
            case kind:
                return next((_text(_annotations(each)) for each in snapshot.others(kind) if _is(each, subject)), "")


def _text(annotations: Mapping[str, Any]) -> str:
    return str(annotations.get(ANNOTATION) or "")


def _annotations(document: Json) -> Mapping[str, Any]:
    metadata = document.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _is(document: Json, subject: AuditSubject) -> bool:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return False
    return (metadata.get("namespace") or "", metadata.get("name")) == (subject.namespace, subject.name)
