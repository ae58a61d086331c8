"""The manual's list of metrics and the Grafana dashboard agree with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pvbinder.metrics.families import BY_NAME, FAMILIES
from pvbinder.metrics.metrics import Metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
MANUAL = (DOCS / "metrics.md").read_text()
DASHBOARD = json.loads((DOCS / "grafana" / "pvbinder.json").read_text())
EXPRESSIONS = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
NAME = re.compile(
    r"\b((?:pvbinder|workqueue|pv_collector|process|python|storage|volume|retroactive|ephemeral)_[a-z_]+)\b"
)
GROUPED = re.compile(r"\b(?:by|without) \(([^)]*)\)")
SELECTED = re.compile(r"([a-z_]+)\{([^}]*)\}")


def known(name: str) -> str | None:
    """The family that a series called `name` belongs to."""
    stripped = re.sub(r"_(bucket|sum|count)$", "", name)
    if stripped in BY_NAME and BY_NAME[stripped].type == "histogram":
        return stripped
    return name if name in BY_NAME else None


async def process_metrics() -> set[str]:
    text = (await Metrics().text()).decode()
    names = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    return {name for name in names if name.startswith(("process_", "python_"))}


def test_the_manual_lists_every_metric_as_it_is() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| (.*?) \| (.*) \|$", MANUAL, re.MULTILINE)

    assert {name: (kind, labels, meaning) for name, kind, labels, meaning in rows} == {
        family.name: (family.type, ", ".join(f"`{label}`" for label in family.labels), family.meaning)
        for family in FAMILIES
    }


async def test_the_manual_lists_what_the_process_shows() -> None:
    listed = set(re.findall(r"`((?:process|python)_[a-z_]+)`", MANUAL))

    assert listed == await process_metrics()


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS, ids=[title for title, _ in EXPRESSIONS])
async def test_the_dashboard_uses_metrics_that_there_are(title: str, expression: str) -> None:
    names = set(NAME.findall(expression)) - {label for family in FAMILIES for label in family.labels}

    assert title
    assert names
    assert not {name for name in names if known(name) is None} - await process_metrics()


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS, ids=[title for title, _ in EXPRESSIONS])
def test_the_dashboard_uses_labels_that_there_are(title: str, expression: str) -> None:
    families = {family for name in NAME.findall(expression) if (family := known(name)) is not None}
    labels = {label for family in families for label in BY_NAME[family].labels} | {"le", "instance"}
    used = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
    used |= {re.split("=|!", part)[0] for _, selectors in SELECTED.findall(expression) for part in selectors.split(",")}

    assert title
    assert used <= labels


def test_the_examples_of_the_manual_use_metrics_that_there_are() -> None:
    questions = MANUAL.partition("## What to watch")[2].partition("##")[0]
    names = {name for code in re.findall(r"`([^`]+)`", questions) for name in NAME.findall(code)}

    assert len(names) > 8
    assert all(known(name) for name in names)


def test_every_counter_of_the_dashboard_is_shown_as_a_rate() -> None:
    for _, expression in EXPRESSIONS:
        for name in NAME.findall(expression):
            if name in BY_NAME and BY_NAME[name].type == "counter":
                assert re.search(rf"(?:rate|increase)\({name}\b", expression)


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]

    assert len(set(ids)) == len(ids)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])
    assert all(
        target["datasource"]["uid"] == "${datasource}" for p in DASHBOARD["panels"] for target in p.get("targets", ())
    )
