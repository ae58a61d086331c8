"""The page of all findings is the list of codes."""

from __future__ import annotations

from tools.findings import PAGE, page


def test_the_page_of_findings_is_made_from_the_codes() -> None:
    assert PAGE.read_text() == page(), "run: python -m tools.findings"
