"""An audit as text for a terminal: grouped by code, the worst first.

REPORT-1  No line is wider than asked, but for commands that are to be copied: those are never broken.
REPORT-2  A group shows `SUBJECTS_SHOWN_MAX` objects unless all are asked for; the rest is counted, nothing is hidden
          silently.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from pvbinder.audit.codes import CODES, FindingCode
from pvbinder.audit.finding import LEVELS, Finding, FindingLevel
from pvbinder.audit.manifests import manifest_for
from pvbinder.insight.remedies import Kubectl, Remedy, sentence
from pvbinder.insight.snapshot import Snapshot

SUBJECTS_SHOWN_MAX: Final = 10
REMEDIES_SHOWN_MAX: Final = 3
WIDTH_MIN: Final = 20
_PLURALS: Final[dict[FindingLevel, tuple[str, str]]] = {
    "error": ("error", "errors"),
    "warning": ("warning", "warnings"),
    "information": ("note", "notes"),
}


def report(
    findings: Sequence[Finding],
    snapshot: Snapshot,
    width: int,
    *,
    least: FindingLevel = "information",
    all_subjects: bool,
    manifests: bool = False,
) -> str:
    """Return the audit as text of lines of at most `width` characters, down to the level `least` (REPORT-1).

    With `manifests`, those of ways out that are no commands stand below them, as wide as they are.
    """
    shown_with = snapshot if manifests else None
    lines = _lines(findings, snapshot, max(width, WIDTH_MIN), least, all_subjects, shown_with)
    return "\n".join(lines) + "\n"


def _lines(
    findings: Sequence[Finding],
    snapshot: Snapshot,
    width: int,
    least: FindingLevel,
    all_subjects: bool,
    there: Snapshot | None,
) -> Iterator[str]:
    told = [each for each in findings if not each.silenced]
    yield from textwrap.wrap(f"{headline(told)} in {_counted(snapshot)}", width)
    shown = [each for each in told if LEVELS.index(each.level) <= LEVELS.index(least)]
    for (_, code), group in groupby(shown, key=lambda each: (each.level, each.code)):
        yield ""
        yield from _group(CODES[code], list(group), width, all_subjects, there)
    silenced = len(findings) - len(told)
    hidden = len(told) - len(shown)
    if silenced or hidden:
        yield ""
    if hidden:
        yield from textwrap.wrap(f"{hidden} more of a lower level: --level information shows them", width)
    if silenced:
        yield from textwrap.wrap(f"{silenced} silenced: -o json has them with their reasons", width)


def headline(told: Sequence[Finding]) -> str:
    """Return how many findings of each level there are, or that there are none."""
    counts = {level: sum(each.level == level for each in told) for level in LEVELS}
    parts = [f"{count} {_PLURALS[level][count != 1]}" for level, count in counts.items() if count]
    return ", ".join(parts) if parts else "nothing is wrong"


def _counted(snapshot: Snapshot) -> str:
    counts = {
        "claim": sum(1 for _ in snapshot.claims()),
        "volume": len(snapshot.volumes),
        "class": sum(1 for _ in snapshot.storage_classes()),
    }
    return ", ".join(
        f"{count} {word if count == 1 else word + ('es' if word[-1] == 's' else 's')}" for word, count in counts.items()
    )


def _group(
    code: FindingCode, group: list[Finding], width: int, all_subjects: bool, there: Snapshot | None
) -> Iterator[str]:
    head = f"{group[0].level} {code.code}: {code.title}"
    yield from textwrap.wrap(head, width, subsequent_indent="  ")
    limit = len(group) if all_subjects else SUBJECTS_SHOWN_MAX
    for each in group[:limit]:
        yield from _one(each, width, there)
    if len(group) > limit:
        yield from textwrap.wrap(f"and {len(group) - limit} more (--all shows them)", width, initial_indent="  ")


def _one(finding: Finding, width: int, there: Snapshot | None) -> Iterator[str]:
    rules = f" ({', '.join(finding.rules)})" if finding.rules else ""
    text = f"{finding.subject.kind} {finding.subject.key}: {finding.summary}{rules}"
    yield from textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    for each in finding.evidence:
        wanted = f" (wanted: {each.wanted})" if each.wanted else ""
        yield from textwrap.wrap(
            f"{each.what}: {each.found}{wanted}",
            width,
            initial_indent="      ",
            subsequent_indent="        ",
            break_on_hyphens=False,
        )
    for remedy in finding.way_out[:REMEDIES_SHOWN_MAX]:
        if isinstance(remedy, Kubectl):
            said, _, command = sentence(remedy).partition(": kubectl ")
            yield from textwrap.wrap(f"- {said}:", width, initial_indent="    ", subsequent_indent="      ")
            yield f"      kubectl {command}"
        else:
            yield from textwrap.wrap(
                f"- {sentence(remedy)}",
                width,
                initial_indent="    ",
                subsequent_indent="      ",
                break_on_hyphens=False,
            )
            yield from _manifest(finding, remedy, there)


def _manifest(finding: Finding, remedy: Remedy, there: Snapshot | None) -> Iterator[str]:
    found = manifest_for(finding, remedy, there) if there is not None else None
    if found is not None:
        from pvbinder.insight.export import as_yaml  # it imports yaml, which takes time

        yield from (f"        {line}" for line in as_yaml(found).splitlines())


def help_of(code: FindingCode, width: int) -> str:
    """Return the entry of `code` as text."""
    lines = textwrap.wrap(f"{code.code} {code.name}: {code.title}", width, subsequent_indent="  ")
    lines += ["", *textwrap.wrap(code.meaning, width)]
    lines += ["", *textwrap.wrap(f"Way out: {code.way_out}", width)]
    lines += ["", f"level: {code.level} at most"]
    if code.rules:
        lines += textwrap.wrap(f"rules: {', '.join(code.rules)} (pvbinder explain --rule {code.rules[0]})", width)
    return "\n".join(lines) + "\n"
