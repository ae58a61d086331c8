"""Deletion finalizers (FZ)."""

from __future__ import annotations

from tests.vectors.functions import migrations_of, unequal, volume_of
from tests.vectors.runner import Case

from pvbinder.rules.finalizers import deletion_finalizers


async def run(case: Case) -> list[str]:
    volume = volume_of(case["volume"])
    found = deletion_finalizers(volume, migrations_of(case))
    problems = unequal("modified", case["expected"]["modified"], found is not None)
    return problems + unequal(
        "finalizers", case["expected"]["finalizers"], list(volume.finalizers if found is None else found)
    )
