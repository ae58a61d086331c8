"""The findings by code: the one list that help texts, docs/findings.md and the rules of SARIF are made from.

CODES-1  Every code that an audit gives is here; a code is never given another meaning, and never used again.
CODES-2  A finding's level is never worse than its code's.
"""

from __future__ import annotations

from typing import Final

from pvbinder.audit.cluster_codes import CAPACITY, CLASSES, LEAKS, PAIRS, WORKLOADS
from pvbinder.audit.code import FAMILIES, FindingCode
from pvbinder.audit.storage_codes import CLAIMS, VOLUMES
from pvbinder.model.errors import PvbinderError

__all__ = ["CODES", "FAMILIES", "FindingCode", "UnknownCodeError", "find_code"]

CODES: Final = {each.code: each for each in (*CLAIMS, *VOLUMES, *PAIRS, *CLASSES, *WORKLOADS, *CAPACITY, *LEAKS)}


class UnknownCodeError(PvbinderError):
    """No finding has this code."""


def find_code(wanted: str) -> FindingCode:
    """Return the finding with the code `wanted`, in upper or lower case, with or without ``PVB``."""
    name = wanted.strip().upper()
    found = CODES.get(name) or CODES.get(f"PVB{name}")
    if found is None:
        near = [code for code in CODES if code[:4] == name[:4]] or list(CODES)
        raise UnknownCodeError(f"there is no finding {wanted!r}", hint=f"there are {', '.join(near)}")
    return found
