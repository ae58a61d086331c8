"""The audit: every finder over one snapshot.

FIND_ALL-1  Pure: the same snapshot, time and options give the same findings, in the same order, and nothing is
            written.
FIND_ALL-2  Each finding's code is registered (`codes`), and its level isn't worse than the code's.
FIND_ALL-3  An object that can't be judged keeps none of the others from being judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from pvbinder.audit.assignment import assignment_findings
from pvbinder.audit.backends import backend_findings
from pvbinder.audit.claims import claim_findings, missing_claim_findings
from pvbinder.audit.classes import class_findings
from pvbinder.audit.finding import Finding, worst_first
from pvbinder.audit.head_room import head_room_findings
from pvbinder.audit.leaks import leak_findings
from pvbinder.audit.pairs import pair_findings
from pvbinder.audit.quotas import quota_findings
from pvbinder.audit.survey import Options, Survey
from pvbinder.audit.unused import unused_findings, workload_claim_findings
from pvbinder.audit.volumes import volume_findings
from pvbinder.audit.workloads import workload_findings
from pvbinder.insight.snapshot import Snapshot

Finder = Callable[[Survey], Iterator[Finding]]

FINDERS: Final[tuple[Finder, ...]] = (
    claim_findings,
    missing_claim_findings,
    unused_findings,
    workload_claim_findings,
    volume_findings,
    backend_findings,
    pair_findings,
    assignment_findings,
    class_findings,
    workload_findings,
    quota_findings,
    head_room_findings,
    leak_findings,
)
DEFAULT_OPTIONS: Final = Options()


def find_all(
    snapshot: Snapshot, now: datetime | None = None, options: Options = DEFAULT_OPTIONS
) -> tuple[Finding, ...]:
    """Return all findings about `snapshot`, the worst first; `now` of None is its own moment (FIND_ALL-1)."""
    moment = now or snapshot.moment or datetime.fromtimestamp(0, UTC)
    survey = Survey(snapshot, moment, options)
    return worst_first(found for finder in FINDERS for found in finder(survey))
