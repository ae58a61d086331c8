"""The mutants that docs/mutants.md calls equivalent, and the table that it shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tools.mutation.rooms import ROOT
from tools.mutation.verdicts import OUTCOMES

PAGE = ROOT / "docs" / "mutants.md"
EQUIVALENT = "equivalent"
_ROW = re.compile(r"^\| (?P<fence>`+)(?P<key>.+ -> .+)(?P=fence) \| (?P<reason>.+) \|$")


def equivalents(page: Path = PAGE) -> dict[str, str]:
    """Return the reason of each mutant that nobody can tell from the original, by its key."""
    rows = [_ROW.match(line) for line in page.read_text(encoding="utf-8").splitlines()]
    return {row["key"].replace(r"\|", "|"): row["reason"] for row in rows if row}


def row_of(key: str) -> str:
    """Return the row of a mutant for the page, without its reason."""
    fence = "``" if "`" in key else "`"
    return f"| {fence}{key.replace('|', chr(92) + '|')}{fence} | REASON |"


def table_of(tried: Mapping[str, tuple[int, Counter[str]]]) -> str:
    """Return the table for the page: by room, how many mutants there are, and what became of those tried."""
    columns = ("killed", "timeout", EQUIVALENT, *OUTCOMES[2:])
    lines = ["| room | mutants | tried | " + " | ".join(columns) + " | noticed |", "|---" * (len(columns) + 4) + "|"]
    for room, (count, outcomes) in tried.items():
        judged = sum(outcomes.values()) - outcomes[EQUIVALENT] - outcomes["not judged"]
        noticed = 100 * (outcomes["killed"] + outcomes["timeout"]) / (judged or 1)
        figures = " | ".join(str(outcomes[column]) for column in columns)
        lines.append(f"| {room} | {count} | {sum(outcomes.values())} | {figures} | {noticed:.1f} % |")
    return "\n".join(lines)
