"""docs/apiserver.md lists exactly the served kinds."""

from __future__ import annotations

from pathlib import Path

from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import ALL_VERBS

PAGE = Path(__file__).parents[2] / "docs/apiserver.md"
HEAD = "| resource | group and version | scope | short | subresources | verbs |\n|---|---|---|---|---|---|\n"


def table() -> str:
    """The table of served kinds, as it must stand in the page."""
    rows = []
    for kind in Registry():
        resource = kind.resource
        cells = (
            resource.plural,
            resource.api_version,
            "namespace" if resource.namespaced else "cluster",
            ", ".join(kind.short_names),
            ", ".join(sub.name for sub in kind.subresources),
            "all" if set(kind.verbs) == set(ALL_VERBS) else ", ".join(kind.verbs),
        )
        rows.append("| " + " | ".join(cells) + " |\n")
    return HEAD + "".join(rows)


def test_the_page_lists_what_is_served() -> None:
    assert table() in PAGE.read_text(), f"the table in {PAGE.name} must read:\n\n{table()}"
