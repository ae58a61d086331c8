"""What a driver's error says about an expansion or a modification: may it still be running, and can it ever succeed?

Rules: docs/rules/expand.md#42-steps
"""

from __future__ import annotations

from typing import Final

_MAYBE_RUNNING: Final = frozenset({"Canceled", "DeadlineExceeded", "Unavailable", "ResourceExhausted", "Aborted"})
_IMPOSSIBLE: Final = frozenset({"InvalidArgument", "OutOfRange", "NotFound"})

IN_USE: Final = "FailedPrecondition"  # to ControllerExpandVolume: only while nobody uses the volume (RS-8)


def is_final(code: str) -> bool:
    """Tell whether the call is over for certain after an error with `code`, in Go's words (RS-14)."""
    return code not in _MAYBE_RUNNING


def is_expansion_infeasible(code: str) -> bool:
    """Tell whether an expansion that failed with `code` can never succeed as it is (RS-14)."""
    return code in _IMPOSSIBLE


def is_modification_infeasible(code: str) -> bool:
    """Tell whether a modification that failed with `code` can never succeed as it is (VM-9)."""
    return code == "InvalidArgument"
