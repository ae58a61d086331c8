"""Every command of the examples and how-to pages, run with the real kubectl on a plane of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tools.console import TOP, may_fail, run_step, steps_of, symbolic
from tools.plane import running

STORY_NAMES = ("life-of-a-volume", "local-wait-for-consumer", "quickstart", "rook-ceph-block")
PAGES = sorted([*(TOP / "examples").glob("*/README.md"), *(TOP / "docs" / "how-to").glob("*.md"), TOP / "README.md"])
WITH_STEPS = [page for page in PAGES if steps_of(page.read_text())]

STORIES = [TOP / "examples" / name / "README.md" for name in STORY_NAMES]

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]


def follow(page: Path, directory: Path) -> None:
    """Type what `page` says, on the plane whose data are in `directory`, and compare what is printed."""
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(directory.parent),
        "KUBECONFIG": str(directory / "kubeconfig"),
    }
    for step in steps_of(page.read_text()):
        outcome = run_step(step, environment)
        assert symbolic(outcome.printed) == symbolic(step.printed), f"{page.parent.name}: $ {step.command}"
        assert outcome.code == 0 or may_fail(step), f"$ {step.command}: exit code {outcome.code}"


OTHERS = [page for page in WITH_STEPS if page not in STORIES]


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: str(page.relative_to(TOP)))
def test_a_page_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        follow(page, tmp_path / "data")


def test_the_stories_print_what_they_say_in_any_order_and_clean_up_after_themselves(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        for page in (*STORIES, *reversed(STORIES[:-1])):
            follow(page, tmp_path / "data")


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
