"""Choosing a volume for a claim on a node (FM-16)."""

from __future__ import annotations

from tests.vectors.functions import claim_of, settings_of, unequal, volume_of
from tests.vectors.runner import Case

from pvbinder.model.json import encode
from pvbinder.model.objects import parse_node
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.matching import choose_for_node


async def run(case: Case) -> list[str]:
    problems = []
    node = parse_node(encode(case["node"])) if case.get("node") is not None else None
    for settings in settings_of(case):
        try:
            volume = choose_for_node(
                [volume_of(obj) for obj in case["volumes"]],
                claim_of(case["claim"]),
                node,
                excluded=frozenset(case["excludedVolumeNames"]),
                is_delayed=case["delayBinding"],
                settings=settings,
            )
        except SelectorError as error:
            if not case["expected"]["error"]:
                problems.append(f"the search reports an error: {error}")
            continue
        wanted = case["expected"]
        problems += unequal("the volume", wanted["volumeName"], volume.name if volume is not None else None)
        problems += unequal("its uid", wanted.get("volumeUID"), volume.uid if volume is not None else None)
    return problems
