"""A rehearsal as a whole: a copy, steps, and what came of them.

REHEARSE-1  What would have happened anyway is settled, and told apart, before the first step.
REHEARSE-2  Every step is followed by the time that the controllers need for it; a step that the server refuses doesn't
            end the rehearsal.
REHEARSE-3  The same objects and steps give the same answer, but for the names of new objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Literal

from msgspec import Struct

from pvbinder.controllers.options import ControllerOptions
from pvbinder.foresight.acting import ReadFiles, act
from pvbinder.foresight.applying import RefusedObject
from pvbinder.foresight.differences import (
    AuditNote,
    Concern,
    Difference,
    audit_changes,
    differences,
    mended_findings,
    new_findings,
    picture_of,
)
from pvbinder.foresight.preparing import Prepared
from pvbinder.foresight.rehearsal import Occurrence, Rehearsal, rehearsal, run_rehearsal
from pvbinder.foresight.steps import RehearsalStep
from pvbinder.insight.manifests import USED
from pvbinder.insight.snapshot import Snapshot

NOTES_MAX = 10


class TimelineEntry(Struct, frozen=True, rename="camel"):
    """A change on the timeline: `at` virtual seconds after the first step, what it is about, and the rule behind it."""

    at: float
    what: str
    object: str
    details: str
    rule: str = ""
    stand_in: str = ""  # the provisioner that the rehearsal stood in for


class StepOutcome(Struct, frozen=True, rename="camel"):
    """A step, when it was begun, and what the server refused of it."""

    step: str
    at: float
    refused: tuple[RefusedObject, ...] = ()
    notes: tuple[str, ...] = ()


class Rehearsed(Struct, frozen=True, rename="camel", tag_field="kind", tag="Rehearsal", kw_only=True):
    """What a rehearsal came to; `version` grows when a field goes or changes its meaning."""

    moment: str  # the time of the copy, RFC 3339
    steps: tuple[StepOutcome, ...]
    anyway: tuple[Difference, ...]  # what happened before the first step
    differences: tuple[Difference, ...]
    new_findings: tuple[Concern, ...]
    mended_findings: tuple[Concern, ...]
    new_audit: tuple[AuditNote, ...]  # findings of `pvbinder audit`, warnings and errors, that came
    mended_audit: tuple[AuditNote, ...]
    timeline: tuple[TimelineEntry, ...]
    stand_ins: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float  # virtual, of all steps
    has_settled: bool
    version: Literal[1] = 1

    @property
    def is_well(self) -> bool:
        """Tell whether nothing was refused, and nobody must act who needn't have before."""
        return not self.new_findings and not any(step.refused for step in self.steps) and self.has_settled


def rehearse(
    prepared: Prepared,
    steps: Sequence[tuple[str, RehearsalStep]],
    read: ReadFiles,
    *,
    options: ControllerOptions | None = None,
) -> Rehearsed:
    """Rehearse `steps` on a copy; `read` gives the objects of the files that they name. Raises `StepError`."""
    return run_rehearsal(lambda: _rehearse(prepared, steps, read, options))


async def _rehearse(
    prepared: Prepared, steps: Sequence[tuple[str, RehearsalStep]], read: ReadFiles, options: ControllerOptions | None
) -> Rehearsed:
    async with rehearsal(prepared, options) as copy:
        at_first = picture_of(Snapshot(copy.at_first, plugins=copy.catalogue, known=USED, moment=prepared.moment))
        await copy.settle()
        before = picture_of(copy.snapshot())
        began, told = copy.now, len(copy.occurrences)
        outcomes = []
        for text, step in steps:
            at = copy.now - began
            acted = await act(copy, step, read)
            await copy.settle()
            outcomes.append(StepOutcome(text, at, tuple(acted.refused), tuple(acted.notes)))
        after = picture_of(copy.snapshot())
        came, went = audit_changes(before, after)
        timeline = entries(copy.occurrences[told:], began)
        return Rehearsed(
            moment=prepared.moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            steps=tuple(outcomes),
            anyway=differences(at_first, before),
            differences=differences(before, after),
            new_findings=new_findings(before, after),
            mended_findings=mended_findings(before, after),
            new_audit=came,
            mended_audit=went,
            timeline=timeline,
            stand_ins=stand_ins(copy.occurrences),
            notes=notes_of(copy, prepared),
            seconds=copy.now - began,
            has_settled=copy.has_settled,
        )


def notes_of(copy: Rehearsal, prepared: Prepared) -> tuple[str, ...]:
    """Return what a person should know of the copy."""
    left_out = [f"left out: {one}" for one in copy.left_out]
    if len(left_out) > NOTES_MAX:
        left_out[NOTES_MAX:] = [f"left out: {len(left_out) - NOTES_MAX} more objects"]
    return (*prepared.notes, *left_out)


def stand_ins(occurrences: Sequence[Occurrence]) -> tuple[str, ...]:
    """Return the provisioners that were stood in for."""
    return tuple(sorted({one.fields["stand_in"] for one in occurrences if "stand_in" in one.fields}))


def entries(occurrences: Sequence[Occurrence], began: float) -> tuple[TimelineEntry, ...]:
    """Return the timeline of `occurrences`; times count from `began`."""
    return tuple(_entry(one, one.at - began) for one in occurrences)


def _entry(one: Occurrence, at: float) -> TimelineEntry:
    fields = dict(one.fields)
    rule, stand_in = fields.pop("rule", ""), fields.pop("stand_in", "")
    about = next((key for key in ("pvc", "pv", "pod", "node") if key in fields), "")
    subject = f"{about}/{fields.pop(about)}" if about else ""
    details = " ".join(f"{key}={value}" for key, value in fields.items())
    return TimelineEntry(round(at, 3), one.message, subject, details, rule, stand_in)
