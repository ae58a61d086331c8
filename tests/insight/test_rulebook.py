"""Rules are found by their IDs, word for word as in docs/rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.rules import MalformedRuleError, read_rules

from pvbinder.insight.rulebook import Rule, UnknownRuleError, find_rules, rules, shown

PAGE = """# A page

## 1. Things

| ID | Condition | Action |
|---|---|---|
| <a id="sv-1"></a>[SV-1](where.md#sv-1) | it is `a \\| b` | leave **it** |
| <a id="sv-2"></a>[SV-2](where.md#sv-2) | x | y |
|  |  | z |

More.

| ID | Rule |
|---|---|
| <a id="sv-3a"></a>[SV-3a](where.md#sv-3a) | third |
"""


def test_rulebook_1_every_rule_is_found_word_for_word_in_upper_and_lower_case() -> None:
    written = read_rules()
    assert len(written) > 500
    for rule in written:
        assert find_rules(rule.id) == [rule] == find_rules(rule.id.lower())


@given(st.text(st.sampled_from("SCUPFMVABC-0123456789ab "), max_size=6))
def test_rulebook_2_what_is_no_rule_is_refused_and_what_is_found_begins_with_what_was_asked_for(name: str) -> None:
    try:
        found = find_rules(name)
    except UnknownRuleError:
        assert name.strip().upper() not in {rule.upper() for rule in rules()}
    else:
        assert all(rule.id.upper().startswith(name.strip().upper()) for rule in found)


def test_rulebook_2_the_nearest_rules_are_named() -> None:
    with pytest.raises(UnknownRuleError) as refused:
        find_rules("SC-U99")
    assert refused.value.hint is not None
    assert "SC-U" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "found"),
    {
        "a family": ("SC-P", ["SC-P1", "SC-P2", "SC-P3", "SC-P4", "SC-P5", "SC-P6"]),
        "a rule in parts": ("MT-6", ["MT-6a", "MT-6b"]),
        "a rule that others only begin like": ("FM-1", ["FM-1"]),
    }.values(),
)
def test_families_and_parts_are_found(name: str, found: list[str]) -> None:
    assert [rule.id for rule in find_rules(name)] == found


def test_a_rule_is_shown_with_its_section_and_the_names_of_its_columns() -> None:
    rule = Rule("SV-1", "binder", "3. Volumes", (("Condition", "it is **not** there"), ("Action", "`Available`")))
    assert shown(rule, 80) == (
        "SV-1  3. Volumes (docs/rules/binder.md)\n  Condition: it is not there\n  Action: `Available`\n"
    )


def test_no_line_is_wider_than_asked_for() -> None:
    for rule in rules().values():
        for line in shown(rule, 100).splitlines()[1:]:
            assert len(line) <= 100 or " " not in line.strip()


def test_pages_are_read_row_by_row(tmp_path: Path) -> None:
    (tmp_path / "binder.md").write_text(PAGE)
    assert read_rules(tmp_path) == [
        Rule("SV-1", "binder", "1. Things", (("Condition", "it is `a \\| b`"), ("Action", "leave **it**"))),
        Rule("SV-2", "binder", "1. Things", (("Condition", "x"), ("Action", "y"), ("and", "z"))),
        Rule("SV-3a", "binder", "1. Things", (("Rule", "third"),)),
    ]


@pytest.mark.parametrize(
    "row",
    {
        "no anchor": "| SV-4 | fourth |",
        "another anchor": '| <a id="sv-5"></a>[SV-4](where.md#sv-4) | fourth |',
        "another link": '| <a id="sv-4"></a>[SV-4](where.md#sv-5) | fourth |',
        "a rule twice": '| <a id="sv-1"></a>[SV-1](where.md#sv-1) | again |',
    }.values(),
)
def test_a_row_that_cannot_be_linked_to_is_named(tmp_path: Path, row: str) -> None:
    (tmp_path / "binder.md").write_text(PAGE + row + "\n")
    with pytest.raises(MalformedRuleError, match=r"SV-\d"):
        read_rules(tmp_path)
