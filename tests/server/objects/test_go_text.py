"""Numbers as Go reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pvbinder.server.objects.go_text import parse_int64, parse_uint64

MANY = "9" * 5000  # more digits than Python converts
READ = {
    "a number": (parse_int64, "17", 17),
    "a sign": (parse_int64, "+17", 17),
    "zero": (parse_int64, "-0", 0),
    "many zeros": (parse_int64, "-" + "0" * 5000 + "1", -1),
    "the largest": (parse_int64, str(2**63 - 1), 2**63 - 1),
    "the smallest": (parse_int64, str(-(2**63)), -(2**63)),
    "the largest without a sign": (parse_uint64, str(2**64 - 1), 2**64 - 1),
}
REFUSED = {
    "nothing": (parse_int64, "", "ParseInt", "invalid syntax"),
    "a sign alone": (parse_int64, "-", "ParseInt", "invalid syntax"),
    "a blank": (parse_int64, " 1", "ParseInt", "invalid syntax"),
    "an underscore": (parse_int64, "1_0", "ParseInt", "invalid syntax"),
    "digits of another script": (parse_int64, "\u0663", "ParseInt", "invalid syntax"),
    "one over": (parse_int64, str(2**63), "ParseInt", "value out of range"),
    "one under": (parse_int64, str(-(2**63) - 1), "ParseInt", "value out of range"),
    "thousands of digits": (parse_int64, MANY, "ParseInt", "value out of range"),
    "a sign where none may be": (parse_uint64, "+1", "ParseUint", "invalid syntax"),
    "one over without a sign": (parse_uint64, str(2**64), "ParseUint", "value out of range"),
    "thousands of digits without a sign": (parse_uint64, MANY, "ParseUint", "value out of range"),
}


@pytest.mark.parametrize(("parse", "text", "number"), READ.values(), ids=READ.keys())
def test_go_text_1_what_go_reads_is_read(parse: Callable[[str], int], text: str, number: int) -> None:
    assert parse(text) == number


@pytest.mark.parametrize(("parse", "text", "function", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_go_text_1_what_go_refuses_is_refused_in_its_words(
    parse: Callable[[str], int], text: str, function: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        parse(text)
    assert str(refused.value) == f'strconv.{function}: parsing "{text}": {why}'
