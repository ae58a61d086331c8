"""Migration annotations (MG-1, MG-2)."""

from __future__ import annotations

from tests.vectors.functions import migrations_of, unequal
from tests.vectors.runner import Case

from pvbinder.rules import migration


async def run(case: Case) -> list[str]:
    annealed = {
        "PersistentVolume": migration.volume_annotations,
        "PersistentVolumeClaim": migration.claim_annotations,
    }[case["objectKind"]]
    found = annealed(case["annotations"], migrations_of(case))
    return unequal("annotations", case["expected"]["annotations"], case["annotations"] if found is None else found)
