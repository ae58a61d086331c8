"""The two forms of an answer."""

from __future__ import annotations

import pytest

from pvbinder.foresight.sections import ROWS_MAX, Section, as_markdown, as_text

PARTS = [
    Section("What each claim gets", ("CLAIM", "GETS"), (("shop/a", "volume disk-7"), ("shop/bb", "nothing"))),
    Section("Good to know", (), (("one", "thing"),)),
]


def test_sections_1_text_and_markdown_say_the_same() -> None:
    assert as_text("2 claims", PARTS, 80).split("\n") == [
        "2 claims",
        "",
        "What each claim gets",
        "  CLAIM    GETS",
        "  shop/a   volume disk-7",
        "  shop/bb  nothing",
        "",
        "Good to know",
        "  one  thing",
    ]
    assert as_markdown("2 claims", PARTS).split("\n") == [
        "### 2 claims",
        "",
        "**What each claim gets**",
        "",
        "| CLAIM | GETS |",
        "| --- | --- |",
        "| shop/a | volume disk-7 |",
        "| shop/bb | nothing |",
        "",
        "**Good to know**",
        "",
        "- one thing",
    ]


def test_sections_1_many_rows_are_counted_in_both() -> None:
    many = [Section("All", (), tuple((str(number),) for number in range(ROWS_MAX + 5)))]

    assert "and 5 more: -o json has them all" in as_text("x", many, 80)
    assert "and 5 more: -o json has them all" in as_markdown("x", many)


def test_sections_2_what_objects_say_cannot_break_the_form() -> None:
    odd = [Section("t", ("A",), (("a|b\n# <b>*x*\x1b[31m",),))]

    (row,) = [line for line in as_markdown("h", odd).split("\n") if "x" in line]
    assert row.startswith(r"| a\|b")
    assert "\x1b" not in as_markdown("h", odd) + as_text("h", odd, 80)
    assert "<b>" not in row.replace(r"\<b\>", "")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_sections_3_no_line_is_wider_than_the_terminal_and_no_word_is_lost(width: int) -> None:
    long = "no volume fits it and nothing will provision one: no volume plugin matched name"
    rows = (
        ("shop/orders", long, "nfs-2: offers RWX, not RWO [FM-2]", "SC-U6"),
        ("shop/b", "volume disk-7", "", "SC-B4"),
    )
    table = Section("What each claim gets", ("CLAIM", "GETS", "RUNNER-UP", "RULES"), rows)
    plain = Section("Any one of these helps", (), (("shop/orders", long),))
    text = as_text("3 claims: 1 gets storage, 2 get nothing", [table, plain], width)
    assert max(map(len, text.split("\n"))) <= width
    said = ["3 claims: 1 gets storage, 2 get nothing", table.title, *table.columns, *rows[0], *rows[1], plain.title]
    assert sorted("".join(text.split())) == sorted("".join("".join([*said, "shop/orders", long]).split()))


def test_sections_3_a_command_is_never_broken() -> None:
    command = 'kubectl patch pv hdd --type=merge -p \'{"spec":{"claimRef":{"namespace":"shop","name":"a"}}}\''
    rows = (("shop/orders", f"reserve volume hdd for the claim that needs it most: {command}"),)
    lines = as_text("h", [Section("t", (), rows)], 50).split("\n")
    assert f"    {command}" in lines
    assert all(len(line) <= 50 for line in lines if command not in line)
