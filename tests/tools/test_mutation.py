"""The tool behind `make mutants`: which mistakes it makes, what it leaves out, and how the page's list is read."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from tools.mutation.mistakes import mistakes_of, with_mistake
from tools.mutation.report import equivalents, row_of, table_of

MADE = {  # a line in a function: what may stand instead
    "return a < b": ["a <= b"],
    "return a and not b": ["a or not b", "b"],
    "return f(a, key=b)": ["f(None, key=b)", "f(a)"],
    "return f(a, b)": ["f(None, b)", "f(a, None)", "f(a)"],
    "return a + 1": ["a - 1", "2"],
    "return 'x'": ["'XXxXX'"],
    "return True": ["False"],
    "return [x for x in a if b]": ["[_ for x in a]"],
    "return a if b else c": ["a if not b else c"],
    "self.a = b": ["pass"],
    "a = b": ["a = None"],
    "a += b": ["a = b", "a -= b"],
    "write(a)": ["pass", "write(None)"],
    "del a[b]": ["pass"],
    "if a: return b": ["if not a"],
    "log.info('text', key=a)": ["pass"],
    "a: int": [],
    "assert a > 1, 'text'": [],
    "'documentation'": [],
    "assert_never(a)": [],
    "return cast('Type', a)": ["cast('Type', None)", "cast('Type')"],
    "return isinstance(a, int | str)": ["isinstance(None, int | str)"],
}


@pytest.mark.parametrize(("line", "others"), MADE.items(), ids=MADE.keys())
def test_the_mistakes_of_a_line(line: str, others: list[str]) -> None:
    source = f'def f(a: "A", b: int, c: str) -> "X":\n    """Do it."""\n    pass\n    {line}\n'

    assert [mistake.after for mistake in mistakes_of(source, "x.py")] == others


def test_what_holds_for_types_only_is_left_out() -> None:
    source = "from x import cache\n__slots__ = ('a',)\nT = NewType('T', str)\n@cache(5)\nclass C(B, frozen=True): ...\n"

    assert mistakes_of(source, "x.py") == []


def test_a_mistake_is_the_only_difference() -> None:
    source = "def f(a, b):\n    return a < b or a < b\n"
    second = mistakes_of(source, "x.py")[2]

    assert second.key == "x.py f: a < b -> a <= b (2)"
    assert ast.unparse(with_mistake(source, second.number)) == "def f(a, b):\n    return a < b or a <= b"


def test_the_page_says_which_mutants_are_equivalent(tmp_path: Path) -> None:
    page = tmp_path / "mutants.md"
    key = "rules/x.py f: a | `b` -> a & `b`"
    page.write_text("| mutant | why |\n|---|---|\n" + row_of(key).replace("REASON", "only the speed differs"))

    assert equivalents(page) == {key: "only the speed differs"}


def test_every_mutant_on_the_page_is_one_of_today() -> None:
    by_file: dict[str, set[str]] = {}
    for key in equivalents():
        file = key.split(" ")[0]
        if file not in by_file:
            source = Path("src/pvbinder", file).read_text(encoding="utf-8")
            by_file[file] = {mistake.key for mistake in mistakes_of(source, file)}
        assert key in by_file[file], f"docs/mutants.md has a mutant that the code has no more: {key}"


def test_the_table_counts_what_was_judged() -> None:
    outcomes = Counter({"killed": 8, "timeout": 1, "survived": 1, "equivalent": 3, "not judged": 2})

    assert table_of({"rules": (100, outcomes)}).splitlines()[-1] == (
        "| rules | 100 | 15 | 8 | 1 | 3 | 1 | 0 | 2 | 90.0 % |"
    )
