"""A plan and a rehearsal in words: the answer first, then the evidence, then what one should know of the copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import UNSET

from pvbinder.foresight.applying import RefusedObject
from pvbinder.foresight.differences import AuditNote, Concern, Difference, ObjectState
from pvbinder.foresight.orders import Orders, got
from pvbinder.foresight.outcomes import ClaimOutcome
from pvbinder.foresight.plan import ManifestPlan
from pvbinder.foresight.rehearse import Rehearsed, TimelineEntry
from pvbinder.foresight.sections import Section
from pvbinder.insight.wording import listed

_SHORT = {"PersistentVolumeClaim": "claim", "PersistentVolume": "volume", "Pod": "pod"}
_NAMES_SHOWN_MAX = 20


def plan_headline(plan: ManifestPlan) -> str:
    """Say in one line what the manifests would do."""
    claims = plan.claims
    if not claims and not plan.refused:
        return "the manifests have no claims, and the API server takes them"
    parts = []
    for word, results in (
        ("get storage", ("Binds", "Provisioned")),
        ("wait", ("Waits",)),
        ("get nothing", ("Nothing",)),
    ):
        count = sum(one.result in results for one in claims)
        if count:
            parts.append(f"{count} {_singular(word) if count == 1 else word}")
    if plan.refused:
        parts.append(f"the API server refuses {_count(len(plan.refused), 'object')}")
    return f"{_count(len(claims), 'claim')}: {', '.join(parts)}"


def plan_sections(plan: ManifestPlan) -> Iterator[Section]:
    """Give the parts of a plan."""
    if plan.refused:
        yield _refusals(plan.refused)
    if plan.claims:
        rows = tuple((one.claim, _gets(one), _runner_up(one), ",".join(one.rules)) for one in plan.claims)
        yield Section("What each claim gets", ("CLAIM", "GETS", "RUNNER-UP", "RULES"), rows)
    if plan.kept:
        kept = tuple(
            (one.claim, f"keeps class {one.storage_class}: {one.asked_by} says {one.asked}") for one in plan.kept
        )
        yield Section("These claims keep their class (it can't be changed: make them anew)", (), kept)
    taken = tuple((one.claim, one.volume, listed(list(one.taken_from))) for one in plan.claims if one.taken_from)
    if taken:
        yield Section("Taken from claims that wait", ("CLAIM", "TAKES", "WHICH WOULD FIT"), taken)
    if plan.others:
        yield _differences("Others change, too", plan.others)
    yield from _findings("Somebody must act", plan.new_findings)
    yield from _audit(plan.new_audit, plan.mended_audit)
    helps = tuple((one.claim, advice) for one in plan.claims if not one.is_well for advice in one.advice)
    if helps:
        yield Section("Any one of these helps", (), helps)
    if plan.orders is not UNSET:
        yield _orders(plan.orders)
    changed = tuple((name, done) for name, done in plan.applied.items() if done != "unchanged")
    if changed:
        yield Section("Applied", (), changed)
    yield from _about(plan.stand_ins, plan.notes, has_settled=plan.has_settled)


def rehearsal_headline(done: Rehearsed) -> str:
    """Say in one line what the steps would do."""
    if not done.differences and not any(step.refused for step in done.steps):
        return f"nothing changes in {_span(done.seconds)}"
    parts = []
    for kind, word in _SHORT.items():
        count = sum(one.kind == kind for one in done.differences)
        if count:
            parts.append(_count(count, word))
    text = f"{listed(parts) or 'nothing'} changed after {_span(done.seconds)}"
    if done.new_findings:
        text += f"; somebody must act for {_count(len(done.new_findings), 'object')}"
    return text


def rehearsal_sections(done: Rehearsed) -> Iterator[Section]:
    """Give the parts of a rehearsal."""
    steps = tuple((_at(step.at), step.step, *step.notes) for step in done.steps)
    if steps:
        yield Section(f"Steps, from {done.moment} on", (), steps)
    refused = [one for step in done.steps for one in step.refused]
    if refused:
        yield _refusals(refused)
    if done.differences:
        yield _differences("Before and after", done.differences)
    yield from _findings("Somebody must act", done.new_findings)
    yield from _findings("Nobody must act any more", done.mended_findings)
    yield from _audit(done.new_audit, done.mended_audit)
    if done.timeline:
        yield _timeline(done.timeline)
    if done.anyway:
        yield _differences("This happens anyway, before the first step", done.anyway)
    yield from _about(done.stand_ins, done.notes, has_settled=done.has_settled)


# ------------------------------------------------------------------------------------------------ parts


def _gets(one: ClaimOutcome) -> str:
    text = got(one)
    match one.result:
        case "Binds" | "Provisioned":
            shown = f"{one.size}, class {one.storage_class}" if one.storage_class else one.size
            return f"{text} ({shown})" + (f"; {one.summary}" if one.summary else "")
        case "Waits" | "Nothing":
            return f"{text}: {one.summary}" if one.summary else text


def _runner_up(one: ClaimOutcome) -> str:
    second = one.runner_up
    return f"{second.volume}: {second.why} [{second.rule}]" if second is not None else ""


def _refusals(refused: Iterable[RefusedObject]) -> Section:
    rows = tuple((one.object, one.reason or str(one.status), one.message) for one in refused)
    return Section("Refused by the API server", ("OBJECT", "REASON", "MESSAGE"), rows)


def _differences(title: str, found: Iterable[Difference]) -> Section:
    rows = tuple((_SHORT[one.kind], one.name, _state(one.before), _state(one.after)) for one in found)
    return Section(title, ("KIND", "NAME", "BEFORE", "AFTER"), rows)


def _state(state: ObjectState | None) -> str:
    if state is None:
        return "-"
    text = f"{state.phase} {state.partner}".rstrip()
    return f"{text}: {state.summary}" if state.summary else text


def _findings(title: str, found: Iterable[Concern]) -> Iterator[Section]:
    rows = tuple((one.object, _with_rules(one), *one.advice[:1]) for one in found)
    if rows:
        yield Section(title, (), rows)


def _audit(came: Iterable[AuditNote], went: Iterable[AuditNote]) -> Iterator[Section]:
    for title, notes in (("The audit finds anew", came), ("The audit finds no longer", went)):
        rows = tuple((one.code, one.object, one.summary) for one in notes)
        if rows:
            yield Section(title, ("CODE", "OBJECT", "FINDING"), rows)


def _with_rules(one: Concern) -> str:
    return f"{one.summary} [{', '.join(one.rules)}]" if one.rules else one.summary


def _timeline(timeline: Iterable[TimelineEntry]) -> Section:
    rows = tuple(
        (
            _at(one.at),
            one.object,
            f"{one.what} {one.details}".rstrip() + (f" (stand-in for {one.stand_in})" if one.stand_in else ""),
            one.rule,
        )
        for one in timeline
    )
    return Section("Timeline", ("TIME", "OBJECT", "WHAT", "RULE"), rows)


def _orders(orders: Orders) -> Section:
    how_many = f"{_count(orders.tried, 'order')} of arrival tried"
    if not orders.differs:
        extent = "all that there are" if orders.complete else "not all that there are"
        return Section("Order of arrival", (), ((f"no other outcome: {how_many}, {extent}",),))
    rows: list[tuple[str, ...]] = [(f"another order changes the outcome ({how_many}):",)]
    rows += [("first: ", ", ".join(orders.first)), ("second:", ", ".join(orders.second))]
    rows += [(f"{one.claim} gets {one.first} in the first, {one.second} in the second",) for one in orders.changed]
    return Section("Order of arrival", (), tuple(rows))


def _about(stand_ins: Iterable[str], notes: Iterable[str], *, has_settled: bool) -> Iterator[Section]:
    rows = [f"the volumes of {name} were made by a stand-in: its limits aren't known here" for name in stand_ins]
    rows += notes
    if not has_settled:
        rows.append("the controllers hadn't come to rest: more may change later")
    if rows:
        yield Section("Good to know", (), tuple((row,) for row in rows[:_NAMES_SHOWN_MAX]))


def _singular(word: str) -> str:
    verb, _, rest = word.partition(" ")
    return f"{verb}s {rest}".rstrip()


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _at(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"+{hours}:{minutes:02}:{rest:02}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
