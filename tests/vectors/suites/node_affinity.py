"""Whether a volume can be used on a node (FM-15, FM-16)."""

from __future__ import annotations

from tests.vectors.functions import unequal, volume_of
from tests.vectors.runner import Case

from pvbinder.rules.matching import is_usable_on


async def run(case: Case) -> list[str]:
    found = is_usable_on(volume_of(case["volume"]), case["nodeLabels"])
    return unequal("result", case["expected"]["result"], found)
