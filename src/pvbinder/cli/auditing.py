"""The audit of ``pvbinder controller``: again and again, as samples for Prometheus.

AUDITING-1  Each audit reads the cluster anew, once an interval, with requests of its own; the work of the controllers
            goes on meanwhile.
AUDITING-2  A failed audit is logged and costs nothing else: the samples are those of the last one that succeeded.
AUDITING-3  Before the first audit there are no samples; after it there is one for each code, zero where nothing is
            found, so that an alert ends when the fault does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from pvbinder import logs
from pvbinder.audit.codes import CODES
from pvbinder.audit.find import find_all
from pvbinder.audit.finding import LEVELS, Finding, FindingLevel
from pvbinder.audit.forms import counted
from pvbinder.audit.silence import with_silence
from pvbinder.insight.reading import FOR_AUDITS, read_cluster
from pvbinder.insight.snapshot import Snapshot
from pvbinder.kube.client import Client
from pvbinder.metrics.families import FINDINGS, Sample
from pvbinder.model.errors import PvbinderError
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

log = logs.get(__name__)


class Auditing:
    """Audits one cluster every `interval_seconds`, and has the counts of the last time."""

    def __init__(self, client: Client, interval_seconds: float) -> None:
        """Read through `client`."""
        self._client = client
        self._interval_seconds = interval_seconds
        self._counts: Counter[tuple[str, FindingLevel]] | None = None

    async def run(self) -> None:
        """Audit until cancelled (AUDITING-1, AUDITING-2)."""
        while True:
            try:
                await self.look()
            except PvbinderError as error:
                log.warning("audit failed", err=error.message)
            await asyncio.sleep(self._interval_seconds)

    async def look(self) -> None:
        """Audit once; raises what reading raises."""
        plugins = await asyncio.to_thread(load_catalogue, in_tree_plugins())
        snapshot, notes = await read_cluster(self._client, "", plugins=plugins, more=FOR_AUDITS)
        for note in notes:
            log.info("audit without some kinds", note=note)
        findings = await asyncio.to_thread(_audited, snapshot)
        self._counts = counted(findings)
        log.info("audited", **{level: sum(each.level == level for each in findings) for level in LEVELS})

    async def samples(self) -> AsyncIterator[Sample]:
        """Give the counts of the last audit (AUDITING-3)."""
        if self._counts is None:
            return
        for code, registered in CODES.items():
            levels = [level for level in LEVELS if self._counts[code, level]] or [registered.level]
            for level in levels:
                yield FINDINGS(self._counts[code, level], code, level)


def _audited(snapshot: Snapshot) -> tuple[Finding, ...]:
    now = snapshot.moment or datetime.now(UTC)
    return with_silence(find_all(snapshot, now), snapshot, now.date())
