"""Groups of volumes by access modes (FM-1 to FM-3), and modes offered (CS-6)."""

from __future__ import annotations

from tests.vectors.functions import claim_of, unequal, volume_of
from tests.vectors.runner import Case

from pvbinder.rules.matching import offers_modes
from pvbinder.rules.volume_index import VolumeIndex


async def run(case: Case) -> list[str]:
    expected = case["expected"]
    if case["call"] == "checkAccessModes":
        return unequal("result", expected["result"], offers_modes(volume_of(case["volume"]), claim_of(case["claim"])))
    index = VolumeIndex([volume_of(obj) for obj in case["volumes"]])
    if case["call"] == "allPossibleMatchingAccessModes":
        found = [sorted(modes) for modes in index.mode_sets(case["accessModes"])]
        problems = unequal("mode sets", sorted(map(sorted, expected["modeSets"])), sorted(found))
        return problems + unequal("their sizes", [len(modes) for modes in expected["modeSets"]], list(map(len, found)))
    volumes = index.with_modes(case["accessModes"])
    first = [volume.name for volume in volumes][: len(expected["firstVolumeNames"])]
    problems = unequal("first volumes", expected["firstVolumeNames"], first)
    return problems + unequal("volumes", expected["volumeNames"], sorted(volume.name for volume in volumes))
