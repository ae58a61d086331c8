"""Every command of the examples and how-to pages, run with the real kubectl on a plane of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tools.console import TOP, may_fail, run_step, steps_of, symbolic
from tools.plane import running

PAGES = sorted([*(TOP / "examples").glob("*/README.md"), *(TOP / "docs" / "how-to").glob("*.md"), TOP / "README.md"])
WITH_STEPS = [page for page in PAGES if steps_of(page.read_text())]

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]


@pytest.mark.parametrize("page", WITH_STEPS, ids=lambda page: str(page.relative_to(TOP)))
def test_a_page_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "KUBECONFIG": str(tmp_path / "data" / "kubeconfig"),
    }
    with running(tmp_path / "data"):
        for step in steps_of(page.read_text()):
            outcome = run_step(step, environment)
            assert symbolic(outcome.printed) == symbolic(step.printed), f"$ {step.command}"
            assert outcome.code == 0 or may_fail(step), f"$ {step.command}: exit code {outcome.code}"


@pytest.mark.parametrize(
    "manifest", sorted((TOP / "examples").rglob("*.yaml")), ids=lambda path: str(path.relative_to(TOP))
)
def test_a_manifest_says_what_to_expect(manifest: Path) -> None:
    comment = manifest.read_text().partition("\napiVersion")[0]

    assert comment.startswith("# ")
    assert "# Expect: " in comment


def test_the_examples_are_all_listed() -> None:
    listed = (TOP / "examples" / "README.md").read_text()

    assert all(f"({page.parent.name}/README.md)" in listed for page in (TOP / "examples").glob("*/README.md"))
