"""How an attempt to provision ends when there is no volume: what the claim's next attempt may assume."""

from __future__ import annotations

from enum import Enum
from typing import Final

from pvbinder.model.errors import PvbinderError

INFEASIBLE: Final = "Volume provisioning failed with infeasible error. Retries will be delayed."  # in events (LB-20)


class State(Enum):
    """What is known about the volume after a failed attempt (LB-22)."""

    FINISHED = "Finished"  # there is none, and nobody is making one
    IN_BACKGROUND = "InBackground"  # the driver may still be making it, or has made it
    NO_CHANGE = "NoChange"  # nothing was asked this time: it is as it was after the attempt before
    RESCHEDULE = "Reschedule"  # there is none, and the node that was selected can't have one


class ProvisioningFailed(PvbinderError):  # noqa: N818  (an outcome, not a defect)
    """An attempt that failed; the text goes into the claim's event."""

    def __init__(self, message: str, state: State, *, is_infeasible: bool = False) -> None:
        super().__init__(message)
        self.state = state
        self.is_infeasible = is_infeasible  # the driver says that the arguments can never be right (LB-20)


class NotOurs(PvbinderError):  # noqa: N818  (an outcome, not a defect)
    """Somebody else makes this volume: nothing is done, and nothing said (LB-18)."""


def finished(message: str) -> ProvisioningFailed:
    """Return a failure after which there is no volume."""
    return ProvisioningFailed(message, State.FINISHED)


def no_change(message: str) -> ProvisioningFailed:
    """Return a failure before the driver was asked."""
    return ProvisioningFailed(message, State.NO_CHANGE)
