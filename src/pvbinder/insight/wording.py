"""Reasons of the rules in a person's words: the volume's value against the claim's wish."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final, assert_never

from pvbinder.rules.matching import Misfit

_NAMES_MAX: Final = 2_000
_ALIKE: Final = 3  # letters


def why_not(misfit: Misfit) -> str:
    """Say why a volume doesn't fit, in half a sentence with both values."""
    match misfit.reason:
        case "ClaimedByAnother":
            earlier, _, uid = misfit.found.partition(" (uid ")
            if uid:  # the same name, another uid
                return f"claimed by an earlier claim {earlier} (uid {uid.rstrip(')')}), which is gone"
            return f"claimed by {misfit.found}"
        case "TooSmall":
            return f"{misfit.found} is less than {misfit.wanted}"
        case "VolumeModeDiffers":
            return f"volume mode is {misfit.found}, not {misfit.wanted}"
        case "AttributesClassDiffers":
            return f"attributes class is {named(misfit.found)}, not {named(misfit.wanted)}"
        case "BeingDeleted":
            return f"is being deleted since {misfit.found}"
        case "WaitsForConsumer":
            return "fits, but the class waits for a pod"
        case "NotAvailable":
            return f"phase is {misfit.found or 'not set'}, not {misfit.wanted}"
        case "LabelsDontMatch":
            return f"labels ({misfit.found or 'none'}) don't match {misfit.wanted}"
        case "ClassDiffers":
            return f"class is {named(misfit.found)}, not {named(misfit.wanted)}"
        case "AccessModesMissing":
            return f"offers {misfit.found or 'no access mode'}, not {misfit.wanted}"
        case _:
            assert_never(misfit.reason)


def named(name: str) -> str:
    """A name that may be empty."""
    return name or '""'


def listed(names: list[str], most: int = 3) -> str:
    """Names as a person lists them: ``a, b and c``, and how many more there are."""
    shown = names[:most]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    if len(shown) > 1:
        return f"{', '.join(shown[:-1])} and {shown[-1]}"
    return "".join(shown)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the name in `known` that is most similar to the unknown `name`; ``""`` if none is."""
    by_lower = {each.lower(): each for each in known if each != name}
    wanted = name.lower()
    if len(by_lower) > _NAMES_MAX:  # to compare each letter by letter takes long: those that begin or end like it
        head, tail = wanted[:_ALIKE], wanted[-_ALIKE:]
        alike = [each for each in by_lower if each.startswith(head) or each.endswith(tail)]
        by_lower = {each: by_lower[each] for each in alike[:_NAMES_MAX]}
    close = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=0.6)
    if not close and wanted:
        close = sorted(each for each in by_lower if each.startswith(wanted) or wanted.startswith(each))
    return by_lower[close[0]] if close else ""
