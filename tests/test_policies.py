"""Policies of the house that no linter knows: citations that hold, guarantees with tests, docstrings, clean files."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest
from tools.reference import reference_pages

from pvbinder.cli.main import COMMANDS, cli

TOP = Path(__file__).resolve().parent.parent
SOURCES = sorted((TOP / "src").rglob("*.py"))
TESTS = sorted(path for path in (TOP / "tests").rglob("*.py") if path.parent.parent.name != "conformance")
RULES = frozenset((TOP / "tests" / "rule_ids.txt").read_text().split())
GROUPS = {  # MT-6 stands for MT-6a and MT-6b
    group: {rule for rule in RULES if rule.rstrip("abc") == group} for group in {rule.rstrip("abc") for rule in RULES}
}

_PREFIXES = "|".join(sorted({re.sub(r"\d+[a-z]?$", "", rule) for rule in RULES}, key=len, reverse=True))
_CITED = re.compile(rf"(?<![A-Za-z0-9_/.-])((?:{_PREFIXES})\d+[a-z]?)(?![A-Za-z0-9_])")
_RANGE = re.compile(rf"(?<![A-Za-z0-9_/.-])({_PREFIXES})(\d+)(?: to \1|\.\.)(\d+)")
_GUARANTEE = re.compile(r"^([A-Z]{4,}(?:_[A-Z]+)*)-(\d+) ", re.MULTILINE)
_NOT_RULES = {"P-256"}  # an elliptic curve


def cited_in(text: str) -> set[str]:
    """Return the rules that `text` cites, ranges spelled out."""
    found = set(_CITED.findall(text)) - _NOT_RULES
    for prefix, first, last in _RANGE.findall(text):
        found |= {f"{prefix}{number}" for number in range(int(first), int(last) + 1)}
    return found


@cache
def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout: which files belong to the project is not known")
    return [TOP / name for name in listed.stdout.decode().split("\0") if name and (TOP / name).is_file()]


@cache
def cited_by_tests() -> frozenset[str]:
    own_lists = {Path(__file__)}
    texts = [path.read_text() for path in TESTS if path not in own_lists]
    return frozenset().union(*(cited_in(text) for text in texts), vector_rules())


def vector_rules() -> set[str]:
    """Return the rules that the purposes of the unit vectors name."""
    return set().union(*(cited_in(path.read_text()) for path in (TOP / "tests").rglob("*.json")), set())


def test_every_rule_that_code_cites_exists() -> None:
    unknown = {
        f"{path.relative_to(TOP)}: {rule}"
        for path in SOURCES
        for rule in cited_in(path.read_text())
        if rule not in RULES and rule not in GROUPS
    }
    assert not unknown


def test_every_rule_that_code_cites_is_cited_by_a_test() -> None:
    untested = {
        f"{path.relative_to(TOP)}: {rule}"
        for path in SOURCES
        for rule in cited_in(path.read_text())
        if not cited_by_tests() & {rule, *GROUPS.get(rule, ())}
    }
    assert not untested, "\n".join(sorted(untested))


def test_every_numbered_guarantee_has_its_test() -> None:
    names = {
        node.name
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    missing = []
    for path in SOURCES:
        for word, number in _GUARANTEE.findall(ast.get_docstring(ast.parse(path.read_text())) or ""):
            prefix = f"test_{word.lower()}_{number}_"
            if not any(name.startswith(prefix) for name in names):
                missing.append(f"{path.relative_to(TOP)}: {word}-{number} has no {prefix}…")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: str(path.relative_to(TOP)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert path.read_text() == "" or ast.get_docstring(ast.parse(path.read_text()))


def test_no_module_is_called_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc", "base"}
    assert not [path for path in [*SOURCES, *TESTS] if path.stem in drawers]


def test_no_file_names_a_machine_or_a_registry() -> None:
    forbidden = re.compile(
        rb"(?<![\w.])/(?:work|root)/|/home/(?!ana\b|you\b|user\b)\w+/|files\.pythonhosted|pypi\.org|registry\.npm|/opt/pypi"
    )
    found = {}
    for path in tracked_files():
        if path == Path(__file__) or path.suffix in {".png", ".svg"}:
            continue
        if match := forbidden.search(path.read_bytes()):
            found[str(path.relative_to(TOP))] = match[0]
    assert not found


def test_the_lock_holds_every_dependency_by_hash() -> None:
    lock = (TOP / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==\S+(.*)$", lock, re.MULTILINE)
    assert len(pinned) > 20
    assert all(rest.endswith("\\") for _, rest in pinned), "each version is followed by its hashes"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_an_example_and_a_page(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help, "what it does"
    assert command.epilog, "an example"
    assert f"pvbinder {name}" in command.epilog
    assert (TOP / "docs" / "reference" / f"{name}.md").is_file()
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.opts[0]} has no help"


def test_the_reference_pages_say_what_the_help_says() -> None:
    stale = [str(path.relative_to(TOP)) for path, text in reference_pages().items() if path.read_text() != text]
    assert not stale, "make reference writes them anew"


def test_every_documentation_page_can_be_found_and_its_links_lead_somewhere() -> None:
    pages = [
        TOP / "README.md",
        TOP / "CONTRIBUTING.md",
        *(TOP / "docs").rglob("*.md"),
        *(TOP / "examples").rglob("*.md"),
    ]
    broken = [
        f"{page.relative_to(TOP)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_the_page_on_behaviour_says_where_each_rule_is_tested() -> None:
    prose, _, links = (TOP / "docs" / "behaviour.md").read_text().partition("<!-- generated by tools/behaviour.py")
    places = dict(re.findall(r"^\[([^\]]+)\]: \.\./(\S+)$", links, re.MULTILINE))
    named = set(re.findall(r"\[([^\]\s]+)\](?!\()", prose))
    assert named <= RULES
    stale = [rule for rule in named if rule not in places or rule not in cited_in((TOP / places[rule]).read_text())]
    assert not stale, "make reference writes the links anew"
