"""Volume modes (FM-7)."""

from __future__ import annotations

from tests.vectors.functions import claim_of, unequal, volume_of
from tests.vectors.runner import Case

from pvbinder.rules.matching import modes_differ


async def run(case: Case) -> list[str]:
    found = modes_differ(volume_of(case["volume"]), claim_of(case["claim"]))
    return unequal("mismatch", case["expected"]["mismatch"], found)
