"""The formats of texts that a schema may name."""

from __future__ import annotations

import pytest
from tests.processor import at_most

from pvbinder.server.kinds.definitions.numbers import check_number, go_number
from pvbinder.server.kinds.validation.text_formats import follows, unknown_formats

PROCESSOR_SECONDS_MAX = 5.0
FORMS: dict[str, tuple[list[str], list[str]]] = {
    "byte": (["YQ==", "YWJj"], ["YQ", "a b=", "", "!!!!"]),
    "cidr": (["10.0.0.0/8", "10.1.2.3/8", "::/0"], ["10.0.0.0", "10.0.0.0/33", "::/129", "x/8"]),
    "creditcard": (["4111 1111 1111 1111"], ["4111 1111 1111 1112", "1"]),
    "date": (["2026-02-28"], ["2026-02-30", "2026-2-3", "20260228"]),
    "date-time": (["2026-02-28T12:00:00Z", "2026-02-28t12:00:00.5+01:00"], ["2026-02-28", "2026-02-28T24:00:00Z", "x"]),
    "duration": (["1h30m", "-1.5s", "0", "3 days", "2 weeks"], ["", "1", "x", "3 fortnights"]),
    "email": (["a@b.c", "Ana <a@b.c>"], ["a", "a@", "a b@c"]),
    "hexcolor": (["#fff", "123456"], ["#ffff", "red"]),
    "ipv4": (["1.2.3.4", "01.2.3.4"], ["1.2.3", "1.2.3.256", "::1"]),
    "ipv6": (["::1", "fe80::1"], ["1.2.3.4", "::g", "fe80::1%eth0"]),
    "isbn": (["0-321-75104-3", "978-0321751041"], ["0-321-75104-4", "1"]),
    "k8s-short-name": (["a-b"], ["A", "-a", "a" * 64, "a.b"]),
    "k8s-long-name": (["a.b-c"], ["a..b", "A.b"]),
    "mac": (["01:23:45:67:89:ab", "0123.4567.89ab", "01-23-45-67-89-ab"], ["01:23", "01:23:45-67:89:ab"]),
    "password": (["", "x"], []),
    "rgbcolor": (["rgb(1,2,255)", "rgb(0%,50%,100%)"], ["rgb(1,2,256)", "rgb(1%,2,3)"]),
    "ssn": (["123-45-6789"], ["12-345-6789"]),
    "uri": (["https://a.b/c", "/a", "mailto:a"], ["a", "", "https://a:x/", "1:a"]),
    "uuid": (["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
    "uuid4": (["123e4567-e89b-42d3-a456-426614174000"], ["123e4567-e89b-12d3-a456-426614174000"]),
}
CASES = [(name, text, True) for name, (fit, _) in FORMS.items() for text in fit]
CASES += [(name, text, False) for name, (_, unfit) in FORMS.items() for text in unfit]


@pytest.mark.parametrize(("name", "text", "fits"), CASES)
def test_a_text_has_its_form_or_not(name: str, text: str, fits: bool) -> None:
    assert follows(name, text) is fits


@pytest.mark.parametrize("name", FORMS)
def test_formats_1_a_long_text_is_judged_at_once(name: str) -> None:
    with at_most(PROCESSOR_SECONDS_MAX):
        for text in ("1" * 300_000, "a." * 150_000, "a@" + "b" * 300_000, "rgb(" + " " * 300_000):
            follows(name, text)


def test_formats_that_nobody_checks_are_found_anywhere() -> None:
    schema = {
        "properties": {
            "a": {"type": "string", "format": "date"},
            "b": {"type": "string", "format": "one"},
            "c": {"type": "array", "items": {"type": "integer", "format": "uint8"}},
            "d": {"type": "object", "additionalProperties": {"type": "boolean", "format": "date"}},
            "e": {"anyOf": [{"format": "two"}]},
        }
    }
    assert unknown_formats(schema) == ["one", "uint8", "date", "two"]


NUMBERS = {
    "a bound that is no whole number": (
        3,
        {"maximum": 3.5},
        ['<nil>: Invalid value: "": Maximum boundary value must be of type integer (default format) in v'],
    ),
    "too large for 32 bits": (
        2**31,
        {"format": "int32"},
        ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in v'],
    ),
    "no multiple of nothing": (
        1,
        {"multipleOf": 0},
        ["v: Invalid value: 0: factor MultipleOf declared for v must be positive: 0"],
    ),
}


@pytest.mark.parametrize(("value", "schema", "errors"), NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_are_compared_as_the_reference_does(value: int, schema: dict[str, float], errors: list[str]) -> None:
    assert [str(error) for error in check_number(value, ("integer",), schema, "v", "v")] == errors


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.1, "0.1"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-7, "1e-07"), (5, "5")],
)
def test_numbers_are_shown_as_go_shows_them(value: float, text: str) -> None:
    assert go_number(value) == text
