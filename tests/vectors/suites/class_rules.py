"""Classes of claims, default class, delayed binding (DC, SC-U1)."""

from __future__ import annotations

from tests.vectors.functions import claim_of, class_of, unequal
from tests.vectors.runner import Case

from pvbinder.rules.classes import BindingModeError, default_class, is_delayed


async def run(case: Case) -> list[str]:
    expected = case["expected"]
    classes = {found.name: found for found in map(class_of, case.get("storageClasses", []))}
    match case["call"]:
        case "claimHasClass":
            return unequal("result", expected["result"], claim_of(case["claim"]).has_class)
        case "getDefaultClass":
            default = default_class(classes.values())
            return unequal("default class", expected["className"], default.name if default is not None else None)
        case "isDelayBindingMode":
            claim = claim_of(case["claim"])
            try:
                found = is_delayed(classes.get(claim.storage_class) if claim.storage_class else None)
            except BindingModeError as error:
                return [] if expected["error"] else [f"it reports an error: {error}"]
            if expected["error"]:
                return ["it reports no error"]
            return unequal("result", expected["result"], found)
        case call:
            return [f"unknown call {call!r}"]
