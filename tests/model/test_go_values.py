"""Texts that Go reads as values."""

from __future__ import annotations

import pytest

from pvbinder.model.go_values import expand, parse_bool, quoted


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (("1", "t", "T", "true", "TRUE", "True"), True),
        (("0", "f", "F", "false", "FALSE", "False"), False),
        (("", "yes", "tRUE", " true", "2", "fALSE"), None),
    ],
)
def test_booleans_are_read_as_go_reads_them(texts: tuple[str, ...], value: bool | None) -> None:
    assert [parse_bool(text) for text in texts] == [value] * len(texts)


@pytest.mark.parametrize(
    ("template", "expanded"),
    [
        ("a${x}b", "a<x>b"),
        ("$x.y", "<x>.y"),
        ("${x.y['z']}", "<x.y['z']>"),
        ("$${x}", "<$>{x}"),
        ("$12-$*$-", "<1>2-<*><->"),
        ("${$}${}$", "<$>$"),
        ("a${x", "ax"),
        ("$ $. $é", "$ $. $é"),
        ("${x${y}", "<x${y>"),
    ],
)
def test_variables_are_replaced_as_go_replaces_them(template: str, expanded: str) -> None:
    assert expand(template, lambda name: f"<{name}>") == expanded


def test_texts_are_quoted_as_go_quotes_them() -> None:
    assert quoted('a"b\\c\n\x01\x7fé\u202e') == r'"a\"b\\c\n\x01\x7fé\u202e"'
