"""Choosing a volume, and checking one that a claim names (FM-1 to FM-14, CS)."""

from __future__ import annotations

from tests.vectors.functions import claim_of, settings_of, unequal, volume_of
from tests.vectors.runner import Case

from pvbinder.model.selectors import SelectorError
from pvbinder.rules.satisfy import check_named_volume
from pvbinder.rules.settings import Settings
from pvbinder.rules.volume_index import VolumeIndex


async def run(case: Case) -> list[str]:
    check = {"findBestMatchForClaim": _choose, "checkVolumeSatisfyClaim": _check}[case["call"]]
    return [problem for settings in settings_of(case) for problem in check(case, settings)]


def _choose(case: Case, settings: Settings) -> list[str]:
    index = VolumeIndex([volume_of(obj) for obj in case["volumes"]], settings)
    expected = case["expected"]
    try:
        volume = index.choose(claim_of(case["claim"]), is_delayed=case["delayBinding"])
    except SelectorError as error:
        return [] if expected["error"] else [f"the search reports an error: {error}"]
    if expected["error"]:
        return ["the search reports no error"]
    return unequal("the volume", expected["volumeName"], volume.name if volume is not None else None)


def _check(case: Case, settings: Settings) -> list[str]:
    unsuitable = check_named_volume(volume_of(case["volume"]), claim_of(case["claim"]), settings)
    return unequal("error", case["expected"]["error"], unsuitable is not None)
