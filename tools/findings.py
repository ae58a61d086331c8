"""Writes docs/findings.md from the list of codes: ``python -m tools.findings``; ``--check`` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pvbinder.audit.codes import CODES, FAMILIES
from pvbinder.insight.rulebook import rules

PAGE = Path(__file__).parent.parent / "docs" / "findings.md"
HEAD = """# All findings

`pvbinder audit` gives each finding a code that keeps its meaning. This page is made from the code (`python -m
tools.findings`); `pvbinder audit --help-finding PVB203` prints one entry. [How to audit](audit.md).

The level is the worst that the finding can have: the text says when it is less.
"""


def page() -> str:
    """Return the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD.rstrip()
    for digit, family in FAMILIES.items():
        yield ""
        yield f"## {digit}xx: {family}"
        for code in CODES.values():
            if code.code[3] == digit:
                yield ""
                yield f'### <a id="{code.code.lower()}"></a>{code.code}: {code.title}'
                yield ""
                yield f"{code.level} · `{code.name}`" + (
                    f" · {', '.join(map(_link, code.rules))}" if code.rules else ""
                )
                yield ""
                yield code.meaning
                yield ""
                yield f"**Way out:** {code.way_out}"


def _link(rule: str) -> str:
    return f"[{rule}](rules/{rules()[rule].page}.md#{rule.lower()})"


def main() -> int:
    """Write the page, or compare it."""
    if "--check" in sys.argv:
        return int(PAGE.read_text() != page())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
