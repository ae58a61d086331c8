"""Texts that Go reads as values."""

from __future__ import annotations

import pytest

from pvbinder.model.go_values import parse_bool


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
