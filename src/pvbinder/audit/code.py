"""One kind of finding, as the list of codes has it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from pvbinder.audit.finding import FindingLevel

FAMILIES: Final = {
    "1": "claims",
    "2": "volumes",
    "3": "pairs",
    "4": "classes",
    "6": "nodes and workloads",
    "7": "capacity",
    "8": "leaks",
}


class FindingCode(Struct, frozen=True):
    """One kind of finding: its worst level, its name for programs, what it means, why it matters, the way out."""

    code: str
    level: FindingLevel
    name: str
    title: str
    meaning: str
    way_out: str
    rules: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The objects that it is about."""
        return FAMILIES[self.code[3]]
