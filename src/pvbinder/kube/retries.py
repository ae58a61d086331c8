"""How often and how patiently a request is repeated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a request is repeated (CLIENT-3)."""

    attempts: int = 5
    first_seconds: float = 0.1
    most_seconds: float = 5.0
    longest_retry_after_seconds: float = 60.0

    def delay(self, attempt: int, asked_seconds: float | None, chance: float) -> float:
        """Seconds before the repetition after failed `attempt` (from 1): half is fixed, half is `chance` (0 to 1)."""
        backoff = min(self.first_seconds * 2.0 ** (attempt - 1), self.most_seconds)
        jittered = backoff * (0.5 + chance / 2)
        if asked_seconds is None:
            return jittered
        return min(asked_seconds, self.longest_retry_after_seconds) + jittered
