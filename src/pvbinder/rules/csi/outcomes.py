"""What a driver's answer to CreateVolume says about the volume.

Rules: docs/rules/provisioner.md#8-createvolume-result
"""

from __future__ import annotations

from typing import Final

from pvbinder.rules.csi.refusals import State

_MAYBE_RUNNING: Final = frozenset({"Canceled", "DeadlineExceeded", "Unavailable", "Aborted"})


def state_after(code: str, *, node_was_selected: bool, has_topology: bool) -> State:
    """Return what is known after CreateVolume failed with `code`, in Go's words (CR-1)."""
    if code == "ResourceExhausted":
        return State.RESCHEDULE if node_was_selected and has_topology else State.FINISHED
    return State.IN_BACKGROUND if code in _MAYBE_RUNNING else State.FINISHED
