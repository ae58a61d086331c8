"""Line breaks of descriptions are taken from OpenAPI, as positions: where words differ, the guess stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tools.schema.breaks import Breaks, breaks_of, corrections
from tools.schema.generate import Model, with_breaks

TOOL = Path(__file__).parents[2] / "tools/schema/breaks.py"

CASES: dict[str, tuple[str, str, Breaks | None, str]] = {  # guess, exact: breaks, and the text that comes of them
    "a right guess": ("One.\n\nTwo.", "One.\n\nTwo.", None, "One.\n\nTwo."),
    "a lost paragraph": ("One. Two. Three.", "One.\n\nTwo. Three.", [[0, "\n\n"]], "One.\n\nTwo. Three."),
    "a paragraph too many": ("One.\n\nTwo.", "One. Two.", [], "One. Two."),
    "a list": ("Are: - one - two", "Are:\n - one\n - two", [[0, "\n "], [2, "\n "]], "Are:\n - one\n - two"),
    "other words keep the guess": (
        "A b.\n\nC our word. D e.",
        "A b. C its word.\n\nD e.",
        [[4, "\n\n"]],
        "A b. C our word.\n\nD e.",
    ),
    "a guess between other words": ("A our\n\nwords end.", "A its end.", None, "A our\n\nwords end."),
    "words at the end": ("A b. More here.", "A\n\nb.", [[0, "\n\n"]], "A\n\nb. More here."),
}


@pytest.mark.parametrize(("guess", "exact", "breaks", "text"), CASES.values(), ids=CASES.keys())
def test_breaks_are_those_of_the_exact_text(guess: str, exact: str, breaks: Breaks | None, text: str) -> None:
    found = breaks_of(guess, exact)
    assert found == breaks
    assert (guess if found is None else with_breaks(guess, found)) == text


def test_only_wrong_guesses_are_written() -> None:
    right, wrong = "Right.", "First. Second."
    models = {"core_v1.Thing": Model("core_v1", "Thing", wrong, texts={"a": right, "b": wrong})}
    schema = {
        "description": "First.\n\nSecond.",
        "properties": {"a": {"description": right}, "b": {"description": wrong}, "later": {"description": "x\n\ny"}},
    }
    document = {"definitions": {"io.k8s.api.core.v1.Thing": schema, "io.k8s.api.core.v1.Other": {}}}
    assert corrections(models, document) == {"io.k8s.api.core.v1.Thing": {"": [[0, "\n\n"]]}}


def test_the_tool_says_what_it_needs(tmp_path: Path) -> None:
    finished = subprocess.run([sys.executable, TOOL, tmp_path], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (
        2,
        "error: name the file api/openapi-spec/swagger.json of Kubernetes\n",
    )


def test_every_break_of_the_data_is_inside_of_its_text() -> None:
    breaks = json.loads((TOOL.parent / "breaks.json").read_text())
    assert all(gap.isspace() for fields in breaks.values() for pairs in fields.values() for _, gap in pairs)
