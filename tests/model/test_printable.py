"""Text from anywhere, made fit to be shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.model.printable import printable, printable_json, printable_lines

WRITTEN_OUT = {  # what it is: (the character, how it is written out)
    "the beginning of a command": ("\x1b", "\\x1b"),
    "a bell": ("\x07", "\\x07"),
    "a new line": ("\n", "\\n"),
    "back to the line's beginning": ("\r", "\\r"),
    "a tab": ("\t", "\\t"),
    "delete": ("\x7f", "\\x7f"),
    "the beginning of a command in one byte (C1)": ("\x9b", "\\x9b"),
    "an operating system command (C1)": ("\x9d", "\\x9d"),
    "a next line (C1)": ("\x85", "\\x85"),
    "a line separator": ("\u2028", "\\u2028"),
    "reading turned around": ("\u202e", "\\u202e"),
    "an isolate": ("\u2066", "\\u2066"),
    "a space without width": ("\u200b", "\\u200b"),
    "a byte order mark": ("\ufeff", "\\ufeff"),
    "a tag": ("\U000e0041", "\\U000e0041"),
    "half a character": ("\ud800", "\\ud800"),
}


@pytest.mark.parametrize(("character", "written"), WRITTEN_OUT.values(), ids=WRITTEN_OUT.keys())
def test_printable_1_what_could_command_a_terminal_is_written_out(character: str, written: str) -> None:
    assert printable(f"a{character}b") == f"a{written}b"


def test_printable_1_text_of_people_stays_as_it_is() -> None:
    assert printable("Zoë, 日本, 🙂 [red]") == "Zoë, 日本, 🙂 [red]"


@given(st.text())
def test_printable_1_nothing_else_comes_out(text: str) -> None:
    assert printable(text).isprintable()


def test_printable_2_lines_stay_lines() -> None:
    assert printable_lines("one\ntwo\r\n\x1b[2J\n") == "one\ntwo\\r\n\\x1b[2J\n"


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_printable_3_json_stays_the_same(value: object) -> None:
    shown = printable_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(shown) == value
    assert all(line.isprintable() for line in shown.split("\n"))
