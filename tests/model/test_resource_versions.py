"""Resource versions as numbers."""

from __future__ import annotations

import pytest

from pvbinder.model.resource_versions import revision_number

TEXTS = {
    "a number": ("17", 17),
    "zeros before it": ("0" * 5000 + "17", 17),
    "none": ("", None),
    "zero": ("0", 0),
    "the largest": (str(2**64 - 1), 2**64 - 1),
    "one over": (str(2**64), None),
    "more digits than Python converts": ("9" * 5000, None),
    "a word": ("x17", None),
    "a sign": ("-1", None),
    "digits of another script": ("\u0663", None),
    "a superscript": ("\u00b2", None),
    "an underscore": ("1_0", None),
    "a blank": (" 1", None),
}


@pytest.mark.parametrize(("text", "number"), TEXTS.values(), ids=TEXTS.keys())
def test_resource_version_1_any_text_is_answered(text: str, number: int | None) -> None:
    assert revision_number(text) == number
