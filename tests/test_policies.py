"""Policies of the house that no linter knows: citations that hold, guarantees with tests, docstrings, clean files."""

from __future__ import annotations

import ast
import re
import subprocess
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from tools.reference import reference_pages
from tools.rules import cited_in, generated, read_rules
from tools.site import in_navigation, pages

from pvbinder.cli.main import COMMANDS, cli

TOP = Path(__file__).resolve().parent.parent
SOURCES = sorted((TOP / "src").rglob("*.py"))
TESTS = sorted(path for path in (TOP / "tests").rglob("*.py") if path.parent.parent.name != "conformance")
RULES = frozenset(rule.id for rule in read_rules())
GROUPS = {  # MT-6 stands for MT-6a and MT-6b
    group: {rule for rule in RULES if rule.rstrip("abc") == group} for group in {rule.rstrip("abc") for rule in RULES}
}

USER_PAGES = [
    TOP / "README.md",
    TOP / "CHANGELOG.md",
    *(page for page in (TOP / "docs").rglob("*.md") if page.parent.name not in ("rules", "decisions")),
    *(TOP / "examples").rglob("*.md"),
]
_GUARANTEE = re.compile(r"^([A-Z]{4,}(?:_[A-Z]+)*)-(\d+) ", re.MULTILINE)


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


def branches_on_a_rule(tree: ast.AST) -> list[int]:
    """Return the lines where a rule ID or a reason decides something that mypy can't see is complete."""
    lines = []
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            parts += [each for part in parts if isinstance(part, ast.Tuple | ast.Set | ast.List) for each in part.elts]
        elif isinstance(node, ast.Match):
            parts = [node.subject]
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            parts = [node.value]
        if any(map(_names_a_rule, parts)):
            lines.append(node.lineno if isinstance(node, ast.expr | ast.stmt | ast.pattern) else 0)
    return lines


def _names_a_rule(part: ast.AST) -> bool:
    match part:
        case ast.Constant(value=str(text)):
            return text in RULES
        case ast.Attribute(attr="rule"):
            return True
        case ast.Attribute(value=ast.Name(id=owner)):
            return owner.endswith("Reason")
        case _:
            return False


@pytest.mark.parametrize(
    "code",
    [
        'if action.rule == "SC-U7": pass',
        'if "SC-U3" == rule: pass',
        'if rule in ("SC-P2", "SC-P5"): pass',
        "if action.reason is WaitReason.NO_CONSUMER: pass",
        "match action.rule:\n    case found: pass",
        'match name:\n    case "SC-U5": pass',
        'match name:\n    case "SC-P2" | "SC-P5": pass',
        'match action:\n    case Wait(rule="SC-U5"): pass',
    ],
)
def test_a_branch_on_a_rule_is_found(code: str) -> None:
    assert branches_on_a_rule(ast.parse(code))


def test_a_rule_is_no_part_of_a_value() -> None:
    """It follows from the type of an action or from its reason: nobody can pass the wrong one."""
    passed = [
        f"{path.relative_to(TOP)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal"
        if any(isinstance(each, ast.Constant) and each.value in RULES for each in ast.walk(node.slice))
    ]
    assert not passed


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(TOP)))
def test_nothing_is_decided_by_a_rule(path: Path) -> None:
    """Code that depends on a reason matches its members with assert_never, so that mypy finds a forgotten new one."""
    assert not branches_on_a_rule(ast.parse(path.read_text()))


COMPOSERS = ("server/embedded.py", "plane/control_plane.py")


@pytest.mark.parametrize("composer", COMPOSERS)
def test_what_parts_need_of_each_other_they_get_when_they_are_made(composer: str) -> None:
    """Who puts parts together sets no attribute and no entry of theirs: each is complete when it is there."""
    tree = ast.parse((TOP / "src" / "pvbinder" / composer).read_text())
    assert not set_on_others(tree)


def set_on_others(tree: ast.AST) -> list[str]:
    """Return the attributes that are set on anything but self, and the entries that are set in an attribute."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self")):
                continue
            case ast.Attribute(ctx=ast.Store()) | ast.Subscript(value=ast.Attribute(), ctx=ast.Store()):
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "code", ["self.api.guard = x", "self.api.posts['a', 'b'] = x", "server.dispatcher.pages['/'] = x"]
)
def test_a_part_that_is_completed_later_is_found(code: str) -> None:
    assert set_on_others(ast.parse(code))


def test_every_numbered_guarantee_has_its_test() -> None:
    names = sorted(
        node.name
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    missing = []
    for path in SOURCES:
        for word, number in _GUARANTEE.findall(ast.get_docstring(ast.parse(path.read_text())) or ""):
            prefix = f"test_{word.lower()}_{number}_"
            at = bisect_left(names, prefix)
            if not "".join(names[at : at + 1]).startswith(prefix):
                missing.append(f"{path.relative_to(TOP)}: {word}-{number} has no {prefix}…")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: str(path.relative_to(TOP)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert path.read_text() == "" or ast.get_docstring(ast.parse(path.read_text()))


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (TOP / "docs" / "architecture.md").read_text()
    package = TOP / "src" / "pvbinder"
    floors = ("", "api", "api/rest", "kinds", "objects")
    places = (TOP, package, *(package / "server" / floor for floor in floors))
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", text))
    assert not [name for name in named if not any((place / name).exists() for place in places)]


TOURS = ("cli", "controllers", "insight", "kube", "metrics", "model", "rules", "volumes", "web")


@pytest.mark.parametrize("room", TOURS)
def test_the_tour_of_a_room_names_nothing_that_is_gone(room: str) -> None:
    """A stranger reads the docstring of a room's ``__init__.py`` first."""
    here = TOP / "src" / "pvbinder" / room
    tour = ast.get_docstring(ast.parse((here / "__init__.py").read_text())) or ""
    bullets = tour[tour.index("\n- ") :]
    there = {path.stem for path in here.glob("*.py")} | {path.parent.name for path in here.glob("*/__init__.py")}
    assert not set(re.findall(r"`(\w+)`", bullets)) - there


def test_no_file_has_more_than_500_lines() -> None:
    """At 500 lines there is a second idea in it: give it a file of its own."""
    tools = [path for part in ("tools", "bench") for path in (TOP / part).rglob("*.py")]
    assert not [path for path in (*SOURCES, *TESTS, *tools) if len(path.read_text().splitlines()) > 500]


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


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-run.lock", "requirements-docs.lock"])
def test_the_lock_holds_every_dependency_by_hash(name: str) -> None:
    pinned = re.findall(r"^([a-z0-9-]+)==\S+(.*)$", (TOP / name).read_text(), re.MULTILINE)
    assert len(pinned) > 10
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
    written = [
        TOP / "README.md",
        TOP / "CONTRIBUTING.md",
        *(TOP / "docs").rglob("*.md"),
        *(TOP / "examples").rglob("*.md"),
    ]
    broken = [
        f"{page.relative_to(TOP)}: {target}"
        for page in written
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", re.sub(r"`[^`\n]*`", "", page.read_text()))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_every_page_of_docs_is_in_the_index() -> None:
    docs = TOP / "docs"
    linked = {(docs / target).resolve() for target in re.findall(r"\]\(([^)#:]+)", (docs / "index.md").read_text())}
    written = {page for page in [*docs.glob("*.md"), *(docs / "how-to").glob("*.md")] if page.name != "index.md"}
    assert not {str(page.relative_to(docs)) for page in written - linked}, "link it in docs/index.md"


def test_site_1_the_navigation_names_every_page_once() -> None:
    named = in_navigation()
    assert not [page for page in named if named.count(page) > 1], "zensical.toml names it twice"
    assert set(named) - pages() == set(), "zensical.toml names a page that isn't there"
    assert pages() - set(named) == set(), "name it in zensical.toml, where a reader would look for it"


def test_what_is_written_from_the_rules_is_what_the_rules_say() -> None:
    stale = [str(path.relative_to(TOP)) for path, content in generated().items() if path.read_bytes() != content]
    assert not stale, "make reference writes them anew"


def test_no_page_for_users_shows_a_rule_that_leads_nowhere() -> None:
    bare = []
    for page in USER_PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)  # outputs say it in words
        defined = re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)
        text = re.sub(r"\[[^\]\n]*\]\([^)]*\)|^\[[^\]]+\]: .*$", "", text, flags=re.MULTILINE)
        for rule in defined:
            text = text.replace(f"[{rule}]", "")
        text = re.sub(r"`pvbinder [^`]*`", "", text)
        bare += [f"{page.relative_to(TOP)}: {rule}" for rule in sorted(cited_in(text))]
    assert not bare, "link it: [SC-U6](rules/binder.md#sc-u6)"


def test_every_link_to_a_rule_leads_to_it() -> None:
    anchors = {f"{rule.page}.md#{rule.id.lower()}" for rule in read_rules()}
    broken = [
        f"{page.relative_to(TOP)}: {target}"
        for page in USER_PAGES
        for target in re.findall(r"\brules/([a-z-]+\.md#[^)\s]+)", page.read_text())
        if target not in anchors
    ]
    assert not broken


def public_types(path: Path) -> set[str]:
    """Return the names of the public classes and type aliases of the file."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {each.id for each in targets if isinstance(each, ast.Name) and re.match("[A-Z].*[a-z]", each.id)}
    return {name for name in found if not name.startswith("_") and name != "T_co"}


def test_the_glossary_knows_each_public_type_that_two_rooms_have() -> None:
    counted = Counter(name for path in SOURCES for name in public_types(path))
    shared = {name for name, count in counted.items() if count > 1}
    table = (TOP / "docs" / "glossary.md").read_text().partition("## Names that two rooms share")[2]
    known = {
        name for cell in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE) for name in cell.strip("`").split("`, `")
    }
    assert not shared - known, "one name, one thing: find another name, or say in docs/glossary.md why both have it"
    assert not known - shared, "only one room has it now: take it out of the last table of docs/glossary.md"


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Give the place and the text of each docstring in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield f"{path.relative_to(TOP)}:{getattr(node, 'lineno', 1)}", text


def says_only_a_rule(docstring: str) -> bool:
    """Tell whether the docstring's first paragraph cites a rule or a guarantee and says nothing of its own."""
    first = docstring.split("\n\n")[0]
    own = re.sub(r"\b(?:[A-Z][A-Z_]*(?:-[A-Z])?-?\d+[a-z]?|to|and|table|sections?)\b|[^A-Za-z]", " ", first).split()
    return len(own) <= 1 and bool(re.search(r"[A-Z]-?\d", first))


@pytest.mark.parametrize(
    "docstring", ["PR-12.", "SC-U3.", "PR-15 to PR-17.", "GW-11 Required.", "WATCH-2.", "DE-3, DE-4"]
)
def test_a_docstring_that_says_only_a_rule_is_found(docstring: str) -> None:
    assert says_only_a_rule(docstring)
    assert not says_only_a_rule(f"Mark the object as deleted ({docstring})")


def test_no_docstring_is_only_a_rule() -> None:
    bare = [f"{place}: {text}" for path in SOURCES for place, text in docstrings(path) if says_only_a_rule(text)]
    assert not bare, "\n".join(["say the sentence, then the rule:", *bare])


def test_code_names_the_rules_by_their_page_and_heading() -> None:
    """A number of a section leads nowhere by itself: ``docs/rules/binder.md#9-reclaim`` does, and a rule ID does."""
    headings = {
        f"{page.name}#{re.sub(r'[^a-z0-9 -]', '', title.lower()).replace(' ', '-')}"
        for page in (TOP / "docs" / "rules").glob("*.md")
        for title in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    } | {f"{rule.page}.md#{rule.id.lower()}" for rule in read_rules()}
    broken = []
    for path in set(SOURCES) | set(TESTS) - {Path(__file__)}:
        text = path.read_text()
        named = re.findall(r"(?<!docs/)\brules/([a-z-]+\.md#[\w-]+)|docs/rules/([a-z-]+\.md#[\w-]+)", text)
        broken += [f"{path.relative_to(TOP)}: {one or other}" for one, other in named if (one or other) not in headings]
        numbered = re.findall(r"(?<!RFC 7386, )\bsections? \d[\d.]*", text)
        broken += [f"{path.relative_to(TOP)}: {number}" for number in numbered]
    assert not broken, "\n".join(sorted(broken))


def test_every_page_that_code_names_is_there() -> None:
    pages = {path.name for path in tracked_files() if path.suffix == ".md"}
    missing = {
        f"{path.relative_to(TOP)}: {name}"
        for path in [*SOURCES, *TESTS]
        for name in re.findall(r"\b([a-z][\w-]*\.md)\b", path.read_text())
        if name not in pages
    }
    assert not missing
