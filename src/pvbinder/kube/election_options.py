"""The times of an election, and which of them make sense."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pvbinder.model.errors import PvbinderError

JITTER_FACTOR: Final = 1.2  # a candidate's pauses are up to so many times longer, at random


class ElectionOptionsError(PvbinderError):
    """Times with which no election works."""


@dataclass(frozen=True, slots=True)
class ElectionOptions:
    """How to elect; names and defaults of the times are client-go's."""

    namespace: str
    lease_seconds: float = 15.0
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0
    releases: bool = True
    labels: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ElectionOptionsError for times that client-go refuses."""
        if self.lease_seconds < 1 or self.retry_seconds <= 0:
            raise ElectionOptionsError("the lease's duration must be a second or more, and the retry period something")
        if self.lease_seconds <= self.renew_deadline_seconds:
            raise ElectionOptionsError("the lease's duration must be greater than the renewal's deadline")
        if self.renew_deadline_seconds <= JITTER_FACTOR * self.retry_seconds:
            raise ElectionOptionsError(
                f"the renewal's deadline must be greater than {JITTER_FACTOR} times the retry period"
            )
