"""What a preflight finds out, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Advice(StrEnum):
    """What a finding means for the question whether pvbinder may start."""

    GO = "go"
    WARNING = "warning"  # it may, but something won't be as it could
    NO_GO = "no-go"


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that was looked at: what is so, and what to do about it."""

    check: str
    verdict: Advice
    said: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Preflight:
    """All findings about one server."""

    server: str
    findings: Sequence[Observation]

    @property
    def verdict(self) -> Advice:
        """The worst of all."""
        order = tuple(Advice)
        return max((one.verdict for one in self.findings), key=order.index, default=Advice.GO)
