"""Quantities: parsed, compared and printed as the reference does it."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.model.quantity import QUANTITY_CHARACTERS_MAX, ZERO, Quantity, QuantityError, parse_quantity, quantity_of

PRINTED = {  # written: printed
    "0": "0",
    "0Gi": "0",
    "1Gi": "1Gi",
    "1024Mi": "1Gi",
    "1025Mi": "1025Mi",
    "0.5Gi": "512Mi",
    "1.5Gi": "1536Mi",
    "1073741824": "1073741824",
    "1Ki": "1Ki",
    "512Ki": "512Ki",
    "1000Ki": "1000Ki",
    "1.1Ki": "1126400m",
    "0.5Ki": "512",
    "-1.5Gi": "-1536Mi",
    "8Ei": "9223372036854775807",
    "100Ei": "9223372036854775807",
    "1000": "1k",
    "1500": "1500",
    "1500m": "1500m",
    "1000m": "1",
    "10000m": "10",
    "0.1": "100m",
    "1.5": "1500m",
    "1.500": "1.500",  # a wart of the reference: taken for canonical
    "01.5": "1500m",
    "+1": "+1",  # another one
    "0.1n": "1n",
    "1.1n": "2n",
    "-0.1n": "-1n",
    "1e3": "1e3",
    "1E3": "1E3",
    "12e4": "120e3",
    "1e-3": "1e-3",
    "1e400": "10e399",
    "5e0": "5e0",
    "1k": "1k",
    "1E": "1E",
    "1000E": "1e21",
    "200E": "200E",
    "": None,
    "a": None,
    "1.2.3": None,
    "1 Gi": None,
    " 1Gi": None,
    "1GiB": None,
    "1K": None,
    "1e": None,
    "1e1001": None,
    "1e99999999999": None,
    "１Gi": None,
    "Gi": "0",  # the reference, too, reads no digits as zero
    "1." + "0" * QUANTITY_CHARACTERS_MAX: None,
}


@pytest.mark.parametrize(("written", "printed"), PRINTED.items())
def test_quantity_3_printed_as_the_reference_prints_it(written: str, printed: str | None) -> None:
    if printed is None:
        with pytest.raises(QuantityError):
            parse_quantity(written)
    else:
        assert str(parse_quantity(written)) == printed


def test_quantity_2_bounded_whatever_the_exponent() -> None:
    assert parse_quantity("1e1000").nano.bit_length() < 4000
    for text in ("1e1001", "1e2147483648", "9" * (QUANTITY_CHARACTERS_MAX + 1)):
        with pytest.raises(QuantityError):
            parse_quantity(text)


def test_quantity_1_exact_and_rounded_away_from_zero_below_nano() -> None:
    assert parse_quantity("0.000000001").nano == 1
    assert parse_quantity("0.0000000011").nano == 2
    assert parse_quantity("-0.0000000011").nano == -2
    assert parse_quantity("123456789012345678901234567890").nano == 123456789012345678901234567890 * 10**9


def test_quantity_4_equal_by_value() -> None:
    assert parse_quantity("1Gi") == parse_quantity("1024Mi") == Quantity(2**30 * 10**9, "BinarySI")
    assert len({parse_quantity("1Gi"), parse_quantity("1024Mi"), parse_quantity("1073741824")}) == 1
    assert parse_quantity("1Gi") != parse_quantity("1G")
    assert not parse_quantity("1Gi") != parse_quantity("1024Mi")  # noqa: SIM202  (an operator of its own)
    assert parse_quantity("1G") < parse_quantity("1Gi") <= parse_quantity("1.0Gi")
    assert parse_quantity("2Gi") > parse_quantity("1Gi") >= parse_quantity("1Gi")
    assert parse_quantity("1Gi") != "1Gi"


SAID = {
    "": "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    "1 Gi": "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    "1K": "unable to parse quantity's suffix",
    "1e": "unable to parse quantity's suffix",
    "1eE": "unable to parse quantity's suffix",
    "1k3": "unable to parse quantity's suffix",
    "1m-3": "unable to parse quantity's suffix",
    "1e1001": "unable to parse quantity's suffix",
    "1e-1001": "unable to parse quantity's suffix",
}


@pytest.mark.parametrize(("text", "message"), SAID.items())
def test_what_is_said_of_a_text_that_is_no_quantity(text: str, message: str) -> None:
    with pytest.raises(QuantityError) as refused:
        parse_quantity(text)

    assert refused.value.message == message


def test_a_quantity_shows_itself_in_failures() -> None:
    assert repr(parse_quantity("1Gi")) == "Quantity('1Gi')"


@pytest.mark.parametrize(
    ("value", "quantity"),
    [(None, "0"), ("1Gi", "1Gi"), (1000, "1k"), (1.5, "1500m"), ("many", "0"), ([], "0")],
    ids=str,
)
def test_what_an_object_has_for_a_quantity(value: object, quantity: str) -> None:
    assert quantity_of(value) == parse_quantity(quantity)


def test_a_quantity_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match=r"^compare a Quantity with another one; `is None` asks whether it is missing$"):
        bool(ZERO)


def test_sums_and_differences_print_in_the_family_of_the_left_side() -> None:
    assert str(parse_quantity("1Gi") + parse_quantity("1G")) == "2073741824"
    assert str(parse_quantity("1Gi") + parse_quantity("1Gi")) == "2Gi"
    assert str(parse_quantity("1Gi") - parse_quantity("512Mi")) == "512Mi"
    assert str(ZERO + parse_quantity("1Gi")) == "1Gi"
    assert str(ZERO - parse_quantity("1Gi")) == "-1Gi"
    assert str(parse_quantity("1Gi") - parse_quantity("1G")) == "73741824"


@pytest.mark.parametrize(
    ("written", "rounded"), {"1.0001": "1001m", "1500m": "1500m", "1u": "1m", "-1u": "-1m", "1Gi": "1Gi"}.items()
)
def test_the_server_rounds_up_to_milli_units(written: str, rounded: str) -> None:  # PD-1, CD-1
    assert str(parse_quantity(written).rounded_to_milli()) == rounded


@pytest.mark.parametrize(("written", "units"), {"1Gi": 2**30, "1.5": 2, "1m": 1, "-1m": -1, "0": 0}.items())
def test_whole_units_are_rounded_away_from_zero(written: str, units: int) -> None:  # CS-2
    assert parse_quantity(written).whole_units() == units
    assert parse_quantity(written).is_whole() == (written not in ("1.5", "1m", "-1m"))


@pytest.mark.parametrize(("count", "text"), {2**30: "1Gi", 3 * 2**20: "3Mi", 1000: "1k", 1025: "1025"}.items())
def test_bytes_print_with_binary_suffixes(count: int, text: str) -> None:
    assert str(Quantity(count * 10**9, "BinarySI")) == text


DIGITS = st.text("0123456789", min_size=1, max_size=12)
FACTORS = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    "k": Fraction(1000),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "Ki": Fraction(1024),
    "Mi": Fraction(1024**2),
    "Gi": Fraction(1024**3),
    "e3": Fraction(1000),
    "e-3": Fraction(1, 1000),
}


@given(st.sampled_from(["", "-", "+"]), DIGITS, st.none() | DIGITS, st.sampled_from(sorted(FACTORS)))
def test_a_value_is_what_arithmetic_says(sign: str, whole: str, fraction: str | None, suffix: str) -> None:
    text = f"{sign}{whole}{'' if fraction is None else '.' + fraction}{suffix}"
    exact = Fraction(f"{whole}.{fraction or 0}") * FACTORS[suffix] * 10**9
    nano = min(-(-exact.numerator // exact.denominator), (2**63 - 1) * 10**9 if suffix.endswith("i") else 10**99)
    assert parse_quantity(text).nano == (-nano if sign == "-" else nano)


@given(st.integers(-(10**40), 10**40), st.sampled_from(["BinarySI", "DecimalSI", "DecimalExponent"]))
def test_what_is_printed_means_the_same(nano: int, family: str) -> None:
    quantity = Quantity(nano, family)  # type: ignore[arg-type]
    again = parse_quantity(str(quantity))
    assert again.nano == quantity.nano or str(quantity).endswith("i")  # binary suffixes are capped (QUANTITY-2)
    assert str(Quantity(again.nano, again.format)) == str(again).removeprefix("+")


@given(st.text(max_size=20))
def test_no_text_breaks_it(text: str) -> None:
    with contextlib.suppress(QuantityError):
        parse_quantity(text)
