"""Explanations of volumes, of StatefulSets, and of many claims, as text in the manner of `report`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import assert_never

from pvbinder.insight.causes import Cause, Causes, summary
from pvbinder.insight.explanation import (
    ClaimExplanation,
    Explanation,
    PodExplanation,
    SetExplanation,
    VolumeExplanation,
)
from pvbinder.insight.report import (
    advice_lines,
    claim_lines,
    event_lines,
    only_printable,
    pod_lines,
    reach_line,
)

NAMES_COLUMNS = 100
_NOW = {
    "Stuck": ("needs somebody", "need somebody"),
    "OnItsWay": ("is on its way", "are on their way"),
    "Bound": ("is bound", "are bound"),
}


def report_of(explanation: Explanation, volumes_shown_max: int | None) -> str:
    """Return `explanation` as text."""
    shown = only_printable(explanation)
    match shown:
        case ClaimExplanation():
            lines = claim_lines(shown, volumes_shown_max)
        case PodExplanation():
            lines = pod_lines(shown, volumes_shown_max)
        case VolumeExplanation():
            lines = _volume_lines(shown)
        case SetExplanation():
            lines = _set_lines(shown, volumes_shown_max)
        case _:
            assert_never(shown)
    return "\n".join(lines) + "\n"


def _volume_lines(explanation: VolumeExplanation) -> Iterator[str]:
    rules = f"   ({', '.join(explanation.rules)})" if explanation.rules else ""
    yield f"volume {explanation.volume} is {explanation.phase}: {explanation.summary}{rules}"
    yield f"  next: {explanation.next}"
    policy = f"; reclaim policy {explanation.reclaim_policy}" if explanation.reclaim_policy else ""
    yield f"  offers {explanation.offers}{policy}"
    yield from reach_line(explanation.volume, explanation.reach)
    if explanation.attached_to:
        yield f"  attached to {', '.join(explanation.attached_to)}"
    yield from event_lines(explanation.events, explanation.summary)
    if explanation.waiting:
        yield ""
        rows = [("CLAIM", "WHY NOT", "RULE"), *((each.claim, each.why, each.rule) for each in explanation.waiting)]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        for claim, why, rule in rows:
            yield f"  {claim:<{widths[0]}}   {why:<{widths[1]}}   {rule}"
    yield from advice_lines(explanation.advice)


def _set_lines(explanation: SetExplanation, volumes_shown_max: int | None) -> Iterator[str]:
    yield f"StatefulSet {explanation.stateful_set}: {explanation.summary}"
    yield from (f"  {remark}" for remark in explanation.remarks)
    for pod in explanation.pods:
        yield ""
        yield from ("  " + line if line else "" for line in pod_lines(pod, volumes_shown_max))
    yield from advice_lines(explanation.advice)


def causes_report(causes: Causes) -> str:
    """Return many claims, grouped, as text."""
    return "\n".join(_causes_lines(only_printable(causes))) + "\n"


def _causes_lines(causes: Causes) -> Iterator[str]:
    total = sum(causes.counts.values())
    parts = [_counted(causes.counts[verdict], verdict) for verdict in _NOW if causes.counts.get(verdict)]
    yield f"{total} claim{'s' if total > 1 else ''}: {', '.join(parts)}" if total else "there are no claims"
    for cause in causes.causes:
        if cause.verdict != "Bound":
            yield ""
            yield from _cause_lines(cause)


def _counted(count: int, verdict: str) -> str:
    one, many = _NOW[verdict]
    return f"{count} {one if count == 1 else many}"


def _cause_lines(cause: Cause) -> Iterator[str]:
    rules = f"   ({', '.join(cause.rules)})" if cause.rules else ""
    phase = cause.claims[0].phase
    same = summary(cause.claims)
    names = ", ".join(claim.claim for claim in cause.claims)
    count = f"{len(cause.claims)} claims" if len(cause.claims) > 1 else "1 claim"
    if same:
        yield f"{count} {phase}: {same}{rules}"
        yield from textwrap.wrap(
            names,
            NAMES_COLUMNS,
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    else:
        yield f"{count} {phase} for one reason{rules}"
        yield from (f"  {claim.claim}: {claim.summary}" for claim in cause.claims)
    yield f"  next: {cause.claims[0].next}" if len({claim.next for claim in cause.claims}) == 1 else "  next: see each"
    advice = cause.shared_advice
    yield from advice_lines(advice)
    if cause.verdict == "Stuck" and not advice:
        namespace, _, name = cause.claims[0].claim.partition("/")
        yield f"  What to do: pvbinder explain pvc {name} -n {namespace} says it for the first of them"
