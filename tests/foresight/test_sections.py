"""The two forms of an answer."""

from __future__ import annotations

from pvbinder.foresight.sections import ROWS_MAX, Section, as_markdown, as_text

PARTS = [
    Section("What each claim gets", ("CLAIM", "GETS"), (("shop/a", "volume disk-7"), ("shop/bb", "nothing"))),
    Section("Good to know", (), (("one", "thing"),)),
]


def test_sections_1_text_and_markdown_say_the_same() -> None:
    assert as_text("2 claims", PARTS).split("\n") == [
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

    assert "and 5 more: -o json has them all" in as_text("x", many)
    assert "and 5 more: -o json has them all" in as_markdown("x", many)


def test_sections_2_what_objects_say_cannot_break_the_form() -> None:
    odd = [Section("t", ("A",), (("a|b\n# <b>*x*\x1b[31m",),))]

    (row,) = [line for line in as_markdown("h", odd).split("\n") if "x" in line]
    assert row.startswith(r"| a\|b")
    assert "\x1b" not in as_markdown("h", odd) + as_text("h", odd)
    assert "<b>" not in row.replace(r"\<b\>", "")
